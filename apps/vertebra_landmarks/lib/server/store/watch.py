"""Changes of the folder by others, as they happen: only the names that changed are looked at."""

from __future__ import annotations

import logging
import threading
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

from ...spine.markups import SUFFIX
from ..privacy import outline
from .folder import LABELS, StudiesFolder
from .images import Images
from .labels import Labels
from .scan import Scan

logger = logging.getLogger(__name__)

QUIET_S = 0.2
"""Time without a change before names are looked at, since files are often written in pieces."""
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
        is_on_mount = any(place.is_mount() for place in (self._top, *self._top.parents[:-1]))
        self._pause_s = MOUNT_S if is_on_mount else None
        self._tags: set[str] = set()
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
        """Watch the folders of labels that are new, and return their tags."""
        new = sorted(set(self._folder.tags()) - self._tags)
        for tag in new:
            self._observer.schedule(self, str(self._top / LABELS / tag), event_filter=_EVENTS)
        self._tags |= set(new)
        return new

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Remember what changed."""
        with self._lock:
            self._changed.update(Path(str(path)) for path in (event.src_path, event.dest_path) if path)
        self._wake.set()

    def _look(self) -> None:
        while not self._ended.is_set():
            was_woken = self._wake.wait(self._pause_s)
            while self._wake.is_set() and not self._ended.is_set():
                self._wake.clear()
                self._ended.wait(QUIET_S)
            if self._ended.is_set():
                return
            with self._lock:
                changed, self._changed = self._changed, set()
            try:
                if not was_woken or len(changed) > MOST_NAMES:
                    self._scan.run()
                else:
                    self._look_at(changed)
            except Exception as error:  # the database may be away for a while; the next change tries again
                logger.warning("Changes of the studies folder could not be read\n%s", outline(error))

    def _look_at(self, changed: set[Path]) -> None:
        names = {path.name for path in changed if path.parent == self._top}
        appeared = self._images.look_at(sorted(names))
        for tag in self._watch_tags():
            self._scan.scan_labels(tag)
        for image in appeared:
            for tag in self._folder.tags():
                self._labels.look_at(image, tag)
        for path in sorted(changed):
            is_label = path.parent.parent == self._top / LABELS and path.name.endswith(SUFFIX)
            if is_label and not path.name.startswith("."):
                self._labels.look_at(path.name.removesuffix(SUFFIX), path.parent.name)
