"""The second network at work, with stubs in its place: what moves where, and what stays."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from lib.learning.config import CornerConfig, PredictionConfig, load_config
from lib.learning.data.image_views import vertebra_frames
from lib.learning.decoders import FixedLandmarks
from lib.learning.models.corner_net import CachedTokens, CornerOutput, mirrored_output
from lib.learning.prediction.refinement import RefinedSpine, Refinement, combine_tilts
from lib.learning.prediction.timer import Timer
from lib.spine.centerline import gap_lengths
from lib.spine.geometry import center_distances, rotation, transform_points, translation, with_centers
from lib.spine.measurement.anatomy import LIMITS as ANATOMY
from lib.spine.measurement.anatomy import spans_of, violations

CPU = torch.device("cpu")
CONFIG = CornerConfig(80, 96, 32.0, 4, 0)
MIDDLE = np.array([47.5, 39.5])
LIMITS = dataclasses.replace(
    load_config().prediction,
    **{"mirror": False, "refinement": True, "refinement_rounds": 1, "refinement_turn_deg": 0.0},
    **{"refinement_reach": 0.35, "refinement_tilt_error_deg": 1e9},
)
MIRRORED = dataclasses.replace(LIMITS, mirror=True, refinement_turn_deg=1e-6)
"""Two views, hardly turned."""
BOX = np.array([[-12.0, -9], [14, -8], [-13, 10], [15, 11]])
"""Corners around the middle of a patch, in its pixels; their mean is (1, 1)."""
IMAGE = np.random.default_rng(0).integers(0, 256, (320, 100)).astype(np.uint8)


class Fake(nn.Module):
    """Stands for the second network; what it says of a vertebra does not depend on the others."""

    def among(self, views: torch.Tensor, cached: CachedTokens | None = None) -> tuple[CornerOutput, torch.Tensor]:
        """As the network has it; only of whole spines where no other patch is known."""
        which = torch.arange(17) if cached is None else cached.active
        whole = torch.zeros(len(views), 17, *views.shape[2:])
        whole[:, which] = views
        said = self(whole)
        return CornerOutput(*(part[:, which] for part in said)), torch.zeros(len(views), 17, 4)


class Says(Fake):
    """Says what it is told about every view: ``(V, K, 2)`` corners relative to the middle, ``(V, P)`` errors."""

    def __init__(self, corners: np.ndarray, errors: np.ndarray | float = 1.0) -> None:
        super().__init__()
        self.corners = torch.from_numpy(np.broadcast_to(corners + MIDDLE, (17, 4, 2)).astype(np.float32).copy())
        self.log_errors = torch.from_numpy(np.log(np.broadcast_to(errors, (17, 5))).astype(np.float32).copy())
        self.asked: list[torch.Tensor] = []

    def forward(self, views: torch.Tensor) -> CornerOutput:
        """The same whatever the patches."""
        assert views.shape[1:] == (17, 80, 96)
        self.asked.append(views)
        return CornerOutput(*(part.expand(len(views), *part.shape) for part in (self.corners, self.log_errors)))


def refined(
    network: nn.Module,
    xy: np.ndarray,
    limits: PredictionConfig = LIMITS,
    pixels: np.ndarray = IMAGE,
    fixed: FixedLandmarks | None = None,
) -> RefinedSpine:
    """What becomes of decoded points, of which some are fixed."""
    refinement = Refinement(network, CONFIG, CPU)  # type: ignore[arg-type]
    fixed = fixed or FixedLandmarks.none()
    spine = refinement.refine(pixels, fixed.applied_to(xy), fixed, limits, Timer())
    assert spine is not None
    return spine


def unusual_steps(xy: np.ndarray) -> set[str]:
    """The upper vertebrae of the steps that anatomy finds too short or too long."""
    return {violation.vertebrae[0] for violation in violations(xy) if violation.kind == "step"}


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


@pytest.mark.parametrize("mirror", [False, True])
def test_the_last_round_sees_every_vertebra_turned_to_either_side(ladder: np.ndarray, mirror: bool) -> None:
    """Said to be the same in patches that are turned by 20 degrees either way, a body is smaller by their cosine.

    The second is seen in its mirror image, so that left and right are exchanged in what is said of it.
    """
    network = Says(BOX - 1, np.arange(1.0, 86.0).reshape(17, 5))
    limits = dataclasses.replace(LIMITS, refinement_rounds=2, refinement_turn_deg=20.0, mirror=mirror)
    plain = refined(network, ladder, limits)
    assert [len(views) for views in network.asked] == [1, 2]
    first, second = BOX - 1, (BOX - 1)[[1, 0, 3, 2]] * (-1, 1) if mirror else BOX - 1
    said = transform_points(rotation(-20.0), first), transform_points(rotation(20.0), second)
    np.testing.assert_allclose(plain.xy[:, 1:], ladder[:, :1] + (said[0] + said[1]) / 4, atol=1e-4)


def test_a_mirrored_patch_is_the_other_one_flipped(ladder: np.ndarray) -> None:
    """Without a mirror image the same two patches are shown."""
    limits = dataclasses.replace(LIMITS, refinement_rounds=1, refinement_turn_deg=20.0)
    plain, mirrored = Says(BOX - 1), Says(BOX - 1)
    refined(plain, ladder, limits)
    refined(mirrored, ladder, dataclasses.replace(limits, mirror=True))
    assert torch.equal(plain.asked[0][0], mirrored.asked[0][0])
    assert torch.equal(plain.asked[0][1].flip(-1), mirrored.asked[0][1])


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

    class Six(Fake):
        """Says that every center lies 6 px of the image to the right."""

        def forward(self, views: torch.Tensor) -> CornerOutput:
            right = MIDDLE + BOX - 1 + np.array([6.0, 0]) * np.array(scales)[:, None, None]
            return CornerOutput(torch.from_numpy(right.astype(np.float32))[None], torch.zeros(1, 17, 5))

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
    """T8 is said to lie lower and T9 higher, so that 4 px would be left of 16; their neighbours are as said.

    Both are said to lie further apart from side to side, so that the step between them keeps a usual length.
    """
    corners = np.tile(BOX - 1, (17, 1, 1))
    corners[7] += (-8, 12)
    corners[8] += (8, -12)
    limits = dataclasses.replace(LIMITS, refinement_reach=0.5)
    spine = refined(Says(corners), ladder, limits)
    np.testing.assert_array_equal(spine.xy[7:9], ladder[7:9])
    np.testing.assert_allclose(spine.errors[7:9], 0.5 * 16)
    rest = np.isin(np.arange(17), (7, 8), invert=True)
    np.testing.assert_allclose(spine.xy[rest, 1:], (ladder[:, :1] + (BOX - 1) / 2)[rest], atol=1e-4)
    corners[7, :, 1] -= 4  # 2 px more: 6 of 16 is more than 0.3
    np.testing.assert_allclose(refined(Says(corners), ladder, limits).xy[7:9, 0, 1], ladder[7:9, 0, 1] + (4, -6))


@pytest.mark.parametrize("rounds", [1, 2])
@pytest.mark.parametrize("tilt_error_deg", [1e9, 5.0])
@pytest.mark.parametrize(
    ("gap", "off", "moves"),
    [(16.0, 4.0, True), (16.0, 4.5, False), (24.0, -2.0, True), (24.0, -2.5, False)],
    ids=["not too short", "too short", "not too long", "too long"],
)
def test_neighbours_stay_where_their_step_would_leave_the_limits_of_anatomy(
    ladder: np.ndarray, gap: float, off: float, moves: bool, rounds: int, tilt_error_deg: float
) -> None:
    """T8 lower and T9 higher by as much: 8 of 256 px is a step, 7 is none; 28 of 264 is one, 29 is none."""
    xy = ladder.copy()
    xy[8:, :, 1] += gap - 16
    corners = np.tile(BOX - 1, (17, 1, 1))
    corners[7:9, :, 1] += np.array([[off], [-off]]) * vertebra_frames(xy[:, 0], CONFIG)[7, 1, 1] / rounds
    limits = dataclasses.replace(
        LIMITS, refinement_reach=0.4, refinement_rounds=rounds, refinement_tilt_error_deg=tilt_error_deg
    )
    spine = refined(Says(corners), xy, limits)
    assert not unusual_steps(xy)
    assert not unusual_steps(spine.xy)
    if moves:
        np.testing.assert_allclose(spine.xy[7:9, 0, 1], xy[7:9, 0, 1] + (off, -off), atol=0.1)
    else:
        np.testing.assert_array_equal(spine.xy[7:9], xy[7:9])
        np.testing.assert_allclose(spine.errors[7:9], np.repeat(0.4 * gap_lengths(xy[:, 0])[7:9, None], 5, 1))


@pytest.mark.parametrize(("gap", "off"), [(7.0, 0.5), (33.0, -3.0)], ids=["too short", "too long"])
def test_a_step_that_decoding_left_unusual_binds_nobody(ladder: np.ndarray, gap: float, off: float) -> None:
    xy = ladder.copy()
    xy[8:, :, 1] += gap - 16
    corners = np.tile(BOX - 1, (17, 1, 1))
    corners[7:9, :, 1] += np.array([[off], [-off]]) * vertebra_frames(xy[:, 0], CONFIG)[7, 1, 1]
    spine = refined(Says(corners), xy)
    assert unusual_steps(xy) == unusual_steps(spine.xy) == {"T8"}
    np.testing.assert_allclose(spine.xy[7:9, 0, 1], xy[7:9, 0, 1] + (off, -off), atol=0.1)


def test_the_ends_stay_where_a_longer_spine_would_make_a_step_too_short(ladder: np.ndarray) -> None:
    """From T8 to T9 are 7.44 of 247.44 px, which is just enough; 3 px more from T1 to L5, and it no longer is."""
    xy = ladder.copy()
    xy[8:, :, 1] += 7.44 - 16
    share = center_distances(xy[:, 0]) / spans_of(xy[:, 0])
    assert ANATOMY.step[0] < share[7] < 1.003 * ANATOMY.step[0]
    corners = np.tile(BOX - 1, (17, 1, 1))
    corners[[0, 3], :, 1] -= 6
    spine = refined(Says(corners), xy)
    assert not unusual_steps(spine.xy)
    np.testing.assert_array_equal(spine.xy[[0, 16]], xy[[0, 16]])
    np.testing.assert_allclose(spine.xy[3, 0], xy[3, 0] + (0, -3), atol=0.1)
    corners[0, :, 1] += 12  # lower: the span is shorter, and the step more than enough
    np.testing.assert_allclose(refined(Says(corners), xy).xy[0, 0], xy[0, 0] + (0, 3), atol=0.1)


def test_a_vertebra_that_stays_may_keep_its_neighbour_where_it_was(ladder: np.ndarray) -> None:
    """T8 would move too far and stays; then T9, which follows it, comes too near and stays as well."""
    corners = np.tile(BOX - 1, (17, 1, 1))
    corners[7, :, 1] -= 40
    corners[8, :, 1] -= 22.6
    limits = dataclasses.replace(LIMITS, refinement_reach=0.85)
    spine = refined(Says(corners), ladder, limits)
    np.testing.assert_array_equal(spine.xy[7:9], ladder[7:9])
    np.testing.assert_allclose(spine.xy[9, 1:], ladder[9, 0] + (BOX - 1) / 2, atol=1e-4)


@pytest.mark.parametrize("rounds", [1, 2, 3])
@pytest.mark.parametrize("mirror", [False, True])
def test_names_never_change_places(rounds: int, mirror: bool) -> None:
    """Whatever is said: every vertebra stays whole or moves within its reach, and none passes another.

    No step leaves the limits of anatomy, however much the bodies are turned in the end.
    """
    random = np.random.default_rng(rounds)
    limits = dataclasses.replace(
        MIRRORED if mirror else LIMITS, refinement_rounds=rounds, refinement_tilt_error_deg=5.0
    )
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
        assert unusual_steps(spine.xy) <= unusual_steps(xy)
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

        def forward(self, views: torch.Tensor) -> CornerOutput:
            assert len(views) == 2
            torch.testing.assert_close(views[1], views[0].flip(-1), atol=1e-3, rtol=0.0)
            one = CornerOutput(self.corners[None], self.log_errors[None])
            other = mirrored_output(one, 96)
            return CornerOutput(*(torch.cat(pair) for pair in zip(one, other, strict=True)))

    both = refined(Consistent(BOX, said), ladder, MIRRORED)
    one = refined(Says(BOX, said), ladder)
    np.testing.assert_allclose(both.xy, one.xy, atol=1e-4)
    np.testing.assert_allclose(both.errors, one.errors, rtol=1e-4)


def test_what_is_said_about_both_views_is_averaged(ladder: np.ndarray) -> None:
    """Where the same is said of the mirror image, left and right meet in the middle; errors by their logarithms."""
    errors = np.array([3.0, 1, 4, 2, 8])  # center, TL, TR, BL, BR
    spine = refined(Says(BOX, errors), ladder, MIRRORED)
    upper, lower = (12 + 14) / 2, (13 + 15) / 2
    expected = np.array([[-upper, -8.5], [upper, -8.5], [-lower, 10.5], [lower, 10.5]])
    np.testing.assert_allclose(spine.xy, with_centers(ladder[:, :1] + expected / 2), atol=1e-4)
    np.testing.assert_allclose(spine.errors, np.tile([1.5, 1, 1, 2, 2], (17, 1)), rtol=1e-4)


class Spots(Fake):
    """Says that all corners lie around the center of mass of what is bright within half a step of the middle."""

    def forward(self, views: torch.Tensor) -> CornerOutput:
        """Looks at nothing but the patches."""
        y, x = torch.meshgrid(torch.arange(80.0), torch.arange(96.0), indexing="ij")
        near = (x - MIDDLE[0]) ** 2 + (y - MIDDLE[1]) ** 2 < 16**2
        weight = (views - views.amin((-2, -1), keepdim=True)) * near
        total = weight.sum((-2, -1))
        at = torch.stack([(weight * axis).sum((-2, -1)) / total for axis in (x, y)], -1)
        square = torch.tensor([[-8.0, -6], [8, -6], [-8, 6], [8, 6]])
        return CornerOutput(at[:, :, None] + square, torch.zeros(*views.shape[:2], 5))


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
        dataclasses.replace(LIMITS, refinement_rounds=2, refinement_turn_deg=3.0, mirror=mirror),
        (np.asarray(pixels) * 250).astype(np.uint8),
    )
    np.testing.assert_allclose(spine.xy[:, 0], truth, atol=0.01 * step)


def test_image_and_points_stay_as_they_are(ladder: np.ndarray) -> None:
    pixels, xy = IMAGE.copy(), ladder.copy()
    refined(Says(BOX), xy, pixels=pixels)
    np.testing.assert_array_equal(pixels, IMAGE)
    np.testing.assert_array_equal(xy, ladder)


def test_the_stages_are_timed(ladder: np.ndarray) -> None:
    timer = Timer()
    refinement = Refinement(Says(BOX), CONFIG, CPU)  # type: ignore[arg-type]
    refinement.refine(IMAGE, ladder, FixedLandmarks.none(), LIMITS, timer)
    assert set(timer.seconds) == {"prepare", "refine"}
    assert all(seconds > 0 for seconds in timer.seconds.values())


def test_gaps_by_hand() -> None:
    """Gaps of 5, 10 and 3 px: the mean of those beside a center."""
    centers = np.array([[0.0, 0], [3, 4], [3, 14], [3, 17]])
    np.testing.assert_allclose(gap_lengths(centers), [5, 7.5, 6.5, 3])


def leaning(spine: np.ndarray, degrees: float) -> np.ndarray:
    """A spine whose bodies are turned about their centers."""
    arms = spine - spine[:, :1]
    return transform_points(rotation(degrees), arms) + spine[:, :1]


@pytest.mark.parametrize(("decoded_deg", "share"), [(1e9, 0.0), (1.0, 0.5), (3**0.5, 0.25), (1e-6, 1.0)])
@pytest.mark.parametrize("tilt", [8.0, -8.0])
@pytest.mark.parametrize("lean", [0.0, 20.0, -70.0])
def test_tilts_of_both_networks_count_by_their_variances(
    ladder: np.ndarray, decoded_deg: float, share: float, tilt: float, lean: float
) -> None:
    """The corner network's errors are of a degree; how the whole spine leans changes nothing but the direction."""
    width = np.linalg.norm(ladder[0, [2, 4]].mean(0) - ladder[0, [1, 3]].mean(0))
    errors = np.full((17, 5), np.radians(1.0) * width)
    whole = rotation(lean)
    seen, decoded = transform_points(whole, leaning(ladder, tilt)), transform_points(whole, ladder)
    result = combine_tilts(seen, errors, decoded, decoded_deg)
    np.testing.assert_allclose(result, transform_points(whole, leaning(ladder, tilt * (1 - share))), atol=1e-6)


