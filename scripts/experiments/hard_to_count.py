"""Skipped vertebrae, level names and single corrections on hard images, and the AUROC of ``names_right``.

    python scripts/hard_to_count.py --data FOLDER --weights FILE [--fold 0] [--films 70] [--centers] [--fit]

Held-out crops of a fold: whole, in a larger field, cut at the neck or the lumbar spine, faint, with two hidden bodies,
and with maps whose channels are one level off or have counted 18 bodies (``miscounted_maps``). Prints tables in
Markdown: how many images a server refuses for their score, though they are predicted here; names and clicks by
centers, and, without ``--centers``, how far off corners and tilts are where names are right. With ``--fit`` also the
weights of ``level_names.names_evidence`` as these images have them.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage, optimize, stats

from experiments.miscounted_maps import miscounted, with_levels_off
from experiments.turned_and_cut import cut
from lib.evaluation.box_matching import local_steps
from lib.image_io import Radiograph, read_radiograph
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.data.aasce import Record, folds, read_aasce
from lib.learning.data.synthetic import padded
from lib.learning.models.devices import choose_device
from lib.learning.prediction.level_names import evidence_parts
from lib.learning.prediction.network_view import NetworkView
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.learning.prediction.request import PredictionCache, PredictionRequest
from lib.learning.prediction.result import Prediction
from lib.learning.prediction.upright import UprightTurn
from lib.learning.weights.provenance import file_trained_on
from lib.learning.weights.weight_files import load_weights
from lib.spine.fixed_landmarks import FixedLandmarks
from lib.spine.geometry import body_tilts, center_distances, corners_of, with_centers

NEAR = 0.5
"""Local steps within which a center lies on a body."""
WORSE = 0.05
"""Steps by which the mean of the points that are not fixed may grow."""
_MAX_CUT = 4
_HIDDEN_SIZE, _BLUR = (0.8, 0.55), 0.8  # of a body's width and of a step
_CONTRAST, _SCATTER, _NOISE = (
    0.2,
    4.0,
    0.5,
)  # of faint images: of the contrast, steps, of the remaining contrast's spread
SYNTHETIC = ("levels off", "miscounted")


@dataclass(frozen=True, eq=False)
class Start:
    """An image, its network view, and where its vertebrae are.

    Attributes:
        kind: how it was made hard.
        name: of the image.
        half: 0 or 1, the same for images of one patient.
        radiograph: the image.
        turn: how it was brought upright.
        view: of the network.
        points: ``(V, P, 2)`` labelled pixels, some of them perhaps beyond the image.
    """

    kind: str
    name: str
    half: int
    radiograph: Radiograph
    turn: UprightTurn
    view: NetworkView
    points: np.ndarray

    @property
    def centers(self) -> np.ndarray:
        """``(V, 2)`` labelled pixels."""
        return self.points[:, 0]

    @property
    def is_shown(self) -> np.ndarray:
        """``(V,)`` which vertebrae the image shows."""
        y = self.centers[:, 1]
        shown: np.ndarray = (y >= 0) & (y < self.radiograph.height)
        return shown


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of an image.

    Attributes:
        start: the image.
        is_right: whether every shown vertebra has its name.
        skipped: bodies without a center between two that have one.
        evidence: for the names.
        parts: of that evidence.
        is_repaired: whether every shown vertebra has its name after the worst center was put right.
        is_worse: whether the others lie worse after that.
        is_refused: whether the score is below the served threshold, so that a server predicts nothing.
    """

    start: Start
    is_right: bool
    skipped: int
    evidence: float
    parts: np.ndarray
    is_repaired: bool
    is_worse: bool
    is_refused: bool


