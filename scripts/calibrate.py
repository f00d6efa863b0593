"""Measure on a held-out fold how far off predictions are, and store that in the weight file as its error model."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

import _app_path  # noqa: F401
from lib.learning.aasce import FOLDS, Record, folds, read_aasce
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.devices import choose_device
from lib.learning.prediction import LandmarkPredictor
from lib.learning.reading import read_radiograph
from lib.learning.uncertainty import Checked, ErrorModel, expected_tilts, fit_error_model
from lib.learning.weights import load_weights, save_weights
from lib.spine.calibration import calibrate
from lib.spine.curves import measure_curves
from lib.spine.files import check_writable
from lib.spine.geometry import steps, with_centers
from lib.spine.metrics import distances, name_shift
from lib.spine.schema import VERTEBRAE

DECODER = "map"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data set in the AASCE layout")
    parser.add_argument("--fold", type=int, default=0, choices=range(FOLDS), help="fold that was not trained on")
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE, help="weight file with a second network")
    parser.add_argument("--output", type=Path, required=True, help="weight file to write")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser.parse_args(arguments)


def compared(record: Record, predictor: LandmarkPredictor) -> Checked:
    """Predict a film and compare it with its label.

    Raises:
        ValueError: the film cannot be read, or the second network was not asked.
    """
    prediction = predictor.locate(read_radiograph(record.path), DECODER)
    if prediction.said_errors is None:
        raise ValueError("the second network was not asked: prediction.refinement of model.yaml is off")
    points, labelled = prediction.spine.xy, with_centers(record.corners)
    largest = max(measure_curves(points), key=lambda curve: curve.angle_deg)
    truth = max(curve.angle_deg for curve in measure_curves(labelled))
    return Checked(
        prediction.said_errors,
        distances(points, labelled),
        float(steps(points[:, 0]).mean()),
        prediction.naming_lead,
        name_shift(points[:, 0], labelled[:, 0]) != 0,
        points,
        (VERTEBRAE.index(largest.upper_end), VERTEBRAE.index(largest.lower_end)),
        abs(largest.angle_deg - truth),
    )


def expected(case: Checked, model: ErrorModel) -> tuple[np.ndarray, float]:
    """Expected errors and an interval, if the names are right.

    Returns:
        ``(V, P)`` pixels, and the half width of the largest angle's 90 % interval in degrees.
    """
    local = model.local(case.said, case.step)
    return local, model.tilt_factor * float(np.hypot(*expected_tilts(case.points, local)[list(case.ends)]))


def cross_checked(cases: list[Checked], half: list[int]) -> None:
    """Print how an error model does on films that it was not measured on.

    Args:
        cases: predictions beside their labels.
        half: 0 or 1 for each, the same for films of one patient; each half is judged by the other.

    Raises:
        ValueError: a half has too few films.
    """
    said, seen, right, inside = [], [], [], []
    for side in (0, 1):
        model = fit_error_model([case for case, h in zip(cases, half, strict=True) if h != side])
        for case in (case for case, h in zip(cases, half, strict=True) if h == side):
            errors, width = expected(case, model)
            said.append(errors)
            seen.append(case.observed)
            right.append(not case.is_shifted)
            inside.append(case.angle_error <= width)
    for title, chosen in (("films with right names", np.array(right)), ("all films", np.ones(len(right), dtype=bool))):
        print(f"cross-checked on {chosen.sum()} {title}, tenths of the points, expected / observed px (ratio):")
        for decile in calibrate(np.stack(said)[chosen].ravel(), np.stack(seen)[chosen].ravel()):
            print(f"  {decile.expected:6.1f} / {decile.observed:6.1f} ({decile.ratio or 0:.2f})")
    print(f"largest angle inside its 90 % interval: {np.mean(inside):.0%} of {len(inside)} films")


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        check_writable(arguments.output)
        weights = load_weights(arguments.weights)
        if weights.refiner is None:
            raise ValueError(f"{arguments.weights.name} holds no second network, which says how far off it may be")
        predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
        records = read_aasce(arguments.data, "training")
        pairs = zip(records, folds(records), strict=True)
        chosen = [record for record, fold in pairs if fold == arguments.fold and record.is_clean]
        bar = tqdm(chosen, unit="image", disable=not sys.stderr.isatty())
        cases = [compared(record, predictor) for record in bar]
        model = fit_error_model(cases)
        try:
            cross_checked(cases, folds(chosen, 2))
        except ValueError as error:
            print(f"not cross-checked: {error}")
        refiner = replace(weights.refiner, errors=model)
        save_weights(arguments.output, weights.state, weights.config, weights.facts, weights.prior, refiner)
    except (OSError, ValueError) as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return 1
    print(f"measured on {len(cases)} films of fold {arguments.fold}; written to {arguments.output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
