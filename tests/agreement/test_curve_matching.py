"""Which curve of one reading is which of another."""

from __future__ import annotations

import pytest

from lib.agreement.curve_matching import largest_by_region, match_curves, overlap
from lib.spine.measurement.cobb import Curve


def curve(upper: str, lower: str, side: str = "right", angle_deg: float = 30.0, region: str = "thoracic") -> Curve:
    return Curve(upper, lower, upper, region, side, angle_deg, 0.0)


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        (curve("T5", "T12"), curve("T5", "T12"), 1.0),
        (curve("T5", "T12"), curve("T6", "L1"), 7 / 9),
        (curve("T5", "T12"), curve("T5", "T12", "left"), 0.0),
        (curve("T1", "T5"), curve("T6", "T12"), 0.0),
        (curve("T1", "T5"), curve("T5", "T12"), 1 / 12),
    ],
)
def test_the_overlap_is_common_levels_over_all(one: Curve, other: Curve, share: float) -> None:
    assert overlap(one, other) == overlap(other, one) == pytest.approx(share)


def test_curves_are_paired_by_overlap_and_side() -> None:
    first = [curve("T1", "T5", "left"), curve("T5", "T12"), curve("T12", "L5", "left")]
    second = [curve("T6", "L1"), curve("L1", "L5", "left")]
    pairs = match_curves(first, second)
    assert [(pair.first.upper_end, pair.second.upper_end) for pair in pairs] == [("T5", "T6"), ("T12", "L1")]
    assert pairs[0].end_shifts == (1, 1)
    assert match_curves(first, []) == []


def test_the_best_pairing_as_a_whole_is_taken() -> None:
    first = [curve("T1", "T8"), curve("T5", "T12")]
    second = [curve("T3", "T10"), curve("T5", "T12")]
    assert [pair.second.upper_end for pair in match_curves(first, second)] == ["T3", "T5"]


def test_less_than_half_in_common_is_another_curve() -> None:
    assert match_curves([curve("T1", "T8")], [curve("T5", "T12")]) == []  # 4 of 12 levels
    assert len(match_curves([curve("T1", "T8")], [curve("T3", "T10")])) == 1  # 6 of 10


def test_an_image_counts_once_in_a_region() -> None:
    upper, main = curve("T1", "T5", "left", 15), curve("T5", "T12", angle_deg=40)
    lumbar = curve("T12", "L5", "left", 20, "lumbar")
    found = largest_by_region(match_curves([upper, main, lumbar], [upper, main, lumbar]))
    assert {name: pair.first.angle_deg for name, pair in found.items()} == {"thoracic": 40, "lumbar": 20}


def test_the_region_is_that_of_the_larger_curve() -> None:
    small, large = curve("T8", "L2", angle_deg=20), curve("T8", "L2", angle_deg=22, region="thoracolumbar")
    assert match_curves([small], [large])[0].region == match_curves([large], [small])[0].region == "thoracolumbar"
