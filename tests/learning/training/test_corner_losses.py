"""What the second network learns from: numbers by hand, gradients, what is masked."""

from __future__ import annotations

import math

import pytest
import torch

from lib.learning.models.corner_net import CornerOutput
from lib.learning.training.corner_losses import endplate_tilts, midline_tilt, refiner_loss

BOX = torch.tensor([[0.0, 0], [20, 0], [0, 12], [20, 12]])  # TL, TR, BL, BR
WEIGHTS = {"corner": 1.0, "center": 0.5, "tilt": 10.0, "error": 0.3}
NEAREST = 0.01  # the least length, which keeps its gradient finite


def boxes(count: int = 3) -> torch.Tensor:
    """``(1, count, 4, 2)`` corners of equal boxes."""
    return BOX.expand(1, count, 4, 2).clone()


def loss(
    corners: torch.Tensor, target: torch.Tensor, known: torch.Tensor | None = None, log_error: float = 0.0
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The loss where the same is said about all errors."""
    said = torch.full((*corners.shape[:2], 5), log_error)
    return refiner_loss(CornerOutput(corners, said), target, torch.ones(corners.shape[:2]) if known is None else known)


def turned(corners: torch.Tensor, angle: float) -> torch.Tensor:
    """Corners turned about the origin, clockwise on the screen, by radians."""
    c, s = math.cos(angle), math.sin(angle)
    return corners @ torch.tensor([[c, s], [-s, c]])


def test_perfect_corners_cost_nothing_but_constants() -> None:
    total, terms = loss(boxes(), boxes())
    assert terms["corner"].item() == pytest.approx(NEAREST)
    assert terms["center"].item() == pytest.approx(NEAREST)
    assert terms["tilt"].item() == 0
    assert terms["error"].item() == pytest.approx(NEAREST)
    assert total.item() == pytest.approx(NEAREST * (1.0 + 0.5 + 0.3))


def test_moved_corners_cost_their_distance() -> None:
    """A 3-4-5 triangle: corners and center are 5 px off, no endplate is tilted."""
    total, terms = loss(boxes() + torch.tensor([3.0, 4.0]), boxes(), log_error=math.log(2))
    assert terms["corner"].item() == pytest.approx(5, abs=1e-4)
    assert terms["center"].item() == pytest.approx(5, abs=1e-4)
    assert terms["tilt"].item() == pytest.approx(0, abs=1e-6)
    assert terms["error"].item() == pytest.approx(5 / 2 + math.log(2), abs=1e-4)
    assert total.item() == pytest.approx(sum(WEIGHTS[name] * term.item() for name, term in terms.items()))


def test_corners_that_are_off_in_different_directions_leave_the_center() -> None:
    off = torch.tensor([[-2.0, 0], [2, 0], [-2, 0], [2, 0]])
    _, terms = loss(boxes() + off, boxes())
    assert terms["corner"].item() == pytest.approx(2, abs=1e-4)
    assert terms["center"].item() == pytest.approx(NEAREST)


def test_only_one_vertebra_off_counts_as_its_share() -> None:
    moved = boxes(4)
    moved[0, 1] += torch.tensor([0.0, 8.0])
    _, terms = loss(moved, boxes(4))
    assert terms["corner"].item() == pytest.approx((8 + 3 * NEAREST) / 4, abs=1e-4)


def test_tilts_of_endplates_and_midline_by_hand() -> None:
    """Upper endplate 20 across and 10 down; lower one 20 across; the midline 20 across and 5 down."""
    corners = BOX.clone()
    corners[1, 1] += 10
    upper, lower = endplate_tilts(corners).tolist()
    assert upper == pytest.approx(math.atan2(10, 20))
    assert lower == 0
    assert midline_tilt(corners).item() == pytest.approx(math.atan2(5, 20))
    _, terms = loss(corners[None, None], BOX[None, None])
    assert terms["tilt"].item() == pytest.approx(math.atan2(10, 20) / 2 + math.atan2(5, 20))  # less than the limit


@pytest.mark.parametrize("angle", [-0.6, -0.2, 0.0, 0.1, 0.5], ids=str)
def test_a_turned_body_has_the_tilt_of_the_turn(angle: float) -> None:
    corners = turned(BOX, angle)
    torch.testing.assert_close(endplate_tilts(corners), torch.full((2,), angle), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(midline_tilt(corners), torch.tensor(angle), atol=1e-6, rtol=1e-5)


def test_a_small_turn_costs_twice_its_angle_and_a_large_one_no_more_than_the_limit() -> None:
    for angle, cost in ((0.1, 0.2), (-0.2, 0.4), (0.6, 0.5), (3.0, 0.5)):
        _, terms = loss(turned(boxes(), angle), boxes())
        assert terms["tilt"].item() == pytest.approx(cost, rel=1e-4)
    _, terms = loss(turned(boxes(), 0.7), turned(boxes(), 0.6))  # what counts is the difference
    assert terms["tilt"].item() == pytest.approx(0.2, rel=1e-4)


def test_vertebrae_that_are_not_known_teach_nothing() -> None:
    torch.manual_seed(0)
    corners, target = 9 * torch.randn(2, 3, 4, 2), boxes(3).repeat(2, 1, 1, 1)
    corners.requires_grad_()
    said = torch.randn(2, 3, 5, requires_grad=True)
    known = torch.tensor([[1.0, 0, 1], [0, 0, 1]])
    total, _ = refiner_loss(CornerOutput(corners, said), target, known)
    total.backward()
    for part in (corners.grad, said.grad):
        assert part is not None
        assert (part[known == 0] == 0).all()
        assert (part[known == 1].abs().flatten(1).sum(1) > 0).all()
    kept = known[0] == 1
    first, _ = refiner_loss(CornerOutput(corners[:1, kept], said[:1, kept]), target[:1, kept], torch.ones(1, 2))
    second, _ = refiner_loss(CornerOutput(corners[1:, 2:], said[1:, 2:]), target[1:, 2:], torch.ones(1, 1))
    assert total.item() == pytest.approx((2 * first.item() + second.item()) / 3, rel=1e-5)  # masked is removed


def test_a_batch_of_unknown_vertebrae_is_nothing_to_learn_from() -> None:
    corners = boxes().requires_grad_()
    total, terms = loss(corners, boxes() + 7, torch.zeros(1, 3))
    total.backward()
    assert total.item() == 0
    assert all(term.item() == 0 for term in terms.values())
    assert corners.grad is not None
    assert (corners.grad == 0).all()


@pytest.mark.parametrize("mean", [0.5, 2.0, 30.0], ids=str)
def test_the_best_thing_to_say_is_the_mean_distance(mean: float) -> None:
    """Corners off by half and by one and a half times as much."""
    off = torch.tensor([0.5, 1.5])[None, :, None, None] * mean * torch.tensor([0.6, 0.8])

    def cost(said: float) -> float:
        return loss(boxes(2) + off, boxes(2), log_error=math.log(said))[1]["error"].item()

    assert cost(mean) < cost(0.9 * mean)
    assert cost(mean) < cost(1.1 * mean)
    said = torch.full((1, 2, 5), math.log(mean), requires_grad=True)
    refiner_loss(CornerOutput(boxes(2) + off, said), boxes(2), torch.ones(1, 2))[0].backward()
    assert said.grad is not None
    torch.testing.assert_close(said.grad.sum(1), torch.zeros(1, 5), atol=1e-4, rtol=0)


def test_what_is_said_about_errors_does_not_move_corners() -> None:
    gradients = []
    for log_error in (-1.0, 2.0):
        corners = (boxes() + 2.5).requires_grad_()
        loss(corners, boxes(), log_error=log_error)[0].backward()
        assert corners.grad is not None
        gradients.append(corners.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_errors_beyond_all_reason_stay_finite() -> None:
    for log_error in (-1e4, 1e4):
        total, _ = loss(boxes() + 1, boxes(), log_error=log_error)
        assert math.isfinite(total.item())


def test_gradients_of_the_corners_agree_with_differences() -> None:
    torch.manual_seed(1)
    target = BOX.double().expand(1, 2, 4, 2)
    corners = (target + 0.5 * torch.randn(1, 2, 4, 2, dtype=torch.float64)).requires_grad_()
    said = torch.zeros(1, 2, 5, dtype=torch.float64)

    def placed(corners: torch.Tensor) -> torch.Tensor:
        _, terms = refiner_loss(CornerOutput(corners, said), target, torch.ones(1, 2, dtype=torch.float64))
        return torch.stack([terms[name] for name in ("corner", "center", "tilt")])

    assert torch.autograd.gradcheck(placed, (corners,))


def test_the_gradient_at_the_perfect_place_is_finite() -> None:
    corners = boxes().requires_grad_()
    loss(corners, boxes())[0].backward()
    assert corners.grad is not None
    assert corners.grad.isfinite().all()
