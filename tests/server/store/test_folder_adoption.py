"""Folders that MONAI Label or an earlier release has served before."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from monailabel.datastore.local import LocalDatastore

from lib.server.active_learning.assignments import Assignments
from lib.server.active_learning.scored_versions import ScoredVersions
from lib.server.store.folder_adoption import ASSIGNMENTS_FILE, SCORED_VERSIONS_FILE
from lib.server.store.schema import assignments

from .conftest import Open


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


def write(studies: Path, name: str, content: bytes | Any) -> Path:
    own = studies / ".vertebra_landmarks"
    own.mkdir(exist_ok=True)
    path = own / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def assigned(studies: Path, opened: Open) -> set[str]:
    context = opened(studies).context
    with context.database.reading() as connection:
        rows = connection.execute(assignments.select().where(assignments.c.store == context.key)).all()
    return {row.image for row in rows}


def test_files_of_earlier_releases_are_adopted_and_stay(studies: Path, opened: Open) -> None:
    now = time.time()
    files = [
        write(studies, ASSIGNMENTS_FILE, {"a": now - 5, "b": now - 10, "c": now - 9e5}),
        write(studies, SCORED_VERSIONS_FILE, ["2", "1"]),
    ]
    contents = [path.read_bytes() for path in files]
    store = opened(studies)
    assert ScoredVersions(store.context).complete() == ["2", "1"]
    excluded: list[Any] = []
    Assignments(store.context).assign(lambda images: excluded.append(images) or "c")  # type: ignore[func-returns-value]
    assert excluded == [["a", "b"]]
    assert [path.read_bytes() for path in files] == contents


def test_files_are_adopted_once(studies: Path, opened: Open) -> None:
    write(studies, SCORED_VERSIONS_FILE, ["1"])
    ScoredVersions(opened(studies).context).add("2")
    assert ScoredVersions(opened(studies).context).add("3") == ["3", "2"]
    assert ScoredVersions(opened(studies).context).complete() == ["3", "2"]


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[" * 100_000, [1], {}, 5, None, {"a": None, "b": "soon", "c": True, "\ud800": 1, "d": 1e300}],
    ids=["empty", "bytes", "deep", "list", "nothing", "number", "null", "no times"],
)
def test_damaged_files_are_ignored(studies: Path, opened: Open, content: Any) -> None:
    write(studies, ASSIGNMENTS_FILE, content)
    write(studies, SCORED_VERSIONS_FILE, content if content != [1] else {"1": 2})
    assert assigned(studies, opened) == set()
    assert ScoredVersions(opened(studies).context).complete() == []


def test_folders_in_one_database_are_adopted_apart(studies: Path, opened: Open, tmp_path: Path) -> None:
    write(studies, SCORED_VERSIONS_FILE, ["1"])
    other = tmp_path / "other"
    other.mkdir()
    write(other, SCORED_VERSIONS_FILE, ["2"])
    assert ScoredVersions(opened(studies).context).complete() == ["1"]
    assert ScoredVersions(opened(other).context).complete() == ["2"]
