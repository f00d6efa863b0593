"""A page with nothing but the image canvas, and what it should show: for the tests of the canvas."""

from __future__ import annotations

import contextlib
import io
import mimetypes
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page

PAGE = Path(__file__).resolve().parents[2] / "apps" / "vertebra_landmarks" / "browser"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; worker-src 'self'"
)
FILES = {
    "/": """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Canvas</title>
<link rel="icon" href="data:"><link rel="stylesheet" href="/page.css">
<script type="module" src="/page.js"></script></head>
<body><div id="view"></div></body></html>""",
    "/page.css": """body {margin: 0} #view {position: absolute; left: 40px; top: 20px; right: 0; bottom: 0}
.radiograph-view:focus-visible {outline: 2px solid white; outline-offset: -2px}""",
    "/page.js": """import { RadiographView } from "/browser/canvas/radiograph_view.js";
window.events = [];
window.xy = new Float64Array(170).fill(NaN);
const note = (name) => (...values) => void window.events.push([name, ...values]);
const names = ["onDragStart", "onDragEnd", "onSelect", "onHover", "onClickImage", "onWindow", "onError"];
const handlers = Object.fromEntries(names.map((name) => [name, note(name)]));
handlers.onDrag = (target, position) => {
    note("onDrag")(target, position);
    window.xy.set(position, 2 * (5 * target.vertebra + target.point));
    window.view.setPoints(window.xy);
};
try {
    window.view = new RadiographView(document.getElementById("view"), handlers);
} catch (error) {
    window.problem = error.message;
}
window.load = async (name, width, height, bits, orientation) => {
    const bytes = await (await fetch(name)).arrayBuffer();
    const data = bits === 8 ? new Uint8Array(bytes) : new Uint16Array(bytes);
    const start = performance.now();
    window.view.show({ width, height, data, orientation });
    return start;
};
window.until = async (isTrue) => {
    while (!isTrue()) await new Promise((done) => setTimeout(done, 10));
};
window.drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));""",
}
COUNT_DRAWS = """window.draws = 0;
const draw = WebGL2RenderingContext.prototype.drawArrays;
WebGL2RenderingContext.prototype.drawArrays = function (...values) { window.draws++; draw.apply(this, values); };"""
"""Counts the tiles that WebGL drew."""
CORNER = (40, 20)
"""Position of the view on the page, in CSS pixels."""


@dataclass
class Site:
    """A server of the page's files and of images.

    Attributes:
        url: its address.
        images: content of ``/images/NAME``.
    """

    url: str
    images: dict[str, bytes] = field(default_factory=dict)

    def show(self, page: Page, pixels: np.ndarray, orientation: dict[str, Any] | None = None) -> float:
        """Show an image ``(H, W)`` of 8 or 16 bit; returns when the page began to, by its own clock in ms."""
        height, width = pixels.shape
        bits = 8 * pixels.dtype.itemsize
        self.images["image"] = pixels.tobytes()
        load = "([w, h, bits, o]) => load('/images/image', w, h, bits, o)"
        start: float = page.evaluate(load, [width, height, bits, orientation])
        page.evaluate("drawn()")
        return start


@contextlib.contextmanager
def running_site() -> Iterator[Site]:
    """Serve the page until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path
            if path.startswith("/images/"):
                body, kind = site.images[path.removeprefix("/images/")], "application/octet-stream"
            elif path in FILES:
                body, kind = FILES[path].encode(), mimetypes.guess_type(path if path != "/" else "index.html")[0] or ""
            else:
                body, kind = (PAGE / path.removeprefix("/browser/")).read_bytes(), "text/javascript"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site = Site(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield site
        server.shutdown()


def screenshot(page: Page) -> np.ndarray:
    """``(H, W)`` gray values of the view on the screen, in pixels of the screen."""
    page.evaluate("drawn()")
    page.evaluate("until(() => !view._isDraft)")
    content = page.screenshot()
    ratio = int(page.evaluate("devicePixelRatio"))
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert (pixels.max(axis=2) - pixels.min(axis=2) <= 4).all(), "something colored is drawn"
    return pixels[CORNER[1] * ratio :, CORNER[0] * ratio :, 1].astype(int)


def expected(page: Page, upright: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """What the view should show of an upright image without equalization: ``shape`` gray values, NaN beside it.

    Each pixel of the screen is the mean over the area it covers, taken from the version of the image that was
    halved until its pixels are at least half as large as those of the screen.
    """
    low, high = page.evaluate("[view.window.low, view.window.high]")
    (left, top), scale = page.evaluate("[view._transform.left, view._transform.top]"), page.evaluate("view.scale")
    height, width = upright.shape
    footprint, shrink, level = 1 / scale, 1, upright.astype(float)
    while footprint / shrink >= 2:
        level, shrink = halved(level), 2 * shrink
    area = max(footprint / shrink, 1)
    rows = weights((np.arange(shape[0]) + 0.5 - top) / scale, height, shrink, area, level.shape[0])
    columns = weights((np.arange(shape[1]) + 0.5 - left) / scale, width, shrink, area, level.shape[1])
    values: np.ndarray = 255 * np.clip((rows @ level @ columns.T - low) / (high - low), 0, 1)
    return values


def halved(image: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels; the last row or column counts twice where their number is odd."""
    padded = np.pad(image, [(0, image.shape[0] % 2), (0, image.shape[1] % 2)], mode="edge")
    return (padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]) / 4


def weights(at: np.ndarray, length: int, shrink: int, area: float, size: int) -> np.ndarray:
    """``(N, size)`` shares of the pixels of a level in the areas around positions; NaN for those off the image."""
    center = (at / shrink)[:, None]
    start, stop = np.arange(size) * 1.0, np.arange(size) + 1.0
    start[0], stop[-1] = -np.inf, np.inf  # the image continues with its edge
    shares = np.minimum(center + area / 2, stop) - np.maximum(center - area / 2, start)
    shares = np.clip(shares, 0, None) / area
    shares[(at < 0) | (at > length)] = np.nan
    return shares
