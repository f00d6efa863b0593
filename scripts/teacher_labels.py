"""Let a model place and name the vertebrae of images whose bodies are marked only; what is doubtful is left out.

Writes images.csv, a row per image with the reason why it is left out or only centers are kept, points.csv with the
points to learn from (scripts/pack_training.py --taught), and teacher.json, which images the model was trained on.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

import _app_path  # noqa: F401
from _path_arguments import existing_file
from lib.image_io import Radiograph, read_radiograph
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.data.synthetic import padded
from lib.learning.models.devices import choose_device
from lib.learning.prediction.level_names import folds_cell, likeliest_naming
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.learning.prediction.request import PredictionCache, PredictionRequest
from lib.learning.training.teaching.teacher import (
    IMAGE_COLUMNS,
    IMAGES_FILE,
    POINT_COLUMNS,
    POINTS_FILE,
    TEACHER_FILE,
    TaughtLabel,
    TeacherPrediction,
    point_rows,
    taught_label,
)
from lib.learning.training.teaching.unnamed_images import UnnamedImage, read_boxed, read_quads, read_strips, spread
from lib.learning.weights.provenance import file_trained_on, init_facts
from lib.learning.weights.weight_files import file_digest, load_weights
from lib.spine.atomic_write import atomic_write, check_writable
from lib.spine.geometry import transform_points
from lib.spine.schema import CENTER, POINTS

_CENTER = POINTS.index(CENTER)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boxes", type=Path, help="radiographs with unnamed boxes")
    parser.add_argument("--strips", type=Path, help="strips with unnamed boxes")
    parser.add_argument("--quads", type=Path, help="generated images with unnamed quadrangles")
    parser.add_argument("--count", type=int, default=600, help="images of --quads, spread over all of them")
    parser.add_argument("--weights", type=existing_file, default=DEFAULT_WEIGHTS_FILE)
    parser.add_argument(
        "--output", type=Path, required=True, help=f"folder for {IMAGES_FILE}, {POINTS_FILE} and {TEACHER_FILE}"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parsed = parser.parse_args(arguments)
    if parsed.boxes is None and parsed.strips is None and parsed.quads is None:
        parser.error("--boxes, --strips or --quads is needed")
    if parsed.count < 1:
        parser.error("--count must be at least 1")
    return parsed


def images_of(arguments: argparse.Namespace) -> Iterator[tuple[str, UnnamedImage]]:
    """Images with the name of their source."""
    if arguments.boxes is not None:
        yield from (("boxes", image) for image in read_boxed(arguments.boxes))
    if arguments.strips is not None:
        yield from (("strips", image) for image in read_strips(arguments.strips))
    if arguments.quads is not None:
        yield from (("quads", image) for image in spread(read_quads(arguments.quads), arguments.count))


def predictions_of(image: UnnamedImage, predictor: LandmarkPredictor) -> tuple[TeacherPrediction, TeacherPrediction]:
    """What is found in an image, and in the same image as a part of a larger field.

    Raises:
        UnreadableImageError: the image cannot be read.
    """
    radiograph = read_radiograph(image.path)
    wider, moved = padded(radiograph, zlib.crc32(image.path.name.encode()))
    return predict(radiograph, predictor, np.zeros(2)), predict(wider, predictor, moved)


def predict(radiograph: Radiograph, predictor: LandmarkPredictor, moved: np.ndarray) -> TeacherPrediction:
    """What is found in a field in which an image lies, moved by ``(2,)`` pixels."""
    cache = PredictionCache()
    found = predictor.predict(radiograph, PredictionRequest(cache=cache, requires_spine=False))
    upright, view = predictor.run_network(radiograph, cache)
    scores = view.scores_at(transform_points(upright.matrix, found.spine.xy[:, _CENTER]))
    if len(scores) == 1:  # a single heatmap knows no names
        return TeacherPrediction(found.spine.xy - moved, found.spine_score, 0.0)
    naming = likeliest_naming(scores)
    lead = naming.margin if naming.levels == 0 else -naming.margin
    return TeacherPrediction(found.spine.xy - moved, found.spine_score, lead)


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    images_file, points_file, teacher_file = (
        arguments.output / name for name in (IMAGES_FILE, POINTS_FILE, TEACHER_FILE)
    )
    kept = 0
    try:
        for path in (images_file, points_file, teacher_file):
            check_writable(path)
        predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
        seen = file_trained_on(load_weights(arguments.weights))
        folds = [folds_cell(part) if seen.is_known else "" for part in (seen.folds, seen.box_folds)]
        images = list(images_of(arguments))
        with atomic_write(teacher_file) as temporary:
            temporary.write_text(json.dumps(init_facts(file_digest(arguments.weights), seen)), encoding="utf-8")
        with (
            images_file.open("w", newline="", encoding="utf-8") as image_stream,
            points_file.open("w", newline="", encoding="utf-8") as point_stream,
        ):
            image_table, point_table = csv.writer(image_stream), csv.writer(point_stream)
            image_table.writerow(IMAGE_COLUMNS)
            point_table.writerow(POINT_COLUMNS)
            for source, image in tqdm(images, unit="image", disable=not sys.stderr.isatty()):
                first, second = predictions_of(image, predictor)
                taught = taught_label(first, second, image.marks, predictor.limits.min_spine_score)
                if taught.label is not None:
                    kept += 1
                    point_table.writerows(point_rows(source, image.path.name, taught.label))
                    point_stream.flush()  # before the row that says so: an interrupted run leaves tables that agree
                image_table.writerow(image_row(source, image, taught, min(first.lead, second.lead), folds))
                image_stream.flush()
    except (OSError, ValueError) as error:
        print(f"teacher_labels: {error}", file=sys.stderr)
        return 1
    print(f"{kept} of {len(images)} images have labels now; see {images_file}")
    return 0


def image_row(
    source: str, image: UnnamedImage, taught: TaughtLabel, lead: float, folds: Sequence[str]
) -> tuple[object, ...]:
    """The row of one image; ``folds`` are those that the model knows, of the training split and of boxed images."""
    fold = "" if image.fold is None else image.fold
    apart = "" if np.isnan(taught.apart) else f"{taught.apart:.3f}"
    what = (source, image.path.name, fold, len(image.marks), taught.kept, taught.reason)
    return (*what, int(taught.is_named), f"{lead:.1f}", apart, *folds)


if __name__ == "__main__":
    raise SystemExit(main())