def test_a_doubtful_body_is_turned_further_but_by_no_more_than_two_networks_can_differ(ladder: np.ndarray) -> None:
    errors = np.linspace(0.1, 5.0, 17)[:, None].repeat(5, 1)
    turns = combine_tilts(leaning(ladder, 6.0), errors, ladder, 10.0)[:, 2] - ladder[:, 2]
    far = np.linalg.norm(turns, axis=1)
    assert (np.diff(far) < 0).all()
    turned = combine_tilts(leaning(ladder, 80.0), errors, ladder, 1e-6)
    np.testing.assert_allclose(turned, leaning(ladder, 68.0), atol=1e-6)


def test_the_turn_is_part_of_the_refinement(ladder: np.ndarray) -> None:
    """The corner network says every body to lean by 8 degrees and to be so unsure that both networks count alike."""
    corners = 2 * transform_points(rotation(8.0), ladder[:, 1:] - ladder[:, :1])
    limits, errors = halfway(ladder)
    xy = refined(Says(corners, errors), ladder, limits).xy
    np.testing.assert_allclose(xy, leaning(ladder, 4.0), atol=1e-4)


def halfway(ladder: np.ndarray) -> tuple[PredictionConfig, float]:
    """Limits and errors in pixels of a patch with which the tilts of both networks count alike."""
    width = float(np.linalg.norm(ladder[0, [2, 4]].mean(0) - ladder[0, [1, 3]].mean(0)))
    return dataclasses.replace(LIMITS, refinement_tilt_error_deg=float(np.degrees(1.0 / width))), 2.0


