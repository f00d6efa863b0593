"""Small training runs for one process or several.

``test_distributed.py`` starts this file, which then forks processes as torchrun starts them: to import PyTorch and
MONAI takes most of the time. With ``networks`` it is itself what torchrun starts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import DataLoader
from monai.transforms import Compose, Randomizable, Transform
from torch import nn
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, launch_agent

import _training
from lib.evaluation.metrics import Localisation
from lib.learning.config import DEFAULT_WEIGHTS_FILE, InputConfig, ScheduleConfig, load_config
from lib.learning.data.rehearsal import Rehearsal
from lib.learning.data.synthetic import synthetic_items
from lib.learning.models.attention import ContextLayer
from lib.learning.training import distributed
from lib.learning.training.corner_trainer import CornerTrainer
from lib.learning.training.landmark_trainer import LandmarkTrainer
from lib.learning.training.trainer import Progress, Trainer
from lib.learning.weights.weight_files import load_weights

CPU = torch.device("cpu")
ENDLESS = 100_000
KILLED_AFTER = 3
"""Epochs after which a process of ``killed`` is killed, once."""
SENTENCE = "film.png: the file is damaged"
BETWEEN = "---- the next scenario ----"
"""Line of standard error between the scenarios."""
Outcome = dict[str, Any]


class Noisyd(Randomizable, Transform):
    """Adds noise to an image."""

    def __call__(self, data: Any) -> dict[str, Any]:
        """Returns a copy."""
        return {**data, "x": data["x"] + torch.from_numpy(self.R.normal(0, 0.1, data["x"].shape))}


class Net(nn.Module):
    """One layer of every kind whose training depends on the batch: batch norm, and dropout in self-attention."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.context = ContextLayer(8)
        self.head = nn.Linear(8, 1)
        for part in self.context.parameters():
            nn.init.normal_(part, std=0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, 1, 16, 16)`` to ``(B, 4)``, a number for every band of four rows."""
        tokens = self.body(x).unflatten(2, (4, 4)).mean((3, 4)).transpose(1, 2)
        return self.head(self.context(tokens, torch.zeros(4, 8, dtype=x.dtype)))[..., 0]


class Small(Trainer):
    """Learns four numbers of an image in double precision, which leaves no room for a mistake to hide in rounding."""

    batch_keys = ("x", "y", "is_known")

    def __init__(self, folder: Path, epochs: int, batch_size: int, freeze_norm: bool = False, workers: int = 0) -> None:
        torch.manual_seed(7)
        schedule = ScheduleConfig(epochs, batch_size, 0.01, 0.01, 1.0, 0.5, 1.0, 2, 3)
        options = freeze_norm, True, False
        super().__init__(Net().double(), schedule, {"batch_size": batch_size}, folder, CPU, workers, None, *options)

    def training_views(self) -> Compose:
        """With noise."""
        return Compose([Noisyd()])

    def validation_views(self) -> Compose:
        """As they are."""
        return Compose([])

    def loss(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Mean square over what is known, of which every image has another share."""
        far = (self.model(batch["x"]) - batch["y"]).square() * batch["is_known"]
        mean = far.sum() / distributed.shared_count(batch["is_known"].sum())
        return mean, {"square": mean}

    @torch.inference_mode()
    def validate(self, loader: DataLoader) -> Localisation:
        """Mean distance, in the order of the items."""
        self.average.eval()
        errors = [error for batch in loader for error in (self.average(batch["x"]) - batch["y"]).abs().mean(1).tolist()]
        errors = distributed.gathered(errors)
        return Localisation(len(errors), errors[0], float(np.mean(errors)), 0.0, 0.0, 0.0, 0.0, 1.0)

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """The averaged weights."""
        torch.save(self.average.module.state_dict(), path)


