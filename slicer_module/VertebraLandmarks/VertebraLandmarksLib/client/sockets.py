"""Sockets to a server: its URL, connecting within a timeout, and cancellation from another thread."""

from __future__ import annotations

import contextlib
import errno
import queue
import selectors
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Callable, Optional

from .errors import ADDRESS, CANCELLED, TIMEOUT, UNREACHABLE, ServerError

_EXAMPLE = "Write it like http://127.0.0.1:8000."


@dataclass(frozen=True)
class ServerUrl:
    """Where a server is.

    Attributes:
        is_tls: https rather than http.
        host: name or IP address, without brackets.
        port: number.
        path: what stands before every route, "" or beginning with a slash.
    """

    is_tls: bool
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str) -> ServerUrl:
        """Read an address; without a scheme it is http, without a port the scheme's own.

        Raises:
            ServerError: ADDRESS, it is none.
        """
        written = text.strip()
        if not written:
            raise ServerError(ADDRESS, f"Enter the address of the server. {_EXAMPLE}")
        if "://" not in written:
            written = f"http://{written}"
        try:
            parts = urllib.parse.urlsplit(written)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise ServerError(ADDRESS, f"“{text.strip():.80}” is no address. {_EXAMPLE}", str(error)) from error
        if parts.scheme not in ("http", "https"):
            sentence = f"The address must begin with http:// or https://, not {parts.scheme:.20}://. {_EXAMPLE}"
            raise ServerError(ADDRESS, sentence)
        is_plain = written.isprintable() and not any(c.isspace() for c in written)
        if not host or not is_plain or parts.query or parts.fragment or parts.username is not None or port == 0:
            raise ServerError(ADDRESS, f"“{text.strip():.80}” is no address of a server. {_EXAMPLE}")
        try:
            host = host if host.isascii() else host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise ServerError(ADDRESS, f"“{host:.80}” is no name of a computer. {_EXAMPLE}") from error
        is_tls = parts.scheme == "https"
        path = urllib.parse.quote(parts.path.rstrip("/"), safe="/%")
        return cls(is_tls, host, port or (443 if is_tls else 80), path)

    @property
    def shown(self) -> str:
        """Host and port as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"

    def __str__(self) -> str:
        """The same for however it was written, to tell servers apart."""
        return f"{'https' if self.is_tls else 'http'}://{self.shown}{self.path}"


class CancelSignal:
    """Set once; whoever works looks at it, or has something closed by it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._closers: list[Callable[[], object]] = []

    def cancel(self) -> None:
        """Set the signal and run what ``closes`` was given, on this thread."""
        with self._lock:
            self._is_set = True
            closers, self._closers = self._closers, []
        for close in closers:
            close()

    def is_set(self) -> bool:
        """Whether it was cancelled."""
        return self._is_set

    def check(self) -> None:
        """Go on only if nobody cancelled.

        Raises:
            ServerError: CANCELLED.
        """
        if self._is_set:
            raise ServerError(CANCELLED, "Cancelled.")

    @contextlib.contextmanager
    def closes(self, close: Callable[[], object]) -> Iterator[None]:
        """Have ``close`` called, from the thread that cancels, if that happens within the block.

        Raises:
            ServerError: CANCELLED, it happened before.
        """
        with self._lock:
            if not self._is_set:
                self._closers.append(close)
        self.check()
        try:
            yield
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._closers.remove(close)


_SLICE_S = 0.05
"""How long a wait goes on before it is looked whether somebody cancelled."""
_STARTED = (0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0))


def open_socket(
    address: ServerUrl, connect_timeout_s: float, read_timeout_s: float, cancel: CancelSignal
) -> socket.socket:
    """A socket that is connected, with TLS where the address says so.

    Args:
        address: of the server.
        connect_timeout_s: longest time to find the computer and to be answered by it, for each.
        read_timeout_s: time-out of the socket from then on.
        cancel: ends the wait.

    Raises:
        ServerError: UNREACHABLE, ADDRESS or CANCELLED.
    """
    failure: Optional[OSError] = None
    for family, kind, protocol, _, place in _places(address, connect_timeout_s, cancel):
        plain = socket.socket(family, kind, protocol)
        try:
            _connect(plain, place, connect_timeout_s, cancel)
            plain.settimeout(read_timeout_s)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return _secured(plain, address, cancel) if address.is_tls else plain
        except OSError as error:
            plain.close()
            cancel.check()
            failure = error
        except ServerError:
            plain.close()
            cancel.check()
            raise
    raise _unreachable(address, failure)


def close_socket(open_socket: socket.socket) -> None:
    """End whatever waits for the socket, on any thread, at once."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(open_socket, socket.SHUT_RDWR)  # closing alone wakes nobody; TLS must not say goodbye


def _places(address: ServerUrl, connect_timeout_s: float, cancel: CancelSignal) -> list[Any]:
    """What the name stands for; the system's own question for that can take long and cannot be ended."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM))
        except OSError as error:
            answers.put(error)

    threading.Thread(target=ask, name="vertebra-landmarks-name", daemon=True).start()
    end = time.monotonic() + connect_timeout_s
    while time.monotonic() < end:
        cancel.check()
        with contextlib.suppress(queue.Empty):
            answer = answers.get(timeout=_SLICE_S)
            if isinstance(answer, OSError):
                break
            return list(answer)
    sentence = f"There is no computer “{address.host:.80}” on the network. Check the server's address and the network."
    raise ServerError(UNREACHABLE, sentence)


def _connect(plain: socket.socket, place: Any, connect_timeout_s: float, cancel: CancelSignal) -> None:
    """Raises OSError where nobody answers in time."""
    plain.setblocking(False)
    state = plain.connect_ex(place)
    if state not in _STARTED:
        raise OSError(state, "the connection was refused")
    end = time.monotonic() + connect_timeout_s
    with selectors.DefaultSelector() as selector:
        selector.register(plain, selectors.EVENT_WRITE)
        while not selector.select(_SLICE_S):
            cancel.check()
            if time.monotonic() > end:
                raise socket.timeout("no answer")
    state = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if state:
        raise OSError(state, "the connection was refused")


def _secured(plain: socket.socket, address: ServerUrl, cancel: CancelSignal) -> socket.socket:
    context = ssl.create_default_context()
    try:
        with contextlib.ExitStack() as stack:
            secured = context.wrap_socket(plain, server_hostname=address.host, do_handshake_on_connect=False)
            stack.callback(secured.close)
            with cancel.closes(lambda: close_socket(secured)):
                secured.do_handshake()
            stack.pop_all()
            return secured
    except ssl.SSLCertVerificationError as error:
        sentence = (
            f"The certificate of {address.shown} is not trusted on this computer. Ask whoever runs the server which "
            "address is the right one, or to have the certificate installed here."
        )
        raise ServerError(UNREACHABLE, sentence, str(error)) from error
    except ssl.SSLError as error:
        sentence = f"{address.shown} does not answer with https. Try the address with http:// in front."
        raise ServerError(ADDRESS, sentence, str(error)) from error
    except socket.timeout as error:
        raise ServerError(TIMEOUT, f"{address.shown} does not answer with https in time. Try again.") from error


def _unreachable(address: ServerUrl, failure: Optional[OSError]) -> ServerError:
    if isinstance(failure, socket.timeout):
        sentence = (
            f"{address.shown} does not answer. Check the address and the network, and that no firewall is in between."
        )
    else:
        sentence = f"No server answers at {address.shown}. Check the address and that the server is running."
    return ServerError(UNREACHABLE, sentence, str(failure or ""))
