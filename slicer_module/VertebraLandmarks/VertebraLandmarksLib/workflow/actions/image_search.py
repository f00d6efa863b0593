"""Incremental search in the list of images, in steps short enough for 100,000 images."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ...client.responses import HAS_PREDICTION, LABELLED, READ, UNLABELLED, ImageEntry

MAX_HITS = 500
STATUS_TEXTS = {UNLABELLED: "unlabelled", HAS_PREDICTION: "predicted", READ: "read", LABELLED: "labelled"}
_BATCH_SIZE = 200


class ImageSearch:
    """Searches words in name, status, user and time of images.

    The text of an image is built once, and kept while the entry stays the same at its position in the list.

    Attributes:
        hits: the first matches, at most ``MAX_HITS``, in the order of the list.
        count: number of all matches.
        is_done: whether the whole list was searched.
    """

    def __init__(self) -> None:
        self.hits: list[ImageEntry] = []
        self.count = 0
        self.is_done = True
        self._entries: Sequence[ImageEntry] = ()
        self._words: list[str] = []
        self._next = 0
        self._texts: list[str] = []
        self._old_entries: Sequence[ImageEntry] = ()
        self._old_texts: list[str] = []

    def start(self, entries: Sequence[ImageEntry], query: str) -> None:
        """Start a new search.

        Args:
            entries: the list; it is not copied.
            query: words, all of which must occur, ignoring case; "" for the whole list.
        """
        if entries is not self._entries:
            self._old_entries, self._old_texts = self._entries, self._texts
            self._entries, self._texts = entries, [""] * len(entries)
        self._words, self._next = query.casefold().split(), 0
        self.hits, self.count, self.is_done = [], 0, False
        if not self._words:
            self.hits, self.count, self.is_done = list(entries[:MAX_HITS]), len(entries), True

    def advance(self, seconds: float) -> bool:
        """Search for about this time; returns whether the search is done."""
        end = time.perf_counter() + seconds
        while not self.is_done and time.perf_counter() < end:
            batch = range(self._next, min(self._next + _BATCH_SIZE, len(self._entries)))
            matches = [self._entries[i] for i in batch if self._matches(i)]
            self.count += len(matches)
            self.hits += matches[: MAX_HITS - len(self.hits)]
            self._next += _BATCH_SIZE
            self.is_done = self._next >= len(self._entries)
        return self.is_done

    def _matches(self, i: int) -> bool:
        text = self._texts[i]
        if not text:
            entry = self._entries[i]
            is_same = i < len(self._old_entries) and self._old_entries[i] is entry
            text = (self._old_texts[i] if is_same else "") or " ".join(image_row(entry)).casefold()
            self._texts[i] = text
        return all(word in text for word in self._words)


def image_row(entry: ImageEntry) -> tuple[str, str, str, str]:
    """Name, status, user and time of an image, for display."""
    time_text = "" if entry.timestamp is None else format_time(entry.timestamp)
    return entry.id, STATUS_TEXTS[entry.status], entry.user, time_text


def format_time(seconds: float) -> str:
    """Local date and time of a Unix time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
