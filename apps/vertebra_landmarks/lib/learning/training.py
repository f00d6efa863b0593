"""The one training entry, used by ``scripts/train.py`` and by the server."""

from __future__ import annotations

import csv
import json
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import CacheDataset, DataLoader, set_track_meta
from monai.transforms import Compose
from monai.utils import set_determinism
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from ..spine.geometry import transform_points
from ..spine.metrics import Localisation, localisation
from ..spine.priors import DEFAULT_PRIOR, ChainPrior
from .codec import STATE, LandmarkCodec, is_placed
from .config import Config
from .devices import has_fast_bfloat16
from .losses import LandmarkCriterion
from .network import LandmarkNet, Maps, on_device
from .transforms import IMAGE, LABEL, MATRIX, training_transforms, validation_transforms
from .weights import save_atomically, save_weights

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
HISTORY = "history.csv"


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
    """

    epoch: int
    epochs: int
    loss: float
    terms: dict[str, float]
    busy: float
    seconds: float
    validation: Localisation | None


def _averaging(decay: float) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor | int], torch.Tensor]:
    """Exponential average that follows quickly at first, so that the random start is forgotten."""

    def average(averaged: torch.Tensor, current: torch.Tensor, steps: torch.Tensor | int) -> torch.Tensor:
        keep = min(decay, (1 + int(steps)) / (10 + int(steps)))
        return averaged + (current - averaged) * (1 - keep)

    return average


class Trainer:
    """One run in one folder; a run that was interrupted goes on from its last finished epoch.

    Args:
        config: all tunables.
        folder: receives the checkpoint, the best weights and the history.
        device: where to train.
        workers: processes that prepare images.
        initial: weights to start from.
        facts: what the run is about, such as data and fold; stored in the weight file beside the validation errors.
        prior: how centers follow each other in the spines trained on; stored in the weight file for MAP decoding.
        freeze_norm: leave the statistics of the batch norms as they are, since those of a few images would spoil them,
            and use every image in every epoch.
        resumable: write a checkpoint after every epoch.
        show_bars: draw progress bars on stderr.

    Raises:
        ValueError: the folder holds a run with another configuration or other facts.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        device: torch.device,
        workers: int = 1,
        initial: dict[str, torch.Tensor] | None = None,
        facts: dict[str, Any] | None = None,
        prior: ChainPrior = DEFAULT_PRIOR,
        freeze_norm: bool = False,
        resumable: bool = True,
        show_bars: bool = True,
    ) -> None:
        set_track_meta(False)
        self.facts, self.prior = facts or {}, prior
        self.freeze_norm, self.resumable, self.show_bars = freeze_norm, resumable, show_bars
        self.config, self.folder, self.device, self.workers = config, folder, device, workers
        self.has_bfloat16 = has_fast_bfloat16(device)
        set_determinism(config.training.seed)
        self.network = on_device(LandmarkNet(config.network), device)
        if initial is not None:
            self.network.load_state_dict(initial)
        self.average = AveragedModel(self.network, avg_fn=_averaging(config.training.ema_decay), use_buffers=True)
        self.codec = LandmarkCodec(config.codec)
        self.criterion = LandmarkCriterion(self.codec, config.loss)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.training.learning_rate, weight_decay=config.training.weight_decay
        )
        self.epoch, self.best = 0, math.inf
        self._resume()

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["config"] != self._settings():
            raise ValueError(f"{self.folder} holds a run with another configuration; choose another folder")
        if state["facts"] != self.facts:
            raise ValueError(f"{self.folder} holds a run on {state['facts']}, not {self.facts}; choose another folder")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.best = state["epoch"], state["best"]
        set_determinism(self.config.training.seed + self.epoch)  # not the first epochs' views again

    def _settings(self) -> dict[str, Any]:
        """All settings that a run depends on: those of using its weights may change."""
        return {name: value for name, value in self.config.to_dict().items() if name not in ("prediction", "map")}

    def _checkpoint(self) -> None:
        state = {
            "config": self._settings(),
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
        training: Sequence[dict[str, Any]],
        validation: Sequence[dict[str, Any]],
        on_epoch: Callable[[Progress], None] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Path | None:
        """Train to the end, keeping the weights with the lowest mean corner error on the validation images.

        Args:
            training: items with ``IMAGE`` and ``LABEL`` in original pixels.
            validation: the same; may be empty, then the last weights are kept.
            on_epoch: told after every epoch.
            should_stop: asked before every epoch; a stopped run can be resumed.

        Returns:
            The weight file; ``None`` if the run was stopped before it wrote one.

        Raises:
            ValueError: there is no training item.
            FloatingPointError: the loss is no longer finite.
        """
        if not training:
            raise ValueError("there is no labelled image to train on")
        loader = self._training_loader(training)
        checked = self._validation_loader(validation)
        epochs, is_quiet = self.config.training.epochs, not self.show_bars
        bar = tqdm(total=epochs, initial=self.epoch, unit="epoch", dynamic_ncols=True, disable=is_quiet)
        with bar:
            while self.epoch < epochs and not should_stop():
                progress = self._train_epoch(loader, checked)
                self._keep(progress)
                if self.resumable:
                    self._checkpoint()
                self._log(progress)
                bar.set_postfix_str(describe(progress))
                bar.update()
                if on_epoch is not None:
                    on_epoch(progress)
        best = self.folder / BEST
        return best if best.exists() else None

    def _training_loader(self, items: Sequence[dict[str, Any]]) -> DataLoader:
        dataset = self._cached(items, training_transforms(self.config))
        return DataLoader(
            dataset,
            batch_size=min(self.config.training.batch_size, len(dataset)),
            shuffle=True,
            drop_last=not self.freeze_norm,  # a last batch of one image has poor statistics
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=self.device.type == "cuda",
        )

    def _validation_loader(self, items: Sequence[dict[str, Any]]) -> DataLoader | None:
        if not items:
            return None
        dataset = self._cached(items, validation_transforms(self.config))
        return DataLoader(dataset, batch_size=self.config.training.batch_size, num_workers=0)

    def _cached(self, items: Sequence[dict[str, Any]], transforms: Compose) -> CacheDataset:
        return CacheDataset(list(items), transforms, num_workers=2, copy_cache=False, progress=self.show_bars)

    def _learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """Linear warm-up, then half a cosine down to zero."""
        schedule = self.config.training
        warm = schedule.warmup_epochs * steps_per_epoch
        if step < warm:
            return schedule.learning_rate * (step + 1) / warm
        share = (step - warm) / max(1.0, schedule.epochs * steps_per_epoch - warm)
        return schedule.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.has_bfloat16)

    def _train_epoch(self, loader: DataLoader, checked: DataLoader | None) -> Progress:
        self.network.train()
        if self.freeze_norm:
            for module in self.network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.eval()
        begin = time.perf_counter()
        waited, total, sums = 0.0, 0.0, dict[str, float]()
        asked = time.perf_counter()
        title, is_quiet = f"epoch {self.epoch + 1}", not self.show_bars
        for number, batch in enumerate(tqdm(loader, title, leave=False, dynamic_ncols=True, disable=is_quiet)):
            waited += time.perf_counter() - asked
            rate = self._learning_rate(self.epoch * len(loader) + number, len(loader))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            loss, terms = self._step(batch)
            total += loss
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value
            asked = time.perf_counter()
        seconds = time.perf_counter() - begin
        self.epoch += 1
        is_due = self.epoch % self.config.training.validate_every == 0 or self.epoch == self.config.training.epochs
        return Progress(
            self.epoch,
            self.config.training.epochs,
            total / len(loader),
            {name: value / len(loader) for name, value in sums.items()},
            1 - waited / seconds,
            seconds,
            self.validate(checked) if checked is not None and is_due else None,
        )

    def _step(self, batch: dict[str, torch.Tensor]) -> tuple[float, dict[str, float]]:
        image = batch[IMAGE].to(self.device, memory_format=torch.channels_last, non_blocking=True)
        label = batch[LABEL].to(self.device, non_blocking=True)
        with self._autocast():
            prediction = self.network(image)
        loss, terms = self.criterion(prediction, label)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is no longer finite in epoch {self.epoch + 1}; lower the learning rate")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.training.gradient_clip)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        return float(loss.detach()), {name: float(value.detach()) for name, value in terms.items()}

    def check(self, items: Sequence[dict[str, Any]]) -> Localisation | None:
        """Errors of the averaged weights as they stand on items as ``fit`` takes them; ``None`` without items."""
        loader = self._validation_loader(items)
        return self.validate(loader) if loader is not None else None

    @torch.inference_mode()
    def validate(self, loader: DataLoader) -> Localisation:
        """Errors of the averaged weights in pixels of the original images."""
        self.average.eval()
        predicted, labelled = [], []
        for batch in loader:
            with self._autocast():
                maps = self.average(batch[IMAGE].to(self.device, memory_format=torch.channels_last))
            xy = self.codec.decode(Maps(maps.heatmap.float().sigmoid(), maps.offset, maps.corner_offset)).xy
            label = batch[LABEL].double()
            label = torch.where(is_placed(label[..., STATE:]), label, torch.nan)[..., :STATE]
            for matrix, p, q in zip(batch[MATRIX].numpy(), xy.double().cpu().numpy(), label.numpy(), strict=True):
                back = np.linalg.inv(matrix)
                predicted.append(transform_points(back, p))
                labelled.append(transform_points(back, q))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "(Mean of empty|All-NaN) slice")  # labels without corners: no such error
            return localisation(np.stack(predicted), np.stack(labelled))

    def _keep(self, progress: Progress) -> None:
        path = self.folder / BEST
        error = progress.validation.corner_mean if progress.validation is not None else math.nan
        if error < self.best:
            self.best = error
        elif math.isfinite(self.best):  # else there is no error to choose by: no validation, or no corner in its labels
            return
        figures = asdict(progress.validation) if progress.validation is not None else {}
        facts = {**self.facts, "epoch": progress.epoch, "validation": figures}
        save_weights(path, self.average.module.state_dict(), self.config, facts, self.prior)

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


def describe(progress: Progress) -> str:
    """One line for a progress bar."""
    terms = " ".join(f"{name} {value:.3f}" for name, value in progress.terms.items())
    text = f"loss {progress.loss:.3f} ({terms}) busy {progress.busy:.0%}"
    if progress.validation is not None:
        v = progress.validation
        text += f" corner {v.corner_median:.1f}/{v.corner_mean:.1f} px shifted {v.names_shifted:.0%}"
    return text
