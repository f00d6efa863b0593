"""A viewer on a small build, in front of a server that records what it is asked."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from lib.server.pacs.client import PacsClient
from lib.server.pacs.settings import PacsSettings
from lib.server.pacs.viewer.viewer_app import viewer_app

METHODS = ["GET", "POST", "PUT", "DELETE"]


@contextlib.contextmanager
def served(application: Any) -> Iterator[str]:
    """Serve an application on a free port of this machine; yields its address."""
    server = uvicorn.Server(uvicorn.Config(application, "127.0.0.1", 0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield "http://{}:{}".format(*server.servers[0].sockets[0].getsockname())
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)


@dataclass
class Archive:
    """What the server before the viewer was asked, and what it answers.

    Attributes:
        url: of its DICOMweb service.
        asked: method, raw path with query, headers and body of each request.
        status: of all answers.
        release: lets the second part of the answer to ``/studies/slow`` follow.
    """

    url: str = ""
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    status: int = 200
    release: threading.Event = field(default_factory=threading.Event)

    async def answer(self, request: Request) -> Response:
        """Record a request and answer it."""
        raw = request.scope["raw_path"].decode() + (f"?{request.url.query}" if request.url.query else "")
        self.asked.append((request.method, raw, dict(request.headers), await request.body()))
        if self.status != 200:
            return Response("<b>inside</b>", self.status, {"WWW-Authenticate": "Basic"})
        if request.url.path.endswith("/slow"):
            return StreamingResponse(self._slow(), media_type="application/octet-stream")
        if request.url.path.endswith("/cut"):
            return StreamingResponse(self._cut(), media_type="application/octet-stream")
        bulk = {"BulkDataURI": f"{self.url}/studies/1.2/bulk/1", "other": "http://elsewhere.example/rs/1"}
        return JSONResponse([bulk] * 1_000, media_type="application/dicom+json")

    async def _slow(self) -> AsyncIterator[bytes]:
        yield b"first"
        await run_in_threadpool(self.release.wait, 20)
        yield b"second"

    async def _cut(self) -> AsyncIterator[bytes]:
        yield b"first"
        raise OSError("the archive ends")


@pytest.fixture
def archive() -> Iterator[Archive]:
    """A server below ``/rs``."""
    server = Archive()
    with served(Starlette(routes=[Route("/{path:path}", server.answer, methods=METHODS)])) as address:
        server.url = f"{address}/rs"
        yield server


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A folder like a build of OHIF, beside a file that must not be served."""
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><script>window.PUBLIC_URL='/'</script>the viewer")
    (folder / "app.bundle.js").write_text("bundle")
    (folder / "app-config.js").write_text("demo.example")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    return folder


@dataclass
class Viewer:
    """A viewer that runs.

    Attributes:
        url: its address.
    """

    url: str

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case, and body of the answer to a request that no client has tidied."""
        with contextlib.closing(self.connection()) as connection:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, names)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    def connection(self) -> http.client.HTTPConnection:
        """A connection to it."""
        return http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)


@pytest.fixture
def viewer(archive: Archive, build: Path, tmp_path: Path) -> Iterator[Viewer]:
    """The viewer of the server."""
    client = PacsClient(PacsSettings(archive.url, tmp_path, "ada", "pass:word"))
    with contextlib.closing(client), served(viewer_app(build, client, archive.url, None)) as address:
        yield Viewer(address)
