"""Which weights are served: those trained on the studies folder where there are any, else those it began with."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..learning.config import DEFAULT_WEIGHTS_FILE
from ..learning.weights import Weights, build_network, build_refiner, load_weights, save_weights

logger = logging.getLogger(__name__)

FOLDER = ".vertebra_landmarks"
"""Folder below the studies for all that training keeps; names with a dot in front are no images."""

VERSION = "version"
"""In the facts of published weights: their ``number``, one more than that of the weights before, and when they were
``published``, in ISO 8601."""

Stamp = tuple[str, int, int, int]


def stamp(path: Path) -> Stamp:
    """What changes when another file, or a file with another content, takes the place: name, time in ns, size, inode.

    Raises:
        OSError: there is no such file.
    """
    state = path.stat()
    return str(path), state.st_mtime_ns, state.st_size, state.st_ino


def version_of(facts: Mapping[str, Any]) -> str:
    """Which weights these are, for people.

    Args:
        facts: of the weights.

    Returns:
        "0" for weights that no server has published, else number and time: "2 (2026-11-23T01:49:48+00:00)".
    """
    number = _number_of(facts)
    return f"{number} ({facts[VERSION].get('published')})" if number else "0"


def _number_of(facts: Mapping[str, Any]) -> int:
    version = facts.get(VERSION)
    number = version.get("number") if isinstance(version, Mapping) else None
    return number if isinstance(number, int) and number > 0 else 0


class ModelStore:
    """The weights that the server began with, which are never changed, and those trained from them here.

    The trained weights stay in the studies folder, through restarts and updates of the app. They belong to the weights
    that they were trained from: weights named with ``--conf weights`` are told apart by their content, and whoever
    starts the server with other ones gets these, or what was trained from these.

    Args:
        studies: the studies folder.
        weights: weight file that the server began with.

    Raises:
        OSError: the weight file cannot be read.
    """

    def __init__(self, studies: Path, weights: Path) -> None:
        self.folder = Path(studies) / FOLDER
        self._initial = Path(weights)
        name = "model"
        if self._initial.resolve() != DEFAULT_WEIGHTS_FILE:
            name += "-" + hashlib.sha256(self._initial.read_bytes()).hexdigest()[:12]
        self._trained = self.folder / f"{name}.pt"
        self._checked: tuple[Stamp, bool] | None = None

    @property
    def served(self) -> Path:
        """The weight file to use now."""
        try:
            present = stamp(self._trained)
        except OSError:
            return self._initial
        if self._checked is None or self._checked[0] != present:
            self._checked = present, _is_usable(self._trained)
        return self._trained if self._checked[1] else self._initial

    def publish(self, weights: Weights) -> str:
        """Serve other weights from now on: in one step they stand where ``served`` finds them.

        Args:
            weights: trained from those that are served; a version is added to their facts.

        Returns:
            The version, see ``version_of``.

        Raises:
            ValueError: they do not fit their networks, or are not finite; those in use stay.
            OSError: they cannot be written; those in use stay.
        """
        _check(weights, self._trained)
        number = _number_of(load_weights(self.served).facts) + 1
        published = datetime.now(timezone.utc).isoformat(timespec="seconds")
        facts = {**weights.facts, VERSION: {"number": number, "published": published}}
        save_weights(self._trained, weights.state, weights.config, facts, weights.prior, weights.refiner)
        return version_of(facts)


def _check(weights: Weights, path: Path) -> None:
    """Raise ``ValueError`` unless both networks can be built."""
    build_network(weights, path)
    if weights.refiner is not None:
        build_refiner(weights.refiner, path)


def _is_usable(path: Path) -> bool:
    """Whether this version of the app can use the weights; another one may have trained them."""
    try:
        _check(load_weights(path), path)
    except (ValueError, OSError) as error:
        logger.warning("The weights trained here cannot be used, the initial ones are: %s", error)
        return False
    return True
