"""All decoders on maps whose answer is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.learning.codec import LandmarkCodec
from lib.learning.config import load_config
from lib.learning.decoders import DECODERS, DecodedSpine, Decoder, FixedLandmarks, make_decoder
from lib.learning.models.landmark_net import Maps
from lib.spine.chain_prior import DEFAULT_PRIOR

from .conftest import HEIGHT, WIDTH, curved_spine

Ideal = Callable[[np.ndarray], Maps]


@pytest.fixture(params=DECODERS)
def decoder(request: pytest.FixtureRequest, codec: LandmarkCodec) -> Decoder:
    """Each decoder in turn."""
    return make_decoder(request.param, codec, DEFAULT_PRIOR, load_config().map)


@pytest.fixture
def map_decoder(codec: LandmarkCodec) -> Decoder:
    """The MAP decoder."""
    return make_decoder("map", codec, DEFAULT_PRIOR, load_config().map)


def falls(decoded: DecodedSpine) -> bool:
    """Whether all centers, and all means of corners, lie one below the other."""
    centers, means = decoded.xy[:, 0, 1], decoded.xy[:, 1:, 1].mean(1)
    return bool((np.diff(centers) > 0).all() and (np.diff(means) > 0).all())


def noise_maps(seed: int, strength: float = 1.0) -> Maps:
    """Maps of a network that has learnt nothing."""
    random = torch.Generator().manual_seed(seed)
    h, w = HEIGHT // 4, WIDTH // 4
    heatmap = torch.rand(1, 17, h, w, generator=random) * strength
    return Maps(heatmap, torch.randn(1, 2, h, w, generator=random), 3 * torch.randn(1, 8, h, w, generator=random))


@pytest.mark.parametrize("bend", [0.0, 12.0, -30.0])
def test_ideal_maps_give_the_points_back(decoder: Decoder, ideal: Ideal, bend: float) -> None:
    points = curved_spine(bend)
    decoded = decoder.decode(ideal(points))
    np.testing.assert_allclose(decoded.xy, points, atol=0.01)
    np.testing.assert_allclose(decoded.scores, 0.9, atol=1e-6)


def test_the_names_of_the_decoders_are_checked(codec: LandmarkCodec) -> None:
    with pytest.raises(ValueError, match="decoder must be one of map, sequential, parallel, got 'best'"):
        make_decoder("best", codec, DEFAULT_PRIOR, load_config().map)


def test_several_images_are_refused(decoder: Decoder) -> None:
    with pytest.raises(ValueError, match="maps of one image, got 2"):
        decoder.decode(Maps(*(m.repeat(2, 1, 1, 1) for m in noise_maps(0))))


@pytest.mark.parametrize("strength", [1.0, 0.0])
@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_maps_there_are_85_finite_points(decoder: Decoder, seed: int, strength: float) -> None:
    decoded = decoder.decode(noise_maps(seed, strength))
    assert decoded.xy.shape == (17, 5, 2)
    assert np.isfinite(decoded.xy).all()
    assert ((decoded.scores >= 0) & (decoded.scores <= 1)).all()


@pytest.mark.parametrize("strength", [1.0, 0.02, 0.0])
@pytest.mark.parametrize("seed", range(25))
def test_map_never_goes_up(map_decoder: Decoder, seed: int, strength: float) -> None:
    """N_eq and N_neg are zero by construction, for centers and for the means of the corners, even on noise."""
    assert falls(map_decoder.decode(noise_maps(seed, strength)))


@pytest.mark.parametrize("place", ["top", "bottom"])
def test_map_never_goes_up_where_all_there_is_lies_at_a_border(
    map_decoder: Decoder, codec: LandmarkCodec, place: str
) -> None:
    maps = noise_maps(0, 0.0)
    maps.heatmap[..., 1 if place == "top" else -2, 30] = 0.9
    assert falls(map_decoder.decode(maps))


def test_map_repairs_a_channel_that_answers_at_its_neighbour(map_decoder: Decoder, ideal: Ideal) -> None:
    points = curved_spine()
    maps = ideal(points)
    maps.heatmap[0, 8] = 0.3 * maps.heatmap[0, 8] + 0.7 * maps.heatmap[0, 9]
    np.testing.assert_allclose(map_decoder.decode(maps).xy, points, atol=0.01)


def test_map_bridges_a_vertebra_that_no_channel_sees(map_decoder: Decoder, ideal: Ideal) -> None:
    points = curved_spine()
    maps = ideal(points)
    maps.heatmap[0, 6] = 0.0
    decoded = map_decoder.decode(maps)
    others = np.arange(17) != 6
    np.testing.assert_allclose(decoded.xy[others], points[others], atol=0.01)
    step = np.linalg.norm(points[7, 0] - points[6, 0])
    assert np.linalg.norm(decoded.xy[6, 0] - points[6, 0]) < 0.3 * step
    assert decoded.scores[6].max() < 0.1


def test_map_names_by_all_channels_together(map_decoder: Decoder, ideal: Ideal) -> None:
    """Most channels are right and a few, each surer than any other, are one level off."""
    points = curved_spine()
    maps = ideal(points)
    right = maps.heatmap.clone()
    maps.heatmap[0] = 0.6 * right[0]
    for v in (3, 4, 5, 6):
        maps.heatmap[0, v] = torch.maximum(0.15 * right[0, v], right[0, v + 1])
    np.testing.assert_allclose(map_decoder.decode(maps).xy, points, atol=0.01)


def test_map_follows_the_network_where_the_spine_is_unusual(map_decoder: Decoder, ideal: Ideal) -> None:
    """A step of 1.6 times the usual length, as after a resected disc space, is no reason to doubt sure channels."""
    points = curved_spine(step=22.0)
    points[10:] += (0.0, 14.0)
    np.testing.assert_allclose(map_decoder.decode(ideal(points)).xy, points, atol=0.01)


def test_map_prefers_a_spine_within_the_limits_of_anatomy(codec: LandmarkCodec, ideal: Ideal) -> None:
    """A surer place of L5 makes the step from L4 longer than anatomy allows; without the penalty it would win."""
    points = curved_spine(0.0)
    off = points.copy()
    off[16] += (0.0, 0.75 * (points[16, 0, 1] - points[15, 0, 1]))
    wrong = ideal(off)
    heatmap = ideal(points).heatmap
    heatmap[0, 16] = torch.maximum(0.05 * heatmap[0, 16], wrong.heatmap[0, 16])
    config = replace(load_config().map, prior_weight=0.1)
    for penalty, expected in ((0.0, off), (config.limit_penalty, points)):
        decoder = make_decoder("map", codec, DEFAULT_PRIOR, replace(config, limit_penalty=penalty))
        found = decoder.decode(wrong._replace(heatmap=heatmap)).xy[:, 0]
        np.testing.assert_allclose(found, expected[:, 0], atol=2.0)  # a cell is 4 pixels


def test_sequential_stays_inside_its_rectangle(codec: LandmarkCodec, ideal: Ideal) -> None:
    """A far, strong false peak does not lead it away; where the rectangle is empty it goes straight on."""
    points = curved_spine(0.0)
    maps = ideal(points)
    maps.heatmap[0, 9] = 0.0
    maps.heatmap[0, 9, 5, 60] = 0.99
    decoded = make_decoder("sequential", codec, DEFAULT_PRIOR, load_config().map).decode(maps)
    others = np.arange(17) != 9
    np.testing.assert_allclose(decoded.xy[others], points[others], atol=0.01)
    assert np.linalg.norm(decoded.xy[9, 0] - points[9, 0]) < 4.0
    parallel = make_decoder("parallel", codec, DEFAULT_PRIOR, load_config().map).decode(maps)
    assert np.linalg.norm(parallel.xy[9, 0] - points[9, 0]) > 100


def test_fixed_points_never_move(decoder: Decoder) -> None:
    """Bit for bit, whatever the maps, and wherever a person puts them."""
    random = np.random.default_rng(0)
    for seed in range(10):
        fixed = FixedLandmarks.none()
        for _ in range(random.integers(1, 30)):
            fixed.xy[random.integers(17), random.integers(5)] = random.uniform(-300, 900, 2)
        decoded = decoder.decode(noise_maps(seed), fixed)
        assert np.isfinite(decoded.xy).all()
        assert (decoded.xy[fixed.mask] == fixed.xy[fixed.mask]).all()
        assert (decoded.scores[fixed.mask] == 1.0).all()


def test_one_fixed_center_renames_the_whole_spine(map_decoder: Decoder, ideal: Ideal) -> None:
    """Every channel is one level too low; the person puts T7 where it belongs."""
    points = curved_spine(step=24.0)
    maps = ideal(points)
    lower = maps.heatmap.clone()
    lower[0, :-1], lower[0, -1] = maps.heatmap[0, 1:], 0.0
    shifted = maps._replace(heatmap=lower)
    before = map_decoder.decode(shifted).xy
    np.testing.assert_allclose(before[:15, 0], points[1:16, 0], atol=0.01)
    fixed = FixedLandmarks.none()
    fixed.xy[6, 0] = points[6, 0]
    after = map_decoder.decode(shifted, fixed).xy
    np.testing.assert_allclose(after[1:, 0], points[1:, 0], atol=0.5)
    assert np.linalg.norm(after[0, 0] - points[0, 0]) < 8  # no channel sees T1 any more: it is interpolated


def test_one_fixed_corner_renames_the_whole_spine(map_decoder: Decoder, ideal: Ideal) -> None:
    points = curved_spine(step=24.0)
    maps = ideal(points)
    lower = maps.heatmap.clone()
    lower[0, :-1], lower[0, -1] = maps.heatmap[0, 1:], 0.0
    fixed = FixedLandmarks.none()
    fixed.xy[6, 2] = points[6, 2] + (0.7, -0.4)
    after = map_decoder.decode(maps._replace(heatmap=lower), fixed).xy
    assert (after[6, 2] == fixed.xy[6, 2]).all()
    np.testing.assert_allclose(after[1:, 0], points[1:, 0], atol=1.0)


def test_corners_follow_a_fixed_center(decoder: Decoder, ideal: Ideal) -> None:
    points = curved_spine()
    fixed = FixedLandmarks.none()
    fixed.xy[6, 0] = points[6, 0] + (2.0, 1.0)
    decoded = decoder.decode(ideal(points), fixed)
    np.testing.assert_allclose(decoded.xy[6] - points[6], np.tile([2.0, 1.0], (5, 1)), atol=0.01)


def test_all_decoders_together_take_less_than_ten_milliseconds(codec: LandmarkCodec, ideal: Ideal) -> None:
    """Processor time of one core, the fastest of many passes, so that a busy machine does not fail the test."""
    decoders = [make_decoder(name, codec, DEFAULT_PRIOR, load_config().map) for name in DECODERS]
    maps = ideal(curved_spine())
    noisy = maps._replace(heatmap=torch.maximum(maps.heatmap, 0.3 * noise_maps(0).heatmap ** 8))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        taken = []
        for _ in range(30):
            begin = time.process_time()
            for decoder in decoders:
                decoder.decode(noisy)
            taken.append(time.process_time() - begin)
    finally:
        torch.set_num_threads(threads)
    assert min(taken) < 0.010


def test_a_single_channel_stands_for_every_vertebra(decoder: Decoder, ideal: Ideal) -> None:
    """The baseline network: one heatmap for all vertebrae, named from top to bottom."""
    points = curved_spine()
    maps = ideal(points)
    decoded = decoder.decode(maps._replace(heatmap=maps.heatmap.amax(1, keepdim=True)))
    np.testing.assert_allclose(decoded.xy, points, atol=0.01)


@pytest.mark.parametrize("unseen", [range(4), range(7), range(7, 10), range(13, 17), range(9, 17), (3, 4, 9, 10, 11)])
@pytest.mark.parametrize("is_fixed", [False, True])
def test_vertebrae_that_no_channel_sees_rename_no_other(
    map_decoder: Decoder, ideal: Ideal, unseen: Sequence[int], is_fixed: bool
) -> None:
    points = curved_spine(0.0)
    maps = ideal(points)
    maps.heatmap[0, list(unseen)] = 0.0
    fixed = FixedLandmarks.none()
    if is_fixed:
        fixed.xy[12, 0] = points[12, 0]
    decoded = map_decoder.decode(maps, fixed)
    assert falls(decoded)
    seen = [v for v in range(17) if v not in unseen]
    np.testing.assert_allclose(decoded.xy[seen, 0], points[seen, 0], atol=0.01)
    assert np.linalg.norm(decoded.xy[:, 0] - points[:, 0], axis=-1).max() < 25


def test_fixed_vertebrae_hold_those_between_them_apart(map_decoder: Decoder, ideal: Ideal) -> None:
    """Squeezed together by a person, or with nothing seen between them."""
    points = curved_spine(0.0)
    maps = ideal(points)
    squeezed = FixedLandmarks.none()
    squeezed.xy[[4, 6], 0] = points[[4, 5], 0]
    assert falls(map_decoder.decode(maps, squeezed))
    maps.heatmap[0, 1:16] = 0.0
    ends = FixedLandmarks.none()
    ends.xy[[0, 16], 0] = points[[0, 16], 0]
    decoded = map_decoder.decode(maps, ends)
    assert falls(decoded)
    assert np.linalg.norm(decoded.xy[:, 0] - points[:, 0], axis=-1).max() < 40


@pytest.mark.parametrize("levels", [-4, -3, -2, -1, 1, 2, 3, 4])
def test_a_click_several_levels_off_still_gives_a_spine(map_decoder: Decoder, ideal: Ideal, levels: int) -> None:
    points = curved_spine(step=22.0)
    fixed = FixedLandmarks.none()
    fixed.xy[8, 0] = points[8 + levels, 0]
    decoded = map_decoder.decode(ideal(points), fixed)
    assert falls(decoded)
    assert (decoded.xy[8, 0] == fixed.xy[8, 0]).all()


def test_what_is_not_fixed_keeps_the_score_of_the_network(decoder: Decoder, ideal: Ideal) -> None:
    points = curved_spine()
    fixed = FixedLandmarks.none()
    fixed.xy[6, 0] = (20.0, 20.0)
    fixed.xy[9, 1:] = points[9, 1:]
    scores = decoder.decode(ideal(points), fixed).scores
    np.testing.assert_allclose(scores[6], [1.0, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(scores[9], 1.0)


@pytest.mark.parametrize("is_fixed", [False, True])
def test_maps_of_no_spine_take_no_long_time(map_decoder: Decoder, is_fixed: bool) -> None:
    """Peaks everywhere with bodies of no size leave gaps of dozens of steps."""
    maps = noise_maps(0)
    maps = maps._replace(corner_offset=torch.zeros_like(maps.corner_offset))
    fixed = FixedLandmarks.none()
    if is_fixed:
        fixed.xy[6, 0] = (100.0, 200.0)
    begin = time.process_time()
    map_decoder.decode(maps, fixed)
    assert time.process_time() - begin < 0.5
