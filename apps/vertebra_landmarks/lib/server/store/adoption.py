"""What MONAI Label noted about a folder before this store did: read once, and left where it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DATASTORE = "datastore_v2.json"
"""Where MONAI Label, and earlier versions of this app, keep names, facts and scores, which are facts there."""

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
        self.images: dict[str, Facts] = {}
        self.labels: dict[tuple[str, str], Facts] = {}
        self.names = {name: content[name] for name in ("name", "description") if isinstance(content.get(name), str)}
        for image, known in (objects if isinstance(objects, dict) else {}).items():
            self.images[image] = _info(known, "image")
            noted = known.get("labels") if isinstance(known, dict) else None
            for tag in noted if isinstance(noted, dict) else ():
                self.labels[image, tag] = _info(noted, tag)


def _info(known: Any, name: str) -> Facts:
    part = known.get(name) if isinstance(known, dict) else None
    facts = part.get("info") if isinstance(part, dict) else None
    return {key: value for key, value in facts.items() if key != "path"} if isinstance(facts, dict) else {}


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
