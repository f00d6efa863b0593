"""Training against the clock on one device: the schedule ends after a given time, however often it is interrupted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..averaging import Average, all_finite
from .tasks import Task, Terms

_CHECK_EVERY = 100  # steps between looks at the loss, each of which waits for the device


@dataclass(frozen=True)
class TimedSchedule:
    """How long and how fast.

    Attributes:
        seconds: of training.
        learning_rate: the highest; reached after ``warmup`` of the time, then half a cosine down to zero.
        warmup: share of the time.
        weight_decay: of AdamW.
        ema_decay: of the averaged weights, per step.
        gradient_clip: largest gradient norm.
        save_every: seconds between checkpoints.
    """

    seconds: float
    learning_rate: float
    warmup: float = 0.04
    weight_decay: float = 1e-2
    ema_decay: float = 0.999
    gradient_clip: float = 10.0
    save_every: float = 100.0

    def rate(self, share: float) -> float:
        """Learning rate after a share of the time."""
        if share < self.warmup:
            return self.learning_rate * (0.05 + 0.95 * share / self.warmup)
        rest = (share - self.warmup) / (1 - self.warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, rest)))


class TimedTraining:
    """Trains until the time is up.

    A step whose gradient is not finite is left out, and the averages take in finite numbers only. Where weights or
    statistics are spoilt all the same, the training goes on from the averaged ones at half the rate.

    Args:
        task: what is learnt.
        schedule: how long and how fast.
        on_save: called every now and then, and at the end.
        report: called with a line of progress.
        clock: seconds.

    Attributes:
        average: of the weights.
        steps: done so far.
        elapsed: seconds of training so far.
    """

    def __init__(
        self,
        task: Task,
        schedule: TimedSchedule,
        on_save: Callable[[TimedTraining], None],
        report: Callable[[str], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.task, self.schedule, self.on_save, self.report, self.clock = task, schedule, on_save, report, clock
        self.average = Average(task.network, schedule.ema_decay)
        self.optimizer = self._new_optimizer()
        self.steps, self.elapsed, self._rate_factor = 0, 0.0, 1.0

    def _new_optimizer(self) -> torch.optim.Optimizer:
        s = self.schedule
        return torch.optim.AdamW(
            self.task.network.parameters(), lr=s.learning_rate, weight_decay=s.weight_decay, fused=True
        )

    def state(self) -> dict[str, Any]:
        """Everything that ``restore`` needs for a training to go on as if it had not been interrupted."""
        return {
            "network": self.task.network.state_dict(),
            "average": self.average.module.state_dict(),
            "average_steps": self.average.steps,
            "optimizer": self.optimizer.state_dict(),
            "random": self.task.random.state(),
            "torch_random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "steps": self.steps,
            "elapsed": self.elapsed,
            "rate_factor": self._rate_factor,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of the same training on the same kind of device."""
        self.task.network.load_state_dict(state["network"])
        self.average.module.load_state_dict(state["average"])
        self.average.steps = state["average_steps"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.task.random.restore(state["random"])
        torch.set_rng_state(state["torch_random"].cpu())
        if len(state["cuda_random"]) == torch.cuda.device_count() > 0:
            torch.cuda.set_rng_state_all([part.cpu() for part in state["cuda_random"]])
        self.steps, self.elapsed, self._rate_factor = state["steps"], state["elapsed"], state["rate_factor"]

    def fit(self) -> None:
        """Train to the end.

        Raises:
            FloatingPointError: the loss is no longer finite, and the averaged weights are spoilt too.
            OSError: what ``on_save`` writes cannot be written.
        """
        s, network = self.schedule, self.task.network
        network.train()
        begin = self.clock() - self.elapsed
        saved, sums, count = self.elapsed, Terms(), 0
        while self.elapsed < s.seconds:
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate_factor * s.rate(self.elapsed / s.seconds)
            for name, value in self._step().items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + value
            self.steps, count = self.steps + 1, count + 1
            self.elapsed = self.clock() - begin
            if self.steps % _CHECK_EVERY == 0:
                self._check({name: float(value) / count for name, value in sums.items()})
                sums, count = Terms(), 0
            if self.elapsed - saved > s.save_every:
                saved = self.elapsed
                self.on_save(self)
        self.on_save(self)

    def _step(self) -> Terms:
        """One step; the loss and its terms."""
        loss, terms = self.task.loss()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.task.network.parameters(), self.schedule.gradient_clip)
        # the fused step reads this on the device and does nothing where it is 1
        self.optimizer.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]
        self.optimizer.step()
        self.average.update()
        return {name: value.detach() for name, value in (("loss", loss), *terms.items())}

    def _check(self, means: Mapping[str, float]) -> None:
        """Report mean losses; where weights or statistics are spoilt, go on from the averaged ones.

        Raises:
            FloatingPointError: these are spoilt too.
        """
        figures = " ".join(f"{name} {value:.4f}" for name, value in means.items())
        self.report(f"{self.elapsed:.0f} s, step {self.steps}: {figures}")
        if all_finite(self.task.network):
            return
        if not all_finite(self.average.module):
            raise FloatingPointError("weights are no longer finite, nor are the averaged ones; lower the rate")
        self.report("weights are no longer finite: back to the averaged ones at half the rate")
        self.average.restore()
        self.optimizer = self._new_optimizer()
        self._rate_factor /= 2
