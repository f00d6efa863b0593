"""Requests over real sockets to servers that do not behave."""

from __future__ import annotations

import datetime
import gzip
import ipaddress
import json
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from VertebraLandmarksLib.client import http as connection_module
from VertebraLandmarksLib.client.errors import ServerError, error_of_status
from VertebraLandmarksLib.client.http import Connection
from VertebraLandmarksLib.client.sockets import CancelSignal, ServerUrl

from ..misbehaving import Behave, answering, read_all, read_head, reply, serving

pytestmark = pytest.mark.slicer


def failure(behave: Behave, read_timeout_s: float = 5.0, **request: object) -> ServerError:
    """What a request to such a server raises."""
    with serving(behave) as url, pytest.raises(ServerError) as caught:
        Connection(url, read_timeout_s=read_timeout_s).request("GET", "/info/", **request)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("  Localhost:8000/ ", "http://localhost:8000"),
        ("https://images.example/labels/", "https://images.example/labels"),
        ("http://images.example:80", "http://images.example"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("http://röntgen.example", "http://xn--rntgen-wxa.example"),
    ],
)
def test_addresses_are_read_as_people_write_them(text: str, shown: str) -> None:
    assert str(ServerUrl.parse(text)) == shown


@pytest.mark.parametrize(
    "text",
    ["", "  ", "http://", "ftp://server", "http://a b", "http://host:port", "http://host:99999", "http://host:0",
     "http://u:p@host", "http://host?x=1", "http://[::1", "a\nb", "http://" + "ü" * 80],
)  # fmt: skip
def test_what_is_no_address_is_told_with_an_example(text: str) -> None:
    with pytest.raises(ServerError, match=r"http://127\.0\.0\.1:8000") as caught:
        Connection(text)
    assert caught.value.kind == "address"


@pytest.mark.parametrize("token", ["two words", "line\r\nInjected: 1", "tökenß"])
def test_what_is_no_token_never_reaches_the_network(token: str) -> None:
    with pytest.raises(ServerError, match="token") as caught:
        Connection("http://127.0.0.1:8000", token)
    assert caught.value.kind == "login"


def test_a_request_carries_query_token_and_host() -> None:
    heads = []

    def behave(connection: socket.socket) -> None:
        heads.append(read_all(connection)[0].decode())
        connection.sendall(reply(b"[]", "200 OK", "X-Image-Facts: {}"))

    with serving(behave) as url:
        answer = Connection(url + "/labels", "secret").request("GET", "/datastore/", {"image": "Ä &b/c?"})
    assert heads[0].startswith("GET /labels/datastore/?image=%C3%84+%26b%2Fc%3F HTTP/1.1\r\n")
    assert "Authorization: Bearer secret\r\n" in heads[0]
    assert f"Host: {url.removeprefix('http://')}\r\n" in heads[0]
    assert (answer.status, answer.body, answer.headers["x-image-facts"]) == (200, b"[]", "{}")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(302, "bad_response"), (400, "refused"), (401, "login"), (403, "forbidden"), (404, "not_found"), (409, "taken"),
     (413, "too_large"), (415, "unreadable"), (418, "refused"), (422, "no_spine"), (429, "busy"), (500, "failed"),
     (502, "failed"), (503, "busy"), (507, "failed")],
)  # fmt: skip
def test_every_status_says_what_to_do_and_keeps_the_servers_words(status: int, kind: str) -> None:
    body = json.dumps({"detail": "the server's own sentence."}).encode()
    error = failure(answering(reply(body, f"{status} Whatever")))
    assert error.kind == kind
    assert error.detail == "the server's own sentence."
    assert error.message.endswith(".")
    assert ".." not in error.message
    bare = error_of_status(status)
    assert bare.message.endswith(".")
    assert " ." not in bare.message
    assert "{" not in bare.message


def test_a_web_page_as_error_is_not_quoted() -> None:
    error = failure(answering(reply(b"<html>Proxy says no</html>", "502 Bad Gateway")))
    assert error.kind == "failed"
    assert "<" not in error.message + error.detail


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(reply(b"half", length=100), "cut_short", id="body-cut-short"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX-", "cut_short", id="head-cut-short"),
        pytest.param(b"", "cut_short", id="nothing"),
        pytest.param(reply(gzip.compress(b"x" * 999)[:-9], "200 OK", "Content-Encoding: gzip"), "cut_short", id="gzip"),
        pytest.param(reply(b"no gzip", "200 OK", "Content-Encoding: gzip"), "cut_short", id="no-gzip"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "cut_short", id="chunk"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", "bad_response", id="other-protocol"),
        pytest.param(b"HTTP/1.1 abc\r\n\r\n", "bad_response", id="no-status"),
    ],
)
def test_what_is_no_whole_answer_is_an_error(answer: bytes, kind: str) -> None:
    error = failure(answering(answer))
    assert error.kind == kind
    assert "Check" in error.message


