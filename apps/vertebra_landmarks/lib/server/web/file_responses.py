"""Files and pixels as responses: streamed as they are now, or a gzipped ``.npy`` file with the image info."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import numpy as np
from anyio import CancelScope, to_thread
from fastapi import HTTPException
from fastapi.responses import FileResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from ...image_io import Radiograph
from ..inference.response import image_info
from ..store.images import StatedSide

_CHUNK_BYTES = 1 << 18


def file_response(path: Path, media_type: str, name: str | None = None) -> StreamingResponse:
    """Stream a file as it is now.

    Args:
        path: of the file.
        media_type: of its content.
        name: shown to the client; by default the file's own.

    Raises:
        HTTPException: 404, it has just been removed.
    """
    try:
        stream = path.open("rb")
    except FileNotFoundError as error:
        raise HTTPException(404, "the file has just been removed") from error
    size = os.fstat(stream.fileno()).st_size
    headers = {"Content-Length": str(size), "Content-Disposition": f"attachment; {disposition(name or path.name)}"}
    return StreamingResponse(_chunks(stream), media_type=media_type, headers=headers)


def disposition(name: str) -> str:
    """Parameter of ``Content-Disposition`` that names a file."""
    return f'filename="{name}"' if quote(name) == name else f"filename*=utf-8''{quote(name)}"


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


FACTS = "X-Image-Facts"
_LEVEL = 1  # images shrink little more with higher ones, which take several times as long


class PixelsResponse(FileResponse):
    """Sends a file that is removed afterwards, however the sending ends; so no image waits in memory for its client."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(lambda: Path(self.path).unlink(missing_ok=True))


def pixels_response(
    radiograph: Radiograph, folder: Path, stated: StatedSide | None = None, digest: str | None = None
) -> PixelsResponse:
    """Make the answer.

    Args:
        radiograph: the image.
        folder: where the answer waits to be sent.
        stated: the patient's side that a person has stated.
        digest: of the image's file.
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
    headers = {"Content-Encoding": "gzip", FACTS: json.dumps({**image_info(radiograph, stated), "digest": digest})}
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
