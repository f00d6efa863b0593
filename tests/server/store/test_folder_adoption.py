"""Folders that MONAI Label has served before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from monailabel.datastore.local import LocalDatastore

from lib.server.store.datastore import StudiesDatastore

Open = Callable[..., StudiesDatastore]


@pytest.fixture
def served_before(studies: Path) -> Path:
    """By MONAI Label's own datastore: b has two labels, one of them with facts."""
    store = LocalDatastore(str(studies), extensions=["*.png", "*.mrk.json"])
    (studies.parent / "b.mrk.json").write_text('{"of": "b"}')
    store.save_label("b", str(studies.parent / "b.mrk.json"), "final", {"user": "ada", "edits": 4})
    store.save_label("b", str(studies.parent / "b.mrk.json"), "original", {})
    store.update_image_info("c", {"epistemic_entropy": 0.25, "strategy": {"random": {"ts": 5, "client_id": "x"}}})
    store.set_name("ward")
    return studies


def test_it_is_taken_over_as_it_is(served_before: Path, opened: Open) -> None:
    def files() -> dict[str, bytes]:
        found = [path for path in served_before.rglob("*") if path.is_file()]
        kept = [path for path in found if ".vertebra_landmarks" not in path.parts and path.name != ".lock"]
        return {path.name: path.read_bytes() for path in kept}

    before, said = files(), LocalDatastore(str(served_before), extensions=["*.png", "*.mrk.json"]).json()
    store = opened(served_before)
    now = store.json()
    assert now["objects"] == said["objects"]
    assert now["name"] == "ward"
    assert [json.loads(store.label_version("b", tag, 1)) for tag in ("final", "original")] == [{"of": "b"}] * 2
    assert store.status()["completed"] == 1
    assert files() == before


def test_labels_of_other_formats_are_reported(
    served_before: Path, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    store = LocalDatastore(str(served_before), extensions=["*.png", "*.mrk.json", "*.nii.gz"])
    (served_before.parent / "a.nii.gz").write_bytes(b"a mask")
    store.save_label("a", str(served_before.parent / "a.nii.gz"), "final", {})
    now = opened(served_before)
    assert "1 of MONAI Label's labels are no .mrk.json files" in caplog.text
    assert now.get_labeled_images() == ["b"]
    assert (served_before / "labels" / "final" / "a.nii.gz").is_file()


def test_it_is_read_once(served_before: Path, opened: Open) -> None:
    opened(served_before).update_image_info("c", {"epistemic_entropy": 0.5})
    (served_before / "datastore_v2.json").write_text("{ damaged later")
    assert opened(served_before).get_image_info("c")["epistemic_entropy"] == 0.5


def test_a_damaged_list_is_not_passed_over_in_silence(served_before: Path, opened: Open) -> None:
    whole = (served_before / "datastore_v2.json").read_text()
    (served_before / "datastore_v2.json").write_text(whole[:-20])
    with pytest.raises(ValueError, match="repair it, or move it away"):
        opened(served_before)
    (served_before / "datastore_v2.json").write_text(whole)
    assert opened(served_before).get_label_info("b", "final")["user"] == "ada"


@pytest.mark.parametrize(
    "content", ["[]", '{"objects": [1]}', '{"objects": {"a": 3, "b": {"image": [], "labels": 7}}}']
)
def test_what_has_another_shape_counts_for_nothing(studies: Path, opened: Open, content: str) -> None:
    (studies / "datastore_v2.json").write_text(content)
    assert opened(studies).list_images() == ["a", "b", "c"]


def test_long_metadata_does_not_prevent_the_start(
    studies: Path, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    (studies / "labels" / "final").mkdir(parents=True)
    (studies / "labels" / "final" / "a.mrk.json").write_text("{}")
    info = {"result": "x" * 200_000, "quality": float("nan"), "user": "ada"}
    known = {"image": {"ext": ".png", "info": info}, "labels": {"final": {"ext": ".mrk.json", "info": info}}}
    content = {"name": "bad \ud800", "description": "nul \0", "objects": {"a": known}}
    (studies / "datastore_v2.json").write_text(json.dumps(content))
    store = opened(studies)
    assert (store.name(), store.description()) == ("studies", "Spine radiographs")
    for facts in (store.get_image_info("a"), store.get_label_info("a", "final")):
        assert (facts["user"], facts["quality"], "result" in facts) == ("ada", None, False)
    assert "NaN" not in "".join(store.json_pieces())
    assert caplog.text.count("is left out") == 2
