"""The second network at work, with stubs in its place: what moves where, and what stays."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from lib.learning.config import PredictionConfig, RefinerConfig, load_config
from lib.learning.refinement import RefinedSpine, Refinement, gap_lengths, leaning_to_normal
from lib.learning.refiner import Refined, mirrored_refined
from lib.learning.stopwatch import Stopwatch
from lib.spine.geometry import rotation, transform_points, translation, with_centers

CPU = torch.device("cpu")
CONFIG = RefinerConfig(80, 96, 32.0, 4, 0)
MIDDLE = np.array([47.5, 39.5])
LIMITS = dataclasses.replace(
    load_config().prediction,
    **{"mirror": False, "refinement": True, "refinement_rounds": 1},
    **{"refinement_reach": 0.35, "refinement_tilt_prior": 0.0},
)
BOX = np.array([[-12.0, -9], [14, -8], [-13, 10], [15, 11]])
"""Corners around the middle of a patch, in its pixels; their mean is (1, 1)."""
IMAGE = np.random.default_rng(0).integers(0, 256, (320, 100)).astype(np.uint8)


class Says(nn.Module):
    """Says what it is told about every view: ``(V, K, 2)`` corners relative to the middle, ``(V, P)`` errors."""

    def __init__(self, corners: np.ndarray, errors: np.ndarray | float = 1.0) -> None:
        super().__init__()
        self.corners = torch.from_numpy(np.broadcast_to(corners + MIDDLE, (17, 4, 2)).astype(np.float32).copy())
        self.log_errors = torch.from_numpy(np.log(np.broadcast_to(errors, (17, 5))).astype(np.float32).copy())
        self.asked: list[torch.Tensor] = []

    def forward(self, views: torch.Tensor) -> Refined:
        """The same whatever the patches."""
        assert views.shape[1:] == (17, 80, 96)
        self.asked.append(views)
        return Refined(*(part.expand(len(views), *part.shape) for part in (self.corners, self.log_errors)))


def refined(
    network: nn.Module, xy: np.ndarray, limits: PredictionConfig = LIMITS, pixels: np.ndarray = IMAGE
) -> RefinedSpine:
    """What becomes of decoded points."""
    refinement = Refinement(network, CONFIG, CPU)  # type: ignore[arg-type]
    return refinement.refine(pixels, xy, limits, Stopwatch())


def test_corners_move_to_where_the_patches_show_them(ladder: np.ndarray) -> None:
    """A step of 16 px is 32 px in a patch; the center is the mean of the corners, wherever it was decoded."""
    spine = refined(Says(BOX), ladder)
    corners = ladder[:, :1] + BOX / 2
    np.testing.assert_allclose(spine.xy, with_centers(corners), atol=1e-4)
    np.testing.assert_allclose(spine.xy[:, 0], ladder[:, 0] + 0.5, atol=1e-4)


@pytest.mark.parametrize("angle_deg", [25.0, -60.0], ids=str)
@pytest.mark.parametrize("scale", [1.0, 3.7], ids=str)
def test_a_spine_that_leans_in_a_large_image_has_the_same_corners(
    ladder: np.ndarray, angle_deg: float, scale: float
) -> None:
    matrix = translation(300, 150) @ rotation(angle_deg) @ np.diag([scale, scale, 1.0])
    pixels = np.random.default_rng(0).integers(0, 256, (1500, 1700)).astype(np.uint8)
    expected = transform_points(matrix, with_centers(ladder[:, :1] + BOX / 2))
    spine = refined(Says(BOX), transform_points(matrix, ladder), pixels=pixels)
    np.testing.assert_allclose(spine.xy, expected, atol=0.02 * scale)  # sides of a shrunk image are whole pixels


def test_errors_are_in_pixels_of_the_image(ladder: np.ndarray) -> None:
    """Half as many as in a patch that shows a step of 16 px as 32; twice those for an image twice as large."""
    said = 1.0 + np.arange(85).reshape(17, 5)
    np.testing.assert_allclose(refined(Says(BOX, said), ladder).errors, said / 2, rtol=1e-4)
    pixels = np.kron(IMAGE, np.ones((2, 2), np.uint8))
    np.testing.assert_allclose(refined(Says(BOX, said), 2 * ladder, pixels=pixels).errors, said, rtol=1e-3)


@pytest.mark.parametrize(("off", "moves"), [(0.34, True), (0.36, False)], ids=["just within", "just beyond"])
@pytest.mark.parametrize("direction", [(0.6, 0.8), (-1.0, 0.0), (0.0, -1.0)], ids=str)
def test_a_center_that_would_move_too_far_stays_with_its_corners(
    ladder: np.ndarray, off: float, moves: bool, direction: tuple[float, float]
) -> None:
    """Only T9 is said to be elsewhere; what is then said about its error is how far it might have moved."""
    corners = np.tile(BOX - 1, (17, 1, 1))
    corners[8] += off * 32 * np.array(direction)
    spine = refined(Says(corners, 3.0), ladder)
    others = np.arange(17) != 8
    np.testing.assert_allclose(spine.xy[others], with_centers(ladder[:, :1] + (BOX - 1) / 2)[others], atol=1e-4)
    np.testing.assert_allclose(spine.errors[others], 1.5, rtol=1e-4)
    if moves:
        np.testing.assert_allclose(spine.xy[8, 1:], ladder[8, 0] + corners[8] / 2, atol=1e-4)
        np.testing.assert_allclose(spine.errors[8], 1.5, rtol=1e-4)
    else:
        np.testing.assert_array_equal(spine.xy[8], ladder[8])
        np.testing.assert_allclose(spine.errors[8], 0.35 * 16)


def test_how_far_is_set_by_the_reach_and_the_gaps_beside_the_center(ladder: np.ndarray) -> None:
    """Moved by 6 px: too far where vertebrae are 16 px apart, not where they are 24 px apart."""
    xy = ladder.copy()
    xy[9:, :, 1] += 16.0  # between T9 and T10 are 32 px, so that on either side of both are 24 px on average
    wide = np.where(np.isin(np.arange(17), (8, 9)), 24.0, 16.0)
    found: list[np.ndarray] = []

    class Six(nn.Module):
        """Says that every center lies 6 px of the image to the right."""

        def forward(self, views: torch.Tensor) -> Refined:
            right = MIDDLE + BOX - 1 + np.array([6.0, 0]) * np.array(scales)[:, None, None]
            return Refined(torch.from_numpy(right.astype(np.float32))[None], torch.zeros(1, 17, 5))

    from lib.learning.patches import vertebra_frames

    scales = vertebra_frames(xy[:, 0], CONFIG)[:, 1, 1]
    for reach in (0.3, 0.4):
        spine = refined(Six(), xy, dataclasses.replace(LIMITS, refinement_reach=reach))
        found.append(np.linalg.norm(spine.xy[:, 0] - xy[:, 0], axis=1))
        stays = found[-1] == 0
        np.testing.assert_array_equal(stays, reach * wide < 6)
        np.testing.assert_allclose(spine.errors[stays], np.repeat(reach * wide[stays, None], 5, 1))
    assert (found[0] == 0).sum() == 15
    assert (found[1] == 0).sum() == 0


def test_two_vertebrae_that_would_fall_onto_the_same_body_both_stay(ladder: np.ndarray) -> None:
    """T8 is said to lie lower and T9 higher, so that 4 px would be left of 16; their neighbours are as said."""
    corners = np.tile(BOX - 1, (17, 1, 1))
    corners[7, :, 1] += 12
    corners[8, :, 1] -= 12
    limits = dataclasses.replace(LIMITS, refinement_reach=0.45)
    spine = refined(Says(corners), ladder, limits)
    np.testing.assert_array_equal(spine.xy[7:9], ladder[7:9])
    np.testing.assert_allclose(spine.errors[7:9], 0.45 * 16)
    rest = np.isin(np.arange(17), (7, 8), invert=True)
    np.testing.assert_allclose(spine.xy[rest, 1:], (ladder[:, :1] + (BOX - 1) / 2)[rest], atol=1e-4)
    corners[7, :, 1] -= 4  # 2 px more: 6 of 16 is more than 0.3
    np.testing.assert_allclose(refined(Says(corners), ladder, limits).xy[7:9, 0, 1], ladder[7:9, 0, 1] + (4, -6))


def test_a_vertebra_that_stays_may_keep_its_neighbour_where_it_was(ladder: np.ndarray) -> None:
    """T8 would move too far and stays; then T9, which follows it, comes too near and stays as well."""
    corners = np.tile(BOX - 1, (17, 1, 1))
    corners[7, :, 1] -= 40
    corners[8, :, 1] -= 26
    limits = dataclasses.replace(LIMITS, refinement_reach=0.85)
    spine = refined(Says(corners), ladder, limits)
    np.testing.assert_array_equal(spine.xy[7:9], ladder[7:9])
    np.testing.assert_allclose(spine.xy[9, 1:], ladder[9, 0] + (BOX - 1) / 2, atol=1e-4)


@pytest.mark.parametrize("rounds", [1, 2, 3])
@pytest.mark.parametrize("mirror", [False, True])
def test_names_never_change_places(rounds: int, mirror: bool) -> None:
    """Whatever is said: every vertebra stays whole or moves within its reach, and none passes another."""
    random = np.random.default_rng(rounds)
    limits = dataclasses.replace(LIMITS, refinement_rounds=rounds, mirror=mirror)
    moved = 0
    for trial in range(25):
        gaps = random.uniform(0.3, 2.5, 17) * 14
        centers = np.stack([50 + random.normal(0, 4, 17).cumsum(), gaps.cumsum()], -1)
        xy = with_centers(centers[:, None] + BOX / 2)
        before = xy.copy()
        centers = xy[:, 0]
        said = random.normal(0, 0.5 * (trial % 5 + 1), (17, 1, 2)) * 6 + BOX + random.normal(0, 2, (17, 4, 2))
        spine = refined(Says(said), xy, limits)
        np.testing.assert_array_equal(xy, before)
        assert (np.diff(spine.xy[:, 0, 1]) > 0).all()
        assert np.isfinite(spine.errors).all()
        stays = (spine.xy == xy).all((1, 2))
        off = np.linalg.norm(spine.xy[:, 0] - centers, axis=1)
        assert (off <= 0.35 * gap_lengths(centers) + 1e-9).all()
        np.testing.assert_allclose(spine.xy[~stays, 0], spine.xy[~stays, 1:].mean(1), atol=1e-9)
        np.testing.assert_allclose(spine.errors[stays], np.repeat(0.35 * gap_lengths(centers)[stays, None], 5, 1))
        moved += int((~stays).sum())
    assert 0 < moved < 25 * 17


def test_no_number_moves_nothing(ladder: np.ndarray) -> None:
    """A network that has gone wrong on one vertebra."""
    corners = np.tile(BOX - 1, (17, 1, 1))
    corners[3, 2, 0] = np.nan
    spine = refined(Says(corners), ladder)
    np.testing.assert_array_equal(spine.xy[3], ladder[3])
    assert np.isfinite(spine.xy).all()
    assert np.isfinite(spine.errors).all()


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_each_round_looks_where_the_one_before_found_the_vertebrae(ladder: np.ndarray, rounds: int) -> None:
    """What always lies one pixel of the image down and to the right moves on by as much in every round."""
    network = Says(BOX + 1)
    limits = dataclasses.replace(LIMITS, refinement_rounds=rounds)
    spine = refined(network, ladder, limits)
    assert len(network.asked) == rounds
    np.testing.assert_allclose(spine.xy[:, 0], ladder[:, 0] + rounds, atol=1e-4)
    np.testing.assert_allclose(spine.xy[:, 1:], ladder[:, :1] + rounds - 1 + (BOX + 1) / 2, atol=1e-4)


def test_the_reach_counts_from_the_decoded_place_in_every_round(ladder: np.ndarray) -> None:
    """3 px right each time: within the reach of 5.6 px once, beyond it at the second time."""
    network = Says(BOX - 1 + (6.0, 0.0))
    limits = dataclasses.replace(LIMITS, refinement_rounds=2)
    spine = refined(network, ladder, limits)
    np.testing.assert_array_equal(spine.xy, ladder)
    np.testing.assert_allclose(spine.errors, 5.6)


def test_a_network_that_is_right_about_the_mirror_image_changes_nothing_by_it(ladder: np.ndarray) -> None:
    said = 1.0 + np.arange(85).reshape(17, 5)

    class Consistent(Says):
        """Says the mirror image about the second view."""

        def forward(self, views: torch.Tensor) -> Refined:
            assert len(views) == 2
            torch.testing.assert_close(views[1], views[0].flip(-1))
            one = Refined(self.corners[None], self.log_errors[None])
            other = mirrored_refined(one, 96)
            return Refined(*(torch.cat(pair) for pair in zip(one, other, strict=True)))

    both = refined(Consistent(BOX, said), ladder, dataclasses.replace(LIMITS, mirror=True))
    one = refined(Says(BOX, said), ladder)
    np.testing.assert_allclose(both.xy, one.xy, atol=1e-4)
    np.testing.assert_allclose(both.errors, one.errors, rtol=1e-4)


def test_what_is_said_about_both_views_is_averaged(ladder: np.ndarray) -> None:
    """Where the same is said of the mirror image, left and right meet in the middle; errors by their logarithms."""
    errors = np.array([3.0, 1, 4, 2, 8])  # center, TL, TR, BL, BR
    spine = refined(Says(BOX, errors), ladder, dataclasses.replace(LIMITS, mirror=True))
    upper, lower = (12 + 14) / 2, (13 + 15) / 2
    expected = np.array([[-upper, -8.5], [upper, -8.5], [-lower, 10.5], [lower, 10.5]])
    np.testing.assert_allclose(spine.xy, with_centers(ladder[:, :1] + expected / 2), atol=1e-4)
    np.testing.assert_allclose(spine.errors, np.tile([1.5, 1, 1, 2, 2], (17, 1)), rtol=1e-4)


class Spots(nn.Module):
    """Says that all corners lie around the center of mass of what is bright within half a step of the middle."""

    def forward(self, views: torch.Tensor) -> Refined:
        """Looks at nothing but the patches."""
        y, x = torch.meshgrid(torch.arange(80.0), torch.arange(96.0), indexing="ij")
        near = (x - MIDDLE[0]) ** 2 + (y - MIDDLE[1]) ** 2 < 16**2
        weight = (views - views.amin((-2, -1), keepdim=True)) * near
        total = weight.sum((-2, -1))
        at = torch.stack([(weight * axis).sum((-2, -1)) / total for axis in (x, y)], -1)
        square = torch.tensor([[-8.0, -6], [8, -6], [-8, 6], [8, 6]])
        return Refined(at[:, :, None] + square, torch.zeros(*views.shape[:2], 5))


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("step", [20.0, 70.0])
def test_the_network_sees_the_image_where_its_answers_are_mapped(mirror: bool, step: float) -> None:
    """Spots at the true centers; what decoding said is up to a fifth of a step off."""
    random = np.random.default_rng(0)
    way = np.arange(17) * step
    truth = np.stack([6 * step + 0.6 * step * np.sin(way / (5 * step)), 2 * step + way], -1)
    y, x = np.mgrid[: round(21 * step), : round(12 * step)]
    pixels = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * (0.07 * step) ** 2)) for a, b in truth)
    decoded = truth + random.uniform(-0.14, 0.14, (17, 2)) * step
    box = np.array([[-0.4, -0.3], [0.4, -0.3], [-0.4, 0.3], [0.4, 0.3]]) * step
    spine = refined(
        Spots(),
        with_centers(decoded[:, None] + box),
        dataclasses.replace(LIMITS, refinement_rounds=2, mirror=mirror),
        (np.asarray(pixels) * 250).astype(np.uint8),
    )
    np.testing.assert_allclose(spine.xy[:, 0], truth, atol=0.01 * step)


def test_image_and_points_stay_as_they_are(ladder: np.ndarray) -> None:
    pixels, xy = IMAGE.copy(), ladder.copy()
    refined(Says(BOX), xy, pixels=pixels)
    np.testing.assert_array_equal(pixels, IMAGE)
    np.testing.assert_array_equal(xy, ladder)


def test_the_stages_are_timed(ladder: np.ndarray) -> None:
    watch = Stopwatch()
    Refinement(Says(BOX), CONFIG, CPU).refine(IMAGE, ladder, LIMITS, watch)  # type: ignore[arg-type]
    assert set(watch.seconds) == {"prepare", "refine"}
    assert all(seconds > 0 for seconds in watch.seconds.values())


def test_gaps_by_hand() -> None:
    """Gaps of 5, 10 and 3 px: the mean of those beside a center."""
    centers = np.array([[0.0, 0], [3, 4], [3, 14], [3, 17]])
    np.testing.assert_allclose(gap_lengths(centers), [5, 7.5, 6.5, 3])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("leaning", [0.0, 20.0, -70.0])
def test_bodies_are_turned_towards_the_line_of_centers(ladder: np.ndarray, share: float, leaning: float) -> None:
    """A straight spine whose patches show every body turned by 8 degrees; leaning changes nothing but the direction."""
    turned = transform_points(rotation(8.0), ladder[:, 1:] - ladder[:, :1]) + ladder[:, :1]
    lean = rotation(leaning)
    spine = np.concatenate([ladder[:, :1], turned], 1)
    result = leaning_to_normal(transform_points(lean, spine), share)
    wanted = transform_points(rotation(8.0 * (1 - share)), ladder - ladder[:, :1]) + ladder[:, :1]
    np.testing.assert_allclose(result, transform_points(lean, wanted), atol=1e-9)


def test_the_turn_is_part_of_the_refinement(ladder: np.ndarray) -> None:
    corners = ladder[:, 1:] - ladder[:, :1]
    limits = dataclasses.replace(LIMITS, refinement_tilt_prior=0.5)
    xy = refined(Says(2 * transform_points(rotation(8.0), corners)), ladder, limits).xy
    np.testing.assert_allclose(xy[:, 1:], transform_points(rotation(4.0), corners) + ladder[:, :1], atol=1e-4)
