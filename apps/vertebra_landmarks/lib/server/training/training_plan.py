"""What a training depends on, as a file beside its checkpoints: one with the same plan may go on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...learning.training.trainer import differences
from ...spine.atomic_write import atomic_write
from .dataset import Digests, Films
from .train_request import TrainRequest

PLAN = "plan.json"
DECIDED_LATER = ("publish", "keep_versions", "resume")
"""Settings that the learning itself does not depend on."""


@dataclass(frozen=True)
class Plan:
    """A training before it begins.

    Attributes:
        settings: the parameters.
        parent: digest of the weights that it begins with.
        films: digests of image and label of every film that is learnt from or held out.
        new: ids of films whose label is new.
        held_out: ids of films to check on.
    """

    settings: dict[str, Any]
    parent: str
    films: Digests
    new: tuple[str, ...]
    held_out: tuple[str, ...]

    def what_differs(self, other: Plan) -> str:
        """Why a training cannot go on by another plan, in words; empty where it can."""
        if self.parent != other.parent:
            return "another model is served since"
        mine, others = (
            {name: value for name, value in plan.settings.items() if name not in DECIDED_LATER}
            for plan in (self, other)
        )
        if mine != others:
            return differences(mine, others)
        if self.films != other.films:
            count = sum(self.films.get(name) != other.films.get(name) for name in {**self.films, **other.films})
            return f"{count} labelled images came, went or changed"
        is_equal = (self.new, self.held_out) == (other.new, other.held_out)
        return "" if is_equal else "other images are new or held out"


def make_plan(settings: TrainRequest, parent: str, films: Films) -> Plan:
    """The plan of a training that is about to begin."""
    return Plan(asdict(settings), parent, dict(films.digests), films.new, films.held_out)


def write_plan(plan: Plan, folder: Path) -> None:
    """Write it into the folder of the run, which is made.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / PLAN) as temporary:
        temporary.write_text(json.dumps(asdict(plan), indent=1), encoding="utf-8")


def read_plan(folder: Path) -> Plan | None:
    """The plan of the run in a folder; ``None`` where there is none that can be read."""
    try:
        content: Mapping[str, Any] = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        sides = tuple(content["new"]), tuple(content["held_out"])
        return Plan(dict(content["settings"]), str(content["parent"]), dict(content["films"]), *sides)
    except (OSError, ValueError, KeyError, TypeError):
        return None
