"""Authentication and roles: tokens of a file of this server, or tokens that an identity provider signs."""

from __future__ import annotations

import enum
import hashlib
import hmac
import json
import logging
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import jwt
from anyio import to_thread
from fastapi import HTTPException
from monailabel.config import settings

from ..store.label_sync import ANONYMOUS

logger = logging.getLogger(__name__)


class Role(enum.IntEnum):
    """What a user may do; each role may do what those before it may."""

    READER = 1
    """See images, labels and facts; ask for landmarks."""
    ANNOTATOR = 2
    """Choose the next image, save labels and add images."""
    ADMIN = 3
    """Train, remove, infer whole folders, and read the log."""


@dataclass(frozen=True)
class User:
    """The user of a request."""

    name: str
    role: Role


ANYBODY = User(ANONYMOUS, Role.ADMIN)
"""The user of every request while no login is configured."""


class Login(Protocol):
    """A way to know users by their tokens."""

    async def user(self, token: str) -> User:
        """Whose token it is.

        Raises:
            HTTPException: 401, nobody's; 403, somebody's without a role here; 503, it cannot be checked now.
        """

    async def token_for(self, name: str, password: str) -> str:
        """A token for a name and a password.

        Raises:
            HTTPException: 401, they do not fit; 503, they cannot be checked now.
        """


def unauthorized(why: str) -> HTTPException:
    """The answer to a request without a token that is valid."""
    return HTTPException(401, why, headers={"WWW-Authenticate": "Bearer"})


_WRONG_TOKEN = "the token is not valid"
MIN_TOKEN_LENGTH = 16
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class TokenLogin:
    """Tokens of a text file, one user a line: ``name role token``, role reader, annotator or admin.

    In place of the token, ``sha256:`` and its hash in hexadecimal digits may stand. Empty lines and lines that begin
    with ``#`` count for nothing. The file is read once.

    Args:
        path: the file.

    Raises:
        ValueError: a line is not like that, or a token is shorter than ``MIN_TOKEN_LENGTH``; the token is not quoted.
    """

    def __init__(self, path: Path) -> None:
        self._users: dict[bytes, User] = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            parts = line.split()
            if not parts or parts[0].startswith("#"):
                continue
            where = f"--conf tokens: line {number} of {path.name}"
            if len(parts) != 3 or parts[1].upper() not in Role.__members__:
                raise ValueError(f"{where} must be 'name role token' with role reader, annotator or admin")
            digest = _DIGEST.fullmatch(parts[2])
            if digest is None and len(parts[2]) < MIN_TOKEN_LENGTH:
                raise ValueError(f"{where}: a token needs {MIN_TOKEN_LENGTH} characters at least")
            key = bytes.fromhex(digest.group(1)) if digest else _hash(parts[2])
            self._users[key] = User(parts[0], Role[parts[1].upper()])
        if not self._users:
            raise ValueError(f"--conf tokens: {path.name} names no user")

    async def user(self, token: str) -> User:
        """See ``Login``."""
        digest = _hash(token)
        users = [user for key, user in self._users.items() if hmac.compare_digest(key, digest)]
        if not users:
            raise unauthorized(_WRONG_TOKEN)
        return users[0]

    async def token_for(self, name: str, password: str) -> str:
        """The password is the token, so that clients which only know passwords can log in."""
        if (await self.user(password)).name != name:
            raise unauthorized(_WRONG_TOKEN)
        return password


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()


ALGORITHM = "RS256"
KEY_LIFETIME_S, KEY_RETRY_INTERVAL_S = 300.0, 10.0
KEYS_PATH = "/protocol/openid-connect/certs"
"""Below the address of a Keycloak realm: its signing keys."""
MAX_REALM_BYTES = 1_000_000
_ROLES = {
    settings.MONAI_LABEL_AUTH_ROLE_USER: Role.READER,
    settings.MONAI_LABEL_AUTH_ROLE_REVIEWER: Role.ANNOTATOR,
    settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR: Role.ANNOTATOR,
    settings.MONAI_LABEL_AUTH_ROLE_ADMIN: Role.ADMIN,
}


class RealmKeys(jwt.PyJWKClient):
    """The signing keys of a realm by their ids; fetched ones stay valid while the realm does not answer.

    They are fetched again after ``KEY_LIFETIME_S``, and for an unknown id, since realms change keys; but at most every
    ``KEY_RETRY_INTERVAL_S``, also where the realm is down, so that requests neither pile up here nor flood it.

    Args:
        uri: of the realm.
        timeout_s: for one answer of the realm.

    Raises:
        jwt.PyJWKClientConnectionError: from all methods, the realm gives no good answer and no key is known.
        jwt.PyJWKClientError: from all methods, there is no key of that id.
    """

    def __init__(self, uri: str, timeout_s: float) -> None:
        super().__init__(
            uri + KEYS_PATH, lifespan=KEY_LIFETIME_S, timeout=timeout_s, cooldown_duration=KEY_RETRY_INTERVAL_S
        )
        self._key_set: dict[str, Any] | None = None
        self._tried = -KEY_RETRY_INTERVAL_S

    def fetch_data(self) -> dict[str, Any]:
        """The realm's key set, else the one before."""
        if time.monotonic() - self._tried >= KEY_RETRY_INTERVAL_S:
            self._tried = time.monotonic()
            try:
                self._key_set = super().fetch_data()
            except (jwt.PyJWTError, OSError, ValueError):
                logger.warning("The login server gives no signing keys", exc_info=True)
        if self._key_set is None:
            raise jwt.PyJWKClientConnectionError("the realm gives no signing keys")
        return self._key_set


