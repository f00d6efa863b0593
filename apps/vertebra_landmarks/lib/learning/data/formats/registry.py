"""All formats of labelled data, and which of them a path is of."""

from __future__ import annotations

from pathlib import Path

from ....spine.labels.label_exchange import decode_text, json_object
from .aasce_layout import AasceLayout
from .coco_file import CocoFile
from .data_set import DataFormat, DataOptions, DataSet
from .json_labels import SUFFIX, JsonLabels
from .landmark_table import LandmarkTable
from .studies_labels import StudiesLabels

FORMATS: dict[str, DataFormat] = {
    one.name: one for one in (AasceLayout(), StudiesLabels(), CocoFile(), JsonLabels(), LandmarkTable())
}
"""Formats by name, in the order in which a path is compared with them."""
AUTO = "auto"


def format_of_data(path: Path) -> DataFormat:
    """The format that a path is of.

    Raises:
        ValueError: it is of none.
    """
    found = next((one for one in FORMATS.values() if one.recognises(path)), None)
    if found is None:
        _check_json(path)
        what = "there is nothing at" if not path.exists() else "no labelled data are at"
        expected = "; ".join(f"{one.expected} ({name})" for name, one in FORMATS.items())
        raise ValueError(f"{what} {path}; expected was {expected}")
    return found


def _check_json(path: Path) -> None:
    """Refuse a file that is JSON by its name only, with what is wrong with it.

    Raises:
        ValueError: it is no JSON object.
    """
    if path.suffix.lower() == SUFFIX and path.is_file():
        try:
            json_object(decode_text(path.read_bytes()))
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from error


def read_data_set(path: Path, name: str = AUTO, options: DataOptions | None = None) -> DataSet:
    """Read labelled images.

    Args:
        path: file or folder.
        name: of the format; ``AUTO`` to tell it from the path.
        options: of the user.

    Returns:
        The data set; of a user's data the folds are still to be dealt (``folds.with_folds``).

    Raises:
        ValueError: it is of no format, or of another one.
        OSError: a file cannot be read.
    """
    chosen = format_of_data(path) if name == AUTO else FORMATS[name]
    return chosen.read(path, options or DataOptions())