def test_only_vertebrae_that_were_refined_are_turned(ladder: np.ndarray) -> None:
    """The patches say that all bodies lean by 8 degrees, and that T9 lies too far away."""
    corners = 2 * transform_points(rotation(8.0), ladder[:, 1:] - ladder[:, :1])
    corners[8, :, 0] += 16
    limits, errors = halfway(ladder)
    spine = refined(Says(corners, errors), ladder, limits)
    np.testing.assert_array_equal(spine.xy[8], ladder[8])
    turned = leaning(ladder, 4.0)
    others = np.arange(17) != 8
    np.testing.assert_allclose(spine.xy[others], turned[others], atol=1e-4)


@pytest.mark.parametrize(
    "centers",
    [
        np.full((17, 2), 50.0),
        50.0 + 1e-3 * np.arange(34).reshape(17, 2),
        np.array([[50.0, 50.0]] * 16 + [[50.0, 90.0]]),
        np.full((17, 2), np.nan),
        np.array([[50.0, 10.0 * i] for i in range(16)] + [[np.inf, 0.0]]),
    ],
    ids=["one place", "nearly one place", "two places", "no number", "infinite"],
)
def test_there_is_nothing_to_refine_where_vertebrae_lie_in_one_place(centers: np.ndarray) -> None:
    network = Says(BOX)
    refinement = Refinement(network, CONFIG, CPU)  # type: ignore[arg-type]
    xy = with_centers(centers[:, None] + np.zeros((17, 4, 2)))
    assert refinement.refine(IMAGE, xy, FixedLandmarks.none(), LIMITS, Timer()) is None
    assert not network.asked


