"""Check the vertebra names of labels with a model; the table tells which to move or to ignore (train.py --names)."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import _app_path  # noqa: F401
from _data_arguments import DATA_HELP, add_data_options, read_data
from _path_arguments import existing_file
from lib.image_io import read_radiograph
from lib.learning.codec import PRESENT, STATE, UNNAMED
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.data import IMAGE, LABEL, boxed_images
from lib.learning.models.devices import choose_device
from lib.learning.prediction.level_names import COLUMNS, folds_cell, likeliest_naming, use_of
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.learning.weights.provenance import TrainedOn, trained_on
from lib.learning.weights.weight_files import load_weights
from lib.spine.atomic_write import atomic_write, check_writable


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help=DATA_HELP)
    add_data_options(parser)
    parser.add_argument("--boxes", type=Path, help="radiographs with unnamed boxes")
    parser.add_argument("--output", type=Path, required=True, help="CSV file")
    parser.add_argument("--weights", type=existing_file, default=DEFAULT_WEIGHTS_FILE)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parsed = parser.parse_args(arguments)
    if parsed.data is None and parsed.boxes is None:
        parser.error("--data or --boxes is needed")
    return parsed


def labelled(arguments: argparse.Namespace, seen: TrainedOn) -> Iterator[tuple[dict[str, Any], int, bool | None, str]]:
    """Training items, their folds, whether a curator trusts their names (``None``: they have none), and model folds.

    A user's label is asked about where it has all points: namings are counted from T1.
    """
    known = folds_cell(seen.folds) if seen.is_known else ""
    if arguments.data is not None:
        data = read_data(arguments, [arguments.weights])
        known_of_data = folds_cell(seen.folds_of(data)) if data.is_own and seen.is_known else known
        for image in data.images:
            if image.label is not None and image.is_complete:
                yield image.item(), image.fold, image.is_trusted, known_of_data
    if arguments.boxes is not None:
        for boxed in boxed_images.read_boxes(arguments.boxes):
            for item in boxed_images.to_items([boxed]):
                yield item, boxed.fold, None, known


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        check_writable(arguments.output)
        predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
        seen = trained_on(load_weights(arguments.weights).facts)
        rows = []
        items = list(labelled(arguments, seen))
        for item, fold, trusted, model_folds in tqdm(items, unit="image", disable=not sys.stderr.isatty()):
            centers = item[LABEL][np.isin(item[LABEL][:, 0, STATE], (PRESENT, UNNAMED)), 0, :STATE]
            path = Path(item[IMAGE])
            naming = likeliest_naming(predictor.scores_at(read_radiograph(path), centers))
            said = {True: "yes", False: "no", None: ""}[trusted]
            use = use_of(naming, len(centers), trusted)
            rows.append((path.name, fold, said, len(centers), naming.levels, f"{naming.margin:.1f}", use, model_folds))
        with (
            atomic_write(arguments.output) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as stream,
        ):
            csv.writer(stream).writerows([COLUMNS, *rows])
    except (OSError, ValueError) as error:
        print(f"audit_names: {error}", file=sys.stderr)
        return 1
    doubted = sum(bool(row[COLUMNS.index("use")]) for row in rows)
    print(f"{doubted} of {len(rows)} labels are renamed or ignored in training; see {arguments.output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
