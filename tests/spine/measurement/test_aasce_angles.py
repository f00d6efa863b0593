"""The challenge rule: by hand, by its properties, and against every official angle row where the data set is."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from lib.spine.geometry import mirror_points, with_centers
from lib.spine.measurement.aasce_angles import AngleAgreement, angle_agreement, challenge_angles

REAL = Path(os.environ.get("AASCE", Path(__file__).resolve().parents[4] / "shared" / "data" / "aasce"))
HEIGHT = 1000.0


def spine(tilts: list[float], x: list[float] | None = None, top: float = 40.0, step: float = 50.0) -> np.ndarray:
    """``(17, 4, 2)`` corners of 60 x 30 px boxes, one every ``step`` px from ``top`` on, with tilts in degrees."""
    angle = np.radians(tilts)
    across = np.stack([np.cos(angle), np.sin(angle)], -1) * 30
    down = np.stack([-np.sin(angle), np.cos(angle)], -1) * 15
    center = np.stack([np.full(17, 300.0) if x is None else np.array(x), top + step * np.arange(17)], -1)
    return np.stack([center - across - down, center + across - down, center - across + down, center + across + down], 1)


def ramp(*knots: tuple[int, float]) -> list[float]:
    """17 values through the knots (index, value)."""
    return [float(v) for v in np.interp(range(17), *zip(*knots, strict=True))]


ZIGZAG = ramp((0, 0), (4, -20), (10, 15), (16, -5))
ZIGZAG[2], ZIGZAG[14] = 3.0, -9.0
S_LINE = [300 + 40 * np.sin(2 * np.pi * i / 16 + 0.1) for i in range(17)]
C_LINE = [300 - 2 * i + 40 * np.sin(np.pi * i / 16) for i in range(17)]


def test_a_straight_spine_has_no_angles() -> None:
    assert challenge_angles(spine([0] * 17), HEIGHT).tolist() == [0, 0, 0]


def test_a_leaning_straight_spine_has_no_angles() -> None:
    assert challenge_angles(spine([12] * 17, x=[300 - 5 * i for i in range(17)]), HEIGHT).tolist() == [0, 0, 0]


def test_a_spine_that_is_not_s_shaped_is_compared_with_its_ends() -> None:
    """p = T5 at -20 and q = T11 at +15: 35 between them, 20 from T1 at 0 to p, 20 from L5 at -5 to q."""
    np.testing.assert_allclose(challenge_angles(spine(ZIGZAG, C_LINE), HEIGHT), [35, 20, 20], atol=2e-4)


def test_an_s_shaped_spine_high_in_the_image_looks_above_p_and_below_q() -> None:
    """T1 at 0, but T3 at +3 is farther from p: 23; below q, L3 at -9 is farther than L5 at -5: 24."""
    np.testing.assert_allclose(challenge_angles(spine(ZIGZAG, S_LINE), 10 * HEIGHT), [35, 23, 24], atol=2e-4)


def test_an_s_shaped_spine_low_in_the_image_looks_above_twice() -> None:
    """p = T9 at -20, q = L2; above p, k = T5 at +10: 30; above k, T1 at -4: 14. Lower endplates at 455 and 705 px."""
    tilts = ramp((0, -4), (4, 10), (8, -20), (13, 18), (16, 0))
    angles = challenge_angles(spine(tilts, S_LINE), HEIGHT)
    np.testing.assert_allclose(angles, [38, 30, 14], atol=2e-4)
    high = challenge_angles(spine(tilts, S_LINE), 2 * HEIGHT)
    np.testing.assert_allclose(high, [38, 30, 18], atol=2e-4)  # L5 at 0 is the farthest below q at 18


def test_the_upper_half_begins_below_the_sum_of_both_lower_endplates() -> None:
    """Their middles are those of T9 and L2, 15 px along the axis: the heights add up to the limit, exactly or not."""
    tilts = ramp((0, -4), (4, 10), (8, -20), (13, 18), (16, 0))
    corners = spine(tilts, S_LINE)
    limit = float(corners[8, 2:, 1].mean() + corners[13, 2:, 1].mean())
    assert challenge_angles(corners, limit)[2] == pytest.approx(14, abs=2e-4)
    assert challenge_angles(corners, limit + 0.01)[2] == pytest.approx(18, abs=2e-4)


def test_of_equal_largest_angles_the_first_pair_counts() -> None:
    """T2, T6 and T10 make 20 with T4, T8: p = T2, q = T4. Then 10 from T1 to p and 15 from L5 (+5 - 10) to q."""
    tilts = [0.0] * 17
    tilts[1], tilts[3], tilts[5], tilts[7], tilts[16] = 10.0, -10.0, 10.0, -10.0, 5.0
    np.testing.assert_allclose(challenge_angles(spine(tilts, C_LINE), HEIGHT), [20, 10, 15], atol=2e-4)


def test_endplates_do_not_matter_but_mid_lines_do() -> None:
    """One endplate turned by 20 degrees against its neighbour turns the mid-line by 10."""
    corners = spine([0] * 17, C_LINE)
    turned = spine([20] + [0] * 16, C_LINE)
    corners[5, 0], corners[5, 1] = turned[0, :2] - turned[0, :2].mean(0) + corners[5, :2].mean(0)
    assert challenge_angles(corners, HEIGHT)[0] == pytest.approx(10, abs=0.2)


@pytest.mark.parametrize("line", [C_LINE, S_LINE], ids=["C", "S"])
def test_the_mirror_image_and_a_shifted_one_have_the_same_angles(line: list[float]) -> None:
    corners = spine(ramp((0, 3), (4, -20), (10, 15), (16, -7)), line)
    angles = challenge_angles(corners, HEIGHT)
    np.testing.assert_allclose(challenge_angles(mirror_points(with_centers(corners), 600)[:, 1:], HEIGHT), angles)
    np.testing.assert_allclose(challenge_angles(corners + np.array([31.0, 0]), HEIGHT), angles, atol=1e-6)
    np.testing.assert_allclose(challenge_angles(1.7 * corners, 1.7 * HEIGHT), angles, atol=1e-6)


def test_the_input_is_not_changed() -> None:
    corners = spine(ZIGZAG, S_LINE)
    before = corners.copy()
    challenge_angles(corners, HEIGHT)
    np.testing.assert_array_equal(corners, before)


@pytest.mark.parametrize("shape", [(17, 5, 2), (16, 4, 2), (68, 2), (1, 17, 4, 2)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"corners must have shape \(17, 4, 2\)"):
        challenge_angles(np.zeros(shape), HEIGHT)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_absent_corner_is_named(value: float) -> None:
    corners = spine(ZIGZAG)
    corners[12, 2, 1] = value
    with pytest.raises(ValueError, match="L1 BL is not finite"):
        challenge_angles(corners, HEIGHT)


@pytest.mark.parametrize("height", [0.0, -3.0, np.nan, np.inf])
def test_a_height_that_is_none_is_refused(height: float) -> None:
    with pytest.raises(ValueError, match="height must be a positive number"):
        challenge_angles(spine(ZIGZAG), height)


def test_a_vertebra_without_width_is_named() -> None:
    corners = spine(ZIGZAG)
    corners[3] = corners[3, 0]
    with pytest.raises(ValueError, match="T4: the middles of its left and right side coincide"):
        challenge_angles(corners, HEIGHT)


def official(split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Untouched corners ``(N, 17, 4, 2)`` in pixels, image heights and official angles ``(N, 3)``."""
    folder = REAL / "labels" / split
    with (REAL / "index.csv").open(newline="", encoding="utf-8") as stream:
        sizes = {
            row["filename"]: (float(row["width"]), float(row["height"]))
            for row in csv.DictReader(stream)
            if row["split"] == split
        }
    names = (folder / "filenames.csv").read_text(encoding="utf-8").splitlines()
    size = np.array([sizes[name.strip()] for name in names])
    shares = np.loadtxt(folder / "landmarks.csv", delimiter=",")
    corners = np.stack([shares[:, :68] * size[:, :1], shares[:, 68:] * size[:, 1:]], -1).reshape(-1, 17, 4, 2)
    return corners, size[:, 1], np.loadtxt(folder / "angles.csv", delimiter=",")


