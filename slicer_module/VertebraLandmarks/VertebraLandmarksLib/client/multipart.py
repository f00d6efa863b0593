"""Streamed ``multipart/form-data`` bodies: files are read in chunks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Union

Part = Union[bytes, Path]

_CHUNK_BYTES = 1 << 18


class Form:
    """Body of a ``multipart/form-data`` request.

    Args:
        fields: text by field name.
        files: file name and content or path, by field name.

    Raises:
        OSError: a file cannot be read.

    Attributes:
        content_type: value of the header.
        length: of the whole body in bytes.
    """

    def __init__(self, fields: Mapping[str, str], files: Mapping[str, tuple[str, Part]]) -> None:
        boundary = uuid.uuid4().hex
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._parts: list[Part] = []
        for name, text in fields.items():
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
            self._parts.append(f"{head}{text}\r\n".encode())
        for name, (filename, content) in files.items():
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{_quoted(filename)}"\r\n'
            self._parts += [f"{head}Content-Type: application/octet-stream\r\n\r\n".encode(), content, b"\r\n"]
        self._parts.append(f"--{boundary}--\r\n".encode())
        self._sizes = [len(part) if isinstance(part, bytes) else part.stat().st_size for part in self._parts]
        self.length = sum(self._sizes)

    def chunks(self) -> Iterator[bytes]:
        """The body in chunks of at most 256 KiB.

        Raises:
            OSError: a file cannot be read, or was truncated meanwhile.
        """
        for part, size in zip(self._parts, self._sizes):
            if isinstance(part, bytes):
                yield from (part[at : at + _CHUNK_BYTES] for at in range(0, size, _CHUNK_BYTES))
                continue
            with part.open("rb") as file:
                left = size
                while left:
                    chunk = file.read(min(_CHUNK_BYTES, left))
                    if not chunk:
                        raise OSError(f"{part.name} was truncated while it was sent")
                    left -= len(chunk)
                    yield chunk


def _quoted(name: str) -> str:
    """File name escaped as browsers do; characters that UTF-8 cannot encode are replaced."""
    escaped = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.encode("utf-8", "replace").decode("utf-8")


class Bytes:
    """Body in memory, with the attributes of ``Form``.

    Args:
        content: the body.
        content_type: value of the header.
    """

    def __init__(self, content: bytes, content_type: str) -> None:
        self._content, self.content_type, self.length = content, content_type, len(content)

    def chunks(self) -> Iterator[bytes]:
        """The body in chunks of at most 256 KiB."""
        return (self._content[at : at + _CHUNK_BYTES] for at in range(0, self.length, _CHUNK_BYTES))
