"""NIfTI: one plane, along any two axes."""

from __future__ import annotations

import zlib
from pathlib import Path

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from ...spine.image_suffixes import NIFTI_SUFFIXES
from ...spine.planes import Plane
from .error_text import itk_text_of, text_of
from .itk_geometry import geometry_of, open_with_itk, plane_axes
from .limits import check_size
from .luminance import finite, luminance
from .margins import fill_margins
from .radiograph import Radiograph, UnreadableImageError
from .volumes import millimetres_of, orientation_of_plane, stated_plane

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
        raise UnreadableImageError(f"the file is damaged or cut short ({text_of(error)})") from error
    except _ERRORS as error:
        raise UnreadableImageError(f"the image is damaged or of an unknown kind ({text_of(error)})") from error
    pixels = _gray(values.reshape(width, height, order="F").T)
    try:
        reader = open_with_itk(path, "NiftiImageIO")
        geometry = geometry_of(reader, axes, "file header")
    except (RuntimeError, ValueError) as error:
        reason = itk_text_of(error) if isinstance(error, RuntimeError) else str(error)
        raise UnreadableImageError(f"the NIfTI header places the pixels nowhere ({reason})") from error
    plane = stated_plane(geometry)
    orientation, source = orientation_of_plane(plane, "NIfTI affine", is_default=_is_default(plane, has_qform))
    return Radiograph(
        fill_margins(finite(pixels)),
        geometry,
        millimetres_of(geometry),
        None if plane is None else plane.image_left_is,
        orientation,
        source,
        () if plane is None else plane.warnings("NIfTI affine"),
    )


def _check_offset(offset: int) -> None:
    """See that the pixels begin near the header; in a compressed file all bytes before them are unpacked."""
    if not 0 <= offset <= _MAX_OFFSET:
        raise UnreadableImageError(f"the NIfTI field vox_offset is {offset}, expected at most {_MAX_OFFSET}")


def _is_default(plane: Plane | None, has_qform: bool) -> bool:
    """Whether an affine is the identity of programs that know of none; those write no qform."""
    return plane is not None and plane.is_half_turned and not has_qform


def _gray(values: np.ndarray) -> np.ndarray:
    if values.dtype.fields:
        channels = [values[name] for name in _COLOR_FIELDS if name in values.dtype.fields]
        if len(channels) < 3:
            raise UnreadableImageError(f"the NIfTI field datatype is {values.dtype}, expected gray or RGB values")
        values = luminance(np.stack(channels, axis=-1))
    if values.dtype.kind not in "uif" or values.dtype.itemsize > 8:
        raise UnreadableImageError(f"the NIfTI field datatype is {values.dtype}, expected real numbers")
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
