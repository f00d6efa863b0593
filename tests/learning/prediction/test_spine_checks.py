"""Two spines in one image, on maps made by hand."""

from __future__ import annotations

import numpy as np
import torch

from lib.learning.codec import PRESENT, LandmarkCodec
from lib.learning.config import CodecConfig, load_config
from lib.learning.decoders import FixedLandmarks, make_decoder
from lib.learning.models.landmark_net import Maps
from lib.learning.prediction.network_view import NetworkView
from lib.learning.prediction.spine_checks import cells_of_spine, is_second_spine, within
from lib.spine.chain_prior import DEFAULT_PRIOR

SIZE = (320, 320)


def maps_of(*spines: np.ndarray) -> Maps:
    """The ideal maps of several spines ``(V, P, 2)`` together, heatmap in 0...1."""
    codec = LandmarkCodec(CodecConfig(sigma_cells=1.25, offset_radius_cells=1))
    found = []
    for spine in spines:
        label = np.concatenate([spine, np.full((17, 5, 1), PRESENT)], -1)
        found.append(codec.encode(torch.from_numpy(label)[None], SIZE).maps)
    return Maps(*(torch.stack(parts).sum(0) for parts in zip(*found, strict=True)))


def centers_in_cells(spine: np.ndarray) -> np.ndarray:
    """``(V, 2)`` cells."""
    return (spine[:, 0] + 0.5) / 4 - 0.5


def test_a_second_spine_is_noticed_and_left_out(ladder: np.ndarray) -> None:
    other = ladder + np.array([180.0, 0])
    both, cells = maps_of(ladder, other), cells_of_spine(centers_in_cells(ladder), (80, 80))
    assert is_second_spine(both, cells)
    torch.testing.assert_close(within(both, cells).heatmap, maps_of(ladder).heatmap)
    assert not is_second_spine(maps_of(ladder), cells)
    assert not is_second_spine(within(both, cells), cells)


def test_a_network_without_names_is_not_asked(ladder: np.ndarray) -> None:
    both = maps_of(ladder, ladder + np.array([180.0, 0]))
    single = both._replace(heatmap=both.heatmap.amax(1, keepdim=True))
    assert not is_second_spine(single, cells_of_spine(centers_in_cells(ladder), (80, 80)))


def test_a_point_on_the_other_spine_is_not_covered_by_a_restricted_view(ladder: np.ndarray) -> None:
    cells = cells_of_spine(centers_in_cells(ladder), (80, 80))
    config = load_config().input.__class__(320, 320)
    points = FixedLandmarks.none()
    points.xy[3, 0], points.xy[4, 0] = ladder[3, 0], ladder[4, 0] + np.array([180.0, 0])
    whole, restricted = (NetworkView(maps_of(ladder), np.eye(3), 0.9, part) for part in (None, cells))
    assert whole.covers(points, config)[[3, 4], 0].tolist() == [True, True]
    assert restricted.covers(points, config)[[3, 4], 0].tolist() == [True, False]
    assert (whole.has_second_spine, restricted.has_second_spine) == (False, True)


def test_the_most_probable_spine_does_not_jump_to_another_one(ladder: np.ndarray) -> None:
    """L5 scores nothing on the first spine and highest on the second one: once the last step went there."""
    config = load_config()
    maps = maps_of(ladder, ladder + np.array([180.0, 0]))
    heatmap = maps.heatmap.clone()
    heatmap[:, :, :, 40:] *= 0.6
    heatmap[:, 16, :, :40] = 0.0
    heatmap[:, 16, :, 40:] /= 0.6
    decoder = make_decoder("map", LandmarkCodec(config.codec), DEFAULT_PRIOR, config.map)
    decoded = decoder.decode(maps._replace(heatmap=heatmap))
    assert np.abs(np.diff(decoded.xy[:, 0, 0])).max() < 16
