"""Reads TIFF files: gray, colour and palettes of 1 to 64 bits, of any compression."""

from __future__ import annotations

import logging
import struct
import zlib
from itertools import islice
from math import prod
from pathlib import Path

import numpy as np
import tifffile
from tifffile import PHOTOMETRIC, TiffFile, TiffPage

from ...spine.imaging.image_geometry import DENSITY, ImageGeometry
from ...spine.measurement.image_warnings import POLARITY, ImageWarning
from ..dicom.codestreams import JPEG_START, check_codestream, check_end
from ..errors import UnreadableImageError, check_size, cut_short, error_text
from ..margins import fill_margins
from ..orientation_tags import ORIENTATION_TAG, Statement, stated_orientation, xmp_orientation
from ..pixel_shape import PixelShape, shaped_geometry
from ..radiograph import Radiograph
from ..volume.itk_geometry import mirrored, raster_geometry
from .luminance import finite, inverted, luminance

_ERRORS = (
    tifffile.TiffFileError,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ZeroDivisionError,
    struct.error,
    zlib.error,
)
_PHOTOMETRIC, _XMP, _EXIF = 262, 700, 34665
_RESOLUTIONS = 282, 283
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_MAX_PAGES, _MAX_SAMPLES = 100, 4
_COPY_MAX_SCALE, _COPY_ASPECT_TOLERANCE = 0.75, 0.03
_NO_CODECS = (1, 5, 8, 32773, 32946)  # none, LZW, Deflate, PackBits: decoded to a known size
_ITK_REVERSES_COLUMNS, _ITK_REVERSES_ROWS = (2, 3, 6, 7), (3, 4, 7, 8)

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # its complaints become UnreadableImageError


def read_tiff(path: Path) -> Radiograph:
    """Read a TIFF file.

    Raises:
        UnreadableImageError: it cannot be read.
    """
    try:
        with TiffFile(path) as file:
            page = _full_page(file)
            check_size(page.imagewidth, page.imagelength)
            _check_kind(page)
            _check_whole(page, file.filehandle.size)
            pixels, warnings = _gray(page)
            statements = _orientations(page)
            shapes = _pixel_shapes(page)
    except UnreadableImageError:
        raise
    except _ERRORS as error:
        raise UnreadableImageError(f"the image is damaged or cut short ({error_text(error)})") from error
    orientation, source, contradictions = stated_orientation(statements)
    presented = _geometry(path, pixels.shape[1], pixels.shape[0], dict(statements).get("TIFF", 1))
    geometry, shape_warnings = shaped_geometry(presented, shapes)
    return Radiograph(
        fill_margins(finite(pixels)),
        geometry,
        orientation=orientation,
        orientation_source=source,
        warnings=(*warnings, *contradictions, *shape_warnings),
    )


def _full_page(file: TiffFile) -> TiffPage:
    """The one image of the file; thumbnails, reduced copies and masks are ignored."""
    pages = [page for page in islice(file.pages, _MAX_PAGES + 1) if isinstance(page, TiffPage)]
    images = [page for page in pages if not page.subfiletype & (_REDUCED | _MASK)] or pages
    if not images:
        raise UnreadableImageError("the TIFF file has no page")
    full = max(images, key=lambda page: page.imagewidth * page.imagelength)
    others = [page for page in images if page is not full and not _is_reduced_copy(page, full)]
    if others:
        raise UnreadableImageError(
            f"expected one radiograph, got {len(others) + 1} pages of full size (NewSubfileType {full.subfiletype})"
        )
    return full


def _is_reduced_copy(page: TiffPage, full: TiffPage) -> bool:
    across, down = page.imagewidth / full.imagewidth, page.imagelength / full.imagelength
    rounding = 1 / max(1, min(page.imagewidth, page.imagelength))
    return max(across, down) <= _COPY_MAX_SCALE and abs(across / down - 1) <= _COPY_ASPECT_TOLERANCE + rounding


def _check_kind(page: TiffPage) -> None:
    """Check that the samples are real numbers of gray or colour."""
    if page.imagedepth > 1:
        raise UnreadableImageError(f"the tag ImageDepth is {page.imagedepth}, expected one radiograph")
    if page.samplesperpixel > _MAX_SAMPLES:
        raise UnreadableImageError(f"the tag SamplesPerPixel is {page.samplesperpixel}, expected 1 to {_MAX_SAMPLES}")
    if page.dtype is None or page.dtype.kind not in "buif":
        raise UnreadableImageError(
            f"the tags SampleFormat and BitsPerSample are {page.sampleformat} and {page.bitspersample}, "
            "expected real numbers of up to 64 bits"
        )
    if int(page.photometric) not in _TO_GRAY:
        raise UnreadableImageError(
            f"the tag PhotometricInterpretation is {int(page.photometric)} "
            f"({getattr(page.photometric, 'name', 'unknown')}), expected gray, RGB, YCbCr, CIELab or a palette"
        )


