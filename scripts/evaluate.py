"""Compare predicted landmarks with labelled ones: on the AASCE layout, on films with unnamed boxes, or on phantoms."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import _app_path  # noqa: F401
from lib.evaluation.box_matching import match_boxes
from lib.evaluation.calibration import Decile, ratio_range
from lib.evaluation.evaluate import (
    Figures,
    anatomy_figures,
    anatomy_of_boxes,
    calibrations,
    evaluate,
    evaluate_boxes,
    evaluate_each,
    interval_figures,
)
from lib.image_io import Radiograph, read_radiograph
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.data.aasce import FOLDS, SPLITS, Record, folds, read_aasce
from lib.learning.data.boxed_images import BoxRecord, read_boxes
from lib.learning.data.synthetic import padded
from lib.learning.decoders import DECODERS, DEFAULT_DECODER
from lib.learning.models.devices import choose_device
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.learning.prediction.result import Prediction
from lib.learning.weights.provenance import AASCE, BOXED, KnownImages, file_of_each_fold, read_known_images
from lib.phantoms import random_spec, render_phantom
from lib.spine.atomic_write import check_writable, replacing
from lib.spine.geometry import with_centers
from lib.spine.measurement.anatomy import spans_of
from lib.spine.schema import CENTER, POINTS, Spine
from predict import TABLES, landmark_rows

PHANTOM_SEED = 1_000_000
LABELS = "labels"
CALIBRATION = "calibration"
TRAINED_ON, CALIBRATED_ON = "trained_on", "calibrated_on"
KINDS = ("film", "trunk")
"""What names of boxed radiographs begin with: whole films, and crops of the trunk."""
OTHER_KIND = "other"


@dataclass(frozen=True, eq=False)
class Film:
    """One image of a set.

    Attributes:
        path: the file; for a phantom its number.
        sets: names of the sets that it belongs to.
        fold: of the training split or of the boxed films; of a test film that also stands in training the fold there;
            ``None`` of others.
    """

    path: Path | int
    sets: tuple[str, ...]
    fold: int | None

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
    """

    boxes: np.ndarray


@dataclass(frozen=True)
class Seen:
    """What was predicted on one image, in its own pixels.

    Attributes:
        predictions: by decoder; chances and intervals only of the one for which they were measured.
        score: mean of the highest scores of the channels.
        size: width and height of the image.
        model: that predicted it.
    """

    predictions: dict[str, Prediction]
    score: float
    size: tuple[int, int]
    model: KnownImages


Results = dict[str, dict[str, dict[str, Any]]]
"""Decoder, or ``LABELS``, to set to figures; under ``CALIBRATION`` a list of deciles where errors are estimated.

Under ``TRAINED_ON`` stands whether any film of the set was trained on, and, where errors are estimated, under
``CALIBRATED_ON`` whether they were measured on any; ``None`` where that is not known.
"""
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
    parser.add_argument("--decoder", choices=DECODERS, nargs="+", default=[DEFAULT_DECODER], help="one or several")
    parser.add_argument("--padded", action="store_true", help="put every image into a larger, random field first")
    parser.add_argument(
        "--weights",
        type=Path,
        nargs="+",
        default=[DEFAULT_WEIGHTS_FILE],
        metavar="FILE",
        help="weight file; or several, each of which is used on the one fold that it holds out",
    )
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
    if len(parsed.weights) > 1 and parsed.split != "training" and parsed.boxes is None:
        parser.error("several --weights go with --split training or --boxes only")
    if parsed.predictions is not None and len(set(parsed.decoder)) > 1:
        parser.error("--predictions goes with one decoder only")
    return parsed


