"""Folder watcher: reconciles what others add, change or remove, as it happens and by name."""

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
from ..log_privacy import redacted_traceback
from .folder_scan import FolderScan
from .images import Images
from .label_sync import WRITE_GRACE_S
from .labels import Labels
from .studies_folder import LABELS, StudiesFolder

logger = logging.getLogger(__name__)

QUIET_INTERVAL_S = 0.2
"""Time without a change before names are processed, since files are often written in pieces."""
MAX_QUIET_WAIT_S = 2.0
"""Names are processed after this time even while others change."""
RETRY_INTERVAL_S, MAX_RETRY_INTERVAL_S = 5.0, 300.0
"""Failed names, as while the database is away, are retried after this time, doubled each time up to the maximum."""
MAX_CHANGES = 5_000
"""Changes at once after which the whole folder is scanned: the system's event queue may have overflowed."""
RESCAN_INTERVAL_S = 60.0
"""Interval of full scans on a mounted disk, which need not report changes by other machines."""
RECHECK_DELAY_S = WRITE_GRACE_S + 1.0
"""An incomplete label is checked again after this time, when nobody can still be writing it."""
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


class FolderWatcher(FileSystemEventHandler):
    """Reconciles files that appear, change or vanish until it is closed; logs a warning where it cannot watch.

    Args:
        folder: the studies folder.
        images: of it.
        labels: of it.
        scan: of the whole folder.
        rescan_s: interval of full scans; by default ``RESCAN_INTERVAL_S`` on a mounted disk, else there are none.
    """

    def __init__(
        self, folder: StudiesFolder, images: Images, labels: Labels, scan: FolderScan, rescan_s: float | None = None
    ) -> None:
        self._folder, self._images, self._labels, self._scan = folder, images, labels, scan
        self._changed: set[Path] = set()
        self._recheck_at: dict[Path, float] = {}
        self._lock, self._wake, self._closed = threading.Lock(), threading.Event(), threading.Event()
        self._top = folder.path.absolute()
        self._labels_folder = self._top / LABELS
        is_on_mount = any(path.is_mount() for path in (self._top, *self._top.parents[:-1]))
        self._scan_interval_s = rescan_s or (RESCAN_INTERVAL_S if is_on_mount else math.inf)
        self._watched: dict[Path, ObservedWatch] = {}
        self._observer = Observer()
        try:
            for path in (self._top, self._labels_folder, *self._tag_folders()):
                self._watch(path)
            self._observer.start()
        except OSError as error:
            logger.warning("The studies folder cannot be watched; new files are seen after a restart: %s", error.errno)
        self._thread = threading.Thread(target=self._run, name="studies", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        self._wake.set()
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()
        self._thread.join()

    def _tag_folders(self) -> list[Path]:
        return [self._labels_folder / tag for tag in self._folder.tags()]

    def _watch(self, folder: Path) -> None:
        """Watch a folder anew, since another one may have taken the name of a watched one."""
        watched = self._watched.pop(folder, None)
        if watched is not None:
            with suppress(KeyError, OSError):  # the system unwatches a folder that was removed
                self._observer.unschedule(watched)
        if folder.is_dir():
            self._watched[folder] = self._observer.schedule(self, str(folder), event_filter=_EVENTS)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Collect changed paths."""
        self._remember(Path(str(path)) for path in (event.src_path, event.dest_path) if path)
        self._wake.set()

    def _remember(self, changed: Iterable[Path]) -> None:
        with self._lock:
            self._changed.update(changed)

    def _run(self) -> None:
        scan_at, retry_at, retry_s = time.monotonic() + self._scan_interval_s, math.inf, RETRY_INTERVAL_S
        while not self._closed.is_set():
            pause = min(scan_at, retry_at, *self._recheck_at.values()) - time.monotonic()
            self._wake.wait(None if pause == math.inf else max(pause, 0.0))
            self._wait_for_quiet()
            if self._closed.is_set():
                return
            with self._lock:
                changed, self._changed = self._changed, set()
            try:
                if len(changed) > MAX_CHANGES:
                    self._rewatch(changed)
                    self._scan.run()
                    failed = set()
                else:
                    failed = self._process(changed)
                if time.monotonic() >= scan_at:
                    scan_at = time.monotonic() + self._scan_interval_s
                    self._rewatch(failed)
                    self._scan.run(unless_within_s=self._scan_interval_s / 2)  # one of the servers is enough
            except Exception as error:
                failed = changed
                self._warn(error)
            self._remember(failed)
            retry_at = time.monotonic() + retry_s if failed else math.inf
            retry_s = min(2 * retry_s, MAX_RETRY_INTERVAL_S) if failed else RETRY_INTERVAL_S

    def _wait_for_quiet(self) -> None:
        """Wait while files change, up to ``MAX_QUIET_WAIT_S``."""
        end = time.monotonic() + MAX_QUIET_WAIT_S
        while self._wake.is_set() and not self._closed.is_set():
            self._wake.clear()
            if time.monotonic() < end:
                self._closed.wait(QUIET_INTERVAL_S)

    def _warn(self, error: Exception) -> None:  # the database may be away for a while
        text = redacted_traceback(error)
        logger.warning("Changes of the studies folder could not be read and are tried again\n%s", text)

    def _rewatch(self, changed: Collection[Path]) -> list[Path]:
        """Watch label folders that appeared or may have been replaced; returns these."""
        is_all, existing = self._labels_folder in changed, set(self._tag_folders())
        watched = {folder for folder in self._watched if folder.parent == self._labels_folder}
        touched = [f for f in existing | watched if is_all or f in changed or f in existing ^ watched]
        for folder in [self._labels_folder] * is_all + touched:
            try:
                self._watch(folder)
            except OSError as error:
                self._warn(error)
        return touched

    def _process(self, changed: set[Path]) -> set[Path]:
        """Reconcile changed paths; returns those that failed and must be retried."""
        failed = set()

        def attempt(path: Path, action: Callable[[], object]) -> None:
            try:
                action()
            except Exception as error:
                failed.add(path)
                self._warn(error)

        for path in sorted(changed):
            if path.parent == self._top:
                attempt(path, partial(self._reconcile_image, path.name))
        for folder in self._rewatch(changed):
            attempt(folder, partial(self._scan.scan_labels, folder.name))
        for folder, images in self._labels_in(changed).items():
            paths = {image: folder / f"{image}{SUFFIX}" for image in images}
            try:
                differing = self._labels.changed_files(folder.name, images)  # few: most are this server's own
            except Exception as error:
                failed.update(paths.values())
                self._warn(error)
                continue
            for image in differing:
                attempt(paths[image], partial(self._labels.reconcile, image, folder.name))
            self._schedule_recheck(paths[image] for image in self._labels.changed_files(folder.name, differing))
        for path in self._due():
            image = path.name.removesuffix(SUFFIX)
            attempt(path, partial(self._labels.reconcile, image, path.parent.name, may_repair=True))
        return failed

    def _schedule_recheck(self, labels: Iterable[Path]) -> None:
        """Recheck labels later that were left alone, since they may have been half written."""
        self._recheck_at.update(dict.fromkeys(labels, time.monotonic() + RECHECK_DELAY_S))

    def _due(self) -> list[Path]:
        due = sorted(path for path, when in self._recheck_at.items() if when <= time.monotonic())
        for path in due:
            del self._recheck_at[path]
        return due

    def _labels_in(self, changed: Iterable[Path]) -> dict[Path, list[str]]:
        """Ids of images whose labels changed, by label folder."""
        by_folder: dict[Path, list[str]] = {}
        for path in sorted(changed):
            is_label = path.parent.parent == self._labels_folder and path.name.endswith(SUFFIX)
            if is_label and not path.name.startswith("."):
                by_folder.setdefault(path.parent, []).append(path.name.removesuffix(SUFFIX))
        return by_folder

    def _reconcile_image(self, name: str) -> None:
        for image in self._images.reconcile_files([name]):
            for tag in self._folder.tags():
                self._labels.reconcile(image, tag)
