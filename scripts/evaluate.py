"""Compare predicted landmarks with labelled ones: on the AASCE layout, on films with unnamed boxes, or on phantoms."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import _app_path  # noqa: F401
from lib.learning.aasce import FOLDS, SPLITS, Record, folds, read_aasce
from lib.learning.boxes import BoxRecord, read_boxes
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.decoders import DECODERS
from lib.learning.devices import choose_device
from lib.learning.padding import padded
from lib.learning.prediction import LandmarkPredictor
from lib.learning.reading import Radiograph, read_radiograph
from lib.spine.anatomy import spans_of
from lib.spine.calibration import Decile, ratio_range
from lib.spine.evaluation import (
    Figures,
    anatomy_figures,
    anatomy_of_boxes,
    calibrations,
    evaluate,
    evaluate_boxes,
    evaluate_each,
)
from lib.spine.files import check_writable, replacing
from lib.spine.geometry import with_centers
from lib.spine.matching import match_boxes
from lib.spine.phantoms import random_spec, render_phantom
from lib.spine.schema import CENTER, POINTS, Spine
from predict import TABLES, landmark_rows

PHANTOM_SEED = 1_000_000
LABELS = "labels"
CALIBRATION = "calibration"
KINDS = ("film", "trunk")
"""What names of boxed radiographs begin with: whole films, and crops of the trunk."""
OTHER_KIND = "other"


@dataclass(frozen=True, eq=False)
class Film:
    """One image of a set.

    Attributes:
        path: the file; for a phantom its number.
        sets: names of the sets that it belongs to.
    """

    path: Path | int
    sets: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the image is called, wherever the data set lies."""
        return self.path.name if isinstance(self.path, Path) else str(self.path)

    def read(self) -> Radiograph:
        """The image."""
        if isinstance(self.path, Path):
            return read_radiograph(self.path)
        return Radiograph(phantom(self.path)[0])


@dataclass(frozen=True, eq=False)
class Case(Film):
    """An image with all its landmarks.

    Attributes:
        points: ``(V, P, 2)`` labelled pixels.
        angles: ``(3,)`` official angles; ``None`` where there are none.
    """

    points: np.ndarray
    angles: np.ndarray | None


@dataclass(frozen=True, eq=False)
class BoxCase(Film):
    """An image whose vertebrae are boxed but not named.

    Attributes:
        boxes: ``(N, 2)`` middles from top to bottom, pixels.
        fold: that it belongs to.
    """

    boxes: np.ndarray
    fold: int


@dataclass(frozen=True)
class Seen:
    """What was predicted on one image, in its own pixels.

    Attributes:
        spines: by decoder.
        score: mean of the highest scores of the channels.
        size: width and height of the image.
    """

    spines: dict[str, Spine]
    score: float
    size: tuple[int, int]


Results = dict[str, dict[str, dict[str, Any]]]
"""Decoder, or ``LABELS``, to set to figures; under ``CALIBRATION`` a list of deciles where errors are estimated."""
Row = dict[str, Any]
"""One image, set and decoder: column to value."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="data set in the AASCE layout")
    source.add_argument("--boxes", type=Path, help="radiographs with unnamed boxes (boxes.csv and images)")
    source.add_argument("--phantoms", type=int, metavar="COUNT", help="as many phantoms that training never draws")
    parser.add_argument("--split", choices=SPLITS, help="goes with --data")
    parser.add_argument(
        "--fold",
        type=int,
        choices=range(FOLDS),
        nargs="+",
        action="extend",
        help="only these folds of the training split or of the boxes",
    )
    parser.add_argument("--kind", choices=KINDS, help="only whole films or only trunk crops; goes with --boxes")
    parser.add_argument("--decoder", choices=DECODERS, nargs="+", default=[DECODERS[0]], help="one or several")
    parser.add_argument("--padded", action="store_true", help="put every image into a larger, random field first")
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--json", type=Path, default=Path("evaluation.json"), help="file for the figures")
    parser.add_argument("--images", type=Path, metavar="CSV", help="table with a row per image, set and decoder")
    parser.add_argument("--predictions", type=Path, metavar="CSV", help="the landmarks as predict.py writes them")
    parsed = parser.parse_args(arguments)
    if (parsed.data is None) != (parsed.split is None):
        parser.error("--data and --split go together")
    if parsed.phantoms is not None and parsed.phantoms < 1:
        parser.error("--phantoms must be at least 1")
    if parsed.fold is not None and parsed.split != "training" and parsed.boxes is None:
        parser.error("--fold goes with --split training or --boxes only")
    if parsed.kind is not None and parsed.boxes is None:
        parser.error("--kind goes with --boxes only")
    if parsed.predictions is not None and len(set(parsed.decoder)) > 1:
        parser.error("--predictions goes with one decoder only")
    return parsed


def phantom(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and points of a phantom of 1000 x 460 pixels; training draws seeds from 0 up, these start far above."""
    rendered = render_phantom(random_spec(PHANTOM_SEED + number, 1000, 460))
    return rendered.pixels, rendered.spine.xy


