"""A table with a row per point, as ``labels.py export --format csv`` and ``predict.py`` write it."""

from __future__ import annotations

from pathlib import Path

from ....spine.labels.label_exchange import ReadResult, read_landmarks_csv
from ....spine.labels.landmark_names import NameMap
from .label_file import LabelFile

SUFFIXES = (".csv", ".tsv", ".txt")


class LandmarkTable(LabelFile):
    """Columns image, vertebra, point, x_px and y_px; patient, score and visible where there are any."""

    name = "csv"
    expected = "a .csv file with the columns image, vertebra, point, x_px, y_px"

    def recognises(self, path: Path) -> bool:
        """Whether the file has the suffix of a table."""
        return path.suffix.lower() in SUFFIXES and path.is_file()

    def parse(self, text: str, names: NameMap) -> ReadResult:
        """Labels of a table."""
        return read_landmarks_csv(text, names)
