"""The films that people work on, kept in memory, so that a correction is answered without reading them again."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from ...image_io import Radiograph, read_radiograph
from ...learning.prediction.request import PredictionCache
from ..models import Stamp, stamp

MOST_FILMS = 6
MOST_BYTES = 400_000_000
IDLE_S = 900.0
"""A film that nobody has asked about for so long is forgotten at the next request."""
_CHUNK = 1_000_000
_SEEN_BYTES = 10_000_000  # about what is kept beside the pixels


@dataclass(eq=False)
class OpenFilm:
    """A film and what was seen of it.

    Attributes:
        radiograph: the film.
        is_corrected: whether somebody has asked for it with fixed points; it is kept rather than others.
    """

    radiograph: Radiograph
    is_corrected: bool = False
    _seen: tuple[Stamp, PredictionCache] | None = field(default=None, repr=False)

    def seen_with(self, weights: Stamp) -> PredictionCache | None:
        """What these weights saw of the film, if they have looked at it."""
        return self._seen[1] if self._seen is not None and self._seen[0] == weights else None

    def keep(self, weights: Stamp, seen: PredictionCache) -> None:
        """Remember what these weights saw, instead of what others did."""
        self._seen = weights, seen

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return int(self.radiograph.pixels.nbytes) + _SEEN_BYTES


@dataclass(eq=False)
class _Kept:
    stamp: Stamp
    digest: bytes
    film: OpenFilm
    used: float


class OpenFilms:
    """A few films by their files, or by their contents where a file was sent again; safe to use from several threads.

    Args:
        most: films that are kept.
        most_bytes: memory that they may take; one film is kept whatever its size.
        idle_s: see ``IDLE_S``.
    """

    def __init__(self, most: int = MOST_FILMS, most_bytes: int = MOST_BYTES, idle_s: float = IDLE_S) -> None:
        self._most, self._most_bytes, self._idle_s = most, most_bytes, idle_s
        self._lock = threading.Lock()
        self._kept: list[_Kept] = []

    def __len__(self) -> int:
        return len(self._kept)

    def open(self, path: Path) -> OpenFilm:
        """The film of a file, from memory where the file has not changed since.

        Raises:
            UnreadableImageError: the file cannot be read.
        """
        try:
            present = stamp(path)
            film = self._find(present)
            digest = b"" if film else _digest(path)
        except OSError:
            return OpenFilm(read_radiograph(path))  # which says what is wrong
        film = film or self._find(present, digest)
        if film is None:
            film = OpenFilm(read_radiograph(path))
            if _is_still(path, present):
                with self._lock:
                    self._kept.append(_Kept(present, digest, film, time.monotonic()))
                    self._forget()
        return film

    def _find(self, present: Stamp, digest: bytes | None = None) -> OpenFilm | None:
        with self._lock:
            for place, kept in enumerate(self._kept):
                if kept.stamp == present or kept.digest == digest:
                    kept.stamp, kept.used = present, time.monotonic()
                    self._kept.append(self._kept.pop(place))
                    self._forget()
                    return kept.film
        return None

    def _forget(self) -> None:
        """Let go of what is idle, then of what is too much: films that nobody corrects first, the oldest first."""
        since = time.monotonic() - self._idle_s
        self._kept = [kept for kept in self._kept[:-1] if kept.used >= since] + self._kept[-1:]
        while len(self._kept) > 1 and (
            len(self._kept) > self._most or sum(kept.film.size for kept in self._kept) > self._most_bytes
        ):
            older = self._kept[:-1]
            self._kept.remove(next((kept for kept in older if not kept.film.is_corrected), older[0]))


def _digest(path: Path) -> bytes:
    """What a file is read as depends on its content and on how its name ends."""
    content = hashlib.blake2b(path.suffix.lower().encode())
    with path.open("rb") as stream:
        while part := stream.read(_CHUNK):
            content.update(part)
    return content.digest()


def _is_still(path: Path, before: Stamp) -> bool:
    """Whether the file is the one that it was."""
    try:
        return stamp(path) == before
    except OSError:
        return False
