"""One version of the model: a weight file and a file of facts about it, side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..spine.atomic_write import atomic_write
from .json_values import without_nan

WEIGHTS_SUFFIX, FACTS_SUFFIX = ".pt", ".json"
VERSION = "version"
"""In the facts of weights that were trained here: the ``number`` of their version and when it was ``made``, ISO 8601.
Files of releases before 0.5 say ``published`` instead."""

TRAINED_ON, HELD_OUT = "trained_on", "held_out"
"""In the facts of a version: its films, by image id the digests of image and label."""
IMAGE_DIGEST = "image"
"""Key of the former."""


@dataclass(frozen=True)
class Version:
    """What is known about a version.

    Attributes:
        number: 1 for the first that was made in a folder; 0 are the weights that the server began with.
        made: when, ISO 8601.
        parent: number of the version that the training began with.
        initial: digest of the weights that the server began with then.
        digest: of the weight file.
        facts: of the training: ``settings``, ``stages``, ``gate``, ``TRAINED_ON`` and ``HELD_OUT``; those that are not
            known are missing.
    """

    number: int
    made: str
    parent: int
    initial: str
    digest: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Number and time, for people."""
        return f"{self.number} ({self.made})"

    def films(self, side: str) -> dict[str, Any]:
        """Digests by image id of the films that were trained on or held out."""
        films = self.facts.get(side)
        return dict(films) if isinstance(films, Mapping) else {}

    def images(self, side: str) -> set[str]:
        """Digests of the images of these films, under whatever names."""
        return {str(of.get(IMAGE_DIGEST)) for of in self.films(side).values() if isinstance(of, Mapping)}

    def summary(self) -> dict[str, Any]:
        """The same in plain values, without what names a film."""
        told = {name: value for name, value in self.facts.items() if name not in (TRAINED_ON, HELD_OUT)}
        counts = {side: len(self.films(side)) for side in (TRAINED_ON, HELD_OUT)}
        return {**asdict(self), "facts": {**told, **counts}, "name": self.name}


def version_of(facts: Mapping[str, Any]) -> str:
    """Which weights these are, for people.

    Args:
        facts: of the weights.

    Returns:
        "0" for weights that no server has trained, else number and time: "2 (2026-11-23T01:49:48+00:00)".
    """
    number = number_of(facts)
    if not number:
        return "0"
    told = facts[VERSION]
    return f"{number} ({told.get('made', told.get('published'))})"


def number_of(facts: Mapping[str, Any]) -> int:
    """Number of the version in the facts of weights, 0 where they have none."""
    version = facts.get(VERSION)
    number = version.get("number") if isinstance(version, Mapping) else None
    return number if isinstance(number, int) and number > 0 else 0


def write_version(version: Version, folder: Path) -> None:
    """Write the file of facts.

    Raises:
        OSError: it cannot be written.
    """
    with atomic_write(folder / f"{version.number}{FACTS_SUFFIX}") as temporary:
        temporary.write_text(json.dumps(without_nan(asdict(version)), indent=1, allow_nan=False), encoding="utf-8")


def read_version(number: int, folder: Path) -> Version:
    """The facts about a version; of one whose file of facts is missing or damaged, its number alone."""
    try:
        content = json.loads((folder / f"{number}{FACTS_SUFFIX}").read_text(encoding="utf-8"))
        made, initial, digest = (str(content[name]) for name in ("made", "initial", "digest"))
        facts, parent = dict(content["facts"]), int(content["parent"])
    except (OSError, ValueError, KeyError, TypeError):
        return Version(number, "", 0, "", "")
    return Version(number, made, parent if 0 <= parent < number else 0, initial, digest, facts)


def numbers_in(folder: Path) -> list[int]:
    """Numbers of the versions of a folder, in their order."""
    stems = (path.stem for path in folder.glob(f"[1-9]*{WEIGHTS_SUFFIX}"))
    return sorted(int(stem) for stem in stems if stem.isdecimal())
