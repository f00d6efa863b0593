"""Reads NIfTI files of one plane, along any two axes."""

from __future__ import annotations

import zlib
from pathlib import Path

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from ...spine.image_suffixes import NIFTI_SUFFIXES
from ..errors import UnreadableImageError, check_size, error_text, itk_error_text
from ..radiograph import Radiograph
from ..raster.luminance import luminance
from .itk_geometry import geometry_of, open_with_itk, plane_axes, plane_radiograph

_ERRORS = (ValueError, OverflowError, TypeError, KeyError, ImageFileError, HeaderDataError)
_MAX_OFFSET = 1 << 24
_COLOR_FIELDS = ("R", "G", "B", "A")


def read_nifti(path: Path) -> Radiograph:
    """Read a NIfTI file.

    Raises:
        UnreadableImageError: it cannot be read.
    """
    if not path.name.lower().endswith(NIFTI_SUFFIXES):
        raise UnreadableImageError(f"a NIfTI image, expected a name that ends in {' or '.join(NIFTI_SUFFIXES)}")
    try:
        image = nibabel.load(path, mmap=False)
        size = tuple(int(length) for length in image.shape)
        axes = plane_axes(size)
        padded = (*size, 1, 1, 1)
        width, height = padded[axes[0]], padded[axes[1]]
        check_size(width, height)
        _check_offset(int(image.dataobj.offset))
        has_qform = int(image.header["qform_code"]) > 0
        values = np.asanyarray(image.dataobj)
    except UnreadableImageError:
        raise
    except (EOFError, OSError, zlib.error) as error:
        raise UnreadableImageError(f"the file is damaged or cut short ({error_text(error)})") from error
    except _ERRORS as error:
        raise UnreadableImageError(f"the image is damaged or of an unknown kind ({error_text(error)})") from error
    pixels = _gray(values.reshape(width, height, order="F").T)
    try:
        reader = open_with_itk(path, "NiftiImageIO")
        geometry = geometry_of(reader, axes, "file header")
    except (RuntimeError, ValueError) as error:
        reason = itk_error_text(error) if isinstance(error, RuntimeError) else str(error)
        raise UnreadableImageError(f"the geometry in the NIfTI header is invalid ({reason})") from error
    is_default = not has_qform  # programs that know no directions write the identity, and no qform
    return plane_radiograph(pixels, geometry, "NIfTI affine", is_default)


def _check_offset(offset: int) -> None:
    """Check that the pixels begin near the header, since all bytes before them are decompressed."""
    if not 0 <= offset <= _MAX_OFFSET:
        raise UnreadableImageError(f"the NIfTI field vox_offset is {offset}, expected at most {_MAX_OFFSET}")


def _gray(values: np.ndarray) -> np.ndarray:
    if values.dtype.fields:
        channels = [values[name] for name in _COLOR_FIELDS if name in values.dtype.fields]
        if len(channels) < 3:
            raise UnreadableImageError(f"the NIfTI field datatype is {values.dtype}, expected gray or RGB values")
        values = luminance(np.stack(channels, axis=-1))
    if values.dtype.kind not in "uif" or values.dtype.itemsize > 8:
        raise UnreadableImageError(f"the NIfTI field datatype is {values.dtype}, expected real numbers")
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
