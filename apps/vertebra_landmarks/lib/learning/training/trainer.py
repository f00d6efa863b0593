"""Base trainer: loop, learning-rate schedule, averaged weights, checkpoints and history."""

from __future__ import annotations

import csv
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from monai.data import CacheDataset, DataLoader, set_track_meta
from monai.transforms import Compose
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from ...evaluation.metrics import Localisation
from ..config import ScheduleConfig
from ..data.rehearsal import Rehearsal, RehearsalBatches
from ..data.seeded_views import NOT_SHOWN, SEED, BatchPlan, PlainBatches, SeededViews, SharedBatches
from ..models.devices import quick_precision
from ..models.dropout import sample_noise
from ..weights.provenance import differences
from ..weights.weight_files import save_atomically
from . import distributed
from .averaging import averaging
from .synced_norm import with_synced_norms

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
HISTORY = "history.csv"
_LOSS = "loss"
NOTHING_OLD = Rehearsal()


@dataclass(frozen=True)
class Progress:
    """State of a run after an epoch.

    Attributes:
        epoch: epochs done.
        epochs: epochs in all.
        loss: mean total loss of the epoch.
        terms: mean of every loss term.
        busy: share of the epoch's time spent in the network, not waiting for data.
        seconds: duration of the epoch.
        validation: errors on the validation images, ``None`` in epochs without validation.
        learning_rate: of the last step.
    """

    epoch: int
    epochs: int
    loss: float
    terms: dict[str, float]
    busy: float
    seconds: float
    validation: Localisation | None
    learning_rate: float


def describe(progress: Progress) -> str:
    """One line for a progress bar."""
    terms = " ".join(f"{name} {value:.3f}" for name, value in progress.terms.items())
    text = f"loss {progress.loss:.3f} ({terms}) busy {progress.busy:.0%}"
    if progress.validation is not None:
        v = progress.validation
        text += f" corner {v.corner_median:.1f}/{v.corner_mean:.1f} px shifted {v.names_shifted:.0%}"
    return text


Item = dict[str, Any]


