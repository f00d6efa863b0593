"""A proxy in front of a PACS that fails as it is told."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

from harness.ports import free_port

GATE_TIMEOUT_S = 60
HOP_BY_HOP = ("connection", "transfer-encoding", "content-length", "keep-alive")


class FaultProxy:
    """Hands requests on, unless a fault is set.

    Attributes:
        url: its address of the DICOMweb service.
        status: which all requests are answered with; 0 for none.
        delay_s: before each answer.
        gate: requests wait while it is not set.
        cuts: whether connections are closed in the middle of an answer.
        says: body of the answers with a status that is set.
        store_delay_s: before each answer to a request that stores.
        store_status: which requests that store are answered with; 0 for none.
        store_cut: "before" or "after" they are handed on, the connections of these requests are closed; "" for neither.
        paths: of the requests, without queries.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        self._target, self._tls = urlsplit(url), tls
        self.status, self.delay_s, self.cuts, self.says = 0, 0.0, False, b""
        self.gate = threading.Event()
        self.gate.set()
        self.store_delay_s, self.store_status, self.store_cut = 0.0, 0, ""
        self.paths: list[str] = []
        self._server: ThreadingHTTPServer | None = None
        self._port = free_port()
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._port}{self._target.path}"

    def start(self) -> None:
        """Begin to listen."""
        handler = type("Handler", (_Handler,), {"proxy": self, "target": self._target.netloc})
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._server.daemon_threads = True
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Handler(BaseHTTPRequestHandler):
    proxy: ClassVar[FaultProxy]
    target: ClassVar[str]

    def do_GET(self) -> None:
        proxy = self.proxy
        proxy.paths.append(self.path.partition("?")[0])
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        proxy.gate.wait(GATE_TIMEOUT_S)
        time.sleep(proxy.delay_s + (proxy.store_delay_s if self.command == "POST" else 0.0))
        status = proxy.status or (self.command == "POST" and proxy.store_status)
        cut = proxy.store_cut if self.command == "POST" else ""
        if cut == "before":
            self.close_connection = True
            return
        if status:
            self.send_response(status)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(proxy.says)))
            self.end_headers()
            self.wfile.write(proxy.says)
            return
        self.close_connection = True
        connection = http.client.HTTPConnection(self.target, timeout=60)
        try:
            connection.request(self.command, self.path, body, {**dict(self.headers), "Host": self.target})
            answer = connection.getresponse()
            content = answer.read()
        except OSError:  # the PACS is away, and so is this answer
            return
        if cut:
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(content[: len(content) // 2] if proxy.cuts else content)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def fault_proxy(url: str, tls: ssl.SSLContext | None = None) -> Iterator[FaultProxy]:
    """Run one for the time of the block; with ``tls``, it speaks HTTPS."""
    proxy = FaultProxy(url, tls)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
