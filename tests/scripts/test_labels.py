"""``scripts/labels.py`` as a user calls it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

import labels as script
from lib.image_io import read_radiograph
from lib.server.store.datastore import StudiesDatastore
from lib.spine.labels.markups import read_markups, write_markups
from lib.spine.schema import Spine

SPACING = (0.5, 0.25)


@pytest.fixture
def studies(tmp_path: Path, ladder: np.ndarray) -> Path:
    """A PNG and a NIfTI file with pixels of half a millimetre, both labelled, and an image without a label."""
    folder = tmp_path / "studies"
    folder.mkdir()
    for name in ("one", "bare"):
        Image.new("L", (100, 300)).save(folder / f"{name}.png")
    nibabel.save(nibabel.Nifti1Image(np.zeros((100, 300, 1), np.int16), np.diag([*SPACING, 1, 1])), folder / "two.nii")
    with opened(folder) as store:
        for image in ("one", "two"):
            geometry = read_radiograph(Path(store.get_image_uri(image))).geometry
            write_markups(tmp_path / "label.mrk.json", Spine.from_arrays(ladder + len(image)), geometry)
            store.save_label(image, str(tmp_path / "label.mrk.json"), "final", {"user": "ada"})
    return folder


def opened(folder: Path) -> closing[StudiesDatastore]:
    """A store for the length of a block."""
    return closing(StudiesDatastore(str(folder)))


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[object]:
    """Exit status, output and errors of a call."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["labels.py", *map(str, arguments)])
        status = script.main()
        return (status, *capsys.readouterr())

    return run


@pytest.mark.parametrize("kind", ["csv", "json", "coco"])
def test_labels_come_back_as_they_went(studies: Path, tmp_path: Path, call, ladder, kind: str) -> None:
    assert call("export", studies, tmp_path / "file", "--format", kind)[:2] == (0, "2 labels exported\n")
    with opened(studies) as store:
        before = read_markups(Path(store.get_label_uri("two", "final"))).xy
        store.remove_label("two", "final")
    status, said, errors = call("import", studies, tmp_path / "file", "--format", kind, "--user", "ben")
    assert (status, errors) == (0, "")
    assert (
        said == "1 labels imported, 0 of them over others, which stay as versions; 1 were there already; 0 left out\n"
    )
    with opened(studies) as store:
        assert np.allclose(read_markups(Path(store.get_label_uri("two", "final"))).xy, before, atol=1e-9)
        assert store.get_label_info("two", "final")["user"] == "ben"
        assert len(store.label_versions("one", "final")) == 1


def test_an_import_overwrites_nothing(studies: Path, tmp_path: Path, call) -> None:
    call("export", studies, tmp_path / "file.csv", "--format", "csv")
    moved = (tmp_path / "file.csv").read_text().replace("one.png,T7,center,", "one.png,T7,center,x")
    (tmp_path / "file.csv").write_text(moved)
    status, said, _ = call("import", studies, tmp_path / "file.csv", "--format", "csv", "--tag", "final")
    assert (status, said.partition(";")[0]) == (1, "0 labels imported, 0 of them over others, which stay as versions")
    (tmp_path / "file.csv").write_text(
        moved.replace("one.png,T7,center,x", "one.png,T7,center,", 1).replace("53.0", "54.0")
    )
    status, said, _ = call("import", studies, tmp_path / "file.csv", "--format", "csv")
    assert (status, said.partition(";")[0]) == (0, "2 labels imported, 2 of them over others, which stay as versions")
    with opened(studies) as store:
        assert [version["info"]["user"] for version in store.label_versions("one", "final")] == ["ada", ""]