class RealmLogin:
    """Tokens that a Keycloak realm signs, as MONAI Label's ``MONAI_LABEL_AUTH_...`` settings describe it.

    A token counts if one of the realm's keys signed it with RS256, the realm is its issuer, it was made for this client
    (as audience or authorised party), and it has not expired. MONAI Label's own check names no algorithm, which PyJWT
    refuses.
    """

    def __init__(self) -> None:
        self._uri = settings.MONAI_LABEL_AUTH_REALM_URI.rstrip("/")
        if urllib.parse.urlsplit(self._uri).scheme not in ("http", "https"):
            raise ValueError(f"MONAI_LABEL_AUTH_REALM_URI must be an http address, got {self._uri!r}")
        self._keys = RealmKeys(self._uri, settings.MONAI_LABEL_AUTH_TIMEOUT)

    async def user(self, token: str) -> User:
        """See ``Login``."""
        claims = await to_thread.run_sync(self._claims, token)
        name = claims.get(settings.MONAI_LABEL_AUTH_TOKEN_USERNAME)
        roles: Any = claims
        for part in settings.MONAI_LABEL_AUTH_TOKEN_ROLES.split("#"):
            roles = roles.get(part) if isinstance(roles, dict) else None
        granted = [_ROLES[role] for role in roles if role in _ROLES] if isinstance(roles, list) else []
        if not granted:
            raise HTTPException(403, "the token names no role that this server knows")
        return User(str(name or "nameless"), max(granted))

    async def token_for(self, name: str, password: str) -> str:
        """The realm's own answer to a name and a password."""
        token = await to_thread.run_sync(self._granted, name, password)
        if not isinstance(token, str):
            raise unauthorized("the realm gave no token")
        return token

    def _claims(self, token: str) -> dict[str, Any]:
        options: Any = {"require": ["exp", "iss"], "verify_aud": False}  # Keycloak names the client in azp instead
        try:
            key = self._keys.get_signing_key_from_jwt(token)
            claims = jwt.decode(token, key, algorithms=[ALGORITHM], issuer=self._uri, options=options)
        except jwt.PyJWKClientConnectionError as error:
            raise _realm_unreachable() from error
        except jwt.PyJWTError as error:
            raise unauthorized(_WRONG_TOKEN) from error
        audience = claims.get("aud")
        parties = [*(audience if isinstance(audience, list) else [audience]), claims.get("azp")]
        if settings.MONAI_LABEL_AUTH_CLIENT_ID not in parties:
            raise unauthorized(_WRONG_TOKEN)
        return claims

    def _granted(self, name: str, password: str) -> object:
        form = {"client_id": settings.MONAI_LABEL_AUTH_CLIENT_ID, "grant_type": "password"}
        body = urllib.parse.urlencode({**form, "username": name, "password": password}).encode()
        address = self._ask(f"{self._uri}/.well-known/openid-configuration").get("token_endpoint")
        if not isinstance(address, str) or not address.startswith(("http://", "https://")):
            raise _realm_unreachable()
        return self._ask(address, body).get("access_token")

    def _ask(self, address: str, body: bytes | None = None) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(address, body, timeout=settings.MONAI_LABEL_AUTH_TIMEOUT) as answer:
                content = json.loads(answer.read(MAX_REALM_BYTES))
        except urllib.error.HTTPError as error:
            if error.code in (400, 401):
                raise unauthorized("name and password do not fit") from error
            raise _realm_unreachable() from error
        except (OSError, ValueError) as error:
            raise _realm_unreachable() from error
        return content if isinstance(content, dict) else {}


def _realm_unreachable() -> HTTPException:
    return HTTPException(503, "the login server gives no good answer; try again later", headers={"Retry-After": "30"})


def configured_login(tokens: Path | None) -> Login | None:
    """The login that the settings ask for; ``None`` where they ask for none.

    Raises:
        ValueError: they cannot be used.
    """
    if settings.MONAI_LABEL_AUTH_ENABLE:
        if tokens is not None:
            raise ValueError("--conf tokens and MONAI_LABEL_AUTH_ENABLE exclude each other; use one")
        return RealmLogin()
    return TokenLogin(tokens) if tokens is not None else None
