"""Image types by content, what is not served, and unreadable images."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.server.store import studies_folder as studies_folder
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.image_queries import MAX_NOT_SERVED
from lib.server.store.studies_folder import DICOMDIR, SUBFOLDER, id_of

from .conftest import not_served, wait_until

Open = Callable[..., StudiesDatastore]
DICOM = bytes(128) + b"DICM" + bytes(300)
WITHOUT_PREAMBLE = bytes.fromhex("08000500") + b"CS\x0a\x00ISO_IR 100" + bytes(300)


def reasons(store: StudiesDatastore) -> dict[str, str]:
    """Why files and folders are not served."""
    return {entry["file"]: entry["reason"] for entry in store.status()["not_served"]}


@pytest.mark.parametrize(
    ("file", "image"),
    [
        ("IM000001", "IM000001"),
        ("1.2.840.113619.2.55", "1.2.840.113619.2.55"),
        ("1.2.840.dcm", "1.2.840"),
        ("a.b.nii.gz", "a.b"),
    ],
)
def test_the_id_is_the_name_without_the_ending_of_an_image(file: str, image: str) -> None:
    assert id_of(file) == image


def test_dicom_files_are_served_under_any_name(studies: Path, opened: Open) -> None:
    for name in ("IM000001", "1.2.840.1", "1.2.840.2"):
        (studies / name).write_bytes(DICOM)
    (studies / "old").write_bytes(WITHOUT_PREAMBLE)
    (studies / "DICOMDIR").write_bytes(DICOM)
    (studies / ".hidden").write_bytes(DICOM)
    store = opened(studies)
    assert store.list_images() == ["1.2.840.1", "1.2.840.2", "IM000001", "a", "b", "c", "old"]
    assert Path(store.get_image_uri("1.2.840.2")).name == "1.2.840.2"
    assert reasons(store) == {"DICOMDIR": DICOMDIR}


def test_what_is_not_served_is_named_with_the_reason(studies: Path, opened: Open, caplog) -> None:
    (studies / "Eve_Adams.txt").write_text("a note")
    (studies / "scan").write_bytes(b"GIF89a")
    (studies / "2026").mkdir()
    (studies / "2026" / "x.png").write_bytes(b"x")
    (studies / "a.jpg").write_bytes(b"a twin")
    (studies / "dead.png").symlink_to(studies / "none.png")
    (studies / "a.overlay.png").write_bytes(b"an overlay")
    store = opened(studies)
    told = reasons(store)
    assert sorted(told) == ["2026", "Eve_Adams.txt", "a.png", "dead.png", "scan"]
    assert told["2026"] == SUBFOLDER
    assert "GIF image" in told["scan"]
    assert "unknown kind" in told["Eve_Adams.txt"]
    assert "another image" in told["a.png"]
    assert store.status()["not_served_count"] == 5
    assert "5 files and folders are not served" in caplog.text
    assert "Eve" not in caplog.text


def test_the_list_of_what_is_not_served_is_bounded(studies: Path, opened: Open) -> None:
    for number in range(MAX_NOT_SERVED + 5):
        (studies / f"{number}.txt").write_text("x")
    status = opened(studies).status()
    assert (len(status["not_served"]), status["not_served_count"]) == (MAX_NOT_SERVED, MAX_NOT_SERVED + 5)


def test_only_new_files_without_the_ending_of_an_image_are_opened(
    studies: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    (studies / "IM1").write_bytes(DICOM)
    (studies / "notes").write_text("x")
    sniffed: list[str] = []
    before = studies_folder._not_an_image

    def sniff(path: Path) -> str | None:
        sniffed.append(path.name)
        return before(path)

    monkeypatch.setattr(studies_folder, "_not_an_image", sniff)
    store = opened(studies)
    assert sorted(sniffed) == ["IM1", "notes"]
    store.refresh()
    assert len(sniffed) == 2
    again = opened(studies)
    assert sniffed[2:] == ["notes"]  # what was an image before is one while its file is the same
    (studies / "notes").write_bytes(DICOM)
    (studies / "IM1").write_text("no image any more")
    again.refresh()
    assert again.list_images() == ["a", "b", "c", "notes"]
    assert not_served(again) == ["IM1"]


def test_changes_of_files_without_an_ending_are_seen(studies: Path, opened: Open) -> None:
    store = opened(studies, auto_reload=True)
    (studies / "IM1").write_bytes(DICOM)
    (studies / "later").mkdir()
    wait_until(lambda: "IM1" in store.list_images() and not_served(store) == ["later"])
    (studies / "IM1").rename(studies / "IM2")
    (studies / "later").rmdir()
    wait_until(lambda: store.list_images() == ["IM2", "a", "b", "c"] and not not_served(store))
    (studies / "IM2").write_text("not DICOM any more")
    wait_until(lambda: store.list_images() == ["a", "b", "c"] and not_served(store) == ["IM2"])


def test_an_unreadable_image_is_not_handed_out_until_its_file_is_another(studies: Path, opened: Open) -> None:
    store = opened(studies)
    store.score_queries.set_scores("uncertainty", "m", {"a": 3.0, "b": 2.0, "c": 1.0})
    store.note_unreadable("a", "a.png: the image is damaged", store.file_state("a"))
    assert reasons(store) == {"a.png": "the image is damaged"}
    assert store.get_image_uri("a")  # who asks for it is told the reason
    assert (store.status()["total"], store.list_images()) == (3, ["a", "b", "c"])
    for _ in range(4):
        assert store.pick_random() != "a"
    assert store.pick_first() == "b"
    assert store.pick_by_score("uncertainty", "m") == "b"
    assert store.get_unlabeled_images() == ["b", "c"]
    again = opened(studies)
    assert (again.pick_first(), not_served(again)) == ("b", ["a.png"])
    (studies / "a.png").write_bytes(b"repaired")
    again.refresh()
    assert (again.pick_first(), not_served(again)) == ("a", [])
    assert "unreadable" not in again.get_image_info("a")


def test_a_file_that_was_replaced_meanwhile_is_not_marked_unreadable(studies: Path, opened: Open) -> None:
    store = opened(studies)
    before = store.file_state("a")
    (studies / "a.png").write_bytes(b"another one")
    os.utime(studies / "a.png", ns=(1, 1))
    store.refresh()
    store.note_unreadable("a", "a.png: the image is damaged", before)
    assert (not_served(store), store.pick_first()) == ([], "a")


def test_a_label_brings_an_unreadable_image_no_further(studies: Path, opened: Open, label: Callable) -> None:
    store = opened(studies)
    store.save_label("b", label(1), "final", {})
    store.note_unreadable("b", "b.png: damaged", store.file_state("b"))
    assert store.get_labeled_images() == ["b"]


def test_a_stated_side_lasts_as_long_as_the_file(studies: Path, opened: Open) -> None:
    store = opened(studies)
    assert store.stated_side("a") is None
    store.state_side("a", "left", "ada")
    (studies / "a.png").touch()
    again = opened(studies)
    stated = again.stated_side("a")
    assert stated is not None
    assert (stated.image_left_is, stated.user, stated.ts > 0) == ("left", "ada", True)
    with pytest.raises(ValueError, match="image_left_is must be left or right, got 'up'"):
        again.state_side("a", "up", "ada")
    (studies / "a.png").write_bytes(b"another image")
    assert again.stated_side("a") is None
    again.state_side("a", "right", "ben")
    again.state_side("a", None, "ben")
    assert again.stated_side("a") is None
