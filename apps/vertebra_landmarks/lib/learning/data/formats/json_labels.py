"""JSON as ``labels.py export --format json`` writes it."""

from __future__ import annotations

import json
from pathlib import Path

from ....spine.labels.label_exchange import ReadResult, decode_text, read_labels_json
from ....spine.labels.landmark_names import NameMap
from .label_file import LabelFile

SUFFIX = ".json"


class JsonLabels(LabelFile):
    """A JSON file with landmarks of images."""

    name = "json"
    expected = "a .json file of labels.py export"

    def recognises(self, path: Path) -> bool:
        """Whether a JSON file states the schema of this project."""
        return has_key(path, "schema_version")

    def parse(self, text: str, names: NameMap) -> ReadResult:
        """Labels of the file."""
        return read_labels_json(text, names)


def has_key(path: Path, key: str) -> bool:
    """Whether a file is a JSON object with a key at the top."""
    if path.suffix.lower() != SUFFIX or not path.is_file():
        return False
    try:
        content = json.loads(decode_text(path.read_bytes()))
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and key in content
