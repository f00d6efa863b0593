"""The losses: ideal, by hand, gradients, masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lib.learning.training.losses import (
    anatomy_constraint_loss,
    masked_l1_loss,
    penalty_reduced_focal_loss,
    soft_argmax,
    unnamed_focal_loss,
)

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


@pytest.mark.parametrize("loss", [penalty_reduced_focal_loss, unnamed_focal_loss, masked_l1_loss])
def test_a_fully_masked_batch_gives_zero_with_a_gradient(loss: object) -> None:
    prediction = torch.randn(1, 2, 3, 3, requires_grad=True)
    target = torch.zeros(1, 2, 3, 3)
    target[..., 1, 1] = 1
    value = loss(prediction, target, torch.zeros(1, 1, 1, 1))  # type: ignore[operator]
    value.backward()
    assert value.item() == 0
    assert prediction.grad is not None
    assert (prediction.grad == 0).all()


def unnamed_by_hand(logits: torch.Tensor, target: torch.Tensor) -> float:
    """The same formula cell by cell: p = 1 - prod(1 - p_v), t = max t_v."""
    total = 0.0
    b, _, h, w = logits.shape
    for n, y, x in np.ndindex(b, h, w):
        p = 1 - math.prod(1 - 1 / (1 + math.exp(-z)) for z in logits[n, :, y, x].tolist())
        t = target[n, :, y, x].max().item()
        total -= (1 - p) ** 2 * math.log(p) if t == 1 else (1 - t) ** 4 * p**2 * math.log(1 - p)
    return total


def test_unnamed_loss_by_hand(heatmaps: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Two centers in different channels, one image with none; and two channels of 1/2 join to 3/4."""
    logits, target = heatmaps
    target[target == 1] = 0
    target[0, 1, 1, 2] = target[0, 2, 3, 0] = 1
    loss = unnamed_focal_loss(logits, target, ALL.double())
    assert loss.item() == pytest.approx(unnamed_by_hand(logits, target) / 2)
    center = torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1)
    expected = -(0.25**2) * math.log(0.75)
    assert unnamed_focal_loss(torch.zeros(1, 2, 1, 1), center, ALL).item() == pytest.approx(expected)
    expected = -(0.25**3) * math.log(0.75)
    assert unnamed_focal_loss(torch.zeros(1, 2, 1, 1), center, ALL, alpha=3).item() == pytest.approx(expected)


