"""Uploaded files: images, stored under names of our own for one request, and labels, validated against their image."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fastapi import HTTPException
from monailabel.interfaces.datastore import DefaultLabelTag

from ...image_io import Radiograph, UnreadableImageError, is_dicom, read_radiograph
from ...spine.image_suffixes import IMAGE_SUFFIXES, image_suffix
from ...spine.imaging.image_geometry import DENSITY, ImageGeometry
from ...spine.labels.label_exchange import fit_to_image
from ...spine.labels.markups import (
    SUFFIX,
    from_markups,
    is_before_0_8,
    label_of,
    parse_json,
    stated_geometry,
    with_undefined,
)
from ...spine.schema import Spine
from ..store.images import ImageHeader
from .errors import UNREADABLE


class Uploads:
    """Uploaded images in a private folder of this process, on the disk of the studies, so that they move atomically.

    Args:
        folder: of this process.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def store(self, stream: BinaryIO, client_name: str) -> Path:
        """Store an image under a name of our own, with the suffix that the client's name or the content implies.

        Raises:
            HTTPException: 415, neither implies a readable image format.
        """
        suffix = image_suffix(client_name)
        path = Path(tempfile.mkdtemp(dir=self.folder)) / f"image{suffix}"
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
            if not suffix:
                if not is_dicom(path):
                    suffixes = ", ".join(IMAGE_SUFFIXES)
                    raise HTTPException(UNREADABLE, f"the file's name must end with one of {suffixes}")
                path = path.rename(path.with_suffix(".dcm"))
        except BaseException:
            self.discard(path)
            raise
        return path

    @contextlib.contextmanager
    def stored(self, stream: BinaryIO, client_name: str) -> Iterator[Path]:
        """The same, discarded at the end of the block."""
        path = self.store(stream, client_name)
        try:
            yield path
        finally:
            self.discard(path)

    def discard(self, path: Path) -> None:
        """Remove a stored image, if it still exists."""
        shutil.rmtree(path.parent, ignore_errors=True)


def check_readable(image: Path) -> None:
    """Make sure that a stored file is a radiograph.

    Raises:
        HTTPException: 415, it is not.
    """
    try:
        read_radiograph(image)
    except UnreadableImageError as error:
        raise HTTPException(UNREADABLE, str(error)) from error


_LABEL_NAME = f"label{SUFFIX}"


def checked_label(content: bytes, image: ImageHeader | Radiograph, tag: str) -> bytes:
    """The label to save: byte for byte what was sent, unless it has visible points off the image.

    Those become undefined; everything else in the file stays.

    Args:
        content: of the uploaded file.
        image: that is labelled.
        tag: of the label.

    Raises:
        ValueError: it is no Markups file of vertebra landmarks, it is a final label without a point, it was written for
            another image, or it is ambiguous which pixels its positions mean.
    """
    markups = parse_json(content, _LABEL_NAME)
    if is_before_0_8(markups) and image.geometry.source == DENSITY:
        raise ValueError(
            "the label was saved by a Slicer module before 0.8, which took 1 mm for a pixel of this image, while "
            f"Slicer takes {image.geometry.spacing[0]:g} mm from its density: update the module and save it again"
        )
    _check_geometry(stated_geometry(markups, _LABEL_NAME), image.geometry)
    spine = from_markups(markups, image.geometry, _LABEL_NAME)
    if tag == DefaultLabelTag.FINAL.value and not spine.visible.any():
        raise ValueError("a final label needs at least one point, this one has none")
    hidden = _visible(spine) - _visible(fit_to_image(spine, image.width, image.height))
    return json.dumps(with_undefined(markups, hidden), indent=1).encode() if hidden else content


def _check_geometry(stated: ImageGeometry | None, image: ImageGeometry) -> None:
    """Raise if a label was written for an image at another position in Slicer's scene."""
    if stated is not None and not stated.is_close(image):
        raise ValueError(
            f"the label was written for another image: with spacing {_listed(stated.spacing)} mm and origin "
            f"{_listed(stated.origin)} mm, while this one has {_listed(image.spacing)} and {_listed(image.origin)}, or "
            "with other directions"
        )


def _listed(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{number:.6g}" for number in numbers)


def _visible(spine: Spine) -> set[str]:
    return {label_of(v, p) for v, p, mark in spine.points() if mark is not None and mark.is_visible}
