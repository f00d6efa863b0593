"""Reads DICOM images of one frame."""

from __future__ import annotations

import warnings
import zlib
from dataclasses import replace
from pathlib import Path

import pydicom
from pydicom import filereader, uid
from pydicom.errors import InvalidDicomError

from ...spine.imaging.image_geometry import PIXELS, ImageGeometry
from ..errors import MAX_PIXELS, UnreadableImageError, error_text
from ..margins import fill_margins
from ..pixel_shape import shaped_geometry
from ..radiograph import Radiograph
from ..raster.luminance import finite
from ..volume.itk_geometry import geometry_of, open_with_itk
from .gray import gray_pixels
from .header import millimetres_of, pixel_shapes, spacing_source, stated_position, view_warnings
from .pixels import check_image, stored_values
from .tags import TAG_ERRORS, sizes_of

_CHUNK_BYTES, _MAX_PIXEL_BYTES = 1 << 20, 4


def read_dicom(path: Path) -> Radiograph:
    """Read a DICOM file, with or without a preamble.

    Raises:
        UnreadableImageError: it cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of values that a tag should not have
        tags = _dataset(path)
        try:
            check_image(tags)
            stored = stored_values(tags)
            pixels, gray_warnings = gray_pixels(stored, tags)
            position = stated_position(tags)
            views = view_warnings(tags)
            millimetres = millimetres_of(tags)
        except UnreadableImageError:
            raise
        except (*TAG_ERRORS, EOFError, OverflowError, IndexError, RecursionError) as error:
            raise UnreadableImageError(f"the DICOM header is damaged ({error_text(error)})") from error
        geometry, shape_warnings = shaped_geometry(_geometry(path, tags), pixel_shapes(tags))
    return Radiograph(
        fill_margins(finite(pixels)),
        geometry,
        millimetres,
        position.image_left_is,
        position.orientation,
        position.source,
        (*stored.warnings, *gray_warnings, *position.warnings, *views, *shape_warnings),
    )


def _dataset(path: Path) -> pydicom.Dataset:
    try:
        _check_inflated_size(path)
        return pydicom.dcmread(path, force=True)
    except UnreadableImageError:
        raise
    except (InvalidDicomError, OSError, EOFError, RecursionError, OverflowError, zlib.error, *TAG_ERRORS) as error:
        raise UnreadableImageError(f"the DICOM header is damaged ({error_text(error)})") from error


def _check_inflated_size(path: Path) -> None:
    """Check the size of a deflated dataset, since pydicom inflates all of it at once."""
    limit = MAX_PIXELS * _MAX_PIXEL_BYTES
    with path.open("rb") as stream:
        filereader.read_preamble(stream, force=True)
        information = filereader._read_file_meta_info(stream)  # the public one needs a preamble
        if information.get("TransferSyntaxUID") != uid.DeflatedExplicitVRLittleEndian:
            return
        inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while (part := inflater.unconsumed_tail or stream.read(_CHUNK_BYTES)) and not inflater.eof:
            size += len(inflater.decompress(part, _CHUNK_BYTES))
            if size > limit:
                raise UnreadableImageError(f"the deflated dataset has more than {limit:,} bytes")


def _geometry(path: Path, tags: pydicom.Dataset) -> ImageGeometry:
    """The geometry of ITK; by ImagerPixelSpacing where ITK cannot read the file."""
    try:
        geometry = geometry_of(open_with_itk(path, "GDCMImageIO"))
    except (RuntimeError, ValueError):
        at_detector = sizes_of(tags, "ImagerPixelSpacing")
        if len(at_detector) != 2:
            return PIXELS
        return ImageGeometry((at_detector[1], at_detector[0]), source="ImagerPixelSpacing")
    source = spacing_source(tags, geometry.spacing)
    return replace(geometry, source=source)
