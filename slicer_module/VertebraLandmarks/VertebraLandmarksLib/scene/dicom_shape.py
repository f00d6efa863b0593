"""The shape of pixels that a DICOM file states; Slicer's reader looks at one tag, depending on the kind of image."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Optional

HEAD_BYTES = 4 << 20
"""Of a file, in which the tags are looked for."""
_SHAPES = ((0x0028, 0x0030), (0x0018, 0x1164), (0x0018, 0x2010), (0x0028, 0x0034))
"""PixelSpacing, ImagerPixelSpacing, NominalScannedPixelSpacing and PixelAspectRatio; the first one counts."""
_PREAMBLE, _MAGIC = 128, b"DICM"
_TRANSFER_SYNTAX = (0x0002, 0x0010)
_IMPLICIT, _DEFLATED, _BIG_ENDIAN = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2"
_LONG_KINDS = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
"""Value representations whose length has four bytes, behind two of no meaning."""
_DELIMITERS, _ITEMS = ((0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)), 0xFFFE
_UNDEFINED = 0xFFFFFFFF

_Tag = tuple[int, int]


class _Elements:
    """Data elements of a file, one after the other.

    Args:
        content: of the file.
        at: where they begin.
        is_explicit: whether they state their value representations.
        order: "<" or ">", the byte order.
    """

    def __init__(self, content: bytes, at: int, is_explicit: bool, order: str) -> None:
        self._content, self._at = content, at
        self._is_explicit, self._order = is_explicit, order

    def until(self, last: _Tag) -> Iterator[tuple[_Tag, bytes, int]]:
        """Tag, value and end of every element up to a tag; values of undefined length are empty.

        Raises:
            struct.error: the content ends before.
        """
        at = self._at
        while self._tag(at) <= last:
            length, begin = self._length(at)
            end = self._end(at)
            yield self._tag(at), self._content[begin:end] if length != _UNDEFINED else b"", end
            at = end

    def _tag(self, at: int) -> _Tag:
        group, element = struct.unpack_from(f"{self._order}HH", self._content, at)
        return group, element

    def _length(self, at: int) -> tuple[int, int]:
        """Length of a value, and where it begins."""
        if not self._is_explicit or self._tag(at)[0] == _ITEMS:
            return struct.unpack_from(f"{self._order}I", self._content, at + 4)[0], at + 8
        if self._content[at + 4 : at + 6] in _LONG_KINDS:
            return struct.unpack_from(f"{self._order}I", self._content, at + 8)[0], at + 12
        return struct.unpack_from(f"{self._order}H", self._content, at + 6)[0], at + 8

    def _end(self, at: int) -> int:
        """End of an element; a sequence or item of undefined length ends with its delimiter."""
        length, begin = self._length(at)
        if length != _UNDEFINED:
            return begin + length
        at = begin
        while self._tag(at) not in _DELIMITERS:
            at = self._end(at)
        return at + 8


def dicom_pixel_shape(content: bytes) -> Optional[tuple[float, float]]:
    """Width and height of a pixel in one and the same unit; ``None`` where the content is no DICOM file or states none.

    Args:
        content: the first ``HEAD_BYTES`` of a file.
    """
    if content[_PREAMBLE : _PREAMBLE + len(_MAGIC)] != _MAGIC:
        return None
    found: dict[_Tag, bytes] = {}
    try:
        syntax, at = _IMPLICIT, _PREAMBLE + len(_MAGIC)
        for tag, value, end in _Elements(content, at, True, "<").until((0x0002, 0xFFFF)):
            at = end
            syntax = value.strip(b" \0") if tag == _TRANSFER_SYNTAX else syntax
        if syntax == _DEFLATED:
            return None
        rest = _Elements(content, at, syntax != _IMPLICIT, ">" if syntax == _BIG_ENDIAN else "<")
        found.update((tag, value) for tag, value, _ in rest.until(_SHAPES[-1]) if tag in _SHAPES)
    except (struct.error, RecursionError):  # the file ends before its tags do
        pass
    shapes = (_sizes(found[tag]) for tag in _SHAPES if tag in found)
    return next((shape for shape in shapes if shape is not None), None)


def _sizes(value: bytes) -> Optional[tuple[float, float]]:
    """(horizontal, vertical) of a pair that is written the other way round; ``None`` where it is malformed."""
    try:
        vertical, horizontal = (float(part) for part in value.decode("ascii").strip(" \0").split("\\"))
    except ValueError:
        return None
    is_size = all(math.isfinite(size) and size > 0 for size in (vertical, horizontal))
    return (horizontal, vertical) if is_size else None
