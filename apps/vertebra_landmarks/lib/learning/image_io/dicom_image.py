"""DICOM images of one frame."""

from __future__ import annotations

import warnings
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from ...spine.image_geometry import PIXELS, ImageGeometry
from .dicom_gray import gray_pixels
from .dicom_header import millimetres_of, spacing_source, stated_position, view_warnings
from .dicom_pixels import check_image, stored_values
from .dicom_tags import TAG_ERRORS, sizes_of
from .error_text import text_of
from .itk_geometry import geometry_of, open_with_itk
from .luminance import finite
from .margins import fill_margins
from .radiograph import Radiograph, UnreadableImageError


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
            raise UnreadableImageError(f"the DICOM header is damaged ({text_of(error)})") from error
        geometry = _geometry(path, tags)
    return Radiograph(
        fill_margins(finite(pixels)),
        geometry,
        millimetres,
        position.image_left_is,
        position.orientation,
        position.source,
        (*stored.warnings, *gray_warnings, *position.warnings, *views),
    )


def _dataset(path: Path) -> pydicom.Dataset:
    try:
        return pydicom.dcmread(path, force=True)
    except (InvalidDicomError, OSError, EOFError, RecursionError, OverflowError, *TAG_ERRORS) as error:
        raise UnreadableImageError(f"the DICOM header is damaged ({text_of(error)})") from error


def _geometry(path: Path, tags: pydicom.Dataset) -> ImageGeometry:
    """As ITK places the pixels; by ImagerPixelSpacing where ITK cannot read the file."""
    try:
        geometry = geometry_of(open_with_itk(path, "GDCMImageIO"))
    except (RuntimeError, ValueError):
        at_detector = sizes_of(tags, "ImagerPixelSpacing")
        if len(at_detector) != 2:
            return PIXELS
        return ImageGeometry((at_detector[1], at_detector[0]), source="ImagerPixelSpacing")
    source = spacing_source(tags, geometry.spacing)
    return ImageGeometry(geometry.spacing, geometry.origin, geometry.along_row, geometry.down_column, source)
