"""Compare predicted landmarks with labelled ones: on labelled images, on images with unnamed boxes, or on phantoms."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import _app_path  # noqa: F401
from _data_arguments import DATA_HELP, add_data_options, is_aasce, read_data
from _evaluation_samples import (
    KINDS,
    TRAINING,
    BoxedSample,
    LabelledSample,
    OwnSample,
    Sample,
    aasce_samples,
    assign_models,
    boxed_samples,
    check_unseen,
    own_samples,
    phantom_samples,
    sets_of,
    warn_of_training_images,
    was_calibrated_on,
    was_trained_on,
)
from _path_arguments import existing_file
from lib.archive.results.record import landmark_records
from lib.archive.results.tables import LANDMARKS, TABLES, landmark_rows
from lib.evaluation.box_matching import match_boxes
from lib.evaluation.calibration import Decile, ratio_range
from lib.evaluation.evaluate import (
    Figures,
    ImageFigures,
    anatomy_figures,
    anatomy_of_boxes,
    calibrations,
    evaluate,
    evaluate_boxes,
    evaluate_each,
    evaluate_partial,
    evaluate_partial_each,
    interval_figures,
)
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.data.aasce import FOLDS, SPLITS
from lib.learning.data.boxed_images import read_boxes
from lib.learning.data.synthetic import padded
from lib.learning.decoders import DECODERS, DEFAULT_DECODER
from lib.learning.models.devices import choose_device
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.learning.prediction.result import Prediction
from lib.learning.weights.provenance import KnownImages, read_known_images
from lib.spine.atomic_write import atomic_write, check_writable
from lib.spine.measurement.anatomy import spans_of
from lib.spine.schema import CENTER, POINTS, Spine

LABELS = "labels"
CALIBRATION = "calibration"
TRAINED_ON, CALIBRATED_ON = "trained_on", "calibrated_on"


@dataclass(frozen=True)
class ImagePredictions:
    """The predictions on one image, in its own pixels.

    Attributes:
        by_decoder: predictions; probabilities and intervals only of the decoder for which they were measured.
        score: mean of the highest scores of the channels.
        size: width and height of the image.
        model: the weight file.
    """

    by_decoder: dict[str, Prediction]
    score: float
    size: tuple[int, int]
    model: KnownImages


Predictions = dict[Path | int, ImagePredictions]
"""Predictions by ``Sample.path``."""
Results = dict[str, dict[str, dict[str, Any]]]
"""Decoder, or ``LABELS``, to set to figures; under ``CALIBRATION`` a list of deciles where errors are estimated.

