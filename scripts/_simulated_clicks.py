"""Clicks: the error of held-out films after 0, 1, 2, 3, 5 and 10 corrections of the worst point."""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

import _app_path  # noqa: F401
import _plots
import _training
from _click_figures import COUNTS, GROSS, Clicked, draw, figures, show
from _miscounted_maps import with_levels_off
from lib.learning.aasce import FOLDS, Record, folds, read_aasce
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.correlation_fit import SpineErrors, fit_correlations
from lib.learning.decoders import FixedLandmarks
from lib.learning.devices import choose_device
from lib.learning.heldout import file_trained_on
from lib.learning.image_io import Radiograph, read_radiograph
from lib.learning.prediction import LandmarkPredictor, Prediction
from lib.learning.seen import SeenFilm
from lib.learning.uncertainty import ErrorModel
from lib.learning.weights import load_weights
from lib.spine.files import check_writable, replacing
from lib.spine.geometry import steps, with_centers
from lib.spine.markups import label_of
from lib.spine.metrics import distances, name_shift
from lib.spine.schema import POINTS, VERTEBRAE

SHIFTED_CLICKS = 2
"""That a simulated shift of names is followed for; what is left then is corrected as elsewhere."""
CSV, PLOT, FIGURES = "clicks.csv", "clicks.png", "clicks.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line."""
    parser.add_argument("--data", type=Path, required=True, help="data set in the AASCE layout")
    parser.add_argument("--fold", type=int, choices=range(FOLDS), default=0, help="of the training split, held out")
    _training.add_assume_unseen(parser)
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE, help="weight file with an error model")
    parser.add_argument("--noise", type=float, default=2.0, help="pixels by which the second person misses, each axis")
    parser.add_argument("--films", type=int, help="only so many films, the first ones")
    parser.add_argument("--seed", type=int, default=0, help="of the noise and of the bootstrap")
    parser.add_argument("--output", type=Path, required=True, help="folder for the table, the plot and the figures")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")


@dataclass(frozen=True, eq=False)
class Start:
    """A film and the prediction that a person corrects.

    Attributes:
        name: of the image.
        half: 0 or 1, the same for films of one patient.
        radiograph: the film.
        seen: what the network saw of it.
        labelled: ``(V, P, 2)`` pixels.
        shift: by how many levels names were moved on purpose, 0 where nothing was done.
    """

    name: str
    half: int
    radiograph: Radiograph
    seen: SeenFilm
    labelled: np.ndarray
    shift: int = 0

    def shifted(self, by: int) -> Start:
        """The same film as if the network had given every name to the vertebra so many levels further down."""
        look = replace(self.seen.look, maps=with_levels_off(self.seen.look.maps, by))
        return replace(self, seen=SeenFilm(look), shift=by)


def read_starts(records: Sequence[Record], predictor: LandmarkPredictor) -> list[Start]:
    """Look at every film once.

    Raises:
        ValueError: a film cannot be read.
    """
    starts = []
    bar = tqdm(zip(records, folds(records, 2), strict=True), total=len(records), disable=not sys.stderr.isatty())
    for record, half in bar:
        radiograph = read_radiograph(record.path)
        labelled = with_centers(record.corners)
        starts.append(Start(record.path.name, half, radiograph, predictor.see(radiograph), labelled))
    return starts


def predicted(start: Start, predictor: LandmarkPredictor, fixed: FixedLandmarks | None = None) -> Prediction:
    """What the server would answer."""
    return predictor.predict(start.radiograph, fixed=fixed, seen=start.seen)


def fit_halves(starts: Sequence[Start], predictor: LandmarkPredictor) -> tuple[ErrorModel, ErrorModel]:
    """Error models for the films of each half, with the correlations of the other half's errors.

    Raises:
        ValueError: there is no error model, or a half has no film with right names.
    """
    if predictor.error_model is None:
        raise ValueError("the weights have no error model; scripts/calibrate.py measures one")
    errors: tuple[list[SpineErrors], list[SpineErrors]] = ([], [])
    for start in starts:
        spine = predicted(start, predictor).spine
        if name_shift(spine.xy[:, 0], start.labelled[:, 0]) == 0:
            errors[start.half].append(SpineErrors.of(spine.xy, start.labelled, spine.errors))
    if not all(errors):
        raise ValueError("either half of the films needs one with right names")
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
    fixed, step, point, is_gross = FixedLandmarks.none(), float(steps(start.labelled[:, 0]).mean()), "", False
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
    """Correct every film, and those with right names also after their names were moved up and down.

    Raises:
        ValueError: the error correlations of the halves cannot be measured.
    """
    models = fit_halves(starts, predictor)
    rows: list[Clicked] = []
    for start in tqdm(starts, unit="film", disable=not sys.stderr.isatty()):
        predictor.error_model = models[start.half]
        is_right = name_shift(predicted(start, predictor).spine.xy[:, 0], start.labelled[:, 0]) == 0
        shifted = [start.shifted(by) for by in (-1, 1)] if is_right else []
        for noise, propagation in itertools.product(noises, (False, True)):
            for begin, most in [(start, max(COUNTS)), *((moved, SHIFTED_CLICKS) for moved in shifted)]:
                rows += correct(begin, predictor, noise, propagation, most, seed)
    return rows


def write_rows(path: Path, rows: Sequence[Clicked]) -> None:
    """A table with a row per film, condition and click."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([column.name for column in fields(Clicked)])
        for row in rows:
            writer.writerow(
                [f"{v:.4f}" if isinstance(v, float) else int(v) if isinstance(v, bool) else v for v in astuple(row)]
            )


def run(arguments: argparse.Namespace) -> None:
    """Simulate, print, and write the table, the figures and the plot.

    Raises:
        ValueError: the weights know the fold, have no error model, or there are too few films.
        OSError: a file cannot be read or written.
    """
    _plots.check_library()
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
    with replacing(arguments.output / FIGURES) as temporary:
        temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")
    draw(found, arguments.output / PLOT)
    show(found)
