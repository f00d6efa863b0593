"""Reading images of the studies folder: those that turn out to be unreadable are remembered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import HTTPException

from ...image_io import UnreadableImageError, read_radiograph
from ..store.datastore import StudiesDatastore

_MAX_KNOWN = 100_000


@contextmanager
def reading(store: StudiesDatastore, image: str) -> Iterator[Path]:
    """The path of an image that is read while the block lasts.

    Where the block ends with an ``UnreadableImageError``, or an error of HTTP that comes from one, the image is no
    longer handed out as the next one until its file is another.

    Raises:
        HTTPException: 404, there is none of that id.
    """
    path = store.get_image_uri(image)
    if not path:
        raise HTTPException(404, detail=f"there is no image {image!r:.80} in the studies folder")
    before = store.file_state(image)
    try:
        yield Path(path)
    except (UnreadableImageError, HTTPException) as error:
        reason = error.__cause__ if isinstance(error, HTTPException) else error
        if isinstance(reason, UnreadableImageError):
            store.note_unreadable(image, str(reason), before)
        raise


class ReadableImages:
    """Which images of the folder can be read: each file is tried once, and remembered until it is another."""

    def __init__(self) -> None:
        self._known: dict[str, object] = {}

    def holds(self, store: StudiesDatastore, image: str) -> bool:
        """Whether an image can be read; one that cannot is noted in the store with the reason."""
        state = store.file_state(image)
        if state is not None and self._known.get(image) == state:
            return True
        try:
            with reading(store, image) as path:
                read_radiograph(path)
        except (UnreadableImageError, HTTPException):
            return False
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[image] = state
        return True
