"""Compare predicted landmarks with labelled ones: on the AASCE layout (a split, or one fold of it), or on phantoms."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

import _app_path  # noqa: F401
from lib.learning.aasce import FOLDS, SPLITS, Record, folds, read_aasce
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.devices import choose_device
from lib.learning.prediction import LandmarkPredictor
from lib.learning.reading import Radiograph, read_radiograph
from lib.spine.geometry import with_centers
from lib.spine.metrics import Localisation, localisation
from lib.spine.phantoms import random_spec, render_phantom

PHANTOM_SEED = 1_000_000


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="data set in the AASCE layout")
    source.add_argument("--phantoms", type=int, metavar="COUNT", help="as many phantoms that training never draws")
    parser.add_argument("--split", choices=SPLITS, help="goes with --data")
    parser.add_argument("--fold", type=int, choices=range(FOLDS), help="only this fold of the training split")
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parsed = parser.parse_args(arguments)
    if (parsed.data is None) != (parsed.split is None):
        parser.error("--data and --split go together")
    if parsed.phantoms is not None and parsed.phantoms < 1:
        parser.error("--phantoms must be at least 1")
    if parsed.fold is not None and parsed.split != "training":
        parser.error("--fold goes with --split training only")
    return parsed


def errors(
    predictor: LandmarkPredictor, radiographs: Iterable[Radiograph], labelled: np.ndarray, chosen: dict[str, np.ndarray]
) -> dict[str, Localisation]:
    """Figures over every chosen part of the images; an image that shows no spine to the model counts all the same."""
    bar = tqdm(radiographs, total=len(labelled), unit="image", disable=not sys.stderr.isatty())
    predicted = np.stack([predictor.locate(radiograph).spine.xy for radiograph in bar])
    return {name: localisation(predicted[part], labelled[part]) for name, part in chosen.items()}


def on_records(predictor: LandmarkPredictor, records: list[Record]) -> dict[str, Localisation]:
    """Figures over the records with sane points, and over those among them whose names can be trusted as well."""
    sane = [record for record in records if record.geometry_ok]
    clean = np.array([record.is_clean for record in sane])
    labelled = np.stack([with_centers(record.corners) for record in sane])
    chosen = {"sane": np.full(len(sane), True), "clean": clean}
    return errors(predictor, (read_radiograph(record.path) for record in sane), labelled, chosen)


def on_phantoms(predictor: LandmarkPredictor, count: int) -> dict[str, Localisation]:
    """Figures over phantoms of 1000 x 460 pixels; training draws seeds from 0 up, these start far above."""
    phantoms = [render_phantom(random_spec(PHANTOM_SEED + number, 1000, 460)) for number in range(count)]
    labelled = np.stack([phantom.spine.xy for phantom in phantoms])
    radiographs = (Radiograph(phantom.pixels) for phantom in phantoms)
    return errors(predictor, radiographs, labelled, {"phantoms": np.full(count, True)})


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
        if arguments.phantoms is not None:
            figures = on_phantoms(predictor, arguments.phantoms)
        else:
            records = read_aasce(arguments.data, arguments.split)
            fold_of = folds(records)
            wanted = {arguments.fold} if arguments.fold is not None else set(range(FOLDS))
            chosen = [record for record, fold in zip(records, fold_of, strict=True) if fold in wanted]
            figures = on_records(predictor, chosen)
    except (OSError, ValueError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    rows = {name: asdict(value) for name, value in figures.items()}
    print(f"{'':20}" + "".join(f"{name:>10}" for name in rows))
    for key in next(iter(rows.values())):
        print(f"{key:20}" + "".join(f"{values[key]:>10.3f}" for values in rows.values()))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
