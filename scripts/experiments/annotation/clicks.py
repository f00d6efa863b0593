"""Clicks: the error of held-out images after 0, 1, 2, 3, 5 and 10 corrections of the worst point."""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm import tqdm

from _held_out_arguments import add_assume_unseen
from experiments import plot_style
from experiments.annotation.click_figures import COUNTS, GROSS, Clicked, draw, figures, show
from experiments.miscounted_maps import with_levels_off
from lib.evaluation.metrics import distances, name_shift
from lib.image_io import Radiograph, read_radiograph
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.data.aasce import FOLDS, Record, folds, read_aasce
from lib.learning.decoders import FixedLandmarks
from lib.learning.models.devices import choose_device
from lib.learning.prediction.network_view import NetworkView
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.learning.prediction.request import PredictionCache, PredictionRequest
from lib.learning.prediction.result import Prediction
from lib.learning.prediction.upright import UprightTurn
from lib.learning.uncertainty.error_correlation import SpineErrors, fit_correlations
from lib.learning.uncertainty.error_model import ErrorModel
from lib.learning.weights.provenance import file_trained_on
from lib.learning.weights.weight_files import load_weights
from lib.spine.atomic_write import atomic_write, check_writable
from lib.spine.geometry import center_distances, with_centers
from lib.spine.labels.markups import label_of
from lib.spine.schema import POINTS, VERTEBRAE

SHIFTED_CLICKS = 2
"""That a simulated shift of names is followed for; what is left then is corrected as elsewhere."""
CSV, PLOT, FIGURES = "clicks.csv", "clicks.png", "clicks.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line."""
    parser.add_argument("--data", type=Path, required=True, help="data set in the AASCE layout")
    parser.add_argument("--fold", type=int, choices=range(FOLDS), default=0, help="of the training split, held out")
    add_assume_unseen(parser)
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE, help="weight file with an error model")
    parser.add_argument("--noise", type=float, default=2.0, help="pixels by which the second person misses, each axis")
    parser.add_argument("--films", type=int, help="only so many images, the first ones")
    parser.add_argument("--seed", type=int, default=0, help="of the noise and of the bootstrap")
    parser.add_argument("--output", type=Path, required=True, help="folder for the table, the plot and the figures")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")


@dataclass(frozen=True, eq=False)
class Start:
    """An image and the prediction that a person corrects.

    Attributes:
        name: of the image.
        half: 0 or 1, the same for images of one patient.
        radiograph: the image.
        turn: how it is brought upright.
        view: what the network says of it.
        labelled: ``(V, P, 2)`` pixels.
        shift: by how many levels names were moved on purpose, 0 where nothing was done.
    """

    name: str
    half: int
    radiograph: Radiograph
    turn: UprightTurn
    view: NetworkView
    labelled: np.ndarray
    shift: int = 0

    @cached_property
    def cache(self) -> PredictionCache:
        """Of predictions from the view."""
        return PredictionCache((self.turn, self.view))

    def shifted(self, by: int) -> Start:
        """The same image as if the network had given every name to the vertebra so many levels further down."""
        return replace(self, view=replace(self.view, maps=with_levels_off(self.view.maps, by)), shift=by)


def read_starts(records: Sequence[Record], predictor: LandmarkPredictor) -> list[Start]:
    """Look at every image once.

    Raises:
        ValueError: an image cannot be read.
    """
    starts = []
    bar = tqdm(zip(records, folds(records, 2), strict=True), total=len(records), disable=not sys.stderr.isatty())
    for record, half in bar:
        radiograph = read_radiograph(record.path)
        labelled = with_centers(record.corners)
        image, view = predictor.run_network(radiograph)
        starts.append(Start(record.path.name, half, radiograph, image.turn, view, labelled))
    return starts


def predicted(start: Start, predictor: LandmarkPredictor, fixed: FixedLandmarks | None = None) -> Prediction:
    """What the server would answer."""
    request = PredictionRequest(fixed=fixed or FixedLandmarks.none(), cache=start.cache)
    return predictor.predict(start.radiograph, request)


