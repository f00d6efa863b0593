"""Files that clients send: kept under names of our own in a private folder for as long as a request lasts."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fastapi import HTTPException

from ...learning.image_io import UnreadableImageError, is_dicom, read_radiograph
from ...spine.image_suffixes import IMAGE_SUFFIXES, image_suffix

UNREADABLE = 415


class Uploads:
    """Images in a folder that only this process uses, on the disk of the studies, so that a file moves in one step.

    Args:
        folder: of this process.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def store(self, stream: BinaryIO, client_name: str) -> Path:
        """Keep an image under a name of our own, with the suffix that the client's name or the content gives it.

        Raises:
            HTTPException: 415, neither says that it is an image that can be read.
        """
        suffix = image_suffix(client_name)
        place = Path(tempfile.mkdtemp(dir=self.folder)) / f"image{suffix}"
        try:
            with place.open("wb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
            if not suffix:
                if not is_dicom(place):
                    known = ", ".join(IMAGE_SUFFIXES)
                    raise HTTPException(UNREADABLE, f"the file's name must end with one of {known}")
                place = place.rename(place.with_suffix(".dcm"))
        except BaseException:
            self.discard(place)
            raise
        return place

    @contextlib.contextmanager
    def stored(self, stream: BinaryIO, client_name: str) -> Iterator[Path]:
        """The same for as long as the block lasts."""
        place = self.store(stream, client_name)
        try:
            yield place
        finally:
            self.discard(place)

    def discard(self, place: Path) -> None:
        """Remove a stored image, if it is still there."""
        shutil.rmtree(place.parent, ignore_errors=True)


def check_readable(image: Path) -> None:
    """See that a stored file is a radiograph.

    Raises:
        HTTPException: 415, it is not.
    """
    try:
        read_radiograph(image)
    except UnreadableImageError as error:
        raise HTTPException(UNREADABLE, str(error)) from error
