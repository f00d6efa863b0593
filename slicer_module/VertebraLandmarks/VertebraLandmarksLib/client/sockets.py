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
    """URL of a server.

    Attributes:
        is_tls: https rather than http.
        host: name or IP address, without brackets.
        port: TCP port.
        path: prefix of every route, "" or with a leading slash.
    """

    is_tls: bool
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str) -> ServerUrl:
        """Parse what the user typed; the scheme defaults to http, the port to that of the scheme.

        Raises:
            ServerError: ADDRESS, it is not a URL of a server.
        """
        url = text.strip()
        if not url:
            raise ServerError(ADDRESS, f"Enter the address of the server. {_EXAMPLE}")
        if "://" not in url:
            url = f"http://{url}"
        try:
            parts = urllib.parse.urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise ServerError(ADDRESS, f"“{text.strip():.80}” is not a URL. {_EXAMPLE}", str(error)) from error
        if parts.scheme not in ("http", "https"):
            sentence = f"The address must begin with http:// or https://, not {parts.scheme:.20}://. {_EXAMPLE}"
            raise ServerError(ADDRESS, sentence)
        is_plain = url.isprintable() and not any(c.isspace() for c in url)
        if not host or not is_plain or parts.query or parts.fragment or parts.username is not None or port == 0:
            raise ServerError(ADDRESS, f"“{text.strip():.80}” is not the address of a server. {_EXAMPLE}")
        try:
            host = host if host.isascii() else host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise ServerError(ADDRESS, f"“{host:.80}” is not a host name. {_EXAMPLE}") from error
        is_tls = parts.scheme == "https"
        path = urllib.parse.quote(parts.path.rstrip("/"), safe="/%")
        return cls(is_tls, host, port or (443 if is_tls else 80), path)

    @property
    def netloc(self) -> str:
        """Host and port, as in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"

    def __str__(self) -> str:
        """Normalized URL; equal for the same server."""
        return f"{'https' if self.is_tls else 'http'}://{self.netloc}{self.path}"


class CancelSignal:
    """Cancellation shared between threads: checked by the work, or closes what the work waits for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._closers: list[Callable[[], object]] = []

    def cancel(self) -> None:
        """Set the signal and call what ``closes`` registered, on this thread."""
        with self._lock:
            self._is_set = True
            closers, self._closers = self._closers, []
        for close in closers:
            close()

    def is_set(self) -> bool:
        """Whether ``cancel`` was called."""
        return self._is_set

    def check(self) -> None:
        """Raise if cancelled.

        Raises:
            ServerError: CANCELLED.
        """
        if self._is_set:
            raise ServerError(CANCELLED, "Cancelled.")

    @contextlib.contextmanager
    def closes(self, close: Callable[[], object]) -> Iterator[None]:
        """Call ``close`` from the cancelling thread if that happens within the block.

        Raises:
            ServerError: CANCELLED, it happened before the block.
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


_POLL_INTERVAL_S = 0.05
"""Between checks for cancellation."""
_CONNECT_STARTED = (0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0))


def open_socket(url: ServerUrl, connect_timeout_s: float, read_timeout_s: float, cancel: CancelSignal) -> socket.socket:
    """Open a connected socket, with TLS for https.

    Args:
        url: of the server.
        connect_timeout_s: for name resolution and for each address tried.
        read_timeout_s: timeout of the socket from then on.
        cancel: aborts the wait.

    Raises:
        ServerError: UNREACHABLE, ADDRESS or CANCELLED.
    """
    failure: Optional[OSError] = None
    for family, kind, protocol, _, socket_address in _resolve(url, connect_timeout_s, cancel):
        plain = socket.socket(family, kind, protocol)
        try:
            _connect(plain, socket_address, connect_timeout_s, cancel)
            plain.settimeout(read_timeout_s)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return _wrap_tls(plain, url, cancel) if url.is_tls else plain
        except OSError as error:
            plain.close()
            cancel.check()
            failure = error
        except ServerError:
            plain.close()
            cancel.check()
            raise
    raise _unreachable(url, failure)


def close_socket(sock: socket.socket) -> None:
    """Shut a socket down, so that every thread waiting for it returns."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # close() wakes no reader; TLS would first send close_notify


def _resolve(url: ServerUrl, connect_timeout_s: float, cancel: CancelSignal) -> list[Any]:
    """``getaddrinfo`` on a thread of its own, as it can block for long and cannot be cancelled."""
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            results.put(socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM))
        except OSError as error:
            results.put(error)

    threading.Thread(target=resolve, name="vertebra-landmarks-name", daemon=True).start()
    end = time.monotonic() + connect_timeout_s
    while time.monotonic() < end:
        cancel.check()
        with contextlib.suppress(queue.Empty):
            result = results.get(timeout=_POLL_INTERVAL_S)
            if isinstance(result, OSError):
                break
            return list(result)
    sentence = f"The host “{url.host:.80}” was not found. Check the server's address and the network."
    raise ServerError(UNREACHABLE, sentence)


def _connect(plain: socket.socket, socket_address: Any, connect_timeout_s: float, cancel: CancelSignal) -> None:
    """Connect; OSError where the host refuses or does not respond in time."""
    plain.setblocking(False)
    state = plain.connect_ex(socket_address)
    if state not in _CONNECT_STARTED:
        raise OSError(state, "the connection was refused")
    end = time.monotonic() + connect_timeout_s
    with selectors.DefaultSelector() as selector:
        selector.register(plain, selectors.EVENT_WRITE)
        while not selector.select(_POLL_INTERVAL_S):
            cancel.check()
            if time.monotonic() > end:
                raise socket.timeout("no response")
    state = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if state:
        raise OSError(state, "the connection was refused")


def _wrap_tls(plain: socket.socket, url: ServerUrl, cancel: CancelSignal) -> socket.socket:
    context = ssl.create_default_context()
    try:
        with contextlib.ExitStack() as stack:
            secured = context.wrap_socket(plain, server_hostname=url.host, do_handshake_on_connect=False)
            stack.callback(secured.close)
            with cancel.closes(lambda: close_socket(secured)):
                secured.do_handshake()
            stack.pop_all()
            return secured
    except ssl.SSLCertVerificationError as error:
        sentence = (
            f"The certificate of {url.netloc} is not trusted on this computer. Ask the server's administrator which "
            "address is the right one, or to have its certificate installed here."
        )
        raise ServerError(UNREACHABLE, sentence, str(error)) from error
    except ssl.SSLError as error:
        sentence = f"{url.netloc} does not answer with https. Try the address with http:// in front."
        raise ServerError(ADDRESS, sentence, str(error)) from error
    except socket.timeout as error:
        raise ServerError(TIMEOUT, f"{url.netloc} did not complete the TLS handshake in time. Try again.") from error


def _unreachable(url: ServerUrl, failure: Optional[OSError]) -> ServerError:
    if isinstance(failure, socket.timeout):
        sentence = f"{url.netloc} does not respond. Check the address, the network and any firewall in between."
    else:
        sentence = f"No server answers at {url.netloc}. Check the address and that the server is running."
    return ServerError(UNREACHABLE, sentence, str(failure or ""))
