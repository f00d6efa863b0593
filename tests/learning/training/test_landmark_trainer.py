"""A tiny training run: it learns, it is kept, it goes on."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lib.learning.codec import ABSENT, PRESENT, UNKNOWN, UNNAMED
from lib.learning.config import Config, InputConfig, ModelConfig, NetworkConfig, load_config
from lib.learning.data import IMAGE, LABEL
from lib.learning.models.corner_net import CornerNet
from lib.learning.training.landmark_trainer import LandmarkTrainer
from lib.learning.training.trainer import BEST, CHECKPOINT, HISTORY, Progress
from lib.learning.weights.weight_files import CornerWeights, build_network, load_weights
from lib.spine.geometry import with_centers

pytestmark = pytest.mark.usefixtures("torch_as_before")

CPU = torch.device("cpu")


def tiny_config(**training: Any) -> Config:
    """64 x 64 px, four images in two steps per epoch, all of the spine in view, no phantoms."""
    config = load_config()
    in_view: dict[str, Any] = {"whole_probability": 1.0, "near_span": (0.8, 0.9), "shift": 0.0}
    settings = {
        **{"epochs": 2, "batch_size": 2, "warmup_epochs": 0.0, "validate_every": 1, "ema_decay": 0.5},
        **{"phantoms": 0, "spineless": 0, "cache_longest": 128, "learning_rate": 2e-3},
    }
    return dataclasses.replace(
        config,
        network=NetworkConfig("tiny", 8),
        input=InputConfig(64, 64),
        augmentation=dataclasses.replace(config.augmentation, **in_view),
        training=dataclasses.replace(config.training, **{**settings, **training}),
    )


def items(count: int = 4) -> list[dict[str, Any]]:
    """Bright boxes down a dark image of 120 x 80 px, with their labels."""
    result = []
    for number in range(count):
        image = np.full((120, 80), 20, np.uint8)
        middle = np.stack([np.full(17, 40.0 + number), 8.0 + 6.5 * np.arange(17)], -1)
        corners = middle[:, None] + np.array([[-8, -2], [8, -2], [-8, 2], [8, 2]])
        for box in corners:
            (left, top), (right, bottom) = box[0].round().astype(int), box[3].round().astype(int)
            image[top : bottom + 1, left : right + 1] = 200
        state = np.full((17, 5, 1), PRESENT if number else UNNAMED)
        result.append({IMAGE: image, LABEL: np.concatenate([with_centers(corners), state], -1)})
    return result


def history(folder: Path) -> list[dict[str, str]]:
    """Rows of the history file."""
    with (folder / HISTORY).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, torch_as_before: None) -> tuple[Path, Config, list[Progress]]:
    """A run of eight epochs: its folder, configuration and what it told."""
    folder = tmp_path_factory.mktemp("run") / "new"
    config = tiny_config(epochs=8, validate_every=4)
    told: list[Progress] = []
    path = LandmarkTrainer(config, folder, CPU, workers=0, facts={"fold": 1}).fit(items(), items(2), told.append)
    assert path == folder / BEST
    return folder, config, told


def test_the_loss_falls(run: tuple[Path, Config, list[Progress]]) -> None:
    _, _, told = run
    losses = [p.loss for p in told]
    assert all(math.isfinite(loss) for loss in losses)
    assert np.mean(losses[-2:]) < 0.95 * losses[0]
    corners = [p.terms["corner"] for p in told]
    assert np.mean(corners[-2:]) < 0.6 * corners[0]


def test_every_epoch_is_told_and_written(run: tuple[Path, Config, list[Progress]]) -> None:
    folder, _, told = run
    assert [(p.epoch, p.epochs) for p in told] == [(n, 8) for n in range(1, 9)]
    rows = history(folder)
    assert [row["epoch"] for row in rows] == [str(n) for n in range(1, 9)]
    assert [float(row["loss"]) for row in rows] == pytest.approx([p.loss for p in told], abs=1e-5)
    assert set(told[0].terms) == {"heatmap", "unnamed", "anatomy", "offset", "corner"}
    assert all(p.seconds > 0 and 0 <= p.busy <= 1 for p in told)


def test_the_loss_is_the_weighted_sum_of_its_terms(run: tuple[Path, Config, list[Progress]]) -> None:
    _, config, told = run
    weights = {name: getattr(config.loss, f"{name}_weight") for name in told[0].terms}
    for p in told:
        assert p.loss == pytest.approx(sum(weights[name] * value for name, value in p.terms.items()), rel=1e-4)


def test_validation_figures_come_when_they_are_due(run: tuple[Path, Config, list[Progress]]) -> None:
    folder, _, told = run
    assert [p.epoch for p in told if p.validation is not None] == [4, 8]
    figures = told[-1].validation
    assert figures is not None
    assert figures.images == 2
    assert all(math.isfinite(v) for v in dataclasses.astuple(figures))
    assert json.loads(history(folder)[7]["validation"]) == pytest.approx(dataclasses.asdict(figures))
    assert history(folder)[0]["validation"] == ""


def test_the_best_weights_are_kept_with_their_figures(run: tuple[Path, Config, list[Progress]]) -> None:
    folder, config, told = run
    weights = load_weights(folder / BEST)
    assert weights.config == ModelConfig(config.network, config.input, config.codec)
    checked = [p for p in told if p.validation is not None]
    best = min(checked, key=lambda p: p.validation.corner_mean if p.validation else math.inf)
    assert best.validation is not None
    assert weights.facts["fold"] == 1
    assert weights.facts["epoch"] == best.epoch
    assert weights.facts["validation"] == dataclasses.asdict(best.validation)
    assert build_network(weights, folder / BEST).training is False


def test_no_file_is_left_half_written(run: tuple[Path, Config, list[Progress]]) -> None:
    assert sorted(p.name for p in run[0].iterdir()) == sorted([BEST, CHECKPOINT, HISTORY])


def test_a_finished_run_has_nothing_left_to_do(run: tuple[Path, Config, list[Progress]]) -> None:
    folder, config, _ = run
    trainer = LandmarkTrainer(config, folder, CPU, workers=0, facts={"fold": 1})
    assert trainer.epoch == 8
    before = (folder / HISTORY).read_bytes()
    assert trainer.fit(items(), []) == folder / BEST
    assert (folder / HISTORY).read_bytes() == before


def test_another_fold_in_the_same_folder_is_refused(run: tuple[Path, Config, list[Progress]]) -> None:
    folder, config, _ = run
    with pytest.raises(ValueError, match=r"holds another run \(fold is 1, not 2\)"):
        LandmarkTrainer(config, folder, CPU, workers=0, facts={"fold": 2})


def test_another_configuration_in_the_same_folder_is_refused(run: tuple[Path, Config, list[Progress]]) -> None:
    folder, config, _ = run
    other = dataclasses.replace(config, training=dataclasses.replace(config.training, epochs=9))
    with pytest.raises(ValueError, match="holds a run with another configuration; choose another folder"):
        LandmarkTrainer(other, folder, CPU, workers=0)


def test_a_run_goes_on_whatever_becomes_of_the_second_network_and_of_prediction(
    run: tuple[Path, Config, list[Progress]],
) -> None:
    """It does not depend on these settings."""
    folder, config, _ = run
    other = dataclasses.replace(
        config,
        refiner=dataclasses.replace(config.refiner, channels=8),
        refiner_augmentation=dataclasses.replace(config.refiner_augmentation, drift=0.0),
        refiner_training=dataclasses.replace(config.refiner_training, epochs=1),
        prediction=dataclasses.replace(config.prediction, refinement_rounds=5),
    )
    assert LandmarkTrainer(other, folder, CPU, workers=0, facts={"fold": 1}).epoch == 8


def test_a_second_network_is_passed_on_as_it_is(tmp_path: Path) -> None:
    config = dataclasses.replace(load_config().refiner, channels=4)
    refiner = CornerWeights(CornerNet(config).half().state_dict(), config, {"epoch": 7})
    path = LandmarkTrainer(tiny_config(epochs=1), tmp_path, CPU, workers=0, refiner=refiner).fit(items(), [])
    kept = load_weights(path).refiner
    assert kept is not None
    assert (kept.config, kept.facts, kept.errors) == (config, {"epoch": 7}, None)
    assert all(torch.equal(kept.state[name], refiner.state[name]) for name in refiner.state)


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    config = tiny_config(epochs=3)
    told: list[Progress] = []
    first = LandmarkTrainer(config, tmp_path, CPU, workers=0)
    first.fit(items(), [], on_epoch=told.append, should_stop=lambda: len(told) >= 1)
    assert [p.epoch for p in told] == [1]
    second = LandmarkTrainer(config, tmp_path, CPU, workers=0)
    assert second.epoch == 1
    for a, b in zip(first.network.state_dict().values(), second.network.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)
    for a, b in zip(first.average.state_dict().values(), second.average.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)
    assert len(second.optimizer.state) == len(first.optimizer.state) > 0
    second.fit(items(), [], on_epoch=told.append)
    assert [p.epoch for p in told] == [1, 2, 3]
    assert [row["epoch"] for row in history(tmp_path)] == ["1", "2", "3"]


def test_without_validation_the_last_weights_are_kept(tmp_path: Path) -> None:
    trainer = LandmarkTrainer(tiny_config(), tmp_path, CPU, workers=0)
    weights = load_weights(trainer.fit(items(), []))
    assert weights.facts == {"epoch": 2, "validation": {}}
    kept = trainer.average.module.state_dict()
    for name, tensor in weights.state.items():
        torch.testing.assert_close(tensor.float(), kept[name].half().float())


def test_no_labelled_image_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no labelled image to train on"):
        LandmarkTrainer(tiny_config(), tmp_path, CPU, workers=0).fit([], items(1))


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    trainer = LandmarkTrainer(tiny_config(), tmp_path, CPU, workers=0)
    with torch.no_grad():
        trainer.network.heatmap[-1].bias.fill_(math.nan)
    with pytest.raises(FloatingPointError, match="no longer finite in epoch 1"):
        trainer.fit(items(), [])
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_run_starts_from_given_weights(tmp_path: Path) -> None:
    config = tiny_config()
    torch.manual_seed(99)
    initial = LandmarkTrainer(config, tmp_path / "a", CPU).network.state_dict()
    initial = {name: torch.full_like(tensor, 0.5) for name, tensor in initial.items()}
    trainer = LandmarkTrainer(config, tmp_path / "b", CPU, initial=initial)
    assert (trainer.network.offset[0].weight == 0.5).all()
    assert (trainer.average.module.offset[0].weight == 0.5).all()


def test_one_image_and_images_without_a_spine_can_be_trained_on(tmp_path: Path) -> None:
    spineless = {IMAGE: items(1)[0][IMAGE], LABEL: np.full((17, 5, 3), ABSENT)}
    told: list[Progress] = []
    LandmarkTrainer(tiny_config(epochs=1), tmp_path, CPU, workers=0).fit([spineless], [], on_epoch=told.append)
    assert math.isfinite(told[0].loss)
    assert told[0].terms["offset"] == 0


def test_validation_is_in_pixels_of_the_original_images(tmp_path: Path) -> None:
    """A network that finds nothing but the middle of the input: its errors are those of that point."""
    trainer = LandmarkTrainer(tiny_config(), tmp_path, CPU, workers=0)

    class Middle(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> Any:
            from lib.learning.models.landmark_net import Maps

            heatmap = torch.full((len(image), 17, 16, 16), -9.0)
            heatmap[:, :, 8, 8] = 9.0
            return Maps(heatmap, torch.full((len(image), 2, 16, 16), -0.5), torch.zeros(len(image), 8, 16, 16))

    trainer.average = Middle()  # type: ignore[assignment]
    data = items(2)
    figures = trainer.validate(trainer._validation_loader(data))
    middle = np.array([39.5, 59.5])  # of 80 x 120 px
    errors = [np.linalg.norm(item[LABEL][..., :2] - middle, axis=-1) for item in data]
    # whole input pixels of black beside the image, 1.875 original pixels each, leave up to half of one
    assert figures.corner_mean == pytest.approx(np.mean([e[:, 1:] for e in errors]), abs=1.0)
    assert figures.center_mean == pytest.approx(np.mean([e[:, 0] for e in errors]), abs=1.0)


def test_unknown_vertebrae_are_learnt_from_and_checked_as_little_as_absent_ones(tmp_path: Path) -> None:
    """What is written at their places does not matter, and there is nothing to compare with."""
    data = items(3)
    for item in data:
        item[LABEL][:4] = (0.0, 0.0, UNKNOWN)
    told: list[Progress] = []
    trainer = LandmarkTrainer(tiny_config(epochs=1), tmp_path, CPU, workers=0)
    trainer.fit(data, data, on_epoch=told.append)
    assert math.isfinite(told[0].loss)
    figures = trainer.check(data)
    for item in data:
        item[LABEL][:4] = (0.0, 0.0, ABSENT)
    assert figures is not None
    assert figures == trainer.check(data)
    assert all(math.isfinite(v) for v in dataclasses.astuple(figures))


def test_a_single_heatmap_is_trained_and_validated(tmp_path: Path) -> None:
    config = dataclasses.replace(tiny_config(epochs=1), network=NetworkConfig("tiny", 8, heatmap_channels=1))
    told: list[Progress] = []
    trainer = LandmarkTrainer(config, tmp_path, CPU, workers=0)
    weights = load_weights(trainer.fit(items(), items(2), on_epoch=told.append))
    assert weights.config.network == config.network
    assert told[0].terms["heatmap"] > 0
    assert told[0].terms["unnamed"] == told[0].terms["anatomy"] == 0
    assert told[0].validation is not None
    assert math.isfinite(told[0].validation.corner_mean)
