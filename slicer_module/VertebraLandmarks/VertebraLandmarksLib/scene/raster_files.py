"""PNG, JPEG, TIFF and BMP files: whether they are complete, their orientation, and their geometry in Slicer."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Optional

from ..spine.imaging.image_geometry import DENSITY, ImageGeometry
from ..spine.imaging.orientation import EXIF_ORIENTATIONS, Orientation

_PNG = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Values per pixel, by the color type of a PNG file."""
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row and steps of the seven passes of an interlaced PNG file."""


def is_complete(content: bytes, suffix: str) -> bool:
    """Whether the content has the format that the suffix states, and is not truncated.

    VTK's PNG reader ends the process, and so Slicer, on an incomplete file.

    Args:
        content: of a PNG, JPEG, TIFF or BMP file. Of TIFF only the signature is checked: VTK's reader reports the rest.
        suffix: of the file name in lower case, such as ".png".
    """
    if suffix == ".png":
        return _is_whole_png(content)
    if suffix in (".jpg", ".jpeg"):
        return content.startswith(b"\xff\xd8") and content.rstrip(b"\0").endswith(b"\xff\xd9")
    if suffix == ".bmp":
        return _is_whole_bmp(content)
    return content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))


def _is_whole_png(content: bytes) -> bool:
    """Whether all chunks have valid checksums, and the pixels decompress to the expected size."""
    if not content.startswith(_PNG):
        return False
    at, packed, header, name = len(_PNG), [], b"", b""
    while name != b"IEND":
        if len(content) < at + 12:
            return False
        length, name = struct.unpack(">I4s", content[at : at + 8])
        data = content[at + 8 : at + 8 + length]
        checksum = content[at + 8 + length : at + 12 + length]
        if len(checksum) < 4 or zlib.crc32(data, zlib.crc32(name)) != struct.unpack(">I", checksum)[0]:
            return False
        if name == b"IHDR" and not header and length == 13:
            header = data
        elif name == b"IDAT":
            packed.append(data)
        at += 12 + length
    return bool(header) and _unpacks_to(b"".join(packed), _png_bytes(header))


def _unpacks_to(packed: bytes, length: int) -> bool:
    unpacker = zlib.decompressobj()
    try:
        return length > 0 and len(unpacker.decompress(packed, length)) == length
    except zlib.error:
        return False


def _png_bytes(header: bytes) -> int:
    """Size of the decompressed pixels by the IHDR chunk; 0 where that is invalid."""
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = _CHANNELS.get(color, 0) * depth
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, step_x, step_y in passes:
        columns, rows = max(0, -(-(width - left) // step_x)), max(0, -(-(height - top) // step_y))
        total += rows * (1 + -(-columns * bits // 8)) if columns else 0
    return total if bits else 0


def _is_whole_bmp(content: bytes) -> bool:
    if not content.startswith(b"BM") or len(content) < 54:
        return False
    begin, _, width, height, _, bits, packing = struct.unpack("<IIiiHHI", content[10:34])
    row = -(-abs(width) * bits // 32) * 4
    return packing != 0 or len(content) >= begin + row * abs(height)


_ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION, _UNIT = 274, 282, 283, 296
"""Tags of TIFF 6.0, which EXIF shares."""
_TIFF_UNITS = {2: 25.4, 3: 10.0}
_JFIF_UNITS = {1: 25.4, 2: 10.0}
"""Millimetres per unit of a density; without a unit it is an aspect ratio only."""
_COLUMNS_REVERSED, _ROWS_REVERSED = (2, 3, 6, 7), (3, 4, 7, 8)
"""Values of the orientation tag at which ITK's TIFF reader flips the stored raster; it never turns it."""
_SHORT, _LONG, _RATIONAL = 3, 4, 5
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SCAN = 0xDA
_PHYS_BYTES, _BMP_INFO_AT, _BMP_DENSITY_AT = 9, 14, 38
_BMP_INFO_BYTES = 40
"""Of the header of a BMP file, from which on it has a density: that of OS/2 is shorter."""


def raster_orientation(content: bytes) -> Optional[Orientation]:
    """How the stored raster must be turned upright, by its TIFF or EXIF tag; ``None`` without one.

    Args:
        content: of a PNG, JPEG, TIFF or BMP file.
    """
    return EXIF_ORIENTATIONS.get(int(_tags(_exif(content)).get(_ORIENTATION, 0)))


