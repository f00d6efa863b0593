"""The second network: cells, the mask, mirror images, gradients."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from lib.learning.config import CornerConfig
from lib.learning.models.corner_net import CachedTokens, CornerNet, CornerOutput, mirrored_output
from lib.spine.schema import CORNERS, POINTS

CONFIG = CornerConfig(16, 24, 8.0, 4, 1)
"""Patches of 24 x 16 px: 6 x 4 cells."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def awake(config: CornerConfig = CONFIG) -> CornerNet:
    """A network in evaluation mode in which nothing is zero that was so at first."""
    torch.manual_seed(0)
    network = CornerNet(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def patches(count: int = 2, config: CornerConfig = CONFIG) -> torch.Tensor:
    """``(count, 17, height, width)`` noise."""
    return torch.randn(count, 17, config.height, config.width, generator=torch.Generator().manual_seed(1))


class Constant(nn.Module):
    """Says the same about every patch, ``(channels, h, w)``."""

    def __init__(self, values: torch.Tensor) -> None:
        super().__init__()
        self.values = values

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The same for each."""
        assert features.shape[-2:] == self.values.shape[-2:]
        return self.values.expand(len(features), *self.values.shape)


@pytest.mark.parametrize(
    "config",
    [CONFIG, CornerConfig(80, 96, 32.0, 8, 2), dataclasses.replace(CONFIG, context_layers=0)],
    ids=["small", "usual patch", "without context"],
)
@pytest.mark.parametrize("is_training", [False, True], ids=["evaluating", "training"])
def test_every_patch_has_four_corners_and_five_errors(config: CornerConfig, is_training: bool) -> None:
    refined = CornerNet(config).train(is_training)(patches(2, config))
    assert refined.corners.shape == (2, 17, 4, 2)
    assert refined.log_errors.shape == (2, 17, 5)
    assert refined.corners.isfinite().all()
    limits = torch.tensor([config.width - 1, config.height - 1])
    assert ((refined.corners >= 0) & (refined.corners <= limits)).all()  # without offsets, a mean of cells


@pytest.mark.parametrize(("x", "y"), [(0, 0), (5, 0), (0, 3), (3, 2)])
def test_a_sure_cell_is_the_pixel_in_its_middle(x: int, y: int) -> None:
    """Cell 0 covers pixels 0 to 3, so that its middle lies at 1.5."""
    network = awake()
    heatmap = torch.zeros(4, 4, 6)
    heatmap[:, y, x] = 100.0
    network.heatmap, network.offset = Constant(heatmap), Constant(torch.zeros(8, 4, 6))  # type: ignore[assignment]
    corners = network(patches()).corners
    torch.testing.assert_close(corners, torch.tensor([4.0 * x + 1.5, 4 * y + 1.5]).expand(2, 17, 4, 2))


def test_every_corner_has_a_heatmap_and_an_offset_of_its_own() -> None:
    """Offsets are taken from the cells that the heatmap names."""
    network = awake()
    heatmap, offset = torch.zeros(4, 4, 6), torch.full((8, 4, 6), 1e3)
    for k, (x, y) in enumerate([(1, 0), (4, 0), (1, 3), (5, 2)]):
        heatmap[k, y, x] = 200.0
        offset[2 * k, y, x], offset[2 * k + 1, y, x] = 0.25 * k, -1.0 - k
    network.heatmap, network.offset = Constant(heatmap), Constant(offset)  # type: ignore[assignment]
    expected = torch.tensor([[5.5, 0.5], [17.75, -0.5], [6.0, 10.5], [22.25, 5.5]])
    torch.testing.assert_close(network(patches()).corners, expected.expand(2, 17, 4, 2))


def test_a_corner_is_the_mean_of_the_cells_that_it_may_lie_in() -> None:
    """Cells (1, 2) and (2, 2) three to one: x is 5.5 and 9.5, so 6.5."""
    network = awake()
    heatmap = torch.full((4, 4, 6), -100.0)
    heatmap[:, 2, 1], heatmap[:, 2, 2] = torch.tensor(3.0).log(), 0.0
    offset = torch.zeros(8, 4, 6)
    offset[0::2, 2, 1] = 1.0
    network.heatmap, network.offset = Constant(heatmap), Constant(offset)  # type: ignore[assignment]
    torch.testing.assert_close(network(patches()).corners, torch.tensor([6.5 + 0.75, 9.5]).expand(2, 17, 4, 2))


def test_what_is_in_a_patch_that_is_not_there_changes_no_other() -> None:
    network, seen = awake(), patches()
    is_there = torch.ones(2, 17, dtype=torch.bool)
    is_there[0, :3] = is_there[1, 9] = False
    other = torch.where(is_there[..., None, None], seen, 5.0 + 3 * patches().flip(0))
    with torch.inference_mode():
        before, after, unmasked = network(seen, is_there), network(other, is_there), network(other)
    for a, b, c in zip(before, after, unmasked, strict=True):
        torch.testing.assert_close(a[is_there], b[is_there])
        assert not torch.allclose(b[is_there], c[is_there], atol=1e-4)


def test_a_patch_that_is_there_changes_all_others_of_its_spine_only() -> None:
    network, seen = awake(), patches()
    other = seen.clone()
    other[0, 4] += 1.0 + other[0, 5]
    with torch.inference_mode():
        before, after = network(seen), network(other)
    changed = (before.corners != after.corners).flatten(2).any(-1)
    assert changed[0].all()
    assert not changed[1].any()


def test_without_a_mask_all_are_there() -> None:
    network, seen = awake(), patches()
    with torch.inference_mode():
        for a, b in zip(network(seen), network(seen, torch.ones(2, 17, dtype=torch.bool)), strict=True):
            torch.testing.assert_close(a, b)


def test_a_vertebra_looks_at_others_by_their_places() -> None:
    """Patches in another order are another spine; without context each is judged by itself."""
    order = torch.randperm(17, generator=torch.Generator().manual_seed(2))
    for layers, is_alone in ((1, False), (0, True)):
        network = awake(dataclasses.replace(CONFIG, context_layers=layers))
        with torch.inference_mode():
            mixed, plain = network(patches()[:, order]).corners, network(patches()).corners[:, order]
        assert torch.allclose(mixed, plain, atol=1e-5) == is_alone


def test_spines_of_a_batch_do_not_see_each_other_and_patches_stay_as_they_are() -> None:
    network, seen = awake(), patches()
    before = seen.clone()
    with torch.inference_mode():
        both, one = network(seen), network(seen[1:])
    torch.testing.assert_close(seen, before, rtol=0, atol=0)
    for a, b in zip(both, one, strict=True):
        torch.testing.assert_close(a[1:], b, atol=1e-5, rtol=1e-4)


def test_what_is_said_about_errors_teaches_nothing_but_its_own_layers() -> None:
    network = awake()
    network(patches()).log_errors.square().sum().backward()
    taught = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert taught == {name for name, _ in network.named_parameters() if name.startswith("error.")}


def test_corners_teach_everything_else() -> None:
    network = awake()
    network(patches()).corners.square().sum().backward()
    without = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    assert without == {name for name, _ in network.named_parameters() if name.startswith("error.")}


def test_what_is_said_about_errors_depends_on_the_patch() -> None:
    with torch.inference_mode():
        said = awake()(patches()).log_errors
    assert said.flatten(0, 1).std(0).min() > 1e-4


def test_vertebrae_are_seen_amid_what_was_seen_of_the_others() -> None:
    """Three of 17, moved to other names together with all the rest, as if all had been looked at at once."""
    network, views = awake(), patches()
    order = [*range(1, 17), 0]
    which = torch.tensor([2, 3, 16])
    with torch.inference_mode():
        _, tokens = network.among(views)
        whole, again = network.among(views[:, order])
        spoiled = tokens[:, order]
        spoiled[:, which] = 7.0
        some, known = network.among(views[:, order][:, which], CachedTokens(spoiled, which))
    torch.testing.assert_close(known, again)
    assert (spoiled[:, which] == 7.0).all()
    for a, b in zip(some, whole, strict=True):
        torch.testing.assert_close(a, b[:, which], atol=1e-4, rtol=1e-4)
    for a, b in zip(whole, network(views[:, order]), strict=True):
        torch.testing.assert_close(a, b)


def test_half_precision_keeps_places_exact() -> None:
    """Pixels up to 100 have no room for fractions in bfloat16, so the means are taken in single precision."""
    network, seen = awake(), patches()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        half = network(seen, torch.ones(2, 17, dtype=torch.bool))
    with torch.inference_mode():
        full = network(seen)
    for a, b in zip(half, full, strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b, atol=0.3, rtol=0.1)
    assert (half.corners != half.corners.bfloat16().float()).any()


def test_stored_weights_do_not_depend_on_the_size_of_the_patches() -> None:
    small, large = CornerNet(CONFIG), CornerNet(dataclasses.replace(CONFIG, height=80, width=96, step=32.0))
    large.load_state_dict(small.state_dict())
    assert not any("cells" in name for name in small.state_dict())


def test_mirrored_corners_by_hand() -> None:
    """In a patch of 24 px, x = 2 becomes 21; what was said about the left now counts for the right."""
    corners = torch.tensor([[2.0, 1], [20, 2], [3, 9], [19, 10]])  # TL, TR, BL, BR
    errors = torch.tensor([0.1, 1, 2, 3, 4])  # center, TL, TR, BL, BR
    result = mirrored_output(CornerOutput(corners[None, None], errors[None, None]), 24)
    assert CORNERS == ("TL", "TR", "BL", "BR")
    assert POINTS[0] == "center"
    expected = torch.tensor([[3.0, 2], [21, 1], [4, 10], [20, 9]])
    torch.testing.assert_close(result.corners[0, 0], expected)
    torch.testing.assert_close(result.log_errors[0, 0], torch.tensor([0.1, 2, 1, 4, 3]))


def test_mirroring_twice_changes_nothing() -> None:
    refined = CornerOutput(24 * torch.rand(2, 17, 4, 2), torch.randn(2, 17, 5))
    copy = CornerOutput(*(part.clone() for part in refined))
    back = mirrored_output(mirrored_output(refined, 24), 24)
    for a, b, c in zip(back, refined, copy, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)
        assert torch.equal(b, c)