``TRAINED_ON`` tells whether any image of the set was trained on, and ``CALIBRATED_ON``, where errors are estimated,
whether they were measured on any; ``None`` where unknown.
"""
Row = dict[str, Any]
"""Columns of one image, set and decoder."""
_NO_FIGURES: Row = dict.fromkeys(field.name for field in fields(ImageFigures))


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help=DATA_HELP)
    source.add_argument("--boxes", type=Path, help="radiographs with unnamed boxes (boxes.csv and images)")
    source.add_argument("--phantoms", type=int, metavar="COUNT", help="as many phantoms that training never draws")
    parser.add_argument("--split", choices=SPLITS, help="of the AASCE layout; training if left out")
    parser.add_argument(
        "--fold",
        type=int,
        choices=range(FOLDS),
        nargs="+",
        action="extend",
        help="only these folds of the labelled images or of the boxes",
    )
    parser.add_argument(
        "--audit", type=existing_file, metavar="CSV", help="table of audit_labels.py; its images leave set sound"
    )
    parser.add_argument("--kind", choices=KINDS, help="only whole images or only trunk crops; goes with --boxes")
    parser.add_argument("--decoder", choices=DECODERS, nargs="+", default=[DEFAULT_DECODER], help="one or several")
    parser.add_argument("--padded", action="store_true", help="put every image into a larger, random field first")
    parser.add_argument(
        "--weights",
        type=existing_file,
        nargs="+",
        default=[DEFAULT_WEIGHTS_FILE],
        metavar="FILE",
        help="weight file; or several, each of which is used on the one fold that it holds out",
    )
    parser.add_argument(
        "--trained-too", action="store_true", help="measure your own data even where weights were trained on them"
    )
    add_data_options(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--json", type=Path, default=Path("evaluation.json"), help="file for the figures")
    parser.add_argument("--images", type=Path, metavar="CSV", help="table with a row per image, set and decoder")
    parser.add_argument("--predictions", type=Path, metavar="CSV", help="the landmarks as predict.py writes them")
    parsed = parser.parse_args(arguments)
    if parsed.data is None and parsed.split is not None:
        parser.error("--split goes with --data only")
    is_training = parsed.data is not None and parsed.split in (None, TRAINING)
    if parsed.phantoms is not None and parsed.phantoms < 1:
        parser.error("--phantoms must be at least 1")
    if parsed.fold is not None and not is_training and parsed.boxes is None:
        parser.error("--fold goes with --split training or --boxes only")
    if parsed.audit is not None and not is_training:
        parser.error("--audit goes with --split training only")
    if parsed.kind is not None and parsed.boxes is None:
        parser.error("--kind goes with --boxes only")
    if len(parsed.weights) > 1 and not is_training and parsed.boxes is None:
        parser.error("several --weights go with --split training or --boxes only")
    if parsed.predictions is not None and len(set(parsed.decoder)) > 1:
        parser.error("--predictions goes with one decoder only")
    return parsed


def any_or_unknown(claims: Iterable[bool | None]) -> bool | None:
    """Three-valued "any"; ``None`` where it depends on an unknown claim."""
    values = set(claims)
    return True if True in values else None if None in values else False


def predict(
    images: Sequence[Sample],
    model: KnownImages,
    predictor: LandmarkPredictor,
    decoders: Sequence[str],
    is_padded: bool,
) -> Predictions:
    """Predict each image once with every decoder, whatever its sets.

    Images in which the model detects no spine are included.

    Raises:
        ValueError: an image cannot be read.
        OSError: an image cannot be opened.
    """
    predictions: Predictions = {}
    unique = list({image.path: image for image in images}.values())
    for image in tqdm(unique, unit="image", disable=not sys.stderr.isatty()):
        radiograph, offset = image.read(), np.zeros(2)
        size = radiograph.width, radiograph.height
        if is_padded:
            radiograph, offset = padded(radiograph, zlib.crc32(image.name.encode()))
        by_decoder = {}
        for name, p in predictor.compare(radiograph, decoders).items():
            p = replace(p, spine=Spine.from_arrays(p.spine.xy - offset, p.spine.scores, p.spine.errors))
            by_decoder[name] = p
        predictions[image.path] = ImagePredictions(by_decoder, by_decoder[decoders[0]].spine_score, size, model)
    return predictions


def predict_all(
    images: Sequence[Sample],
    models: Sequence[KnownImages],
    arguments: argparse.Namespace,
    decoders: Sequence[str],
) -> Predictions:
    """Predict with one weight file or several, after warnings about images that they were trained on.

    Raises:
        ValueError: there is no image, one cannot be read, or a fold has no weight file or several.
        OSError: a file cannot be opened.
    """
    if not images:
        raise ValueError("there is no image to compare")
    parts = assign_models(images, models)
    for model, part in parts:
        own = [image for image in part if isinstance(image, OwnSample)]
        if own and not arguments.trained_too:
            check_unseen(model, own)
        warn_of_training_images(model, part)
    predictions: Predictions = {}
    for model, part in parts:
        predictor = LandmarkPredictor(model.path, choose_device(arguments.device))
        predictions |= predict(part, model, predictor, decoders, arguments.padded)
    return predictions


def measure(
    samples: Sequence[LabelledSample], predictions: Predictions, decoders: Sequence[str]
) -> tuple[Results, list[Row]]:
    """Figures of every decoder, and of the labels themselves, on every set; and the rows of the table of images."""
    results: Results = {}
    rows: list[Row] = []
    for set_name, part in sets_of(samples):
        for decoder in decoders:
            figures, images = measure_set(part, predictions, decoder)
            results.setdefault(decoder, {})[set_name] = figures
            for sample, columns in zip(part, images, strict=True):
                prediction = predictions[sample.path]
                estimates = {
                    "expected_names_right": prediction.by_decoder[decoder].names_right,
                    "spine_score": prediction.score,
                }
                key = key_columns(sample, set_name, decoder)
                rows.append({**key, "fold": sample.fold, **columns, **estimates})
        centers = np.stack([sample.upright(sample.points[:, 0]) for sample in part])
        anatomy = anatomy_figures(centers, spans_of(centers)) if np.isfinite(centers).all() else {}
        results.setdefault(LABELS, {})[set_name] = {"images": len(part), **anatomy}
    return results, rows


def measure_set(
    samples: Sequence[LabelledSample], predictions: Predictions, decoder: str
) -> tuple[dict[str, Any], list[Row]]:
    """Figures of one decoder on one set, and the columns of each image; of partial labels those of positions only."""
    labelled = np.stack([sample.upright(sample.points) for sample in samples])
    sizes = np.array([sample.upright_size(predictions[sample.path].size) for sample in samples], dtype=float)
    angles = [sample.angles for sample in samples if sample.angles is not None]
    official = np.stack(angles) if len(angles) == len(samples) else None
    of_decoder = [predictions[sample.path].by_decoder[decoder] for sample in samples]
    predicted = np.stack([sample.upright(p.spine.xy) for sample, p in zip(samples, of_decoder, strict=True)])
    errors = np.stack([p.spine.errors for p in of_decoder])
    unknown = np.full(labelled.shape[1], np.nan)
    widths = np.stack([unknown if p.tilt_half_widths is None else p.tilt_half_widths for p in of_decoder])
    models = [(predictions[sample.path].model, sample) for sample in samples]
    trained_on = any_or_unknown(was_trained_on(model, sample) for model, sample in models)
    if not np.isfinite(labelled).all():
        partial = evaluate_partial_each(predicted, labelled, errors)
        return {**evaluate_partial(predicted, labelled), TRAINED_ON: trained_on}, [_NO_FIGURES | one for one in partial]
    images = evaluate_each(predicted, labelled, sizes, official, errors, widths)
    deciles = calibrations(predicted, labelled, errors)
    figures: dict[str, Any] = {**evaluate(predicted, labelled, sizes, official), **ratio_figures(deciles)}
    figures |= interval_figures(images)
    names_right = [p.names_right for p in of_decoder if p.names_right is not None]
    if names_right:
        figures["expected_names_right"] = float(np.mean(names_right))
    figures[TRAINED_ON] = trained_on
    if deciles:
        figures[CALIBRATED_ON] = any_or_unknown(was_calibrated_on(model, sample) for model, sample in models)
        figures[CALIBRATION] = decile_rows(deciles)
    return figures, [asdict(image) for image in images]


def measure_boxes(
    samples: Sequence[BoxedSample], predictions: Predictions, decoders: Sequence[str]
) -> tuple[Results, list[Row]]:
    """Figures of every decoder on every set of boxed images, the anatomy of the boxes, and the rows of the table."""
    results: Results = {}
    rows: list[Row] = []
    for set_name, part in sets_of(samples):
        boxes = [sample.boxes for sample in part]
        for decoder in decoders:
            points = np.stack([predictions[sample.path].by_decoder[decoder].spine.xy for sample in part])
            trained_on = any_or_unknown(was_trained_on(predictions[sample.path].model, sample) for sample in part)
            results.setdefault(decoder, {})[set_name] = {**evaluate_boxes(points, boxes), TRAINED_ON: trained_on}
            for sample in part:
                key = key_columns(sample, set_name, decoder)
                rows.append({**key, **box_columns(sample, predictions[sample.path], decoder)})
        results.setdefault(LABELS, {})[set_name] = {"images": len(part), **anatomy_of_boxes(boxes)}
    return results, rows


def box_columns(sample: BoxedSample, predictions: ImagePredictions, decoder: str) -> Row:
    """Columns about the matched boxes of one image."""
    spine = predictions.by_decoder[decoder].spine
    match = match_boxes(spine.xy[:, POINTS.index(CENTER)], sample.boxes)
    expected = spine.errors[:, POINTS.index(CENTER)]
    return {
        "fold": sample.fold,
        "boxes": match.boxes,
        "boxes_left_out": match.left_out,
        "boxes_matched": len(match.pairs),
        "in_order": match.is_in_order,
        "unmatched_between": len(match.between),
        "unmatched_astray": len(match.astray),
        "unmatched_beyond": len(match.beyond),
        "distance_mean_steps": float(np.mean(match.distances_steps)) if match.pairs else None,
        "expected_center_px": None if np.isnan(expected).any() else float(expected.mean()),
        "spine_score": predictions.score,
    }


def key_columns(image: Sample, set_name: str, decoder: str) -> Row:
    """Columns that name the image, set and decoder of a row."""
    return {"image": image.name, "set": set_name, "decoder": decoder}


def ratio_figures(deciles: dict[str, tuple[Decile, ...]]) -> Figures:
    """Smallest and largest expected / observed error of all points, centers and corners, where there is one."""
    ranges = {name: ratio_range(part) for name, part in deciles.items()}
    ends = {name: dict(zip(("least", "most"), pair, strict=True)) for name, pair in ranges.items() if pair}
    return {f"{CALIBRATION}_{name}_{end}": value for name, pair in ends.items() for end, value in pair.items()}


def decile_rows(deciles: dict[str, tuple[Decile, ...]]) -> list[Row]:
    """Deciles of all points, of centers and of corners as plain values, errors in pixels."""
    return [
        {"points": name, "decile": number, **asdict(decile), "ratio": decile.ratio}
        for name, part in deciles.items()
        for number, decile in enumerate(part, 1)
    ]


def print_results(results: Results) -> None:
    """Print one table, a column per decoder and set, and below it the deciles where errors are estimated."""
    columns = [(decoder, name) for decoder, sets in results.items() for name in sets]
    names = dict.fromkeys(name for d, c in columns for name in results[d][c] if name != CALIBRATION)
    width = max(map(len, names)) + 2
    for row in (0, 1):
        print(" " * width + "".join(f"{column[row]:>12}" for column in columns))
    for name in names:
        values = (results[decoder][set_name].get(name) for decoder, set_name in columns)
        print(f"{name:{width}}" + "".join(f"{format_figure(value):>12}" for value in values))
    for decoder, set_name in columns:
        rows = results[decoder][set_name].get(CALIBRATION, [])
        for points in dict.fromkeys(row["points"] for row in rows):
            print(f"\n{decoder}, {set_name}, {points}: expected / observed error in px by decile of the expected")
            pairs = (f"{r['expected']:.3g}/{r['observed']:.3g}" for r in rows if r["points"] == points)
            print("  ".join(pairs))


def format_figure(value: float | bool | None) -> str:
    """A figure with five digits, or yes or no; empty where unknown."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:.5g}"


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write rows of the same columns: ``None`` is empty, booleans are 1 and 0, numbers have 4 decimals."""

    def plain(value: Any) -> Any:
        if isinstance(value, bool):
            return int(value)
        return f"{value:.4f}" if isinstance(value, float) else value

    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: plain(value) for name, value in row.items()} for row in rows)


def write_predictions(path: Path, images: Sequence[Sample], predictions: Predictions, decoder: str) -> None:
    """Write the landmarks of every image once, in the columns of ``predict.py``."""
    names = {image.path: image.name for image in images}
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(TABLES[LANDMARKS])
        for image, name in names.items():
            writer.writerows(landmark_rows(name, landmark_records(predictions[image].by_decoder[decoder].spine)))


def labelled_samples(arguments: argparse.Namespace) -> list[LabelledSample]:
    """The images of ``--data``, ``--split`` and ``--fold``.

    Raises:
        ValueError: they cannot be read, or have no such split.
        OSError: a file cannot be read.
    """
    if is_aasce(arguments):
        return aasce_samples(arguments)
    if arguments.split is not None:
        raise ValueError(f"--split goes with the AASCE layout, {arguments.data.name} has folds only")
    return [*own_samples(read_data(arguments, arguments.weights), arguments.fold)]


def run(arguments: argparse.Namespace) -> None:
    """Predict, compare, print and write.

    Raises:
        ValueError: there is no image to compare, or one cannot be read.
        OSError: a file cannot be opened or written; results are checked beforehand.
    """
    for path in (arguments.json, arguments.images, arguments.predictions):
        if path is not None:
            check_writable(path)
    models = [read_known_images(path) for path in dict.fromkeys(arguments.weights)]
    decoders = list(dict.fromkeys(arguments.decoder))
    images: Sequence[Sample]
    if arguments.boxes is not None:
        images = boxed = boxed_samples(read_boxes(arguments.boxes), arguments.kind, arguments.fold)
        predictions = predict_all(images, models, arguments, decoders)
        results, rows = measure_boxes(boxed, predictions, decoders)
    else:
        count = arguments.phantoms
        samples = labelled_samples(arguments) if count is None else phantom_samples(count)
        images = samples
        predictions = predict_all(images, models, arguments, decoders)
        results, rows = measure(samples, predictions, decoders)
    print_results(results)
    with atomic_write(arguments.json) as temporary:
        temporary.write_text(json.dumps(results, indent=1), encoding="utf-8")
    if arguments.images is not None:
        write_table(arguments.images, rows)
    if arguments.predictions is not None:
        write_predictions(arguments.predictions, images, predictions, decoders[0])


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