def items(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Random images and numbers."""
    result = []
    for number in range(first, first + count):
        random = np.random.default_rng(number)
        x, y = torch.from_numpy(random.normal(0, 1 + number, (1, 16, 16))), torch.from_numpy(random.normal(0, 1, 4))
        result.append({"x": x, "y": y, "is_known": (torch.arange(4) <= number % 4).double()})
    return result


def trained(trainer: Small, count: int, rehearsal: Rehearsal | None = None, stop: int = ENDLESS) -> Outcome:
    """Train and validate on five items; what came of it."""
    told: list[Progress] = []
    trainer.fit(
        items(count),
        items(5, 50),
        told.append,
        lambda: trainer.epoch >= stop,
        rehearsal or Rehearsal(),
        keeps_last=True,
    )
    return {
        "network": trainer.network.state_dict(),
        "average": trainer.average.state_dict(),
        "losses": [progress.loss for progress in told],
        "errors": [progress.validation and progress.validation.corner_mean for progress in told],
    }


def with_norms(folder: Path) -> Outcome:
    """20 steps with batch norms in training, images prepared by a worker."""
    return trained(Small(folder, 10, 4, workers=1), 9)


def uneven(folder: Path) -> Outcome:
    """Frozen batch norms; the last batch holds a single image."""
    return trained(Small(folder, 4, 3, freeze_norm=True), 7)


def rehearsed(folder: Path) -> Outcome:
    """Old items beside new ones."""
    return trained(Small(folder, 4, 4, freeze_norm=True), 5, Rehearsal(items(3, 20), 0.5))


def begun(folder: Path, stop: int = ENDLESS) -> Outcome:
    """To be interrupted, and gone on with."""
    return trained(Small(folder, 5, 4), 8, stop=stop)


RUNS: dict[str, Callable[[Path], Outcome]] = {run.__name__: run for run in (with_norms, uneven, rehearsed, begun)}


def networks(folder: Path) -> Outcome:
    """20 steps of fine-tuning of both shipped networks in single precision, as the server does it; their states."""
    shipped, config = load_weights(DEFAULT_WEIGHTS_FILE), load_config()
    assert shipped.refiner is not None
    quick = {"epochs": 10, "batch_size": 4, "warmup_epochs": 1.0}
    config = replace(
        config,
        network=shipped.config.network,
        input=InputConfig(64, 64),
        codec=shipped.config.codec,
        refiner=shipped.refiner.config,
        training=replace(config.training, learning_rate=3e-5, **quick),
        refiner_training=replace(config.refiner_training, learning_rate=1e-6, **quick),
    )
    options: dict[str, Any] = {"freeze_norm": True, "show_bars": False, "full_precision": True}
    phantoms, outcome = synthetic_items(8, 0, 3), Outcome()
    landmarks = LandmarkTrainer(config, folder / "landmarks", CPU, 0, shipped.state, **options)
    corners = CornerTrainer(config, shipped, folder / "corners", CPU, 0, shipped.refiner.state, **options)
    for name, trainer in {"landmarks": landmarks, "corners": corners}.items():
        losses: list[float] = []
        trainer.fit(phantoms, [], lambda progress, told=losses: told.append(progress.loss))
        outcome[name] = {"network": trainer.network.state_dict(), "losses": losses}
    return outcome


def both_networks(folder: Path) -> None:
    """``networks``, whose outcome is written."""
    outcome = networks(folder)
    if distributed.is_first():
        torch.save(outcome, folder / "outcome.pt")


def killed(folder: Path) -> None:
    """One process is killed in the first start; in the second one, the other process fails in the end."""
    is_again = os.environ["TORCHELASTIC_RESTART_COUNT"] != "0"
    trainer = Small(folder, 5, 4)
    if is_again and distributed.is_first():
        (folder / "resumed.txt").write_text(str(trainer.epoch))

    def on_epoch(progress: Progress) -> None:
        if progress.epoch == KILLED_AFTER and distributed.rank() == 1 and not is_again:
            os.kill(os.getpid(), signal.SIGKILL)

    trainer.fit(items(8), items(5, 50), on_epoch, keeps_last=True)
    if distributed.rank() == 1:
        raise ValueError(SENTENCE)
    distributed.from_first(lambda: None)  # the others wait for what no longer comes
    distributed.gathered([])


def equal(folder: Path) -> None:
    """All runs, whose outcomes are written; then one that never ends, and says so."""
    outcomes = {name: run(folder / name) for name, run in RUNS.items()}
    if distributed.is_first():
        torch.save(outcomes, folder / "outcomes.pt")

    def on_epoch(progress: Progress) -> None:
        if distributed.is_first() and progress.epoch == 1:
            (folder / "endless.txt").write_text("")

    Small(folder / "endless", ENDLESS, 4).fit(items(8), [], on_epoch)


SCENARIOS: dict[str, Callable[[Path], None]] = {run.__name__: run for run in (equal, killed)}


def take_part(run: Callable[[Path], None], folder: Path) -> None:
    """Be one of the processes of a run, as a training command is: signals mean what they mean to a new process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    raise SystemExit(_training.run("train", "cpu", lambda device: run(folder)))


def free_port() -> int:
    """On this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def launch(run: Callable[[Path], None], folder: Path) -> None:
    """Fork two processes, and once again where one is killed, by the agent that is at work in torchrun."""
    config = LaunchConfig(
        1,
        1,
        2,
        run_id=run.__name__,
        rdzv_endpoint=f"127.0.0.1:{free_port()}",
        rdzv_backend="static",
        rdzv_configs={"rank": 0},
        max_restarts=1,
        start_method="fork",
    )
    with contextlib.suppress(SignalException, ChildFailedError):
        launch_agent(config, take_part, [run, folder])


def main() -> None:
    """Every scenario in a folder of its own; or what torchrun starts."""
    if sys.argv[1] == "networks":
        take_part(both_networks, Path(sys.argv[2]))
    for name, run in SCENARIOS.items():
        launch(run, Path(sys.argv[1]) / name)
        print(BETWEEN, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
