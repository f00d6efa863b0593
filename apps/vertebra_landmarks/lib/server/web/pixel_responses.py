"""An image as pixels to look at, the same for every format: a gzipped ``.npy`` file, with the facts in a header."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import numpy as np
from anyio import CancelScope, to_thread
from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from ...image_io import Radiograph
from ..inference.response import image_info
from ..store.images import StatedSide

FACTS = "X-Image-Facts"
_LEVEL = 1  # films shrink little more with higher ones, which take several times as long


class PixelsResponse(FileResponse):
    """Sends a file that is removed afterwards, however the sending ends; so no film waits in memory for its client."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(lambda: Path(self.path).unlink(missing_ok=True))


def pixels_response(radiograph: Radiograph, folder: Path, stated: StatedSide | None = None) -> PixelsResponse:
    """Make the answer.

    Args:
        radiograph: the image.
        folder: where the answer waits to be sent.
        stated: the patient's side that a person has stated.
    """
    with tempfile.NamedTemporaryFile(dir=folder, prefix="pixels-", suffix=".npy.gz", delete=False) as file:
        try:
            pixels = gray_16(radiograph.pixels)
            pixels = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))  # as clients read it
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_LEVEL, mtime=0) as packed:
                np.save(packed, pixels, allow_pickle=False)
        except BaseException:
            file.close()
            Path(file.name).unlink(missing_ok=True)
            raise
    headers = {"Content-Encoding": "gzip", FACTS: json.dumps(image_info(radiograph, stated))}
    return PixelsResponse(file.name, media_type="application/x-npy", headers=headers)


def gray_16(pixels: np.ndarray) -> np.ndarray:
    """Pixels as unsigned integers of 8 or 16 bits, in the same order of brightness.

    Args:
        pixels: ``(H, W)``. Whole numbers are kept where 16 bits hold them, and where they do not, their differences;
            else the darkest becomes 0 and the brightest 65535.

    Returns:
        ``(H, W)`` uint8 or uint16; the same array where it is of such a kind already.
    """
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels
    low, high = float(pixels.min()), float(pixels.max())
    is_whole = pixels.dtype.kind in "iub"
    factor = 1.0 if is_whole and high - low <= 65535 else 65535 / ((high - low) or 1.0)
    offset = 0.0 if is_whole and low >= 0 and high <= 65535 else low
    scaled = np.empty(pixels.shape, np.uint16)
    for row, line in enumerate(pixels):  # a line at a time: there may be 100 million pixels
        scaled[row] = np.rint((line.astype(np.float64) - offset) * factor)
    return scaled
