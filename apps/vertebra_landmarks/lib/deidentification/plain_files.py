"""Copies of images that are no DICOM: the same pixels and geometry, and no metadata."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
import tifffile
from PIL import Image

from ..image_io import Radiograph, UnreadableImageError, formats
from ..image_io.orientation_tags import ORIENTATION_TAG
from ..spine.imaging.orientation import EXIF_ORIENTATIONS

SUFFIX_OF = {
    formats.PNG: ".png",
    formats.JPEG: ".jpg",
    formats.BMP: ".png",
    formats.TIFF: ".tif",
    formats.NRRD: ".nrrd",
    formats.NIFTI: ".nii.gz",
}
"""Suffix of the copy by the format of the original."""
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"pHYs", b"IDAT", b"IEND")
_EXIF_HEADER = b"Exif\0\0"
_RESOLUTION_TAGS = ("XResolution", "YResolution", "ResolutionUnit")
_NO_UNIT, _INCH, _CENTIMETRE = 1, 2, 3
_UNITS = (_NO_UNIT, _INCH, _CENTIMETRE)
_PNG_DPI = 100_000.0  # across, where only the shape of pixels is to be stated: fine enough for six digits of it
_SOS, _EOI, _APP1 = 0xDA, 0xD9, 0xE1
_ADOBE, _JFIF = (0xEE, b"Adobe"), (0xE0, b"JFIF\0")


def write_plain(source: Path, kind: str, radiograph: Radiograph, target: Path) -> None:
    """Write a copy.

    Args:
        source: the original.
        kind: its format.
        radiograph: what was read from it.
        target: file to write; its suffix is that of ``SUFFIX_OF``.

    Raises:
        UnreadableImageError: the original is damaged.
        OSError: the copy cannot be written.
    """
    exif = _exif(radiograph)
    if kind == formats.PNG:
        target.write_bytes(_PNG_SIGNATURE + b"".join(_png_chunks(source.read_bytes(), exif)))
    elif kind == formats.JPEG:
        target.write_bytes(b"".join(_jpeg_segments(source.read_bytes(), exif)))
    elif kind == formats.BMP:
        _write_png(radiograph, target)
    elif kind == formats.TIFF:
        _write_tiff(source, radiograph, target)
    elif kind == formats.NRRD:
        _write_nrrd(source, target)
    else:
        _write_nifti(source, target)


def _orientation(radiograph: Radiograph) -> int:
    return next((value for value, orientation in EXIF_ORIENTATIONS.items() if orientation == radiograph.orientation), 1)


def _exif(radiograph: Radiograph) -> bytes:
    """EXIF that states the orientation and nothing else, "" where there is none to state."""
    value = _orientation(radiograph)
    return b"" if value == 1 else struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, ORIENTATION_TAG, 3, 1, value, 0, 0)


def _png_chunks(content: bytes, exif: bytes) -> Iterator[bytes]:
    at = len(_PNG_SIGNATURE)
    while at + 12 <= len(content):
        size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        if kind in _PNG_CHUNKS:
            yield content[at : at + size + 12]
        if kind == b"IHDR" and exif:
            checksum = zlib.crc32(b"eXIf" + exif)
            yield struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", checksum)
        if kind == b"IEND":
            return
        at += size + 12
    raise UnreadableImageError("the image is damaged or cut short")


def _jpeg_segments(content: bytes, exif: bytes) -> Iterator[bytes]:
    """The segments that decoding needs: no comments, applications' data, thumbnails, or second images."""
    yield content[:2]
    at, is_begun = 2, False
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        body = content[at + 4 : end]
        is_jfif = marker == _JFIF[0] and body.startswith(_JFIF[1]) and len(body) >= 14
        if not is_begun and exif and not is_jfif:
            yield struct.pack(">BBH", 0xFF, _APP1, len(_EXIF_HEADER + exif) + 2) + _EXIF_HEADER + exif
        is_begun = is_begun or not is_jfif
        if is_jfif:
            yield struct.pack(">BBH", 0xFF, marker, 16) + body[:12] + b"\0\0"  # without its thumbnail
        elif (marker == _ADOBE[0] and body.startswith(_ADOBE[1])) or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            yield content[at:end]
        at = end
        if marker == _SOS:
            at = _end_of_scan(content, end)
            yield content[end:at]
            if content[at : at + 2] == bytes((0xFF, _EOI)):
                yield content[at : at + 2]
                return
    raise UnreadableImageError("the image is damaged or cut short")


def _end_of_scan(content: bytes, start: int) -> int:
    """Where the next marker lies that is neither a restart nor a stuffed byte."""
    at = content.find(b"\xff", start)
    while 0 <= at < len(content) - 1 and (content[at + 1] == 0 or 0xD0 <= content[at + 1] <= 0xD7):
        at = content.find(b"\xff", at + 2)
    if at < 0:
        raise UnreadableImageError("the image is damaged or cut short")
    return at


def _write_png(radiograph: Radiograph, target: Path) -> None:
    """A PNG file; it states the shape of pixels where they are not square."""
    aspect = radiograph.geometry.pixel_aspect
    density = None if aspect == 1.0 else (_PNG_DPI, _PNG_DPI * aspect)
    Image.fromarray(np.asarray(radiograph.pixels)).save(target, dpi=density)


def _write_tiff(source: Path, radiograph: Radiograph, target: Path) -> None:
    with tifffile.TiffFile(source) as file:
        tags = file.pages.first.tags
        x, y, unit = (tags.valueof(name) for name in _RESOLUTION_TAGS)
    has_resolution = bool(x and y) and all(part > 0 for part in (*x, *y))
    tifffile.imwrite(
        target,
        np.asarray(radiograph.pixels),
        photometric="minisblack",
        metadata=None,
        software=False,
        extratags=[(ORIENTATION_TAG, 3, 1, _orientation(radiograph), True)],
        resolution=(x, y) if has_resolution else None,
        resolutionunit=(_INCH if unit is None else unit if unit in _UNITS else _NO_UNIT) if has_resolution else None,
    )


def _write_nrrd(source: Path, target: Path) -> None:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(source))
    reader.SetImageIO("NrrdImageIO")
    image = reader.Execute()
    for key in image.GetMetaDataKeys():
        image.EraseMetaData(key)
    sitk.WriteImage(image, str(target), True)


def _write_nifti(source: Path, target: Path) -> None:
    image = nibabel.load(source)
    copy = type(image)(np.asanyarray(image.dataobj), image.affine)
    for form in ("qform", "sform"):
        matrix, code = getattr(image, f"get_{form}")(coded=True)
        getattr(copy, f"set_{form}")(matrix, int(code))
    copy.header.set_xyzt_units(*image.header.get_xyzt_units())
    nibabel.save(copy, target)
