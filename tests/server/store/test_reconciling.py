"""External changes and interrupted writes: rows and files are reconciled, and nothing is lost."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.server.store import label_sync as label_sync
from lib.server.store.datastore import StudiesDatastore

from .conftest import wait_until

Open = Callable[..., StudiesDatastore]
Label = Callable[[int], str]


class Killed(BaseException):
    """As if the process had ended here."""


def final(studies: Path, image: str) -> Path:
    return studies / "labels" / "final" / f"{image}.mrk.json"


def newest(store: StudiesDatastore, image: str) -> object:
    return json.loads(Path(store.get_label_uri(image, "final")).read_text())


def test_a_kill_between_commit_and_file_is_repaired_by_the_next_access(
    studies: Path, opened: Open, label: Label, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {})

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(label_sync.LabelSync, "write_current", die)
        for image in ("a", "b"):
            with pytest.raises(Killed):
                store.save_label(image, label(2), "final", {"user": "ada"})
    assert json.loads(final(studies, "a").read_text()) == {"number": 1}
    assert newest(store, "a") == newest(store, "b") == {"number": 2}
    assert store.get_label_info("b", "final")["user"] == "ada"
    assert [version["version"] for version in store.label_versions("a", "final")] == [1, 2]


def test_a_kill_between_commit_and_file_is_repaired_at_the_next_start(
    studies: Path, opened: Open, label: Label, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {})
    with monkeypatch.context() as patched:
        patched.setattr(label_sync.LabelSync, "write_current", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            store.save_label("a", label(2), "final", {})
    opened(studies)
    assert json.loads(final(studies, "a").read_text()) == {"number": 2}


def test_a_kill_before_the_commit_changes_nothing(
    studies: Path, opened: Open, label: Label, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {})

    def die(*arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(label_sync, "note_label", die)  # inside the transaction
        with pytest.raises(Killed):
            store.save_label("a", label(2), "final", {})
    assert newest(opened(studies), "a") == {"number": 1}
    store.save_label("a", label(3), "final", {})
    kept = [version["version"] for version in store.label_versions("a", "final")]
    assert kept == [1, 3]  # the file of the killed one cost a number
    assert [json.loads(store.label_version("a", "final", n)) for n in kept] == [{"number": 1}, {"number": 3}]


def test_a_label_changed_by_hand_becomes_a_version(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {"user": "ada"})
    final(studies, "a").write_text('{"hand": 1}')
    assert newest(opened(studies), "a") == {"hand": 1}
    final(studies, "a").write_text('{"hand": 2}')
    store.save_label("a", label(4), "final", {})  # before anybody looked
    said = [json.loads(store.label_version("a", "final", n)) for n in (1, 2, 3, 4)]
    assert said == [{"number": 1}, {"hand": 1}, {"hand": 2}, {"number": 4}]
    assert "user" not in store.label_versions("a", "final")[1]["info"]


def test_a_damaged_label_is_moved_aside_and_the_version_restored(studies: Path, opened: Open, label: Label) -> None:
    opened(studies).save_label("a", label(1), "final", {})
    final(studies, "a").write_text('{"number": ')
    os.utime(final(studies, "a"), (1, 1))
    store = opened(studies)
    assert newest(store, "a") == {"number": 1}
    assert [path.read_text() for path in final(studies, "a").parent.glob(".a.*.damaged")] == ['{"number": ']
    assert len(store.label_versions("a", "final")) == 1


def test_a_label_file_that_is_deleted_and_restored_keeps_its_metadata(
    studies: Path, opened: Open, label: Label
) -> None:
    opened(studies).save_label("a", label(1), "final", {"user": "ada"})
    content = final(studies, "a").read_bytes()
    final(studies, "a").unlink()
    store = opened(studies)
    assert (store.get_labels_by_image_id("a"), store.status()["completed"]) == ({}, 0)
    final(studies, "a").write_bytes(content)
    store.refresh()
    assert store.get_label_info("a", "final")["user"] == "ada"
    assert store.status()["completed"] == 1


def test_an_image_that_comes_back_keeps_labels_and_metadata(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {"user": "ada"})
    store.update_image_info("a", {"quality": 2})
    store.score_queries.set_scores("x", "1", {"a": 1.0, "b": 2.0})
    for name in "ab":
        (studies / f"{name}.png").rename(studies.parent / f"{name}.png")
    store.refresh()
    assert (store.list_images(), store.get_image_uri("a"), store.get_label_uri("a", "final")) == (["c"], "", "")
    assert store.status() == {"total": 1, "completed": 0, "label_tags": {}, "not_served": [], "not_served_count": 0}
    assert store.pick_by_score("x", "1") is None
    for name in "ab":
        (studies.parent / f"{name}.png").rename(studies / f"{name}.png")
    store.refresh()
    assert (store.get_image_info("a")["quality"], store.get_label_info("a", "final")["user"]) == (2, "ada")
    assert store.status()["label_tags"] == {"final": 1}
    assert store.pick_by_score("x", "1") == "b"


def test_a_changed_image_has_no_scores_any_more(studies: Path, opened: Open) -> None:
    store = opened(studies)
    store.score_queries.set_scores("x", "1", {"a": 1.0, "b": 2.0})
    (studies / "b.png").write_bytes(b"other pixels")
    store.refresh()
    assert (store.pick_by_score("x", "1"), store.score_queries.scores_of("b")) == ("a", [])


def test_picks_pass_over_images_that_went_unnoticed(studies: Path, opened: Open) -> None:
    store = opened(studies)
    (studies / "a.png").unlink()
    assert store.pick_first() == "b"
    assert {store.pick_random() for _ in range(4)} == {"b", "c"}
    for name in "bc":
        (studies / f"{name}.png").unlink()
    assert store.pick_first() is None
    assert store.pick_random() is None


def test_a_start_reads_no_label_that_did_not_change(
    studies: Path, opened: Open, label: Label, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {})
    read = []
    whole = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (read.append(path.name), whole(path))[1])
    opened(studies)
    assert read == []
    os.utime(final(studies, "a"), ns=(1, 1))
    opened(studies)
    assert read == ["a.mrk.json"]
    opened(studies)
    assert read == ["a.mrk.json"]


def test_the_watcher_sees_changes_by_others(studies: Path, opened: Open, label: Label) -> None:
    watching = opened(studies, auto_reload=True)
    (studies / "d.png").write_bytes(b"x")
    (studies / "d.jpg").write_bytes(b"x")
    wait_until(lambda: "d" in watching.list_images() and len(watching.status()["not_served"]) == 1)
    final(studies, "a").write_text('{"hand": 1}')
    wait_until(lambda: watching.get_labeled_images() == ["a"])
    (studies / "labels" / "mine").mkdir()
    (studies / "labels" / "mine" / "b.mrk.json").write_text('{"hand": 2}')
    wait_until(lambda: watching.get_labels_by_image_id("b") == {"mine": "b"})
    (studies / "labels" / "mine" / "e.mrk.json").write_text('{"hand": 3}')  # before its image
    (studies / "e.png").write_bytes(b"x")
    wait_until(lambda: watching.get_labels_by_image_id("e") == {"mine": "e"})
    final(studies, "a").unlink()
    (studies / "c.png").unlink()
    wait_until(lambda: watching.get_labeled_images() == [] and "c" not in watching.list_images())


def test_the_watch_leaves_alone_what_the_store_itself_writes(studies: Path, opened: Open, label: Label) -> None:
    watching, other = opened(studies, auto_reload=True), opened(studies, auto_reload=True)
    for number in range(10):
        (watching if number % 2 else other).save_label("a", label(number), "final", {"user": "ada"})
    final(studies, "b").write_text('{"hand": 1}')  # when this is noticed, so were the others
    wait_until(lambda: "b" in watching.get_labeled_images() and "b" in other.get_labeled_images())
    assert len(watching.label_versions("a", "final")) == 10
    assert len(watching.label_versions("b", "final")) == 1
