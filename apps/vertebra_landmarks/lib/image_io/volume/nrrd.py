"""Reads NRRD files of one plane, along any two axes, with the pixels in the file itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import UnreadableImageError, check_size, itk_error_text
from ..radiograph import Radiograph
from ..raster.luminance import luminance
from .itk_geometry import geometry_of, open_with_itk, plane_axes, plane_radiograph

_MAX_HEADER_BYTES = 1 << 20
_MAX_COMPONENTS = 4
_TRUNCATION_MESSAGES = ("fread got only", "bytes but received", "unexpected end of file", "hit EOF", "EOF")
_SPACE_KEY, _RAS = "NRRD_space", ("right-anterior-superior", "RAS")


def read_nrrd(path: Path) -> Radiograph:
    """Read a NRRD file.

    Raises:
        UnreadableImageError: it cannot be read.
    """
    _check_attached(path)
    try:
        reader = open_with_itk(path, "NrrdImageIO")
        axes = plane_axes(reader.GetSize())
        width, height = (reader.GetSize()[axis] for axis in axes)
        check_size(width, height)
        _check_components(reader)
        pixels = _gray(reader.Execute(), width, height)
        geometry = geometry_of(reader, axes, "file header")
    except RuntimeError as error:
        raise UnreadableImageError(_reason(error)) from error
    except ValueError as error:
        if isinstance(error, UnreadableImageError):
            raise
        raise UnreadableImageError(f"the geometry in the NRRD header is invalid ({error})") from error
    return plane_radiograph(pixels, geometry, "NRRD space directions", _is_ras(reader))


def _is_ras(reader: sitk.ImageFileReader) -> bool:
    """Whether the directions are stated in RAS, of which programs that know no directions write the identity."""
    return bool(reader.HasMetaDataKey(_SPACE_KEY) and reader.GetMetaData(_SPACE_KEY) in _RAS)


def _check_attached(path: Path) -> None:
    """Check that the pixels are in the file itself: a header could name any other file of the computer."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_MAX_HEADER_BYTES)
    except OSError as error:
        raise UnreadableImageError(f"cannot be opened ({error.strerror})") from error
    for line in head.splitlines():
        if not line.strip():
            return
        field, _, value = line.partition(b":")
        if field.strip().lower().replace(b" ", b"") == b"datafile":
            name = value.strip().decode(errors="replace")
            raise UnreadableImageError(
                f"the NRRD field 'data file' is {name!r}, expected the pixels in the file itself"
            )


def _check_components(reader: sitk.ImageFileReader) -> None:
    components = reader.GetNumberOfComponents()
    if not 1 <= components <= _MAX_COMPONENTS:
        raise UnreadableImageError(f"expected gray or colour values, got {components} components per pixel")


def _gray(image: sitk.Image, width: int, height: int) -> np.ndarray:
    values = sitk.GetArrayFromImage(image)
    if values.dtype.kind not in "uif":
        raise UnreadableImageError(f"expected gray values, got {values.dtype} pixels")
    if image.GetNumberOfComponentsPerPixel() > 1:
        values = luminance(values)
    return values.reshape(height, width)


def _reason(error: RuntimeError) -> str:
    reason = itk_error_text(error)
    if any(message in str(error) for message in _TRUNCATION_MESSAGES):
        return f"the file is cut short ({reason})"
    return f"the image is damaged or of an unknown kind ({reason})"
