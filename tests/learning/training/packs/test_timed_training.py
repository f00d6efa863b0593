"""Training against the clock: schedule, checkpoints, batches with mirror images."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import torch

from lib.learning.codec import mirror_maps
from lib.learning.models.landmark_net import Maps
from lib.learning.training.batches.random_draws import BatchRandom
from lib.learning.training.packs.checkpoint import checkpoint_path, read_checkpoint, write_checkpoint
from lib.learning.training.packs.tasks import ImageSampler, Task, Terms, mirror_difference
from lib.learning.training.packs.timed_training import TimedSchedule, TimedTraining

CPU = torch.device("cpu")


class Line(Task):
    """Learns the slope 3; every tenth loss is no number.

    Args:
        spoilt: the batch, counted from 1, of which the network sees numbers that are none.
    """

    def __init__(self, spoilt: int = 0) -> None:
        torch.manual_seed(0)
        self.network = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.BatchNorm1d(1, affine=False))
        self.slope = self.network[0]
        self.random = BatchRandom(CPU, 0)
        self.batches, self.spoilt = 0, spoilt

    def loss(self) -> tuple[torch.Tensor, Terms]:
        """Total loss of a new batch, and its terms; half of the noise is of the batch, half of PyTorch's generator."""
        self.batches += 1
        x = self.random.normal(8, 1) + torch.randn(8, 1)
        self.network(x * math.nan if self.batches == self.spoilt else x)
        loss = (self.slope(x) - 3 * x).square().mean()
        if self.batches % 10 == 0:
            loss = loss * math.nan
        return loss, {"square": loss.detach()}


def training_of(task: Task, seconds: float, saved: list[TimedTraining] | None = None) -> TimedTraining:
    """A training whose steps last a 64th of a second."""
    ticks = itertools.count(0.0, 1 / 64)
    schedule = TimedSchedule(seconds, 0.1, ema_decay=0.9, save_every=1.0)
    on_save = (lambda _: None) if saved is None else saved.append
    return TimedTraining(task, schedule, on_save, lambda line: None, lambda: next(ticks))


def test_rates_rise_then_fall_to_nothing() -> None:
    schedule = TimedSchedule(100, 2e-3, warmup=0.1)
    assert schedule.rate(0.0) == pytest.approx(1e-4)
    assert schedule.rate(0.1) == pytest.approx(2e-3)
    assert schedule.rate(0.55) == pytest.approx(1e-3)
    assert schedule.rate(1.0) == pytest.approx(0.0, abs=1e-9)


def test_training_learns_saves_reports_and_skips_what_is_no_number() -> None:
    task, lines, saved = Line(), list[str](), list[tuple[int, float]]()
    ticks = itertools.count(0.0, 1 / 64)
    schedule = TimedSchedule(3.0, 0.1, ema_decay=0.9, save_every=1.0)
    training = TimedTraining(
        task, schedule, lambda one: saved.append((one.steps, one.elapsed)), lines.append, lambda: next(ticks)
    )
    training.fit()
    assert training.steps == task.batches == 192
    assert [steps for steps, _ in saved] == [65, 130, 192]
    assert saved[-1][1] == pytest.approx(3.0)
    assert float(training.average.module.state_dict()["0.weight"]) == pytest.approx(3.0, abs=0.05)
    assert [line.split(":")[0] for line in lines] == ["2 s, step 100"]


def test_an_interrupted_training_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = training_of(Line(), 2.5)
    whole.fit()
    path, run = checkpoint_path(tmp_path / "line.pt"), {"pack": "0123"}
    interrupted = training_of(Line(), 2.5)

    def end(training: TimedTraining) -> None:
        write_checkpoint(path, run, training.state())
        raise KeyboardInterrupt

    interrupted.on_save = end
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit()
    state = read_checkpoint(path, run)
    assert state is not None
    task = Line()
    task.batches = interrupted.steps
    resumed = training_of(task, 2.5)
    resumed.restore(state)
    assert 0 < resumed.steps < whole.steps
    resumed.fit()
    assert (resumed.steps, resumed.elapsed) == (whole.steps, whole.elapsed)
    for name, value in whole.average.module.state_dict().items():
        assert torch.equal(value, resumed.average.module.state_dict()[name])
    torch.testing.assert_close(resumed.task.network.state_dict(), whole.task.network.state_dict(), rtol=0, atol=0)