def phantom(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and points of a phantom of 1000 x 460 pixels; training draws seeds from 0 up, these start far above."""
    rendered = render_phantom(random_spec(PHANTOM_SEED + number, 1000, 460))
    return rendered.pixels, rendered.spine.xy


def training_cases(records: Sequence[Record], wanted: Iterable[int]) -> list[Case]:
    """Films of some folds with sane points, and the clean ones among them, whose names can be trusted as well."""
    return [
        Case(r.path, ("sane", "clean") if r.is_clean else ("sane",), fold, with_centers(r.corners), r.angles)
        for r, fold in zip(records, folds(records), strict=True)
        if r.geometry_ok and fold in wanted
    ]


def test_cases(records: Sequence[Record], training: Sequence[Record]) -> list[Case]:
    """All test films with the labels that the literature uses; again the strict ones, with repaired labels.

    The set "unseen" is all but the films that stand in training too. Strict films have sane points and trusted names,
    and no film of the same patient in the training split.
    """
    known = {record.group: fold for record, fold in zip(training, folds(training), strict=True)}
    cases = []
    for r in records:
        unseen = ("all", "unseen") if not r.duplicate_of_training else ("all",)
        fold = known.get(r.group) if r.duplicate_of_training else None
        resorted = r.corners if r.resorted is None else r.resorted
        cases.append(Case(r.path, unseen, fold, with_centers(resorted), r.angles))
        if r.is_clean and not r.duplicate_of_training and r.group not in known:
            cases.append(Case(r.path, ("strict",), fold, with_centers(r.corners), r.angles))
    return cases


def box_cases(
    records: Sequence[BoxRecord], kind: str | None = None, wanted: Iterable[int] | None = None
) -> list[BoxCase]:
    """Boxed films of one kind, or of every kind as a set of its own, and of the folds that are wanted."""
    cases = []
    for r in records:
        found = next((name for name in KINDS if r.path.name.startswith(f"{name}_")), OTHER_KIND)
        if kind in (None, found) and (wanted is None or r.fold in wanted):
            cases.append(BoxCase(r.path, (found,), r.fold, r.centers))
    return cases


def was_trained_on(model: KnownImages, film: Film) -> bool | None:
    """Whether weights know a film; ``None`` where that is not known. No training draws these phantoms."""
    if not isinstance(film.path, Path):
        return False
    return model.was_trained_on(film.fold, BOXED if isinstance(film, BoxCase) else AASCE)


def was_calibrated_on(model: KnownImages, film: Film) -> bool | None:
    """Whether the expected errors of weights were measured on a film; ``None`` where that is not known."""
    return isinstance(film, Case) and isinstance(film.path, Path) and model.was_calibrated_on(film.fold)


def shared_out(films: Sequence[Film], models: Sequence[KnownImages]) -> list[tuple[KnownImages, list[Film]]]:
    """Which films each weight file predicts: one all of them, several those of the fold that each holds out.

    Raises:
        ValueError: a fold has no file or several, or a file has no fold.
    """
    if len(models) == 1:
        return [(models[0], list(films))]
    of = BOXED if any(isinstance(film, BoxCase) for film in films) else AASCE
    present = sorted({film.fold for film in films if film.fold is not None})
    files = [(model.path.name, model.seen) for model in models]
    number_of = file_of_each_fold(files, present, of)
    return [(models[number], [film for film in films if film.fold == fold]) for fold, number in number_of.items()]


def warn(model: KnownImages, films: Sequence[Film]) -> None:
    """Say on stderr which of the films weights know."""
    said, name = [], model.path.name
    seen = [film for film in films if was_trained_on(model, film)]
    if seen:
        known = ", ".join(map(str, sorted({film.fold for film in seen if film.fold is not None})))
        said.append(f"{name} was trained on {len({film.path for film in seen})} of these films (folds {known})")
    elif any(was_trained_on(model, film) is None for film in films):
        said.append(f"{name} does not say on which films it was trained; these may be among them")
    if model.errors_on is not None and any(isinstance(film, Case) for film in films):
        if any(was_calibrated_on(model, film) for film in films):
            fold = model.errors_on["fold"]
            said.append(
                f"the expected errors of {name} were measured on fold {fold}: on it they are fitted, not tested"
            )
        elif any(was_calibrated_on(model, film) is None for film in films):
            said.append(f"{name} does not say on which films its expected errors were measured")
        if model.errors_on and not model.has_own_errors:
            said.append(f"the expected errors of {name} were measured with other weights: they are an estimate")
    for sentence in said:
        print(f"evaluate: {sentence}", file=sys.stderr)


def any_of(claims: Iterable[bool | None]) -> bool | None:
    """Whether one of them holds; ``None`` where that depends on one that is not known."""
    found = set(claims)
    return True if True in found else None if None in found else False


def predict(
    films: Sequence[Film], model: KnownImages, predictor: LandmarkPredictor, decoders: Sequence[str], is_padded: bool
) -> dict[Path | int, Seen]:
    """What every decoder finds on each image, which is predicted once, whatever the sets.

    An image that shows no spine to the model counts all the same.

    Raises:
        ValueError: an image cannot be read.
        OSError: an image cannot be opened.
    """
    seen: dict[Path | int, Seen] = {}
    unique = list({film.path: film for film in films}.values())
    for film in tqdm(unique, unit="image", disable=not sys.stderr.isatty()):
        radiograph, moved = film.read(), np.zeros(2)
        size = radiograph.width, radiograph.height
        if is_padded:
            radiograph, moved = padded(radiograph, zlib.crc32(film.name.encode()))
        predictions = {}
        for name, p in predictor.compare(radiograph, decoders).items():
            predictions[name] = replace(p, spine=Spine.from_arrays(p.spine.xy - moved, p.spine.scores, p.spine.errors))
            if name != model.decoder:
                predictions[name] = replace(predictions[name], names_right=None, tilt_half_widths=None)
        seen[film.path] = Seen(predictions, predictions[decoders[0]].spine_score, size, model)
    return seen


def predict_all(
    films: Sequence[Film], models: Sequence[KnownImages], arguments: argparse.Namespace, decoders: Sequence[str]
) -> dict[Path | int, Seen]:
    """The same by one weight file or several, after a word on films that they know.

    Raises:
        ValueError: there is no image, one cannot be read, or a fold has no weight file or several.
        OSError: a file cannot be opened.
    """
    if not films:
        raise ValueError("there is no image to compare")
    parts = shared_out(films, models)
    for model, part in parts:
        warn(model, part)
    seen: dict[Path | int, Seen] = {}
    for model, part in parts:
        predictor = LandmarkPredictor(model.path, choose_device(arguments.device))
        seen |= predict(part, model, predictor, decoders, arguments.padded)
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
            told = [seen[case.path].predictions[decoder] for case in part]
            predicted, errors = np.stack([p.spine.xy for p in told]), np.stack([p.spine.errors for p in told])
            unknown = np.full(labelled.shape[1], np.nan)
            widths = np.stack([unknown if p.tilt_half_widths is None else p.tilt_half_widths for p in told])
            each = evaluate_each(predicted, labelled, sizes, official, errors, widths)
            chances = [p.names_right for p in told if p.names_right is not None]
            deciles = calibrations(predicted, labelled, errors)
            figures: dict[str, Any] = {**evaluate(predicted, labelled, sizes, official), **ratio_figures(deciles)}
            figures |= interval_figures(each)
            if chances:
                figures["expected_names_right"] = float(np.mean(chances))
            models = [(seen[case.path].model, case) for case in part]
            figures[TRAINED_ON] = any_of(was_trained_on(model, case) for model, case in models)
            if deciles:
                figures[CALIBRATED_ON] = any_of(was_calibrated_on(model, case) for model, case in models)
                figures[CALIBRATION] = decile_rows(deciles)
            results.setdefault(decoder, {})[chosen] = figures
            for case, p, one in zip(part, told, each, strict=True):
                of_model = {"expected_names_right": p.names_right, "spine_score": seen[case.path].score}
                rows.append({**key_columns(case, chosen, decoder), "fold": case.fold, **asdict(one), **of_model})
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
            points = np.stack([seen[case.path].predictions[decoder].spine.xy for case in part])
            was_seen = any_of(was_trained_on(seen[case.path].model, case) for case in part)
            results.setdefault(decoder, {})[chosen] = {**evaluate_boxes(points, boxes), TRAINED_ON: was_seen}
            for case in part:
                rows.append({**key_columns(case, chosen, decoder), **box_columns(case, seen[case.path], decoder)})
        results.setdefault(LABELS, {})[chosen] = {"images": len(part), **anatomy_of_boxes(boxes)}
    return results, rows


def box_columns(case: BoxCase, seen: Seen, decoder: str) -> Row:
    """How well the boxes of one image were found."""
    spine = seen.predictions[decoder].spine
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
        print(f"{name:{width}}" + "".join(f"{in_words(value):>12}" for value in values))
    for decoder, chosen in columns:
        rows = results[decoder][chosen].get(CALIBRATION, [])
        for points in dict.fromkeys(row["points"] for row in rows):
            print(f"\n{decoder}, {chosen}, {points}: expected / observed error in px by decile of the expected")
            said = (f"{r['expected']:.3g}/{r['observed']:.3g}" for r in rows if r["points"] == points)
            print("  ".join(said))


def in_words(value: float | bool | None) -> str:
    """A figure with five digits, or a claim; nothing of what is not known."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:.5g}"


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
            writer.writerows(landmark_rows(name, seen[place].predictions[decoder].spine))


def aasce_cases(arguments: argparse.Namespace) -> list[Case]:
    """Cases of the split and the folds that are asked for."""
    training = read_aasce(arguments.data, "training")
    if arguments.split == "test":
        return test_cases(read_aasce(arguments.data, "test"), training)
    return training_cases(training, range(FOLDS) if arguments.fold is None else arguments.fold)


def run(arguments: argparse.Namespace) -> None:
    """Predict, compare, print and write.

    Raises:
        ValueError: there is no image to compare, or one cannot be read.
        OSError: a file cannot be opened or written; of results, it is told before the work.
    """
    for path in (arguments.json, arguments.images, arguments.predictions):
        if path is not None:
            check_writable(path)
    models = [read_known_images(path) for path in dict.fromkeys(arguments.weights)]
    decoders = list(dict.fromkeys(arguments.decoder))
    films: Sequence[Film]
    if arguments.boxes is not None:
        films = boxed = box_cases(read_boxes(arguments.boxes), arguments.kind, arguments.fold)
        seen = predict_all(films, models, arguments, decoders)
        results, rows = measure_boxes(boxed, seen, decoders)
    else:
        if arguments.phantoms is not None:
            cases = [Case(n, ("phantoms",), None, phantom(n)[1], None) for n in range(arguments.phantoms)]
        else:
            cases = aasce_cases(arguments)
        films = cases
        seen = predict_all(films, models, arguments, decoders)
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