# --- with fixed points ---

SHAPE = (BOX - 1) / 2
"""Corners around their mean as ``Says(BOX)`` finds them where vertebrae are 16 px apart, pixels of the image."""


def fixed_at(places: dict[tuple[int, int], np.ndarray]) -> FixedLandmarks:
    """Fixed points by vertebra and point."""
    fixed = FixedLandmarks.none()
    for at, place in places.items():
        fixed.xy[at] = place
    return fixed


def dented(xy: np.ndarray) -> set[str]:
    """Vertebrae whose corners are swapped or whose outline is not convex."""
    return {violation.vertebrae[0] for violation in violations(xy) if violation.kind == "corners"}


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_corners_lie_around_a_fixed_center(ladder: np.ndarray, rounds: int) -> None:
    """Those of T8 as they are found where the center was set, half a pixel off it; all others drift with that."""
    fixed = fixed_at({(7, 0): ladder[7, 0] + (2.0, 1.0)})
    spine = refined(Says(BOX), ladder, dataclasses.replace(LIMITS, refinement_rounds=rounds), fixed=fixed)
    assert (spine.xy[7, 0] == fixed.xy[7, 0]).all()
    np.testing.assert_allclose(spine.xy[7, 1:], fixed.xy[7, 0] + 0.5 + SHAPE, atol=0.2)
    np.testing.assert_allclose(spine.xy[[0, 16], 0], ladder[[0, 16], 0] + 0.5 * rounds, atol=0.1)
    np.testing.assert_allclose(spine.errors[7], 0.5, rtol=0.05)


