"""Files of a training: the plan, which a resumed one must match, and the progress report that the server reads."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...learning.weights.provenance import differences
from ...spine.atomic_write import atomic_write
from ..models import without_nan
from .dataset import Digests, TrainingDataset
from .train_request import TrainRequest

PLAN = "plan.json"
CHANGEABLE_SETTINGS = ("publish", "keep_versions", "processes", "resume")
"""Settings that training itself does not depend on; a resumed training may change them."""


@dataclass(frozen=True)
class Plan:
    """What a training depends on, stored beside its checkpoints.

    Attributes:
        settings: the parameters.
        parent: digest of the weights that it starts from.
        films: digests of image and label of every image that is trained on or held out.
        new: ids of images whose label is new.
        held_out: ids of images to evaluate on.
        data_set: what weights call the studies folder, whatever it is called when the training is resumed; "" in
            plans up to release 0.11.0, whose weights do not name their images.
    """

    settings: dict[str, Any]
    parent: str
    films: Digests
    new: tuple[str, ...]
    held_out: tuple[str, ...]
    data_set: str

    def diff(self, other: Plan) -> str:
        """Why a training cannot be resumed by another plan, in words; empty where it can."""
        if self.parent != other.parent:
            return "another model is served since"
        mine, others = (
            {name: value for name, value in plan.settings.items() if name not in CHANGEABLE_SETTINGS}
            for plan in (self, other)
        )
        if mine != others:
            return differences(mine, others)
        if self.films != other.films:
            count = sum(self.films.get(name) != other.films.get(name) for name in {**self.films, **other.films})
            return f"{count} labelled images came, went or changed"
        is_equal = (self.new, self.held_out) == (other.new, other.held_out)
        return "" if is_equal else "other images are new or held out"


def make_plan(settings: TrainRequest, parent: str, dataset: TrainingDataset, data_set: str) -> Plan:
    """The plan of a new training."""
    return Plan(asdict(settings), parent, dict(dataset.digests), dataset.new, dataset.held_out, data_set)


def write_plan(plan: Plan, folder: Path) -> None:
    """Write the plan into the folder of the run, which is created.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / PLAN) as temporary:
        temporary.write_text(json.dumps(asdict(plan), indent=1), encoding="utf-8")


def read_plan(folder: Path) -> Plan | None:
    """The plan in the folder of a run; ``None`` where there is none that can be read."""
    try:
        content: Mapping[str, Any] = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        subsets = tuple(content["new"]), tuple(content["held_out"])
        parent, data_set = str(content["parent"]), str(content.get("data_set", ""))
        return Plan(dict(content["settings"]), parent, dict(content["films"]), *subsets, data_set)
    except (OSError, ValueError, KeyError, TypeError):
        return None


RUNNING, DONE, FAILED, STOPPED, STARTING = "running", "done", "failed", "stopped", "starting"
INTERRUPTED = "interrupted"
"""States of a training. ``INTERRUPTED`` is never in the file, since a killed process cannot write; such a training can
be resumed. One that was ``STOPPED`` on purpose cannot."""

CHECK = "check"
"""Value of ``stage`` while the whole model is evaluated for publishing."""
NEW, FORMER = "new", "former"
"""Values of ``kept``: which network a stage has kept."""

_TRANSFORM_ERROR = "applying transform"

PROCESSES = "processes"
"""Key of the ids of the training process and its parent; on Windows, some Pythons start the parent."""


class TrainReport:
    """Progress of the newest training of a folder, as a JSON file.

    The keys are ``state``; ``start_ts``, ``elapsed_s`` and at the end ``total_time``; ``settings``, ``device``,
    ``images`` (numbers of ``training``, ``validation``, of the ``new`` among the former, of ``phantoms`` and of
    ``patients``) and ``skipped`` (reason by image); ``version_before`` and ``version_after`` of the model, the latter
    ``None`` where nothing was published, and ``version_kept``, the result in either case; ``gate``, see
    ``publish_gate.Gate``, once decided; ``resumed_from``, the epoch that an interrupted training was resumed from;
    ``error`` of a failed training, ``message`` of one that is done, ``None`` if there is nothing to add.

    Over all stages: ``epoch``, ``total_epochs`` and ``percent``, which is 100 when the training is done. Of ``stage``,
    the running or last one, and during ``CHECK`` of the one before: ``loss`` and ``terms`` of the newest epoch,
    ``before`` and ``validation``.

    Per stage, under its name in ``stages``: ``epoch``, ``epochs``, ``images`` and

    - ``before``: errors of the served network on the held-out images, ``None`` without such images;
    - ``validation``: the same of the newest epoch, and at the end of the stage of ``best_epoch``;
    - ``best_epoch``: whose weights are the result, ``None`` until the end of the stage; it is the last epoch, so that
      the held-out images have no part in the choice;
    - ``kept``: ``NEW``, or ``FORMER`` where the result did worse than before; ``None`` until the end of the stage.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content: dict[str, Any] = {}
        self._begin = time.time()

    def begin(self, **values: Any) -> None:
        """Start the report of a new training.

        Raises:
            OSError: the file cannot be written.
        """
        self._begin = time.time()
        self.content = {"state": RUNNING, PROCESSES: [os.getpid(), os.getppid()], "start_ts": int(self._begin)}
        self.update(**values)

    def load(self) -> None:
        """Continue the report that another process has written, if any."""
        self.content = read_report(self.path)
        self._begin = self.content.get("start_ts", self._begin)

    def update(self, **values: Any) -> None:
        """Add or replace values.

        Raises:
            OSError: the file cannot be written.
        """
        self.content.update(values)
        self.content["elapsed_s"] = round(time.time() - self._begin, 1)
        text = json.dumps(without_nan(self.content), indent=1, allow_nan=False)
        with atomic_write(self.path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def update_stage(self, stage: str, own: Mapping[str, Any], **values: Any) -> None:
        """Add or replace values of a stage and of the training.

        Raises:
            OSError: the file cannot be written.
        """
        content = self.content.setdefault("stages", {}).setdefault(stage, {})
        content.update(own)
        self.update(stage=stage, before=content.get("before"), validation=content.get("validation"), **values)

    def end(self, state: str, **values: Any) -> None:
        """Report the end.

        Raises:
            OSError: the file cannot be written.
        """
        seconds = round(time.time() - self._begin)
        self.update(state=state, total_time=time.strftime("%H:%M:%S", time.gmtime(seconds)), **values)


def read_report(path: Path) -> dict[str, Any]:
    """Content of a report; empty where there is none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def reason_of(error: BaseException) -> str:
    """Message of an error; MONAI's names its transform instead of the cause."""
    while str(error).startswith(_TRANSFORM_ERROR) and error.__cause__ is not None:
        error = error.__cause__
    return str(error)
