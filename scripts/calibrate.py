"""Measure on a held-out fold how far off predictions are, and store that in the weight file as its error model.

To that belongs what errors of some corners say about those of others, by which corrections spread.

Where weights were trained on all images, nothing is left to measure on: --from copies what was measured on weights of
the same recipe that held a fold out. The file says what its error model was measured on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import _app_path  # noqa: F401
from _data_arguments import DATA_HELP, add_data_options, read_data
from _held_out_arguments import add_assume_unseen
from _path_arguments import existing_file
from lib.evaluation.calibration import calibrate, share_inside
from lib.evaluation.metrics import distances, name_shift
from lib.image_io import read_radiograph
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.data.formats.data_set import DataImage
from lib.learning.data.formats.folds import FOLDS, check_fold, deal
from lib.learning.models.devices import choose_device
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.learning.uncertainty.error_correlation import SpineErrors, fit_correlations
from lib.learning.uncertainty.error_model import MIN_SPINES, CalibrationCase, ErrorModel, fit_error_model
from lib.learning.weights.provenance import AASCE, file_trained_on, own_facts
from lib.learning.weights.weight_files import (
    ERRORS_MEASURED_ON,
    CornerWeights,
    Weights,
    file_digest,
    load_weights,
    networks_digest,
    save_weights,
)
from lib.spine.atomic_write import check_writable
from lib.spine.geometry import center_distances
from lib.spine.measurement.angle_interval import interval_half_width
from lib.spine.measurement.cobb import largest_curve
from lib.spine.schema import POINTS, VERTEBRAE

DECODER = "map"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help=DATA_HELP)
    source.add_argument(
        "--from", type=existing_file, dest="source", metavar="FILE", help="weight file with a measured one"
    )
    parser.add_argument("--fold", type=int, choices=range(FOLDS), help="of --data, not trained on; 0 if left out")
    add_assume_unseen(parser)
    add_data_options(parser)
    parser.add_argument(
        "--weights", type=existing_file, default=DEFAULT_WEIGHTS_FILE, help="weight file with a corner network"
    )
    parser.add_argument("--output", type=Path, required=True, help="weight file to write")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parsed = parser.parse_args(arguments)
    if parsed.source is not None and (parsed.fold is not None or parsed.assume_unseen):
        parser.error("--fold and --assume-unseen go with --data only")
    parsed.fold = parsed.fold or 0
    return parsed


def compared(image: DataImage, predictor: LandmarkPredictor) -> CalibrationCase:
    """Predict an image and compare it with its label.

    Raises:
        ValueError: the image cannot be read, or the corner network was not asked.
    """
    prediction = predictor.locate(read_radiograph(image.path), DECODER)
    if prediction.raw_errors is None:
        raise ValueError("the corner network was not asked: prediction.refinement of model.yaml is off")
    points, labelled = image.upright(prediction.spine.xy), image.upright(image.points)
    largest = largest_curve(points)
    return CalibrationCase(
        prediction.raw_errors,
        distances(points, labelled),
        float(center_distances(points[:, 0]).mean()),
        prediction.naming_lead,
        name_shift(points[:, 0], labelled[:, 0]) != 0,
        points,
        largest.ends,
        abs(largest.angle_deg - largest_curve(labelled).angle_deg),
    )


def with_correlations(model: ErrorModel, cases: Sequence[CalibrationCase], images: Sequence[DataImage]) -> ErrorModel:
    """The error model with what errors of some points say about those of others, on images with right names."""
    spines = [
        SpineErrors.of(case.points, image.upright(image.points), model.local(case.raw, case.step))
        for case, image in zip(cases, images, strict=True)
        if not case.is_shifted
    ]
    return replace(model, correlations=fit_correlations(spines))


def expected(case: CalibrationCase, model: ErrorModel) -> tuple[np.ndarray, float]:
    """Expected errors and an interval, if the names are right.

    Returns:
        ``(V, P)`` pixels, and the half width of the largest angle's 90 % interval in degrees.
    """
    local = model.local(case.raw, case.step)
    return local, interval_half_width(model.tilt_half_widths(case.points, local), case.ends)


def cross_checked(cases: list[CalibrationCase], half: list[int]) -> None:
    """Print how an error model does on images that it was not measured on.

    Args:
        cases: predictions beside their labels.
        half: 0 or 1 for each, the same for images of one patient; each half is judged by the other.

    Raises:
        ValueError: a half has too few images.
    """
    said, seen, right, off, widths = [], [], [], [], []
    for side in (0, 1):
        model = fit_error_model([case for case, h in zip(cases, half, strict=True) if h != side])
        for case in (case for case, h in zip(cases, half, strict=True) if h == side):
            errors, width = expected(case, model)
            said.append(errors)
            seen.append(case.observed)
            right.append(not case.is_shifted)
            off.append(case.angle_error)
            widths.append(width)
    for title, chosen in (
        ("images with right names", np.array(right)),
        ("all images", np.ones(len(right), dtype=bool)),
    ):
        print(f"cross-checked on {chosen.sum()} {title}, tenths of the points, expected / observed px (ratio):")
        for decile in calibrate(np.stack(said)[chosen].ravel(), np.stack(seen)[chosen].ravel()):
            print(f"  {decile.expected:6.1f} / {decile.observed:6.1f} ({decile.ratio or 0:.2f})")
    share = share_inside(np.array(off), np.array(widths))
    print(f"largest angle inside its 90 % interval: {share:.0%} of {len(widths)} images")


def measured(arguments: argparse.Namespace, weights: Weights) -> tuple[ErrorModel, dict[str, Any]]:
    """The error model of weights, and on what it was measured.

    Raises:
        ValueError: the weights were trained on the fold, there are too few images, or one cannot be read.
        OSError: a file cannot be read.
    """
    name, assumed = arguments.weights.name, arguments.assume_unseen
    data = read_data(arguments, [arguments.weights], is_learnt=True)
    file_trained_on(weights).check_held_out(data, arguments.fold, name, assumed)
    predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
    chosen = [image for image in check_fold(data, arguments.fold) if image.is_trusted and image.is_complete]
    if data.is_own and len(chosen) < MIN_SPINES:
        raise ValueError(
            f"an error model needs {MIN_SPINES} held-out images with right names at least; fold {arguments.fold} of "
            f"{data.name} has {len(chosen)} with all {len(VERTEBRAE) * len(POINTS)} points"
        )
    bar = tqdm(chosen, unit="image", disable=not sys.stderr.isatty())
    cases = [compared(image, predictor) for image in bar]
    model = with_correlations(fit_error_model(cases), cases, chosen)
    try:
        cross_checked(cases, deal([image.patient for image in chosen], 2))
    except ValueError as error:
        print(f"not checked on one half of the images by the other: {error}")
    measured_on = {"data": AASCE, "fold": arguments.fold, "films": len(cases), "decoder": DECODER}
    if data.is_own:
        measured_on |= own_facts(data, chosen)
    return model, {**measured_on, "networks": networks_digest(weights)}


def copied(source: Path) -> tuple[ErrorModel, dict[str, Any]]:
    """The error model of another weight file, and on what it was measured as far as that file says.

    Raises:
        ValueError: it is no weight file, or has no error model.
        OSError: it cannot be read.
    """
    refiner = corner_network(load_weights(source), source)
    if refiner.errors is None:
        raise ValueError(f"{source.name} has no error model to copy; calibrate.py --data measures one")
    measured_on = refiner.facts.get(ERRORS_MEASURED_ON) or {}
    return refiner.errors, {**measured_on, "copied_from": {"file": source.name, "digest": file_digest(source)}}


def corner_network(weights: Weights, path: Path) -> CornerWeights:
    """The corner network of a weight file.

    Raises:
        ValueError: there is none.
    """
    if weights.refiner is None:
        raise ValueError(f"{path.name} holds no corner network, which says how far off it may be")
    return weights.refiner


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        check_writable(arguments.output)
        weights = load_weights(arguments.weights)
        refiner = corner_network(weights, arguments.weights)
        model, measured_on = copied(arguments.source) if arguments.source else measured(arguments, weights)
        refiner = replace(refiner, errors=model, facts={**refiner.facts, ERRORS_MEASURED_ON: measured_on})
        save_weights(arguments.output, weights.state, weights.config, weights.facts, weights.prior, refiner)
    except (OSError, ValueError) as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return 1
    if arguments.source:
        print(f"copied from {arguments.source.name}; written to {arguments.output}")
    else:
        print(f"measured on {measured_on['films']} images of fold {arguments.fold}; written to {arguments.output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