def test_every_round_looks_where_a_center_is_fixed(ladder: np.ndarray) -> None:
    """A bright spot there is in the middle of each patch, though the network says that the body lies beside it."""
    center = ladder[7, 0] + (3.0, 2.0)
    y, x = np.mgrid[:320, :100]
    spot = np.exp(-((x - center[0]) ** 2 + (y - center[1]) ** 2) / (2 * 1.5**2))
    network = Says(BOX + np.array([5.0, 0.0]))
    limits = dataclasses.replace(LIMITS, refinement_rounds=3)
    refined(network, ladder, limits, (255 * spot).astype(np.uint8), fixed_at({(7, 0): center}))
    assert len(network.asked) == 3
    for views in network.asked:
        brightest = np.unravel_index(int(views[0, 7].argmax()), (80, 96))
        np.testing.assert_allclose(brightest[::-1], MIDDLE, atol=1.6)


def test_every_round_looks_where_a_fixed_corner_has_brought_a_vertebra(ladder: np.ndarray) -> None:
    """More than half a step away, the network finds another body there in the second round, and is believed."""
    drag = np.array([0.0, -9.0])
    fixed = fixed_at({(0, p): ladder[0, 0] + SHAPE[p - 1] + drag for p in (1, 2)})
    limits = dataclasses.replace(LIMITS, refinement_rounds=2)
    first = refined(Says(BOX - 1), ladder, fixed=fixed)
    np.testing.assert_allclose(first.xy[0, 1:], ladder[0, 0] + SHAPE + drag, atol=1e-4)
    np.testing.assert_allclose(first.errors[0], 0.35 * 16)
    second = refined(Says(BOX - 1), ladder, limits, fixed=fixed)
    np.testing.assert_allclose(second.xy[0, 1:], ladder[0, 0] + SHAPE + drag, atol=2.0)
    assert (second.errors[0] < 1).all()


@pytest.mark.parametrize("place", range(1, 5), ids=["TL", "TR", "BL", "BR"])
@pytest.mark.parametrize("angle_deg", range(0, 360, 45))
def test_a_corner_moved_by_a_third_of_a_step_leaves_the_others_where_they_are_seen(
    ladder: np.ndarray, place: int, angle_deg: int
) -> None:
    """The center is the mean of all four."""
    drag = 0.3 * 16 * np.array([np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))])
    found = ladder[7, 0] + SHAPE
    fixed = fixed_at({(7, place): found[place - 1] + drag})
    spine = refined(Says(BOX - 1), ladder, dataclasses.replace(LIMITS, refinement_tilt_error_deg=5.0), fixed=fixed)
    expected = found.copy()
    expected[place - 1] += drag
    np.testing.assert_allclose(spine.xy[7], with_centers(expected), atol=1e-4)
    assert (spine.xy[7, place] == fixed.xy[7, place]).all()
    np.testing.assert_allclose(spine.errors[7], 0.5, rtol=1e-4)
    assert not dented(spine.xy)


