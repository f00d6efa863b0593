"""Who may do what: tokens of a file, and tokens that a realm signs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import HTTPException
from jwt.algorithms import RSAAlgorithm
from PIL import Image

from lib.server.web import auth
from lib.server.web.auth import KEY_LIFETIME_S, KEY_RETRY_INTERVAL_S, KEYS_PATH, RealmLogin, TokenLogin

if TYPE_CHECKING:
    from ...serving import Server, Start

READER, ANNOTATOR, ADMIN = ("the-token-of-a-reader", "the-token-of-an-annotator", "the-token-of-an-admin")
TOKENS = f"""
# who  role  token
ada    reader     {READER}
ben    annotator  {ANNOTATOR}
cleo   admin      sha256:{hashlib.sha256(ADMIN.encode()).hexdigest()}
"""
ROUTES = [
    ("GET", "/info/", 1),
    ("GET", "/datastore/?output=all", 1),
    ("GET", "/datastore/image?image=none", 1),
    ("GET", "/datastore/image/pixels?image=none", 1),
    ("GET", "/datastore/label?label=none&tag=final", 1),
    ("GET", "/datastore/label/versions?label=none&tag=final", 1),
    ("GET", "/landmarks?image=none", 1),
    ("POST", "/measure", 1),
    ("PUT", "/presence?image=none&client=00000000-0000-0000-0000-000000000001", 1),
    ("GET", "/session/none", 1),
    ("GET", "/session/none?pixels=true", 1),
    ("GET", "/train/", 1),
    ("GET", "/no/such/page", 1),
    ("POST", "/infer/vertebra_landmarks?image=none", 1),
    ("GET", "/study", 1),
    ("GET", "/study/agreement", 1),
    ("GET", "/readings/queue", 1),
    ("POST", "/activelearning/none", 2),
    ("PUT", "/datastore/label?image=none", 2),
    ("PUT", "/landmarks?image=none", 2),
    ("PUT", "/datastore/image", 2),
    ("PUT", "/datastore/image/info?image=none", 2),
    ("POST", "/datastore/label/restore?label=none&tag=final&version=1", 2),
    ("POST", "/scoring/none", 2),
    ("POST", "/train/none", 3),
    ("DELETE", "/train/", 3),
    ("POST", "/batch/infer/none", 3),
    ("DELETE", "/datastore/image?id=none", 3),
    ("DELETE", "/datastore/label?id=none&tag=final", 3),
    ("GET", "/model/none", 3),
    ("GET", "/logs/", 3),
]
"""Method, path, and the lowest role, 1 reader to 3 admin; none of them changes anything here."""


def bearer(token: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """A server with a file of tokens."""
    place = tmp_path_factory.mktemp("guarded")
    (place / "studies").mkdir()
    (place / "tokens.txt").write_text(TOKENS)
    with start(place / "studies", "--conf", "tokens", str(place / "tokens.txt")) as running:
        yield running


@pytest.mark.integration
@pytest.mark.parametrize(("method", "path", "least"), ROUTES)
def test_a_route_opens_for_its_role_and_those_above(guarded: Server, method: str, path: str, least: int) -> None:
    assert guarded.said(guarded.ask(path, method))[0] == 401
    for role, token in enumerate((READER, ANNOTATOR, ADMIN), start=1):
        status, body = guarded.ask(path, method, headers=bearer(token))
        assert (status == 403) == (role < least), (token, body)
        assert status not in (401, 500)


@pytest.mark.integration
@pytest.mark.parametrize(
    "header",
    [
        "", "Bearer", "Bearer ", "Bearer wrong-token-wrong", f"Bearer {READER}x", f"Basic {READER}", READER,
        f"Bearer sha256:{hashlib.sha256(ADMIN.encode()).hexdigest()}",
        "Bearer " + jwt.encode({"sub": "x", "exp": 2**33}, "", algorithm="none"),
        "Bearer \xe9\xff", "Bearer " + "a" * 5000,
    ],
)  # fmt: skip
def test_other_tokens_open_nothing(guarded: Server, header: str) -> None:
    assert guarded.said(guarded.ask("/info/", headers={"Authorization": header}))[0] == 401


@pytest.mark.integration
def test_saving_a_prediction_needs_more_than_reading(guarded: Server) -> None:
    answer = guarded.send("/infer/vertebra_landmarks?image=none", "POST", bearer(READER), params='{"save_label": true}')
    assert guarded.said(answer)[0] == 403


@pytest.mark.integration
def test_what_is_noted_is_noted_by_the_login(guarded: Server) -> None:
    png = io.BytesIO()
    Image.fromarray(np.zeros((60, 40), np.uint8)).save(png, "PNG")
    upload, params = ("new.png", png.getvalue()), '{"user": "somebody else"}'
    added = guarded.send("/datastore/image?image=new", "PUT", bearer(ADMIN), file=upload, params=params)
    assert added[0] == 200, added
    noted = json.loads(guarded.ask("/datastore/image/info?image=new", headers=bearer(READER))[1])
    user = json.loads(guarded.ask("/auth/token/valid", headers=bearer(ADMIN))[1])["username"]
    assert noted["user"] == user != "somebody else"


@pytest.mark.integration
def test_the_body_of_a_stranger_is_not_read(guarded: Server) -> None:
    """An answer comes although nothing of the announced body was sent."""
    import socket

    host, port = guarded.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(
            f"PUT /datastore/image HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode()
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 401")


@pytest.mark.integration
def test_clients_that_know_passwords_log_in_with_the_token_as_password(guarded: Server) -> None:
    assert json.loads(guarded.ask("/auth/")[1])["enabled"] is True
    assert guarded.ask("/health") == (200, b'{"status":"ok"}')  # for load balancers
    kind = "application/x-www-form-urlencoded"
    wrong = f"username=ada&password={ADMIN}".encode()
    assert guarded.said(guarded.ask("/auth/token", "POST", wrong, kind))[0] == 401
    status, body = guarded.ask("/auth/token", "POST", f"username=ada&password={READER}".encode(), kind)
    assert (status, json.loads(body)) == (200, {"access_token": READER, "token_type": "bearer"})
    owner = guarded.ask("/auth/token/valid", headers=bearer(READER))
    assert json.loads(owner[1]) == {"username": "ada", "roles": ["reader"]}


@pytest.mark.integration
def test_pages_without_secrets_need_no_token_and_the_log_has_none(guarded: Server) -> None:
    for path in ("/", "/openapi.json"):
        assert guarded.ask(path)[0] == 200
    log = guarded.log.read_text(errors="replace")
    assert not any(token in log for token in (READER, ANNOTATOR, ADMIN))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no user"),
        ("ada reader", "line 1 .* must be 'name role token'"),
        ("# x\nada owner " + "a" * 20, "line 2 .* must be 'name role token'"),
        ("ada reader short", "16 characters"),
        ("ada reader sha256:12", "16 characters"),
    ],
)
def test_a_wrong_file_of_tokens_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "tokens.txt").write_text(text)
    with pytest.raises(ValueError, match=words):
        TokenLogin(tmp_path / "tokens.txt")


class Realm:
    """A login server like Keycloak: it shows its public key and gives tokens for one password."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_up, self._turns = True, 0
        self.turn_key()
        realm = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                realm.asked.append(self.path)
                if self.path.endswith(KEYS_PATH):
                    self._answer({"keys": realm.keys} if realm.is_up else {}, 200 if realm.is_up else 500)
                else:
                    self._answer({"token_endpoint": f"{realm.uri}/token"})

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                right = b"password=right" in sent
                self._answer({"access_token": realm.token()} if right else {"error": "no"}, 200 if right else 401)

            def _answer(self, content: dict[str, Any], status: int = 200) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self._server.server_port}/realms/test"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def turn_key(self) -> None:
        """Sign with another key from now on."""
        self._key, self._turns = rsa.generate_private_key(65537, 2048), self._turns + 1
        self.kid = f"key {self._turns}"
        shown = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        encrypts = {**shown, "use": "enc", "alg": "RSA-OAEP", "kid": "another key"}  # as Keycloak lists, too
        self.keys = [encrypts, {**shown, "use": "sig", "alg": "RS256", "kid": self.kid}]

    @property
    def pem(self) -> bytes:
        """The public key as text."""
        shown = self._key.public_key()
        return shown.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).strip()

    def token(self, **claims: Any) -> str:
        """A signed token; ``None`` leaves a claim out. ``kid`` goes into its header."""
        kid = claims.pop("kid", self.kid)
        usual = {"exp": time.time() + 60, "iss": self.uri, "azp": "monailabel-app", "aud": "account"}
        named = {"preferred_username": "dora", "realm_access": {"roles": ["monailabel-user"]}}
        kept = {name: value for name, value in {**usual, **named, **claims}.items() if value is not None}
        return jwt.encode(kept, self._key, algorithm="RS256", headers={"kid": kid} if kid else {})

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()


