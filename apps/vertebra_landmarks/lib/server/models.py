"""Which weights are served: those trained on the studies folder where there are any, else those it began with."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from ..learning.config import DEFAULT_WEIGHTS_FILE
from ..learning.weights import build_network, load_weights

logger = logging.getLogger(__name__)

FOLDER = ".vertebra_landmarks"
"""Folder below the studies for all that training keeps; names with a dot in front are no images."""

Stamp = tuple[str, int, int, int]


def stamp(path: Path) -> Stamp:
    """What changes when another file, or a file with another content, takes the place: name, time in ns, size, inode.

    Raises:
        OSError: there is no such file.
    """
    state = path.stat()
    return str(path), state.st_mtime_ns, state.st_size, state.st_ino


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

    def publish(self, weights: Path) -> None:
        """Serve other weights from now on: the file is moved, in one step, to where ``served`` finds it.

        Args:
            weights: a weight file in ``folder`` or below it.

        Raises:
            ValueError: it is no weight file of this project; the one in use stays.
            OSError: it cannot be moved; the one in use stays.
        """
        build_network(load_weights(weights), weights)
        weights.replace(self._trained)


def _is_usable(path: Path) -> bool:
    """Whether this version of the app can use the weights; another one may have trained them."""
    try:
        build_network(load_weights(path), path)
    except (ValueError, OSError) as error:
        logger.warning("The weights trained here cannot be used, the initial ones are: %s", error)
        return False
    return True
