"""The page's editor does what the Slicer module's does: both run the same random operations."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from VertebraLandmarksLib.client.provenance import Origin, parse_origin
from VertebraLandmarksLib.editor.placement_guide import GUIDED, PlacementGuide, sort_corners, spine_direction
from VertebraLandmarksLib.editor.spine_editor import Change, SpineEditor
from VertebraLandmarksLib.spine.geometry import drag_along
from VertebraLandmarksLib.spine.imaging.orientation import Orientation, orientation_of
from VertebraLandmarksLib.spine.labels.markups import label_of
from VertebraLandmarksLib.spine.schema import VERTEBRAE, Spine

from . import node_tools

pytestmark = [pytest.mark.browser]

V, P = 17, 5
SEQUENCES, LENGTH = 60, 40
SIZE = (300, 700)
"""Width and height of the image in pixels."""
Values = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def node() -> None:
    """Node runs the page's modules without any package."""
    if not node_tools.node_version():
        pytest.skip("Node is not installed; on Debian and Ubuntu: sudo apt install nodejs")


def replay(cases: list[Values]) -> list[Any]:
    """What the page's modules answer to each case."""
    status, said = node_tools.run("tests/browser/replay_editor.js", text=json.dumps(cases, allow_nan=False))
    assert status == 0, said
    answers: list[Any] = json.loads(said)
    return answers


def plain(values: np.ndarray) -> list[Any]:
    """Flat list with ``None`` for NaN."""
    return [None if np.isnan(value) else value for value in np.asarray(values, float).reshape(-1).tolist()]


def plain_spine(spine: Spine) -> Values:
    return {
        "xy": plain(spine.xy),
        "scores": plain(spine.scores),
        "errors": plain(spine.errors),
        "visible": plain(spine.visible),
    }


def random_spine(rng: np.random.Generator) -> Spine:
    """A crooked spine with some points absent and some off the image."""
    middle = np.stack([150 + 40 * np.sin(np.arange(V) / rng.uniform(3, 6)), 40 + 39 * np.arange(V)], -1)
    box = np.array([[0, 0], [-22, -14], [22, -14], [-22, 14], [22, 14]])
    xy = middle[:, None] + box + rng.normal(0, 3, (V, P, 2))
    xy[rng.random((V, P)) < 0.05] = np.nan
    xy[rng.random(V) < 0.05] = np.nan
    errors = np.where(rng.random((V, P)) < 0.8, rng.uniform(0, 9, (V, P)), np.nan)
    return Spine.from_arrays(xy, rng.random((V, P)), errors, rng.random((V, P)) < 0.93)


def random_origin(rng: np.random.Generator) -> Origin:
    widths = {name: None if rng.random() < 0.2 else round(float(rng.uniform(0, 5)), 3) for name in VERTEBRAE}
    return parse_origin(
        {
            "model_version": f"{rng.integers(9)}",
            "names_right": round(float(rng.random()), 3),
            "tilt_half_widths_deg": widths if rng.random() < 0.8 else None,
            "orientation": {"turn_deg": int(90 * rng.integers(4)), "mirrored": bool(rng.random() < 0.5)},
        }
    )


def number(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 3)


Operation = tuple[Values, Callable[[SpineEditor], Any]]
"""Values for the page, and the same operation of the Slicer module's editor."""


def prediction(rng: np.random.Generator, name: str) -> Operation:
    spine, origin = random_spine(rng), random_origin(rng)
    values = {"spine": plain_spine(spine), "origin": origin.as_dict()}
    return values, lambda editor: getattr(editor, name)(spine, origin)


def load(rng: np.random.Generator) -> Operation:
    spine, origin, touched = random_spine(rng), random_origin(rng), rng.random((V, P)) < 0.1
    values = {"spine": plain_spine(spine), "origin": origin.as_dict(), "touched": plain(touched), "isOwn": True}
    return values, lambda editor: editor.load(spine, touched, origin, True)


