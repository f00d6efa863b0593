"""Markups files: what is written is read back, and what is wrong is named."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.spine.imaging.image_geometry import DENSITY, ImageGeometry
from lib.spine.labels.markups import SUFFIX, from_markups, label_of, read_markups, to_markups, write_markups
from lib.spine.schema import CORNERS, VERTEBRAE, Landmark, Spine


def one_point(**control: Any) -> dict[str, Any]:
    """Content of a file with one control point, T1 at (1, 2), changed as told."""
    return {
        "markups": [{"coordinateSystem": "LPS", "controlPoints": [{"label": "T1", "position": [1, 2, 0], **control}]}]
    }


def test_labels_name_the_vertebra_and_the_corner() -> None:
    assert label_of("T7", "center") == "T7"
    assert label_of("L5", "BR") == "L5 BR"


def test_a_file_holds_17_centers_and_68_corners_in_order(ladder: np.ndarray) -> None:
    content = to_markups(Spine.from_arrays(ladder))
    centers, corners = content["markups"]
    assert (centers["name"], corners["name"]) == ("centers", "corners")
    assert [c["label"] for c in centers["controlPoints"]] == list(VERTEBRAE)
    assert [c["label"] for c in corners["controlPoints"]] == [f"{v} {c}" for v in VERTEBRAE for c in CORNERS]
    for markup, count in ((centers, 17), (corners, 68)):
        assert markup["type"] == "Fiducial"
        assert markup["coordinateSystem"] == "LPS"
        assert markup["lastUsedControlPointNumber"] == count
        assert [c["id"] for c in markup["controlPoints"]] == [str(i) for i in range(1, count + 1)]
        assert {c["positionStatus"] for c in markup["controlPoints"]} == {"defined"}
    assert "markups-schema-v1.0.3" in content["@schema"]


def test_positions_are_pixels_times_spacing_in_lps(ladder: np.ndarray) -> None:
    spacing = (0.5, 0.25)
    centers, corners = to_markups(Spine.from_arrays(ladder), ImageGeometry(spacing))["markups"]
    assert centers["controlPoints"][1]["position"] == [25.0, 9.0, 0.0]  # T2 at (50, 36)
    assert corners["controlPoints"][5]["position"] == [30.0, 7.5, 0.0]  # T2 TR at (60, 30)
    flat = np.array([c["position"] for c in corners["controlPoints"]]).reshape(17, 4, 3)
    np.testing.assert_allclose(flat[..., :2], ladder[:, 1:] * spacing)
    assert (flat[..., 2] == 0).all()


def test_an_absent_point_keeps_its_place_undefined(ladder: np.ndarray) -> None:
    ladder[2, 0] = ladder[2, 4] = np.nan
    centers, corners = to_markups(Spine.from_arrays(ladder))["markups"]
    assert (len(centers["controlPoints"]), len(corners["controlPoints"])) == (17, 68)
    undefined = [
        c["label"] for m in (centers, corners) for c in m["controlPoints"] if c["positionStatus"] == "undefined"
    ]
    assert undefined == ["T3", "T3 BR"]
    assert centers["controlPoints"][2]["position"] == [0.0, 0.0, 0.0]


GEOMETRIES = {
    "pixels": ImageGeometry(),
    "spacing": ImageGeometry((0.143, 0.2)),
    "coronal plane": ImageGeometry((0.2, 0.3), (11, -22, 33), (-1, 0, 0), (0, 0, 1), "file header"),
    "oblique plane": ImageGeometry((0.2, 0.3), (1, 2, 3), (0.8, 0.6, 0), (0, 0, -1)),
}


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES.keys())
def test_round_trip_through_a_file(tmp_path: Path, ladder: np.ndarray, geometry: ImageGeometry) -> None:
    ladder = ladder + np.random.default_rng(0).normal(size=ladder.shape)
    ladder[16] = np.nan
    scores = np.random.default_rng(1).uniform(size=(17, 5))
    path = tmp_path / f"a{SUFFIX}"
    write_markups(path, Spine.from_arrays(ladder, scores), geometry)
    spine = read_markups(path, geometry)
    np.testing.assert_allclose(spine.xy, ladder, rtol=1e-12)
    scores[16] = 0
    np.testing.assert_allclose(spine.scores, scores, atol=1e-6)  # written with six digits
    assert spine["L5"].is_absent


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES.keys())
def test_positions_are_those_of_the_image_in_the_scene(ladder: np.ndarray, geometry: ImageGeometry) -> None:
    centers, _ = to_markups(Spine.from_arrays(ladder), geometry)["markups"]
    positions = np.array([control["position"] for control in centers["controlPoints"]])
    np.testing.assert_allclose(positions, geometry.to_physical(ladder[:, 0]))


def test_a_file_is_read_with_the_geometry_that_it_was_written_with(ladder: np.ndarray) -> None:
    content = to_markups(Spine.from_arrays(ladder), GEOMETRIES["coronal plane"])
    np.testing.assert_allclose(from_markups(content, GEOMETRIES["spacing"]).xy, ladder)


def test_a_file_that_slicer_has_saved_is_read_with_the_geometry_of_the_image(ladder: np.ndarray) -> None:
    content = to_markups(Spine.from_arrays(ladder), GEOMETRIES["coronal plane"])
    del content["vertebraLandmarks"]
    np.testing.assert_allclose(from_markups(content, GEOMETRIES["coronal plane"]).xy, ladder)


@pytest.mark.parametrize(
    ("geometry", "spacing"),
    [
        (ImageGeometry((0.35, 0.35), source=DENSITY), (1.0, 1.0)),
        (ImageGeometry((0.2, 0.3), (1, 2, 3), (0, 0, 1), (1, 0, 0), "file header"), (0.2, 0.3)),
    ],
    ids=["density", "coronal plane"],
)
def test_a_file_of_a_version_before_0_8_is_read_as_it_was_written(
    ladder: np.ndarray, geometry: ImageGeometry, spacing: tuple[float, float]
) -> None:
    """Which knew neither origins nor directions, and took 1 mm for dots per inch."""
    content = to_markups(Spine.from_arrays(ladder), ImageGeometry(spacing))
    del content["vertebraLandmarks"]["geometry"]
    np.testing.assert_allclose(from_markups(content, geometry).xy, ladder)


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        (None, "geometry must be a table"),
        ({}, "geometry: spacing must be 2 numbers"),
        ({**ImageGeometry().as_dict(), "spacing": [0, 1]}, "two positive numbers"),
        ({**ImageGeometry().as_dict(), "down_column": [1, 0, 0]}, "do not span a plane"),
    ],
)
def test_a_malformed_geometry_is_named(ladder: np.ndarray, geometry: object, words: str) -> None:
    content = to_markups(Spine.from_arrays(ladder))
    content["vertebraLandmarks"]["geometry"] = geometry
    with pytest.raises(ValueError, match=rf"^mine: geometry.*{words.removeprefix('geometry')}"):
        from_markups(content, where="mine")


def test_a_point_that_the_image_does_not_show_is_undefined_at_its_place(ladder: np.ndarray) -> None:
    spine = Spine.from_arrays(ladder).cut_to(100, 60)
    centers, corners = to_markups(spine)["markups"]
    states = [control["positionStatus"] for control in centers["controlPoints"]]
    assert states == ["defined"] * 3 + ["undefined"] * 14
    assert centers["controlPoints"][5]["position"] == [50.0, 100.0, 0.0]
    assert [c["positionStatus"] for c in corners["controlPoints"][:16]] == ["defined"] * 12 + ["undefined"] * 4
    np.testing.assert_array_equal(from_markups({"markups": [centers, corners]}).visible, spine.visible)


def test_expected_errors_survive_a_file_in_pixels_whatever_the_spacing(tmp_path: Path, ladder: np.ndarray) -> None:
    random = np.random.default_rng(0)
    scores, errors = random.uniform(size=(17, 5)), random.uniform(0, 300, size=(17, 5))
    errors[0, 0], errors[4:6] = 0.0, np.nan  # certain; not estimated
    ladder[16] = np.nan
    path = tmp_path / f"a{SUFFIX}"
    write_markups(path, Spine.from_arrays(ladder, scores, errors), ImageGeometry((0.143, 0.2)))
    spine = read_markups(path, ImageGeometry((0.143, 0.2)))
    errors[16], scores[16] = np.nan, 0.0
    np.testing.assert_allclose(spine.errors, errors, rtol=1e-5)  # written with six digits
    np.testing.assert_allclose(spine.scores, scores, atol=1e-6)
    assert spine["T1"].center is not None
    assert spine["T1"].center.error == 0.0


def test_the_description_holds_score_and_error(ladder: np.ndarray) -> None:
    errors = np.full((17, 5), np.nan)
    errors[0, 0], errors[1, 0] = 12.3456789, 0.0
    ladder[3] = np.nan
    centers, _ = to_markups(Spine.from_arrays(ladder, np.full((17, 5), 0.25), errors))["markups"]
    assert [control["description"] for control in centers["controlPoints"][:5]] == [
        *["score=0.25 error_px=12.3457", "score=0.25 error_px=0", "score=0.25", "", "score=0.25"]
    ]


@pytest.mark.parametrize("first", ["score=0.25", "score=1", ""])
def test_files_of_versions_without_errors_have_none(ladder: np.ndarray, first: str) -> None:
    content = to_markups(Spine.from_arrays(ladder))
    for markup in content["markups"]:
        for control in markup["controlPoints"]:
            control["description"] = first
    spine = from_markups(content)
    assert np.isnan(spine.errors).all()
    assert (spine.scores == (0.25 if first == "score=0.25" else 1.0)).all()


def test_a_written_file_is_strict_json(tmp_path: Path, ladder: np.ndarray) -> None:
    ladder[0] = np.nan
    path = tmp_path / "a.mrk.json"
    write_markups(path, Spine.from_arrays(ladder))

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def test_ras_files_are_turned(ladder: np.ndarray) -> None:
    geometry = ImageGeometry((0.5, 2.0))
    content = to_markups(Spine.from_arrays(ladder), geometry)
    for markup in content["markups"]:
        markup["coordinateSystem"] = "RAS"
        for control in markup["controlPoints"]:
            x, y, z = control["position"]
            control["position"] = [-x, -y, z]
    np.testing.assert_allclose(from_markups(content, geometry).xy, ladder)


def test_the_number_0_is_never_lps() -> None:
    """Slicer's ``vtkMRMLStorageNode``: 0 is RAS and 1 is LPS; schema 1.0.3 has no numbers at all."""
    content = one_point()
    content["markups"][0]["coordinateSystem"] = "0"
    try:
        spine = from_markups(content)
    except ValueError:
        return
    assert spine["T1"].center == Landmark(-1.0, -2.0)