def _check_whole(page: TiffPage, file_bytes: int) -> None:
    """Check that no strip or tile is missing, since tifffile leaves them out silently."""
    expected = prod(page.chunked)
    chunks = list(zip(page.dataoffsets, page.databytecounts, strict=False))[:expected]
    part = "tiles" if page.is_tiled else "strips"
    present = sum(1 for offset, count in chunks if offset > 0 and count > 0)
    if present < expected:
        raise UnreadableImageError(f"the file is cut short: {present} of {expected} {part} are there")
    end = max(offset + count for offset, count in chunks)
    if end > file_bytes:
        raise cut_short("the file", file_bytes, end)
    if page.is_contiguous:
        stored = sum(count for _, count in chunks)
        if min(stored, file_bytes - page.dataoffsets[0]) < page.nbytes:
            raise cut_short(f"the data of the {part}", min(stored, file_bytes - page.dataoffsets[0]), page.nbytes)
    if page.compression not in _NO_CODECS:
        for offset, count in chunks:
            page.parent.filehandle.seek(offset)
            segment = page.parent.filehandle.read(count)
            check_codestream(segment)
            if segment.startswith(JPEG_START):
                check_end(segment)


def _gray(page: TiffPage) -> tuple[np.ndarray, tuple[ImageWarning, ...]]:
    samples = page.asarray(squeeze=False, maxworkers=1)  # (separate samples, depth, height, width, samples)
    separate, depth, height, width, together = samples.shape
    if depth != 1 or min(separate, together) != 1:
        raise UnreadableImageError(f"expected one radiograph, got samples of shape {samples.shape}")
    samples = np.moveaxis(samples[:, 0], 0, -1).reshape(height, width, separate * together)
    if samples.dtype == np.float16:
        samples = samples.astype(np.float32)
    if samples.dtype == bool:
        samples = samples.astype(np.uint8) * np.uint8(255)
    pixels = _TO_GRAY[int(page.photometric)](samples, page)
    if _PHOTOMETRIC in page.tags:
        return pixels, ()
    sentence = "the TIFF tag PhotometricInterpretation is absent: large values were taken for bright"
    return pixels, (ImageWarning(POLARITY, sentence),)


def _black_is_zero(samples: np.ndarray, page: TiffPage) -> np.ndarray:
    return np.ascontiguousarray(samples[..., 0])


def _white_is_zero(samples: np.ndarray, page: TiffPage) -> np.ndarray:
    bits = page.bitspersample if isinstance(page.bitspersample, int) else 8 * samples.itemsize
    return inverted(samples[..., 0], 255 if bits == 1 else (1 << bits) - 1)


def _rgb(samples: np.ndarray, page: TiffPage) -> np.ndarray:
    return luminance(samples)


def _palette(samples: np.ndarray, page: TiffPage) -> np.ndarray:
    if page.colormap is None:
        raise UnreadableImageError("the tag PhotometricInterpretation is 3 (palette) but the tag ColorMap is absent")
    table = luminance(np.asarray(page.colormap).T)
    return table[np.minimum(samples[..., 0], len(table) - 1)]


def _ycbcr(samples: np.ndarray, page: TiffPage) -> np.ndarray:
    is_rgb = page.compression in (6, 7)  # JPEG, converted by its decoder
    return luminance(samples) if is_rgb else _black_is_zero(samples, page)


_TO_GRAY = {
    PHOTOMETRIC.MINISWHITE.value: _white_is_zero,
    PHOTOMETRIC.MINISBLACK.value: _black_is_zero,
    PHOTOMETRIC.RGB.value: _rgb,
    PHOTOMETRIC.PALETTE.value: _palette,
    PHOTOMETRIC.YCBCR.value: _ycbcr,
    PHOTOMETRIC.CIELAB.value: _black_is_zero,  # lightness comes first
}


def _orientations(page: TiffPage) -> list[Statement]:
    """The tag of TIFF, then EXIF, then XMP."""
    statements: list[Statement] = []
    if ORIENTATION_TAG in page.tags:
        statements.append(("TIFF", int(page.tags[ORIENTATION_TAG].value)))
    exif = page.tags.valueof(_EXIF)
    if isinstance(exif, dict) and isinstance(exif.get("Orientation"), int):
        statements.append(("EXIF", exif["Orientation"]))
    xmp = page.tags.valueof(_XMP, b"")
    return statements + xmp_orientation(xmp if isinstance(xmp, bytes) else str(xmp).encode())


def _pixel_shapes(page: TiffPage) -> list[PixelShape]:
    """What both resolutions state, whatever their unit: pixels are as wide as there are few of them across."""
    fractions = [page.tags.valueof(code) for code in _RESOLUTIONS]
    if not all(isinstance(one, tuple) and len(one) == 2 and min(one) > 0 for one in fractions):
        return []
    across, down = (above / below for above, below in fractions)
    return [PixelShape("The TIFF resolution", down, across)]


def _geometry(path: Path, width: int, height: int, orientation: int) -> ImageGeometry:
    """Geometry of the stored raster; ITK mirrors it by the orientation tag, but never exchanges rows and columns."""
    presented = raster_geometry(path, "TIFFImageIO", DENSITY)
    across, down = orientation in _ITK_REVERSES_COLUMNS, orientation in _ITK_REVERSES_ROWS
    return mirrored(presented, width, height, across, down)
