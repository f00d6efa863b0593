"""The loop of a training run, on a network of two numbers."""

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
from monai.data import DataLoader
from monai.transforms import Compose, Randomizable, Transform
from torch import nn

from lib.evaluation.metrics import Localisation
from lib.learning.config import ScheduleConfig
from lib.learning.data.rehearsal import Rehearsal
from lib.learning.training.averaging import averaging
from lib.learning.training.trainer import BEST, CHECKPOINT, HISTORY, Progress, Trainer, describe

pytestmark = pytest.mark.usefixtures("torch_as_before")

CPU = torch.device("cpu")
SCHEDULE = ScheduleConfig(
    epochs=4,
    batch_size=2,
    learning_rate=0.1,
    weight_decay=0.0,
    warmup_epochs=0.0,
    ema_decay=0.5,
    gradient_clip=10.0,
    validate_every=2,
    seed=0,
)
ITEMS = [{"x": float(n), "y": 2.0 * n + 1} for n in range(4)]


class Noisyd(Randomizable, Transform):
    """Adds noise to what is asked, so that a run depends on its random numbers."""

    def __call__(self, data: Any) -> dict[str, Any]:
        """Returns a copy."""
        return {**data, "x": data["x"] + self.R.uniform(-0.01, 0.01)}


class Line(Trainer):
    """Learns a straight line; its error on validation items is the mean distance in y."""

    batch_keys = ("x", "y")

    def __init__(self, folder: Path, schedule: ScheduleConfig = SCHEDULE, **changes: Any) -> None:
        torch.manual_seed(7)
        self.network: nn.Linear
        given: dict[str, Any] = {
            "settings": dataclasses.asdict(schedule),
            "workers": 0,
            "facts": None,
            "freeze_norm": False,
            "resumable": True,
            "show_bars": False,
        }
        self.saved: list[tuple[dict[str, Any], float]] = []
        self.errors: list[float] = []
        super().__init__(nn.Linear(1, 1), schedule, folder=folder, device=CPU, **{**given, **changes})

    def training_views(self) -> Compose:
        """With noise."""
        return Compose([Noisyd()])

    def validation_views(self) -> Compose:
        """As they are."""
        return Compose([])

    def loss(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Square of the distance, and half of it as a term."""
        far = (self.network(batch["x"][:, None].float())[:, 0] - batch["y"].float()).square().mean()
        return far, {"half": far / 2}

    def validate(self, loader: DataLoader) -> Localisation:
        """What the test says, or else the mean distance."""
        error = self.errors.pop(0) if self.errors else 1.0
        return Localisation(len(loader.dataset), error, error, 0.0, 0.0, 0.0, 0.0, 1.0)

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Keeps what would be written."""
        path.write_text("weights")
        self.saved.append((facts, self.average.module.weight.item()))


def history(folder: Path) -> list[dict[str, str]]:
    """Rows of the history file."""
    with (folder / HISTORY).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def changed(**values: Any) -> ScheduleConfig:
    """The schedule but for some values."""
    return dataclasses.replace(SCHEDULE, **values)


def test_a_run_learns_tells_and_writes(tmp_path: Path) -> None:
    told: list[Progress] = []
    run = Line(tmp_path / "new", changed(epochs=40))
    assert run.fit(ITEMS, ITEMS[:1], told.append) == tmp_path / "new" / BEST
    assert [p.epoch for p in told] == list(range(1, 41))
    assert told[-1].loss < 0.2 * told[0].loss
    assert all(p.loss == pytest.approx(2 * p.terms["half"]) for p in told)
    assert [p.epoch for p in told if p.validation is not None] == list(range(2, 41, 2))
    rows = history(tmp_path / "new")
    assert len(rows) == 40
    assert float(rows[39]["half"]) == pytest.approx(told[39].terms["half"], abs=1e-5)
    assert json.loads(rows[1]["validation"])["images"] == 1


def test_the_weights_with_the_least_corner_error_are_kept(tmp_path: Path) -> None:
    run = Line(tmp_path, changed(epochs=5, validate_every=1), facts={"fold": 2})
    run.errors = [5.0, 3.0, 4.0, 3.0, 2.0]
    run.fit(ITEMS, ITEMS[:2])
    assert [(facts["fold"], facts["epoch"], facts["validation"]["corner_mean"]) for facts, _ in run.saved] == [
        (2, 1, 5.0),
        (2, 2, 3.0),
        (2, 5, 2.0),
    ]
    assert run.best == 2.0


def test_without_a_corner_error_the_last_weights_are_kept(tmp_path: Path) -> None:
    """With no validation items, and where no label has a corner."""
    alone = Line(tmp_path / "a", changed(epochs=2))
    alone.fit(ITEMS, [])
    assert [facts for facts, _ in alone.saved] == [{"epoch": n, "validation": {}} for n in (1, 2)]
    without = Line(tmp_path / "b", changed(epochs=3, validate_every=1))
    without.errors = [math.nan] * 3
    without.fit(ITEMS, ITEMS[:1])
    assert [facts["epoch"] for facts, _ in without.saved] == [1, 2, 3]


def test_an_interrupted_run_goes_on_as_it_was(tmp_path: Path) -> None:
    told: list[Progress] = []
    first = Line(tmp_path, changed(validate_every=1))
    first.errors = [0.25]
    first.fit(ITEMS, ITEMS[:1], told.append, should_stop=lambda: len(told) >= 1)
    second = Line(tmp_path, changed(validate_every=1))
    assert (second.epoch, second.best) == (1, 0.25)
    for a, b in zip(first.average.state_dict().values(), second.average.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)
    assert torch.equal(first.network.weight, second.network.weight)
    assert len(second.optimizer.state) == len(first.optimizer.state) > 0
    second.errors = [0.5, 0.5, 0.125]
    second.fit(ITEMS, ITEMS[:1], told.append)
    assert [p.epoch for p in told] == [1, 2, 3, 4]
    assert [facts["epoch"] for facts, _ in second.saved] == [4]  # only it is better than before the interruption


def test_a_run_goes_on_only_with_the_settings_that_it_depends_on(tmp_path: Path) -> None:
    Line(tmp_path, settings={"rate": 1, "nested": {"a": 2}}, facts={"fold": 0}).fit(ITEMS, [])
    for settings in ({"rate": 2, "nested": {"a": 2}}, {"rate": 1, "nested": {"a": 3}}, {"rate": 1, "new": 1}):
        with pytest.raises(ValueError, match="another configuration; choose another folder"):
            Line(tmp_path, settings=settings, facts={"fold": 0})
    with pytest.raises(ValueError, match=r"holds another run \(fold is 0, not missing\); choose another folder"):
        Line(tmp_path, settings={"rate": 1, "nested": {"a": 2}})
    assert Line(tmp_path, settings={"rate": 1, "nested": {"a": 2}}, facts={"fold": 0}).epoch == 4


def test_a_run_goes_on_only_from_the_same_files(tmp_path: Path) -> None:
    """A checkpoint of an earlier version says nothing of them: it goes on where none is given."""
    plain, given = {"fold": 0}, {"fold": 0, "names": "0123456789ab"}
    Line(tmp_path / "old", facts=plain).fit(ITEMS, [])
    Line(tmp_path / "new", facts=given).fit(ITEMS, [])
    assert Line(tmp_path / "old", facts=plain).epoch == Line(tmp_path / "new", facts=given).epoch == 4
    with pytest.raises(ValueError, match=r"another run \(names is missing, not 0123456789ab\)"):
        Line(tmp_path / "old", facts=given)
    with pytest.raises(ValueError, match=r"another run \(names is 0123456789ab, not cdef01234567\)"):
        Line(tmp_path / "new", facts={**given, "names": "cdef01234567"})


def test_settings_that_a_run_turned_out_not_to_depend_on_may_be_in_its_checkpoint(tmp_path: Path) -> None:
    """Written by an earlier version, which compared more of them."""
    Line(tmp_path, settings={"rate": 1, "of_another_network": 5}).fit(ITEMS, [])
    assert Line(tmp_path, settings={"rate": 1}).epoch == 4


def test_a_run_that_cannot_be_resumed_writes_no_checkpoint(tmp_path: Path) -> None:
    Line(tmp_path, resumable=False).fit(ITEMS, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([BEST, HISTORY])


def test_a_run_that_was_stopped_before_its_first_epoch_wrote_nothing(tmp_path: Path) -> None:
    assert Line(tmp_path).fit(ITEMS, [], should_stop=lambda: True) is None
    assert not (tmp_path / CHECKPOINT).exists()


def test_nothing_to_learn_from_and_infinite_losses_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no labelled image to train on"):
        Line(tmp_path).fit([], ITEMS)
    with pytest.raises(FloatingPointError, match="no longer finite in epoch 1"):
        Line(tmp_path).fit([{"x": math.inf, "y": 0.0}] * 2, [])
    assert not (tmp_path / CHECKPOINT).exists()


def test_checking_needs_items(tmp_path: Path) -> None:
    run = Line(tmp_path)
    assert run.check([]) is None
    figures = run.check(ITEMS[:3])
    assert figures is not None
    assert figures.images == 3


@pytest.mark.parametrize("freeze_norm", [False, True])
def test_frozen_statistics_stay_and_let_every_image_be_used(tmp_path: Path, freeze_norm: bool) -> None:
    class Normed(Line):
        def loss(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            sizes.append(len(batch["x"]))
            return super().loss(batch)

    sizes: list[int] = []
    run = Normed(tmp_path, changed(epochs=1), freeze_norm=freeze_norm)
    norm = nn.BatchNorm2d(1)
    run.network.add_module("norm", norm)
    run.network.train()
    run._train_epoch(run._training_loader(ITEMS[:3], Rehearsal()), None)
    assert norm.training != freeze_norm
    assert run.network.training
    assert sizes == ([2, 1] if freeze_norm else [2])


@pytest.mark.parametrize(("step", "rate"), [(0, 0.025), (1, 0.05), (3, 0.1), (4, 0.1), (7, 0.05), (10, 0.0), (99, 0.0)])
def test_the_learning_rate_warms_up_and_falls_to_zero(tmp_path: Path, step: int, rate: float) -> None:
    """Two epochs of two steps up, then three epochs of half a cosine; half of the rate is left after half of them."""
    run = Line(tmp_path, changed(epochs=5, warmup_epochs=2.0))
    assert run._learning_rate(step, 2) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("decay", "steps", "keep"),
    [(0.9, 0, 0.1), (0.9, 8, 0.5), (0.9, 80, 0.9), (0.9, 10_000, 0.9), (0.3, 8, 0.3), (0.0, 5, 0.0)],
)
def test_the_average_follows_quickly_at_first(decay: float, steps: int, keep: float) -> None:
    """(1 + n) / (10 + n) of what there was is kept, at most the decay."""
    average = averaging(decay)(torch.tensor([1.0, 4.0]), torch.tensor([0.0, 8.0]), torch.tensor(steps))
    np.testing.assert_allclose(average, [keep, 4 * keep + 8 * (1 - keep)], rtol=1e-6)


def test_progress_is_one_line() -> None:
    terms = {"heatmap": 1.0, "offset": 0.5}
    progress = Progress(1, 2, 1.25, terms, 0.75, 3.0, None, 0.1)
    assert describe(progress) == "loss 1.250 (heatmap 1.000 offset 0.500) busy 75%"
    figures = Localisation(2, 4.0, 5.0, 3.0, 3.0, 0.1, 0.5, 0.5)
    assert describe(dataclasses.replace(progress, validation=figures)).endswith(" corner 4.0/5.0 px shifted 50%")
