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
"""Bytes, after decompression; a film of 100 million pixels has 200 million."""
_PIECE = 1 << 17


@dataclass(frozen=True)
class Response:
    """An answer.

    Attributes:
        status: 200 to 299.
        headers: by name in lower case.
        body: decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """A server, asked once per socket, from any thread.

    Args:
        url: its address.
        token: of the user, "" where the server has no login.
        connect_timeout_s: longest time until it accepts a connection.
        read_timeout_s: longest time without a byte in either direction.

    Raises:
        ServerError: ADDRESS or LOGIN, address or token cannot be one.
    """

    def __init__(self, url: str, token: str = "", connect_timeout_s: float = 5.0, read_timeout_s: float = 30.0) -> None:
        self.address = ServerUrl.parse(url)
        self._token, self._connect_s, self._silence_s = token.strip(), connect_timeout_s, read_timeout_s
        if not (self._token.isascii() and self._token.isprintable()) or " " in self._token:
            raise ServerError(LOGIN, "The token must be one word of letters, digits and signs. Copy it again.")

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
        """Ask, and read the whole answer.

        Args:
            method: such as GET.
            path: of the route, with a slash in front.
            query: what stands behind the question mark.
            form: texts of a form.
            files: files of a form: by field, the file's name and its content or path.
            json: content of the body instead of a form.
            cancel: ends it from another thread.
            on_progress: called on this thread with bytes that are done and in all, ``None`` where that is not known:
                those of the files where some are sent, else those of the answer.

        Raises:
            ServerError: there is no answer, or its status is 300 or above.
            OSError: a file cannot be read.
        """
        cancel = cancel or CancelSignal()
        body = _body(form, files, json)
        target = f"{self.address.path}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        with self._telling(cancel):
            sock = open_socket(self.address, self._connect_s, self._silence_s, cancel)
        with contextlib.closing(sock), cancel.closes(lambda: close_socket(sock)):
            connection = http.client.HTTPConnection(self.address.host, self.address.port)
            connection.sock = sock
            with self._telling(cancel):
                self._send_head(connection, method, target, body)
            self._send_body(sock, body, cancel, on_progress if files else None)
            with self._telling(cancel), contextlib.closing(connection.getresponse()) as answer:
                content = _read(answer, None if files else on_progress)
            cancel.check()
        if answer.status >= 300:
            raise error_of_status(answer.status, _detail(content))
        return Response(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)

    def _send_head(
        self, connection: http.client.HTTPConnection, method: str, target: str, body: Optional[Body]
    ) -> None:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", self.address.shown)
        connection.putheader("Connection", "close")
        connection.putheader("Accept-Encoding", "gzip")
        if self._token:
            connection.putheader("Authorization", f"Bearer {self._token}")
        if body is not None:
            connection.putheader("Content-Type", body.content_type)
            connection.putheader("Content-Length", str(body.length))
        elif method in ("POST", "PUT"):
            connection.putheader("Content-Length", "0")
        connection.endheaders()

    def _send_body(
        self, sock: socket.socket, body: Optional[Body], cancel: CancelSignal, on_progress: Optional[OnProgress]
    ) -> None:
        """Send until all is sent, or the server has answered without waiting for the rest."""
        done = 0
        for piece in body.pieces() if body is not None else ():
            with self._telling(cancel):
                try:
                    if not self._send(sock, piece):
                        return
                except ConnectionError:
                    return  # what it said before it hung up, if anything, is read now
            cancel.check()
            done += len(piece)
            if on_progress is not None and body is not None:
                on_progress(done, body.length)

    def _send(self, sock: socket.socket, piece: bytes) -> bool:
        """Send a piece; returns whether the server wants more, which with TLS cannot be seen."""
        if isinstance(sock, ssl.SSLSocket):
            sock.sendall(piece)
            return True
        left = memoryview(piece)
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
            while left:
                events = selector.select(self._silence_s)
                if not events:
                    raise socket.timeout("the server takes no more")
                if events[0][1] & selectors.EVENT_READ:
                    return False
                left = left[sock.send(left) :]
        return True

    @contextlib.contextmanager
    def _telling(self, cancel: CancelSignal) -> Iterator[None]:
        """Have whatever goes wrong on the network say what that means."""
        try:
            yield
        except (OSError, EOFError, http.client.HTTPException, ValueError, zlib.error) as error:
            cancel.check()
            raise self._meaning(error) from error

    def _meaning(self, error: Exception) -> ServerError:
        if isinstance(error, socket.timeout):
            sentence = f"The server has been silent for {self._silence_s:g} seconds. It may be overloaded; try again."
            return ServerError(TIMEOUT, sentence, str(error))
        is_end = isinstance(error, (ConnectionError, http.client.IncompleteRead, ssl.SSLError, EOFError, zlib.error))
        if is_end or isinstance(error, OSError):
            sentence = "The connection broke off before the answer was complete. Check that the server runs; try again."
            return ServerError(CUT_SHORT, sentence, repr(error))
        sentence = f"At {self.address.shown} is no web server, or one of another kind. Check the server's address."
        return ServerError(BAD_RESPONSE, sentence, repr(error))


def _body(
    form: Optional[Mapping[str, str]], files: Optional[Mapping[str, tuple[str, Part]]], json: Any
) -> Optional[Body]:
    if form is not None or files is not None:
        return Form(form or {}, files or {})
    return None if json is None else Bytes(json_text.dumps(json, allow_nan=False).encode(), "application/json")


def _read(answer: http.client.HTTPResponse, on_progress: Optional[OnProgress]) -> bytes:
    """The whole body, decompressed.

    Raises:
        EOFError: it ends too early.
        ServerError: BAD_RESPONSE, it is too large.
        zlib.error: it is damaged.
    """
    total = answer.length  # what is announced; it counts down while the body is read
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if answer.getheader("Content-Encoding", "") == "gzip" else None
    content, done = bytearray(), 0
    while True:
        piece = answer.read1(_PIECE)
        if not piece:
            break
        done += len(piece)
        content += piece if unpack is None else unpack.decompress(piece, MAX_RESPONSE_BYTES + 1 - len(content))
        if len(content) > MAX_RESPONSE_BYTES:
            raise ServerError(BAD_RESPONSE, f"The answer is larger than {MAX_RESPONSE_BYTES // 1_000_000} MB.")
        if on_progress is not None:
            on_progress(done, total)
    if (total is not None and done < total) or (unpack is not None and done and not unpack.eof):
        raise EOFError(f"{done} bytes came")
    return bytes(content)


def _detail(body: bytes) -> str:
    """The sentence of an answer that is an error; "" where it has none."""
    try:
        content = json_text.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return ""
    detail = content.get("detail") if isinstance(content, dict) else None
    return detail[:500] if isinstance(detail, str) else ""
