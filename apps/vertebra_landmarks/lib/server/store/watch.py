"""Changes of the folder by others, as they happen: only the names that changed are looked at."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

from ...spine.markups import SUFFIX
from ..privacy import outline
from .folder import LABELS, StudiesFolder
from .images import Images
from .labels import Labels
from .scan import Scan

logger = logging.getLogger(__name__)

QUIET_S = 0.2
"""Time without a change before names are looked at, since files are often written in pieces."""
MOST_QUIET_S = 2.0
"""After which names are looked at though changes go on."""
RETRY_S = 5.0
"""After a failure."""
MOST_NAMES = 5_000
"""Changes at once after which the whole folder is looked at: the system's queue may have overflown."""
MOUNT_S = 60.0
"""On a mounted disk, which need not tell of others' changes, the whole folder is looked at this often."""
_EVENTS = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileClosedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]


class Watch(FileSystemEventHandler):
    """Looks at files that come, change or go until it is closed; where it cannot, a warning says so."""

    def __init__(self, folder: StudiesFolder, images: Images, labels: Labels, scan: Scan) -> None:
        self._folder, self._images, self._labels, self._scan = folder, images, labels, scan
        self._changed: set[Path] = set()
        self._lock, self._wake, self._ended = threading.Lock(), threading.Event(), threading.Event()
        self._top = folder.path.absolute()
        where = self._top.resolve()
        is_on_mount = any(place.is_mount() for place in (where, *where.parents[:-1]))
        self._pause_s = MOUNT_S if is_on_mount else None
        self._tags: dict[str, ObservedWatch] = {}
        self._observer = Observer()
        try:
            self._observer.schedule(self, str(self._top), event_filter=_EVENTS)
            self._observer.schedule(self, str(self._top / LABELS), event_filter=_EVENTS)
            self._watch_tags()
            self._observer.start()
        except OSError as error:
            logger.warning("The studies folder cannot be watched; new files are seen after a restart: %s", error.errno)
        self._thread = threading.Thread(target=self._look, name="studies", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the watch."""
        self._ended.set()
        self._wake.set()
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()
        self._thread.join()

    def _watch_tags(self) -> list[str]:
        """Watch the folders of labels that are new, no longer those that went, and return the tags of the former."""
        present = set(self._folder.tags())
        for tag in set(self._tags) - present:
            with contextlib.suppress(KeyError):  # the observer has noticed by itself
                self._observer.unschedule(self._tags.pop(tag))
        new = sorted(present - set(self._tags))
        for tag in new:
            self._tags[tag] = self._observer.schedule(self, str(self._top / LABELS / tag), event_filter=_EVENTS)
        return new

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Remember what changed."""
        with self._lock:
            self._changed.update(Path(str(path)) for path in (event.src_path, event.dest_path) if path)
        self._wake.set()

    def _look(self) -> None:
        scan_at = self._next_scan()
        while True:
            self._wake.wait(None if scan_at is None else max(0.0, scan_at - time.monotonic()))
            patience = time.monotonic() + MOST_QUIET_S
            while self._wake.is_set() and not self._ended.is_set() and time.monotonic() < patience:
                self._wake.clear()
                self._ended.wait(QUIET_S)
            if self._ended.is_set():
                return
            with self._lock:
                changed, self._changed = self._changed, set()
            try:
                if len(changed) > MOST_NAMES or (scan_at is not None and time.monotonic() >= scan_at):
                    self._scan.run()
                    scan_at = self._next_scan()
                else:
                    self._look_at(changed)
            except Exception as error:  # the database may be away for a while
                logger.warning("Changes of the studies folder could not be read\n%s", outline(error))
                with self._lock:
                    self._changed |= changed
                self._ended.wait(RETRY_S)
                self._wake.set()

    def _next_scan(self) -> float | None:
        return None if self._pause_s is None else time.monotonic() + self._pause_s

    def _look_at(self, changed: set[Path]) -> None:
        names = {path.name for path in changed if path.parent == self._top}
        appeared = self._images.look_at(sorted(names))
        for tag in self._watch_tags():
            self._scan.scan_labels(tag)
        for image in appeared:
            for tag in self._folder.tags():
                self._look_at_label(image, tag)
        for path in sorted(changed):
            is_label = path.parent.parent == self._top / LABELS and path.name.endswith(SUFFIX)
            if is_label and not path.name.startswith("."):
                self._look_at_label(path.name.removesuffix(SUFFIX), path.parent.name)

    def _look_at_label(self, image: str, tag: str) -> None:
        try:
            self._labels.look_at(image, tag)
        except (OSError, ValueError) as error:  # the others are still looked at; the next scan tries again
            logger.warning("A label %r could not be read\n%s", tag, outline(error))
