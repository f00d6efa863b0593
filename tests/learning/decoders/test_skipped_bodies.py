"""Miscounted spines: no body between two others is left out, none is invented, and a correction puts it in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from lib.learning.codec import LandmarkCodec
from lib.learning.config import load_config
from lib.learning.decoders import Decoder, FixedLandmarks, make_decoder
from lib.learning.decoders.candidates import Candidates
from lib.learning.decoders.chain import Steps
from lib.learning.decoders.skipped_bodies import skipped_bodies
from lib.learning.models.landmark_net import Maps
from lib.spine.chain_prior import DEFAULT_PRIOR

from .conftest import curved_spine

Ideal = Callable[[np.ndarray], Maps]
CELL = 4.0


@pytest.fixture
def map_decoder(codec: LandmarkCodec) -> Decoder:
    """The MAP decoder."""
    return make_decoder("map", codec, DEFAULT_PRIOR, load_config().map)


def column(count: int) -> np.ndarray:
    """``(count, 5, 2)`` points of bodies one below the other, more than a spine has or as many."""
    points = curved_spine(8.0, step=21.0, top=50.0)
    step = points[-1] - points[-2]
    return np.concatenate([points, points[-1] + step * np.arange(1, count - 16)[:, None, None]])


def miscounted(ideal: Ideal, above: int, scale: np.ndarray) -> tuple[Maps, np.ndarray]:
    """Maps that show 18 bodies and count 17: those from ``above`` on have the name of the body above them.

    So two bodies share a name, and L5 answers in the pelvis. A body's heatmap is as high as ``scale`` ``(18,)`` says.
    """
    points = column(18)
    upper, lower = ideal(points[:17]), ideal(points[1:])
    heatmap = torch.zeros_like(upper.heatmap)
    for body in range(18):
        named = body if body < above else body - 1
        of_body = upper.heatmap[0, body] if body < 17 else lower.heatmap[0, 16]
        heatmap[0, named] = torch.maximum(heatmap[0, named], float(scale[body]) * of_body)
    is_low = torch.zeros(heatmap.shape[-2:], dtype=torch.bool)
    is_low[int(points[16:, 0, 1].mean() / CELL) :] = True
    joined = (torch.where(is_low, b, a) for a, b in zip(upper[1:], lower[1:], strict=True))
    return Maps(heatmap, *joined), points


def bodies_of(centers: np.ndarray, points: np.ndarray) -> list[int]:
    """Which body each center ``(V, 2)`` lies on; fails if one lies between two."""
    apart = np.linalg.norm(centers[:, None] - points[:, 0], axis=-1)
    step = np.linalg.norm(np.diff(points[:, 0], axis=0), axis=-1).min()
    assert (apart.min(1) < 0.3 * step).all(), "a center lies between bodies"
    return apart.argmin(1).tolist()


@pytest.mark.parametrize("faint", [1.0, 0.5])
@pytest.mark.parametrize("above", [4, 6, 8, 11, 13])
def test_a_body_that_shares_its_name_with_the_next_is_not_stepped_over(
    map_decoder: Decoder, ideal: Ideal, above: int, faint: float
) -> None:
    scale = np.full(18, 0.6)
    scale[above] *= faint
    scale[17] = 0.35  # in the pelvis
    maps, points = miscounted(ideal, above, scale)
    found = bodies_of(map_decoder.decode(maps).xy[:, 0], points)
    assert np.diff(found).tolist() == [1] * 16


@pytest.mark.parametrize("above", [9, 12])
def test_where_most_names_are_right_the_chain_ends_at_l5(map_decoder: Decoder, ideal: Ideal, above: int) -> None:
    scale = np.full(18, 0.7)
    scale[17] = 0.15
    maps, points = miscounted(ideal, above, scale)
    assert bodies_of(map_decoder.decode(maps).xy[:, 0], points) == list(range(17))


def test_a_faint_spot_in_a_disc_is_no_body(map_decoder: Decoder, ideal: Ideal) -> None:
    points = curved_spine()
    maps = ideal(points)
    disc = ((points[8, 0] + points[9, 0]) / 2 / CELL).astype(int)
    maps.heatmap[0, 8, disc[1], disc[0]] = 0.4
    np.testing.assert_allclose(map_decoder.decode(maps).xy, points, atol=0.01)


@pytest.mark.parametrize("fixed_at", [10, 13, 16])
@pytest.mark.parametrize("above", [5, 8])
def test_a_correction_below_a_skipped_body_puts_it_in(
    map_decoder: Decoder, ideal: Ideal, above: int, fixed_at: int
) -> None:
    """The names of the upper bodies, which nothing speaks against, stay."""
    scale = np.full(18, 0.6)
    scale[17] = 0.5
    maps, points = miscounted(ideal, above, scale)
    fixed = FixedLandmarks.none()
    fixed.xy[fixed_at, 0] = points[fixed_at, 0]
    after = map_decoder.decode(maps, fixed).xy[:, 0]
    assert bodies_of(after, points) == list(range(17))


def test_a_correction_that_confirms_a_name_changes_no_other(map_decoder: Decoder, ideal: Ideal) -> None:
    maps, _ = miscounted(ideal, 9, np.full(18, 0.6))
    before = map_decoder.decode(maps).xy[:, 0]
    for vertebra in (0, 3, 15):
        fixed = FixedLandmarks.none()
        fixed.xy[vertebra, 0] = before[vertebra]
        np.testing.assert_allclose(map_decoder.decode(maps, fixed).xy[:, 0], before, atol=0.01)


def test_two_fixed_names_with_a_body_between_them_hold_it(map_decoder: Decoder, ideal: Ideal) -> None:
    """A body that no channel sees is put where it must be."""
    points = curved_spine()
    maps = ideal(points)
    maps.heatmap[0, 8] = 0.0
    fixed = FixedLandmarks.none()
    fixed.xy[[7, 9], 0] = points[[7, 9], 0]
    after = map_decoder.decode(maps, fixed).xy[:, 0]
    others = np.arange(17) != 8
    np.testing.assert_allclose(after[others], points[others, 0], atol=0.01)
    assert np.linalg.norm(after[8] - points[8, 0]) < 5


def line(*y: float) -> Candidates:
    """Candidates one below the other, all of one size, as sure as that."""
    centers = np.stack([np.full(len(y), 20.0), np.array(y)], 1)
    half = np.array([[-4.0, -2.5], [4.0, -2.5], [-4.0, 2.5], [4.0, 2.5]])
    return Candidates(centers, centers[:, None] + half, np.full((17, len(y)), 0.5 / 17))


@pytest.mark.parametrize(
    ("places", "clear"),
    [
        ((0.0, 7.0, 14.0), 1.0),  # a step is 6.8
        ((0.0, 3.4, 6.8), 0.0),  # a disc
        ((0.0, 7.0, 9.0), 0.0),  # beside one end
        ((0.0, 5.5, 11.0), 0.56),  # room for a body, perhaps
    ],
)
def test_what_lies_between_is_a_body_where_there_is_room(places: tuple[float, ...], clear: float) -> None:
    candidates = line(*places)
    way = Steps.of(np.array([[False, True, True], [False, False, True], [False, False, False]]))
    skipped = skipped_bodies(candidates, 3, way, DEFAULT_PRIOR)
    over = [(int(a), int(b)) for a, b in zip(way.begin, way.end, strict=True)].index((0, 2))
    assert skipped[over] == pytest.approx(clear, abs=0.1)
    assert np.delete(skipped, over).max() == 0.0


def test_what_lies_aside_is_no_body_of_this_spine() -> None:
    candidates = line(0.0, 7.0, 14.0)
    candidates.centers[1, 0] += 6.0
    way = Steps.of(np.array([[False, False, True], [False] * 3, [False] * 3]))
    assert skipped_bodies(candidates, 3, way, DEFAULT_PRIOR).tolist() == [0.0]


def test_faint_spots_count_less() -> None:
    candidates = line(0.0, 7.0, 14.0)
    way = Steps.of(np.array([[False, False, True], [False] * 3, [False] * 3]))
    candidates.scores[:, 1] *= 0.1
    assert skipped_bodies(candidates, 3, way, DEFAULT_PRIOR)[0] == pytest.approx(0.05 / 0.3)
    assert skipped_bodies(candidates, 0, way, DEFAULT_PRIOR).tolist() == [0.0]
