"""The list of images and the search in it, in small steps, so that nobody waits for 100,000 of them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ...client.responses import HAS_PREDICTION, LABELLED, UNLABELLED, ImageEntry

MAX_HITS = 500
"""How many images are listed; one finds the others by a search."""
STATUS = {UNLABELLED: "unlabelled", HAS_PREDICTION: "predicted", LABELLED: "labelled"}
_BATCH_SIZE = 200


class ImageSearch:
    """Looks for words in name, status, user and time of images.

    The text of an image is put together once, and kept while the image stays the same at its place in the list.

    Attributes:
        hits: the first images found, ``MAX_HITS`` at most, in the order of the list.
        count: of all that were found.
        is_done: whether all of the list was looked through.
    """

    def __init__(self) -> None:
        self.hits: list[ImageEntry] = []
        self.count = 0
        self.is_done = True
        self._entries: Sequence[ImageEntry] = ()
        self._words: list[str] = []
        self._next = 0
        self._texts: list[str] = []
        self._before: Sequence[ImageEntry] = ()
        self._texts_before: list[str] = []

    def begin(self, entries: Sequence[ImageEntry], words: str) -> None:
        """Start anew.

        Args:
            entries: the list; it is not copied.
            words: all of which must occur, in any case; none for the whole list.
        """
        if entries is not self._entries:
            self._before, self._texts_before = self._entries, self._texts
            self._entries, self._texts = entries, [""] * len(entries)
        self._words, self._next = words.casefold().split(), 0
        self.hits, self.count, self.is_done = [], 0, False
        if not self._words:
            self.hits, self.count, self.is_done = list(entries[:MAX_HITS]), len(entries), True

    def go_on(self, seconds: float) -> bool:
        """Look on for about so long; returns whether all is found."""
        end = time.perf_counter() + seconds
        while not self.is_done and time.perf_counter() < end:
            some = range(self._next, min(self._next + _BATCH_SIZE, len(self._entries)))
            found = [self._entries[i] for i in some if self._has_words(i)]
            self.count += len(found)
            self.hits += found[: MAX_HITS - len(self.hits)]
            self._next += _BATCH_SIZE
            self.is_done = self._next >= len(self._entries)
        return self.is_done

    def _has_words(self, i: int) -> bool:
        text = self._texts[i]
        if not text:
            entry = self._entries[i]
            is_same = i < len(self._before) and self._before[i] is entry
            text = (self._texts_before[i] if is_same else "") or " ".join(line(entry)).casefold()
            self._texts[i] = text
        return all(word in text for word in self._words)


def line(entry: ImageEntry) -> tuple[str, str, str, str]:
    """Name, status, user and time of an image."""
    return entry.id, STATUS[entry.status], entry.user, "" if entry.when is None else format_time(entry.when)


def format_time(seconds: float) -> str:
    """A time as people read it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
