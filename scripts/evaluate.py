"""Compare predicted landmarks with labelled ones on the AASCE layout: a whole split, or one fold of the training."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

import _app_path  # noqa: F401
from lib.learning.aasce import FOLDS, SPLITS, Record, folds, read_aasce
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.prediction import LandmarkPredictor
from lib.learning.reading import read_radiograph
from lib.learning.training import choose_device
from lib.spine.geometry import with_centers
from lib.spine.metrics import Localisation, localisation


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data set in the AASCE layout")
    parser.add_argument("--split", required=True, choices=SPLITS)
    parser.add_argument("--fold", type=int, choices=range(FOLDS), help="only this fold of the training split")
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parsed = parser.parse_args(arguments)
    if parsed.fold is not None and parsed.split != "training":
        parser.error("--fold goes with --split training only")
    return parsed


def compare(records: list[Record], predictor: LandmarkPredictor) -> dict[str, Localisation]:
    """Figures over the records with sane points, and over those among them whose names can be trusted as well."""
    sane = [record for record in records if record.geometry_ok]
    spines = [predictor.locate(read_radiograph(r.path)).spine for r in tqdm(sane, unit="image", dynamic_ncols=True)]
    predicted = np.stack([spine.xy for spine in spines])
    labelled = np.stack([with_centers(record.corners) for record in sane])
    clean = np.array([record.is_clean for record in sane])
    return {"sane": localisation(predicted, labelled), "clean": localisation(predicted[clean], labelled[clean])}


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        records = read_aasce(arguments.data, arguments.split)
        if arguments.fold is not None:
            fold_of = folds(records)
            records = [record for record, fold in zip(records, fold_of, strict=True) if fold == arguments.fold]
        predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
        figures = {name: asdict(value) for name, value in compare(records, predictor).items()}
    except (OSError, ValueError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    print(f"{'':20}" + "".join(f"{name:>10}" for name in figures))
    for key in figures["sane"]:
        print(f"{key:20}" + "".join(f"{values[key]:>10.3f}" for values in figures.values()))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