def fit_halves(starts: Sequence[Start], predictor: LandmarkPredictor) -> tuple[ErrorModel, ErrorModel]:
    """Error models for the images of each half, with the correlations of the other half's errors.

    Raises:
        ValueError: there is no error model, or a half has no image with right names.
    """
    if predictor.error_model is None:
        raise ValueError("the weights have no error model; scripts/calibrate.py measures one")
    errors: tuple[list[SpineErrors], list[SpineErrors]] = ([], [])
    for start in starts:
        spine = predicted(start, predictor).spine
        if name_shift(spine.xy[:, 0], start.labelled[:, 0]) == 0:
            errors[start.half].append(SpineErrors.of(spine.xy, start.labelled, spine.errors))
    if not all(errors):
        raise ValueError("either half of the images needs one with right names")
    first, second = (replace(predictor.error_model, correlations=fit_correlations(part)) for part in errors)
    return second, first


def correct(
    start: Start, predictor: LandmarkPredictor, noise: float, propagation: bool, most: int, seed: int
) -> Iterator[Clicked]:
    """Correct the worst point again and again.

    Args:
        start: where the person begins.
        predictor: answers.
        noise: see ``Clicked``.
        propagation: see ``Clicked``.
        most: clicks.
        seed: of the noise.
    """
    random = np.random.default_rng(seed)
    predictor.limits = replace(predictor.limits, propagation=propagation)
    step = float(center_distances(start.labelled[:, 0]).mean())
    fixed, point, is_gross = FixedLandmarks.none(), "", False
    for clicks in range(most + 1):
        begin = time.perf_counter()
        xy = predicted(start, predictor, fixed).spine.xy
        seconds = time.perf_counter() - begin
        error = distances(xy, start.labelled)
        corner, center = float(error[:, 1:].mean()), float(error[:, 0].mean())
        if clicks == 0:
            is_gross = start.shift != 0 or corner > GROSS * step
        shift = name_shift(xy[:, 0], start.labelled[:, 0])
        means = (corner, center, corner / step, center / step)
        yield Clicked(start.name, start.shift, is_gross, noise, propagation, clicks, point, *means, shift, seconds)
        v, p = np.unravel_index(error.argmax(), error.shape)
        fixed = FixedLandmarks(fixed.xy.copy())
        fixed.xy[v, p] = start.labelled[v, p] + random.normal(0, noise, 2)
        point = label_of(VERTEBRAE[v], POINTS[p])


def simulate(
    starts: Sequence[Start], predictor: LandmarkPredictor, noises: Sequence[float], seed: int
) -> list[Clicked]:
    """Correct every image, and those with right names also after their names were moved up and down.

    Raises:
        ValueError: the error correlations of the halves cannot be measured.
    """
    models = fit_halves(starts, predictor)
    rows: list[Clicked] = []
    for start in tqdm(starts, unit="image", disable=not sys.stderr.isatty()):
        predictor.error_model = models[start.half]
        is_right = name_shift(predicted(start, predictor).spine.xy[:, 0], start.labelled[:, 0]) == 0
        shifted = [start.shifted(by) for by in (-1, 1)] if is_right else []
        for noise, propagation in itertools.product(noises, (False, True)):
            for begin, most in [(start, max(COUNTS)), *((moved, SHIFTED_CLICKS) for moved in shifted)]:
                rows += correct(begin, predictor, noise, propagation, most, seed)
    return rows


def write_rows(path: Path, rows: Sequence[Clicked]) -> None:
    """A table with a row per image, condition and click."""
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([column.name for column in fields(Clicked)])
        for row in rows:
            writer.writerow(
                [f"{v:.4f}" if isinstance(v, float) else int(v) if isinstance(v, bool) else v for v in astuple(row)]
            )


def run(arguments: argparse.Namespace) -> None:
    """Simulate, print, and write the table, the figures and the plot.

    Raises:
        ValueError: the weights know the fold, have no error model, or there are too few images.
        OSError: a file cannot be read or written.
    """
    plot_style.check_library()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in (CSV, PLOT, FIGURES):
        check_writable(arguments.output / name)
    seen = file_trained_on(load_weights(arguments.weights))
    seen.check_unseen(arguments.fold, arguments.weights.name, assume_unseen=arguments.assume_unseen)
    predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
    records = read_aasce(arguments.data, "training")
    pairs = zip(records, folds(records), strict=True)
    chosen = [record for record, fold in pairs if fold == arguments.fold and record.is_clean]
    starts = read_starts(chosen[: arguments.films], predictor)
    rows = simulate(starts, predictor, (0.0, arguments.noise), arguments.seed)
    write_rows(arguments.output / CSV, rows)
    found = figures(rows, arguments.seed)
    with atomic_write(arguments.output / FIGURES) as temporary:
        temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")
    draw(found, arguments.output / PLOT)
    show(found)
