"""What answers say about the model that gives them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...learning.weights.provenance import read_known_images
from ...learning.weights.weight_files import file_digest, load_weights
from ..json_values import without_nan
from ..versions import version_of

_DIGITS = 16


@dataclass(frozen=True)
class ModelFacts:
    """A weight file in plain values.

    Attributes:
        version: which weights, see ``versions.version_of``.
        errors_measured: whether its expected errors were measured with these very networks; else they are an estimate,
            measured with others or on what the file does not say. ``None`` where it tells no errors.
        digest: of the file, which tells weights apart that have no version yet.
        landmarks: what is known about the training of the network that finds the vertebrae.
        corners: the same of the second network; ``None`` where there is none.
    """

    version: str
    errors_measured: bool | None
    digest: str
    landmarks: dict[str, Any]
    corners: dict[str, Any] | None


def read_model_facts(path: Path) -> ModelFacts:
    """The facts in a weight file.

    Raises:
        ValueError: it is no weight file of this project.
        OSError: it cannot be read.
    """
    weights, known = load_weights(path), read_known_images(path)
    return ModelFacts(
        version_of(weights.facts),
        None if known.errors_on is None else known.has_own_errors,
        file_digest(path, _DIGITS),
        without_nan(weights.facts),
        without_nan(weights.refiner.facts) if weights.refiner is not None else None,
    )
