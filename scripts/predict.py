"""Find the landmarks of radiographs without a server: markups and an overlay picture per image, and five tables."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

import _app_path  # noqa: F401
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.decoders import DECODERS
from lib.learning.devices import choose_device
from lib.learning.image_io import Radiograph, UnreadableImageError, read_radiograph
from lib.learning.inputs import OVERLAY_SUFFIX, InputImage, find_images
from lib.learning.overlay import draw_overlay
from lib.learning.prediction import LandmarkPredictor, NoSpineError, Prediction
from lib.spine.files import replacing
from lib.spine.markups import SUFFIX, write_markups
from lib.spine.report import challenge_report, curves_of
from lib.spine.schema import Spine

TABLES = {
    "landmarks.csv": ("image", "vertebra", "point", "x_px", "y_px", "score"),
    "cobb.csv": ("image", "angle1_deg", "angle2_deg", "angle3_deg"),
    "curves.csv": ("image", "curve", "upper_end", "lower_end", "apex", "side", "angle_deg", "region"),
    "errors.csv": ("image", "vertebra", "point", "error_px"),
    "confidence.csv": ("image", "spine_score", "names_right", "curve", "angle_deg", "half_width_deg"),
}


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="images, or folders that hold images")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results; made when missing")
    parser.add_argument("--decoder", choices=DECODERS, default=DECODERS[0])
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser.parse_args(arguments)


Rows = Iterator[tuple[str, ...]]


def landmark_rows(name: str, spine: Spine) -> Rows:
    """The 85 landmarks of one image."""
    for (vertebra, point, _), (x, y), score in zip(
        spine.points(), spine.xy.reshape(-1, 2), spine.scores.ravel(), strict=True
    ):
        yield name, vertebra, point, f"{x:.3f}", f"{y:.3f}", f"{score:.4f}"


def cobb_rows(name: str, spine: Spine, radiograph: Radiograph) -> Rows:
    """The three angles of the challenge rule."""
    angles = challenge_report(spine, radiograph.frame)
    if angles is not None:
        yield name, *(f"{angle:.3f}" for angle in angles)


def curve_rows(name: str, spine: Spine, radiograph: Radiograph) -> Rows:
    """Every curve, numbered from top to bottom; the largest one where none reaches ten degrees."""
    for number, curve in enumerate(curves_of(spine, radiograph.frame), 1):
        ends = curve.upper_end, curve.lower_end, curve.apex
        yield name, str(number), *ends, curve.side, f"{curve.angle_deg:.2f}", curve.region


def error_rows(name: str, spine: Spine) -> Rows:
    """The expected errors of the landmarks; none where the model does not estimate them."""
    for vertebra, point, landmark in spine.points():
        if landmark is not None and landmark.error is not None:
            yield name, vertebra, point, f"{landmark.error:.2f}"


def confidence_rows(name: str, prediction: Prediction, radiograph: Radiograph) -> Rows:
    """How sure the spine, its names and each curve's angle are; empty where the model does not tell."""
    right = "" if prediction.names_right is None else f"{prediction.names_right:.3f}"
    curves = curves_of(prediction.spine, radiograph.frame, prediction.tilt_half_widths)
    for number, curve in enumerate(curves, 1):
        width = "" if curve.half_width_deg is None else f"{curve.half_width_deg:.2f}"
        yield name, f"{prediction.spine_score:.3f}", right, str(number), f"{curve.angle_deg:.2f}", width


def predict_one(
    image: InputImage, predictor: LandmarkPredictor, decoder: str, output: Path
) -> tuple[Prediction, Radiograph]:
    """Predict one image and write its two files; results of an earlier call are gone if it fails.

    Raises:
        UnreadableImageError: the image cannot be read.
        NoSpineError: it shows no spine.
        OSError: a result cannot be written.
    """
    markups, overlay = output / f"{image.stem}{SUFFIX}", output / f"{image.stem}{OVERLAY_SUFFIX}"
    for stale in (markups, overlay):
        stale.unlink(missing_ok=True)
    radiograph = read_radiograph(image.path)
    prediction = predictor.predict(radiograph, decoder)
    draw_overlay(radiograph, prediction.spine).save(overlay)
    write_markups(markups, prediction.spine, radiograph.geometry)
    return prediction, radiograph


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    empty = [path for path in arguments.paths if path.is_dir() and not find_images([path], arguments.output)]
    for path in empty:
        print(f"{path}: the folder holds no image", file=sys.stderr)
    images = find_images(arguments.paths, arguments.output)
    try:
        predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
        arguments.output.mkdir(parents=True, exist_ok=True)
        failed = predict_all(images, predictor, arguments.decoder, arguments.output)
    except (OSError, ValueError) as error:
        print(f"predict: {error}", file=sys.stderr)
        return 1
    print(f"{len(images) - failed} of {len(images)} images done; results are in {arguments.output}")
    return 1 if failed or empty else 0


def predict_all(images: list[InputImage], predictor: LandmarkPredictor, decoder: str, output: Path) -> int:
    """Predict every image, name those that fail on stderr, and write the tables; returns how many failed.

    Raises:
        OSError: a table cannot be written.
    """
    failed = 0
    tables: dict[str, list[tuple[str, ...]]] = {name: [columns] for name, columns in TABLES.items()}
    for image in tqdm(images, unit="image", disable=len(images) < 2 or not sys.stderr.isatty()):
        try:
            prediction, radiograph = predict_one(image, predictor, decoder, output)
        except (UnreadableImageError, NoSpineError, OSError) as error:
            failed += 1
            reason = str(error).removeprefix(f"{image.path.name}: ")
            tqdm.write(f"{image.name}: {reason}".encode(errors="backslashreplace").decode(), file=sys.stderr)
            continue
        spine = prediction.spine
        tables["landmarks.csv"] += landmark_rows(image.name, spine)
        tables["cobb.csv"] += cobb_rows(image.name, spine, radiograph)
        tables["curves.csv"] += curve_rows(image.name, spine, radiograph)
        tables["errors.csv"] += error_rows(image.name, spine)
        tables["confidence.csv"] += confidence_rows(image.name, prediction, radiograph)
    for name, table in tables.items():
        with (
            replacing(output / name) as temporary,
            temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
        ):
            csv.writer(stream).writerows(table)
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