def point(rng: np.random.Generator, name: str) -> Operation:
    v, p, xy = int(rng.integers(-1, V)), int(rng.integers(P)), [number(rng, 0, 300), number(rng, 0, 700)]
    return {"v": v, "p": p, "xy": xy}, lambda editor: getattr(editor, name)(v, p, xy)


def corners(rng: np.random.Generator) -> Operation:
    v, four = int(rng.integers(V)), rng.uniform(0, 300, (4, 2)).round(3)
    return {"v": v, "corners": four.tolist()}, lambda editor: editor.place_corners(v, four)


def shift(rng: np.random.Generator) -> Operation:
    v, xy = int(rng.integers(V)), [number(rng, -20, 20), number(rng, -20, 20)]
    return {"v": v, "xy": xy}, lambda editor: editor.move_vertebra(v, xy)


def turn(rng: np.random.Generator) -> Operation:
    v, degrees = int(rng.integers(V)), number(rng, -30, 30)
    return {"v": v, "degrees": degrees}, lambda editor: editor.rotate_vertebra(v, degrees)


def hide(rng: np.random.Generator) -> Operation:
    v, p = int(rng.integers(V)), None if rng.random() < 0.3 else int(rng.integers(P))
    return {"v": v, "p": p}, lambda editor: editor.hide(v, p)


def names(rng: np.random.Generator) -> Operation:
    by = int(rng.choice([1, -1, 1, -1, 2]))
    return {"by": by}, lambda editor: editor.shift_names(by)


def attribute(rng: np.random.Generator, name: str) -> Operation:
    is_on = bool(rng.random() < 0.3)
    return {"isOn": is_on}, lambda editor: setattr(editor, name, is_on)


def plainly(name: str) -> Operation:
    return {}, lambda editor: getattr(editor, name)()


OPERATIONS: dict[str, tuple[float, Callable[[np.random.Generator], Operation]]] = {
    "load": (1, load),
    "propose": (2, lambda rng: prediction(rng, "propose")),
    "adopt": (2, lambda rng: prediction(rng, "adopt")),
    "follow": (4, lambda rng: prediction(rng, "follow")),
    "movePoint": (10, lambda rng: point(rng, "move_point")),
    "place": (6, lambda rng: point(rng, "place")),
    "placeCorners": (3, corners),
    "moveVertebra": (5, shift),
    "rotateVertebra": (5, turn),
    "hide": (5, hide),
    "shiftNames": (4, names),
    "setLocked": (2, lambda rng: attribute(rng, "locked")),
    "setOwn": (1, lambda rng: attribute(rng, "is_own")),
    "begin": (4, lambda rng: plainly("begin")),
    "end": (5, lambda rng: plainly("end")),
    "cancel": (1, lambda rng: plainly("cancel")),
    "undo": (9, lambda rng: plainly("undo")),
    "redo": (5, lambda rng: plainly("redo")),
}


def state_of(editor: SpineEditor) -> Values:
    return {
        **plain_spine(editor.spine()),
        "shown": plain(editor.xy),
        "touched": plain(editor.touched),
        "origin": editor.origin.as_dict(),
        "fixed": editor.fixed(),
        "edits": editor.edits,
        "predictionCount": editor.prediction_count,
        "canUndo": editor.can_undo,
        "canRedo": editor.can_redo,
        "isChanged": editor.is_changed,
        "isTouched": editor.is_touched,
        "locked": editor.locked,
    }


def outcome(editor: SpineEditor, changes: list[Change], operation: Callable[[SpineEditor], Any]) -> Values:
    """What an operation of the Slicer module's editor leads to."""
    changes.clear()
    try:
        result = operation(editor)
    except ValueError:
        result = "refused"
    noted = [{"kind": one.kind, "vertebrae": list(one.vertebrae), "isOngoing": one.is_ongoing} for one in changes]
    return {"result": result, "changes": noted, "state": state_of(editor)}