def test_a_training_that_is_at_its_end_does_nothing() -> None:
    first = training_of(Line(), 1.5)
    first.fit()
    again, saved = training_of(Line(), 1.5), list[TimedTraining]()
    again.on_save = saved.append
    again.restore(first.state())
    again.fit()
    assert again.steps == first.steps
    assert saved == [again]


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path / "corners.pt")
    assert path.name == "corners.checkpoint.pt"
    assert read_checkpoint(path, {}) is None
    write_checkpoint(path, {"pack": "0123", "batch": 8, "image_digests": "aa"}, {"steps": 3})
    assert read_checkpoint(path, {"pack": "0123", "batch": 8, "image_digests": "aa"}) == {"steps": 3}
    with pytest.raises(ValueError, match=r"of another run \(batch is 8, not 9\); choose another output"):
        read_checkpoint(path, {"pack": "0123", "batch": 9, "image_digests": "aa"})
    with pytest.raises(ValueError, match=r"of another run \(the images that are learnt from\)"):
        read_checkpoint(path, {"pack": "0123", "batch": 8, "image_digests": "bb"})
    path.write_text("no checkpoint", encoding="utf-8")
    with pytest.raises(ValueError, match="is no checkpoint of a training from a pack"):
        read_checkpoint(path, {})


def test_spoilt_weights_are_not_gone_on_with() -> None:
    task = Line()
    training = training_of(task, 1.0)
    before = training.schedule.rate(0.5)
    with torch.no_grad():
        task.slope.weight.fill_(math.nan)
    training._check({"loss": math.nan})
    assert bool(task.slope.weight.isfinite().all())
    training.fit()
    assert training.optimizer.param_groups[0]["lr"] < before / 2
    with torch.no_grad():
        task.slope.weight.fill_(math.nan)
        training.average.module[0].weight.fill_(math.nan)
    with pytest.raises(FloatingPointError, match="no longer finite"):
        training._check({})


def test_a_batch_that_spoils_the_statistics_alone_is_recovered_from() -> None:
    """Nothing is wrong with the weights then, nor with the loss; what is stored is evaluated with the statistics."""
    task, lines = Line(spoilt=25), list[str]()
    training = training_of(task, 3.0)
    training.report = lines.append
    training.fit()
    assert [line for line in lines if "back to the averaged ones at half the rate" in line] == lines[1:2]
    for network in (task.network, training.average.module):
        assert all(bool(value.isfinite().all()) for value in network.state_dict().values())
    assert float(training.average.module[0].weight) == pytest.approx(3.0, abs=0.05)
    assert float(training.average.module[1].running_var) > 0


def test_images_are_drawn_by_their_chances() -> None:
    sampler = ImageSampler(torch.tensor([0.0, 1.0, 3.0]), BatchRandom(CPU, 0))
    counts = torch.bincount(sampler(4000), minlength=3)
    assert int(counts[0]) == 0
    assert int(counts[2]) == pytest.approx(3000, abs=100)


def test_maps_that_are_mirror_images_do_not_differ() -> None:
    torch.manual_seed(0)
    maps = Maps(torch.randn(2, 17, 8, 6) + 1, torch.randn(2, 2, 8, 6), torch.randn(2, 8, 8, 6))
    both = Maps(*(torch.cat(pair) for pair in zip(maps, mirror_maps(maps), strict=True)))
    assert float(mirror_difference(both, 2)) == pytest.approx(0.0, abs=1e-6)
    other = Maps(*(torch.cat([a, torch.randn_like(a)]) for a in maps))
    assert float(mirror_difference(other, 2)) > 0.5
