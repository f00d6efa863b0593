"""Reading a radiograph from a file, whatever its format, into one gray image with the pixels of the original."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ...spine.image_warnings import NOT_SQUARE, ImageWarning
from . import formats
from .dicom_image import read_dicom
from .nifti import read_nifti
from .nrrd import read_nrrd
from .radiograph import Radiograph, UnreadableImageError
from .raster import read_raster
from .tiff import read_tiff

MAX_ASPECT_ERROR = 0.01
"""Width of a pixel over its height may differ by so much from 1 without a warning."""
_READERS: dict[str, Callable[[Path], Radiograph]] = {
    formats.PNG: read_raster,
    formats.JPEG: read_raster,
    formats.BMP: read_raster,
    formats.TIFF: read_tiff,
    formats.DICOM: read_dicom,
    formats.NRRD: read_nrrd,
    formats.NIFTI: read_nifti,
}


def read_radiograph(path: Path) -> Radiograph:
    """Read PNG, JPEG, TIFF, BMP, DICOM, NRRD or NIfTI; the content decides, not the name.

    ``docs/IMAGES.md`` lists what is obeyed in which order, and what is refused.

    Args:
        path: file to read.

    Raises:
        UnreadableImageError: there is no such file, it is no image, is damaged or cut short, has several slices, or is
            too large.
    """
    path = Path(path)
    try:
        radiograph = _READERS[_format_of(path)](path)
    except UnreadableImageError as error:
        raise UnreadableImageError(f"{path.name}: {error}") from error
    except MemoryError as error:
        raise UnreadableImageError(f"{path.name}: there is not enough memory for the image") from error
    radiograph.pixels.setflags(write=False)  # requests share what a cache keeps
    return replace(radiograph, warnings=(*radiograph.warnings, *_not_square(radiograph)))


def _not_square(radiograph: Radiograph) -> tuple[ImageWarning, ...]:
    """That angles between pixels are not those of the patient."""
    size = radiograph.millimetres
    if size is None or abs(size.x / size.y - 1) <= MAX_ASPECT_ERROR:
        return ()
    message = (
        f"The pixels are not square ({size.x:g} x {size.y:g} mm by {size.source}): angles are measured in pixels, and "
        "are not those of the patient."
    )
    return (ImageWarning(NOT_SQUARE, message),)


def _format_of(path: Path) -> str:
    if not path.is_file():
        raise UnreadableImageError("there is no such file")
    try:
        with path.open("rb") as stream:
            head = stream.read(formats.HEAD_BYTES)
    except OSError as error:
        raise UnreadableImageError(f"cannot be opened ({error.strerror})") from error
    if not head:
        raise UnreadableImageError("the file is empty")
    found = formats.format_of(head)
    name = path.name.lower()
    if found in _READERS:
        return found
    if found == "gzip archive" and name.endswith(formats.NIFTI_SUFFIXES):
        return formats.NIFTI
    if found is None and name.endswith(formats.DICOM_SUFFIXES):
        return formats.DICOM  # says what a DICOM file lacks
    known = f"{', '.join(formats.READABLE[:-1])} or {formats.READABLE[-1]}"
    if found is None:
        raise UnreadableImageError(f"not an image in a known format, expected {known}")
    article = "an" if found[0] in "AIX" or found[:3] in ("HTM", "SVG") else "a"
    raise UnreadableImageError(f"the file is {article} {found}, expected {known}")
