"""Predictions on rotated images and on images that lack vertebrae; two tables in Markdown.

    python scripts/turned_and_cut.py --count 100 [--data FOLDER --fold 0 --weights FILE]

Phantoms, and with ``--data`` crops of a fold; weights that were trained on it are refused. No image states its
orientation. Cut ones lack one to six vertebrae at the top or the bottom.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from _held_out_arguments import add_assume_unseen
from lib.image_io import Radiograph, read_radiograph
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.data.aasce import folds, read_aasce
from lib.learning.models.devices import choose_device
from lib.learning.prediction.predictor import LandmarkPredictor, NoSpineError
from lib.learning.weights.provenance import file_trained_on
from lib.learning.weights.weight_files import load_weights
from lib.phantoms import random_spec, render_phantom
from lib.spine.geometry import center_distances, with_centers
from lib.spine.measurement.report import curves_of
from lib.spine.schema import VERTEBRAE

_FIRST_SEED = 5000  # far from those of training items
_MAX_CUT = 6
_MAX_OFF = 0.5  # steps that a center may be off under its right name
Labelled = tuple[np.ndarray, np.ndarray]
"""Pixels ``(H, W)``, and points ``(V, P, 2)`` in them."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="phantoms, and at most so many crops")
    parser.add_argument("--data", type=Path, help="training split of a data set in the AASCE layout")
    parser.add_argument("--fold", type=int, default=0, help="fold that the weights do not know")
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE)
    add_assume_unseen(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser.parse_args(arguments)


def phantoms(count: int) -> Iterator[Labelled]:
    """Generated images."""
    for seed in range(_FIRST_SEED, _FIRST_SEED + count):
        phantom = render_phantom(random_spec(seed))
        yield phantom.pixels, phantom.spine.xy


def crops(data: Path, fold: int, count: int) -> Iterator[Labelled]:
    """Radiographs of a fold whose points and names are trusted."""
    records = read_aasce(data, "training")
    held_out = (record for record, its_fold in zip(records, folds(records), strict=True) if its_fold == fold)
    for record in islice((record for record in held_out if record.is_clean), count):
        yield read_radiograph(record.path).pixels, with_centers(record.corners)


def found_upright(predictor: LandmarkPredictor, pixels: np.ndarray) -> list[bool]:
    """Whether the orientation of an image is detected that is stored upright, and in quarter turns."""
    found = []
    for turn in range(4):
        stored = Radiograph(np.ascontiguousarray(np.rot90(pixels, turn)))
        try:
            found.append(predictor.predict(stored).orientation.quarter_turns == turn)
        except NoSpineError:
            found.append(False)
    return found


def cut(labelled: Labelled, number: int) -> Labelled:
    """An image without so many vertebrae at the top, or at the bottom where the number is negative."""
    pixels, xy = labelled
    y = xy[..., 1]
    if number > 0:
        begin = max(0, round(float(y[number - 1].max())))
        return pixels[begin:], xy - np.array([0, begin])
    return pixels[: round(float(y[number].min()))], xy


def outcome_of_cut(predictor: LandmarkPredictor, labelled: Labelled) -> Counter[str]:
    """Counts of correct and wrong predictions of a cut image."""
    pixels, truth = labelled
    try:
        prediction = predictor.predict(Radiograph(np.ascontiguousarray(pixels)))
    except NoSpineError:
        return Counter(images=1, refused=1)
    spine, height = prediction.spine, len(pixels)
    shown = (truth[:, 0, 1] >= 0) & (truth[:, 0, 1] < height)
    off = np.linalg.norm(spine.xy[:, 0] - truth[:, 0], axis=-1)[shown] / center_distances(truth[:, 0]).mean()
    curves = curves_of(spine, prediction.frame)
    ends = [VERTEBRAE.index(end) for curve in curves for end in (curve.upper_end, curve.lower_end)]
    return Counter(
        images=1,
        right=int((off < _MAX_OFF).all()),
        outside=int(any(not spine.visible[end].all() for end in ends)),
        warned=int(any(warning.code == "bodies_off_image" for warning in prediction.warnings)),
    )


def report(kind: str, predictor: LandmarkPredictor, images: Iterator[Labelled]) -> tuple[str, str]:
    """A row of each table."""
    turned, whole, short = Counter[int](), Counter[str](), Counter[str]()
    for number, labelled in enumerate(images):
        turned.update({turn: int(is_found) for turn, is_found in enumerate(found_upright(predictor, labelled[0]))})
        whole.update(outcome_of_cut(predictor, labelled))
        missing = 1 + number % _MAX_CUT
        for cut_image in (cut(labelled, missing), cut(labelled, -missing)):
            short.update(outcome_of_cut(predictor, cut_image))
    count, cuts = max(1, whole["images"]), max(1, short["images"])
    shares = " | ".join(f"{100 * turned[turn] / count:.1f} %" for turn in range(4))
    return (
        f"| {kind} | {count} | {shares} |",
        f"| {kind} | {cuts} | {100 * whole['right'] / count:.0f} % | {100 * short['right'] / cuts:.0f} % | "
        f"{short['outside']} | {100 * short['warned'] / cuts:.0f} % | {100 * short['refused'] / cuts:.0f} % |",
    )


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        if arguments.data is not None:
            seen, name = file_trained_on(load_weights(arguments.weights)), arguments.weights.name
            seen.check_unseen(arguments.fold, name, assume_unseen=arguments.assume_unseen)
        predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
    except (OSError, ValueError) as error:
        print(f"turned_and_cut: {error}", file=sys.stderr)
        return 1
    sources = {"phantoms": phantoms(arguments.count)}
    if arguments.data is not None:
        sources[f"crops of fold {arguments.fold}"] = crops(arguments.data, arguments.fold, arguments.count)
    for kind, images in sources.items():
        upright, incomplete = report(kind, predictor, images)
        print("| stored upright, turned | n | upright | 90° | 180° | 270° |\n|---|---|---|---|---|---|")
        print(upright)
        print(
            "\n| cut | n | names right, whole | names right, cut | angles from what is not shown | warned | refused |"
        )
        print(f"|---|---|---|---|---|---|---|\n{incomplete}", flush=True)
    return 0
