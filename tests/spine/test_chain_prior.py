"""What is usual from one vertebra to the next."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.spine.chain_prior import DEFAULT_PRIOR, ChainPrior, Normal, measure_prior, tilts
from lib.spine.geometry import rotation, transform_points, with_centers
from lib.spine.schema import CORNERS, VERTEBRAE

REAL = Path(os.environ.get("AASCE", Path(__file__).resolve().parents[3] / "shared" / "data" / "aasce"))
NAMES = ("step_per_height", "step_ratio", "turn_deg", "tilt_deg")


def wobbly(count: int = 40) -> np.ndarray:
    """``(N, 17, 5, 2)`` spines that differ: random steps around 45 px, sideways too, and bodies of about 30 px."""
    random = np.random.default_rng(0)
    step = np.stack([random.normal(0, 6, (count, 17)), 45 * np.exp(random.normal(0, 0.1, (count, 17)))], -1)
    centers = 200 + np.cumsum(step, 1)
    half = np.stack([np.full((count, 17), 30.0), 15 * np.exp(random.normal(0, 0.1, (count, 17)))], -1)
    signs = np.array([(-1, -1), (1, -1), (-1, 1), (1, 1)])
    return with_centers(centers[:, :, None] + half[:, :, None] * signs)


def flat(prior: ChainPrior) -> np.ndarray:
    """``(4, 2)`` means and deviations."""
    return np.array([(getattr(prior, name).mean, getattr(prior, name).std) for name in NAMES])


def test_the_penalty_by_hand() -> None:
    """(x - mean)^2 / (2 std^2): 0 at the mean, 1/2 one deviation off, 2 two off, 4.5 three off, then capped."""
    normal = Normal(3.0, 2.0)
    values = np.array([3.0, 5, 1, 7, 9, 1003])
    np.testing.assert_allclose(normal.penalty(values, 4.0), [0, 0.5, 0.5, 2, 4, 4])


def test_the_penalty_is_the_log_density_against_that_of_the_mean() -> None:
    normal = Normal(-1.0, 0.3)
    values = np.linspace(-2, 0, 9).reshape(3, 3)
    density = np.exp(-0.5 * ((values + 1) / 0.3) ** 2) / np.sqrt(2 * np.pi * 0.3**2)
    np.testing.assert_allclose(normal.penalty(values, np.inf), np.log(1 / np.sqrt(2 * np.pi * 0.3**2) / density))


def test_noise_of_measuring_adds_its_variance() -> None:
    """3^2 + 4^2 = 5^2."""
    values = np.array([0.0, 5, -10])
    np.testing.assert_allclose(Normal(0, 3).penalty(values, 9, noise=4.0), Normal(0, 5).penalty(values, 9))
    assert (Normal(0, 3).penalty(values, 9, noise=1.0) <= Normal(0, 3).penalty(values, 9)).all()


def test_the_penalty_of_something_unknown_is_unknown() -> None:
    np.testing.assert_array_equal(Normal(0, 1).penalty(np.array([np.nan, np.inf]), 7.0), [np.nan, 7])


@pytest.mark.parametrize("std", [0.0, -1.0, np.nan, np.inf])
def test_a_deviation_that_is_none_is_refused(std: float) -> None:
    with pytest.raises(ValueError, match=f"a standard deviation must be positive, got {std}"):
        Normal(0.0, std)


@pytest.mark.parametrize("mean", [np.nan, np.inf, -np.inf])
def test_a_mean_that_is_none_is_refused(mean: float) -> None:
    with pytest.raises(ValueError, match=f"a mean must be finite, got {mean}"):
        Normal(mean, 1.0)


def test_the_default_prior_survives_plain_values() -> None:
    plain = DEFAULT_PRIOR.to_dict()
    assert plain["step_per_height"] == {"mean": 0.307, "std": 0.104}
    assert tuple(plain) == NAMES == tuple(field.name for field in dataclasses.fields(ChainPrior))
    assert ChainPrior.from_dict(json.loads(json.dumps(plain))) == DEFAULT_PRIOR


@pytest.mark.parametrize("missing", NAMES)
def test_a_missing_distribution_is_named(missing: str) -> None:
    plain = DEFAULT_PRIOR.to_dict()
    del plain[missing]
    with pytest.raises(ValueError, match=f"not a chain prior: .*{missing}"):
        ChainPrior.from_dict(plain)


@pytest.mark.parametrize(
    "wrong",
    [None, 3.0, [1, 2], "text", {}, {"mean": 1.0}, {"mean": "a", "std": 1}, {"mean": 10**400, "std": 1},
     {"mean": 0, "std": 0}, {"mean": 0, "std": -1}, {"mean": float("nan"), "std": 1}, {"mean": None, "std": 1}],
)  # fmt: skip
def test_what_is_no_distribution_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="not a chain prior"):
        ChainPrior.from_dict({**DEFAULT_PRIOR.to_dict(), "turn_deg": wrong})


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(ValueError, match="not a chain prior"):
        ChainPrior.from_dict([1, 2])  # type: ignore[arg-type]


def test_tilts_by_hand() -> None:
    """Down is 0, down to the right 45, to the right 90, to the left -90, up 180; nowhere counts as 0."""
    centers = np.cumsum([[0.0, 0], [0, 9], [2, 2], [5, 0], [-5, 0], [0, -1], [0, 0]], 0)
    np.testing.assert_allclose(tilts(centers), [0, 45, 90, -90, 180, 0])


def test_tilts_of_several_spines_and_absent_centers(ladder: np.ndarray) -> None:
    centers = np.stack([ladder[:, 0]] * 3)
    centers[1, 4] = np.nan
    result = tilts(centers)
    assert result.shape == (3, 16)
    assert np.flatnonzero(np.isnan(result[1])).tolist() == [3, 4]
    assert (result[[0, 2]] == 0).all()
    assert tilts(np.zeros((1, 2))).shape == (0,)


def test_a_turned_spine_is_tilted_by_as_much(ladder: np.ndarray) -> None:
    """A turn clockwise on the screen takes what points down to the left."""
    np.testing.assert_allclose(tilts(transform_points(rotation(10), ladder[:, 0])), -10)


def test_tilts_refuse_other_shapes() -> None:
    with pytest.raises(ValueError, match="centers must have shape"):
        tilts(np.zeros((17, 3)))


def test_the_measured_prior_by_hand(ladder: np.ndarray) -> None:
    """Half of the spines 16 px a step, 12 px a body; half with bodies of 6 px; the last step of all twice as long.

    The half with the higher bodies leans by 45 degrees.
    """
    low = ladder.copy()
    low[:, 1:, 1] = ladder[:, :1, 1] + (ladder[:, 1:, 1] - ladder[:, :1, 1]) / 2
    high = transform_points(rotation(-45), ladder)
    for points in (low, high):
        points[16] += points[16, 0] - points[15, 0]
    prior = measure_prior(np.stack([low] * 10 + [high] * 10))
    ratios = np.concatenate([np.zeros(14), [np.log(2)]])
    assert prior.step_ratio.mean == pytest.approx(ratios.mean())
    assert prior.step_ratio.std == pytest.approx(ratios.std())
    relative = [np.log(16 / h) + np.append(np.zeros(15), np.log(2)) for h in (6, 12)]
    assert prior.step_per_height.mean == pytest.approx(np.mean(relative))
    assert prior.step_per_height.std == pytest.approx(np.std(relative))
    assert (prior.tilt_deg.mean, prior.tilt_deg.std) == pytest.approx((22.5, 22.5))
    assert prior.turn_deg.mean == pytest.approx(0, abs=1e-9)


def test_the_measured_prior_depends_on_neither_scale_nor_place() -> None:
    points = wobbly()
    np.testing.assert_allclose(flat(measure_prior(3.7 * points - 150)), flat(measure_prior(points)), atol=1e-9)


def test_mirroring_turns_the_angles_round_and_leaves_the_lengths() -> None:
    points = wobbly()
    mirrored = points[:, :, [0, 2, 1, 4, 3]] * (-1, 1)
    signs = np.array([[1, 1], [1, 1], [-1, 1], [-1, 1]])
    np.testing.assert_allclose(flat(measure_prior(mirrored)), signs * flat(measure_prior(points)), atol=1e-9)


def test_a_tilted_image_tilts_the_steps_and_nothing_else() -> None:
    points = wobbly()
    tilted = flat(measure_prior(transform_points(rotation(7), points)))
    expected = flat(measure_prior(points)) - np.array([[0, 0], [0, 0], [0, 0], [7, 0]])
    np.testing.assert_allclose(tilted, expected, atol=1e-9)


def test_absent_points_do_not_count() -> None:
    points = wobbly()
    points[3, 5, 2] = np.nan  # a corner of T6: its height is unknown, its steps are known
    points[4, 8] = np.nan
    known = measure_prior(points)
    others = np.delete(points, [3, 4], 0)
    assert np.isfinite(flat(known)).all()
    np.testing.assert_allclose(flat(known), flat(measure_prior(others)), atol=0.3)
    assert known != measure_prior(others)


def test_too_few_spines_and_other_shapes_are_refused() -> None:
    points = wobbly(10)
    measure_prior(points)
    with pytest.raises(ValueError, match=r"at least 10 spines are needed, got an array of shape \(9, 17, 5, 2\)"):
        measure_prior(points[:9])
    with pytest.raises(ValueError, match=r"at least 10 spines are needed, got an array of shape \(17, 5, 2\)"):
        measure_prior(points[0])
    for wrong in (points[:, :, 1:], points[:, :16], points[..., :1]):
        with pytest.raises(ValueError, match=r"points must have shape \(\.\.\., 17, 5, 2\)"):
            measure_prior(wrong)


def test_spines_that_are_all_alike_have_no_spread(ladder: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a standard deviation must be positive"):
        measure_prior(np.stack([ladder] * 10))


@pytest.mark.skipif(not (REAL / "index.csv").is_file(), reason=f"the AASCE data set is not at {REAL}")
def test_the_default_prior_is_the_one_of_the_trusted_training_images() -> None:
    with (REAL / "index.csv").open(newline="", encoding="utf-8") as stream:
        trusted = {
            row["filename"]: np.empty((17, 4, 2))
            for row in csv.DictReader(stream)
            if row["split"] == "training" and row["geometry_ok"] == row["suitable"] == row["level_ok"] == "1"
        }
    with (REAL / "landmarks_repaired.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["split"] == "training" and row["filename"] in trusted:
                place = VERTEBRAE.index(row["vertebra"]), CORNERS.index(row["corner"])
                trusted[row["filename"]][place] = float(row["x_px"]), float(row["y_px"])
    assert len(trusted) == 355
    measured = flat(measure_prior(with_centers(np.stack(list(trusted.values())))))
    np.testing.assert_allclose(measured[:2], flat(DEFAULT_PRIOR)[:2], atol=0.0005 + 1e-9)
    np.testing.assert_allclose(measured[2:], flat(DEFAULT_PRIOR)[2:], atol=0.05 + 1e-9)
