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
from lib.learning.config import Config, NetworkConfig, RefinerConfig, load_config
from lib.learning.data.patch_views import PATCHES
from lib.learning.data.rehearsal import Rehearsal
from lib.learning.data.transforms import IMAGE, LABEL
from lib.learning.models.corner_net import CornerNet, CornerOutput
from lib.learning.training.corner_trainer import RefinerTrainer
from lib.learning.training.trainer import BEST, CHECKPOINT, HISTORY, Progress
from lib.learning.uncertainty.error_model import ErrorModel
from lib.learning.weights.weight_files import ERRORS_MEASURED_ON, RefinerWeights, Weights, build_refiner, load_weights
from lib.spine.chain_prior import DEFAULT_PRIOR
from lib.spine.geometry import with_centers

pytestmark = pytest.mark.usefixtures("torch_as_before")

CPU = torch.device("cpu")


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
        refiner=RefinerConfig(40, 48, 16.0, 8, 1),
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


def trainer(folder: Path, config: Config | None = None, **changes: Any) -> RefinerTrainer:
    """A run in a folder."""
    return RefinerTrainer(config or tiny_config(), base(), folder, CPU, workers=0, show_bars=False, **changes)


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
    learning = RefinerTrainer(config, whole, folder, CPU, workers=0, facts={"fold": 1}, show_bars=False)
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
    build_refiner(kept, path)


KNOTS = ((0.1, 0.1), (1.0, 1.0))
MEASURED = ErrorModel(KNOTS, KNOTS, 0.0, 0.0, 1.0, 1.0)


def kept_after(folder: Path, old: RefinerWeights, **changes: Any) -> RefinerWeights:
    """The second network after one epoch, begun with that of a file that has one."""
    whole = dataclasses.replace(base(), refiner=old)
    trainer = RefinerTrainer(tiny_config(epochs=1), whole, folder, CPU, 0, old.state, show_bars=False, **changes)
    path = trainer.fit(items(), [])
    assert path is not None
    kept = load_weights(path).refiner
    assert kept is not None
    return kept


def old_refiner(errors: ErrorModel | None, facts: dict[str, Any]) -> RefinerWeights:
    """A random second network."""
    return RefinerWeights(CornerNet(tiny_config().refiner).state_dict(), tiny_config().refiner, facts, errors)


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
    first, second = (next(iter(loader))[PATCHES] for _ in range(2))
    assert first.shape == (2, 17, 40, 48)
    assert not torch.equal(first, second)
    again = learning._validation_loader(items())
    assert again is not None
    a, b = (next(iter(again))[PATCHES] for _ in range(2))
    assert torch.equal(a, b)