def check_same(found: Any, expected: Any, at: str) -> None:
    """Assert that two plain values agree, numbers to a millionth of a pixel."""
    if isinstance(expected, dict):
        assert set(found) == set(expected), at
        for name, value in expected.items():
            check_same(found[name], value, f"{at}, {name}")
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected), at
        for index, value in enumerate(expected):
            check_same(found[index], value, f"{at}, {index}")
    elif isinstance(expected, (bool, str)) or expected is None:
        assert found == expected, at
    else:
        assert found is not None, at
        assert abs(found - expected) <= 1e-6, f"{at}: {found} instead of {expected}"


def random_sequence(rng: np.random.Generator) -> tuple[Values, list[Values]]:
    """Operations for the page, and what the Slicer module's editor makes of them."""
    editor, changes = SpineEditor(), []
    editor.subscribe(changes.append)
    weights = np.array([weight for weight, _ in OPERATIONS.values()])
    chosen = ["load", *rng.choice(list(OPERATIONS), LENGTH, p=weights / weights.sum()).tolist()]
    operations, expected = [], []
    for name in chosen:
        values, operation = OPERATIONS[name][1](rng)
        operations.append({"name": name, "values": values})
        expected.append({"name": name, **outcome(editor, changes, operation)})
    return {"kind": "editor", "operations": operations}, expected


def test_random_edits_lead_to_the_same_points() -> None:
    rng = np.random.default_rng(18)
    sequences = [random_sequence(rng) for _ in range(SEQUENCES)]
    answers = replay([case for case, _ in sequences])
    done = set()
    for number_, (answer, (_, expected)) in enumerate(zip(answers, sequences, strict=True)):
        for step, (found, wanted) in enumerate(zip(answer, expected, strict=True)):
            name = wanted.pop("name")
            if wanted["changes"] and wanted["result"] != "refused":
                done.add(name)
            check_same(found, wanted, f"sequence {number_}, step {step} ({name})")
    assert done == set(OPERATIONS) - {"begin", "setOwn"}  # each operation changed something somewhere


def test_points_follow_dragged_ones_in_the_same_way() -> None:
    rng = np.random.default_rng(1)
    cases, expected = [], []
    for _ in range(300):
        count = int(rng.integers(1, P + 1))
        points = rng.uniform(0, 100, (count, 2))
        if rng.random() < 0.3:
            points[:, 1] = 2 * points[:, 0] + rng.normal(0, rng.choice([0.0, 0.5, 5.0]), count)
        targets = points + rng.normal(0, 10, (count, 2))
        targets[1:][rng.random(count - 1) < 0.5] = np.nan
        cases.append({"kind": "dragAlong", "points": points.tolist(), "targets": [plain(one) for one in targets]})
        expected.append(drag_along(points, targets).tolist())
    check_same(replay(cases), expected, "drag_along")


def test_corners_are_sorted_in_the_same_way() -> None:
    rng = np.random.default_rng(2)
    cases, expected = [], []
    for number_ in range(300):
        width, height, tilt = rng.uniform(10, 40), rng.uniform(8, 30), rng.uniform(-1.2, 1.2)
        box = np.array([[-width, -height], [width, -height], [-width, height], [width, height]]) / 2
        turned = box @ np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
        points = rng.permutation(turned + rng.normal(0, 2, (4, 2)) + 100)
        down = None if number_ % 3 == 0 else rng.normal(0, 1, 2)
        cases.append(
            {"kind": "sortCorners", "points": points.tolist(), "down": None if down is None else down.tolist()}
        )
        expected.append(sort_corners(points, down).tolist())
    check_same(replay(cases), expected, "sort_corners")


def test_the_direction_of_the_spine_is_the_same() -> None:
    rng = np.random.default_rng(3)
    cases, expected = [], []
    for share in np.linspace(0, 1, 60):
        xy, v = random_spine(rng).visible_xy, int(rng.integers(V))
        xy[rng.random(V) < share] = np.nan
        position = rng.uniform(0, 300, 2)
        cases.append({"kind": "spineDirection", "xy": plain(xy), "v": v, "position": position.tolist()})
        found = spine_direction(xy, v, position)
        expected.append(None if found is None else found.tolist())
    assert None in expected
    check_same(replay(cases), expected, "spine_direction")


