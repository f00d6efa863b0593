"""The backbone: shapes, exchange between branches, and that inputs are left alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lib.learning.models.hrnet import (
    PRESETS,
    STRIDE,
    Exchange,
    HRNet,
    HRNetConfig,
    Residual,
    SqueezeExcitation,
    Stage,
    StageConfig,
    Transition,
    Upsampled,
    basic_block,
    bottleneck,
    conv_norm,
    downsampling,
)

TINY = HRNetConfig(1, 4, (StageConfig(1, 1, (2, 4)), StageConfig(1, 1, (2, 4, 8)), StageConfig(1, 1, (2, 4, 8, 16))))


@pytest.mark.parametrize(("height", "width"), [(64, 32), (96, 160)])
def test_branches_have_strides_4_8_16_32(height: int, width: int) -> None:
    network = HRNet(TINY).eval()
    features = network(torch.zeros(2, 1, height, width))
    assert network.out_channels == (2, 4, 8, 16)
    assert [tuple(f.shape) for f in features] == [
        (2, channels, height // stride, width // stride)
        for channels, stride in zip((2, 4, 8, 16), (STRIDE, 8, 16, 32), strict=True)
    ]


@pytest.mark.parametrize(("preset", "w"), [("w18_small", 18), ("w18", 18), ("w32", 32), ("w48", 48)])
def test_presets_double_the_width_from_branch_to_branch(preset: str, w: int) -> None:
    config = PRESETS[preset]
    assert [stage.channels for stage in config.stages] == [(w, 2 * w), (w, 2 * w, 4 * w), (w, 2 * w, 4 * w, 8 * w)]


def test_presets_have_the_published_depths() -> None:
    """HRNet-W18, -W32, -W48: 1, 4, 3 modules of 4 blocks; HRNet-W18-Small-v2: 1, 3, 2 modules of 2 blocks."""
    depths = {n: (c.first_blocks, [(s.modules, s.blocks) for s in c.stages]) for n, c in PRESETS.items() if n != "tiny"}
    deep = 4, [(1, 4), (4, 4), (3, 4)]
    assert depths == {"w18_small": (2, [(1, 2), (3, 2), (2, 2)]), "w18": deep, "w32": deep, "w48": deep}


@pytest.mark.parametrize(("preset", "millions"), [("w18_small", 15.6), ("w18", 21.30), ("w32", 41.23), ("w48", 77.47)])
def test_backbones_have_as_many_parameters_as_published(preset: str, millions: float) -> None:
    """With the classification head that the published totals include, and three image channels.

    Totals: README of HRNet-Image-Classification (small), model zoo of MMClassification (others).
    """
    with torch.device("meta"):
        backbone = HRNet(PRESETS[preset], in_channels=3)
        head = nn.ModuleList(bottleneck(c, 32 * 2**i) for i, c in enumerate(backbone.out_channels))
        head.extend(nn.Conv2d(c, 2 * c, 3) for c in (128, 256, 512))
        head.extend(nn.BatchNorm2d(c) for c in (256, 512, 1024, 2048))
        head.extend([nn.Conv2d(1024, 2048, 1), nn.Linear(2048, 1000)])
    count = sum(p.numel() for part in (backbone, head) for p in part.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.005)


def test_a_backbone_can_take_several_channels() -> None:
    assert HRNet(TINY, in_channels=3).eval()(torch.zeros(1, 3, 32, 32))[0].shape == (1, 2, 8, 8)


@pytest.mark.parametrize(("kernel", "stride", "size"), [(1, 1, (7, 9)), (3, 1, (7, 9)), (3, 2, (4, 5))])
def test_conv_norm_keeps_the_size_divided_by_the_stride(kernel: int, stride: int, size: tuple[int, int]) -> None:
    assert conv_norm(2, 5, kernel, stride)(torch.zeros(2, 2, 7, 9)).shape == (2, 5, *size)


def test_conv_norm_ends_with_relu_unless_told_otherwise() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 8)
    assert conv_norm(3, 3, 3)(x).min() == 0
    assert conv_norm(3, 3, 3, act=False)(x).min() < 0


def test_a_residual_of_nothing_is_relu() -> None:
    body = nn.Sequential(nn.Conv2d(2, 2, 1, bias=False))
    nn.init.zeros_(body[0].weight)
    x = torch.tensor([-1.0, 2.0]).reshape(1, 2, 1, 1)
    before = x.clone()
    torch.testing.assert_close(Residual(body, 2, 2)(x).flatten(), torch.tensor([0.0, 2.0]))
    torch.testing.assert_close(x, before)


def test_blocks_widen_as_they_say() -> None:
    assert basic_block(6)(torch.zeros(2, 6, 4, 4)).shape == (2, 6, 4, 4)
    assert bottleneck(6, 3)(torch.zeros(2, 6, 4, 4)).shape == (2, 12, 4, 4)
    assert isinstance(bottleneck(12, 3).shortcut, nn.Identity)


def test_paths_between_branches_bring_size_and_width() -> None:
    assert Upsampled(8, 2)(torch.zeros(2, 8, 2, 3), (8, 12)).shape == (2, 2, 8, 12)
    assert downsampling(2, 8, 2)(torch.zeros(2, 2, 8, 12)).shape == (2, 8, 2, 3)


def test_an_exchange_lets_every_branch_see_every_branch() -> None:
    torch.manual_seed(0)
    exchange = Exchange((2, 4, 8)).eval()
    sizes = [(2, 8), (4, 4), (8, 2)]
    for target in range(3):
        branches = [torch.randn(1, c, s, s, requires_grad=True) for c, s in sizes]
        exchange(branches)[target].sum().backward()
        assert all(branch.grad is not None and branch.grad.abs().sum() > 0 for branch in branches)


def test_a_stage_leaves_the_callers_list_and_tensors_alone() -> None:
    torch.manual_seed(0)
    branches = [torch.randn(1, 2, 8, 8), torch.randn(1, 4, 4, 4)]
    before = [b.clone() for b in branches]
    given = list(branches)
    result = Stage(StageConfig(2, 1, (2, 4))).eval()(branches)
    assert all(a is b for a, b in zip(branches, given, strict=True))
    for a, b in zip(branches, before, strict=True):
        torch.testing.assert_close(a, b)
    assert [tuple(r.shape) for r in result] == [(1, 2, 8, 8), (1, 4, 4, 4)]


def test_a_transition_opens_a_branch_of_half_the_size() -> None:
    result = Transition((6, 4), (2, 4, 8))([torch.zeros(2, 6, 8, 8), torch.zeros(2, 4, 4, 4)])
    assert [tuple(r.shape) for r in result] == [(2, 2, 8, 8), (2, 4, 4, 4), (2, 8, 2, 2)]


def test_squeeze_and_excitation_by_hand() -> None:
    """Means 1 and 3: the squeezed sum is 4, the excitation 4 - 4 = 0 and -4 + 2: weights 1/2 and 1 / (1 + e^2)."""
    layer = SqueezeExcitation(2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.squeeze.weight[0] = 1.0
        layer.excite.weight[:, 0] = torch.tensor([1.0, -1.0])
        layer.excite.bias[:] = torch.tensor([-4.0, 2.0])
    x = torch.tensor([[0.0, 2.0], [3.0, 3.0]]).reshape(1, 2, 1, 2)
    expected = torch.tensor([[0.0, 1.0], [3 / (1 + math.exp(2))] * 2]).reshape(1, 2, 1, 2)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(("channels", "hidden"), [(18, 4), (64, 4), (144, 9), (256, 16)])
def test_squeeze_and_excitation_reduces_sixteenfold_but_not_to_nothing(channels: int, hidden: int) -> None:
    assert SqueezeExcitation(channels).squeeze.out_features == hidden


def test_squeeze_and_excitation_is_in_every_block_and_only_adds_tensors() -> None:
    plain, weighed = HRNet(TINY), HRNet(TINY, squeeze_excitation=True)
    blocks = sum(isinstance(module, Residual) for module in plain.modules())
    assert sum(isinstance(module, SqueezeExcitation) for module in weighed.modules()) == blocks
    shapes = {name: tensor.shape for name, tensor in weighed.state_dict().items()}
    added = [name for name in shapes if ".squeeze." in name or ".excite." in name]
    assert len(added) == 4 * blocks
    assert {n: s for n, s in shapes.items() if n not in added} == {n: t.shape for n, t in plain.state_dict().items()}
    assert [f.shape for f in weighed(torch.zeros(2, 1, 64, 32))] == [f.shape for f in plain(torch.zeros(2, 1, 64, 32))]


def test_context_is_what_enters_the_last_stage() -> None:
    torch.manual_seed(0)
    network = HRNet(TINY, context_layers=1).eval()
    seen = []
    network.context.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0].shape))
    image = torch.rand(2, 1, 64, 32)
    before = network(image)
    assert seen == [(2, 8, 4, 2)]  # stride 16
    with torch.no_grad():
        for parameter in network.context.parameters():
            parameter.normal_()
    assert all(not torch.equal(a, b) for a, b in zip(before, network(image), strict=True))


def test_context_only_adds_tensors_and_changes_nothing_at_first() -> None:
    torch.manual_seed(0)
    plain, aware = HRNet(TINY).eval(), HRNet(TINY, context_layers=2).eval()
    found = aware.load_state_dict(plain.state_dict(), strict=False)
    assert found.unexpected_keys == []
    assert all(name.startswith("context.layers.") for name in found.missing_keys)
    image = torch.rand(1, 1, 64, 32)
    for a, b in zip(plain(image), aware(image), strict=True):
        torch.testing.assert_close(a, b)
