"""The trainings and evaluations of the ablation, each in a folder of its own, each done once."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import _training
from experiments.ablation.table import FINAL, LABELS, ROWS, TRAINED_BY, TRAININGS, Entry
from lib.evaluation.evaluate import Figures, anatomy_figures, evaluate
from lib.image_io import read_radiograph
from lib.learning.config import Config, PredictionConfig, load_config
from lib.learning.data.aasce import FOLDS, Record, folds, to_items
from lib.learning.data.synthetic import synthetic_items
from lib.learning.decoders import DECODERS
from lib.learning.models.landmark_net import LandmarkNet
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.learning.training.landmark_trainer import LandmarkTrainer
from lib.learning.training.trainer import BEST, HISTORY, Progress
from lib.learning.weights.provenance import AASCE, differences, file_trained_on, init_facts, trained_on
from lib.learning.weights.weight_files import file_digest, load_weights
from lib.spine.atomic_write import atomic_write
from lib.spine.chain_prior import DEFAULT_PRIOR, MIN_SPINES, measure_prior
from lib.spine.geometry import with_centers
from lib.spine.measurement.anatomy import spans_of

TRAINING, EVALUATION = "training.json", "evaluation.json"
_AIDS = ("mirror", "second_look", "refinement")
"""What the method does not have: settings of ``PredictionConfig`` that are off but for the final recipe."""
_PROBE_BATCHES = 2
_DIGITS = 16
"""Of the digests in its records."""


@dataclass(frozen=True)
class Job:
    """A training and its evaluation, or only the evaluation of weights that are given.

    Attributes:
        training: a key of ``TRAININGS``, or ``FINAL``.
        fold: that is held out and evaluated on.
        seed: of the training; ``None`` of given weights.
    """

    training: str
    fold: int
    seed: int | None

    @property
    def name(self) -> str:
        """Its folder within the ablation's."""
        return f"{self.training}/fold{self.fold}" + (f"_seed{self.seed}" if self.seed is not None else "")