@pytest.mark.parametrize("place", range(1, 5), ids=["TL", "TR", "BL", "BR"])
@pytest.mark.parametrize("lean_deg", [0.0, 40.0])
@pytest.mark.parametrize(
    ("outwards", "up", "follows"),
    [(0.0, 7.7, False), (0.0, 8.3, True), (15.5, 0.0, False), (16.5, 0.0, True), (9.0, 12.0, True), (30.0, 0.0, True)],
    ids=str,
)
def test_a_corner_that_belongs_to_another_body_takes_the_others_along(
    ladder: np.ndarray, place: int, lean_deg: float, outwards: float, up: float, follows: bool
) -> None:
    """Beyond half a step along the spine or a whole one to the side; of errors the patch then says nothing."""
    spine_way = translation(150, 0) @ rotation(lean_deg)
    drag = np.array([outwards * (1 if place in (2, 4) else -1), up * (1 if place in (3, 4) else -1)])
    found = ladder[7, 0] + SHAPE
    fixed = fixed_at({(7, place): transform_points(spine_way, found[place - 1] + drag)})
    spine = refined(Says(BOX - 1), transform_points(spine_way, ladder), fixed=fixed)
    expected = found + drag * (follows | (np.arange(4) == place - 1)[:, None])
    np.testing.assert_allclose(spine.xy[7], transform_points(spine_way, with_centers(expected)), atol=0.02)
    np.testing.assert_allclose(spine.errors[7], 0.35 * 16 if follows else 0.5, rtol=0.01)
    np.testing.assert_allclose(spine.errors[9:], 0.5, rtol=0.01)


@pytest.mark.parametrize(("drag", "follows"), [((0.0, 4.0), False), ((0.0, 6.0), True), ((24.0, -1.0), True)], ids=str)
def test_a_corner_that_would_cross_the_outline_takes_the_others_along(
    ladder: np.ndarray, drag: tuple[float, float], follows: bool
) -> None:
    """Bodies of 20 x 5 px: the upper left corner at the height of the lower one, or beyond the right ones."""
    flat = np.array([[-20.0, -5], [20, -5], [-20, 5], [20, 5]])
    found = ladder[7, 0] + flat / 2
    spine = refined(Says(flat), ladder, fixed=fixed_at({(7, 1): found[0] + drag}))
    free = found[1:] + (drag if follows else (0, 0))
    np.testing.assert_allclose(spine.xy[7, 2:], free, atol=1e-4)
    assert not dented(spine.xy)


def test_outlines_stay_whole_wherever_corners_are_put(ladder: np.ndarray) -> None:
    """One corner anywhere; two or three where some body could have them, larger, turned and askew."""
    random = np.random.default_rng(0)
    found = ladder[7, 0] + SHAPE
    followed = 0
    for trial in range(150):
        chosen = random.permutation(4)[: trial % 3 + 1]
        matrix = rotation(random.uniform(-60, 60)) @ np.diag([*random.uniform(0.4, 2.5, 2), 1.0])
        arms = transform_points(matrix, found[chosen] - found[chosen].mean(0))
        fixed = fixed_at({})
        fixed.xy[7, 1 + chosen] = found[chosen].mean(0) + arms + random.normal(0, 12, 2)
        spine = refined(
            Says(BOX - 1), ladder, dataclasses.replace(LIMITS, refinement_rounds=1 + trial % 2), fixed=fixed
        )
        assert "T8" not in dented(spine.xy)
        assert (spine.xy[fixed.mask] == fixed.xy[fixed.mask]).all()
        np.testing.assert_allclose(spine.xy[7, 0], spine.xy[7, 1:].mean(0), atol=1e-9)
        followed += bool(spine.errors[7, 0] > 1)
    assert 20 < followed < 130


@pytest.mark.parametrize("with_center", [False, True])
def test_of_four_fixed_corners_nothing_is_left_to_find(ladder: np.ndarray, with_center: bool) -> None:
    random = np.random.default_rng(0)
    fixed = fixed_at({(7, p): ladder[7, p] + random.uniform(-9, 9, 2) for p in range(1 - with_center, 5)})
    xy = refined(Says(BOX), ladder, dataclasses.replace(LIMITS, refinement_tilt_error_deg=5.0), fixed=fixed).xy
    assert xy[7, 1:].tobytes() == fixed.xy[7, 1:].tobytes()
    assert (xy[7, 0] == (fixed.xy[7, 0] if with_center else fixed.xy[7, 1:].mean(0))).all()