def test_answers_are_unpacked_and_counted() -> None:
    content = bytes(range(256)) * 4000
    packed = gzip.compress(content)
    seen: list[tuple[int, int | None]] = []
    with serving(answering(reply(packed, "200 OK", "Content-Encoding: gzip"))) as url:
        answer = Connection(url).request("GET", "/", on_progress=lambda done, total: seen.append((done, total)))
    assert answer.body == content
    assert seen[-1] == (len(packed), len(packed))


def test_chunked_answers_are_read() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    with serving(answering(chunked)) as url:
        assert Connection(url).request("GET", "/").body == b"hello"


def test_the_answer_to_head_has_no_body_to_miss() -> None:
    with serving(answering(reply(b"", length=1000))) as url:
        assert Connection(url).request("HEAD", "/").body == b""


def test_an_answer_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "MAX_RESPONSE_BYTES", 100_000)
    error = failure(answering(reply(gzip.compress(b"0" * 10_000_000), "200 OK", "Content-Encoding: gzip")))
    assert error.kind == "bad_response"
    assert "larger" in error.message


def test_silence_ends_after_its_time() -> None:
    begin = time.monotonic()
    error = failure(lambda connection: (read_head(connection), time.sleep(3)), read_timeout_s=0.3)
    assert error.kind == "timeout"
    assert "0.3 seconds" in error.message
    assert time.monotonic() - begin < 2