def test_what_cannot_be_used_is_said_in_sentences(studies: Path, tmp_path: Path, call) -> None:
    rows = ["image,vertebra,point,x_px,y_px", "bare,T7,center,10,20", "bare,T8,center,10,36"]
    rows += ["unknown,T7,center,1,2", "../one,T7,center,1,2", "one,T99,center,1,2", "two,T7,center,500,2"]
    (tmp_path / "file.csv").write_text("\n".join(rows))
    status, said, errors = call("import", studies, tmp_path / "file.csv", "--format", "csv")
    assert (status, said.startswith("1 labels imported")) == (1, True)
    for words in ("'unknown': there is no such image", "'../one': there is no such", "line 6, image 'one'", "outside"):
        assert words in errors
    assert len(errors.splitlines()) == 4
    assert call("import", studies, tmp_path / "none.csv", "--format", "csv")[0] == 1
    assert (
        call("export", studies / "none", tmp_path / "file", "--format", "csv")[2]
        == f"there is no folder {studies / 'none'}\n"
    )
    assert "label tag" in call("export", studies, tmp_path / "file", "--format", "csv", "--tag", "../x")[2]


def test_a_name_with_dots_is_no_other_image(studies: Path, tmp_path: Path, call) -> None:
    rows = ["image,vertebra,point,x_px,y_px", "bare.2,T7,center,10,20", "bare.jpg,T7,center,10,20"]
    (tmp_path / "file.csv").write_text("\n".join(rows))
    status, said, errors = call("import", studies, tmp_path / "file.csv", "--format", "csv")
    assert (status, said.startswith("0 labels imported")) == (1, True)
    assert errors.count("there is no such image") == 2
    assert not (studies / "labels" / "final" / "bare.mrk.json").exists()


@pytest.mark.parametrize("kind", ["csv", "json", "coco"])
def test_an_image_that_is_called_like_the_file_of_another_keeps_its_label(
    studies: Path, tmp_path: Path, call, kind: str
) -> None:
    Image.new("L", (100, 300)).save(studies / "one.png.png")
    assert call("export", studies, tmp_path / "file", "--format", kind)[0] == 0
    with opened(studies) as store:
        store.remove_label("one", "final")
    assert call("import", studies, tmp_path / "file", "--format", kind)[0] == 0
    with opened(studies) as store:
        assert (bool(store.get_label_uri("one", "final")), store.get_label_uri("one.png", "final")) == (True, "")


def test_a_second_label_of_an_image_is_refused(studies: Path, tmp_path: Path, call) -> None:
    rows = ["image,vertebra,point,x_px,y_px", "bare,T7,center,10,20", "bare.png,T7,center,30,20"]
    (tmp_path / "file.csv").write_text("\n".join(rows))
    status, said, errors = call("import", studies, tmp_path / "file.csv", "--format", "csv")
    assert (status, said.startswith("1 labels imported")) == (1, True)
    assert "'bare.png': the file has an earlier label of this image" in errors
    with opened(studies) as store:
        assert len(store.label_versions("bare", "final")) == 1


def test_labels_of_an_image_of_another_size_are_refused(studies: Path, tmp_path: Path, call) -> None:
    call("export", studies, tmp_path / "file.json", "--format", "coco")
    content = json.loads((tmp_path / "file.json").read_text())
    content["images"][0].update(width=50, height=150)
    content["annotations"][1]["keypoints"][::3] = [5000] * 85
    (tmp_path / "file.json").write_text(json.dumps(content))
    status, said, errors = call("import", studies, tmp_path / "file.json", "--format", "coco", "--tag", "other")
    assert (status, said.startswith("0 labels imported")) == (1, True)
    assert "'one.png': the label is of an image of 50 x 150 pixels, not of the image of 100 x 300 pixels" in errors
    assert "'two.nii': 85 of 85 points lie outside the image" in errors


def test_images_that_got_a_newer_label_are_named(studies: Path, tmp_path: Path, call) -> None:
    call("export", studies, tmp_path / "file.csv", "--format", "csv")
    with (tmp_path / "file.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with (tmp_path / "file.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, rows[0].keys())
        table.writeheader()
        table.writerows({**row, "x_px": float(row["x_px"]) + 0.5} for row in rows)
    with opened(studies) as store:
        store.remove_label("one", "final")
    said = call("import", studies, tmp_path / "file.csv", "--format", "csv")[1].splitlines()
    assert (said[0].partition(",")[0], said[1:]) == ("2 labels imported", ["over another label: two"])


