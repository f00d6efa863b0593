"""Reads PNG, JPEG and BMP files."""

from __future__ import annotations

import struct
import warnings
from io import SEEK_CUR, BytesIO
from pathlib import Path
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import Image, UnidentifiedImageError

from ...spine.imaging.image_geometry import DENSITY, PIXELS
from ..dicom.codestreams import check_all_decoded
from ..errors import MAX_PIXELS, UnreadableImageError, check_size, error_text
from ..margins import fill_margins
from ..orientation_tags import ORIENTATION_TAG, Statement, stated_orientation, xmp_orientation
from ..pixel_shape import PixelShape, shaped_geometry
from ..radiograph import Radiograph
from ..volume.itk_geometry import raster_geometry
from .luminance import finite, luminance

_FORMATS = ("PNG", "JPEG", "BMP")  # Pillow hands others, as EPS, to external programs
_ERRORS = (OSError, SyntaxError, ValueError, struct.error, EOFError, IndexError, KeyError, OverflowError)
_PNG_CHUNKS_AT = 8  # behind the signature
_PHYS_BYTES = 9
_JPEG_FORMATS = ("JPEG", "MPO")  # the latter are photographs with a preview behind them
_JPEG_PROCESSES = {
    0xC3: "lossless",
    0xC5: "differential",
    0xC6: "differential",
    0xC7: "differential",
    0xC9: "arithmetic coding",
    0xCA: "arithmetic coding",
    0xCB: "lossless",
    0xF7: "JPEG-LS",
}


def read_raster(path: Path) -> Radiograph:
    """Read a PNG, JPEG or BMP file.

    Raises:
        UnreadableImageError: it cannot be read.
    """
    try:
        with path.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(stream, formats=_FORMATS) as image:  # given a path, Pillow would map the file to memory
                check_size(image.width, image.height)
                is_jpeg = image.format in _JPEG_FORMATS
                pixels = _png(image, stream) if image.format == "PNG" else _pixels(image)
                if is_jpeg:
                    stream.seek(0)
                    check_all_decoded(stream.read(), pixels, _luminance_of_jpeg)
                statements = _orientations(image, stream)
                shapes = _pixel_shapes(image, stream)
    except UnreadableImageError:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"too many pixels, at most {MAX_PIXELS:,} are read") from error
    except (UnidentifiedImageError, *_ERRORS) as error:
        raise UnreadableImageError(_reason(path, error)) from error
    orientation, source, contradictions = stated_orientation(statements)
    presented = raster_geometry(path, "JPEGImageIO", DENSITY) if is_jpeg else PIXELS  # as ITK: 1 mm for others
    geometry, shape_warnings = shaped_geometry(presented, shapes)
    return Radiograph(
        fill_margins(finite(pixels)),
        geometry,
        orientation=orientation,
        orientation_source=source,
        warnings=(*contradictions, *shape_warnings),
    )


def _pixels(image: Image.Image) -> np.ndarray:
    image.load()
    has_wide_pixels = image.mode in ("I", "F") or image.mode.startswith("I;16")
    return np.array(image if has_wide_pixels else image.convert("L"))


def _png(image: Image.Image, stream: BinaryIO) -> np.ndarray:
    """Pixels of 1 to 16 bits; Pillow truncates 16-bit colour and leaves missing rows black."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise UnreadableImageError(f"expected one radiograph, got an animated PNG of {frames} frames")
    stream.seek(0)
    try:
        samples = imagecodecs.png_decode(stream.read())
    except RuntimeError as error:
        raise UnreadableImageError(f"the image is damaged or cut short ({error_text(error)})") from error
    return luminance(samples) if samples.ndim == 3 else samples


def _luminance_of_jpeg(data: bytes) -> np.ndarray:
    with Image.open(BytesIO(data), formats=_FORMATS) as image:
        return np.array(image.convert("L"))


def _orientations(image: Image.Image, stream: BinaryIO) -> list[Statement]:
    """Orientations stated by EXIF, then XMP."""
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    value = _exif_orientation(image, stream)
    statements: list[Statement] = [("EXIF", value)] if isinstance(value, int) else []
    return statements + xmp_orientation(xmp if isinstance(xmp, bytes) else str(xmp).encode())


def _exif_orientation(image: Image.Image, stream: BinaryIO) -> object:
    try:
        if image.format == "PNG" and "exif" not in image.info:
            image.info["exif"] = _png_chunk(stream, b"eXIf")
        has_exif = image.info.get("exif") or "Raw profile type exif" in image.info
        return image.getexif().get(ORIENTATION_TAG) if has_exif else None
    except _ERRORS:  # EXIF is damaged; the pixels may be intact
        return None


def _pixel_shapes(image: Image.Image, stream: BinaryIO) -> list[PixelShape]:
    """What densities state, whatever their unit: pixels are as wide as there are few of them across."""
    source, density = "The BMP density", image.info.get("dpi")
    if image.format == "PNG":
        chunk = _png_chunk(stream, b"pHYs")
        source, density = "The PNG chunk pHYs", struct.unpack(">II", chunk[:8]) if len(chunk) == _PHYS_BYTES else None
    elif image.format in _JPEG_FORMATS:
        source, density = "The JFIF density", image.info.get("jfif_density")
    if not (isinstance(density, tuple) and len(density) == 2 and min(density) > 0):
        return []
    across, down = density
    return [PixelShape(source, float(down), float(across))]


def _png_chunk(stream: BinaryIO, kind: bytes) -> bytes:
    """The first chunk of a kind; without decoding, Pillow sees only those before the pixels."""
    stream.seek(_PNG_CHUNKS_AT)
    while len(head := stream.read(8)) == 8:
        length = int.from_bytes(head[:4], "big")
        if head[4:] == kind:
            return stream.read(length)
        stream.seek(length + 4, SEEK_CUR)  # and its checksum
    return b""


def _reason(path: Path, error: Exception) -> str:
    process = _unusual_jpeg(path)
    return process or f"the image is damaged or cut short ({_message(error)})"


def _message(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "its header cannot be understood"
    return error_text(error)


def _unusual_jpeg(path: Path) -> str | None:
    """Message about a JPEG process that Pillow cannot decode; ``None`` for others."""
    with path.open("rb") as stream:
        head = stream.read(1 << 20)
    at = 2 if head[:2] == b"\xff\xd8" else len(head)
    while at + 5 <= len(head) and head[at] == 0xFF:
        marker, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            bits = head[at + 4]
            process = _JPEG_PROCESSES.get(marker, "sequential or progressive")
            if marker in _JPEG_PROCESSES or bits != 8:
                return (
                    f"the JPEG marker SOF is 0xFF{marker:02X} ({process}) with {bits} bits, "
                    "expected baseline or progressive with 8 bits"
                )
            return None
        at += 2 + length
    return None