@pytest.mark.parametrize(
    ("drag", "opposite", "atol"), [((-3.0, 2.0), (0.0, 0.0), 0.1), ((-9.0, -9.0), (9.0, 9.0), 1.5)], ids=["near", "far"]
)
def test_a_fixed_center_with_a_fixed_corner_keeps_both(
    ladder: np.ndarray, drag: tuple[float, float], opposite: tuple[float, float], atol: float
) -> None:
    """Near the body around the center, the corner leaves the others; far from it, that body is stretched."""
    center = ladder[7, 0] + (1.0, 1.0)
    spine = refined(Says(BOX - 1), ladder, fixed=fixed_at({(7, 0): center, (7, 1): center + SHAPE[0] + drag}))
    assert (spine.xy[7, 0] == center).all()
    assert (spine.xy[7, 1] == center + SHAPE[0] + drag).all()
    np.testing.assert_allclose(spine.xy[7, 4], center + SHAPE[3] + opposite, atol=atol)
    np.testing.assert_allclose(spine.xy[7, 2:4].mean(0), center + SHAPE[1:3].mean(0), atol=atol)
    assert not dented(spine.xy)


def test_bodies_with_a_fixed_corner_are_not_turned_and_others_turn_about_fixed_centers(ladder: np.ndarray) -> None:
    corners = transform_points(rotation(8.0), ladder[:, 1:] - ladder[:, :1])
    found = with_centers(corners + ladder[:, :1])
    fixed = fixed_at({(7, 2): found[7, 2], (8, 0): ladder[8, 0]})
    limits, errors = halfway(ladder)
    xy = refined(Says(2 * corners, errors), ladder, limits, fixed=fixed).xy
    np.testing.assert_allclose(xy[7], found[7], atol=1e-4)
    np.testing.assert_allclose(xy[[6, 8, 9]], leaning(ladder, 4.0)[[6, 8, 9]], atol=1e-4)
    assert (xy[8, 0] == ladder[8, 0]).all()


def test_a_vertebra_with_fixed_points_does_not_go_back(ladder: np.ndarray) -> None:
    """T8 is found 6.5 px away, which is too far, but one of its corners was set there."""
    corners = np.tile(BOX - 1, (17, 1, 1))
    corners[7, :, 0] += 13
    found = ladder[7, 0] + corners[7] / 2
    np.testing.assert_array_equal(refined(Says(corners), ladder).xy[7], ladder[7])
    spine = refined(Says(corners), ladder, fixed=fixed_at({(7, 3): found[2]}))
    np.testing.assert_allclose(spine.xy[7], with_centers(found), atol=1e-4)
    np.testing.assert_allclose(spine.errors[7], 0.5, rtol=1e-4)


@pytest.mark.parametrize(("drag", "up"), [(0.0, 8.5), (10.0, 5.0)], ids=["step", "order"])
def test_neighbours_of_fixed_centers_keep_order_and_step(ladder: np.ndarray, drag: float, up: float) -> None:
    """T9 would come too near to T8, which is fixed, and stays; T8 keeps the corners that were found."""
    fixed = fixed_at({(7, 0): ladder[7, 0] + (0, drag)})
    corners = np.tile(BOX - 1, (17, 1, 1))
    corners[8, :, 1] -= 2 * up
    limits = dataclasses.replace(LIMITS, refinement_reach=0.6)
    spine = refined(Says(corners), ladder, limits, fixed=fixed)
    np.testing.assert_array_equal(spine.xy[8], ladder[8])
    np.testing.assert_allclose(spine.xy[7, 1:], fixed.xy[7, 0] + SHAPE, atol=0.8)
    assert (spine.errors[7] < 1).all()


@pytest.mark.parametrize("place", [0, 1], ids=["center", "TL"])
def test_no_number_leaves_a_vertebra_with_fixed_points_as_decoded(ladder: np.ndarray, place: int) -> None:
    corners = np.tile(BOX - 1, (17, 1, 1))
    corners[7, 2, 0] = np.nan
    fixed = fixed_at({(7, place): ladder[7, place] + (3.0, 2.0)})
    spine = refined(Says(corners), ladder, dataclasses.replace(LIMITS, refinement_tilt_error_deg=5.0), fixed=fixed)
    np.testing.assert_array_equal(spine.xy[7], fixed.applied_to(ladder)[7])
    assert np.isfinite(spine.xy).all()
    assert np.isfinite(spine.errors).all()


class Counts(Says):
    """Remembers which vertebrae it was asked about."""

    which: list[list[int]]

    def among(self, views: torch.Tensor, cached: CachedTokens | None = None) -> tuple[CornerOutput, torch.Tensor]:
        """As ``Fake`` has it."""
        self.which.append(list(range(17)) if cached is None else cached.active.tolist())
        if cached is not None:
            assert cached.tokens.shape == (len(views), 17, 4)
        return super().among(views, cached)


