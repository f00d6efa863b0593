"""A tiny training run of the second network: it learns, it is kept, it goes on."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lib.learning.codec import ABSENT, PRESENT
from lib.learning.config import Config, CornerConfig, NetworkConfig, load_config
from lib.learning.data import IMAGE, LABEL
from lib.learning.data.patches import PATCHES
from lib.learning.data.rehearsal import Rehearsal
from lib.learning.models.corner_net import CornerNet, CornerOutput
from lib.learning.training.corner_trainer import CornerTrainer
from lib.learning.training.losses import corner_loss, endplate_tilts, midline_tilt
from lib.learning.training.trainer import BEST, CHECKPOINT, HISTORY, Progress
from lib.learning.uncertainty.error_model import ErrorModel
from lib.learning.weights.weight_files import ERRORS_MEASURED_ON, CornerWeights, Weights, build_corner_net, load_weights
from lib.spine.chain_prior import DEFAULT_PRIOR
from lib.spine.geometry import with_centers

pytestmark = pytest.mark.usefixtures("torch_as_before")

CPU = torch.device("cpu")
KNOTS = ((0.1, 0.1), (1.0, 1.0))
MEASURED = ErrorModel(KNOTS, KNOTS, 0.0, 0.0, 1.0, 1.0)
BOX = torch.tensor([[0.0, 0], [20, 0], [0, 12], [20, 12]])  # TL, TR, BL, BR
WEIGHTS = {"corner": 1.0, "center": 0.5, "tilt": 10.0, "error": 0.3}
NEAREST = 0.01  # the least length, which keeps its gradient finite


def tiny_config(**training: Any) -> Config:
    """Patches of 48 x 40 px, two spines in a step, little noise."""
    config = load_config()
    settings = {
        **{"epochs": 2, "batch_size": 2, "warmup_epochs": 0.0, "validate_every": 1, "ema_decay": 0.5},
        **{"learning_rate": 3e-3},
    }
    calm = {"coarse_probability": 0.0, "invert_probability": 0.0, "occlusion_probability": 0.0, "noise_std": 0.05}
    return dataclasses.replace(
        config,
        refiner=CornerConfig(40, 48, 16.0, 8, 1),
        refiner_augmentation=dataclasses.replace(config.refiner_augmentation, **calm),
        refiner_training=dataclasses.replace(config.refiner_training, **{**settings, **training}),
    )


def base() -> Weights:
    """As much of a weight file as is passed on."""
    state = {"weight": torch.randn(3, 4).half(), "count": torch.tensor(5)}
    config = dataclasses.replace(load_config(), network=NetworkConfig("w18_small", 8))
    return Weights(state, config, {"fold": 2, "epoch": 40}, DEFAULT_PRIOR, None)


def items(count: int = 2) -> list[dict[str, Any]]:
    """Bright boxes down a dark image of 320 x 100 px, with their labels."""
    result = []
    for number in range(count):
        image = np.full((320, 100), 20, np.uint8)
        middle = np.stack([np.full(17, 48.0 + 3 * number), 20.0 + 17 * np.arange(17)], -1)
        corners = middle[:, None] + np.array([[-12, -6], [12, -6], [-12, 6], [12, 6]])
        for box in corners:
            (left, top), (right, bottom) = box[0].round().astype(int), box[3].round().astype(int)
            image[top : bottom + 1, left : right + 1] = 200
        result.append({IMAGE: image, LABEL: np.concatenate([with_centers(corners), np.full((17, 5, 1), PRESENT)], -1)})
    return result


def trainer(folder: Path, config: Config | None = None, **changes: Any) -> CornerTrainer:
    """A run in a folder."""
    return CornerTrainer(config or tiny_config(), base(), folder, CPU, workers=0, show_bars=False, **changes)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, torch_as_before: None) -> tuple[Path, Config, list[Progress]]:
    """A run of 40 epochs: its folder, configuration and what it told."""
    folder = tmp_path_factory.mktemp("run") / "new"
    config = tiny_config(epochs=40, validate_every=10)
    told: list[Progress] = []
    assert trainer(folder, config, facts={"fold": 1}).fit(items(), items(), told.append) == folder / BEST
    return folder, config, told


def test_two_spines_are_learnt(run: tuple[Path, Config, list[Progress]]) -> None:
    """Errors in validation are pixels of the image, of which a step has 17."""
    _, _, told = run
    assert np.mean([p.loss for p in told[-5:]]) < 0.3 * told[0].loss
    for term, share in (("corner", 0.25), ("center", 0.7), ("tilt", 0.5), ("error", 0.25)):
        assert np.mean([p.terms[term] for p in told[-5:]]) < share * told[0].terms[term]
    errors = [p.validation.corner_mean for p in told if p.validation is not None]
    assert len(errors) == 4
    assert errors[-1] < 0.3 * errors[0]
    assert errors[-1] < 2.0


def test_the_loss_is_the_weighted_sum_of_its_terms(run: tuple[Path, Config, list[Progress]]) -> None:
    for p in run[2]:
        assert set(p.terms) == {"corner", "center", "tilt", "error"}
        t = p.terms
        assert p.loss == pytest.approx(t["corner"] + 0.5 * t["center"] + 10 * t["tilt"] + 0.3 * t["error"], rel=1e-4)


def test_every_epoch_is_written(run: tuple[Path, Config, list[Progress]]) -> None:
    folder, _, told = run
    with (folder / HISTORY).open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == [str(n) for n in range(1, 41)]
    assert [float(row["corner"]) for row in rows] == pytest.approx([p.terms["corner"] for p in told], abs=1e-5)
    assert sorted(p.name for p in folder.iterdir()) == sorted([BEST, CHECKPOINT, HISTORY])


def test_the_weight_file_holds_the_base_as_it_was_and_the_second_network(tmp_path: Path) -> None:
    whole = base()
    folder, config = tmp_path / "run", tiny_config()
    learning = CornerTrainer(config, whole, folder, CPU, workers=0, facts={"fold": 1}, show_bars=False)
    path = learning.fit(items(), items(1))
    assert path is not None
    weights = load_weights(path)
    assert all(torch.equal(weights.state[name], whole.state[name]) for name in whole.state)
    assert weights.state["weight"].dtype == torch.float16
    assert (weights.config.network, weights.config.input) == (whole.config.network, whole.config.input)
    assert (weights.facts, weights.prior) == (whole.facts, whole.prior)
    kept = weights.refiner
    assert kept is not None
    assert kept.config == config.refiner
    assert kept.facts["fold"] == 1
    assert kept.facts["validation"]["corner_mean"] > 0
    averaged = learning.average.module.state_dict()
    if kept.facts["epoch"] == 2:
        assert all(torch.equal(kept.state[n].float(), averaged[n].half().float()) for n in averaged)
    build_corner_net(kept, path)


def kept_after(folder: Path, old: CornerWeights, **changes: Any) -> CornerWeights:
    """The second network after one epoch, begun with that of a file that has one."""
    whole = dataclasses.replace(base(), refiner=old)
    trainer = CornerTrainer(tiny_config(epochs=1), whole, folder, CPU, 0, old.state, show_bars=False, **changes)
    path = trainer.fit(items(), [])
    assert path is not None
    kept = load_weights(path).refiner
    assert kept is not None
    return kept


def old_refiner(errors: ErrorModel | None, facts: dict[str, Any]) -> CornerWeights:
    """A random second network."""
    return CornerWeights(CornerNet(tiny_config().refiner).state_dict(), tiny_config().refiner, facts, errors)


def test_a_new_second_network_has_no_expected_errors(tmp_path: Path) -> None:
    """Those of the file that it goes into are about another one, even where it began with that."""
    kept = kept_after(tmp_path, old_refiner(MEASURED, {ERRORS_MEASURED_ON: {"fold": 3}}))
    assert kept.errors is None
    assert kept.facts == {"epoch": 1, "validation": {}, ERRORS_MEASURED_ON: None}


@pytest.mark.parametrize(
    ("errors", "facts", "measured_on"),
    [
        pytest.param(MEASURED, {ERRORS_MEASURED_ON: {"fold": 3}, "fold": 3}, {"fold": 3}, id="measured"),
        pytest.param(MEASURED, {}, {}, id="by an earlier version"),
        pytest.param(None, {ERRORS_MEASURED_ON: None}, None, id="not measured"),
    ],
)
def test_expected_errors_are_kept_where_that_is_asked_for(
    tmp_path: Path, errors: ErrorModel | None, facts: dict[str, Any], measured_on: dict[str, Any] | None
) -> None:
    old = old_refiner(errors, facts)
    kept = kept_after(tmp_path, old, errors_of=old)
    assert kept.errors == errors
    assert kept.facts == {"epoch": 1, "validation": {}, ERRORS_MEASURED_ON: measured_on}


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    config = tiny_config(epochs=3)
    told: list[Progress] = []
    first = trainer(tmp_path, config)
    first.fit(items(), items(1), told.append, should_stop=lambda: len(told) >= 1)
    second = trainer(tmp_path, config)
    assert (second.epoch, second.best) == (1, first.best)
    for a, b in zip(first.network.state_dict().values(), second.network.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)
    second.fit(items(), items(1), told.append)
    assert [p.epoch for p in told] == [1, 2, 3]


def test_a_run_depends_on_the_settings_of_the_second_network_only(tmp_path: Path) -> None:
    config = tiny_config(epochs=1)
    trainer(tmp_path, config).fit(items(), [])
    others = [
        dataclasses.replace(config, refiner_augmentation=dataclasses.replace(config.refiner_augmentation, drift=0.0)),
        dataclasses.replace(config, refiner_training=dataclasses.replace(config.refiner_training, epochs=2)),
    ]
    for other in others:
        with pytest.raises(ValueError, match="another configuration"):
            trainer(tmp_path, other)
    changed = dataclasses.replace(
        config,
        training=dataclasses.replace(config.training, epochs=99),
        loss=dataclasses.replace(config.loss, corner_weight=9.0),
        prediction=dataclasses.replace(config.prediction, refinement=False),
    )
    assert trainer(tmp_path, changed).epoch == 1
    with pytest.raises(ValueError, match=r"holds another run \(fold is missing, not 3\)"):
        trainer(tmp_path, config, facts={"fold": 3})


def test_a_run_starts_from_given_weights_and_leaves_frozen_statistics(tmp_path: Path) -> None:
    torch.manual_seed(5)
    initial = CornerNet(tiny_config().refiner).state_dict()
    initial = {name: t + 0.01 if t.is_floating_point() else t for name, t in initial.items()}
    learning = trainer(tmp_path, tiny_config(epochs=1), initial=initial, freeze_norm=True)
    assert all(torch.equal(learning.network.state_dict()[name], initial[name]) for name in initial)
    learning.fit(items(), [])
    after = learning.network.state_dict()
    statistics = [name for name in initial if "running_" in name]
    assert statistics
    assert all(torch.equal(after[name], initial[name]) for name in statistics)
    assert not torch.equal(after["heatmap.weight"], initial["heatmap.weight"])


class Says(nn.Module):
    """Says that the corners of every patch lie around its middle."""

    def forward(self, patches: torch.Tensor, is_there: torch.Tensor) -> CornerOutput:
        """The same whatever the patches."""
        box = torch.tensor([[-12.0, -6], [12, -6], [-12, 6], [12, 6]]) * 16 / 17
        corners = torch.tensor([23.5, 19.5]) + box
        return CornerOutput(corners.expand(*patches.shape[:2], 4, 2), torch.zeros(*patches.shape[:2], 5))


def test_validation_is_in_pixels_of_the_original_images(tmp_path: Path) -> None:
    """Patches lie a tenth of a step of 17 px beside the vertebrae, so that their middles are 1.7 px off; an image that
    is larger has larger errors.
    """
    learning = trainer(tmp_path)
    learning.average = Says()  # type: ignore[assignment]
    figures = learning.check(items())
    assert figures is not None
    assert figures.images == 2
    assert figures.center_mean == pytest.approx(1.7, rel=0.01)
    assert figures.corner_mean == pytest.approx(1.7, rel=0.2)  # the patches lean a little
    large = items(1)[0]
    large = {IMAGE: np.kron(large[IMAGE], np.ones((3, 3), np.uint8)), LABEL: large[LABEL] * (3, 3, 1) + (1, 1, 0)}
    figures = learning.check([large])
    assert figures is not None
    assert figures.center_mean == pytest.approx(5.1, rel=0.01)


def test_vertebrae_without_corners_are_neither_learnt_from_nor_checked(tmp_path: Path) -> None:
    data = items()
    for item in data:
        item[LABEL][:5, 1:] = (0.0, 0.0, ABSENT)
    learning = trainer(tmp_path, tiny_config(epochs=1))
    told: list[Progress] = []
    learning.fit(data, data, told.append)
    assert math.isfinite(told[0].loss)
    figures = told[0].validation
    assert figures is not None
    assert all(math.isfinite(value) for value in dataclasses.astuple(figures))
    learning.average = Says()  # type: ignore[assignment]
    again = learning.check(data)
    assert again is not None
    assert again.center_mean == pytest.approx(1.7, rel=0.01)


def test_corners_outside_their_patch_are_not_learnt_but_count_as_errors(tmp_path: Path) -> None:
    """A label that can hardly be right does not end a training. What was said is 12 px wide on either side, not 40."""
    data = items(1)
    data[0][LABEL][:, 1:, 0] = 48 + 40 * np.array([-1, 1, -1, 1])
    data[0][LABEL][:, 0, 0] = 48
    learning = trainer(tmp_path, tiny_config(epochs=1))
    told: list[Progress] = []
    assert learning.fit(data, data, told.append) == tmp_path / BEST
    assert told[0].loss == told[0].terms["corner"] == 0
    learning.average = Says()  # type: ignore[assignment]
    figures = learning.check(data)
    assert figures is not None
    assert figures.corner_mean == pytest.approx(28, abs=0.5)
    assert figures.center_mean == pytest.approx(1.7, rel=0.01)


def test_random_patches_differ_from_epoch_to_epoch(tmp_path: Path) -> None:
    """What is kept in memory comes before everything that is random."""
    learning = trainer(tmp_path)
    loader = learning._training_loader(items(), Rehearsal())
    first = next(iter(loader))[PATCHES]
    loader.batch_sampler.epoch += 1
    second = next(iter(loader))[PATCHES]
    assert first.shape == (2, 17, 40, 48)
    assert not torch.equal(first, second)
    again = learning._validation_loader(items())
    assert again is not None
    a, b = (next(iter(again))[PATCHES] for _ in range(2))
    assert torch.equal(a, b)


def boxes(count: int = 3) -> torch.Tensor:
    """``(1, count, 4, 2)`` corners of equal boxes."""
    return BOX.expand(1, count, 4, 2).clone()


def loss(
    corners: torch.Tensor, target: torch.Tensor, known: torch.Tensor | None = None, log_error: float = 0.0
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The loss where the same is said about all errors."""
    said = torch.full((*corners.shape[:2], 5), log_error)
    return corner_loss(CornerOutput(corners, said), target, torch.ones(corners.shape[:2]) if known is None else known)


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
    total, _ = corner_loss(CornerOutput(corners, said), target, known)
    total.backward()
    for part in (corners.grad, said.grad):
        assert part is not None
        assert (part[known == 0] == 0).all()
        assert (part[known == 1].abs().flatten(1).sum(1) > 0).all()
    kept = known[0] == 1
    first, _ = corner_loss(CornerOutput(corners[:1, kept], said[:1, kept]), target[:1, kept], torch.ones(1, 2))
    second, _ = corner_loss(CornerOutput(corners[1:, 2:], said[1:, 2:]), target[1:, 2:], torch.ones(1, 1))
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
    corner_loss(CornerOutput(boxes(2) + off, said), boxes(2), torch.ones(1, 2))[0].backward()
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
        _, terms = corner_loss(CornerOutput(corners, said), target, torch.ones(1, 2, dtype=torch.float64))
        return torch.stack([terms[name] for name in ("corner", "center", "tilt")])

    assert torch.autograd.gradcheck(placed, (corners,))


def test_the_gradient_at_the_perfect_place_is_finite() -> None:
    corners = boxes().requires_grad_()
    loss(corners, boxes())[0].backward()
    assert corners.grad is not None
    assert corners.grad.isfinite().all()