def test_lps_is_the_default() -> None:
    content = one_point()
    del content["markups"][0]["coordinateSystem"]
    assert from_markups(content)["T1"].center == Landmark(1.0, 2.0)


def test_order_and_grouping_do_not_matter(ladder: np.ndarray) -> None:
    content = to_markups(Spine.from_arrays(ladder))
    controls = [c for m in content["markups"] for c in m["controlPoints"]][::-1]
    content["markups"] = [{**content["markups"][0], "name": "F", "controlPoints": controls}]
    np.testing.assert_array_equal(from_markups(content).xy, ladder)


def test_a_label_that_the_file_lacks_is_an_absent_point() -> None:
    spine = from_markups(one_point())
    assert spine["T1"].center == Landmark(1.0, 2.0)
    assert sum(p is not None for _, _, p in spine.points()) == 1
    assert from_markups({"markups": []})["T1"].is_absent


@pytest.mark.parametrize("status", ["undefined", "preview", "missing"])
def test_a_point_that_is_not_defined_is_absent_even_without_a_position(status: str) -> None:
    assert from_markups(one_point(positionStatus=status, position=None))["T1"].center is None


@pytest.mark.parametrize(
    ("description", "score"),
    [
        *[("score=0.25", 0.25), ("score=0", 0.0), ("", 1.0), (None, 1.0), ("moved by me", 1.0)],
        *[("score=high", 1.0), ("score=2", 1.0), ("score=nan", 1.0), ("size=0.1", 1.0), (7, 1.0)],
    ],
)
def test_scores_are_read_from_descriptions(description: object, score: float) -> None:
    center = from_markups(one_point(description=description))["T1"].center
    assert center is not None
    assert center.score == score


