"""Changes by others while a server runs, with failures in between."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib.server.store import folder_watcher as folder_watcher
from lib.server.store import label_sync as label_sync
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.folder_scan import FolderScan
from lib.server.store.images import Images

from .conftest import wait_until

Open = Callable[..., StudiesDatastore]


@pytest.fixture
def restless(studies: Path) -> Any:
    """Somebody who changes a file all the time."""
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(0.02):
            (studies / "growing.part").write_bytes(b"x")

    thread = threading.Thread(target=write)
    thread.start()
    yield
    ended.set()
    thread.join()


def test_steady_changes_do_not_hide_the_others(studies: Path, opened: Open, restless: None) -> None:
    store = opened(studies, auto_reload=True)
    (studies / "d.png").write_bytes(b"x")
    wait_until(lambda: "d" in store.list_images())


def test_a_mounted_disk_is_scanned_while_files_change(
    studies: Path, opened: Open, restless: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_watcher, "RESCAN_INTERVAL_S", 1.0)
    monkeypatch.setattr(Path, "is_mount", lambda path: path == studies)
    scans = []
    run = FolderScan.run
    monkeypatch.setattr(FolderScan, "run", lambda scan, **wanted: (scans.append(1), run(scan, **wanted))[1])
    opened(studies, auto_reload=True)
    wait_until(lambda: len(scans) > 3)  # the first is that of the start


def test_failed_changes_are_retried(studies: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_watcher, "RETRY_INTERVAL_S", 0.2)
    reconcile_files, failures = Images.reconcile_files, []

    def away(images: Images, names: list[str]) -> list[str]:
        names = list(names)
        if "d.png" in names and len(failures) < 2:
            failures.append(1)
            raise RuntimeError("the database is away")
        return reconcile_files(images, names)

    store = opened(studies, auto_reload=True)
    monkeypatch.setattr(Images, "reconcile_files", away)
    (studies / "d.png").write_bytes(b"x")
    (studies / "e.png").write_bytes(b"x")
    wait_until(lambda: {"d", "e"} <= set(store.list_images()))
    assert len(failures) == 2


def test_one_bad_label_does_not_hide_the_others(studies: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(studies, auto_reload=True)
    read = Path.read_bytes

    def denied(path: Path) -> bytes:
        if path.name == "a.mrk.json":
            raise PermissionError(13, "denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", denied)
    for image in "ab":
        (studies / "labels" / "final" / f"{image}.mrk.json").write_text("{}")
    wait_until(lambda: store.get_labeled_images() == ["b"])
    assert opened(studies).get_labeled_images() == ["b"]


def test_a_recreated_tag_folder_is_watched_again(studies: Path, opened: Open) -> None:
    store = opened(studies, auto_reload=True)
    finals = studies / "labels" / "final"
    (finals / "a.mrk.json").write_text("{}")
    wait_until(lambda: store.get_labeled_images() == ["a"])
    finals.rename(studies / "old")
    wait_until(lambda: store.get_labeled_images() == [])
    finals.mkdir()
    (finals / "b.mrk.json").write_text("{}")
    wait_until(lambda: store.get_labeled_images() == ["b"])
    (finals / "c.mrk.json").write_text("{}")
    wait_until(lambda: store.get_labeled_images() == ["b", "c"])


def test_a_recreated_labels_folder_is_watched_again(studies: Path, opened: Open) -> None:
    store = opened(studies, auto_reload=True)
    (studies / "labels" / "final" / "a.mrk.json").write_text("{}")
    wait_until(lambda: store.get_labeled_images() == ["a"])
    (studies / "labels").rename(studies / "old")
    wait_until(lambda: store.get_labeled_images() == [])
    (studies / "labels" / "final").mkdir(parents=True)
    for image in "bc":
        (studies / "labels" / "final" / f"{image}.mrk.json").write_text("{}")
        wait_until(lambda image=image: image in store.get_labeled_images())


def test_a_damaged_label_is_restored_after_the_grace_period(
    studies: Path, opened: Open, label: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_sync, "WRITE_GRACE_S", 1.0)
    monkeypatch.setattr(folder_watcher, "RECHECK_DELAY_S", 1.5)
    store = opened(studies, auto_reload=True)
    store.save_label("a", label(1), "final", {})
    place = studies / "labels" / "final" / "a.mrk.json"
    place.write_text('{"number": ')
    wait_until(lambda: any(place.parent.glob(".a.*.damaged")) and place.exists())
    assert place.read_text() == '{"number": 1}'
    assert [path.read_text() for path in place.parent.glob(".a.*.damaged")] == ['{"number": ']
    assert len(store.label_versions("a", "final")) == 1