@pytest.mark.skipif(not (REAL / "index.csv").is_file(), reason=f"the AASCE data set is not at {REAL}")
@pytest.mark.parametrize(("split", "count"), [("training", 481), ("test", 128)])
def test_every_official_row_is_reproduced(split: str, count: int) -> None:
    """Labels have five digits, so that a corner is off by 0.04 px at most: 0.05 degrees bounds what that does."""
    corners, heights, angles = official(split)
    assert len(corners) == len(angles) == count
    found = np.array([challenge_angles(c, h) for c, h in zip(corners, heights, strict=True)])
    np.testing.assert_allclose(found, angles, atol=0.05, rtol=0)


def test_equal_angles_agree() -> None:
    angles = np.array([[40.0, 20, 10], [0, 0, 0]])
    assert angle_agreement(angles, angles) == AngleAgreement(2, 0.0, 0.0, 0.0, 1.0)


def test_agreement_by_hand() -> None:
    """Image 1: differences 10, 0, 0 of 60 + 70; image 2: 5, 5, 5 of 30 + 45. The circular mean of 5, 5, 5 is 5."""
    predicted = np.array([[30.0, 20, 10], [10, 10, 10]])
    official = np.array([[40.0, 20, 10], [15, 15, 15]])
    result = angle_agreement(predicted, official)
    assert result.images == 2
    assert result.smape == pytest.approx(100 * (10 / 130 + 15 / 75) / 2)
    first = np.degrees(np.arctan(np.sin(np.radians(10)) / (np.cos(np.radians(10)) + 2)))
    assert result.cmae_deg == pytest.approx((first + 5) / 2)
    assert result.mae_largest_deg == pytest.approx(7.5)
    assert result.within_5_deg == 0.5


def test_agreement_is_symmetric() -> None:
    random = np.random.default_rng(0)
    a, b = random.uniform(0, 80, (2, 20, 3))
    assert angle_agreement(a, b) == angle_agreement(b, a)


@pytest.mark.parametrize("shape", [(3,), (2, 4), (1, 2, 3)])
def test_agreement_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"official must have shape \(N, 3\)"):
        angle_agreement(np.zeros((2, 3)), np.zeros(shape))


def test_agreement_refuses_what_it_cannot_compare() -> None:
    with pytest.raises(ValueError, match="must have the same shape"):
        angle_agreement(np.zeros((2, 3)), np.zeros((3, 3)))
    with pytest.raises(ValueError, match="no image to compare"):
        angle_agreement(np.zeros((0, 3)), np.zeros((0, 3)))
    with pytest.raises(ValueError, match="predicted row 1"):
        angle_agreement(np.array([[1.0, 1, 1], [1, np.nan, 1]]), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="official row 0"):
        angle_agreement(np.zeros((1, 3)), np.array([[1.0, -1, 1]]))