class Ablation:
    """All jobs of an ablation in one folder.

    Args:
        folder: receives a folder per job.
        records: the training split.
        configs: the configuration of every training, by seed and by key of ``TRAININGS``.
        held_out: folds that are held out in turn.
        start: weight file to start from, by fold; none: from random weights. The last layer of the heatmaps, of which
            there are more in some rows than in others, starts at random all the same.
        final: weight file of the final recipe, by fold; none: no such row.
        device: where to compute.
        workers: processes that prepare images.
        assume_unseen: take weights that do not say what they were trained on.
        logs: in which every training is shown.

    Raises:
        ValueError: there is no fold or seed, a fold has no clean image, weights were trained on the fold that they are
            given for or do not say on what, or a folder holds a training with other settings or figures made under
            other conditions.
        OSError: a file cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        records: Sequence[Record],
        configs: Mapping[int, Mapping[str, Config]],
        held_out: Sequence[int],
        start: Mapping[int, Path] | None = None,
        final: Mapping[int, Path] | None = None,
        device: torch.device | None = None,
        workers: int = 1,
        assume_unseen: bool = False,
        logs: Sequence[str] = (),
    ) -> None:
        if not configs or not held_out:
            raise ValueError("an ablation needs at least one fold and one seed")
        self.folder, self.configs, self.held_out = folder, configs, tuple(held_out)
        self.start, self.final = dict(start or {}), dict(final or {})
        self.device, self.workers, self.logs = device or torch.device("cpu"), workers, logs
        fold_of = folds(records)
        self.kept = {f: [r for r, g in zip(records, fold_of, strict=True) if g != f] for f in held_out}
        self.records = {
            f: [r for r, g in zip(records, fold_of, strict=True) if g == f and r.is_clean] for f in held_out
        }
        for fold in held_out:
            if fold not in range(FOLDS) or not self.records[fold]:
                raise ValueError(f"fold {fold} has no clean image to evaluate on")
        for fold, path in self.start.items():  # its corner network is not asked
            trained_on(load_weights(path).facts).check_unseen(fold, str(path), assume_unseen=assume_unseen)
        for fold, path in self.final.items():
            file_trained_on(load_weights(path)).check_unseen(fold, str(path), assume_unseen=assume_unseen)
        for job in self.jobs:
            self._check_settings(job)
            self._check_conditions(job)

    @property
    def jobs(self) -> list[Job]:
        """All jobs, in the order in which they are done: a whole fold first, so that all rows grow together."""
        jobs = [Job(name, fold, seed) for seed in self.configs for fold in self.held_out for name in TRAININGS]
        return jobs + [Job(FINAL, fold, None) for fold in self.final]

    def state(self, job: Job) -> str:
        """What is done, cheaply: "missing", "epoch 3 of 30", "trained" or "done"."""
        folder = self.folder / job.name
        if (folder / EVALUATION).exists():
            return "done"
        if job.training == FINAL:
            return "missing"
        if self.is_trained(job):
            return "trained"
        history = folder / HISTORY
        epochs = len(history.read_text(encoding="utf-8").splitlines()) - 1 if history.exists() else 0
        return f"epoch {epochs} of {self._config(job).training.epochs}" if epochs > 0 else "missing"

    def is_trained(self, job: Job) -> bool:
        """Whether the weights of a job are there and trained to the end."""
        path = self.folder / job.name / TRAINING
        return job.training == FINAL or (path.exists() and _read(path)["is_done"])

    def steps(self, job: Job) -> int:
        """Steps of the optimizer that a training takes in all."""
        schedule = self._config(job).training
        count = len(to_items(self.kept[job.fold])) + schedule.phantoms + schedule.spineless
        return schedule.epochs * max(1, count // schedule.batch_size)

    def steps_left(self, job: Job) -> int:
        """Steps that a training still takes."""
        if self.is_trained(job):
            return 0
        steps, epochs = self.steps(job), self._config(job).training.epochs
        state = self.state(job)
        done = int(state.split()[1]) if state.startswith("epoch") else 0
        return steps - steps // epochs * min(done, epochs)

    def seconds_per_step(self) -> float:
        """Time of one training step, measured on a few of the images; what is learnt from them is thrown away."""
        job = next(job for job in self.jobs if job.training != FINAL)
        config = self._config(job)
        schedule = replace(config.training, epochs=2)  # the first is slower than all later ones
        config = replace(config, training=schedule)
        items = to_items(self.kept[job.fold])[: _PROBE_BATCHES * schedule.batch_size]
        told: list[Progress] = []
        with tempfile.TemporaryDirectory() as temporary:
            options: dict[str, Any] = {"resumable": False, "show_bars": False}
            LandmarkTrainer(config, Path(temporary), self.device, self.workers, **options).fit(items, [], told.append)
        return told[-1].seconds / max(1, len(items) // schedule.batch_size)

    def train(self, job: Job) -> None:
        """Train to the end, or do nothing where that is done; an interrupted training goes on.

        The last weights count: none are chosen on the held-out images.

        Raises:
            ValueError: the folder holds a training with other settings, or the weights to start from do not fit.
            OSError: a file cannot be read or written.
            FloatingPointError: the loss is no longer finite.
        """
        if self.is_trained(job):
            return
        self._check_settings(job)
        folder, config = self.folder / job.name, self._config(job)
        folder.mkdir(parents=True, exist_ok=True)
        record = {"is_done": False, "settings": self._settings(job)}
        _write(folder / TRAINING, record)
        kept = self.kept[job.fold]
        clean = [with_centers(r.corners) for r in kept if r.is_clean]
        prior = measure_prior(np.stack(clean)) if len(clean) >= MIN_SPINES else DEFAULT_PRIOR
        initial, before = None, {}
        if job.fold in self.start:
            start = self.start[job.fold]
            initial = start_state(start, config)
            before = {"init": init_facts(file_digest(start), trained_on(load_weights(start).facts))}
        facts = {**self._facts(job), "radiographs": len(to_items(kept)), **before}
        trainer = LandmarkTrainer(config, folder, self.device, self.workers, initial, facts, prior)
        schedule = config.training
        items = to_items(kept) + synthetic_items(schedule.phantoms, schedule.spineless, schedule.seed)
        with _training.logged(self.logs, trainer, {"job": job.name}) as on_epoch:
            trainer.fit(items, [], on_epoch)
        _write(folder / TRAINING, {**record, "is_done": True})

    def evaluate(self, job: Job) -> dict[str, Figures]:
        """Figures of every decoder on the clean images of the held-out fold; read where they are there already.

        Raises:
            ValueError: figures that are there were made under other conditions, or an image cannot be read.
            OSError: a file cannot be read or written.
        """
        path = self.folder / job.name / EVALUATION
        self._check_conditions(job)
        if not path.exists():
            predictor = LandmarkPredictor(self._weights(job), self.device)
            predictor.limits = self._limits(job)
            figures = evaluate_records(predictor, self.records[job.fold])
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, {"conditions": self._conditions(job), "decoders": figures})
        decoders: dict[str, Figures] = _read(path)["decoders"]
        return decoders

    def entries(self) -> list[Entry]:
        """All rows of the table with what is measured so far."""
        entries = []
        for row in ROWS:
            figures: list[Figures | None]
            if row.source == LABELS:
                figures = [label_figures(self.records[fold]) for fold in self.held_out]
            else:
                jobs = [job for job in self.jobs if job.training == row.source]
                paths = [self.folder / job.name / EVALUATION for job in jobs]
                figures = [_read(path)["decoders"][row.decoder] if path.exists() else None for path in paths]
            if figures:  # else no final weights are given
                entries.append(Entry(row, tuple(figures)))
        return entries

    def protocol(self) -> str:
        """Sentences on data, budget and evaluation, to stand below the table."""
        config = next(iter(self.configs.values()))["hinged"]
        schedule, size, loss = config.training, config.input, config.loss
        counts = ", ".join(str(len(self.records[fold])) for fold in self.held_out)
        seeds = ", ".join(map(str, self.configs))
        start = "given weights, the last layer of the heatmaps at random" if self.start else "random weights"
        extra = f", {schedule.phantoms} phantoms and {schedule.spineless} images without a spine"
        sentences = [
            f"Mean ± SD over the folds {', '.join(map(str, self.held_out))} of the AASCE training split ({counts} "
            f"clean images, none of a patient trained on) and the seeds {seeds}; trained on the other folds"
            f"{extra if schedule.phantoms or schedule.spineless else ''}.",
            f"One budget for every training: input {size.height} x {size.width}, {config.network.preset} with "
            f"{config.network.context_layers} context layers, {schedule.epochs} epochs in batches of "
            f"{schedule.batch_size}, from {start}; the last weights count, none are chosen on the held-out images.",
            f"L_tri has the weight {loss.anatomy_weight:g}; hinged, {loss.anatomy_hinge:g} steps are free.",
            "One network pass over the whole image, without its mirror image and without refinement"
            + ("; the final recipe has its own size, training and aids." if self.final else "."),
            "Errors in pixels of the originals; angles against the official ones. N_fmin, N_fmax, N_eq and N_neg: "
            "steps from center to center that are too short or too long for the labelled spine, or go neither down nor "
            "up, or up; the sum over the images of a fold, in brackets per 1000 steps. Heights of steps that go up: "
            "over the folds that have any.",
        ]
        return " ".join(sentences)

    def _config(self, job: Job) -> Config:
        seed = job.seed if job.seed is not None else next(iter(self.configs))
        return self.configs[seed][job.training]

    def _facts(self, job: Job) -> dict[str, Any]:
        start = file_digest(self.start[job.fold], _DIGITS) if job.fold in self.start else "random"
        return {"data": AASCE, "fold": job.fold, "start": start}

    def _settings(self, job: Job) -> dict[str, Any]:
        """What a training depends on, by dotted name; as JSON gives it back."""
        plain = self._config(job).to_dict()
        learnt = _labels_digest(self.kept[job.fold])
        settings = {"start": self._facts(job)["start"], "labels": learnt, **{name: plain[name] for name in TRAINED_BY}}
        return _flat(settings)

    def _check_settings(self, job: Job) -> None:
        folder = self.folder / job.name
        if job.training != FINAL and (folder / TRAINING).exists():
            found = differences(_read(folder / TRAINING)["settings"], self._settings(job))
            if found:
                raise ValueError(f"{folder} holds a training with other settings ({found}); choose another folder")

    def _weights(self, job: Job) -> Path:
        return self.final[job.fold] if job.training == FINAL else self.folder / job.name / BEST

    def _limits(self, job: Job) -> PredictionConfig:
        limits = load_config().prediction  # as the predictor takes them
        return limits if job.training == FINAL else without_aids(limits)

    def _conditions(self, job: Job) -> dict[str, Any]:
        """What an evaluation depends on, by dotted name; as JSON gives it back."""
        records = self.records[job.fold]
        parts = {
            "weights": file_digest(self._weights(job), _DIGITS),
            "films": len(records),
            "labels": _labels_digest(records),
        }
        decoding = load_config().map
        limits = asdict(self._limits(job))
        if job.training != FINAL:  # the others are about aids that are off
            limits = {name: limits[name] for name in _AIDS}
        return _flat({**parts, "prediction": limits, "map": asdict(decoding)})

    def _check_conditions(self, job: Job) -> None:
        path = self.folder / job.name / EVALUATION
        if path.exists():
            found = differences(_read(path)["conditions"], self._conditions(job))
            if found:
                raise ValueError(f"{path} was made under other conditions ({found}); delete it to evaluate again")


def without_aids(limits: PredictionConfig) -> PredictionConfig:
    """Prediction as the method has it: one network pass, no mirror image, no corner network."""
    return replace(limits, **dict.fromkeys(_AIDS, False))


def start_state(path: Path, config: Config) -> dict[str, torch.Tensor]:
    """Weights to start from: those of the file, but for the last layer of the heatmaps, which is random.

    Raises:
        ValueError: the file is no weight file of this project, or of another network.
        OSError: it cannot be read.
    """
    torch.manual_seed(config.training.seed)
    network = LandmarkNet(config.network)
    state, given = network.state_dict(), load_weights(path).state
    last = f"heatmap.{len(network.heatmap) - 1}."
    for name in state:
        if name.startswith(last):
            continue
        if name not in given or given[name].shape != state[name].shape:
            raise ValueError(f"{path.name} does not fit the network of the ablation: {name} is missing or another size")
        state[name] = given[name].to(state[name].dtype)
    return state


def evaluate_records(predictor: LandmarkPredictor, records: Sequence[Record]) -> dict[str, Figures]:
    """Figures of every decoder; each image is predicted once.

    Raises:
        ValueError: there is no image, or one cannot be read.
        OSError: an image cannot be opened.
    """
    points: dict[str, list[np.ndarray]] = {name: [] for name in DECODERS}
    sizes = []
    for record in records:
        radiograph = read_radiograph(record.path)
        sizes.append((radiograph.width, radiograph.height))
        for name, prediction in predictor.compare(radiograph, DECODERS).items():
            points[name].append(prediction.spine.xy)
    labelled = np.stack([with_centers(record.corners) for record in records])
    official = np.stack([record.angles for record in records])
    size = np.array(sizes, dtype=float)
    return {name: evaluate(np.stack(found), labelled, size, official) for name, found in points.items()}


def label_figures(records: Sequence[Record]) -> Figures:
    """The anatomy of the labels themselves."""
    centers = with_centers(np.stack([record.corners for record in records]))[:, :, 0]
    return {"images": len(records), **anatomy_figures(centers, spans_of(centers))}


def _labels_digest(records: Sequence[Record]) -> str:
    """Of names, labels and flags of images."""
    known = hashlib.sha256()
    for record in records:
        known.update(f"{record.path.name} {record.geometry_ok} {record.is_clean}".encode())
        known.update(np.concatenate([record.corners.ravel(), record.angles]).astype("<f8").tobytes())
    return known.hexdigest()[:16]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    plain: dict[str, Any] = json.loads(json.dumps(flat))  # tuples become lists, as in the file
    return plain


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}; delete it") from error
    return content


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
