"""List labelled radiographs whose vertebra names a model doubts: its spine fits the label better one level off."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

import _app_path  # noqa: F401
from lib.learning.aasce import SPLITS, folds, read_aasce
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.devices import choose_device
from lib.learning.prediction import LandmarkPredictor
from lib.learning.reading import read_radiograph
from lib.spine.geometry import centers_of
from lib.spine.metrics import name_shift

COLUMNS = ("filename", "fold", "names_trusted", "levels_off", "score")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data set in the AASCE layout")
    parser.add_argument("--split", choices=SPLITS, default="training")
    parser.add_argument("--output", type=Path, required=True, help="CSV file; scripts/train.py --distrust takes it")
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser.parse_args(arguments)


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
        records = read_aasce(arguments.data, arguments.split)
        rows = []
        pairs = zip(records, folds(records), strict=True)
        for record, fold in tqdm(list(pairs), unit="image", disable=not sys.stderr.isatty()):
            if not record.geometry_ok:
                continue
            prediction = predictor.locate(read_radiograph(record.path))
            levels = name_shift(prediction.spine.xy[:, 0], np.asarray(centers_of(record.corners)))
            if levels:
                rows.append((record.path.name, fold, int(record.is_clean), levels, f"{prediction.spine_score:.3f}"))
        with arguments.output.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([COLUMNS, *rows])
    except (OSError, ValueError) as error:
        print(f"audit_names: {error}", file=sys.stderr)
        return 1
    print(f"{len(rows)} of {len(records)} labels fit better one or two levels off; they are in {arguments.output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
