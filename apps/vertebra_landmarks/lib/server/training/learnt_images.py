"""What a version's weights say of the images that they were trained on, in the words of ``weights.provenance``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...learning.data import IMAGE, LABEL
from ...learning.data.formats.data_set import DataImage, DataSet
from ...learning.data.labelled_items import points_of
from ...learning.weights.provenance import TrainedOn, facts_of, init_facts, trained_on
from ...learning.weights.weight_files import Weights, file_digest, load_weights
from ..models import IMAGE_DIGEST, TRAINED_ON, ModelStore
from .dataset import TrainingDataset

_FORMER_DATA = "labels of the studies folder"
"""What weights that were trained here said under ``data`` up to release 0.11.0: no images."""


@dataclass(frozen=True, eq=False)
class LearntImages:
    """Images that networks learn from, as facts name them.

    Attributes:
        data: all labelled images that can be used; without a name where facts are to be those of release 0.11.0.
        before: what facts say under ``init`` of the served networks, by stage.
    """

    data: DataSet
    before: Mapping[str, Mapping[str, Any]]

    def facts(self, stage: str, items: Iterable[Mapping[str, Any]], goes_on: bool) -> dict[str, Any]:
        """Facts of a network.

        Args:
            stage: that trains it.
            items: that it learns from, phantoms among them.
            goes_on: whether it begins with the served network, rather than with a random one.
        """
        paths = {str(item[IMAGE]) for item in items if isinstance(item[IMAGE], str)}
        if not self.data.name:
            return {"data": _FORMER_DATA, "radiographs": len(paths)}
        facts = facts_of(self.data, None, [image for image in self.data.images if str(image.path) in paths])
        return {**facts, "init": dict(self.before[stage])} if goes_on else facts


NO_IMAGES = LearntImages(DataSet("", ()), {})
"""For processes that write no weights."""


def data_set_of(dataset: TrainingDataset, name: str) -> DataSet:
    """Labelled images of a training as ``scripts/train.py`` reads them from the same folder; it states no patients."""
    images = []
    for image_id, item in dataset.items.items():
        label, digest = np.asarray(item[LABEL]), dataset.digests[image_id][IMAGE_DIGEST]
        images.append(DataImage(Path(item[IMAGE]), image_id, points_of(label), label, "", file_digest=digest))
    return DataSet(name, tuple(images))


def facts_before(models: ModelStore, number: int, weights: Weights, name: str) -> list[dict[str, Any]]:
    """What facts say under ``init`` of the landmark network of a version, and of its corner network if it has one.

    Args:
        models: all versions.
        number: of the version.
        weights: content of its file.
        name: of the studies folder.

    Raises:
        OSError: a weight file cannot be read.
        ValueError: that of the initial weights is damaged.
    """
    initial, digest = load_weights(models.path_of(0)), file_digest(models.path_of(number))
    pairs = [(weights.facts, initial.facts)]
    if weights.refiner is not None:
        pairs.append((weights.refiner.facts, {} if initial.refiner is None else initial.refiner.facts))
    return [init_facts(digest, _trained_on(models, number, now, first, name)) for now, first in pairs]


def _trained_on(
    models: ModelStore, number: int, facts: Mapping[str, Any], initial: Mapping[str, Any], name: str
) -> TrainedOn:
    """What a network was trained on; where only the metadata of versions tell, as up to release 0.11.0, by these."""
    if facts.get("data") != _FORMER_DATA:
        return trained_on(facts)
    line, first = models.lineage(number), models.version(0).digest
    images = frozenset(digest for version in line for digest in version.image_digests(TRAINED_ON))
    is_complete = all(TRAINED_ON in version.facts and version.initial == first for version in line)
    here = TrainedOn(frozenset(), frozenset(), is_complete, images, frozenset([name] if images else ()))
    return here | trained_on(initial)