def training_cases(records: Sequence[Record]) -> list[Case]:
    """Films with sane points, and the clean ones among them, whose names can be trusted as well."""
    return [
        Case(r.path, ("sane", "clean") if r.is_clean else ("sane",), with_centers(r.corners), r.angles)
        for r in records
        if r.geometry_ok
    ]


def test_cases(records: Sequence[Record], training: Sequence[Record]) -> list[Case]:
    """All test films with the labels that the literature uses; again the strict ones, with repaired labels.

    The set "unseen" is all but the films that stand in training too. Strict films have sane points and trusted names,
    and no film of the same patient in the training split.
    """
    known = {record.group for record in training}
    cases = []
    for r in records:
        unseen = ("all", "unseen") if not r.duplicate_of_training else ("all",)
        resorted = r.corners if r.resorted is None else r.resorted
        cases.append(Case(r.path, unseen, with_centers(resorted), r.angles))
        if r.is_clean and not r.duplicate_of_training and r.group not in known:
            cases.append(Case(r.path, ("strict",), with_centers(r.corners), r.angles))
    return cases


def box_cases(
    records: Sequence[BoxRecord], kind: str | None = None, wanted: Iterable[int] | None = None
) -> list[BoxCase]:
    """Boxed films of one kind, or of every kind as a set of its own, and of the folds that are wanted."""
    cases = []
    for r in records:
        found = next((name for name in KINDS if r.path.name.startswith(f"{name}_")), OTHER_KIND)
        if kind in (None, found) and (wanted is None or r.fold in wanted):
            cases.append(BoxCase(r.path, (found,), r.centers, r.fold))
    return cases


def predict(
    films: Sequence[Film], predictor: LandmarkPredictor, decoders: Sequence[str], is_padded: bool
) -> dict[Path | int, Seen]:
    """What every decoder finds on each image, which is predicted once, whatever the sets.

    An image that shows no spine to the model counts all the same.

    Raises:
        ValueError: there is no image, or one cannot be read.
        OSError: an image cannot be opened.
    """
    if not films:
        raise ValueError("there is no image to compare")
    seen: dict[Path | int, Seen] = {}
    unique = list({film.path: film for film in films}.values())
    for film in tqdm(unique, unit="image", disable=not sys.stderr.isatty()):
        radiograph, moved = film.read(), np.zeros(2)
        size = radiograph.width, radiograph.height
        if is_padded:
            radiograph, moved = padded(radiograph, zlib.crc32(film.name.encode()))
        predictions = predictor.compare(radiograph, decoders)
        spines = {
            name: Spine.from_arrays(p.spine.xy - moved, p.spine.scores, p.spine.errors)
            for name, p in predictions.items()
        }
        seen[film.path] = Seen(spines, predictions[decoders[0]].spine_score, size)
    return seen


