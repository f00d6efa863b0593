"""A form with files, sent piece by piece: no file is ever in memory as a whole."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Union

Part = Union[bytes, Path]

_PIECE = 1 << 18


class Form:
    """Body of a ``multipart/form-data`` request.

    Args:
        fields: texts by name.
        files: by name, what the file is called and its content or path.

    Raises:
        OSError: a file cannot be read.

    Attributes:
        content_type: for the header.
        length: bytes of the whole body.
    """

    def __init__(self, fields: Mapping[str, str], files: Mapping[str, tuple[str, Part]]) -> None:
        edge = uuid.uuid4().hex
        self.content_type = f"multipart/form-data; boundary={edge}"
        self._parts: list[Part] = []
        for name, text in fields.items():
            head = f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
            self._parts.append(f"{head}{text}\r\n".encode())
        for name, (called, content) in files.items():
            head = f'--{edge}\r\nContent-Disposition: form-data; name="{name}"; filename="{_quoted(called)}"\r\n'
            self._parts += [f"{head}Content-Type: application/octet-stream\r\n\r\n".encode(), content, b"\r\n"]
        self._parts.append(f"--{edge}--\r\n".encode())
        self._sizes = [len(part) if isinstance(part, bytes) else part.stat().st_size for part in self._parts]
        self.length = sum(self._sizes)

    def pieces(self) -> Iterator[bytes]:
        """The body in pieces of at most a quarter of a megabyte.

        Raises:
            OSError: a file cannot be read, or has become shorter meanwhile.
        """
        for part, size in zip(self._parts, self._sizes):
            if isinstance(part, bytes):
                yield from (part[at : at + _PIECE] for at in range(0, size, _PIECE))
                continue
            with part.open("rb") as file:
                left = size
                while left:
                    piece = file.read(min(_PIECE, left))
                    if not piece:
                        raise OSError(f"{part.name} became shorter while it was sent")
                    left -= len(piece)
                    yield piece


def _quoted(name: str) -> str:
    """A file's name as browsers write it; what a name may not hold is replaced."""
    escaped = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.encode("utf-8", "replace").decode("utf-8")


class Bytes:
    """A body that is in memory already, with the same attributes.

    Args:
        content: the body.
        content_type: for the header.
    """

    def __init__(self, content: bytes, content_type: str) -> None:
        self._content, self.content_type, self.length = content, content_type, len(content)

    def pieces(self) -> Iterator[bytes]:
        """The body in pieces of at most a quarter of a megabyte."""
        return (self._content[at : at + _PIECE] for at in range(0, self.length, _PIECE))
