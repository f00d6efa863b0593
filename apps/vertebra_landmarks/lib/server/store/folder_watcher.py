"""Changes of the folder by others, as they happen: only the names that changed are looked at."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
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

from ...spine.labels.markups import SUFFIX
from ..log_privacy import outline
from .folder_scan import Scan
from .images import Images
from .label_sync import WRITING_S
from .labels import Labels
from .studies_folder import LABELS, StudiesFolder

logger = logging.getLogger(__name__)

QUIET_S = 0.2
"""Time without a change before names are looked at, since files are often written in pieces."""
MOST_QUIET_S = 2.0
"""Names are looked at after this time even while others change."""
RETRY_S, MOST_RETRY_S = 5.0, 300.0
"""What could not be looked at, as while the database is away, is tried again after this time, and then less often."""
MOST_NAMES = 5_000
"""Changes at once after which the whole folder is looked at: the system's queue may have overflown."""
MOUNT_S = 60.0
"""On a mounted disk, which need not tell of others' changes, the whole folder is looked at this often."""
SETTLED_S = WRITING_S + 1.0
"""A label that is neither whole nor new is looked at again after this time, when nobody can be writing it any more."""
_EVENTS = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileClosedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
]


class Watch(FileSystemEventHandler):
    """Looks at files that come, change or go until it is closed; where it cannot, a warning says so."""

    def __init__(self, folder: StudiesFolder, images: Images, labels: Labels, scan: Scan) -> None:
        self._folder, self._images, self._labels, self._scan = folder, images, labels, scan
        self._changed: set[Path] = set()
        self._unsettled: dict[Path, float] = {}
        self._lock, self._wake, self._ended = threading.Lock(), threading.Event(), threading.Event()
        self._top = folder.path.absolute()
        self._of_labels = self._top / LABELS
        is_on_mount = any(place.is_mount() for place in (self._top, *self._top.parents[:-1]))
        self._pause_s = MOUNT_S if is_on_mount else math.inf
        self._watched: dict[Path, ObservedWatch] = {}
        self._observer = Observer()
        try:
            for place in (self._top, self._of_labels, *self._tag_folders()):
                self._watch(place)
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

    def _tag_folders(self) -> list[Path]:
        return [self._of_labels / tag for tag in self._folder.tags()]

    def _watch(self, place: Path) -> None:
        """Watch a folder; one that was watched under that name before may be another one by now."""
        watched = self._watched.pop(place, None)
        if watched is not None:
            with suppress(KeyError, OSError):  # the system ends the watch of a folder that was removed
                self._observer.unschedule(watched)
        if place.is_dir():
            self._watched[place] = self._observer.schedule(self, str(place), event_filter=_EVENTS)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Remember what changed."""
        self._remember(Path(str(path)) for path in (event.src_path, event.dest_path) if path)
        self._wake.set()

    def _remember(self, changed: Iterable[Path]) -> None:
        with self._lock:
            self._changed.update(changed)

    def _look(self) -> None:
        scan_at, retry_at, retry_s = time.monotonic() + self._pause_s, math.inf, RETRY_S
        while not self._ended.is_set():
            pause = min(scan_at, retry_at, *self._unsettled.values()) - time.monotonic()
            self._wake.wait(None if pause == math.inf else max(pause, 0.0))
            self._wait_for_quiet()
            if self._ended.is_set():
                return
            with self._lock:
                changed, self._changed = self._changed, set()
            try:
                if time.monotonic() >= scan_at or len(changed) > MOST_NAMES:
                    scan_at = time.monotonic() + self._pause_s
                    self._watch_again(changed)
                    self._scan.run()
                    failed = set()
                else:
                    failed = self._look_at(changed)
            except Exception as error:
                failed = changed
                self._warn(error)
            self._remember(failed)
            retry_at = time.monotonic() + retry_s if failed else math.inf
            retry_s = min(2 * retry_s, MOST_RETRY_S) if failed else RETRY_S

    def _wait_for_quiet(self) -> None:
        """Wait while files change, but not for ever."""
        end = time.monotonic() + MOST_QUIET_S
        while self._wake.is_set() and not self._ended.is_set():
            self._wake.clear()
            if time.monotonic() < end:
                self._ended.wait(QUIET_S)

    def _warn(self, error: Exception) -> None:  # the database may be away for a while
        logger.warning("Changes of the studies folder could not be read and are tried again\n%s", outline(error))

    def _watch_again(self, changed: Collection[Path]) -> list[Path]:
        """Watch folders of labels that came, or that others may have taken the place of; returns which."""
        is_all = self._of_labels in changed
        there, watched = set(self._tag_folders()), {place for place in self._watched if place.parent == self._of_labels}
        touched = [place for place in there | watched if is_all or place in changed or place in there ^ watched]
        for place in [self._of_labels] * is_all + touched:
            try:
                self._watch(place)
            except OSError as error:
                self._warn(error)
        return touched

    def _look_at(self, changed: set[Path]) -> set[Path]:
        """Look at what changed; returns what must be looked at again, since it could not be read."""
        failed = set()

        def attempt(path: Path, look: Callable[[], None]) -> None:
            try:
                look()
            except Exception as error:
                failed.add(path)
                self._warn(error)

        for path in sorted(changed):
            if path.parent == self._top:
                attempt(path, partial(self._look_at_image, path.name))
        for place in self._watch_again(changed):
            attempt(place, partial(self._scan.scan_labels, place.name))
        for place, images in self._labels_in(changed).items():
            paths = {image: place / f"{image}{SUFFIX}" for image in images}
            try:
                differing = self._labels.changed(place.name, images)  # few: most are this server's own
            except Exception as error:
                failed.update(paths.values())
                self._warn(error)
                continue
            for image in differing:
                attempt(paths[image], partial(self._labels.look_at, image, place.name))
            self._look_later(paths[image] for image in self._labels.changed(place.name, differing))
        for path in self._due():
            image = path.name.removesuffix(SUFFIX)
            attempt(path, partial(self._labels.look_at, image, path.parent.name, may_repair=True))
        return failed

    def _look_later(self, labels: Iterable[Path]) -> None:
        """Look once more at labels that were left alone, since they may have been half written."""
        self._unsettled.update(dict.fromkeys(labels, time.monotonic() + SETTLED_S))

    def _due(self) -> list[Path]:
        due = sorted(path for path, when in self._unsettled.items() if when <= time.monotonic())
        for path in due:
            del self._unsettled[path]
        return due

    def _labels_in(self, changed: Iterable[Path]) -> dict[Path, list[str]]:
        """Images whose labels changed, by the folder of the labels."""
        found: dict[Path, list[str]] = {}
        for path in sorted(changed):
            is_label = path.parent.parent == self._of_labels and path.name.endswith(SUFFIX)
            if is_label and not path.name.startswith("."):
                found.setdefault(path.parent, []).append(path.name.removesuffix(SUFFIX))
        return found

    def _look_at_image(self, name: str) -> None:
        for image in self._images.look_at([name]):
            for tag in self._folder.tags():
                self._labels.look_at(image, tag)
