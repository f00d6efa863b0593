"""Images that appear, vanish, are replaced, or have colliding names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

from lib.server.store import studies_folder as studies_folder
from lib.server.store.datastore import StudiesDatastore

from .conftest import not_served

Open = Callable[..., StudiesDatastore]
Label = Callable[[int], str]


def uploaded(studies: Path, name: str, content: bytes = b"of somebody else") -> str:
    path = studies.parent / name
    path.write_bytes(content)
    return str(path)


def test_an_uploaded_image_is_on_the_disk_before_its_row(
    studies: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, seen = opened(studies), []
    sync = studies_folder._sync

    def note(path: Path) -> None:
        seen.append((path.name, (studies / "new.png").exists()))
        sync(path)

    def committed(_: Connection) -> None:
        seen.append(("commit", True))

    monkeypatch.setattr(studies_folder, "_sync", note)
    event.listen(Engine, "commit", committed)
    try:
        store.add_image("new", uploaded(studies, "upload.png"), {})
    finally:
        event.remove(Engine, "commit", committed)
    written = [one for one in seen if one != ("commit", True)]
    assert written == [("upload.png", False), ("studies", True)]
    assert seen[-1] == ("commit", True)


def test_an_image_that_cannot_be_removed_keeps_its_labels(
    studies: Path, opened: Open, label: Label, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {})
    store.save_label("a", label(2), "final", {})
    unlink = Path.unlink

    def in_use(path: Path, missing_ok: bool = False) -> None:
        if path.name == "a.png":
            raise PermissionError(13, "somebody reads it")
        unlink(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", in_use)
        with pytest.raises(PermissionError):
            store.remove_image("a")
    assert json.loads(Path(store.get_label_uri("a", "final")).read_text()) == {"number": 2}
    assert [json.loads(store.label_version("a", "final", n))["number"] for n in (1, 2)] == [1, 2]


def test_a_label_that_cannot_be_removed_stops_no_removal(
    studies: Path, opened: Open, label: Label, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {})
    unlink = Path.unlink

    def in_use(path: Path, missing_ok: bool = False) -> None:
        if path.name.endswith(".mrk.json") and path.exists():
            raise PermissionError(13, "somebody reads it")
        unlink(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", in_use)
        store.remove_image("a")
    assert store.list_images() == ["b", "c"]
    assert caplog.text.count("could not be removed") == 2
    assert "a.mrk" not in caplog.text


def test_another_image_does_not_inherit_the_labels_of_a_missing_one(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {"user": "ada"})
    store.update_image_info("a", {"quality": 2})
    (studies / "labels" / "final" / "a.mrk.json").write_text('{"hand": 1}')
    (studies / "a.png").unlink()
    store.refresh()
    store.add_image("a", uploaded(studies, "a.png"), {"user": "ben"})
    for again in (store, opened(studies)):
        assert (again.status()["completed"], again.get_label_uri("a", "final")) == (0, "")
        assert (again.get_image_info("a").get("quality"), again.get_image_info("a")["user"]) == (None, "ben")
        said = [json.loads(again.label_version("a", "final", n)) for n in (1, 2)]
        assert said == [{"number": 1}, {"hand": 1}]


def test_the_same_image_that_comes_back_keeps_its_labels(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {})
    (studies / "a.png").rename(studies.parent / "a.png")
    store.refresh()
    store.add_image("a", str(studies.parent / "a.png"), {})
    assert store.get_labeled_images() == ["a"]


def test_labels_that_no_row_knows_go_with_their_image(studies: Path, opened: Open) -> None:
    store = opened(studies)
    (studies / "labels" / "mine").mkdir()
    for tag in ("final", "mine"):
        (studies / "labels" / tag / "a.mrk.json").write_text("{}")
    store.remove_image("a")
    store.add_image("a", uploaded(studies, "a.png"), {})
    store.refresh()
    assert store.get_labels_by_image_id("a") == {}


def test_changed_content_under_a_final_label_is_reported(
    studies: Path, opened: Open, label: Label, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {})
    for image in "ab":
        (studies / f"{image}.png").write_bytes(b"other pixels")
    store.refresh()
    assert caplog.text.count("the label may be of another image") == 1


def test_ids_that_are_one_on_some_disks_are_one_image(studies: Path, opened: Open, label: Label) -> None:
    for name in ("A.tif", "x\N{COMBINING DIAERESIS}.png", "\N{LATIN SMALL LETTER X WITH DIAERESIS}.png"):
        (studies / name).write_bytes(b"x")
    store = opened(studies)
    assert len(store.list_images()) == 4
    served = next(image for image in store.list_images() if image.casefold() == "a")
    assert len(store.status()["not_served"]) == 2
    store.save_label(served, label(1), "final", {})
    (studies / "B.jpg").write_bytes(b"x")
    for again in (store, opened(studies)):
        again.refresh()
        assert "B" not in again.list_images()
        assert "B.jpg" in not_served(again)
        assert again.get_labeled_images() == [served]
    (studies / "b.png").unlink()
    store.refresh()
    assert ("b" in store.list_images(), "B" in store.list_images()) == (False, True)
    assert "B.jpg" not in not_served(store)
    (studies / "b.png").write_bytes(b"x")
    store.refresh()
    assert ("b" in store.list_images(), store.get_image_uri("B")) == (False, os.fspath(studies / "B.jpg"))


def test_an_image_whose_labels_would_have_no_name_is_not_served(studies: Path, opened: Open) -> None:
    long, longest = "n" * 201 + ".png", "ü" * 100 + ".png"
    for name in (long, longest):
        (studies / name).write_bytes(b"no pixels")
    store = opened(studies)
    assert not_served(store) == [long]
    assert store.list_images() == ["a", "b", "c", "ü" * 100]