def test_unnamed_loss_of_one_channel_is_the_named_one(heatmaps: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = (t[:, :1] for t in heatmaps)
    torch.testing.assert_close(
        unnamed_focal_loss(logits, target, ALL.double()), penalty_reduced_focal_loss(logits, target, ALL.double())
    )


def test_any_channel_may_answer_for_an_unnamed_center(heatmaps: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = heatmaps
    loss = unnamed_focal_loss(logits, target, ALL.double())
    torch.testing.assert_close(unnamed_focal_loss(logits[:, [2, 0, 1]], target, ALL.double()), loss)
    torch.testing.assert_close(unnamed_focal_loss(logits, target[:, [1, 2, 0]], ALL.double()), loss)
    peak = torch.full((1, 3, 2, 2), -30.0)
    here = torch.zeros(1, 3, 2, 2)
    here[0, 0, 1, 1] = 1
    missed = unnamed_focal_loss(peak, here, ALL).item()
    for channel in range(3):
        answered = peak.clone()
        answered[0, channel, 1, 1] = 30.0
        assert unnamed_focal_loss(answered, here, ALL).item() == pytest.approx(0, abs=1e-6)
    assert missed > 10


def test_unnamed_cells_without_weight_do_not_count(heatmaps: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = heatmaps
    weight = torch.ones(2, 1, 4, 5, dtype=torch.float64)
    weight[:, :, :, 3:] = 0
    masked = unnamed_focal_loss(logits, target, weight)
    torch.testing.assert_close(masked, unnamed_focal_loss(logits[..., :3], target[..., :3], ALL.double()))


def test_unnamed_loss_has_the_right_gradient(heatmaps: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = heatmaps
    weight = torch.ones(2, 1, 4, 5, dtype=torch.float64)
    weight[1, 0, 2:] = 0
    assert torch.autograd.gradcheck(lambda x: unnamed_focal_loss(x, target, weight), (logits.requires_grad_(True),))


@pytest.mark.parametrize("value", [-1e4, -20.0, 20.0, 1e4])
def test_unnamed_loss_stays_finite_at_extreme_logits(value: float) -> None:
    target = torch.zeros(1, 17, 2, 2)
    target[:, 3, 0, 0] = 1
    logits = torch.full((1, 17, 2, 2), value, requires_grad=True)
    loss = unnamed_focal_loss(logits, target, ALL)
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_soft_argmax_of_a_sharp_peak_is_its_cell_plus_the_offset_there() -> None:
    logits = torch.zeros(2, 3, 6, 9)
    places = torch.tensor([[[0, 0], [8, 5], [3, 4]], [[1, 2], [7, 0], [0, 5]]])  # x, y
    offset = torch.randn(2, 2, 6, 9)
    expected = places.float()
    for n, v in np.ndindex(2, 3):
        x, y = places[n, v].tolist()
        logits[n, v, y, x] = 200.0
        expected[n, v] += offset[n, :, y, x]
    torch.testing.assert_close(soft_argmax(logits, torch.zeros_like(offset)), places.float())
    torch.testing.assert_close(soft_argmax(logits, offset), expected)


def test_soft_argmax_is_the_mean_place() -> None:
    """Even logits: the middle of the map. Log shares 1/4 and 3/4 at x = 0 and 2, offsets 0.5 and -0.5 there."""
    middle = soft_argmax(torch.zeros(1, 1, 5, 7), torch.zeros(1, 2, 5, 7))
    torch.testing.assert_close(middle, torch.tensor([[[3.0, 2.0]]]))
    logits = torch.tensor([math.log(0.25), -300, math.log(0.75)]).reshape(1, 1, 1, 3)
    offset = torch.stack([torch.tensor([0.5, 9, -0.5]), torch.full((3,), 0.25)]).reshape(1, 2, 1, 3)
    expected = 0.25 * 0.5 + 0.75 * 1.5
    assert soft_argmax(logits, offset).flatten().tolist() == pytest.approx([expected, 0.25])


@pytest.mark.parametrize("sharpness", [1.0, 2.0])
def test_soft_argmax_of_a_faint_background_by_hand(sharpness: float) -> None:
    """A peak of logit 0 in the corner, e^-10 everywhere else: with sharpness 2 next to nothing is left of it."""
    logits = torch.full((1, 1, 100, 100), -10.0, dtype=torch.float64)
    logits[..., 0, 0] = 0
    share = math.exp(-10 * sharpness)
    expected = share * 49.5 * 10_000 / (1 + share * 9_999)
    found = soft_argmax(logits, torch.zeros(1, 2, 100, 100, dtype=torch.float64), sharpness)
    assert found.flatten().tolist() == pytest.approx([expected, expected])
    assert (expected < 0.01) == (sharpness == 2)


def test_soft_argmax_has_the_right_gradient(heatmaps: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, _ = heatmaps
    offset = torch.randn(2, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(soft_argmax, (logits.requires_grad_(True), offset))


def bent(*residual: float) -> torch.Tensor:
    """``(1, 5, 2)`` centers every 4 cells down, the third one moved sideways; all have weight."""
    centers = torch.zeros(1, 5, 2, dtype=torch.float64)
    centers[0, :, 1] = 4.0 * torch.arange(5)
    centers[0, 2, 0] = residual[0] if residual else 0.0
    return centers


EVERY = torch.ones(1, 5, dtype=torch.float64)


@pytest.mark.parametrize("turn", [0.0, 0.7])
def test_equally_spaced_straight_centers_obey_the_anatomy(turn: float) -> None:
    """But for 1e-4 cells that keep the gradient finite, 4 cells being a step."""
    centers = bent() @ torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]).double() + 3
    assert anatomy_constraint_loss(centers, EVERY).item() == pytest.approx(1e-4 / 4, rel=1e-3)
    assert anatomy_constraint_loss(centers, EVERY, hinge=0.01).item() == 0


def test_anatomy_loss_by_hand() -> None:
    """The third center 3 cells aside: steps of 4, 5, 5, 4 cells, residuals of 1.5, 3, 1.5 cells."""
    plain = (1.5 + 3 + 1.5) / 4.5 / 3
    assert anatomy_constraint_loss(bent(3.0), EVERY).item() == pytest.approx(plain, rel=1e-6)
    hinged = ((1.5 / 4.5 - 0.2) * 2 + 3 / 4.5 - 0.2) / 3
    assert anatomy_constraint_loss(bent(3.0), EVERY, hinge=0.2).item() == pytest.approx(hinged, rel=1e-6)


def test_unequal_steps_break_the_anatomy_too() -> None:
    """Steps of 2 and 6 cells: the middle center is 2 cells from the middle of its neighbours, half a step."""
    centers = torch.tensor([[[0.0, 0], [0, 2], [0, 8]]])
    assert anatomy_constraint_loss(centers, torch.ones(1, 3)).item() == pytest.approx(0.5)


def test_the_hinge_frees_small_residuals_and_their_gradient() -> None:
    centers = bent(0.4).requires_grad_(True)  # a tenth of a step
    anatomy_constraint_loss(centers, EVERY, hinge=0.15).backward()
    assert centers.grad is not None
    assert (centers.grad == 0).all()
    anatomy_constraint_loss(centers, EVERY).backward()
    assert centers.grad[0, 2, 0] > 0  # the sum falls when it moves back


def test_absent_centers_do_not_count() -> None:
    wild = torch.cat([bent(3.0), torch.full((1, 2, 2), 1e3, dtype=torch.float64)], 1)
    weight = torch.cat([EVERY, torch.zeros(1, 2, dtype=torch.float64)], 1)
    torch.testing.assert_close(anatomy_constraint_loss(wild, weight), anatomy_constraint_loss(bent(3.0), EVERY))
    gap = EVERY.clone()
    gap[0, 2] = 0  # no triplet is left
    centers = bent(3.0).requires_grad_(True)
    loss = anatomy_constraint_loss(centers, gap)
    loss.backward()
    assert loss.item() == 0
    assert centers.grad is not None
    assert (centers.grad == 0).all()


def test_anatomy_does_not_depend_on_place_size_or_mirror() -> None:
    centers = bent(1.7)
    loss = anatomy_constraint_loss(centers, EVERY)
    mirror = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    for changed in (centers + torch.tensor([100.0, -7.0]), 3 * centers, centers * mirror, centers.flip(1)):
        torch.testing.assert_close(anatomy_constraint_loss(changed, EVERY), loss, rtol=1e-6, atol=0)


def test_anatomy_is_the_mean_over_triplets_of_all_images() -> None:
    two = torch.cat([bent(3.0), bent()])
    weight = torch.cat([EVERY, EVERY])
    mean = (anatomy_constraint_loss(bent(3.0), EVERY) + anatomy_constraint_loss(bent(), EVERY)) / 2
    torch.testing.assert_close(anatomy_constraint_loss(two, weight), mean)


def test_anatomy_loss_pulls_towards_the_middle_and_stays_finite_at_one_point() -> None:
    """The step is a yardstick without gradient: spreading the spine must not pay."""
    centers = bent(3.0).requires_grad_(True)
    anatomy_constraint_loss(centers, EVERY).backward()
    assert centers.grad is not None
    torch.testing.assert_close(centers.grad[0, :, 1], torch.zeros(5, dtype=torch.float64), atol=1e-12, rtol=0)
    together = torch.zeros(1, 5, 2, dtype=torch.float64, requires_grad=True)
    anatomy_constraint_loss(together, EVERY).backward()
    assert together.grad is not None
    assert torch.isfinite(together.grad).all()
