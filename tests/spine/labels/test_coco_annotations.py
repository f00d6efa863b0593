"""COCO files as other programs write them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lib.spine.geometry import rotation, transform_points
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.labels.coco import from_coco, to_coco
from lib.spine.labels.corner_order import order_corners
from lib.spine.labels.label_exchange import LabelledImage
from lib.spine.labels.landmark_names import NameMap
from lib.spine.schema import CORNERS, VERTEBRAE, Spine

SHUFFLED = [3, 0, 2, 1]


def vertebra_wise(points: np.ndarray, names: list[str], shape: str = "keypoints") -> dict[str, Any]:
    """A file with an annotation per vertebra, its four points in no particular order."""
    annotations = []
    for number, quad in enumerate(points[:, 1:][:, SHUFFLED].tolist(), start=1):
        flat = [value for x, y in quad for value in ((x, y, 2) if shape == "keypoints" else (x, y))]
        content = {"keypoints": flat} if shape == "keypoints" else {"segmentation": [flat]}
        annotations.append({"id": number, "image_id": 1, "category_id": number, **content})
    categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    return {"images": [{"id": 1, "file_name": "a.png"}], "categories": categories, "annotations": annotations}


def read(content: dict[str, Any], names: NameMap | None = None) -> np.ndarray:
    """Points of the only label, which has no problem."""
    labels, problems = from_coco(json.dumps(content), names or NameMap())
    assert problems == []
    return labels[0].spine.xy


@pytest.mark.parametrize("shape", ["keypoints", "segmentation"])
@pytest.mark.parametrize("spelling", ["{0}", "Th{1}", "{0}_vertebra", "d0{1}"])
def test_a_vertebra_per_annotation_is_read_by_its_category(ladder: np.ndarray, shape: str, spelling: str) -> None:
    names = ["L5", "T1", "T2"]
    if "{1}" in spelling:
        names = ["L5", *(spelling.format(name, name[1:]) for name in names[1:])]
    points = ladder[[16, 0, 1]]
    if "_vertebra" in spelling:
        content = vertebra_wise(points, [f"{name}_vertebra" for name in names], shape)
        table = NameMap({f"{name}_vertebra": name for name in names})
        xy = read(content, table)
    else:
        xy = read(vertebra_wise(points, names, shape))
    np.testing.assert_allclose(xy[[16, 0, 1], 1:], points[:, 1:])
    assert np.isnan(xy[2:16]).all()


@pytest.mark.parametrize("degrees", [-40, 40, 90])
def test_corners_are_told_apart_along_the_spine(ladder: np.ndarray, degrees: float) -> None:
    """Sorted by height alone, bodies tilted by 40 degrees would swap corners."""
    turned = transform_points(rotation(np.radians(degrees)), ladder)[:, 1:]
    np.testing.assert_allclose(order_corners(turned[:, SHUFFLED]), turned)


def test_a_single_body_is_ordered_as_it_stands(ladder: np.ndarray) -> None:
    quads = np.full((17, 4, 2), np.nan)
    quads[7] = ladder[7, 1:][SHUFFLED]
    np.testing.assert_allclose(order_corners(quads)[7], ladder[7, 1:])


def test_sixty_eight_keypoints_without_names_are_corners_from_t1_to_l5(ladder: np.ndarray) -> None:
    flat = [value for quad in ladder[:, 1:][:, SHUFFLED].tolist() for x, y in quad for value in (x, y, 2)]
    flat[:12] = [0] * 12  # T1 is not labelled
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "spine"}],
        "annotations": [{"image_id": 1, "category_id": 1, "keypoints": flat}],
    }
    xy = read(content)
    np.testing.assert_allclose(xy[1:, 1:], ladder[1:, 1:])
    assert np.isnan(xy[0]).all()


def test_keypoints_named_in_other_ways_are_found(ladder: np.ndarray) -> None:
    content = json.loads(to_coco([LabelledImage("a.png", Spine.from_arrays(ladder), ImageFrame(100, 300))]))
    names = content["categories"][0]["keypoints"]
    content["categories"][0]["keypoints"] = [name.replace(" ", "_").replace("TL", "upper-left") for name in names]
    np.testing.assert_allclose(read(content), ladder)


def test_corners_of_a_vertebra_are_found_by_name(ladder: np.ndarray) -> None:
    content = vertebra_wise(ladder[:2], ["T1", "T2"])
    for category in content["categories"]:
        category["keypoints"] = [["UL", "UR", "LL", "LR"][place] for place in SHUFFLED]
    content["annotations"][0]["keypoints"][2] = 0
    xy = read(content)
    np.testing.assert_allclose(xy[1, 1:], ladder[1, 1:])
    assert np.isnan(xy[0, 1 + SHUFFLED[0]]).all()


def test_the_patient_of_an_image_is_read(ladder: np.ndarray) -> None:
    content = vertebra_wise(ladder[:2], ["T1", "T2"])
    content["images"][0]["patient_id"] = 7
    assert from_coco(json.dumps(content))[0][0].patient == "7"


def _broken(ladder: np.ndarray, what: str) -> dict[str, Any]:
    content = vertebra_wise(ladder[:3], ["T1", "T2", "T3"])
    annotation = content["annotations"][1]
    if what == "box":
        annotation.pop("keypoints")
        annotation["bbox"] = [1, 2, 3, 4]
    elif what == "twice":
        annotation["category_id"] = 1
    elif what == "pelvis":
        content["categories"][1]["name"] = "pelvis"
    elif what == "line":
        annotation["keypoints"] = [1, 1, 2, 2, 2, 2, 3, 3, 2, 4, 4, 2]
    elif what == "upwards":
        content["categories"] = content["categories"][::-1]
        for number, category in enumerate(content["categories"], start=1):
            category["id"] = number
    elif what == "text":
        annotation["keypoints"][0] = "left"
    elif what == "three":
        annotation["keypoints"][2] = 0
    elif what == "no category":
        annotation["category_id"] = 77
    return content


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (
            "box",
            "T2 has 0 points; four corners as keypoints or as a polygon were expected (a box says nothing of tilts)",
        ),
        ("twice", "T1 stands twice"),
        ("pelvis", "the category 'pelvis' is no level T1 to L5; a name map (--map) says"),
        ("line", "the four points of T2 are the outline of no body"),
        ("upwards", "T1 lies below T3"),
        ("text", "x and y of T2 must be numbers"),
        ("three", "T2 has 3 points"),
        ("no category", "there is no category 77"),
    ],
)
def test_an_annotation_that_cannot_be_used_leaves_its_image_out(ladder: np.ndarray, what: str, words: str) -> None:
    labels, problems = from_coco(json.dumps(_broken(ladder, what)))
    assert labels == []
    (problem,) = problems
    assert words in problem
    assert problem.startswith("3 annotations from number 1 on, image 'a.png'")


def test_a_map_gives_levels_and_leaves_categories_out(ladder: np.ndarray) -> None:
    content = _broken(ladder, "pelvis")
    xy = read(content, NameMap.parse("theirs;ours\npelvis;\nT3;T4\n"))
    np.testing.assert_allclose(xy[[0, 3], 1:], ladder[[0, 2], 1:])
    assert np.isnan(xy[1:3]).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": "T13"}', "gives 'a' as 'T13': a level like 'T7'"),
        ('{"a": 1}', "must give texts"),
        ("{a", "is no JSON"),
        ("a,T1,x\n", "one row 'theirs, ours' for every name"),
        ("a,T1\na,T2\n", "one row 'theirs, ours' for every name"),
    ],
)
def test_a_map_that_is_none_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        NameMap.parse(text)


def test_names_of_other_programs_are_known() -> None:
    names = NameMap()
    assert [names.level(name) for name in ("Th7", "t07", "D7", "L5", "T13", "C7", "T7 TL", "TL")] == [
        "T7",
        "T7",
        "T7",
        "L5",
        None,
        None,
        None,
        None,
    ]
    assert [names.landmark(f"T7{rest}") for rest in ("", " TL", "_top_left", "-LR", ":centre", " foo")] == [
        "T7",
        "T7 TL",
        "T7 TL",
        "T7 BR",
        "T7",
        None,
    ]
    assert [names.point(name) for name in (*CORNERS, "Upper Right", "x")] == [*CORNERS, "TR", None]
    assert all(names.level(name) == name for name in VERTEBRAE)