@pytest.fixture(scope="module")
def realm() -> Iterator[Realm]:
    """A running realm."""
    realm = Realm()
    yield realm
    realm.close()


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory, start: Start, realm: Realm) -> Iterator[Server]:
    """A server whose users the realm knows."""
    studies = tmp_path_factory.mktemp("joined")
    env = {"MONAI_LABEL_AUTH_ENABLE": "true", "MONAI_LABEL_AUTH_REALM_URI": realm.uri}
    with start(studies, env=env) as running:
        yield running


@pytest.mark.integration
def test_a_token_of_the_realm_opens_what_its_role_may(joined: Server, realm: Realm) -> None:
    assert joined.ask("/info/", headers=bearer(realm.token()))[0] == 200
    assert joined.ask("/info/", headers=bearer(realm.token(azp=None, aud=["x", "monailabel-app"])))[0] == 200
    assert joined.said(joined.ask("/logs/", headers=bearer(realm.token())))[0] == 403
    admin = realm.token(realm_access={"roles": ["other", "monailabel-user", "monailabel-admin"]})
    assert joined.ask("/logs/", headers=bearer(admin))[0] == 200


@pytest.mark.integration
@pytest.mark.parametrize("claims", [{"realm_access": 5}, {"realm_access": {"roles": ["x"]}}, {"realm_access": None}])
def test_a_token_without_a_role_here_is_403(joined: Server, realm: Realm, claims: dict[str, Any]) -> None:
    assert joined.said(joined.ask("/info/", headers=bearer(realm.token(**claims))))[0] == 403


