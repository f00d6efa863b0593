"""Ports for servers of tests and commands on this machine."""

from __future__ import annotations

import socket
import sys

_reserved: list[socket.socket] = []


def free_port() -> int:
    """A port of the loopback address that nothing uses, and that no other process is given before this one ends.

    On Linux a socket stays bound to it without listening: a server that sets SO_REUSEADDR, as all do here, can
    listen beside it, while neither another probe nor a connection gets the port. Elsewhere it may be taken meanwhile.
    """
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    port = int(probe.getsockname()[1])
    if sys.platform == "linux":
        _reserved.append(probe)
    else:
        probe.close()
    return port
