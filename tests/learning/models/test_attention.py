"""Self-attention over a feature map: places, start, what it sees."""

from __future__ import annotations

import math

import pytest
import torch

from lib.learning.models.attention import Context, ContextLayer, positions

CPU = torch.device("cpu")


def awake(layers: int = 1, channels: int = 8) -> Context:
    """A context in evaluation mode whose layers do something."""
    torch.manual_seed(0)
    context = Context(channels, layers).eval()
    with torch.no_grad():
        for parameter in context.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return context


@pytest.mark.parametrize(("channels", "height", "width"), [(4, 5, 3), (8, 64, 32), (72, 32, 16), (192, 64, 64)])
def test_every_place_has_a_position_of_its_own(channels: int, height: int, width: int) -> None:
    place = positions(channels, height, width, CPU)
    assert place.shape == (height * width, channels)
    assert place.abs().max() <= 1
    apart = torch.cdist(place, place) + 9 * torch.eye(len(place))
    assert apart.min() > 1e-3


def test_positions_by_hand() -> None:
    """Waves of 1 and 1 / 200 per cell: the cell at x = 1, y = 2 of a map that is three wide."""
    expected = [f(n * wave) for n in (2, 1) for f in (math.sin, math.cos) for wave in (1, 1 / 200)]
    assert positions(8, 3, 3, CPU)[2 * 3 + 1].tolist() == pytest.approx(expected)


def test_a_place_does_not_depend_on_the_size_of_the_map() -> None:
    small, large = positions(8, 3, 4, CPU).view(3, 4, 8), positions(8, 6, 9, CPU).view(6, 9, 8)
    torch.testing.assert_close(large[:3, :4], small)


@pytest.mark.parametrize("channels", [2, 18, 33])
def test_channels_that_are_no_multiple_of_four_are_refused(channels: int) -> None:
    with pytest.raises(ValueError, match=f"channels must be a multiple of 4, got {channels}"):
        positions(channels, 2, 2, CPU)


@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("is_training", [False, True], ids=["evaluating", "training"])
def test_at_first_nothing_changes(layers: int, is_training: bool) -> None:
    x = torch.randn(2, 8, 5, 3)
    before = x.clone()
    result = Context(8, layers).train(is_training)(x)
    torch.testing.assert_close(result, x)
    torch.testing.assert_close(x, before)


def test_without_layers_any_width_passes_and_nothing_is_stored() -> None:
    context = Context(18, 0)
    assert context(torch.zeros(1, 18, 2, 2)).shape == (1, 18, 2, 2)
    assert context.state_dict() == {}


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 7), (16, 8)])
def test_the_shape_is_kept_and_evaluation_repeats(height: int, width: int) -> None:
    context = awake(layers=2)
    x = torch.randn(3, 8, height, width)
    result = context(x)
    assert result.shape == x.shape
    assert torch.equal(context(x), result)
    torch.testing.assert_close(context(x[1:2]), result[1:2])  # images of a batch do not see each other


def test_training_drops_out() -> None:
    context = awake().train()
    x = torch.randn(1, 8, 4, 4)
    assert not torch.equal(context(x), context(x))


def test_tokens_may_come_in_any_order_as_long_as_their_places_come_along() -> None:
    layer = awake().layers[0]
    assert isinstance(layer, ContextLayer)
    tokens, place, order = torch.randn(2, 12, 8), positions(8, 4, 3, CPU), torch.randperm(12)
    torch.testing.assert_close(layer(tokens[:, order], place[order]), layer(tokens, place)[:, order])
    assert not torch.allclose(layer(tokens[:, order], place), layer(tokens, place)[:, order])


def test_every_cell_sees_every_cell() -> None:
    x = torch.randn(1, 8, 6, 4, requires_grad=True)
    awake()(x)[0, :, 0, 0].sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().sum(1) > 0).all()


def test_gradient_reaches_every_parameter_after_a_step() -> None:
    """The layers end in zeros, so that at first only these learn."""
    torch.manual_seed(0)
    context = Context(8, 2).eval()
    x, target = torch.randn(2, 2, 8, 4, 3).unbind()
    optimizer = torch.optim.SGD(context.parameters(), lr=0.1)
    (context(x) - target).square().mean().backward()
    first = {name for name, p in context.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert first == {n for n, _ in context.named_parameters() if ".out_proj." in n or ".dense.4." in n}
    optimizer.step()
    optimizer.zero_grad()
    (context(x) - target).square().mean().backward()
    without = [name for name, p in context.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_nobody_looks_at_what_is_ignored() -> None:
    """What lies there changes nothing elsewhere, and is as good as cut out."""
    layer = awake().layers[0]
    assert isinstance(layer, ContextLayer)
    tokens, place = torch.randn(2, 6, 8), positions(8, 3, 2, CPU)
    is_ignored = torch.zeros(2, 6, dtype=torch.bool)
    is_ignored[0, 1] = is_ignored[1, 3:] = True
    other = torch.where(is_ignored[..., None], 9.0, tokens)
    before, after = layer(tokens, place, is_ignored), layer(other, place, is_ignored)
    torch.testing.assert_close(after[~is_ignored], before[~is_ignored])
    assert not torch.allclose(layer(other, place)[~is_ignored], layer(tokens, place)[~is_ignored])
    torch.testing.assert_close(before[1:, :3], layer(tokens[1:, :3], place[:3]))


def test_ignoring_nothing_changes_nothing() -> None:
    layer = awake().layers[0]
    assert isinstance(layer, ContextLayer)
    tokens, place = torch.randn(2, 6, 8), positions(8, 3, 2, CPU)
    torch.testing.assert_close(layer(tokens, place, torch.zeros(2, 6, dtype=torch.bool)), layer(tokens, place))