@pytest.mark.parametrize(
    ("description", "score", "error"),
    [
        ("score=0.25 error_px=3.5", 0.25, 3.5),
        ("error_px=3.5 score=0.25", 0.25, 3.5),
        ("  score=0.25\t\n error_px=3.5 looked at by me", 0.25, 3.5),
        ("error_px=3.5", 1.0, 3.5),
        ("error_px=0", 1.0, 0.0),
        ("score=0.25 error_px=", 0.25, None),
        ("score=0.25 error_px=large", 0.25, None),
        ("score=0.25 error_px=-1", 0.25, None),
        ("score=0.25 error_px=nan", 0.25, None),
        ("score=0.25 error_px=inf", 0.25, None),
        ("score=0.25 error_px=1e999", 0.25, None),
        ("score=0.25 error_px=1=2", 0.25, None),
        ("score=0.25 error_mm=3.5", 0.25, None),
        ("score=0.25error_px=3.5", 1.0, None),
        ("score= 0.25 error_px = 3.5", 1.0, None),
        ("score=9 error_px=3.5", 1.0, 3.5),
        ("= == =0.5 score error_px", 1.0, None),
        ("\u0663=\u0663 \x00 \ud800", 1.0, None),
        ({"score": 0.25}, 1.0, None),
        (["error_px=3.5"], 1.0, None),
        (True, 1.0, None),
        (None, 1.0, None),
    ],
    ids=repr,
)
def test_expected_errors_are_read_from_descriptions_of_any_kind(
    description: object, score: float, error: float | None
) -> None:
    """Which are free text that a person may have changed; there is no wrong one."""
    assert from_markups(one_point(description=description))["T1"].center == Landmark(1.0, 2.0, score, error)


