"""One round of learning: from the labels of a folder to a version of the model, published or not."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..learning.devices import choose_device
from ..learning.patch_views import can_be_patched
from ..learning.rehearsal import Rehearsal
from ..learning.synthetic import synthetic_items
from ..learning.validation import checked
from ..learning.weights import Weights, file_digest, load_weights, save_weights
from .gate import Gate, decide, measure
from .models import ModelStore
from .train_films import Films, sort_films
from .train_plan import DECIDED_LATER, make_plan, read_plan, write_plan
from .train_report import CHECK, TrainReport
from .train_request import TrainRequest
from .train_stages import CornerStage, LandmarkStage, Learnt, Stage
from .versions import HELD_OUT, IMAGE_DIGEST, TRAINED_ON, version_of

logger = logging.getLogger(__name__)

_CANDIDATE = "candidate.pt"
_PHANTOM_SEED = 1_000_000
_MOST_CHECKED = 20
"""New films that the model is checked on where none is held out."""
_SPINELESS = 4
"""One image without a spine is rehearsed for so many phantoms."""


class Round:
    """A round of learning that begins with the served model.

    Args:
        models: where the weights come from and go to.
        folder: for the files of the run; what an interrupted training has left there is taken up if it fits.
        sources: image and label file of every labelled image, by image id.
        report: told how it goes.
    """

    def __init__(
        self, models: ModelStore, folder: Path, sources: Mapping[str, tuple[Path, Path]], report: TrainReport
    ) -> None:
        self.models, self.folder, self.sources, self.report = models, folder, sources, report
        self.parent = models.served_number
        self.served = load_weights(models.path_of(self.parent))

    def learn(self, settings: TrainRequest, sent: Collection[str] = ()) -> dict[str, Any]:
        """Train, compare with before, keep the result and maybe serve it.

        Args:
            settings: the parameters.
            sent: names of those that the request gave; of a resumed training they count where nothing else depends on
                them.

        Returns:
            What the report says at the end.

        Raises:
            ValueError: too few labels can be used, or the interrupted training cannot go on.
            OSError: a file cannot be read or written.
            FloatingPointError: the loss is no longer finite.
        """
        settings, films = self._prepared(settings, sent)
        reported = {"training": len(films.new) + len(films.old), "validation": len(films.held_out)}
        reported.update(new=len(films.new), patients=films.patients)
        kept, rehearsal = _lesson(films, settings)
        reported["phantoms"] = len(rehearsal.items) - (len(films.old) if rehearsal.items else 0)
        stages: list[type[Stage]] = [LandmarkStage]
        if self.served.refiner is not None and any(can_be_patched(item) for item in kept):
            stages.append(CornerStage)
        self.report.update(
            settings=asdict(settings),
            epoch=0,
            percent=0,
            version_before=version_of(self.served.facts),
            version_after=None,
            skipped=films.skipped,
            device=str(choose_device(settings.device)),
            total_epochs=len(stages) * settings.max_epochs,
            images=reported,
        )
        if films.skipped:
            logger.warning("%d labels cannot be used; the report says which and why", len(films.skipped))
        logger.info("Training on %d radiographs, checking on %d", reported["training"], reported["validation"])
        weights, learnt = self.served, []
        for number, stage in enumerate(stages):
            folder, done = self.folder / stage.name, number * settings.max_epochs
            held_out = films.items_of(films.held_out)
            learnt.append(stage(weights, kept, rehearsal, held_out).learn(settings, folder, self.report, done))
            weights = weights if learnt[-1].worse else learnt[-1].weights
        if weights is self.served:  # all did worse: what was learnt is kept all the same, for who wants to publish it
            weights = _all_new(learnt)
        return self._judged(settings, films, weights, learnt)

    def _prepared(self, settings: TrainRequest, sent: Collection[str]) -> tuple[TrainRequest, Films]:
        """Settings and films, those of an interrupted training where it goes on; else its files are removed."""
        left, sources = read_plan(self.folder), self.sources
        if settings.resume and left is not None:
            decided = {name: getattr(settings, name) for name in DECIDED_LATER if name in sent}
            settings = checked(TrainRequest, {**left.settings, **decided, "resume": True})
            sources = {name: files for name, files in sources.items() if name in left.films}
        learnt = self.models.version(self.parent).films(TRAINED_ON)
        films = sort_films(sources, settings.val_split, settings.patient_pattern, learnt)
        plan = make_plan(settings, file_digest(self.models.path_of(self.parent)), films)
        different = left.what_differs(plan) if left is not None else "there is none"
        if different:
            if settings.resume:
                raise ValueError(f"the interrupted training cannot go on: {different}")
            shutil.rmtree(self.folder, ignore_errors=True)
            write_plan(plan, self.folder)
        return settings, films

    def _judged(
        self, settings: TrainRequest, films: Films, weights: Weights, learnt: Sequence[Learnt]
    ) -> dict[str, Any]:
        """Measure the model as users see it, keep it as a version, and serve it where that was decided."""
        candidate = self.folder / _CANDIDATE
        save_weights(candidate, weights.state, weights.config, weights.facts, weights.prior, weights.refiner)
        stage = self.report.content["stage"]
        self.report.update(stage=CHECK)
        device, names = choose_device(settings.device), films.held_out or films.new[:_MOST_CHECKED]
        before = measure(self.models.path_of(self.parent), films.items_of(names), device)
        after = measure(candidate, films.items_of(names), device)
        line = self.models.lineage(self.parent)
        known = {digest for version in line for digest in version.images(TRAINED_ON)}
        seen = [films.digests[name][IMAGE_DIGEST] in known for name in names]
        all_worse, are_held_out = all(stage.worse for stage in learnt), bool(films.held_out)
        gate = decide(before, after, seen, settings.publish, all_worse, are_held_out)
        if gate.is_published and self.models.served_number != self.parent:
            gate = replace(gate, is_published=False, why=f"{gate.why[:-1]}; another model was served meanwhile.")
        facts = {
            "settings": asdict(settings),
            "stages": self.report.content.get("stages", {}),
            "gate": gate.to_dict(),
            TRAINED_ON: films.digests_of([*films.new, *films.old]),
            HELD_OUT: films.digests_of(films.held_out),
        }
        version = self.models.keep(load_weights(candidate), self.parent, facts)
        if gate.is_published:
            self.models.serve(version.number)
        self.models.thin_out(settings.keep_versions)
        return {
            "stage": stage,
            "gate": gate.to_dict(),
            "version_kept": version.name,
            "version_after": version.name if gate.is_published else None,
            "message": self._message(gate, learnt),
        }

    def _message(self, gate: Gate, learnt: Sequence[Learnt]) -> str | None:
        """What else there is to know about the end; ``None`` where all went as usual."""
        worse = [stage.worse for stage in learnt if stage.worse]
        told = []
        if not gate.is_published:
            told.append(f"Nothing was published: {' and '.join([*worse, gate.why])}")
        else:
            if worse and len(worse) < len(learnt):
                told.append(f"{worse[0][0].upper()}{worse[0][1:]} and stays as it was.")
            if gate.is_weak or not gate.is_passed:
                told.append(gate.why)
        if resumed := self.report.content.get("resumed_from"):
            told.append(f"It went on from epoch {resumed} of an interrupted training.")
        return " ".join(told) or None


def _lesson(films: Films, settings: TrainRequest) -> tuple[list[dict[str, Any]], Rehearsal]:
    """What is learnt, and what is rehearsed beside it; a batch of one has no room for both."""
    if settings.rehearsal == 0 or settings.batch_size == 1:
        return films.items_of([*films.new, *films.old]), Rehearsal()
    phantoms = synthetic_items(settings.phantoms, settings.phantoms // _SPINELESS, _PHANTOM_SEED + settings.seed)
    return films.items_of(films.new), Rehearsal([*films.items_of(films.old), *phantoms], float(settings.rehearsal))


def _all_new(learnt: Sequence[Learnt]) -> Weights:
    """Every stage's new network."""
    first, last = learnt[0].weights, learnt[-1].weights
    return replace(first, refiner=last.refiner)