def measure(cases: Sequence[Case], seen: dict[Path | int, Seen], decoders: Sequence[str]) -> tuple[Results, list[Row]]:
    """Figures of every decoder, and of the labels themselves, on every set; and the table of images."""
    results: Results = {}
    rows: list[Row] = []
    for chosen in dict.fromkeys(name for case in cases for name in case.sets):
        part = [case for case in cases if chosen in case.sets]
        labelled = np.stack([case.points for case in part])
        sizes = np.array([seen[case.path].size for case in part], dtype=float)
        angles = [case.angles for case in part if case.angles is not None]
        official = np.stack(angles) if len(angles) == len(part) else None
        for decoder in decoders:
            spines = [seen[case.path].spines[decoder] for case in part]
            predicted, errors = np.stack([s.xy for s in spines]), np.stack([s.errors for s in spines])
            deciles = calibrations(predicted, labelled, errors)
            figures: dict[str, Any] = {**evaluate(predicted, labelled, sizes, official), **ratio_figures(deciles)}
            if deciles:
                figures[CALIBRATION] = decile_rows(deciles)
            results.setdefault(decoder, {})[chosen] = figures
            for case, one in zip(part, evaluate_each(predicted, labelled, sizes, official, errors), strict=True):
                rows.append({**key_columns(case, chosen, decoder), **asdict(one), "spine_score": seen[case.path].score})
        centers = labelled[:, :, 0]
        results.setdefault(LABELS, {})[chosen] = {"images": len(part), **anatomy_figures(centers, spans_of(centers))}
    return results, rows


def measure_boxes(
    cases: Sequence[BoxCase], seen: dict[Path | int, Seen], decoders: Sequence[str]
) -> tuple[Results, list[Row]]:
    """Figures of every decoder on every kind of boxed films, the boxes' own anatomy, and the table of images."""
    results: Results = {}
    rows: list[Row] = []
    for chosen in dict.fromkeys(name for case in cases for name in case.sets):
        part = [case for case in cases if chosen in case.sets]
        boxes = [case.boxes for case in part]
        for decoder in decoders:
            points = np.stack([seen[case.path].spines[decoder].xy for case in part])
            results.setdefault(decoder, {})[chosen] = evaluate_boxes(points, boxes)
            for case in part:
                rows.append({**key_columns(case, chosen, decoder), **box_columns(case, seen[case.path], decoder)})
        results.setdefault(LABELS, {})[chosen] = {"images": len(part), **anatomy_of_boxes(boxes)}
    return results, rows


def box_columns(case: BoxCase, seen: Seen, decoder: str) -> Row:
    """How well the boxes of one image were found."""
    spine = seen.spines[decoder]
    match = match_boxes(spine.xy[:, POINTS.index(CENTER)], case.boxes)
    expected = spine.errors[:, POINTS.index(CENTER)]
    return {
        "fold": case.fold,
        "boxes": match.boxes,
        "boxes_left_out": match.left_out,
        "boxes_matched": len(match.pairs),
        "in_order": match.is_in_order,
        "unmatched_between": len(match.between),
        "unmatched_astray": len(match.astray),
        "unmatched_beyond": len(match.beyond),
        "distance_mean_steps": float(np.mean(match.distances_steps)) if match.pairs else None,
        "expected_center_px": None if np.isnan(expected).any() else float(expected.mean()),
        "spine_score": seen.score,
    }


def key_columns(film: Film, chosen: str, decoder: str) -> Row:
    """Which image, set and decoder a row is about."""
    return {"image": film.name, "set": chosen, "decoder": decoder}


def ratio_figures(deciles: dict[str, tuple[Decile, ...]]) -> Figures:
    """Smallest and largest expected / observed error of all points, centers and corners, where there is one."""
    ranges = {name: ratio_range(part) for name, part in deciles.items()}
    ends = {name: dict(zip(("least", "most"), found, strict=True)) for name, found in ranges.items() if found}
    return {f"{CALIBRATION}_{name}_{end}": value for name, found in ends.items() for end, value in found.items()}