def test_silence_in_the_middle_of_an_answer_ends_too() -> None:
    def behave(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(reply(b"some", length=1000))
        time.sleep(3)

    assert failure(behave, read_timeout_s=0.3).kind == "timeout"


def test_a_slow_answer_that_goes_on_is_no_silence() -> None:
    def behave(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(reply(b"", length=8))
        for _ in range(8):
            time.sleep(0.1)
            connection.sendall(b"x")

    with serving(behave) as url:
        assert Connection(url, read_timeout_s=0.5).request("GET", "/").body == b"x" * 8


def test_a_server_that_hangs_up_is_told() -> None:
    def behave(connection: socket.socket) -> None:
        read_head(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset

    assert failure(behave).kind == "cut_short"


def test_nobody_at_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ServerError, match=f"No server answers at 127.0.0.1:{port}") as caught:
        Connection(f"127.0.0.1:{port}").request("GET", "/")
    assert caught.value.kind == "unreachable"


def test_a_computer_that_does_not_exist() -> None:
    with pytest.raises(ServerError, match="was not found") as caught:
        Connection("http://no-such-name.invalid:8000", connect_timeout_s=3).request("GET", "/")
    assert caught.value.kind == "unreachable"


def test_a_computer_that_does_not_answer() -> None:
    """A listener whose waiting line is full takes no further connection, and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        begin = time.monotonic()
        with pytest.raises(ServerError, match="does not respond") as caught:
            Connection(f"127.0.0.1:{port}", connect_timeout_s=0.4).request("GET", "/")
        assert caught.value.kind == "unreachable"
        assert 0.3 < time.monotonic() - begin < 2
        for one in waiting:
            one.close()


@pytest.mark.parametrize("after", ["nothing", "head", "body"])
def test_cancel_ends_the_wait_at_once(after: str) -> None:
    reached = threading.Event()

    def behave(connection: socket.socket) -> None:
        read_head(connection)
        if after != "nothing":
            connection.sendall(reply(b"", length=1000))
        if after == "body":
            connection.sendall(b"x" * 100)
        reached.set()
        time.sleep(20)

    cancel, errors, ended = CancelSignal(), [], []
    with serving(behave) as url:

        def ask() -> None:
            try:
                Connection(url).request("GET", "/", cancel=cancel)
            except ServerError as error:
                errors.append(error.kind)
            ended.append(time.monotonic())

        thread = threading.Thread(target=ask)
        thread.start()
        assert reached.wait(5)
        time.sleep(0.05)
        begin = time.monotonic()
        cancel.cancel()
        thread.join(5)
    assert errors == ["cancelled"]
    assert ended[0] - begin < 0.5


def test_cancel_ends_an_upload_that_the_server_does_not_take() -> None:
    cancel, errors = CancelSignal(), []
    with serving(lambda connection: (read_head(connection), time.sleep(20))) as url:

        def ask() -> None:
            try:
                files = {"file": ("image.png", b"0" * 50_000_000)}
                Connection(url).request("PUT", "/", files=files, cancel=cancel)
            except ServerError as error:
                errors.append(error.kind)

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.5)
        cancel.cancel()
        thread.join(5)
    assert not thread.is_alive()
    assert errors == ["cancelled"]


def test_nothing_is_asked_once_it_was_cancelled() -> None:
    cancel = CancelSignal()
    cancel.cancel()
    with pytest.raises(ServerError) as caught:
        Connection("http://127.0.0.1:9").request("GET", "/", cancel=cancel)
    assert caught.value.kind == "cancelled"


def test_files_are_streamed_as_a_form(tmp_path: Path) -> None:
    bodies = []

    def behave(connection: socket.socket) -> None:
        bodies.append(read_all(connection))
        connection.sendall(reply(b"{}"))

    radiograph = tmp_path / 'the "image" ü.png'
    radiograph.write_bytes(bytes(range(256)) * 3000)
    seen: list[tuple[int, int | None]] = []
    with serving(behave) as url:
        Connection(url).request(
            "PUT",
            "/datastore/image",
            form={"params": '{"a": "ü"}'},
            files={"file": (radiograph.name, radiograph)},
            on_progress=lambda done, total: seen.append((done, total)),
        )
    head, body = bodies[0]
    edge = head.partition(b"boundary=")[2].partition(b"\r\n")[0]
    parts = body.split(b"--" + edge)
    assert parts[-1] == b"--\r\n"
    assert 'name="params"\r\n\r\n{"a": "ü"}\r\n'.encode() in parts[1]
    assert 'name="file"; filename="the %22image%22 ü.png"'.encode() in parts[2]
    assert parts[2].endswith(b"\r\n\r\n" + radiograph.read_bytes() + b"\r\n")
    assert seen[-1] == (len(body), len(body))


def test_a_form_with_files_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    import tracemalloc

    radiograph, size = tmp_path / "image.dcm", 60_000_000
    with radiograph.open("wb") as file:
        file.truncate(size)

    def behave(connection: socket.socket) -> None:
        read_head(connection)
        left = size
        while left > 0:
            left -= len(connection.recv(1 << 18))
        connection.sendall(reply(b"{}"))

    with serving(behave) as url:
        tracemalloc.start()
        Connection(url).request("PUT", "/", files={"file": (radiograph.name, radiograph)})
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 5_000_000


def test_an_answer_that_comes_before_the_end_of_the_upload_is_read() -> None:
    """A server that asks for a login does not read an image first."""

    def behave(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(reply(b'{"detail": "this server wants a token"}', "401 Unauthorized"))
        time.sleep(3)

    error = failure(behave, read_timeout_s=1.0, files={"file": ("image.png", b"0" * 30_000_000)})
    assert error.kind == "login"
    assert error.detail == "this server wants a token"


def test_a_file_that_is_gone_is_no_error_of_the_server(tmp_path: Path) -> None:
    with serving(answering(reply(b"{}"))) as url, pytest.raises(FileNotFoundError):
        Connection(url).request("PUT", "/", files={"file": ("gone.png", tmp_path / "gone.png")})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that nobody signed, with its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    pem, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(pem, kind, serialization.NoEncryption()) + signed.public_bytes(pem))
    return path


def _tls(certificate: Path, behave: Behave) -> Behave:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def secured(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            behave(tls)

    return secured


def test_https_with_a_certificate_that_is_trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    bodies = []

    def behave(connection: socket.socket) -> None:
        bodies.append(read_all(connection)[1])
        connection.sendall(reply(b"[1]"))

    with serving(_tls(certificate, behave)) as url:
        secure = Connection(url.replace("http:", "https:"))
        assert secure.request("PUT", "/", files={"file": ("a.png", b"0" * 2_000_000)}).body == b"[1]"
    assert len(bodies[0]) > 2_000_000


def test_https_can_be_cancelled(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    reached, cancel, errors = threading.Event(), CancelSignal(), []

    def behave(connection: socket.socket) -> None:
        read_head(connection)
        reached.set()
        time.sleep(20)

    with serving(_tls(certificate, behave)) as url:

        def ask() -> None:
            try:
                Connection(url.replace("http:", "https:")).request("GET", "/", cancel=cancel)
            except ServerError as error:
                errors.append(error.kind)

        thread = threading.Thread(target=ask)
        thread.start()
        assert reached.wait(5)
        time.sleep(0.05)
        cancel.cancel()
        thread.join(3)
    assert errors == ["cancelled"]


def test_https_with_a_certificate_that_nobody_signed(certificate: Path) -> None:
    with serving(_tls(certificate, answering(reply(b"")))) as url, pytest.raises(ServerError) as caught:
        Connection(url.replace("http:", "https:")).request("GET", "/")
    assert caught.value.kind == "unreachable"
    assert "certificate" in caught.value.message


def test_https_where_there_is_http() -> None:
    def behave(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(reply(b"Invalid HTTP request received.", "400 Bad Request"))

    with serving(behave) as url, pytest.raises(ServerError, match="http://") as caught:
        Connection(url.replace("http:", "https:")).request("GET", "/")
    assert caught.value.kind == "address"
