"""Thumbnails of images: small upright JPEG files, made at the first request and kept in the studies folder."""

from __future__ import annotations

import hashlib
import io
import logging
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from ...image_io import Radiograph, UnreadableImageError, read_radiograph
from ...image_io.window import windowed_bytes
from ...spine.atomic_write import atomic_write
from ...spine.imaging.orientation import UPRIGHT
from ..inference.image_reading import reading
from ..store.datastore import StudiesDatastore
from ..store.images import REASON

logger = logging.getLogger(__name__)

WIDTH, HEIGHT = 120, 240
"""Pixels that a thumbnail fits."""
MAX_THUMBNAILS = 50_000
"""Files in the folder, about 4 kB each; the oldest are deleted from time to time where there are more."""
FOLDER = "thumbnails"
_SUFFIX = ".jpg"
_DIGITS = 20  # of each of the two digests in a key
_QUALITY = 80
_OVERSAMPLING = 2  # pixels of the image that are averaged before it is resized, per pixel of the thumbnail
_VERSION = "2"  # of what this file draws


class Thumbnails:
    """Thumbnails of a studies folder, made one at a time by each process.

    Args:
        store: the studies folder.
        folder: of the files; it is created.
        max_files: see ``MAX_THUMBNAILS``.
    """

    def __init__(self, store: StudiesDatastore, folder: Path, max_files: int = MAX_THUMBNAILS) -> None:
        self._store, self._folder, self._max_files = store, folder, max_files
        self._lock = threading.Lock()
        self._made = 0

    def key(self, image: str) -> str:
        """What changes with the file of an image; the ETag of its thumbnail."""
        size, mtime_ns = self._store.file_state(image)
        return _digest(image) + _digest(f"{_VERSION}\0{size}\0{mtime_ns}")

    def forget(self, image: str) -> None:
        """Delete the thumbnails of an image that was removed, those of earlier files of it, too."""
        self._delete(_digest(image))

    def _delete(self, of_image: str, kept: Path | None = None) -> None:
        """Delete the files whose keys begin with the digest of an image, but one."""
        for path in self._folder.glob(f"{of_image[:2]}/{of_image}*{_SUFFIX}"):
            if path != kept:
                with suppress(OSError):  # deleted by another process, or not to be deleted
                    path.unlink()

    def cached(self, key: str) -> bytes | None:
        """The JPEG file of a key; ``None`` if it has not been made."""
        with suppress(OSError):
            return self._path(key).read_bytes()
        return None

    def make(self, image: str, key: str) -> bytes:
        """The JPEG file of an image, read from the folder or made and kept there.

        Raises:
            HTTPException: 404, there is no image of that id.
            UnreadableImageError: it cannot be read.
        """
        with self._lock:
            content = self.cached(key)
            if content is not None:
                return content
            reason = self._store.get_image_info(image).get(REASON)
            if reason is not None:
                raise UnreadableImageError(str(reason))
            with reading(self._store, image) as path:
                content = draw_thumbnail(read_radiograph(path))
            self._keep(key, content)
            return content

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}{_SUFFIX}"

    def _keep(self, key: str, content: bytes) -> None:
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as temporary:
                temporary.write_bytes(content)
            self._delete(key[:_DIGITS], kept=path)
            self._made += 1
            if self._made % max(1, self._max_files // 8) == 1:
                self._prune()
        except OSError as error:  # such as a full disk; it is made again next time
            logger.warning("A thumbnail could not be kept: %s", error.strerror)

    def _prune(self) -> None:
        """Delete those of images that vanished while no server ran, and the oldest quarter if there are too many."""
        present = {_digest(image) for image in self._store.list_images()}
        times: dict[Path, int] = {}
        for path in self._folder.glob(f"*/*{_SUFFIX}"):
            with suppress(OSError):  # deleted by another process
                if path.name[:_DIGITS] in present:
                    times[path] = path.stat().st_mtime_ns
                else:
                    path.unlink()
        if len(times) > self._max_files:
            kept = self._max_files - self._max_files // 4
            for path in sorted(times, key=times.__getitem__)[: len(times) - kept]:
                path.unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_DIGITS]


def draw_thumbnail(radiograph: Radiograph) -> bytes:
    """An image as a JPEG file, upright as its file states, its gray range stretched, and no larger than it is."""
    pixels = (radiograph.orientation or UPRIGHT).upright_pixels(radiograph.square_pixels)
    height, width = pixels.shape
    scale = min(WIDTH / width, HEIGHT / height, 1.0)
    pixels = _averaged(pixels, max(1, int(1 / (_OVERSAMPLING * scale))))
    gray = Image.fromarray(windowed_bytes(pixels))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    stream = io.BytesIO()
    gray.resize(size, Image.Resampling.LANCZOS).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def _averaged(pixels: np.ndarray, step: int) -> np.ndarray:
    """Means of blocks of ``step`` x ``step`` pixels; of fewer at the right and lower edge, where blocks are cut."""
    if step == 1:
        return pixels
    rows, columns = (np.arange(0, size, step) for size in pixels.shape)
    sums = np.stack(
        [
            np.add.reduceat(pixels[row : row + step].sum(0, dtype=np.float64), columns)  # little memory at a time
            for row in rows.tolist()
        ]
    )
    counts = np.outer(*(np.diff([*starts, size]) for starts, size in zip((rows, columns), pixels.shape, strict=True)))
    means: np.ndarray = (sums / counts).astype(np.float32)
    return means