def raster_geometry(content: bytes, width: int, height: int) -> ImageGeometry:
    """Where Slicer's own reader places the stored pixels.

    It uses the density of TIFF and JPEG (JFIF) and the flips of the TIFF orientation; it ignores the density of PNG
    and BMP, and the EXIF orientation. The shape of pixels is that of any density (``pixel_shape``).

    Args:
        content: of a PNG, JPEG, TIFF or BMP file.
        width: columns of the stored raster.
        height: rows of the stored raster.
    """
    if content.startswith(_TIFF):
        tags = _tags(content)
        unit = _TIFF_UNITS.get(int(tags.get(_UNIT, 0)))
        x, y = tags.get(_X_RESOLUTION, 0.0), tags.get(_Y_RESOLUTION, 0.0)
        orientation = int(tags.get(_ORIENTATION, 1))
    else:
        (unit, x, y), orientation = _jfif_density(content), 1
    is_stated = unit is not None and x > 0 and y > 0
    spacing = (unit / x, unit / y) if unit is not None and is_stated else (1.0, 1.0)
    from_right, from_below = orientation in _COLUMNS_REVERSED, orientation in _ROWS_REVERSED
    geometry = ImageGeometry(
        spacing,
        (from_right * (width - 1) * spacing[0], from_below * (height - 1) * spacing[1], 0.0),
        (-1.0 if from_right else 1.0, 0.0, 0.0),
        (0.0, -1.0 if from_below else 1.0, 0.0),
        DENSITY if is_stated else "none",
    )
    shape = pixel_shape(content)
    return geometry if shape is None else geometry.with_pixels(*shape)


def pixel_shape(content: bytes) -> Optional[tuple[float, float]]:
    """Width and height of a pixel in one and the same unit, by the density of a file; ``None`` where it states none.

    Args:
        content: of a PNG, JPEG, TIFF or BMP file.
    """
    if content.startswith(_TIFF):
        tags = _tags(content)
        across, down = tags.get(_X_RESOLUTION, 0.0), tags.get(_Y_RESOLUTION, 0.0)
    elif content.startswith(_PNG):
        density = next((data for name, data in _png_chunks(content) if name == b"pHYs"), b"")
        across, down = struct.unpack_from(">II", density) if len(density) == _PHYS_BYTES else (0, 0)
    elif content.startswith(b"BM"):
        across, down = _bmp_density(content)
    else:
        _, across, down = _jfif_density(content)
    return (float(down), float(across)) if across > 0 and down > 0 else None


def _bmp_density(content: bytes) -> tuple[int, int]:
    if len(content) < _BMP_INFO_AT + _BMP_INFO_BYTES:
        return 0, 0
    (length,) = struct.unpack_from("<I", content, _BMP_INFO_AT)
    across, down = struct.unpack_from("<ii", content, _BMP_DENSITY_AT) if length >= _BMP_INFO_BYTES else (0, 0)
    return across, down


def _jfif_density(content: bytes) -> tuple[Optional[float], float, float]:
    for marker, data in _jpeg_segments(content):
        if marker == 0xE0 and data.startswith(b"JFIF\0") and len(data) >= 12:
            unit, x, y = struct.unpack_from(">BHH", data, 7)
            return _JFIF_UNITS.get(unit), x, y
    return None, 0.0, 0.0


def _exif(content: bytes) -> bytes:
    """The part of a file that is built like a TIFF file; empty where there is none."""
    if content.startswith(_TIFF):
        return content
    if content.startswith(_PNG):
        return next((data for name, data in _png_chunks(content) if name == b"eXIf"), b"")
    marked = (data for marker, data in _jpeg_segments(content) if marker == 0xE1 and data.startswith(b"Exif\0\0"))
    return next(marked, b"")[6:]


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, data) of what stands before the pixels of a JPEG file; nothing for any other file."""
    at = len(_JPEG) if content.startswith(_JPEG) else len(content)
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != _SCAN:
        if content[at + 1] == 0xFF:  # a fill byte
            at += 1
            continue
        (length,) = struct.unpack_from(">H", content, at + 2)
        yield content[at + 1], content[at + 4 : at + 2 + length]
        at += 2 + length


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, data) of the parts of a PNG file."""
    at = len(_PNG)
    while at + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        yield name, content[at + 8 : at + 8 + length]
        at += 12 + length


def _tags(content: bytes) -> dict[int, float]:
    """First values of the numeric tags of a TIFF file's first page; what is cut off or no number is left out."""
    if not content.startswith(_TIFF):
        return {}
    order, is_big = "<" if content.startswith(b"II") else ">", b"+" in content[2:4]
    offset, count, size = ("Q", "Q", 20) if is_big else ("I", "H", 12)
    value_at = size - struct.calcsize(offset)
    tags: dict[int, float] = {}
    try:
        (at,) = struct.unpack_from(f"{order}{offset}", content, 8 if is_big else 4)
        (entries,) = struct.unpack_from(f"{order}{count}", content, at)
        first = at + struct.calcsize(count if is_big else "H")
        for begin in range(first, min(first + entries * size, len(content)), size):
            tag, kind = struct.unpack_from(f"{order}HH", content, begin)
            value = _value(content, order, kind, begin + value_at, offset)
            if value is not None:
                tags[tag] = value
    except struct.error:  # the file ends before its tags do
        pass
    return tags


def _value(content: bytes, order: str, kind: int, at: int, offset: str) -> Optional[float]:
    """The first number of a tag; a rational stands elsewhere in the file unless it fits (BigTIFF)."""
    if kind in (_SHORT, _LONG):
        return float(struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", content, at)[0])
    if kind != _RATIONAL:
        return None
    if offset == "I":
        (at,) = struct.unpack_from(f"{order}I", content, at)
    above, below = struct.unpack_from(f"{order}II", content, at)
    return above / below if below else 0.0
