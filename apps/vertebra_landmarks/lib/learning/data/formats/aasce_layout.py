"""The AASCE layout as a data set, with its own patients and folds."""

from __future__ import annotations

from pathlib import Path

from ....spine.geometry import with_centers
from ..aasce import folds, label_of_record, read_aasce
from .data_set import DataFormat, DataImage, DataOptions, DataSet

AASCE = "AASCE training split"
"""What facts of weights call it under ``data``."""
FILES = ("index.csv", "landmarks_repaired.csv")


class AasceLayout(DataFormat):
    """The training split of a folder in the AASCE layout."""

    name = "aasce"
    expected = f"a folder with {' and '.join(FILES)}"

    def recognises(self, path: Path) -> bool:
        """Whether the index and the corners are there."""
        return all((path / name).is_file() for name in FILES)

    def read(self, path: Path, options: DataOptions) -> DataSet:
        """Read the training split; options mean nothing here."""
        records = read_aasce(path, "training")
        images = [
            DataImage(
                record.path,
                record.path.name,
                with_centers(record.corners),
                label_of_record(record),
                f"{record.group:06d}",  # in the order of numbers
                fold,
                record.is_clean,
                record.angles,
            )
            for record, fold in zip(records, folds(records), strict=True)
        ]
        return DataSet(AASCE, tuple(images), is_own=False)
