"""Reads a radiograph from a file of any format as one gray image with the pixels of the original."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..spine.image_suffixes import DICOM_SUFFIXES, NIFTI_SUFFIXES
from . import formats
from .dicom.image import read_dicom
from .errors import UnreadableImageError
from .radiograph import Radiograph
from .raster.png_jpeg_bmp import read_raster
from .raster.tiff import read_tiff
from .volume.nifti import read_nifti
from .volume.nrrd import read_nrrd

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

    ``docs/IMAGES.md`` lists which tags count in which order, and what is refused.

    Args:
        path: file to read.

    Raises:
        UnreadableImageError: the file does not exist, is not an image, is damaged or cut short, has several slices,
            or is too large.
    """
    path = Path(path)
    try:
        radiograph = _READERS[_format_of(path)](path)
    except UnreadableImageError as error:
        raise UnreadableImageError(f"{path.name}: {error}") from error
    except MemoryError as error:
        raise UnreadableImageError(f"{path.name}: there is not enough memory for the image") from error
    radiograph.pixels.setflags(write=False)  # requests share cached radiographs
    return radiograph


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
    kind = formats.format_of(head)
    name = path.name.lower()
    if kind in _READERS:
        return kind
    if kind == "gzip archive" and name.endswith(NIFTI_SUFFIXES):
        return formats.NIFTI
    if kind is None and name.endswith(DICOM_SUFFIXES):
        return formats.DICOM  # whose reader names what is missing
    expected = f"{', '.join(formats.READABLE[:-1])} or {formats.READABLE[-1]}"
    if kind is None:
        raise UnreadableImageError(f"not an image in a known format, expected {expected}")
    article = "an" if kind[0] in "AIX" or kind[:3] in ("HTM", "SVG") else "a"
    raise UnreadableImageError(f"the file is {article} {kind}, expected {expected}")
