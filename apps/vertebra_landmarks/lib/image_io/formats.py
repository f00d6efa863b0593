"""Formats of image files, detected from their first bytes, not from their names."""

from __future__ import annotations

from pathlib import Path

from ..spine.image_suffixes import image_suffix

PNG, JPEG, TIFF, BMP, DICOM, NRRD, NIFTI = "PNG", "JPEG", "TIFF", "BMP", "DICOM", "NRRD", "NIfTI"
READABLE = (PNG, JPEG, TIFF, BMP, DICOM, NRRD, NIFTI)

HEAD_BYTES = 352
"""Bytes at the beginning of a file that ``format_of`` needs."""

_DICOM_MAGIC_AT, _DICOM_MAGIC = 128, b"DICM"
_NIFTI_MAGIC_AT = {344: (b"n+1\0", b"ni1\0"), 4: (b"n+2\0", b"ni2\0")}
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": PNG,
    b"\xff\xd8": JPEG,
    b"II*\0": TIFF,
    b"MM\0*": TIFF,
    b"II+\0": TIFF,
    b"MM\0+": TIFF,
    b"NRRD0": NRRD,
    b"BM": BMP,
    b"\x1f\x8b": "gzip archive",
    b"\0\0\0\x0cjP  ": "JPEG 2000 image",
    b"\xff\x4f\xff\x51": "JPEG 2000 image",
    b"\xff\x0a": "JPEG XL image",
    b"\0\0\0\x0cJXL ": "JPEG XL image",
    b"GIF8": "GIF image",
    b"%PDF": "PDF document",
    b"%!PS": "PostScript document",
    b"8BPS": "Photoshop image",
    b"PK\x03\x04": "ZIP archive",
    b"7z\xbc\xaf": "7z archive",
    b"Rar!": "RAR archive",
    b"<?xml": "XML document",
    b"<svg": "SVG drawing",
    b"<!DOC": "HTML document",
    b"<html": "HTML document",
}
_ISO_BRANDS = {b"heic": "HEIC image", b"heix": "HEIC image", b"mif1": "HEIC image", b"avif": "AVIF image"}
_FIRST_DICOM_ELEMENTS = {2: (0x00, 0x01, 0x02, 0x10), 8: (0x00, 0x01, 0x05, 0x08, 0x12, 0x14, 0x16, 0x18, 0x20)}
_MAX_FIRST_ELEMENT_BYTES = 512


def format_of(head: bytes) -> str | None:
    """The format of a file.

    Args:
        head: its first ``HEAD_BYTES`` bytes.

    Returns:
        One of ``READABLE``, the name of another kind of file, or ``None`` where it is unknown. A
        gzip archive may hold a NIfTI file.
    """
    if head[_DICOM_MAGIC_AT:][: len(_DICOM_MAGIC)] == _DICOM_MAGIC:
        return DICOM
    if any(head[at : at + 4] in magics for at, magics in _NIFTI_MAGIC_AT.items()):
        return NIFTI
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP image"
    if head[4:8] == b"ftyp":
        return _ISO_BRANDS.get(head[8:12], "ISO media file")
    return DICOM if _begins_with_data_element(head) else None


def _begins_with_data_element(head: bytes) -> bool:
    """Whether a file begins like DICOM without its preamble: with an early element of group 0002 or 0008."""
    if len(head) < 8:
        return False
    group, element = int.from_bytes(head[:2], "little"), int.from_bytes(head[2:4], "little")
    if element not in _FIRST_DICOM_ELEMENTS.get(group, ()):
        return False
    is_explicit = head[4:6].isalpha() and head[4:6].isupper()
    return is_explicit or int.from_bytes(head[4:8], "little") <= _MAX_FIRST_ELEMENT_BYTES


def is_image_name(path: Path) -> bool:
    """Whether the file's name ends like an image's."""
    return bool(image_suffix(path.name))


def is_dicom(path: Path) -> bool:
    """Whether the file begins like a DICOM file, with or without a preamble, whatever its name.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        return format_of(stream.read(HEAD_BYTES)) == DICOM