MALFORMED: dict[str, tuple[object, str]] = {
    "null": (None, "list 'markups'"),
    "number": (3, "list 'markups'"),
    "text": ("markups", "list 'markups'"),
    "list": ([], "list 'markups'"),
    "empty table": ({}, "list 'markups'"),
    "markups null": ({"markups": None}, "list 'markups'"),
    "markups table": ({"markups": {}}, "list 'markups'"),
    "markup null": ({"markups": [None]}, "coordinateSystem"),
    "markup text": ({"markups": ["T1"]}, "coordinateSystem"),
    "system unknown": ({"markups": [{"coordinateSystem": "IJK", "controlPoints": []}]}, "LPS or RAS, got 'IJK'"),
    "system list": ({"markups": [{"coordinateSystem": ["LPS"], "controlPoints": []}]}, "LPS or RAS"),
    "system null": ({"markups": [{"coordinateSystem": None, "controlPoints": []}]}, "LPS or RAS"),
    "no points": ({"markups": [{}]}, "list 'controlPoints'"),
    "points table": ({"markups": [{"controlPoints": {}}]}, "list 'controlPoints'"),
    "point null": ({"markups": [{"controlPoints": [None]}]}, "label None"),
    "no label": ({"markups": [{"controlPoints": [{"position": [1, 2, 3]}]}]}, "label None"),
    "label number": (one_point(label=1), "label 1"),
    "label list": (one_point(label=["T1"]), "label "),
    "label unknown": (one_point(label="L6"), "label 'L6' is neither"),
    "corner unknown": (one_point(label="T1 XX"), "label 'T1 XX' is neither"),
    "label in lower case": (one_point(label="t1"), "label 't1' is neither"),
    "no position": (one_point(position=None), "position of 'T1' must be three numbers"),
    "position of two": (one_point(position=[1, 2]), "three numbers"),
    "position of four": (one_point(position=[1, 2, 3, 4]), "three numbers"),
    "position text": (one_point(position="1 2 3"), "three numbers"),
    "position of texts": (one_point(position=["1", "2", "3"]), "three numbers"),
    "position with null": (one_point(position=[1, None, 0]), "three numbers"),
    "position not a number": (one_point(position=[math.nan, 2, 0]), "three numbers"),
    "position infinite": (one_point(position=[1, math.inf, 0]), "three numbers"),
    "position beyond floats": (one_point(position=[10**400, 2, 0]), "three numbers"),
}


@pytest.mark.parametrize(("content", "text"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_content_is_named(content: object, text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        from_markups(content, where="mine.mrk.json")
    assert str(caught.value).startswith("mine.mrk.json: ")


BROKEN_FILES = {
    "empty": b"",
    "no JSON": b"hello",
    "cut": b'{"markups": [',
    "trailing comma": b'{"markups": [],}',
    "binary": bytes(range(256)),
    "UTF-16": '{"markups": []}'.encode("utf-16"),
    "nested too deep": b"[" * 200_000,
    "number too long": b'{"markups": [' + b"1" * 5000 + b"]}",
}


@pytest.mark.parametrize("content", BROKEN_FILES.values(), ids=BROKEN_FILES.keys())
def test_a_file_that_is_no_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.mrk.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^mine\.mrk\.json: expected JSON"):
        read_markups(path)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_markups(tmp_path / "none.mrk.json")


def test_a_label_that_stands_twice_is_refused(ladder: np.ndarray) -> None:
    content = to_markups(Spine.from_arrays(ladder))
    content["markups"][1]["controlPoints"][3]["label"] = "T5"
    with pytest.raises(ValueError, match="label 'T5' stands twice"):
        from_markups(content)


def test_a_label_that_stands_twice_is_refused_even_where_one_is_undefined() -> None:
    content = one_point(positionStatus="undefined")
    content["markups"][0]["controlPoints"] += one_point()["markups"][0]["controlPoints"]
    with pytest.raises(ValueError, match="stands twice"):
        from_markups(content)


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, ladder: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mrk.json"
    write_markups(path, Spine.from_arrays(ladder))
    before = path.read_bytes()
    original = Path.write_text

    def half(self: Path, text: str, **options: Any) -> int:
        original(self, text[:100], **options)
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(OSError, match="disk full"):
        write_markups(path, Spine.from_arrays(ladder + 1))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_writing_into_a_missing_folder_is_an_os_error(tmp_path: Path, ladder: np.ndarray) -> None:
    with pytest.raises(FileNotFoundError):
        write_markups(tmp_path / "none" / "a.mrk.json", Spine.from_arrays(ladder))
