"""A server that does with each connection what a test tells it to, over real sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

Behave = Callable[[socket.socket], object]


@contextlib.contextmanager
def serving(behave: Behave) -> Iterator[str]:
    """Serve on a free port of this machine; gives the address, and ends with the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        open_sockets: list[socket.socket] = []

        def one(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                behave(connection)

        def run() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection = listener.accept()[0]
                    open_sockets.append(connection)
                    threading.Thread(target=one, args=(connection,), daemon=True).start()

        threading.Thread(target=run, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            for connection in open_sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def read_head(connection: socket.socket) -> bytes:
    """What a client sends before its body."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(1)
        if not piece:
            break
        head += piece
    return head


def read_all(connection: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of a request whose length is announced."""
    head = read_head(connection)
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
    )
    body = bytearray()
    while len(body) < length:
        piece = connection.recv(1 << 16)
        if not piece:
            break
        body += piece
    return head, bytes(body)


def reply(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    """An answer; ``length`` is what is announced, if not the truth."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def answering(answer: bytes) -> Behave:
    """Read a request and give the same answer whatever it is."""

    def behave(connection: socket.socket) -> None:
        read_all(connection)
        connection.sendall(answer)

    return behave