def test_curves_are_exported(studies: Path, tmp_path: Path, call) -> None:
    (studies / "labels" / "final" / "bare.mrk.json").write_text("{}")
    status, said, errors = call("export", studies, tmp_path / "curves.csv", "--format", "curves")
    assert (status, said) == (1, "2 labels exported, 1 left out\n")
    assert "'bare'" in errors
    with (tmp_path / "curves.csv").open(newline="") as stream:
        assert {row["image"] for row in csv.DictReader(stream)} <= {"one.png", "two.nii"}


def shifted(folder: Path, rows: float) -> np.ndarray:
    """Move the label of image "one" down, as a version before 0.8 or a person may have saved it; returns its points."""
    file = folder / "labels" / "final" / "one.mrk.json"
    spine = read_markups(file)
    moved = spine.moved_to(spine.xy + np.array([0.0, rows]))
    write_markups(file, moved)
    return moved.xy


@pytest.mark.parametrize("kind", ["csv", "json", "coco"])
@pytest.mark.parametrize("to_utf16", [False, True])
def test_a_label_with_points_off_the_image_comes_back(
    studies: Path, tmp_path: Path, call, kind: str, to_utf16: bool
) -> None:
    xy = shifted(studies, -24.0)  # T1 is centered one row above the image
    assert xy[0, 0, 1] == -1.0
    assert call("export", studies, tmp_path / "file", "--format", kind)[0] == 0
    if to_utf16:
        (tmp_path / "file").write_bytes((tmp_path / "file").read_text(encoding="utf-8").encode("utf-16"))
    status, said, errors = call("import", studies, tmp_path / "file", "--format", kind)
    assert (status, errors) == (0, "")
    assert "2 were there already; 0 left out" in said
    with opened(studies) as store:
        store.remove_label("one", "final")
    assert call("import", studies, tmp_path / "file", "--format", kind)[0] == 0
    again = read_markups(studies / "labels" / "final" / "one.mrk.json")
    assert not again.visible[0].any()
    np.testing.assert_allclose(again.visible_xy[1:], xy[1:], atol=1e-9)
    assert "2 were there already" in call("import", studies, tmp_path / "file", "--format", kind)[1]


def test_the_export_tells_what_is_doubtful_and_whose_sides_are_meant(studies: Path, tmp_path: Path, call) -> None:
    shifted(studies, -24.0)
    with opened(studies) as store:
        store.state_side("one", "right", "ada")
    status, _, errors = call("export", studies, tmp_path / "curves.csv", "--format", "curves")
    assert status == 0
    assert "one.png: T1 lies off the image" in errors
    with (tmp_path / "curves.csv").open(newline="") as stream:
        sides = {row["image"]: row["sides_of"] for row in csv.DictReader(stream)}
    assert sides == {"one.png": "patient", "two.nii": "image"}
    call("export", studies, tmp_path / "file.json", "--format", "json")
    told = {image["image"]: image for image in json.loads((tmp_path / "file.json").read_text())["images"]}
    assert "bodies_off_image" in [warning["code"] for warning in told["one.png"]["warnings"]]
    assert [mark["visible"] for mark in told["one.png"]["landmarks"]].count(False) == 5


def test_an_import_takes_other_names_and_paths(studies: Path, tmp_path: Path, call) -> None:
    call("export", studies, tmp_path / "file.csv", "--format", "csv")
    text = (tmp_path / "file.csv").read_text().replace("\none.png,", "\n/data/one.png,")
    (tmp_path / "file.csv").write_text(text.replace("/data/one.png,T7,", "/data/one.png,seventh,"))
    (tmp_path / "map.csv").write_text("theirs,ours\nseventh,T7\n")
    arguments = ("import", studies, tmp_path / "file.csv", "--format", "csv")
    status, said, errors = call(*arguments)
    assert status == 1
    assert "'seventh' is neither a vertebra" in errors
    status, said, errors = call(*arguments, "--map", tmp_path / "map.csv")
    assert (status, errors) == (0, "")
    assert said.startswith("0 labels imported")
    assert "2 were there already" in said
