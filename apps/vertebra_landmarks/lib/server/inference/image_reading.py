"""Access to images of the studies folder; those that turn out to be unreadable are marked in the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fastapi import HTTPException

from ...image_io import Radiograph, UnreadableImageError, read_radiograph
from ..overview.patients import note_study
from ..store.datastore import StudiesDatastore
from ..store.images import ImageHeader
from ..store.store_context import ImageUnavailableError

UNAVAILABLE = 503
"""Status of an image that cannot be fetched now."""
_MAX_CACHED = 100_000


@contextmanager
def reading(store: StudiesDatastore, image: str) -> Iterator[Path]:
    """The path of an image while it is read.

    An ``UnreadableImageError``, or an ``HTTPException`` caused by one, marks the image as unreadable: it is not
    assigned until its file changes. Patient and date of one that was read are noted.

    Raises:
        HTTPException: 404, there is no image of that id; 503, it cannot be fetched now.
    """
    try:
        path = store.get_image_uri(image)
    except ImageUnavailableError as error:
        raise HTTPException(UNAVAILABLE, str(error), {"Retry-After": "10"}) from error
    if not path:
        raise HTTPException(404, detail=f"there is no image {image!r:.80} in the studies folder")
    state = store.file_state(image)
    try:
        yield Path(path)
    except (UnreadableImageError, HTTPException) as error:
        reason = error.__cause__ if isinstance(error, HTTPException) else error
        if isinstance(reason, UnreadableImageError):
            store.note_unreadable(image, str(reason), state)
        raise
    note_study(store.context, image)


def header_of(radiograph: Radiograph) -> ImageHeader:
    """What is noted of a radiograph, so that it need not be read again."""
    size = radiograph.millimetres
    mm_per_px = None if size is None else (size.x, size.y)
    return ImageHeader(radiograph.width, radiograph.height, radiograph.geometry, radiograph.frame, mm_per_px)


class ReadableImages:
    """Cache of which images are readable; each file is tried once, by one of the servers."""

    def __init__(self) -> None:
        self._readable: dict[str, object] = {}

    def is_readable(self, store: StudiesDatastore, image: str) -> bool:
        """Whether an image can be read; one that cannot is marked in the store with the reason.

        Raises:
            HTTPException: 503, it cannot be fetched now.
        """
        state = store.file_state(image)
        if state is not None and self._readable.get(image) == state:
            return True
        try:
            with reading(store, image) as path:
                if store.header(image) is None:  # no server has read it before
                    store.note_header(image, header_of(read_radiograph(path)), state)
        except UnreadableImageError:
            return False
        except HTTPException as error:
            if error.status_code == UNAVAILABLE:
                raise
            return False
        if len(self._readable) >= _MAX_CACHED:
            self._readable.clear()
        self._readable[image] = state
        return True

    def check_ahead(self, store: StudiesDatastore, image: str) -> None:
        """Try an image before somebody asks for it."""
        with suppress(HTTPException):  # who asks for it is told
            self.is_readable(store, image)