def turning(ladder: np.ndarray, rounds: int) -> tuple[PredictionConfig, Counts]:
    """Limits by which tilts are combined, and a network that says that all bodies lean by 8 degrees."""
    limits, errors = halfway(ladder)
    network = Counts(2 * transform_points(rotation(8.0), ladder[:, 1:] - ladder[:, :1]) + 1, errors)
    network.which = []
    limits = dataclasses.replace(limits, refinement_rounds=rounds)
    before = refined(network, ladder, limits)
    np.testing.assert_allclose(before.xy - before.xy[:, :1], leaning(ladder, 4.0) - ladder[:, :1], atol=0.1)
    network.which = []
    return limits, network


def test_only_vertebrae_that_moved_are_looked_at_again(ladder: np.ndarray) -> None:
    """Names move up by one: only the new L5 is looked at, in as many rounds and views; the rest stays exactly.

    Bodies lean, and were turned halfway to the other network's tilt; they are not turned once more.
    """
    limits, network = turning(ladder, rounds=2)
    refinement = Refinement(network, CONFIG, CPU)  # type: ignore[arg-type]
    free, pixels = FixedLandmarks.none(), np.pad(IMAGE, ((0, 40), (0, 0)))
    before = refinement.refine(pixels, ladder, free, limits, Timer())
    assert before is not None
    assert network.which == [list(range(17))] * 2
    network.which = []
    again = refinement.refine(pixels, ladder + np.array([0, 16]), free, limits, Timer(), before)
    assert again is not None
    assert network.which == [[16]] * 2
    np.testing.assert_array_equal(again.xy[:16], before.xy[1:])
    np.testing.assert_array_equal(again.errors[:16], before.errors[1:])
    np.testing.assert_allclose(again.xy[16], ladder[16] + (0, 16) + (before.xy[16] - ladder[16]), atol=0.5)


def test_a_spine_that_stayed_is_not_looked_at_again_and_a_fixed_corner_moves_itself_and_its_center(
    ladder: np.ndarray,
) -> None:
    """Bodies lean, and were turned halfway to the other network's tilt; they are not turned once more."""
    limits, network = turning(ladder, rounds=1)
    refinement = Refinement(network, CONFIG, CPU)  # type: ignore[arg-type]
    before = refinement.refine(IMAGE, ladder, FixedLandmarks.none(), limits, Timer())
    assert before is not None
    fixed = fixed_at({(4, 2): before.xy[4, 2] + (2, 1)})
    network.which = []
    again = refinement.refine(IMAGE, ladder, fixed, limits, Timer(), before)
    assert again is not None
    assert network.which == []
    expected = before.xy.copy()
    expected[4, 2] = fixed.xy[4, 2]
    expected[4, 0] = expected[4, 1:].mean(0)
    np.testing.assert_allclose(again.xy, expected, atol=1e-12)
    assert (np.delete(again.xy, 4, 0) == np.delete(before.xy, 4, 0)).all()
    np.testing.assert_array_equal(again.observed[:, 1:], before.xy[:, 1:])


@pytest.mark.parametrize("down", [16, 400])
def test_the_image_is_cut_out_anew_where_it_does_not_show_what_moved(ladder: np.ndarray, down: int) -> None:
    """A spine that is found 400 px further down lies beyond what was cut out around the first one."""
    y, x = np.mgrid[:900, :100]
    middles = np.concatenate([ladder[:, 0], ladder[:, 0] + (0, down)])
    spots = (np.hypot(x[..., None] - middles[:, 0], y[..., None] - middles[:, 1]) < 4).any(-1)
    pixels = (255 * spots).astype(np.uint8)
    refinement = Refinement(Spots(), CONFIG, CPU)  # type: ignore[arg-type]
    free = FixedLandmarks.none()
    before = refinement.refine(pixels, ladder, free, LIMITS, Timer())
    assert before is not None
    moved = ladder + np.array([0.8, down])
    again = refinement.refine(pixels, moved, free, LIMITS, Timer(), before)
    assert again is not None
    np.testing.assert_allclose(again.xy[:, 0], ladder[:, 0] + (0, down), atol=0.3)
    assert (again.image is before.image) == (down == 16)


@pytest.mark.parametrize("rounds", [1, 2])
def test_fixed_points_stay_bit_for_bit_wherever_they_are(ladder: np.ndarray, rounds: int) -> None:
    """Far outside the image, on each other, on other vertebrae."""
    random = np.random.default_rng(rounds)
    limits = dataclasses.replace(LIMITS, refinement_rounds=rounds, refinement_tilt_error_deg=5.0)
    for trial in range(40):
        fixed = fixed_at({})
        for _ in range(random.integers(1, 30)):
            fixed.xy[random.integers(17), random.integers(5)] = random.uniform(-1, 1, 2) * 10.0 ** random.integers(7)
        fixed.xy[trial % 17, 0] = (-0.0, 5e-324)
        before = fixed.xy.copy()
        spine = refined(Says(BOX), ladder, limits, fixed=fixed)
        assert spine.xy[fixed.mask].tobytes() == fixed.xy[fixed.mask].tobytes()
        assert np.isfinite(spine.xy).all()
        assert np.isfinite(spine.errors).all()
        np.testing.assert_array_equal(fixed.xy, before)
