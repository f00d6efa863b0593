"""What the web application sees to when it starts."""

from __future__ import annotations

import socket

from lib.server.web.app import send_at_once


def test_answers_of_workers_that_share_a_socket_do_not_wait_for_acknowledgements() -> None:
    with socket.socket() as shared:  # as uvicorn makes it: its protocol is 0, which asyncio does not take for TCP
        assert shared.proto == 0
        shared.bind(("127.0.0.1", 0))
        shared.listen()
        send_at_once()
        with socket.create_connection(shared.getsockname()), shared.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
