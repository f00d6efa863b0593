"""The codec: landmarks to maps and back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from lib.learning.codec import ABSENT, PRESENT, UNKNOWN, UNNAMED, LandmarkCodec, is_placed, mirror_maps, peaks
from lib.learning.config import CodecConfig, load_config
from lib.learning.models.landmark_net import Maps
from lib.learning.training.criterion import LandmarkCriterion
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


@pytest.mark.parametrize("first", [0, 5, 16])
def test_unnamed_points_teach_offsets_but_no_name(label: torch.Tensor, first: int) -> None:
    """Where one name is in doubt, all names of the image are."""
    named = CODEC.encode(label, SIZE)
    label[0, first:, :, 2] = UNNAMED
    targets = CODEC.encode(torch.cat([label, label.clamp(max=PRESENT)]), SIZE)
    assert targets.heatmap_weight.shape == (2, 17, 1, 1)
    assert targets.heatmap_weight.flatten(1).tolist() == [[0.0] * 17, [1.0] * 17]
    targets = CODEC.encode(label, SIZE)
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


def test_the_rows_where_an_unnamed_spine_may_go_on_say_nothing(label: torch.Tensor) -> None:
    """Centers every 4 cells in rows 5 to 69; unknown are 2 to 10 cells beyond either end, both excluded."""
    label[..., 2] = UNNAMED
    unnamed = CODEC.encode(torch.cat([label, label.clamp(max=PRESENT)]), SIZE).unnamed_weight
    assert unnamed.shape == (2, 1, 80, 32)
    expected = torch.ones(80)
    expected[0:3] = 0  # row 3 lies half a step above
    expected[72:79] = 0  # row 71 lies half a step below, row 79 two and a half
    torch.testing.assert_close(unnamed[0, 0], expected[:, None].expand(-1, 32))
    assert (unnamed[1] == 0).all()


def test_absent_vertebrae_make_an_unnamed_spine_shorter(label: torch.Tensor) -> None:
    label[..., 2] = UNNAMED
    label[0, 6:, :, 2] = ABSENT  # rows 5 to 25 are left
    rows = CODEC.encode(label, SIZE).unnamed_weight[0, 0, :, 0]
    assert torch.nonzero(rows == 0).flatten().tolist() == [0, 1, 2, *range(28, 35)]


@pytest.mark.parametrize("state", [PRESENT, ABSENT])
def test_named_images_and_images_without_a_spine_have_no_unnamed_weight(label: torch.Tensor, state: float) -> None:
    label[..., 2] = state
    targets = CODEC.encode(label, SIZE)
    assert (targets.unnamed_weight == 0).all()
    assert (targets.heatmap_weight == 1).all()


def test_a_single_unnamed_vertebra_is_enough(label: torch.Tensor) -> None:
    """Its height is unknown; a cell stands for the step."""
    label[..., 2] = ABSENT
    label[0, 0, :, 2] = UNNAMED
    rows = CODEC.encode(label, SIZE).unnamed_weight[0, 0, :, 0]
    assert torch.nonzero(rows == 0).flatten().tolist() == [3, 4, 6, 7]


def test_points_are_placed_with_or_without_a_name_only() -> None:
    states = torch.tensor([ABSENT, PRESENT, UNNAMED, UNKNOWN, torch.nan])
    assert is_placed(states).tolist() == [False, True, True, False, False]


UNKNOWN_POINTS = {"at 0": (0.0, 0.0), "at a plausible place": (49.5, 149.5), "nowhere": (np.nan, np.nan)}


@pytest.mark.parametrize("at", UNKNOWN_POINTS.values(), ids=UNKNOWN_POINTS.keys())
def test_an_unknown_vertebra_teaches_its_channel_nothing(label: torch.Tensor, at: tuple[float, float]) -> None:
    """Unlike an absent one: the network may find it or not. All others learn as if it were not spoken of."""
    absent = label.clone()
    absent[0, :2, :, 2] = ABSENT
    label[0, :2] = torch.tensor([*at, UNKNOWN])
    unknown, expected = CODEC.encode(label, SIZE), CODEC.encode(absent, SIZE)
    assert unknown.heatmap_weight.flatten().tolist() == [0.0] * 2 + [1.0] * 15
    assert expected.heatmap_weight.flatten().tolist() == [1.0] * 17
    assert (unknown.unnamed_weight == 0).all()
    for got, wanted in zip((*unknown.maps, *unknown[2:]), (*expected.maps, *expected[2:]), strict=True):
        torch.testing.assert_close(got, wanted)
    assert unknown.offset_weight.sum() == 15 * 9
    assert unknown.corner_weight.sum() == 15 * 9 * 8


def test_unknown_corners_of_a_known_center_are_not_learnt(label: torch.Tensor) -> None:
    label[0, 3, 1:] = torch.tensor([0.0, 0.0, UNKNOWN])
    targets = CODEC.encode(label, SIZE)
    assert (targets.heatmap_weight == 1).all()
    assert targets.offset_weight.sum() == 17 * 9
    assert targets.corner_weight.sum() == 16 * 9 * 8


def test_whatever_is_said_where_a_vertebra_is_unknown_costs_nothing(label: torch.Tensor) -> None:
    """By the losses: neither a peak in its channel nor none, unlike in the channel of an absent one."""
    label[0, 0] = torch.tensor([0.0, 0.0, UNKNOWN])
    label[0, 1] = torch.tensor([0.0, 0.0, ABSENT])
    criterion = LandmarkCriterion(CODEC, load_config().loss)
    targets = CODEC.encode(label, SIZE)
    quiet = Maps(torch.logit(targets.maps.heatmap, 1e-4), targets.maps.offset, targets.maps.corner_offset)
    losses = []
    for vertebra in (None, 0, 1):
        heatmap = quiet.heatmap.clone()
        if vertebra is not None:
            heatmap[0, vertebra, 2, 12] = 5.0
        terms = criterion.terms(quiet._replace(heatmap=heatmap), targets)
        losses.append({name: term.item() for name, term in terms.items()})
    assert losses[1] == losses[0]
    assert losses[2]["heatmap"] > losses[0]["heatmap"] + 0.1


def test_images_with_and_without_unknown_vertebrae_do_not_mix(label: torch.Tensor) -> None:
    other = label.clone()
    other[0, 12:, :, 2] = UNKNOWN
    weight = CODEC.encode(torch.cat([label, other]), SIZE).heatmap_weight.flatten(1)
    assert weight.tolist() == [[1.0] * 17, [1.0] * 12 + [0.0] * 5]
    rows = CODEC.encode(torch.cat([label, other]), SIZE, channels=1).heatmap_weight[:, 0, :, 0]
    assert (rows[0] == 1).all()
    assert (rows[1] == 0).any()


def test_where_names_are_in_doubt_unknown_vertebrae_change_nothing(label: torch.Tensor) -> None:
    """Rows 5 to 25 are labelled, as in the test of absent vertebrae."""
    label[..., 2] = UNNAMED
    label[0, 6:, :, 2] = UNKNOWN
    targets = CODEC.encode(label, SIZE)
    assert (targets.heatmap_weight == 0).all()
    rows = targets.unnamed_weight[0, 0, :, 0]
    assert torch.nonzero(rows == 0).flatten().tolist() == [0, 1, 2, *range(28, 35)]


def test_a_single_heatmap_learns_nothing_where_unknown_vertebrae_may_lie(label: torch.Tensor) -> None:
    """T3 to L3 in rows 13 to 61: of the rows 0.5 to 2.5 steps beyond nothing is known, of others that none lies there.

    An absent vertebra at the end says that the spine ends there.
    """
    label[0, :2] = torch.tensor([0.0, 0.0, UNKNOWN])
    label[0, 15:] = torch.tensor([np.nan, np.nan, UNKNOWN])
    one = CODEC.encode(label, SIZE, channels=1)
    assert one.heatmap_weight.shape == (1, 1, 80, 32)
    expected = torch.ones(80)
    expected[4:11] = 0  # row 11 lies half a step above, row 3 two and a half
    expected[64:71] = 0
    torch.testing.assert_close(one.heatmap_weight[0, 0], expected[:, None].expand(-1, 32))
    assert (one.maps.heatmap == 1).sum() == 13
    assert (one.unnamed_weight == 0).all()
    assert one.offset_weight.sum() == 13 * 9
    label[..., 2] = torch.where(label[..., 2] == UNKNOWN, ABSENT, label[..., 2])
    assert (CODEC.encode(label, SIZE, channels=1).heatmap_weight == 1).all()


@pytest.mark.parametrize("channels", [1, 17])
def test_an_image_of_which_nothing_is_known_teaches_nothing(label: torch.Tensor, channels: int) -> None:
    label[..., 2] = UNKNOWN
    targets = CODEC.encode(label, SIZE, channels)
    assert targets.maps.heatmap.max() == 0
    for weight in targets[1:]:
        assert (weight == 0).all()


def test_a_single_heatmap_holds_all_centers(label: torch.Tensor) -> None:
    many, one = CODEC.encode(label, SIZE), CODEC.encode(label, SIZE, channels=1)
    assert one.maps.heatmap.shape == (1, 1, 80, 32)
    torch.testing.assert_close(one.maps.heatmap[:, 0], many.maps.heatmap.amax(1))
    assert (one.maps.heatmap == 1).sum() == 17
    assert (one.heatmap_weight == 1).all()
    assert (one.unnamed_weight == 0).all()
    for a, b in zip((*one.maps[1:], *one[3:]), (*many.maps[1:], *many[3:]), strict=True):
        torch.testing.assert_close(a, b)


def test_a_single_heatmap_learns_from_unnamed_centers_where_they_are_known(label: torch.Tensor) -> None:
    label[..., 2] = UNNAMED
    many, one = CODEC.encode(label, SIZE), CODEC.encode(label, SIZE, channels=1)
    assert (one.maps.heatmap == 1).sum() == 17
    torch.testing.assert_close(one.heatmap_weight, many.unnamed_weight)
    assert (one.unnamed_weight == 0).all()


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.7, -1.1), (-1.3, 1.9)])
def test_landmarks_survive_a_single_heatmap(label: torch.Tensor, shift: tuple[float, float]) -> None:
    label[..., 0] += torch.linspace(-20, 25, 17)[:, None]  # no straight line
    label = label + torch.tensor([*shift, 0])
    decoded = CODEC.decode(CODEC.encode(label, SIZE, channels=1).maps)
    torch.testing.assert_close(decoded.xy, label[..., :2], atol=1e-3, rtol=0)
    torch.testing.assert_close(decoded.scores, torch.ones(1, 17))


def test_peaks_of_a_single_heatmap_are_the_highest_maxima_from_top_to_bottom() -> None:
    """20 maxima with three low ones among them, a higher cell beside one, in no order of height."""
    heatmap = torch.zeros(2, 1, 60, 12)
    scores = torch.tensor([0.9, 0.1, 0.8, *[0.5 + 0.01 * n for n in range(15)], 0.2, 0.05])
    rows, columns = 2 + 3 * torch.arange(20), 1 + (5 * torch.arange(20)) % 10
    heatmap[0, 0, rows, columns] = scores
    heatmap[0, 0, rows[0], columns[0] + 1] = 0.89  # suppressed by its neighbour
    heatmap[1] = heatmap[0].flip(-2)
    found, index = peaks(heatmap)
    kept = [n for n in range(20) if n not in (1, 18, 19)]
    assert found.shape == index.shape == (2, 17)
    assert index[0].tolist() == [int(rows[n] * 12 + columns[n]) for n in kept]
    assert found[0].tolist() == pytest.approx(scores[kept].tolist())
    assert found[1].tolist() == pytest.approx(scores[kept].flip(0).tolist())


def test_equal_neighbours_are_one_peak() -> None:
    heatmap = torch.zeros(1, 1, 20, 8)
    heatmap[0, 0, 4, 2:5] = 0.75
    heatmap[0, 0, 10:12, 3] = 0.5
    found, index = peaks(heatmap)
    assert sorted(found[0].tolist(), reverse=True)[:3] == [0.75, 0.5, 0.0]
    assert {4 * 8 + 2, 10 * 8 + 3} <= set(index[0].tolist())


def test_too_few_peaks_leave_the_rest_with_score_zero(label: torch.Tensor) -> None:
    label[0, 3:, :, 2] = ABSENT
    decoded = CODEC.decode(CODEC.encode(label, SIZE, channels=1).maps)
    assert decoded.xy.shape == (1, 17, 5, 2)
    assert torch.isfinite(decoded.xy).all()
    assert (decoded.scores == 1).sum() == 3
    assert (decoded.scores == 0).sum() == 14


def test_peaks_of_many_channels_are_those_of_each() -> None:
    heatmap = torch.zeros(1, 17, 10, 6)
    heatmap[0, torch.arange(17), torch.arange(17) % 10, torch.arange(17) % 6] = torch.linspace(0.1, 0.9, 17)
    scores, index = peaks(heatmap)
    assert index[0].tolist() == [6 * (n % 10) + n % 6 for n in range(17)]
    assert scores[0].tolist() == pytest.approx(torch.linspace(0.1, 0.9, 17).tolist())


@pytest.mark.parametrize("channels", [0, 2, 16, 18])
def test_another_number_of_heatmaps_is_refused(label: torch.Tensor, channels: int) -> None:
    with pytest.raises(ValueError, match=f"channels must be 1 or 17, got {channels}"):
        CODEC.encode(label, SIZE, channels)


def test_a_single_heatmap_is_mirrored_like_many(label: torch.Tensor) -> None:
    plain = CODEC.encode(label, SIZE, channels=1).maps
    torch.testing.assert_close(mirror_maps(plain).heatmap, plain.heatmap.flip(-1))
