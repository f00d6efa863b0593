"""What MONAI Label noted about a folder before this store did: read once, and left where it is."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...spine.labels.markups import SUFFIX
from .store_context import MOST_FACTS
from .studies_folder import is_storable

logger = logging.getLogger(__name__)

DATASTORE = "datastore_v2.json"
"""Where MONAI Label, and earlier versions of this app, keep names, facts and scores, which are facts there."""

_ROOM = 1_000  # characters for what is noted of every image and label

Facts = Mapping[str, Any]


class Adopted:
    """Facts by image, and by image and tag.

    Attributes:
        images: facts of the images, by id.
        labels: facts of the labels, by id and tag.
        names: name and description of the folder, where they were given.
    """

    def __init__(self, content: Mapping[str, Any] | None = None) -> None:
        content = content or {}
        objects = content.get("objects")
        others = 0
        self.images: dict[str, Facts] = {}
        self.labels: dict[tuple[str, str], Facts] = {}
        self.names = {name: content[name] for name in ("name", "description") if _is_text(content.get(name))}
        for image, known in (objects if isinstance(objects, dict) else {}).items():
            self.images[image] = _info(known, "image")
            noted = known.get("labels") if isinstance(known, dict) else None
            for tag, label in (noted if isinstance(noted, dict) else {}).items():
                self.labels[image, tag] = _info(noted, tag)
                others += isinstance(label, dict) and label.get("ext", SUFFIX) != SUFFIX
        if others:
            logger.warning("%d of the labels that MONAI Label noted are no %s files and are left out", others, SUFFIX)


def _info(known: Any, name: str) -> Facts:
    part = known.get(name) if isinstance(known, dict) else None
    facts = part.get("info") if isinstance(part, dict) else None
    return _fitting({key: value for key, value in facts.items() if key != "path"}) if isinstance(facts, dict) else {}


def _fitting(facts: dict[str, Any]) -> Facts:
    """What there is room for: without the largest, where facts are too many."""
    sizes = {key: len(json.dumps({key: value})) for key, value in facts.items()}
    while sum(sizes.values()) > MOST_FACTS - _ROOM:
        largest = max(sizes, key=sizes.__getitem__)
        logger.warning("A fact %.40r of %s with %d characters is left out", largest, DATASTORE, sizes.pop(largest))
    return {key: facts[key] for key in sizes}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and is_storable(value)


def read_adopted(folder: Path) -> Adopted:
    """What stands in the folder's ``datastore_v2.json``; nothing if there is none.

    Raises:
        ValueError: the file is damaged. Going on would lose what it says.
    """
    path = folder / DATASTORE
    if not path.is_file() or path.is_symlink():
        return Adopted()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{DATASTORE} in the studies folder, where MONAI Label kept facts about images and labels, is damaged: "
            "repair it, or move it away to begin without those facts"
        ) from error
    return Adopted(content if isinstance(content, dict) else None)
