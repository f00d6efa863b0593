"""A studies folder whose disk or network share is away for a while: nothing is lost, and nothing takes its place."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from lib.server.store import studies_folder
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.studies_folder import StudiesUnavailableError

from .conftest import Open

CONTENT = b'{"number": 1}'


@pytest.fixture
def store(studies: Path, opened: Open) -> StudiesDatastore:
    """A folder with a label of image a."""
    store = opened(studies)
    store.save_label_content("a", "final", CONTENT, {"user": "ada"})
    return store


def test_a_share_that_is_not_mounted_costs_neither_images_nor_labels(store: StudiesDatastore, studies: Path) -> None:
    studies.rename(studies.with_name("elsewhere"))
    studies.mkdir()  # the empty mount point
    with pytest.raises(StudiesUnavailableError, match="cannot be reached at the moment"):
        store.save_label_content("a", "final", b'{"number": 2}', {"user": "ada"})
    with pytest.raises(StudiesUnavailableError):
        store.refresh()
    with pytest.raises(StudiesUnavailableError):
        store.note_changed(["a.png"])
    for ask in (store.get_image_uri, store.has_image, lambda image: store.get_label_uri(image, "final")):
        with pytest.raises(StudiesUnavailableError):
            ask("a")
    with pytest.raises(StudiesUnavailableError):
        store.read_label("a", "final")
    assert list(studies.iterdir()) == []
    studies.rmdir()
    studies.with_name("elsewhere").rename(studies)
    store.refresh()
    assert store.list_images() == ["a", "b", "c"]
    assert store.read_label("a", "final")[:2] == (1, CONTENT)
    assert store.save_label_content("a", "final", b'{"number": 2}', {"user": "ada"}, base_version=1) == 2


def test_a_share_that_fails_is_no_share_without_files(
    store: StudiesDatastore, studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label, stat = studies / "labels" / "final" / "a.mrk.json", Path.stat

    def failing(path: Path, **how: bool) -> object:
        if path == label:
            raise OSError(errno.ESTALE, "stale file handle")
        return stat(path, **how)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "stat", failing)
        for ask in (store.get_label_uri, lambda image, tag: store.save_label_content(image, tag, b"{}", {})):
            with pytest.raises(StudiesUnavailableError, match="cannot be read at the moment"):
                ask("a", "final")
    assert store.read_label("a", "final").version == 1
    assert store.get_labels_by_image_id("a") == {"final": "a"}


def test_a_version_written_while_the_share_vanishes_is_no_label(
    store: StudiesDatastore, studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = iter([None, StudiesUnavailableError("gone")])

    def check(_: object) -> None:
        problem = next(checks)
        if problem is not None:
            raise problem

    with monkeypatch.context() as vanishing:
        vanishing.setattr(studies_folder.StudiesFolder, "check_available", check)
        with pytest.raises(StudiesUnavailableError, match="gone"):
            store.save_label_content("a", "final", b'{"number": 2}', {})
    assert [one["version"] for one in store.label_versions("a", "final")] == [1]
    assert store.save_label_content("a", "final", b'{"number": 3}', {}) == 3
    assert (studies / "labels" / "final" / "a.mrk.json").read_bytes() == b'{"number": 3}'
