"""Anatomy: counts by hand, every kind of violation, and silence where points are absent."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lib.phantoms import PhantomSpec
from lib.phantoms.column import COUNT, FIRST
from lib.phantoms.render import column_of
from lib.spine.geometry import mirror_points, rotation, transform_points, with_centers
from lib.spine.measurement.anatomy import KINDS, LIMITS, AnatomyCounts, Limits, anatomy_counts, spans_of, violations
from lib.spine.schema import CORNERS, VERTEBRAE

REAL = Path(os.environ.get("AASCE", Path(__file__).resolve().parents[4] / "shared" / "data" / "aasce"))
TL, TR, BL, BR = 1, 2, 3, 4


def kinds(xy: np.ndarray) -> set[str]:
    """Kinds of violation of a spine."""
    return {v.kind for v in violations(xy)}


def test_a_span_is_the_straight_distance(ladder: np.ndarray) -> None:
    assert spans_of(ladder[:, 0]) == 256
    assert spans_of(np.stack([ladder, 2 * ladder])[:, :, 0]).tolist() == [256, 512]


def test_counts_of_a_ladder_are_zero(ladder: np.ndarray) -> None:
    assert anatomy_counts(ladder[None, :, 0]) == AnatomyCounts(1, 16, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_counts_by_hand(ladder: np.ndarray) -> None:
    """Of 256 px, 7.68 px are the least and 27.39 px the most. Image 1 keeps to them."""
    centers = np.stack([ladder[:, 0]] * 2)
    centers[1, 3, 1] -= 12  # T3-T4: 4 px, T4-T5: 28 px
    centers[1, 8] = centers[1, 7] + (16, 0)  # T8-T9 level, T9-T10 of 35.8 px
    centers[1, 12, 1] = centers[1, 11, 1] - 1  # T12-L1 rises by 1 px, L1-L2 of 33 px
    centers[1, 15, 1] = centers[1, 14, 1] - 5  # L3-L4 rises by 5 px, L4-L5 of 37 px
    result = anatomy_counts(centers)
    assert (result.images, result.gaps) == (2, 32)
    assert (result.n_fmin, result.n_fmax, result.n_eq, result.n_neg) == (3, 4, 1, 2)
    assert (result.fmin_per_1000, result.fmax_per_1000) == (93.75, 125)
    assert (result.eq_per_1000, result.neg_per_1000) == (31.25, 62.5)
    assert (result.mean_negative_y, result.min_negative_y) == (-3, -5)


def test_counts_use_the_labels_spans_where_they_are_given(ladder: np.ndarray) -> None:
    assert anatomy_counts(ladder[None, :, 0], np.array([150.0])).n_fmin == 0
    assert anatomy_counts(ladder[None, :, 0], np.array([149.0])).n_fmax == 16  # 16 / 149 > 0.107
    assert anatomy_counts(ladder[None, :, 0], np.array([540.0])).n_fmin == 16  # 16 / 540 < 0.030


def test_counts_do_not_depend_on_scale_and_mirror(ladder: np.ndarray) -> None:
    points = np.stack([ladder] * 5) + np.random.default_rng(0).normal(0, 7, (5, 17, 5, 2))
    first, second = anatomy_counts(points[:, :, 0]), anatomy_counts(mirror_points(3 * points, 999)[:, :, 0])
    assert first.n_fmin > 0
    assert (first.n_fmin, first.n_fmax, first.n_neg) == (second.n_fmin, second.n_fmax, second.n_neg)
    assert second.min_negative_y == pytest.approx(3 * first.min_negative_y)


def test_gaps_beside_absent_centers_are_not_counted(ladder: np.ndarray) -> None:
    centers = np.stack([ladder[:, 0]] * 2)
    centers[0, 5] = np.nan
    centers[1, 0] = np.nan  # no span
    assert anatomy_counts(centers).gaps == 14
    assert anatomy_counts(centers, np.array([256.0, 256])).gaps == 29
    assert anatomy_counts(np.full((1, 17, 2), np.nan)) == AnatomyCounts(1, 0, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_counts_refuse_wrong_shapes(ladder: np.ndarray) -> None:
    with pytest.raises(ValueError, match="centers must have shape"):
        anatomy_counts(ladder[:, 0])
    with pytest.raises(ValueError, match="centers must have shape"):
        anatomy_counts(np.zeros((2, 16, 2)))
    with pytest.raises(ValueError, match="no image"):
        anatomy_counts(np.zeros((0, 17, 2)))
    with pytest.raises(ValueError, match=r"spans must have shape \(1,\)"):
        anatomy_counts(ladder[None, :, 0], np.ones(2))
    with pytest.raises(ValueError, match="centers must have shape"):
        spans_of(np.zeros((17, 3)))


def test_a_ladder_violates_nothing(ladder: np.ndarray) -> None:
    assert violations(ladder) == ()


@pytest.mark.parametrize("curves", [(), ((7.0, 40.0),), ((6.0, -50.0), (12.0, 40.0))], ids=["straight", "one", "two"])
def test_a_phantom_violates_nothing(curves: tuple[tuple[float, float], ...]) -> None:
    spec = PhantomSpec(curves=curves, endplate_jitter_deg=1)
    assert violations(with_centers(column_of(spec).corners[FIRST : FIRST + COUNT])) == ()


def swap(*places: int) -> Callable[[np.ndarray], None]:
    """Put other corners of T8 at TL, TR, BL, BR."""

    def change(xy: np.ndarray) -> None:
        xy[7, 1:] = xy[7, list(places)]

    return change


def shift(what: object, by: tuple[float, float]) -> Callable[[np.ndarray], None]:
    """Move some points."""

    def change(xy: np.ndarray) -> None:
        xy[what] += by  # type: ignore[index]

    return change


@pytest.mark.parametrize(
    ("change", "kind", "names", "value", "message"),
    [
        pytest.param(shift(7, (0, 33)), "order", ("T8", "T9"), -17, "T9 does not lie below T8.", id="order"),
        pytest.param(shift(7, (0, 16)), "order", ("T8", "T9"), 0, "T9 does not lie below T8.", id="same place"),
        pytest.param(
            shift(7, (0, 10)),
            "step",
            ("T8", "T9"),
            6 / 256,
            "T8 and T9 are too close together: 2.34 % of the distance from T1 to L5, at least 3.00 % is usual.",
            id="close",
        ),
        pytest.param(
            shift(7, (0, 12)),
            "step",
            ("T7", "T8"),
            28 / 256,
            "T7 and T8 are too far apart: 10.94 % of the distance from T1 to L5, at most 10.70 % is usual.",
            id="far",
        ),
        pytest.param(
            shift(7, (0, 6)),
            "ratio",
            ("T7", "T8", "T9"),
            10 / 22,
            "T9 is too close to T8: 0.45 times the distance from T7 to T8, at least 0.62 is usual.",
            id="ratio",
        ),
        pytest.param(
            shift(7, (0, 3.771)),
            "ratio",
            ("T7", "T8", "T9"),
            12.229 / 19.771,
            "T9 is too close to T8: 0.619 times the distance from T7 to T8, at least 0.62 is usual.",
            id="hardly a ratio",
        ),
        pytest.param(
            shift(7, (8, 0)),
            "turn",
            ("T7", "T8", "T9"),
            2 * np.degrees(np.arctan(0.5)),
            "The spine bends too sharply at T8: 53.1° between T7 and T9, at most 36.0° is usual.",
            id="turn",
        ),
        pytest.param(
            shift((7, [3, 4]), (0, 30)),
            "aspect",
            ("T8",),
            20 / 42,
            "T8 is too narrow for its height: 0.48 times as wide as high, at least 0.90 is usual.",
            id="aspect",
        ),
        pytest.param(
            shift((7, [3, 4]), (0, 14)),
            "size",
            ("T7", "T8"),
            26 / 12,
            "T8 is too high beside T7: 2.17 times as high, at most 2.10 is usual.",
            id="height",
        ),
        pytest.param(
            shift((7, [1, 3]), (-10, 0)),
            "size",
            ("T7", "T8"),
            1.5,
            "T8 is too wide beside T7: 1.50 times as wide, at most 1.38 is usual.",
            id="width",
        ),
        pytest.param(
            shift((7, [2]), (0, 10)),
            "tilt",
            ("T8",),
            np.degrees(np.arctan(0.5)),
            "The upper endplate of T8 is askew: 26.6° off the perpendicular, at most 23.0° is usual.",
            id="tilt",
        ),
        pytest.param(
            shift((7, 0), (0, 6)),
            "center",
            ("T8",),
            0.5,
            "The center of T8 is not amid its corners: 0.50 body heights off, at most 0.30 is usual.",
            id="center",
        ),
        pytest.param(
            swap(TR, TL, BR, BL),
            "corners",
            ("T8",),
            -120,
            "The corners of T8 are swapped or their outline is dented.",
            id="left and right swapped",
        ),
        pytest.param(swap(BL, BR, TL, TR), "corners", ("T8",), -120, "The corners of T8", id="top and bottom swapped"),
        pytest.param(swap(BR, BL, TR, TL), "corners", ("T8",), -120, "The corners of T8", id="upside down"),
        pytest.param(swap(TL, TR, BR, BL), "corners", ("T8",), -120, "The corners of T8", id="crossed below"),
        pytest.param(swap(TL, TL, BL, BR), "corners", ("T8",), 0, "The corners of T8", id="two in one place"),
        pytest.param(shift((7, TL), (14, 8)), "corners", ("T8",), -44, "The corners of T8", id="dented"),
    ],
)
def test_violations_by_hand(
    ladder: np.ndarray,
    change: Callable[[np.ndarray], None],
    kind: str,
    names: tuple[str, ...],
    value: float,
    message: str,
) -> None:
    change(ladder)
    (found,) = (v for v in violations(ladder) if v.kind == kind and v.vertebrae == names)
    assert found.value == pytest.approx(value)
    assert re.match(re.escape(message), found.message)
    assert found.low is None or found.high is None or not found.low <= found.value <= found.high


def test_violations_name_the_limits_and_come_from_top_to_bottom(ladder: np.ndarray) -> None:
    ladder[[3, 9, 14]] += (0, 13)
    found = violations(ladder)
    first = [VERTEBRAE.index(v.vertebrae[0]) for v in found]
    assert first == sorted(first)
    assert {v.kind for v in found} <= set(KINDS)
    assert all((v.low, v.high) == LIMITS.step for v in found if v.kind == "step")


def test_limits_can_be_given(ladder: np.ndarray) -> None:
    assert {v.kind for v in violations(ladder, Limits(step=(0.03, 0.06)))} == {"step"}


def test_mirror_shift_and_scale_change_no_verdict(ladder: np.ndarray) -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        xy = ladder + random.normal(0, 2.5, ladder.shape)
        verdict = [(v.kind, v.vertebrae) for v in violations(xy)]
        assert verdict
        for moved in (mirror_points(xy, 100), xy + np.array([7.0, 99]), 4.3 * xy):
            assert sorted((v.kind, v.vertebrae) for v in violations(moved)) == sorted(verdict)


def test_a_lean_of_the_image_violates_nothing(ladder: np.ndarray) -> None:
    assert violations(transform_points(rotation(25), ladder)) == ()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_absent_points_are_never_at_fault(ladder: np.ndarray, value: float) -> None:
    random = np.random.default_rng(2)
    for _ in range(100):
        xy = ladder.copy()
        xy[random.random((17, 5)) < random.random()] = value
        xy[random.random(17) < 0.2] = value
        assert violations(xy) == ()
    assert violations(np.full((17, 5, 2), value)) == ()


def test_points_on_one_place_are_an_answer_not_an_error() -> None:
    assert kinds(np.zeros((17, 5, 2))) == {"order", "corners"}


def test_the_input_is_not_changed(ladder: np.ndarray) -> None:
    ladder[4, 0] = np.nan
    before = ladder.copy()
    violations(ladder)
    np.testing.assert_array_equal(ladder, before)


@pytest.mark.parametrize("shape", [(17, 4, 2), (16, 5, 2), (17, 5, 3), (1, 17, 5, 2)])
def test_violations_refuse_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"xy must have shape \(17, 5, 2\)"):
        violations(np.zeros(shape))


@pytest.mark.skipif(not (REAL / "index.csv").is_file(), reason=f"the AASCE data set is not at {REAL}")
def test_labels_of_the_real_data_set() -> None:
    """At most 5 % of the trusted images break a limit; repaired and re-sorted test labels have 3 and 6 short steps."""
    with (REAL / "index.csv").open(newline="", encoding="utf-8") as stream:
        index = list(csv.DictReader(stream))
    flags = ("geometry_ok", "suitable", "level_ok")
    trusted = {(r["split"], r["filename"]) for r in index if all(r[flag] == "1" for flag in flags)}
    repaired: dict[tuple[str, str], np.ndarray] = {}
    with (REAL / "landmarks_repaired.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            points = repaired.setdefault((row["split"], row["filename"]), np.full((17, 4, 2), np.nan))
            points[VERTEBRAE.index(row["vertebra"]), CORNERS.index(row["corner"])] = row["x_px"], row["y_px"]
    clean = [with_centers(p) for key, p in repaired.items() if key[0] == "training" and key in trusted]
    assert len(clean) == 355
    assert np.mean([bool(violations(xy)) for xy in clean]) <= 0.05
    test = anatomy_counts(np.stack([p.mean(1) for key, p in repaired.items() if key[0] == "test"]))
    assert (test.gaps, test.n_fmin, test.n_fmax, test.n_eq, test.n_neg) == (2048, 3, 0, 0, 0)
    resorted: dict[str, np.ndarray] = {}
    with (REAL / "landmarks_test_resorted.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            points = resorted.setdefault(row["image"], np.full((17, 4, 2), np.nan))
            points[int(row["vertebra"]), CORNERS.index(row["corner"])] = row["x_px"], row["y_px"]
    counts = anatomy_counts(np.stack([p.mean(1) for p in resorted.values()]))
    assert (counts.gaps, counts.n_fmin, counts.n_fmax, counts.n_neg) == (2048, 6, 0, 0)
