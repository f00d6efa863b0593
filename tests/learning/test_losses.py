"""The losses: ideal, by hand, gradients, masks."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from lib.learning.codec import ABSENT, LandmarkCodec
from lib.learning.config import load_config
from lib.learning.losses import LandmarkCriterion, masked_l1_loss, penalty_reduced_focal_loss
from lib.learning.network import Maps

ALL = torch.ones(1, 1, 1, 1)


@pytest.fixture
def heatmaps() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and target ``(2, 3, 4, 5)`` in double precision, one center per channel."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=random)
    target = 0.9 * torch.rand(2, 3, 4, 5, dtype=torch.float64, generator=random)
    target[:, :, 1, 2] = 1.0
    return logits, target


def test_focal_loss_of_an_ideal_prediction_is_zero() -> None:
    target = torch.zeros(1, 2, 4, 4)
    target[:, :, 1, 1] = 1
    target[:, :, 1, 2] = 0.5
    logits = torch.where(target == 1, 100.0, -100.0)
    assert penalty_reduced_focal_loss(logits, target, ALL).item() == 0


def test_focal_loss_by_hand() -> None:
    """CornerNet eq. (1) with p = 1/2 at a center and p = 1/4 at a cell with target 1/2."""
    logits = torch.tensor([0.0, -math.log(3)]).reshape(1, 1, 1, 2)
    target = torch.tensor([1.0, 0.5]).reshape(1, 1, 1, 2)
    expected = -(0.5**2 * math.log(0.5) + 0.5**4 * 0.25**2 * math.log(0.75))
    assert penalty_reduced_focal_loss(logits, target, ALL).item() == pytest.approx(expected)
    cubed = -(0.5**3 * math.log(0.5) + 0.5**1 * 0.25**3 * math.log(0.75))
    assert penalty_reduced_focal_loss(logits, target, ALL, alpha=3, beta=1).item() == pytest.approx(cubed)


def test_focal_loss_is_per_center() -> None:
    logits = torch.zeros(1, 2, 1, 1)
    target = torch.ones(1, 2, 1, 1)
    expected = -(0.5**2) * math.log(0.5)
    assert penalty_reduced_focal_loss(logits, target, ALL).item() == pytest.approx(expected)
    assert penalty_reduced_focal_loss(logits[:, :1], target[:, :1], ALL).item() == pytest.approx(expected)


def test_focal_loss_without_a_center_is_the_sum_of_the_negatives() -> None:
    loss = penalty_reduced_focal_loss(torch.zeros(1, 1, 1, 3), torch.zeros(1, 1, 1, 3), ALL)
    assert loss.item() == pytest.approx(-3 * 0.25 * math.log(0.5))


def test_focal_loss_has_the_right_gradient(heatmaps: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = heatmaps
    weight = torch.tensor([1.0, 0, 1]).double().reshape(1, 3, 1, 1)
    assert torch.autograd.gradcheck(
        lambda x: penalty_reduced_focal_loss(x, target, weight), (logits.requires_grad_(True),)
    )


def test_a_masked_channel_equals_a_removed_one(heatmaps: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = heatmaps
    weight = torch.tensor([1.0, 0, 1]).double().reshape(1, 3, 1, 1)
    masked = penalty_reduced_focal_loss(logits, target, weight)
    removed = penalty_reduced_focal_loss(logits[:, [0, 2]], target[:, [0, 2]], ALL.double())
    torch.testing.assert_close(masked, removed)


@pytest.mark.parametrize("value", [-1e4, 1e4])
def test_focal_loss_stays_finite_at_extreme_logits(value: float) -> None:
    target = torch.zeros(1, 1, 2, 2)
    target[..., 0, 0] = 1
    logits = torch.full((1, 1, 2, 2), value, requires_grad=True)
    loss = penalty_reduced_focal_loss(logits, target, ALL)
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_l1_loss_by_hand() -> None:
    prediction, target = torch.tensor([1.0, 2, 3, 100]), torch.tensor([1.0, 0, 4, 0])
    assert masked_l1_loss(target, target, torch.ones(4)).item() == 0
    assert masked_l1_loss(prediction, target, torch.tensor([1.0, 1, 1, 0])).item() == pytest.approx(1.0)


def test_l1_loss_masked_equals_removed_and_has_the_right_gradient() -> None:
    random = torch.Generator().manual_seed(1)
    prediction, target = torch.randn(2, 4, 3, 3, 3, dtype=torch.float64, generator=random).unbind()
    weight = (torch.rand(4, 1, 3, 3, generator=random) > 0.5).double()
    kept = weight.expand_as(target) > 0
    masked = masked_l1_loss(prediction, target, weight)
    torch.testing.assert_close(masked, (prediction - target)[kept].abs().mean())
    assert torch.autograd.gradcheck(lambda x: masked_l1_loss(x, target, weight), (prediction.requires_grad_(True),))


def test_weights_broadcast_over_the_coordinates() -> None:
    """One weight per cell for two offset channels: the mean runs over both."""
    prediction = torch.tensor([3.0, 1.0]).reshape(1, 2, 1, 1)
    assert masked_l1_loss(prediction, torch.zeros(1, 2, 1, 1), torch.ones(1, 1, 1, 1)).item() == pytest.approx(2.0)


@pytest.mark.parametrize("loss", [penalty_reduced_focal_loss, masked_l1_loss])
def test_a_fully_masked_batch_gives_zero_with_a_gradient(loss: object) -> None:
    prediction = torch.randn(1, 2, 3, 3, requires_grad=True)
    target = torch.zeros(1, 2, 3, 3)
    target[..., 1, 1] = 1
    value = loss(prediction, target, torch.zeros(1, 1, 1, 1))  # type: ignore[operator]
    value.backward()
    assert value.item() == 0
    assert prediction.grad is not None
    assert (prediction.grad == 0).all()


@pytest.fixture
def criterion() -> LandmarkCriterion:
    """The criterion of ``model.yaml``."""
    config = load_config()
    return LandmarkCriterion(LandmarkCodec(config.codec), config.loss)


@pytest.fixture
def label(ladder: np.ndarray) -> torch.Tensor:
    """``(1, 17, 5, 3)`` straight spine."""
    return torch.cat([torch.tensor(ladder, dtype=torch.float32), torch.ones(17, 5, 1)], -1)[None]


def test_the_criterion_of_an_ideal_prediction_is_zero(criterion: LandmarkCriterion, label: torch.Tensor) -> None:
    maps = criterion.codec.encode(label, (320, 128)).maps
    logits = torch.where(maps.heatmap == 1, 100.0, -100.0)
    total, terms = criterion(Maps(logits, maps.offset, maps.corner_offset), label)
    assert total.item() == 0
    assert {name: term.item() for name, term in terms.items()} == {"heatmap": 0, "offset": 0, "corner": 0}


def test_the_criterion_is_the_weighted_sum_of_its_terms(label: torch.Tensor) -> None:
    config = load_config()
    loss = dataclasses.replace(config.loss, heatmap_weight=2.0, offset_weight=3.0, corner_weight=5.0)
    criterion = LandmarkCriterion(LandmarkCodec(config.codec), loss)
    maps = criterion.codec.encode(label, (320, 128)).maps
    logits = torch.where(maps.heatmap == 1, 100.0, -100.0)
    total, terms = criterion(Maps(logits, maps.offset + 0.5, maps.corner_offset - 0.25), label)
    assert (terms["offset"].item(), terms["corner"].item()) == (pytest.approx(0.5), pytest.approx(0.25))
    assert total.item() == pytest.approx(3 * 0.5 + 5 * 0.25)
    logits[:] = 0
    total, terms = criterion(Maps(logits, maps.offset, maps.corner_offset), label)
    assert terms["heatmap"] > 0
    assert total.item() == pytest.approx(2 * terms["heatmap"].item())


def test_an_image_without_a_spine_teaches_only_the_heatmap(criterion: LandmarkCriterion, label: torch.Tensor) -> None:
    label[:] = ABSENT
    maps = [torch.zeros(1, c, 80, 32, requires_grad=True) for c in (17, 2, 8)]
    total, terms = criterion(Maps(*maps), label)
    total.backward()
    assert terms["heatmap"] > 0
    assert terms["offset"].item() == terms["corner"].item() == 0
    assert all(m.grad is not None and torch.isfinite(m.grad).all() for m in maps)


def test_the_criterion_takes_half_precision_maps(criterion: LandmarkCriterion, label: torch.Tensor) -> None:
    maps = Maps(*(torch.zeros(1, c, 80, 32, dtype=torch.bfloat16) for c in (17, 2, 8)))
    total, _ = criterion(maps, label)
    assert total.dtype == torch.float32
