"""Streamed file responses that stay consistent even if the file is replaced meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from fastapi import HTTPException
from fastapi.responses import StreamingResponse

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
    headers = {"Content-Length": str(size), "Content-Disposition": f"attachment; {_named(name or path.name)}"}
    return StreamingResponse(_chunks(stream), media_type=media_type, headers=headers)


def _named(name: str) -> str:
    return f'filename="{name}"' if quote(name) == name else f"filename*=utf-8''{quote(name)}"


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk
