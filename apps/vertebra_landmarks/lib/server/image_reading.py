"""Reading images of the studies folder: those that turn out to be unreadable are remembered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import HTTPException

from ..learning.image_io import UnreadableImageError
from .store.datastore import StudiesDatastore


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
