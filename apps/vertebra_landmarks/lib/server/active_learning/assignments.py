"""Which films were just given to somebody, so that two people do not label the same one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from filelock import FileLock

from ...spine.atomic_write import atomic_write

FILE, LOCK = "given.json", "given.lock"
MINUTES = 20.0
"""A film that is not labelled after so long may be given again."""


class GivenFilms:
    """Films by the time at which they were given; in a file that all workers of a server share.

    Args:
        folder: of the file.
        minutes: for which a film is not given again while there are others.
    """

    def __init__(self, folder: Path, minutes: float = MINUTES) -> None:
        self._folder, self._seconds = Path(folder), 60 * minutes

    def give(self, pick: Callable[[Collection[str]], str | None]) -> str | None:
        """The film that is picked when those just given are passed over; else of these the one given longest ago.

        Args:
            pick: the best film that is not among some; ``None`` if there is none.

        Raises:
            OSError: the file cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / FILE
        with FileLock(self._folder / LOCK):
            now = time.time()
            given = {image: when for image, when in _read(path).items() if 0 <= now - when < self._seconds}
            image, kept = _picked(pick, sorted(given, key=given.__getitem__, reverse=True))
            if image is not None:
                left = {name: given[name] for name in kept}
                with atomic_write(path) as temporary:
                    temporary.write_text(json.dumps({**left, image: now}), encoding="utf-8")
        return image


def _picked(
    pick: Callable[[Collection[str]], str | None], newest_first: Sequence[str]
) -> tuple[str | None, Sequence[str]]:
    """The film that is picked when as many of those that were given last are passed over as quickly found.

    Returns:
        It, and of the films that were given those that may still be open.
    """
    image, kept, freed = pick(newest_first), newest_first, 1
    while image is None and kept:
        passed_over = newest_first[: max(len(newest_first) - freed, 0)]
        image = pick(passed_over)
        if image is None:  # then none of the others is open
            kept = passed_over
        freed *= 2
    return image, kept


def _read(path: Path) -> dict[str, float]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(image): float(when) for image, when in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):  # missing or damaged: nobody was given anything
        return {}