def forged(header: dict[str, Any], token: str, key: bytes = b"") -> str:
    """The claims of a token under another header, signed by HMAC with ``key``."""
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=")
    signed = head + b"." + token.split(".")[1].encode()
    signature = base64.urlsafe_b64encode(hmac.new(key, signed, hashlib.sha256).digest()).rstrip(b"=") if key else b""
    return (signed + b"." + signature).decode()


@pytest.mark.integration
def test_tokens_that_the_realm_did_not_give_are_401(joined: Server, realm: Realm) -> None:
    good = realm.token()
    other = Realm()
    other.close()
    tokens = {
        "no algorithm": forged({"alg": "none", "typ": "JWT", "kid": realm.kid}, good),
        "no algorithm, shouted": forged({"alg": "NONE", "typ": "JWT", "kid": realm.kid}, good),
        "public key as secret": forged({"alg": "HS256", "kid": realm.kid}, good, realm.pem),
        "public key as secret, with a line end": forged({"alg": "HS256", "kid": realm.kid}, good, realm.pem + b"\n"),
        "other key": other.token(iss=realm.uri),
        "no name of a key": realm.token(kid=None),
        "unknown name of a key": realm.token(kid="key 99"),
        "key for another use": realm.token(kid="another key"),
        "name of a key that is no text": forged({"alg": "RS256", "kid": 5}, good),
        "own key in the header": jwt.encode(
            {"exp": time.time() + 60, "iss": realm.uri}, other._key, "RS256", headers={"jwk": {}, "kid": realm.kid}
        ),
        "expired": realm.token(exp=time.time() - 60),
        "endless": realm.token(exp=None),
        "not yet": realm.token(nbf=time.time() + 600),
        "other issuer": realm.token(iss="http://elsewhere.example"),
        "no issuer": realm.token(iss=None),
        "other client": realm.token(azp="other", aud="other"),
        "changed": good[:-8] + "AAAAAAAA",
        "cut": good.rpartition(".")[0],
        "nonsense": "a.b.c",
    }
    for what, token in tokens.items():
        assert joined.said(joined.ask("/info/", headers=bearer(token)))[0] == 401, what
    assert joined.ask("/info/", headers=bearer(good))[0] == 200


