"""Images, labels and metadata in the store, on every database."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException

from lib.server.store.datastore import StudiesDatastore
from lib.server.store.label_sync import MAX_TAGS

from .conftest import not_served

Open = Callable[..., StudiesDatastore]
Label = Callable[[int], str]


def version_number(path: str) -> int:
    number: int = json.loads(Path(path).read_text())["number"]
    return number


def files_of(place: Path) -> list[Path]:
    """Everything in and around the studies folder but locks."""
    return sorted(path for path in place.rglob("*") if path.parent.name != "locks")


def test_it_is_a_datastore_of_monai_label(studies: Path, opened: Open, label: Label) -> None:
    store: Datastore = opened(studies)
    assert store.list_images() == ["a", "b", "c"]
    assert store.save_label("a", label(1), DefaultLabelTag.FINAL, {"user": "ada"}) == "a"
    assert store.get_label_uri("a", DefaultLabelTag.FINAL) == str(studies / "labels" / "final" / "a.mrk.json")
    assert store.get_labels_by_image_id("a") == {"final": "a"}
    assert (store.get_label_by_image_id("a", "final"), store.get_label_by_image_id("b", "final")) == ("a", "")
    assert store.get_labeled_images() == ["a"]
    assert store.get_unlabeled_images() == ["b", "c"]
    assert store.get_unlabeled_images("original") == ["a", "b", "c"]
    assert store.datalist() == [{"image": store.get_image_uri("a"), "label": store.get_label_uri("a", "final")}]
    assert store.get_image("a").read() == b"no pixels"
    assert store.get_label("a", "final").read() == b'{"number": 1}'
    assert (store.get_image("x"), store.get_label("b", "final")) == (None, None)
    store.set_name("ward"), store.set_description("images of a ward")
    assert (store.name(), store.description()) == ("ward", "images of a ward")
    assert store.status() == {
        "total": 3,
        "completed": 1,
        "label_tags": {"final": 1},
        "not_served": [],
        "not_served_count": 0,
    }


def test_the_list_has_monai_labels_shape(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    store.save_label("b", label(1), "final", {"user": "ada", "seconds": 12.5, "edits": 3})
    listed = store.json()
    assert list(listed) == ["name", "description", "images_dir", "labels_dir", "objects"]
    assert list(listed["objects"]) == ["a", "b", "c"]
    known = listed["objects"]["b"]
    assert known["image"]["ext"] == ".png"
    assert {"ts", "name"} <= set(known["image"]["info"])
    assert known["labels"]["final"]["ext"] == ".mrk.json"
    facts = known["labels"]["final"]["info"]
    assert (facts["user"], facts["seconds"], facts["edits"], facts["name"]) == ("ada", 12.5, 3, "b.mrk.json")
    assert json.loads("".join(store.json_pieces())) == listed


def test_an_archive_holds_the_labelled_images(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    with pytest.raises(ValueError, match="no image has a label"):
        store.get_dataset_archive(None)
    store.save_label("a", label(1), "final", {})
    store.save_label("b", label(2), "final", {})
    path = Path(store.get_dataset_archive(1))
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        assert sorted(archive.namelist()) == ["image/a.png", "label/a.mrk.json", "metadata.json"]
    path.unlink()


def test_every_version_can_be_restored(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    for number in (1, 2, 3):
        store.save_label("a", label(number), "final", {"user": f"user {number}"})
    assert [v["version"] for v in store.label_versions("a", "final")] == [1, 2, 3]
    assert [v["is_current"] for v in store.label_versions("a", "final")] == [False, False, True]
    assert store.restore_label("a", "final", 2, {"user": "ben"}) == 4
    assert version_number(store.get_label_uri("a", "final")) == 2
    facts = store.get_label_info("a", "final")
    assert (facts["user"], facts["restored"]) == ("ben", 2)
    assert [json.loads(store.label_version("a", "final", n))["number"] for n in (1, 2, 3, 4)] == [1, 2, 3, 2]
    with pytest.raises(LabelNotFoundException, match="no version 9"):
        store.restore_label("a", "final", 9, {})


def test_a_removed_label_can_be_restored(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {"user": "ada"})
    store.remove_label("a", "final")
    assert not (studies / "labels" / "final" / "a.mrk.json").exists()
    assert store.status()["completed"] == 0
    with pytest.raises(LabelNotFoundException):
        store.remove_label("a", "final")
    assert store.restore_label("a", "final", 1, {}) == 2
    assert store.get_label_info("a", "final")["user"] == "ada"
    assert store.status()["completed"] == 1


def test_a_removed_image_leaves_nothing_but_its_twin(studies: Path, opened: Open, label: Label) -> None:
    (studies / "a.jpg").write_bytes(b"the other a")
    store = opened(studies)
    assert not_served(store) == ["a.png"]
    store.save_label("a", label(1), "final", {})
    store.remove_image("a")
    assert store.get_image_uri("a") == str(studies / "a.png")
    assert not_served(store) == []
    assert store.label_versions("a", "final") == []
    store.remove_image("a")
    assert not [path for path in studies.rglob("a.*") if path.is_file()]
    with pytest.raises(ImageNotFoundException):
        store.remove_image("a")


def test_an_image_is_added_under_a_new_id_only(studies: Path, opened: Open, tmp_path: Path) -> None:
    store = opened(studies)

    def add(image: str, name: str = "new.PNG") -> str:
        (tmp_path / name).write_bytes(b"new")
        return store.add_image(image, str(tmp_path / name), {"note": 1})

    assert add("") == "new"
    assert (studies / "new.PNG").read_bytes() == b"new"
    assert store.get_image_info("new")["note"] == 1
    for taken in ("a", "A", "New"):
        with pytest.raises(FileExistsError, match="already"):
            add(taken)
    for image in ("../x", "x/y", ".x", "nul", "x\0y", "x" * 300, "x.overlay"):
        with pytest.raises(ValueError, match="image id"):
            add(image, "file.png")
    with pytest.raises(ValueError, match="not the name of an image"):
        add("x", "text.txt")


def test_metadata_is_merged_and_bounded(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    store.update_image_info("a", {"x": 1, "y": "\0\u2028ä"})
    store.update_image_info("a", {"x": 2})
    facts = store.get_image_info("a")
    assert (facts["x"], facts["y"], facts["path"]) == (2, "\0\u2028ä", str(studies / "a.png"))
    store.save_label("a", label(1), "final", {"x": 1})
    store.update_label_info("a", "final", {"quality": 3})
    assert store.get_label_info("a", "final")["quality"] == 3
    for note in (store.update_image_info, lambda image, facts: store.update_label_info(image, "final", facts)):
        with pytest.raises(ValueError, match="100,000 characters"):
            note("a", {"z": "x" * 100_000})
    with pytest.raises(ImageNotFoundException):
        store.update_image_info("x", {})
    with pytest.raises(LabelNotFoundException):
        store.update_label_info("b", "final", {})


def test_a_label_must_be_whole_and_its_tags_few(studies: Path, opened: Open, label: Label, tmp_path: Path) -> None:
    store = opened(studies)
    broken = tmp_path / "broken.mrk.json"
    for text in ("", "{", "[]", '{"a": 1}}'):
        broken.write_text(text)
        with pytest.raises(ValueError, match="JSON object"):
            store.save_label("a", str(broken), "final", {})
    for number in range(MAX_TAGS):
        store.save_label("a", label(number), f"tag_{number}", {})
    with pytest.raises(ValueError, match=f"{MAX_TAGS} tags"):
        store.save_label("a", label(0), "one_more", {})
    store.save_label("a", label(5), "tag_5", {})


NAMES: list[Any] = ["../a", "/etc/passwd", "a\0", "\ud800", "", ".", "..", "x" * 5000, "'; drop table vl_images; --"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_strange_names_are_no_images_and_no_tags(studies: Path, opened: Open, label: Label, name: str) -> None:
    store = opened(studies)
    before = files_of(studies.parent)
    assert (store.get_image_uri(name), store.get_label_uri(name, "final"), store.get_label_uri("a", name)) == ("",) * 3
    assert store.get_image_info(name) == store.get_label_info("a", name) == store.get_labels_by_image_id(name) == {}
    assert store.label_versions(name, "final") == store.label_versions("a", name) == store.score_queries.scores_of(name)
    assert store.score_queries.set_scores("x", "1", {name: 1.0}) == 0
    for attempt in (
        lambda: store.save_label(name, label(1), "final", {}),
        lambda: store.save_label("a", label(1), name, {}),
        lambda: store.remove_image(name),
        lambda: store.remove_label("a", name),
        lambda: store.restore_label(name, "final", 1, {}),
        lambda: store.restore_label("a", name, 1, {}),
        lambda: store.update_image_info(name, {}),
    ):
        with pytest.raises((ValueError, ImageNotFoundException, LabelNotFoundException)):
            attempt()
    assert files_of(studies.parent) == before
    assert store.list_images() == ["a", "b", "c"]


def test_links_that_lead_out_are_passed_over(studies: Path, opened: Open, label: Label) -> None:
    beyond = studies.parent / "beyond"
    beyond.mkdir()
    (beyond / "secret.png").write_bytes(b"secret")
    (beyond / "a.mrk.json").write_text('{"secret": 1}')
    (studies / "leak.png").symlink_to(beyond / "secret.png")
    (studies / "loop.png").symlink_to(studies / "loop.png")
    (studies / "inner.png").symlink_to(studies / "a.png")
    (studies / "labels" / "final").mkdir(parents=True)
    (studies / "labels" / "final" / "a.mrk.json").symlink_to(beyond / "a.mrk.json")
    (studies / "labels" / "away").symlink_to(beyond)
    store = opened(studies)
    assert store.list_images() == ["a", "b", "c", "inner"]
    assert store.get_labels_by_image_id("a") == {}
    with pytest.raises(ValueError, match="outside"):
        store.save_label("a", label(1), "away", {})
    store.save_label("a", label(1), "final", {})
    assert (beyond / "a.mrk.json").read_text() == '{"secret": 1}'
    assert version_number(store.get_label_uri("a", "final")) == 1
    versions = studies / ".vertebra_landmarks" / "versions" / "mine"
    versions.symlink_to(beyond)
    with pytest.raises(ValueError, match="outside"):
        store.save_label("a", label(1), "mine", {})
    assert {path.name for path in beyond.iterdir()} == {"secret.png", "a.mrk.json"}


def test_a_folder_whose_own_part_leads_out_is_refused(studies: Path, opened: Open) -> None:
    (studies.parent / "beyond").mkdir()
    (studies / ".vertebra_landmarks").symlink_to(studies.parent / "beyond")
    with pytest.raises(ValueError, match="leads out of the studies folder"):
        opened(studies)
    assert not list((studies.parent / "beyond").iterdir())


def test_names_that_are_no_text_are_not_served_but_listed(studies: Path, opened: Open) -> None:
    try:
        (studies / "b\udcff.png").write_bytes(b"x")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system has no such names")
    store = opened(studies)
    assert store.list_images() == ["a", "b", "c"]
    assert not_served(store) == ["b\\udcff.png"]