class Trainer(ABC):
    """One run in one folder; a run that was interrupted goes on from its last finished epoch.

    Where several processes train, see ``distributed``, each of them has a trainer and takes its part of every batch;
    the first one alone writes files and shows progress. How many they are changes nothing but rounding, and an
    interrupted run may go on with another number of them.

    Args:
        network: what learns, on its device.
        schedule: how long and how fast.
        settings: all settings that the run depends on, in plain values; a run is resumed with the same ones only.
        folder: receives the checkpoint, the best weights and the history.
        device: where to train.
        workers: processes that prepare images.
        facts: what the run is about, such as data, fold and digests of files that it depends on; stored in the weight
            file beside the validation errors. A run is resumed with the same ones only.
        freeze_norm: leave the statistics of the batch norms as they are, since those of a few images would spoil them,
            and use every image in every epoch.
        resumable: write a checkpoint after every epoch.
        show_bars: draw progress bars on stderr.
        full_precision: compute in single precision throughout, so that runs can be compared.

    Attributes:
        network: what learns.
        model: the same for ``loss`` to call, which adds up gradients over all processes.

    Raises:
        ValueError: the folder holds a run with another configuration or other facts.
    """

    batch_keys: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        network: torch.nn.Module,
        schedule: ScheduleConfig,
        settings: dict[str, Any],
        folder: Path,
        device: torch.device,
        workers: int,
        facts: dict[str, Any] | None,
        freeze_norm: bool,
        resumable: bool,
        show_bars: bool,
        full_precision: bool = False,
    ) -> None:
        set_track_meta(False)
        self.network = network if freeze_norm else with_synced_norms(network)
        self.schedule, self.settings = schedule, settings
        self.folder, self.device, self.workers, self.facts = folder, device, workers, facts or {}
        self.freeze_norm, self.resumable, self.full_precision = freeze_norm, resumable, full_precision
        self.show_bars = show_bars and distributed.is_first()
        self.average = AveragedModel(network, avg_fn=averaging(schedule.ema_decay), use_buffers=True)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        self.epoch, self.best = 0, math.inf
        self._resume()
        self.model = distributed.replicated(self.network, device)

    @abstractmethod
    def training_views(self) -> Compose:
        """From a training item to the random view that is learnt from."""

    @abstractmethod
    def validation_views(self) -> Compose:
        """From a validation item to the view that is checked."""

    @abstractmethod
    def loss(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Total loss and its terms of a batch on the device."""

    @abstractmethod
    def validate(self, loader: DataLoader) -> Localisation:
        """Errors of the averaged weights in pixels of the original images."""

    @abstractmethod
    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Write the averaged weights."""

    def precision(self) -> torch.autocast:
        """A context for networks to compute in."""
        return quick_precision(self.device, not self.full_precision)

    def _resume(self) -> None:
        state = distributed.from_first(self._stored)
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.best = state["epoch"], state["best"]

    def _stored(self) -> dict[str, Any] | None:
        """The checkpoint in the folder; ``None`` if there is none, then the folder is made."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            return None
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if {name: state["config"].get(name) for name in self.settings} != self.settings:
            raise ValueError(f"{self.folder} holds a run with another configuration; choose another folder")
        if state["facts"] != self.facts:
            difference = differences(state["facts"], self.facts)
            raise ValueError(f"{self.folder} holds another run ({difference}); choose another folder")
        return state

    def _checkpoint(self) -> None:
        state = {
            "config": self.settings,
            "facts": self.facts,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "best": self.best,
        }
        save_atomically(state, self.folder / CHECKPOINT)

    def fit(
        self,
        training: Sequence[Item],
        validation: Sequence[Item],
        on_epoch: Callable[[Progress], None] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        rehearsal: Rehearsal = NOTHING_OLD,
        keeps_last: bool = False,
    ) -> Path | None:
        """Train to the end, keeping the weights with the lowest mean corner error on the validation images.

        Args:
            training: items with ``IMAGE`` and ``LABEL`` in original pixels.
            validation: the same; may be empty, then the last weights are kept.
            on_epoch: called after every epoch.
            should_stop: called before every epoch, by the first process; a stopped run can be resumed.
            rehearsal: items that are learnt beside the others in every batch, and that no epoch is counted by.
            keeps_last: keep the weights of the last epoch whatever the errors, so that a later comparison on the
                validation images is about weights which were not chosen by them.

        Returns:
            The weight file; ``None`` if the run was stopped before it wrote one.

        Raises:
            ValueError: there is no training item, or batches are too small for the number of processes.
            FloatingPointError: the loss is no longer finite.
        """
        if not training:
            raise ValueError("there is no labelled image to train on")
        loader = self._training_loader(training, rehearsal)
        checked = self._validation_loader(validation)
        epochs, is_quiet = self.schedule.epochs, not self.show_bars
        bar = tqdm(total=epochs, initial=self.epoch, unit="epoch", dynamic_ncols=True, disable=is_quiet)
        with bar:
            while self.epoch < epochs and not distributed.from_first(should_stop):
                progress = self._train_epoch(loader, checked)
                self._keep(progress, keeps_last)
                if distributed.is_first():
                    if self.resumable:
                        self._checkpoint()
                    self._log(progress)
                bar.set_postfix_str(describe(progress))
                bar.update()
                if on_epoch is not None:
                    on_epoch(progress)
        best = self.folder / BEST
        return best if distributed.from_first(best.exists) else None

    def check(self, items: Sequence[Item]) -> Localisation | None:
        """Errors of the averaged weights as they stand on items as ``fit`` takes them; ``None`` without items."""
        loader = self._validation_loader(items)
        return self.validate(loader) if loader is not None else None

    def _training_loader(self, items: Sequence[Item], rehearsal: Rehearsal) -> DataLoader:
        size, seed = self.schedule.batch_size, self.schedule.seed
        shown: list[Mapping[str, Any]] = [*items]
        plan: BatchPlan = PlainBatches(len(items), size, not self.freeze_norm, seed)
        if rehearsal.is_needed:
            shown += rehearsal.items
            plan = RehearsalBatches(len(items), len(rehearsal.items), size, rehearsal.share, seed)
        least = min(size, len(shown))
        if not self.freeze_norm and least < distributed.count():
            raise ValueError(f"{distributed.count()} processes need batches of as many images, got {least}")
        return DataLoader(
            SeededViews(shown, self.training_views(), self.show_bars),
            batch_sampler=SharedBatches(plan, seed, distributed.rank(), distributed.count()),
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=self.device.type == "cuda",
        )

    def _validation_loader(self, items: Sequence[Item]) -> DataLoader | None:
        """This process's part of the items; ``None`` where there are none at all."""
        if not items:
            return None
        own, views = list(distributed.share_of(items)), self.validation_views()
        dataset = CacheDataset(own, views, num_workers=2, copy_cache=False, progress=self.show_bars)
        return DataLoader(dataset, batch_size=self.schedule.batch_size, num_workers=0)

    def _learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """Linear warm-up, then half a cosine down to zero."""
        warm = self.schedule.warmup_epochs * steps_per_epoch
        if step < warm:
            return self.schedule.learning_rate * (step + 1) / warm
        share = (step - warm) / max(1.0, self.schedule.epochs * steps_per_epoch - warm)
        return self.schedule.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))

    def _train_epoch(self, loader: DataLoader, checked: DataLoader | None) -> Progress:
        self.network.train()
        if self.freeze_norm:
            for module in self.network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.eval()
        loader.batch_sampler.epoch = self.epoch
        begin = time.perf_counter()
        waited, sums = 0.0, dict[str, float]()
        since = time.perf_counter()
        title, is_quiet = f"epoch {self.epoch + 1}", not self.show_bars
        for number, batch in enumerate(tqdm(loader, title, leave=False, dynamic_ncols=True, disable=is_quiet)):
            waited += time.perf_counter() - since
            rate = self._learning_rate(self.epoch * len(loader) + number, len(loader))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            for name, value in self._step(batch).items():
                sums[name] = sums.get(name, 0.0) + value
            since = time.perf_counter()
        seconds = time.perf_counter() - begin
        self.epoch += 1
        means = {name: value / len(loader) for name, value in sums.items()}
        is_due = self.epoch % self.schedule.validate_every == 0 or self.epoch == self.schedule.epochs
        return Progress(
            self.epoch,
            self.schedule.epochs,
            means.pop(_LOSS),
            means,
            1 - waited / seconds,
            seconds,
            self.validate(checked) if checked is not None and is_due else None,
            self.optimizer.param_groups[0]["lr"],
        )

    def _step(self, batch: dict[str, torch.Tensor]) -> dict[str, float]:
        """Learn from this process's part of a batch; the loss and its terms of the whole batch."""
        is_shown = batch[SEED] != NOT_SHOWN
        own = {key: batch[key] if is_shown.all() else batch[key][is_shown] for key in self.batch_keys}
        with sample_noise(batch[SEED][is_shown].tolist(), self.device):
            loss, terms = self.loss({key: part.to(self.device, non_blocking=True) for key, part in own.items()})
        means = distributed.mean({_LOSS: loss, **terms})
        if not math.isfinite(means[_LOSS]):
            raise FloatingPointError(f"the loss is no longer finite in epoch {self.epoch + 1}; lower the learning rate")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.gradient_clip)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        return means

    def _keep(self, progress: Progress, keeps_last: bool) -> None:
        error = progress.validation.corner_mean if progress.validation is not None else math.nan
        if error < self.best:
            self.best = error
        elif math.isfinite(self.best) and not keeps_last:  # else no error to choose by: no validation, or no corners
            return
        figures = asdict(progress.validation) if progress.validation is not None else {}
        if distributed.is_first():
            self.save(self.folder / BEST, {**self.facts, "epoch": progress.epoch, "validation": figures})

    def _log(self, progress: Progress) -> None:
        row = {
            "epoch": progress.epoch,
            "loss": f"{progress.loss:.5f}",
            **{name: f"{value:.5f}" for name, value in progress.terms.items()},
            "seconds": f"{progress.seconds:.1f}",
            "busy": f"{progress.busy:.3f}",
            "validation": json.dumps(asdict(progress.validation)) if progress.validation is not None else "",
        }
        path = self.folder / HISTORY
        is_new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, row)
            if is_new:
                writer.writeheader()
            writer.writerow(row)