@pytest.mark.integration
def test_a_password_is_checked_by_the_realm(joined: Server) -> None:
    kind = "application/x-www-form-urlencoded"
    assert joined.said(joined.ask("/auth/token", "POST", b"username=dora&password=wrong", kind))[0] == 401
    token = json.loads(joined.ask("/auth/token", "POST", b"username=dora&password=right", kind)[1])["access_token"]
    assert json.loads(joined.ask("/auth/token/valid", headers=bearer(token))[1])["username"] == "dora"


@pytest.mark.integration
def test_a_new_key_of_the_realm_is_fetched(joined: Server, realm: Realm) -> None:
    assert joined.ask("/info/", headers=bearer(realm.token()))[0] == 200
    realm.turn_key()
    deadline = time.monotonic() + 15
    while (status := joined.ask("/info/", headers=bearer(realm.token()))[0]) == 401 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert status == 200


class Clock:
    """The time in seconds, as PyJWT and the login read it."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def login(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealmLogin]:
    """A login that has not asked the realm anything yet."""
    monkeypatch.setattr(auth.settings, "MONAI_LABEL_AUTH_REALM_URI", realm.uri)
    realm.asked.clear()
    yield RealmLogin()
    realm.is_up = True


def status_of(login: RealmLogin, token: str) -> int:
    try:
        login._claims(token)
    except HTTPException as error:
        return error.status_code
    return 200


def test_keys_are_kept_for_a_while(login: RealmLogin, realm: Realm, clock: Clock) -> None:
    assert [status_of(login, realm.token()) for _ in range(5)] == [200] * 5
    assert len(realm.asked) == 1
    clock.now += KEY_LIFETIME_S + 1
    assert status_of(login, realm.token()) == 200
    assert len(realm.asked) == 2


def test_unknown_keys_do_not_make_the_server_flood_the_realm(login: RealmLogin, realm: Realm, clock: Clock) -> None:
    assert status_of(login, realm.token()) == 200
    for number in range(20):
        assert status_of(login, realm.token(kid=f"unknown {number}")) == 401
    assert len(realm.asked) == 1
    clock.now += KEY_RETRY_INTERVAL_S
    assert [status_of(login, realm.token(kid="unknown")) for _ in range(5)] == [401] * 5
    assert len(realm.asked) == 2


def test_known_keys_go_on_working_while_the_realm_is_down(login: RealmLogin, realm: Realm, clock: Clock) -> None:
    assert status_of(login, realm.token()) == 200
    realm.is_up = False
    clock.now += KEY_LIFETIME_S + 1
    assert [status_of(login, realm.token()) for _ in range(5)] == [200] * 5
    assert len(realm.asked) == 2


def test_without_a_key_a_realm_that_is_down_is_503_and_is_asked_again_after_a_while(
    login: RealmLogin, realm: Realm, clock: Clock
) -> None:
    realm.is_up = False
    assert [status_of(login, realm.token()) for _ in range(5)] == [503] * 5
    assert len(realm.asked) == 1
    realm.is_up = True
    clock.now += KEY_RETRY_INTERVAL_S
    assert status_of(login, realm.token()) == 200


@pytest.mark.parametrize("keys", [[], "no list", [5], [{"kty": "RSA", "kid": "x"}]])
def test_a_realm_whose_keys_cannot_be_used_is_503(login: RealmLogin, realm: Realm, keys: Any, clock: Clock) -> None:
    good, realm.keys = realm.keys, keys
    try:
        assert status_of(login, realm.token()) == 503
    finally:
        realm.keys = good
