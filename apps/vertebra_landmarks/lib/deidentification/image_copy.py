"""One image, de-identified: written under its new name, read again, and compared with the original."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..image_io import Radiograph, UnreadableImageError, formats, is_dicom, read_radiograph
from .dicom_profile import deidentified_dicom
from .plain_files import SUFFIX_OF, write_plain
from .pseudonyms import Pseudonyms

_TOLERANCE_MM = 1e-3


class ImageCopy(NamedTuple):
    """A copy of an image.

    Attributes:
        path: the file.
        original: as read from the original file.
        copy: as read from the copy.
        concerns: reasons to look at the pixels for names.
    """

    path: Path
    original: Radiograph
    copy: Radiograph
    concerns: list[str]


def copy_image(source: Path, folder: Path, name: str, pseudonyms: Pseudonyms, patient: str) -> ImageCopy:
    """Copy an image without what identifies its patient.

    Args:
        source: the original.
        folder: where the copy goes.
        name: of the copy, without a suffix.
        pseudonyms: stand-ins.
        patient: whose image it is.

    Raises:
        UnreadableImageError: it cannot be read, de-identified, or would not be the same image; nothing is left then.
        OSError: it cannot be written.
    """
    original = read_radiograph(source)
    if is_dicom(source):
        content, concerns = deidentified_dicom(source, pseudonyms, patient)
        path = folder / f"{name}.dcm"
        path.write_bytes(content)
    else:
        with source.open("rb") as stream:
            kind = formats.format_of(stream.read(formats.HEAD_BYTES))
        kind = kind if kind in SUFFIX_OF else formats.NIFTI  # which read_radiograph found in a gzip archive
        path, concerns = folder / f"{name}{SUFFIX_OF[kind]}", []
        write_plain(source, kind, original, path)
    try:
        copy = read_radiograph(path)
        if not _is_same(original, copy):
            raise UnreadableImageError("its copy would be read as another image")
    except UnreadableImageError:
        path.unlink()
        raise
    return ImageCopy(path, original, copy, concerns)


def _is_same(original: Radiograph, copy: Radiograph) -> bool:
    """Whether pixels, their size and shape, orientation and sides are read alike."""
    sizes = [size and (size.x, size.y) for size in (original.millimetres, copy.millimetres)]
    before, after = (
        (*of.spacing, *of.origin, *of.along_row, *of.down_column, of.pixel_aspect)
        for of in (original.geometry, copy.geometry)
    )
    return (
        np.array_equal(original.pixels, copy.pixels)
        and (original.orientation, original.image_left_is) == (copy.orientation, copy.image_left_is)
        and (sizes[0] is None) == (sizes[1] is None)
        and np.allclose(sizes[0] or (), sizes[1] or (), rtol=1e-6)
        and np.allclose(before, after, rtol=1e-6, atol=_TOLERANCE_MM)
    )
