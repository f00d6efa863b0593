"""Images in work, cached with their network output, so that corrections need neither reading nor a network pass."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from ...image_io import Radiograph, read_radiograph
from ...learning.prediction.request import PredictionCache
from ..models import FileSignature, file_signature

MAX_IMAGES = 6
MAX_BYTES = 400_000_000
IDLE_TIMEOUT_S = 900.0
"""An image that was not requested for longer is evicted at the next request."""
_CHUNK_BYTES = 1_000_000
_OUTPUT_BYTES = 10_000_000  # roughly, of the network output


@dataclass(eq=False)
class CachedImage:
    """A radiograph with the network output of one weight file.

    Attributes:
        radiograph: the image.
        is_corrected: whether a request had fixed landmarks; such images are evicted last.
    """

    radiograph: Radiograph
    is_corrected: bool = False
    _output: tuple[FileSignature, PredictionCache] | None = field(default=None, repr=False)

    def output_of(self, weights: FileSignature) -> PredictionCache | None:
        """Network output of these weights; ``None`` if they have not run on the image."""
        return self._output[1] if self._output is not None and self._output[0] == weights else None

    def store_output(self, weights: FileSignature, output: PredictionCache) -> None:
        """Replace the network output."""
        self._output = weights, output

    @property
    def size(self) -> int:
        """Bytes of memory, roughly."""
        rasters = 1 if self.radiograph.geometry.pixel_aspect == 1.0 else 2  # the second has square pixels
        return rasters * int(self.radiograph.pixels.nbytes) + _OUTPUT_BYTES


@dataclass(eq=False)
class _Entry:
    signature: FileSignature
    digest: bytes
    image: CachedImage
    used: float


class ImageCache:
    """A small thread-safe cache of images by file, or by content where a file was sent again.

    Args:
        max_images: images that are kept.
        max_bytes: memory that they may take; one image is kept whatever its size.
        idle_timeout_s: see ``IDLE_TIMEOUT_S``.
    """

    def __init__(
        self, max_images: int = MAX_IMAGES, max_bytes: int = MAX_BYTES, idle_timeout_s: float = IDLE_TIMEOUT_S
    ) -> None:
        self._max_images, self._max_bytes, self._idle_timeout_s = max_images, max_bytes, idle_timeout_s
        self._lock = threading.Lock()
        self._entries: list[_Entry] = []  # least recently used first

    def __len__(self) -> int:
        return len(self._entries)

    def load(self, path: Path) -> CachedImage:
        """The image of a file, from memory where the file has not changed.

        Raises:
            UnreadableImageError: the file cannot be read.
        """
        try:
            signature = file_signature(path)
            image = self._find(signature)
            digest = b"" if image else _digest(path)
        except OSError:
            return CachedImage(read_radiograph(path))  # raises the reason
        image = image or self._find(signature, digest)
        if image is None:
            image = CachedImage(read_radiograph(path))
            if _is_unchanged(path, signature):
                with self._lock:
                    self._entries.append(_Entry(signature, digest, image, time.monotonic()))
                    self._evict()
        return image

    def _find(self, signature: FileSignature, digest: bytes | None = None) -> CachedImage | None:
        with self._lock:
            for index, entry in enumerate(self._entries):
                if entry.signature == signature or entry.digest == digest:
                    entry.signature, entry.used = signature, time.monotonic()
                    self._entries.append(self._entries.pop(index))
                    self._evict()
                    return entry.image
        return None

    def _evict(self) -> None:
        """Evict idle images, then what exceeds the limits: uncorrected images first, the oldest first."""
        since = time.monotonic() - self._idle_timeout_s
        self._entries = [entry for entry in self._entries[:-1] if entry.used >= since] + self._entries[-1:]
        while len(self._entries) > 1 and (
            len(self._entries) > self._max_images or sum(entry.image.size for entry in self._entries) > self._max_bytes
        ):
            older = self._entries[:-1]
            self._entries.remove(next((entry for entry in older if not entry.image.is_corrected), older[0]))


def _digest(path: Path) -> bytes:
    """Digest of a file's content and suffix, which together decide how it is read."""
    content = hashlib.blake2b(path.suffix.lower().encode())
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            content.update(chunk)
    return content.digest()


def _is_unchanged(path: Path, signature: FileSignature) -> bool:
    try:
        return file_signature(path) == signature
    except OSError:
        return False
