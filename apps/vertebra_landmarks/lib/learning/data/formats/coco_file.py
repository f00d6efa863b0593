"""COCO keypoints: a spine or a vertebra per annotation, see ``spine.labels.coco``."""

from __future__ import annotations

from pathlib import Path

from ....spine.labels.coco import from_coco
from ....spine.labels.label_exchange import ReadResult
from ....spine.labels.landmark_names import NameMap
from .json_labels import has_key
from .label_file import LabelFile


class CocoFile(LabelFile):
    """A JSON file with annotations."""

    name = "coco"
    expected = "a .json file with COCO keypoints"

    def recognises(self, path: Path) -> bool:
        """Whether a JSON file has annotations."""
        return has_key(path, "annotations")

    def parse(self, text: str, names: NameMap) -> ReadResult:
        """Labels of a COCO file."""
        return from_coco(text, names)