def decile_rows(deciles: dict[str, tuple[Decile, ...]]) -> list[Row]:
    """Deciles of all points, of centers and of corners as plain values, errors in pixels."""
    return [
        {"points": name, "decile": number, **asdict(decile), "ratio": decile.ratio}
        for name, part in deciles.items()
        for number, decile in enumerate(part, 1)
    ]


def show(results: Results) -> None:
    """Print one table, a column per decoder and set, and below it the deciles where errors are estimated."""
    columns = [(decoder, chosen) for decoder, sets in results.items() for chosen in sets]
    names = dict.fromkeys(name for d, c in columns for name in results[d][c] if name != CALIBRATION)
    width = max(map(len, names)) + 2
    for row in (0, 1):
        print(" " * width + "".join(f"{column[row]:>12}" for column in columns))
    for name in names:
        values = (results[decoder][chosen].get(name) for decoder, chosen in columns)
        print(f"{name:{width}}" + "".join(" " * 12 if v is None else f"{v:>12.5g}" for v in values))
    for decoder, chosen in columns:
        rows = results[decoder][chosen].get(CALIBRATION, [])
        for points in dict.fromkeys(row["points"] for row in rows):
            print(f"\n{decoder}, {chosen}, {points}: expected / observed error in px by decile of the expected")
            said = (f"{r['expected']:.3g}/{r['observed']:.3g}" for r in rows if r["points"] == points)
            print("  ".join(said))


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write rows of the same columns; what is ``None`` stays empty, claims are 1 and 0, numbers have 4 decimals."""

    def plain(value: Any) -> Any:
        if isinstance(value, bool):
            return int(value)
        return f"{value:.4f}" if isinstance(value, float) else value

    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: plain(value) for name, value in row.items()} for row in rows)


def write_predictions(path: Path, films: Sequence[Film], seen: dict[Path | int, Seen], decoder: str) -> None:
    """Write the landmarks of every image once, in the columns of ``predict.py``."""
    names = {film.path: film.name for film in films}
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(TABLES["landmarks.csv"])
        for place, name in names.items():
            writer.writerows(landmark_rows(name, seen[place].spines[decoder]))


def aasce_cases(arguments: argparse.Namespace) -> list[Case]:
    """Cases of the split and the folds that are asked for."""
    training = read_aasce(arguments.data, "training")
    if arguments.split == "test":
        return test_cases(read_aasce(arguments.data, "test"), training)
    wanted = range(FOLDS) if arguments.fold is None else arguments.fold
    return training_cases([r for r, fold in zip(training, folds(training), strict=True) if fold in wanted])


def run(arguments: argparse.Namespace) -> None:
    """Predict, compare, print and write.

    Raises:
        ValueError: there is no image to compare, or one cannot be read.
        OSError: a file cannot be opened or written; of results, it is told before the work.
    """
    for path in (arguments.json, arguments.images, arguments.predictions):
        if path is not None:
            check_writable(path)
    predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
    decoders = list(dict.fromkeys(arguments.decoder))
    films: Sequence[Film]
    if arguments.boxes is not None:
        films = boxed = box_cases(read_boxes(arguments.boxes), arguments.kind, arguments.fold)
        seen = predict(films, predictor, decoders, arguments.padded)
        results, rows = measure_boxes(boxed, seen, decoders)
    else:
        if arguments.phantoms is not None:
            cases = [Case(n, ("phantoms",), phantom(n)[1], None) for n in range(arguments.phantoms)]
        else:
            cases = aasce_cases(arguments)
        films = cases
        seen = predict(films, predictor, decoders, arguments.padded)
        results, rows = measure(cases, seen, decoders)
    show(results)
    with replacing(arguments.json) as temporary:
        temporary.write_text(json.dumps(results, indent=1), encoding="utf-8")
    if arguments.images is not None:
        write_table(arguments.images, rows)
    if arguments.predictions is not None:
        write_predictions(arguments.predictions, films, seen, decoders[0])


def main() -> int:
    """Run the command; returns the exit status."""
    try:
        run(parse_arguments())
    except (OSError, ValueError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
