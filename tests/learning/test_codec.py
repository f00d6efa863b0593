"""The codec: landmarks to maps and back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from lib.learning.codec import ABSENT, PRESENT, UNNAMED, LandmarkCodec, mirror_maps
from lib.learning.config import CodecConfig
from lib.learning.network import Maps
from lib.spine.geometry import mirror_points

SIZE = (320, 128)
CODEC = LandmarkCodec(CodecConfig(sigma_cells=1.25, offset_radius_cells=1))


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Leaves the number of threads as it was."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def label(ladder: np.ndarray) -> torch.Tensor:
    """``(1, 17, 5, 3)`` straight spine, all points present, every center at the middle of a cell."""
    points = torch.tensor(ladder, dtype=torch.float32) + torch.tensor([-0.5, 1.5])
    return torch.cat([points, torch.full((17, 5, 1), PRESENT)], -1)[None]


@pytest.mark.parametrize("dy", np.linspace(-2, 2, 9))
def test_landmarks_survive_encoding_at_every_subpixel_shift(label: torch.Tensor, dy: float) -> None:
    """The offsets are exact, so that only single precision is lost: 0.001 px where 0.25 px are asked for."""
    shifts = np.linspace(-2, 2, 9)
    batch = label.repeat(len(shifts), 1, 1, 1)
    batch[..., 0] += torch.tensor(shifts, dtype=torch.float32)[:, None, None]
    batch[..., 1] += dy
    decoded = CODEC.decode(CODEC.encode(batch, SIZE).maps)
    torch.testing.assert_close(decoded.xy, batch[..., :2], atol=1e-3, rtol=0)
    torch.testing.assert_close(decoded.scores, torch.ones(len(shifts), 17))


def test_maps_by_hand(label: torch.Tensor) -> None:
    """The center pixel position of cell u is 4 (u + 0.5) - 0.5: (49.5, 21.5) is the middle of cell (12, 5)."""
    targets = CODEC.encode(label, SIZE)
    heatmap = targets.maps.heatmap[0, 0]
    assert heatmap.shape == (80, 32)
    assert heatmap[5, 12] == 1
    assert heatmap[5, 13].item() == pytest.approx(np.exp(-1 / (2 * 1.25**2)))
    assert heatmap[7, 12].item() == pytest.approx(np.exp(-4 / (2 * 1.25**2)))
    assert targets.maps.offset[0, :, 5, 12].tolist() == pytest.approx([0, 0], abs=1e-5)
    assert targets.maps.offset[0, :, 4, 13].tolist() == pytest.approx([-1, 1], abs=1e-5)
    assert targets.maps.corner_offset[0, :, 5, 12].tolist() == pytest.approx(
        [-2.5, -1.5, 2.5, -1.5, -2.5, 1.5, 2.5, 1.5], abs=1e-5
    )


def test_exactly_one_cell_of_every_channel_is_one(label: torch.Tensor) -> None:
    heatmap = CODEC.encode(label + torch.tensor([0.7, 1.1, 0]), SIZE).maps.heatmap
    assert ((heatmap == 1).flatten(2).sum(-1) == 1).all()
    assert heatmap.min() >= 0
    assert heatmap.max() == 1


def test_offsets_are_known_in_the_square_around_each_center(label: torch.Tensor) -> None:
    weight = CODEC.encode(label, SIZE).offset_weight
    assert weight.shape == (1, 1, 80, 32)
    assert weight.sum() == 17 * 9  # centers are four cells apart: nothing overlaps
    assert LandmarkCodec(CodecConfig(1.25, 0)).encode(label, SIZE).offset_weight.sum() == 17


@pytest.mark.parametrize(("dx", "dy"), [(-1, -1), (-1, 0), (0, 1), (1, 1)])
def test_a_peak_one_cell_off_leads_to_the_right_point(label: torch.Tensor, dx: int, dy: int) -> None:
    label = label + torch.tensor([0.7, -1.1, 0])
    maps = CODEC.encode(label, SIZE).maps
    moved = torch.roll(maps.heatmap, (dy, dx), dims=(2, 3))
    decoded = CODEC.decode(Maps(moved, maps.offset, maps.corner_offset))
    torch.testing.assert_close(decoded.xy, label[..., :2], atol=1e-3, rtol=0)


def test_an_absent_center_has_no_peak_and_no_offsets(label: torch.Tensor) -> None:
    everything = CODEC.encode(label, SIZE)
    label[0, 8] = torch.tensor([np.nan, np.nan, ABSENT])
    targets = CODEC.encode(label, SIZE)
    assert targets.maps.heatmap[0, 8].max() == 0
    assert targets.heatmap_weight[0, 8] == 1  # the network learns that it is not there
    assert targets.offset_weight.sum() == 16 * 9
    assert all(torch.isfinite(m).all() for m in targets.maps)
    others = [v for v in range(17) if v != 8]
    torch.testing.assert_close(targets.maps.heatmap[:, others], everything.maps.heatmap[:, others])
    assert CODEC.decode(targets.maps).scores[0, 8] == 0


def test_an_absent_corner_has_no_weight(label: torch.Tensor) -> None:
    label[0, 3, 2] = torch.tensor([np.nan, np.nan, ABSENT])  # T4 TR
    targets = CODEC.encode(label, SIZE)
    row, column = torch.nonzero(targets.maps.heatmap[0, 3] == 1)[0]
    assert targets.corner_weight[0, :, row, column].tolist() == [1, 1, 0, 0, 1, 1, 1, 1]
    assert targets.offset_weight[0, 0, row, column] == 1
    assert targets.corner_weight.sum() == 17 * 9 * 8 - 9 * 2
    assert torch.isfinite(targets.maps.corner_offset).all()


def test_unnamed_points_teach_offsets_but_no_name(label: torch.Tensor) -> None:
    named = CODEC.encode(label, SIZE)
    label[0, 5:, :, 2] = UNNAMED
    targets = CODEC.encode(label, SIZE)
    assert targets.heatmap_weight.flatten().tolist() == [1.0] * 5 + [0.0] * 12
    torch.testing.assert_close(targets.offset_weight, named.offset_weight)
    torch.testing.assert_close(targets.corner_weight, named.corner_weight)
    torch.testing.assert_close(targets.maps.offset, named.maps.offset)
    torch.testing.assert_close(targets.maps.corner_offset, named.maps.corner_offset)


@pytest.mark.parametrize(
    ("x", "y"), [(0.0, 0.0), (127.0, 0.0), (0.0, 319.0), (127.0, 319.0), (-0.4, 319.4), (1.5, 150.0)]
)
def test_centers_in_border_cells_are_kept(label: torch.Tensor, x: float, y: float) -> None:
    label[0, 16, :, :2] += torch.tensor([x, y]) - label[0, 16, 0, :2]
    decoded = CODEC.decode(CODEC.encode(label, SIZE).maps)
    torch.testing.assert_close(decoded.xy, label[..., :2], atol=1e-3, rtol=0)
    assert decoded.scores[0, 16] == 1


@pytest.mark.parametrize(("x", "y"), [(-2.0, 10.0), (129.0, 10.0), (10.0, -3.0), (10.0, 321.0), (-1e6, 1e6)])
def test_a_center_outside_the_input_has_no_peak(label: torch.Tensor, x: float, y: float) -> None:
    label[0, 16, :, :2] += torch.tensor([x, y]) - label[0, 16, 0, :2]
    targets = CODEC.encode(label, SIZE)
    assert targets.maps.heatmap[0, 16].max() == 0
    assert targets.offset_weight.sum() == 16 * 9


def test_corners_outside_the_input_are_still_learnt(label: torch.Tensor) -> None:
    label[..., 0] -= 48  # centers at x = 1.5, left corners at -8.5
    decoded = CODEC.decode(CODEC.encode(label, SIZE).maps)
    torch.testing.assert_close(decoded.xy, label[..., :2], atol=1e-3, rtol=0)


def test_where_squares_overlap_the_own_cell_wins() -> None:
    torch.manual_seed(0)
    label = torch.ones(1, 17, 5, 3)
    label[..., :2] = 32 + 4.0 * torch.arange(17)[:, None, None] + torch.rand(1, 17, 5, 2)  # one cell apart
    for radius in (1, 2):
        codec = LandmarkCodec(CodecConfig(1.25, radius))
        decoded = codec.decode(codec.encode(label, (128, 128)).maps)
        torch.testing.assert_close(decoded.xy, label[..., :2], atol=1e-3, rtol=0)


def test_overlapping_squares_are_no_race_between_threads() -> None:
    """Many images and two threads: which of two writes to one cell wins must not be left to chance."""
    torch.set_num_threads(2)
    torch.manual_seed(0)
    label = torch.ones(384, 17, 5, 3)
    label[..., :2] = 32 + 4.0 * torch.arange(17)[:, None, None] + torch.rand(384, 17, 5, 2)
    codec = LandmarkCodec(CodecConfig(1.25, 2))
    first = codec.encode(label, (128, 128))
    torch.testing.assert_close(codec.decode(first.maps).xy, label[..., :2], atol=1e-3, rtol=0)
    for _ in range(4):
        again = codec.encode(label, (128, 128))
        assert torch.equal(again.maps.offset, first.maps.offset)
        assert torch.equal(again.maps.corner_offset, first.maps.corner_offset)


def test_images_of_a_batch_do_not_mix(label: torch.Tensor) -> None:
    other = label + torch.tensor([11.3, 4.9, 0])
    both = CODEC.encode(torch.cat([label, other]), SIZE)
    for single, number in ((label, 0), (other, 1)):
        alone = CODEC.encode(single, SIZE)
        for a, b in zip(both.maps, alone.maps, strict=True):
            torch.testing.assert_close(a[number : number + 1], b)


def test_encoding_leaves_the_label_alone(label: torch.Tensor) -> None:
    label[0, 0] = np.nan
    before = label.clone()
    CODEC.encode(label, SIZE)
    torch.testing.assert_close(label, before, equal_nan=True)


def test_decoding_takes_the_highest_cell_and_its_score() -> None:
    heatmap = torch.zeros(1, 17, 10, 6)
    heatmap[:, :, 7, 2] = 0.6
    heatmap[:, :, 1, 4] = 0.5
    offset = torch.zeros(1, 2, 10, 6)
    offset[0, :, 7, 2] = torch.tensor([0.25, -0.5])
    corner_offset = torch.zeros(1, 8, 10, 6)
    corner_offset[0, :, 7, 2] = torch.arange(8.0)
    decoded = CODEC.decode(Maps(heatmap, offset, corner_offset))
    assert decoded.scores[0].tolist() == pytest.approx([0.6] * 17)
    center = (4 * 2.75 - 0.5, 4 * 7.0 - 0.5)
    assert decoded.xy[0, 4, 0].tolist() == pytest.approx(center)
    assert decoded.xy[0, 4, 2].tolist() == pytest.approx([center[0] + 4 * 2, center[1] + 4 * 3])


@pytest.mark.parametrize("shape", [(17, 5, 3), (1, 16, 5, 3), (1, 17, 4, 3), (1, 17, 5, 2)])
def test_a_label_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"label must have shape \(B, 17, 5, 3\), got"):
        CODEC.encode(torch.zeros(shape), SIZE)


def test_a_batch_of_eight_large_images_is_encoded_in_50_ms() -> None:
    """Least of several runs, in processor time of one thread, so that a busy machine does not count."""
    torch.manual_seed(0)
    label = torch.ones(8, 17, 5, 3)
    label[..., :2] = torch.rand(8, 17, 5, 2) * torch.tensor([512.0, 1024.0])
    seconds = []
    for _ in range(10):
        begin = time.thread_time()
        CODEC.encode(label, (1024, 512))
        seconds.append(time.thread_time() - begin)
    assert min(seconds) < 0.05


def test_mirrored_maps_are_the_maps_of_the_mirrored_points(ladder: np.ndarray) -> None:
    height, width = 320, 128
    label = np.concatenate([ladder + np.array([0.3, 0.7]), np.full((17, 5, 1), PRESENT)], -1)
    label[3, 2, :2] += 5  # no vertebra symmetric in itself
    plain = CODEC.encode(torch.from_numpy(label)[None], (height, width)).maps
    mirrored = CODEC.encode(torch.from_numpy(mirror_points(label, width))[None], (height, width)).maps
    for got, expected in zip(mirror_maps(plain), mirrored, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    for twice, once in zip(mirror_maps(mirror_maps(plain)), plain, strict=True):
        assert torch.equal(twice, once)
