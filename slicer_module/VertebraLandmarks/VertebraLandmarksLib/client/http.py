"""HTTP requests to one server, with timeouts, progress and cancellation."""

from __future__ import annotations

import contextlib
import http.client
import json as json_text
import selectors
import socket
import ssl
import urllib.parse
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from .errors import BAD_RESPONSE, CUT_SHORT, LOGIN, TIMEOUT, ServerError, error_of_status
from .multipart import Bytes, Form, Part
from .sockets import CancelSignal, ServerUrl, close_socket, open_socket

OnProgress = Callable[[int, Optional[int]], object]
Body = Union[Bytes, Form]

MAX_RESPONSE_BYTES = 500_000_000
"""After decompression; a radiograph of 100 million pixels has 200 million bytes."""
_CHUNK_BYTES = 1 << 17


@dataclass(frozen=True)
class Response:
    """A successful response.

    Attributes:
        status: 200 to 299.
        headers: by name in lower case.
        body: decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """HTTP client of one server; thread-safe, one socket per request.

    Args:
        url: of the server.
        token: bearer token, "" for a server without login.
        connect_timeout_s: until the server accepts a connection.
        read_timeout_s: without a byte in either direction.

    Raises:
        ServerError: ADDRESS or LOGIN, URL or token is malformed.

    Attributes:
        url: of the server.
        user: who works, as entered, "" for nobody; sent with every request, and ignored by servers with a login.
    """

    def __init__(self, url: str, token: str = "", connect_timeout_s: float = 5.0, read_timeout_s: float = 30.0) -> None:
        self.url = ServerUrl.parse(url)
        self.user = ""
        self._token, self._connect_timeout_s, self._read_timeout_s = token.strip(), connect_timeout_s, read_timeout_s
        if not (self._token.isascii() and self._token.isprintable()) or " " in self._token:
            raise ServerError(LOGIN, "The token must be one word of ASCII characters without spaces. Copy it again.")

    def request(
        self,
        method: str,
        path: str,
        query: Optional[Mapping[str, str]] = None,
        form: Optional[Mapping[str, str]] = None,
        files: Optional[Mapping[str, tuple[str, Part]]] = None,
        json: Any = None,
        cancel: Optional[CancelSignal] = None,
        on_progress: Optional[OnProgress] = None,
    ) -> Response:
        """Send a request and read the whole response.

        Args:
            method: such as GET.
            path: of the route, with a leading slash.
            query: query parameters.
            form: text fields of a multipart form.
            files: files of a multipart form: file name and content or path, by field.
            json: JSON body in place of a form.
            cancel: aborts the request from another thread.
            on_progress: called on this thread with bytes done and in total (``None`` if unknown): of the upload where
                files are sent, else of the download.

        Raises:
            ServerError: no response, or its status is 300 or above.
            OSError: a file cannot be read.
        """
        cancel = cancel or CancelSignal()
        body = _body(form, files, json)
        target = f"{self.url.path}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        with self._translated_errors(cancel):
            sock = open_socket(self.url, self._connect_timeout_s, self._read_timeout_s, cancel)
        with contextlib.closing(sock), cancel.closes(lambda: close_socket(sock)):
            connection = http.client.HTTPConnection(self.url.host, self.url.port)
            connection.sock = sock
            with self._translated_errors(cancel):
                self._send_head(connection, method, target, body)
            self._send_body(sock, body, cancel, on_progress if files else None)
            with self._translated_errors(cancel), contextlib.closing(connection.getresponse()) as response:
                content = _read(response, None if files else on_progress)
            cancel.check()
        if response.status >= 300:
            raise error_of_status(response.status, _detail(content))
        return Response(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def _send_head(
        self, connection: http.client.HTTPConnection, method: str, target: str, body: Optional[Body]
    ) -> None:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", self.url.netloc)
        connection.putheader("Connection", "close")
        connection.putheader("Accept-Encoding", "gzip")
        if self._token:
            connection.putheader("Authorization", f"Bearer {self._token}")
        if self.user:
            connection.putheader("X-User", urllib.parse.quote(self.user, safe=""))
        if body is not None:
            connection.putheader("Content-Type", body.content_type)
            connection.putheader("Content-Length", str(body.length))
        elif method in ("POST", "PUT"):
            connection.putheader("Content-Length", "0")
        connection.endheaders()

    def _send_body(
        self, sock: socket.socket, body: Optional[Body], cancel: CancelSignal, on_progress: Optional[OnProgress]
    ) -> None:
        """Send the body, or stop where the server responds without waiting for the rest."""
        done = 0
        for chunk in body.chunks() if body is not None else ():
            with self._translated_errors(cancel):
                try:
                    if not self._send(sock, chunk):
                        return
                except ConnectionError:
                    return  # a response sent before the server closed the connection is read next
            cancel.check()
            done += len(chunk)
            if on_progress is not None and body is not None:
                on_progress(done, body.length)

    def _send(self, sock: socket.socket, chunk: bytes) -> bool:
        """Send a chunk; returns whether the server wants more, which cannot be seen through TLS."""
        if isinstance(sock, ssl.SSLSocket):
            sock.sendall(chunk)
            return True
        left = memoryview(chunk)
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
            while left:
                events = selector.select(self._read_timeout_s)
                if not events:
                    raise socket.timeout("the server stopped reading")
                if events[0][1] & selectors.EVENT_READ:
                    return False
                left = left[sock.send(left) :]
        return True

    @contextlib.contextmanager
    def _translated_errors(self, cancel: CancelSignal) -> Iterator[None]:
        """Translate errors of the network into ``ServerError``."""
        try:
            yield
        except (OSError, EOFError, http.client.HTTPException, ValueError, zlib.error) as error:
            cancel.check()
            raise self._translate(error) from error

    def _translate(self, error: Exception) -> ServerError:
        if isinstance(error, socket.timeout):
            sentence = (
                f"The server has not responded for {self._read_timeout_s:g} seconds and may be overloaded. Try again."
            )
            return ServerError(TIMEOUT, sentence, str(error))
        is_end = isinstance(error, (ConnectionError, http.client.IncompleteRead, ssl.SSLError, EOFError, zlib.error))
        if is_end or isinstance(error, OSError):
            sentence = "The connection was lost during the response. Check that the server is running, then try again."
            return ServerError(CUT_SHORT, sentence, repr(error))
        sentence = f"{self.url.netloc} does not speak HTTP. Check the server's address."
        return ServerError(BAD_RESPONSE, sentence, repr(error))


def _body(
    form: Optional[Mapping[str, str]], files: Optional[Mapping[str, tuple[str, Part]]], json: Any
) -> Optional[Body]:
    if form is not None or files is not None:
        return Form(form or {}, files or {})
    return None if json is None else Bytes(json_text.dumps(json, allow_nan=False).encode(), "application/json")


def _read(response: http.client.HTTPResponse, on_progress: Optional[OnProgress]) -> bytes:
    """The whole body, decompressed.

    Raises:
        EOFError: it is truncated.
        ServerError: BAD_RESPONSE, it is too large.
        zlib.error: it is corrupt.
    """
    total = response.length  # announced; counts down while the body is read
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if response.getheader("Content-Encoding", "") == "gzip" else None
    content, done = bytearray(), 0
    while True:
        chunk = response.read1(_CHUNK_BYTES)
        if not chunk:
            break
        done += len(chunk)
        content += chunk if unpack is None else unpack.decompress(chunk, MAX_RESPONSE_BYTES + 1 - len(content))
        if len(content) > MAX_RESPONSE_BYTES:
            raise ServerError(BAD_RESPONSE, f"The response is larger than {MAX_RESPONSE_BYTES // 1_000_000} MB.")
        if on_progress is not None:
            on_progress(done, total)
    if (total is not None and done < total) or (unpack is not None and done and not unpack.eof):
        raise EOFError(f"{done} bytes received")
    return bytes(content)


def _detail(body: bytes) -> str:
    """The ``detail`` of an error response; "" without one."""
    try:
        content = json_text.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return ""
    detail = content.get("detail") if isinstance(content, dict) else None
    return detail[:500] if isinstance(detail, str) else ""
