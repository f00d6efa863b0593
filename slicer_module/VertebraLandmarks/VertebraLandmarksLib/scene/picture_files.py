"""Whether a picture's file is whole. VTK's PNG reader ends the process, and so Slicer, over one that is not."""

from __future__ import annotations

import struct
import zlib

_PNG = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Values per pixel by the kind of colour of a PNG file."""
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and steps between them, of the seven passes of an interlaced PNG file."""


def is_whole(content: bytes, suffix: str) -> bool:
    """Whether the content is what the name's ending says, with nothing missing at its end.

    Args:
        content: of a PNG, JPEG, TIFF or BMP file. TIFF is only looked at where it begins: VTK's reader tells of the
            rest.
        suffix: how the file's name ends, in lower case, such as ".png".
    """
    if suffix == ".png":
        return _is_whole_png(content)
    if suffix in (".jpg", ".jpeg"):
        return content.startswith(b"\xff\xd8") and content.rstrip(b"\0").endswith(b"\xff\xd9")
    if suffix == ".bmp":
        return _is_whole_bmp(content)
    return content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))


def _is_whole_png(content: bytes) -> bool:
    """Every part has its checksum, and the pixels unpack to as many bytes as the size asks for."""
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
    """Bytes of the unpacked pixels by a PNG file's first part; 0 where that is not valid."""
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
