"""One training round: from the labels of a folder to a model version, published or not."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ...learning.data.patches import can_be_patched
from ...learning.data.rehearsal import Rehearsal
from ...learning.data.synthetic import synthetic_items
from ...learning.models.devices import choose_device
from ...learning.validation import checked
from ...learning.weights.weight_files import Weights, file_digest, load_weights, save_weights
from ..models import HELD_OUT, IMAGE_DIGEST, TRAINED_ON, ModelStore, version_name
from .dataset import LabelledImages, TrainingDataset, split_dataset
from .learnt_images import LearntImages, data_set_of, facts_before
from .publish_gate import Gate, decide, measure
from .run_files import CHANGEABLE_SETTINGS, CHECK, TrainReport, make_plan, read_plan, write_plan
from .shared_stage import train_stage
from .train_request import TrainRequest
from .training_stages import CornerStage, LandmarkStage, Stage, StageResult

logger = logging.getLogger(__name__)

_CANDIDATE = "candidate.pt"
_PHANTOM_SEED = 1_000_000
_MAX_CHECKED = 20
"""New images to evaluate on where none is held out."""
_PHANTOMS_PER_SPINELESS = 4
"""Phantoms per rehearsed image without a spine."""


class TrainingRound:
    """Fine-tuning of the served model on a dataset, in stages.

    Args:
        models: source and destination of the weights.
        folder: for the files of the run; an interrupted training there is resumed if it matches.
        sources: every labelled image with its label.
        report: of the progress.
    """

    def __init__(self, models: ModelStore, folder: Path, sources: LabelledImages, report: TrainReport) -> None:
        self.models, self.folder, self.sources, self.report = models, folder, sources, report
        self.parent = models.served_number
        self.served = load_weights(models.path_of(self.parent))

    def run(self, settings: TrainRequest, sent: Collection[str] = ()) -> dict[str, Any]:
        """Train, evaluate, store the result as a version, and serve it if so decided.

        Args:
            settings: the parameters.
            sent: names of the parameters in the request; of a resumed training only ``CHANGEABLE_SETTINGS`` may change.

        Returns:
            The final values of the report.

        Raises:
            ValueError: too few labels can be used, or the interrupted training cannot be resumed.
            OSError: a file cannot be read or written.
            FloatingPointError: the loss is no longer finite.
        """
        settings, dataset, name = self._prepare(settings, sent)
        counts = {"training": len(dataset.new) + len(dataset.old), "validation": len(dataset.held_out)}
        counts.update(new=len(dataset.new), patients=dataset.patients)
        items, rehearsal = _training_sets(dataset, settings)
        learnt = LearntImages(data_set_of(dataset, name), self._facts_before(name))
        counts["phantoms"] = len(rehearsal.items) - (len(dataset.old) if rehearsal.items else 0)
        stages: list[type[Stage]] = [LandmarkStage]
        if self.served.refiner is not None and any(can_be_patched(item) for item in items):
            stages.append(CornerStage)
        self.report.update(
            settings=asdict(settings),
            epoch=0,
            percent=0,
            version_before=version_name(self.served.facts),
            version_after=None,
            skipped=dataset.skipped,
            device=str(choose_device(settings.device)),
            total_epochs=len(stages) * settings.max_epochs,
            images=counts,
        )
        if dataset.skipped:
            logger.warning("%d labels cannot be used; the report says which and why", len(dataset.skipped))
        logger.info("Training on %d radiographs, checking on %d", counts["training"], counts["validation"])
        weights, results = self.served, []
        for index, stage in enumerate(stages):
            folder, epochs_done = self.folder / stage.name, index * settings.max_epochs
            held_out = dataset.items_of(dataset.held_out)
            work = stage(weights, items, rehearsal, held_out, learnt)
            results.append(train_stage(work, settings, folder, self.report, epochs_done))
            weights = weights if results[-1].worse else results[-1].weights
        if weights is self.served:  # all did worse: the result is stored all the same, for manual publishing
            weights = _combined(results)
        return self._evaluate_and_publish(settings, dataset, weights, results)

    def _facts_before(self, name: str) -> dict[str, dict[str, Any]]:
        """What facts say under ``init`` of the served networks, by stage."""
        facts = facts_before(self.models, self.parent, self.served, name)
        return dict(zip((LandmarkStage.name, CornerStage.name), facts, strict=False))  # a model may have one network

    def _prepare(self, settings: TrainRequest, sent: Collection[str]) -> tuple[TrainRequest, TrainingDataset, str]:
        """Settings, dataset and its name, those of an interrupted training that is resumed; else its files go.

        The folder may have another name by then.
        """
        plan, sources = read_plan(self.folder), self.sources
        if settings.resume and plan is not None:
            changed = {name: getattr(settings, name) for name in CHANGEABLE_SETTINGS if name in sent}
            settings = checked(TrainRequest, {**plan.settings, **changed, "resume": True})
            sources = sources.only(plan.films, settings.patient_pattern)
        trained_on = self.models.version(self.parent).images(TRAINED_ON)
        dataset = split_dataset(sources, settings.val_split, settings.patient_pattern, trained_on, sources.image)
        new_plan = make_plan(settings, file_digest(self.models.path_of(self.parent)), dataset, self.models.studies_name)
        difference = plan.diff(new_plan) if plan is not None else "there is none"
        if difference:
            if settings.resume:
                raise ValueError(f"the interrupted training cannot be resumed: {difference}")
            shutil.rmtree(self.folder, ignore_errors=True)
            write_plan(new_plan, self.folder)
        return settings, dataset, (plan if plan is not None and not difference else new_plan).data_set

    def _evaluate_and_publish(
        self, settings: TrainRequest, dataset: TrainingDataset, weights: Weights, results: Sequence[StageResult]
    ) -> dict[str, Any]:
        """Evaluate the whole model, store it as a version, and serve it if the gate or the request says so."""
        candidate = self.folder / _CANDIDATE
        save_weights(candidate, weights.state, weights.config, weights.facts, weights.prior, weights.refiner)
        stage = self.report.content["stage"]
        self.report.update(stage=CHECK)
        device, names = choose_device(settings.device), dataset.held_out or dataset.new[:_MAX_CHECKED]
        before = measure(self.models.path_of(self.parent), dataset.items_of(names), device)
        after = measure(candidate, dataset.items_of(names), device)
        lineage = self.models.lineage(self.parent)
        trained_on = {digest for version in lineage for digest in version.image_digests(TRAINED_ON)}
        trained_before = [dataset.digests[name][IMAGE_DIGEST] in trained_on for name in names]
        all_worse, are_held_out = all(result.worse for result in results), bool(dataset.held_out)
        gate = decide(before, after, trained_before, settings.publish, all_worse, are_held_out)
        if gate.is_published and self.models.served_number != self.parent:
            gate = replace(gate, is_published=False, why=f"{gate.why[:-1]}; another model was served meanwhile.")
        facts = {
            "settings": asdict(settings),
            "stages": self.report.content.get("stages", {}),
            "gate": gate.to_dict(),
            TRAINED_ON: dataset.digests_of([*dataset.new, *dataset.old]),
            HELD_OUT: dataset.digests_of(dataset.held_out),
        }
        version = self.models.add(load_weights(candidate), self.parent, facts)
        if gate.is_published:
            self.models.serve(version.number)
        self.models.prune(settings.keep_versions)
        return {
            "stage": stage,
            "gate": gate.to_dict(),
            "version_kept": version.name,
            "version_after": version.name if gate.is_published else None,
            "message": self._message(gate, results),
        }

    def _message(self, gate: Gate, results: Sequence[StageResult]) -> str | None:
        """What else to report at the end; ``None`` if nothing."""
        worse = [result.worse for result in results if result.worse]
        sentences = []
        if not gate.is_published:
            sentences.append(f"Nothing was published: {' and '.join([*worse, gate.why])}")
        else:
            if worse and len(worse) < len(results):
                sentences.append(f"{worse[0][0].upper()}{worse[0][1:]} and stays as it was.")
            if gate.is_weak or not gate.is_passed:
                sentences.append(gate.why)
        if epoch := self.report.content.get("resumed_from"):
            sentences.append(f"It was resumed from epoch {epoch} of an interrupted training.")
        return " ".join(sentences) or None


def _training_sets(dataset: TrainingDataset, settings: TrainRequest) -> tuple[list[dict[str, Any]], Rehearsal]:
    """Items to train on, and items to rehearse; a batch of one has no room for both."""
    if settings.rehearsal == 0 or settings.batch_size == 1:
        return dataset.items_of([*dataset.new, *dataset.old]), Rehearsal()
    spineless, seed = settings.phantoms // _PHANTOMS_PER_SPINELESS, _PHANTOM_SEED + settings.seed
    rehearsed = [*dataset.items_of(dataset.old), *synthetic_items(settings.phantoms, spineless, seed)]
    return dataset.items_of(dataset.new), Rehearsal(rehearsed, float(settings.rehearsal))


def _combined(results: Sequence[StageResult]) -> Weights:
    """The new networks of all stages."""
    return replace(results[0].weights, refiner=results[-1].weights.refiner)