@dataclass(frozen=True, eq=False)
class Accuracy:
    """How far off the corners are on an image whose names are right, of the vertebrae that it shows.

    Attributes:
        kind: how the image was made hard.
        corner_px: ``(N, K)`` distances, pixels of the original image.
        tilt_deg: ``(N,)`` differences of tilts.
    """

    kind: str
    corner_px: np.ndarray
    tilt_deg: np.ndarray


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="data set in the AASCE layout")
    parser.add_argument("--fold", type=int, default=0, help="of the training split, which the weights do not know")
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE)
    parser.add_argument("--films", type=int, help="only so many images, the first ones")
    parser.add_argument("--centers", action="store_true", help="names and clicks only, in half the time")
    parser.add_argument("--fit", action="store_true", help="print weights of the evidence for names")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser.parse_args(arguments)


def hidden(pixels: np.ndarray, xy: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The image with two bodies, not the outermost, blurred away under noise."""
    gray, step = pixels.astype(np.float32), float(np.median(center_distances(xy[:, 0])))
    y, x = np.mgrid[: gray.shape[0], : gray.shape[1]]
    share = np.zeros_like(gray)
    for body in random.choice(np.arange(1, len(xy) - 1), 2, replace=False):
        width = float(np.linalg.norm(xy[body, 1] - xy[body, 2]))
        away = np.maximum(
            np.abs(x - xy[body, 0, 0]) / (width * _HIDDEN_SIZE[0]),
            np.abs(y - xy[body, 0, 1]) / (step * _HIDDEN_SIZE[1]),
        )
        share = np.maximum(share, np.clip((1.25 - away) / 0.25, 0, 1))
    noise = 0.4 * gray.std() * ndimage.gaussian_filter(random.normal(0, 1, gray.shape), 1.0)
    blurred = ndimage.gaussian_filter(gray, _BLUR * step) + noise
    return np.clip(gray + share * (blurred - gray), pixels.min(), pixels.max()).astype(pixels.dtype)


def faint(pixels: np.ndarray, xy: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The image as of a thick body: a fifth of its contrast, scattered light, noise of a low dose."""
    gray, step = pixels.astype(np.float32), float(np.median(center_distances(xy[:, 0])))
    scattered = ndimage.gaussian_filter(gray, _SCATTER * step)
    noise = _NOISE * gray.std() * ndimage.gaussian_filter(random.normal(0, 1, gray.shape), 0.7)
    thick = scattered + _CONTRAST * (ndimage.gaussian_filter(gray, 1.0) - scattered) + _CONTRAST * noise
    return np.clip(thick, 0, 255).astype(pixels.dtype)


def hard_images(record: Record, number: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """A record's image, plain and made hard in every way: the way, pixels and points ``(V, P, 2)``."""
    pixels, xy = read_radiograph(record.path).pixels, with_centers(record.corners)
    seed = zlib.crc32(record.path.name.encode())
    yield "whole", pixels, xy
    wider, moved = padded(Radiograph(pixels), seed)
    yield "larger field", wider.pixels, xy + moved
    missing = 1 + number % _MAX_CUT
    yield ("neck cut off", *cut((pixels, xy), missing))
    yield ("lumbar cut off", *cut((pixels, xy), -missing))
    yield "faint", faint(pixels, xy, np.random.default_rng(seed)), xy
    yield "two bodies hidden", hidden(pixels, xy, np.random.default_rng(seed)), xy


def starts(records: Sequence[Record], predictor: LandmarkPredictor) -> Iterator[Start]:
    """Every image in every way; maps are changed of those whole ones whose names are right."""
    for number, (record, half) in enumerate(zip(records, folds(records, 2), strict=True)):
        for kind, pixels, xy in hard_images(record, number):
            radiograph = Radiograph(np.ascontiguousarray(pixels))
            image, view = predictor.run_network(radiograph)
            start = Start(kind, record.path.name, half, radiograph, image.turn, view, xy)
            yield start
            if kind == "whole" and errors(start, found(start, predictor)).max() < NEAR:
                for by in (-1, 1):
                    yield replace(start, kind=SYNTHETIC[0], view=replace(view, maps=with_levels_off(view.maps, by)))
                random = np.random.default_rng(number)
                for is_lower in (True, False):
                    maps = miscounted(view, start.centers, random, is_lower)
                    if maps is not None:
                        yield replace(start, kind=SYNTHETIC[1], view=replace(view, maps=maps))


def predict(start: Start, predictor: LandmarkPredictor, fixed: FixedLandmarks) -> Prediction:
    """Predict from the view of an image."""
    request = PredictionRequest(fixed=fixed, cache=PredictionCache((start.turn, start.view)))
    return predictor.predict(start.radiograph, request)


def found(start: Start, predictor: LandmarkPredictor, fixed: FixedLandmarks | None = None) -> np.ndarray:
    """``(V, 2)`` predicted centers."""
    return predict(start, predictor, fixed or FixedLandmarks.none()).spine.xy[:, 0]


def errors(start: Start, centers: np.ndarray) -> np.ndarray:
    """``(V,)`` local steps by which centers miss their own vertebra; 0 for those that the image does not show."""
    away = np.linalg.norm(centers - start.centers, axis=-1) / local_steps(start.centers)
    return np.where(start.is_shown, away, 0.0)


def skipped(start: Start, centers: np.ndarray) -> int:
    """How many shown bodies have no center on them, though one above and one below them has."""
    away = np.linalg.norm(centers[:, None] - start.centers, axis=-1) / local_steps(start.centers)
    has = np.flatnonzero(away.min(0) < NEAR)
    return int((start.is_shown & (away.min(0) >= NEAR))[has.min() : has.max()].sum()) if len(has) else 0


def outcome(start: Start, predictor: LandmarkPredictor, min_score: float) -> Outcome:
    """Predict an image, then once more with its worst center put right; a lower score than ``min_score`` is refused."""
    prediction = predict(start, predictor, FixedLandmarks.none())
    before = prediction.spine.xy[:, 0]
    error = errors(start, before)
    fixed, worst = FixedLandmarks.none(), int(error.argmax())
    fixed.xy[worst, 0] = start.centers[worst]
    after = errors(start, found(start, predictor, fixed))
    rest = start.is_shown & (np.arange(len(error)) != worst)
    size = (start.radiograph.width, start.radiograph.height)
    visible: np.ndarray = np.all((before >= 0) & (before < size), axis=1)
    return Outcome(
        start,
        bool((error < NEAR).all()),
        skipped(start, before),
        prediction.naming_lead,
        evidence_parts(start.view.scores_at(before), visible),
        bool((after < NEAR).all()),
        bool(after[rest].mean() - error[rest].mean() > WORSE),
        prediction.spine_score < min_score,
    )


def accuracy(start: Start, predictor: LandmarkPredictor) -> Accuracy | None:
    """The errors of an image after refinement; ``None`` where a name is wrong, or of changed maps."""
    if start.kind in SYNTHETIC:
        return None
    xy = predict(start, predictor, FixedLandmarks.none()).spine.xy
    if not (errors(start, xy[:, 0]) < NEAR).all():
        return None
    seen, labelled = corners_of(xy)[start.is_shown], corners_of(start.points)[start.is_shown]
    return Accuracy(start.kind, np.linalg.norm(seen - labelled, axis=-1), body_tilts(seen) - body_tilts(labelled))


def area(doubt: np.ndarray, is_wrong: np.ndarray) -> float:
    """Chance that a wrong one is doubted more than a right one; NaN where there are not both."""
    wrong, right = int(is_wrong.sum()), int((~is_wrong).sum())
    ranks = stats.rankdata(doubt)[is_wrong].sum()
    return float((ranks - wrong * (wrong + 1) / 2) / (wrong * right)) if wrong and right else float("nan")


def fitted(parts: np.ndarray, is_wrong: np.ndarray) -> np.ndarray:
    """Constant and weights of a logistic model of right names, with a little shrinkage."""
    mean, spread = parts.mean(0), parts.std(0) + 1e-9
    x, sign = (parts - mean) / spread, np.where(is_wrong, -1.0, 1.0)

    def loss(w: np.ndarray) -> float:
        return float(np.logaddexp(0, -sign * (w[0] + x @ w[1:])).sum() + (w[1:] ** 2).sum())

    w = optimize.minimize(loss, np.zeros(1 + x.shape[1])).x
    return np.concatenate([[w[0] - (w[1:] * mean / spread).sum()], w[1:] / spread])


def show(outcomes: Sequence[Outcome]) -> None:
    """A row for every way, and how well names are doubted."""
    print("| images | n | refused | names right | bodies skipped (images) | one click repairs | a click makes worse |")
    print("|---|---|---|---|---|---|---|")
    for kind in dict.fromkeys(case.start.kind for case in outcomes):
        part = [case for case in outcomes if case.start.kind == kind]
        wrong = [case for case in part if not case.is_right]
        print(
            f"| {kind} | {len(part)} | {sum(case.is_refused for case in part)} | "
            f"{np.mean([case.is_right for case in part]):.0%} | "
            f"{sum(case.skipped for case in part)} ({sum(case.skipped > 0 for case in part)}) | "
            f"{sum(case.is_repaired for case in wrong)} of {len(wrong)} | {sum(case.is_worse for case in part)} |"
        )
    wrong_when_whole = {case.start.name for case in outcomes if case.start.kind == "whole" and not case.is_right}
    sure = [case for case in outcomes if case.start.name not in wrong_when_whole]
    for title, chosen in (
        ("all", outcomes),
        ("maps unchanged", [case for case in outcomes if case.start.kind not in SYNTHETIC]),
        ("without images misnamed when whole", sure),
        ("both", [case for case in sure if case.start.kind not in SYNTHETIC]),
    ):
        doubt, is_wrong = np.array([-case.evidence for case in chosen]), np.array([not c.is_right for c in chosen])
        print(f"\n{title}: wrong names {is_wrong.sum()} of {len(chosen)}, AUROC {area(doubt, is_wrong):.2f}")


def show_accuracy(found: Sequence[Accuracy]) -> None:
    """A row for every way."""
    print("\n| images | n with right names | corner error, median / mean | tilt, root mean square |")
    print("|---|---|---|---|")
    for kind in dict.fromkeys(one.kind for one in found):
        part = [one for one in found if one.kind == kind]
        far, tilts = (np.concatenate([getattr(one, name) for one in part]) for name in ("corner_px", "tilt_deg"))
        rms = np.sqrt(np.mean(tilts**2))
        print(f"| {kind} | {len(part)} | {np.median(far):.1f} / {far.mean():.1f} px | {rms:.2f}° |")


def show_fit(outcomes: Sequence[Outcome]) -> None:
    """Weights of the evidence, and how each half of the images is judged by those of the other."""
    parts = np.array([case.parts for case in outcomes])
    is_wrong, half = (np.array(v) for v in zip(*((not c.is_right, c.start.half) for c in outcomes), strict=True))
    print("\nconstant and weights (log odds of right names):", np.round(fitted(parts, is_wrong), 2).tolist())
    for side in (0, 1):
        w = fitted(parts[half != side], is_wrong[half != side])
        doubt = -(w[0] + parts[half == side] @ w[1:])
        print(f"half {side}, judged by the other: AUROC {area(doubt, is_wrong[half == side]):.2f}")


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    file_trained_on(load_weights(arguments.weights)).check_unseen(
        arguments.fold, arguments.weights.name, assume_unseen=False
    )
    predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
    refining = predictor.limits
    coarse = replace(refining, refinement=False, min_spine_score=0.0)
    records = read_aasce(arguments.data, "training")
    held_out = [r for r, fold in zip(records, folds(records), strict=True) if fold == arguments.fold and r.is_clean]
    outcomes, accuracies = [], []
    predictor.limits = coarse
    for start in starts(held_out[: arguments.films], predictor):
        outcomes.append(outcome(start, predictor, refining.min_spine_score))
        if not arguments.centers:
            predictor.limits = replace(refining, min_spine_score=0.0)
            accuracies.append(accuracy(start, predictor))
            predictor.limits = coarse
    show(outcomes)
    if not arguments.centers:
        show_accuracy([one for one in accuracies if one is not None])
    if arguments.fit:
        show_fit(outcomes)
    return 0
