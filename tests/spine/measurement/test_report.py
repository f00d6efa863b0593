"""What one spine's points say, in plain values."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from lib.phantoms import PhantomSpec, render_phantom
from lib.spine.geometry import mirror_points, rotation, transform_points, with_centers
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.imaging.orientation import UPRIGHT
from lib.spine.measurement.aasce_angles import challenge_angles
from lib.spine.measurement.anatomy import KINDS, violations
from lib.spine.measurement.cobb import measure_curves, t1_tilt_deg, wedging_deg
from lib.spine.measurement.report import anatomy_report, challenge_report, cobb_report, curves_of
from lib.spine.schema import POINTS, VERTEBRAE, Spine

WIDTH, HEIGHT = 800, 900


def frame(height: int = HEIGHT, left: str | None = None, width: int = WIDTH) -> ImageFrame:
    """An upright image."""
    return ImageFrame(width, height, UPRIGHT, left)


def bent() -> np.ndarray:
    """``(17, 5, 2)`` points: bodies of 60 x 30 px whose tilts go from 0 at T1 to -20 at T5, +22 at T11, -10 at L5."""
    angle = np.radians(np.interp(range(17), [0, 4, 10, 16], [0, -20, 22, -10]))
    across = np.stack([np.cos(angle), np.sin(angle)], -1)
    down = np.stack([-np.sin(angle), np.cos(angle)], -1)
    center = np.array([400.0, 50]) + np.concatenate([np.zeros((1, 2)), np.cumsum((down[1:] + down[:-1]) * 22.5, 0)])
    corners = [center + 30 * sx * across + 15 * sy * down for sy in (-1, 1) for sx in (-1, 1)]
    return with_centers(np.stack(corners, 1))


@pytest.fixture
def spine() -> Spine:
    """An S-shaped spine without a fault."""
    return Spine.from_arrays(bent())


def spine_without(*absent: tuple[str, str]) -> Spine:
    """The same spine without these points."""
    xy = bent()
    for vertebra, point in absent:
        xy[VERTEBRAE.index(vertebra), POINTS.index(point)] = np.nan
    return Spine.from_arrays(xy)


def kinds_of_values(value: Any) -> set[type]:
    """Types of everything in nested dicts and lists; a tuple or an array is not looked into."""
    if type(value) is dict:
        assert all(type(key) is str for key in value)
        return set().union(*map(kinds_of_values, value.values()))
    return set().union(*map(kinds_of_values, value)) if type(value) is list else {type(value)}


def test_the_challenge_angles_are_those_of_the_rule(spine: Spine) -> None:
    assert challenge_report(spine, frame()) == challenge_angles(spine.xy[:, 1:], HEIGHT).tolist()
    assert challenge_report(spine, frame()) == pytest.approx([42, 20, 32])


def test_the_challenge_rule_asks_for_the_height_of_the_image(spine: Spine) -> None:
    """T5 and T11 lie above the middle of a high image, and below it where the spine lies at its bottom."""
    assert challenge_report(spine, frame(2000)) == pytest.approx([42, 20, 32])
    low = Spine.from_arrays(spine.xy + np.array([0, 1200.0]))
    assert challenge_report(low, frame(2000)) == challenge_angles(low.xy[:, 1:], 2000).tolist()
    assert challenge_report(low, frame(2000)) == pytest.approx([42, 20, 0])


def test_what_the_image_does_not_show_has_no_challenge_angles(spine: Spine) -> None:
    assert challenge_report(spine, frame(600)) is None


@pytest.mark.parametrize("corner", POINTS[1:])
def test_without_a_corner_there_are_no_challenge_angles(corner: str) -> None:
    assert challenge_report(spine_without(("L2", corner)), frame()) is None


def test_the_challenge_rule_needs_no_centers(spine: Spine) -> None:
    without = spine_without(*((vertebra, "center") for vertebra in VERTEBRAE))
    assert challenge_report(without, frame()) == challenge_report(spine, frame())


def test_a_body_without_width_has_no_challenge_angles() -> None:
    """A person may fix all corners at one place; that is an answer, not an error."""
    xy = bent()
    xy[3] = xy[3, 0]
    spine = Spine.from_arrays(xy)
    report = cobb_report(spine, frame())
    assert report["challenge"] is None
    assert report["wedging_deg"]["T4"] is None
    assert report["curves"]
    assert "T4" in anatomy_report(spine, frame())
    json.dumps([report, anatomy_report(spine, frame())], allow_nan=False)


def test_curves_are_those_of_the_measurement(spine: Spine) -> None:
    assert curves_of(spine, frame()) == measure_curves(spine.xy)
    assert [(c.upper_end, c.lower_end, c.side, c.angle_deg) for c in curves_of(spine, frame())] == [
        ("T1", "T5", "left", 20),
        ("T5", "T11", "right", 42),
        ("T11", "L5", "left", 32),
    ]


def test_sides_are_the_patients_where_they_are_known(spine: Spine) -> None:
    assert [c.side for c in curves_of(spine, frame(left="left"))] == ["left", "right", "left"]
    assert [c.side for c in curves_of(spine, frame(left="right"))] == ["right", "left", "right"]
    for left in ("left", "right"):
        turned = curves_of(spine, frame(left=left))
        assert [
            dataclasses.replace(a, side=b.side) for a, b in zip(turned, curves_of(spine, frame()), strict=True)
        ] == list(curves_of(spine, frame()))


def test_the_patients_side_stays_when_the_image_is_turned_over(spine: Spine) -> None:
    mirrored = Spine.from_arrays(mirror_points(spine.xy, WIDTH))
    here, there = curves_of(spine, frame(left="right")), curves_of(mirrored, frame(left="left"))
    assert [(c.upper_end, c.apex, c.side) for c in here] == [(c.upper_end, c.apex, c.side) for c in there]


@pytest.mark.parametrize("word", ["", "L", "image"])
def test_an_unknown_side_is_refused(spine: Spine, word: str) -> None:
    with pytest.raises(ValueError, match=f"image_left_is must be 'left' or 'right', got '{word}'"):
        curves_of(spine, frame(left=word))


def test_the_cobb_report_holds_what_the_functions_say(spine: Spine) -> None:
    report = cobb_report(spine, frame())
    assert set(report) == {"challenge", "curves", "sides_of", "t1_tilt_deg", "wedging_deg"}
    assert report["challenge"] == challenge_report(spine, frame())
    assert report["curves"] == [{**dataclasses.asdict(curve), "open_ends": []} for curve in measure_curves(spine.xy)]
    assert set(report["curves"][0]) == {
        "upper_end", "lower_end", "apex", "region", "side", "angle_deg", "apical_deviation_px", "half_width_deg",
        "open_ends",
    }  # fmt: skip
    assert report["t1_tilt_deg"] == t1_tilt_deg(spine.xy)
    assert tuple(report["wedging_deg"]) == VERTEBRAE
    assert list(report["wedging_deg"].values()) == wedging_deg(spine.xy).tolist()


def test_no_angle_has_an_interval_where_nobody_knows_it(spine: Spine) -> None:
    assert {curve.half_width_deg for curve in curves_of(spine, frame())} == {None}
    assert {curve["half_width_deg"] for curve in cobb_report(spine, frame())["curves"]} == {None}


def test_the_interval_of_an_angle_is_that_of_its_two_end_vertebrae(spine: Spine) -> None:
    """T1, T5, T11 and L5 are ends: hypot(3, 4), hypot(4, 4.2) and hypot(4.2, 5.6); no other vertebra counts."""
    widths = np.full(17, 99.0)
    widths[[0, 4, 10, 16]] = 3.0, 4.0, 4.2, 5.6
    expected = [5.0, 5.8, 7.0]
    assert [curve.half_width_deg for curve in curves_of(spine, frame(left=None), widths)] == pytest.approx(expected)
    report = cobb_report(spine, frame(left="right"), widths)
    assert [curve["half_width_deg"] for curve in report["curves"]] == pytest.approx(expected)


def test_intervals_change_nothing_else(spine: Spine) -> None:
    known, unknown = cobb_report(spine, frame(left="left"), np.ones(17)), cobb_report(spine, frame(left="left"))
    for curve in known["curves"]:
        curve["half_width_deg"] = None
    assert known == unknown


@pytest.mark.parametrize(("left", "owner"), [(None, "image"), ("left", "patient"), ("right", "patient")])
def test_the_cobb_report_says_whose_sides_it_means(spine: Spine, left: str | None, owner: str) -> None:
    report = cobb_report(spine, frame(left=left))
    assert report["sides_of"] == owner
    assert [c["side"] for c in report["curves"]] == [c.side for c in curves_of(spine, frame(left=left))]
    assert report["challenge"] == cobb_report(spine, frame())["challenge"]


def test_absent_corners_are_none_and_the_rest_is_measured() -> None:
    without = spine_without(("T1", "TR"), ("L3", "BL"))
    report = cobb_report(without, frame())
    assert report["challenge"] is report["t1_tilt_deg"] is None
    assert [name for name, angle in report["wedging_deg"].items() if angle is None] == ["T1", "L3"]
    assert [c["upper_end"] for c in report["curves"]] == ["T2", "T5", "T11"]
    json.dumps(report, allow_nan=False)


def test_a_curve_without_the_line_from_t1_to_l5_has_no_deviation() -> None:
    absent = spine_without(*(("L5", point) for point in POINTS))
    (curve,) = [c for c in cobb_report(absent, frame())["curves"] if c["upper_end"] == "T5"]
    assert curve["apical_deviation_px"] is None


def test_a_spine_without_points_is_an_empty_report() -> None:
    nothing = Spine.from_arrays(np.full((17, 5, 2), np.nan))
    report = cobb_report(nothing, frame(left="left"))
    assert report == {
        "challenge": None,
        "curves": [],
        "sides_of": "patient",
        "t1_tilt_deg": None,
        "wedging_deg": dict.fromkeys(VERTEBRAE),
    }
    assert anatomy_report(nothing, frame()) == {}


def test_reports_are_plain_values_that_json_takes_and_gives_back(spine: Spine) -> None:
    faulty = bent()
    faulty[[5, 6]] = faulty[[6, 5]]
    for one in (spine, Spine.from_arrays(faulty), spine_without(("T1", "TL"), ("T9", "BR"), ("L5", "center"))):
        for report in (
            cobb_report(one, frame(left="right")),
            cobb_report(one, frame(left=None), np.linspace(0, 3, 17)),
            anatomy_report(one, frame()),
        ):
            assert kinds_of_values(report) <= {str, float, type(None)}
            assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_a_regular_spine_has_nothing_to_report(spine: Spine) -> None:
    assert anatomy_report(spine, frame()) == {}


def test_the_anatomy_report_holds_every_violation_at_its_first_vertebra() -> None:
    xy = bent()
    xy[[5, 6]] = xy[[6, 5]]  # T6 and T7 have changed places
    xy[12, [1, 2]] = xy[12, [2, 1]]  # the upper corners of L1 too
    found = violations(xy)
    report = anatomy_report(Spine.from_arrays(xy), frame())
    assert sum(map(len, report.values())) == len(found) > 4
    assert {"T6", "L1"} <= set(report) <= set(VERTEBRAE)
    assert list(report) == sorted(report, key=VERTEBRAE.index)
    for name, faults in report.items():
        assert faults == [
            {**dataclasses.asdict(v), "vertebrae": list(v.vertebrae)} for v in found if v.vertebrae[0] == name
        ]
        for fault in faults:
            assert set(fault) == {"kind", "vertebrae", "value", "low", "high", "message"}
            assert fault["kind"] in KINDS
            assert fault["vertebrae"][0] == name
    assert next(fault["kind"] for fault in report["T6"] if fault["vertebrae"] == ["T6", "T7"]) == "order"


def test_reports_do_not_depend_on_the_place_of_the_spine_in_the_image() -> None:
    moved = Spine.from_arrays(bent() + np.array([33.0, 0]))
    assert cobb_report(moved, frame()) == cobb_report(Spine.from_arrays(bent()), frame())


def test_a_turned_image_tilts_t1_and_no_curve(spine: Spine) -> None:
    turned = Spine.from_arrays(transform_points(rotation(5), spine.xy - 400) + 400)
    assert cobb_report(turned, frame())["t1_tilt_deg"] == pytest.approx(5, abs=1e-5)
    for a, b in zip(curves_of(turned, frame()), curves_of(spine, frame()), strict=True):
        assert a.angle_deg == pytest.approx(b.angle_deg, abs=1e-5)


@pytest.mark.parametrize(("cobb", "side", "patient"), [(40.0, "right", "left"), (-35.0, "left", "right")])
def test_a_phantoms_curve_is_reported(cobb: float, side: str, patient: str) -> None:
    """A curve with its apex at T8 and exact endplates; in an AP image the patient's right is at the image's left."""
    spec = PhantomSpec(height=640, width=320, seed=5, curves=((7.0, cobb),), endplate_jitter_deg=0.0)
    phantom = render_phantom(spec)
    (main,) = [c for c in cobb_report(phantom.spine, frame(640, "right", 320))["curves"] if c["angle_deg"] > 30]
    assert main["angle_deg"] == pytest.approx(abs(cobb), abs=1.5)  # a body's share of the bend lies within its ends
    assert main["side"] == patient
    assert main["region"] == "thoracic"
    assert main["apex"] in ("T7/T8", "T8", "T8/T9")
    assert main["apical_deviation_px"] > 0
    assert [c.side for c in curves_of(phantom.spine, frame(640, width=320)) if c.angle_deg > 30] == [side]
    angles = challenge_report(phantom.spine, frame(640, width=320))
    assert angles is not None
    assert angles[0] == pytest.approx(abs(cobb), abs=4)