def test_the_guide_takes_the_same_way() -> None:
    rng = np.random.default_rng(4)
    cases, expected = [], []
    for number_ in range(80):
        xy = random_spine(rng).visible_xy
        xy[rng.random((V, P)) < rng.random()] = np.nan
        order = GUIDED if number_ % 4 else tuple(GUIDED[i] for i in sorted(rng.choice(len(GUIDED), 9, replace=False)))
        guide, operations, seen = PlacementGuide(xy, order), [], []
        seen.append(guide.current)
        for name in rng.choice(["advance", "advance", "skipVertebra", "back", "goTo", "goToMissing"], 15).tolist():
            v = int(rng.choice([vertebra for vertebra, _ in order]))
            steps = {
                "advance": (guide.advance, xy),
                "skipVertebra": (guide.skip_vertebra, xy),
                "back": (guide.back,),
                "goTo": (guide.go_to, v),
                "goToMissing": (guide.go_to, v, xy),
            }
            step, *values = steps[name]
            step(*values)
            operations.append({"name": name, "v": v})
            seen.append(guide.current)
        given = {"order": [list(place) for place in order]} if number_ % 2 or order != GUIDED else {}
        cases.append({"kind": "guide", "xy": plain(xy), "operations": operations, **given})
        expected.append(seen)
    check_same(replay(cases), expected, "PlacementGuide")


def test_points_off_the_image_are_the_same() -> None:
    rng = np.random.default_rng(5)
    cases, expected = [], []
    for number_ in range(40):
        spine, kept = random_spine(rng), rng.random((V, P)) < 0.1
        width, height = int(rng.integers(100, 300)), int(rng.integers(300, 800))
        cut = spine.cut_to(width, height)
        visible = np.where(kept, spine.visible, cut.visible) if number_ % 2 else cut.visible
        case = {"kind": "cutTo", "spine": plain_spine(spine), "width": width, "height": height}
        cases.append({**case, "kept": plain(kept) if number_ % 2 else None})
        expected.append(plain_spine(Spine.from_arrays(spine.xy, spine.scores, spine.errors, visible)))
    check_same(replay(cases), expected, "cut_to")


def test_landmarks_are_named_and_valued_in_the_same_way() -> None:
    spine = random_spine(np.random.default_rng(6))
    expected = [
        {"name": label_of(vertebra, name), "x": one.x, "y": one.y, "score": one.score, "error_px": one.error}
        | {"visible": one.is_visible}
        for vertebra, name, one in spine.points()
        if one is not None
    ]
    assert any(one["error_px"] is None for one in expected)
    check_same(replay([{"kind": "landmarks", "spine": plain_spine(spine)}]), [expected], "landmarks")


def test_images_are_turned_upright_in_the_same_way() -> None:
    rng = np.random.default_rng(7)
    width, height = SIZE
    cases, expected = [], []
    for number_ in range(160):
        how = Orientation(number_ % 4, number_ % 8 >= 4)
        matrix, at = how.matrix(width, height), rng.uniform(0, 300, 2)
        upright = matrix[:2, :2] @ at + matrix[:2, 2]
        cases.append({"kind": "upright", "width": width, "height": height, "orientation": how.as_dict()})
        cases[-1]["point"] = at.tolist()
        shift_ = matrix[:2, :2].T @ at
        expected.append({"upright": upright.tolist(), "back": at.tolist(), "size": list(how.size(width, height))})
        expected[-1]["shift"] = shift_.tolist()
        stated, stored = Orientation(int(rng.integers(4)), how.is_mirrored), random_spine(rng).xy
        inverse = np.linalg.inv(matrix)
        stored = stored @ inverse[:2, :2].T + inverse[:2, 2]
        if number_ % 5 == 0:
            stored[rng.random((V, P)) < 0.9] = np.nan
        named = stated if number_ % 3 else None
        cases.append({"kind": "orientation", "xy": plain(stored), "width": width, "height": height})
        cases[-1]["stated"] = None if named is None else named.as_dict()
        expected.append(orientation_of(stored, width, height, named).as_dict())
    check_same(replay(cases), expected, "orientation")
