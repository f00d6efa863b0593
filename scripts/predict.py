"""Find the landmarks of radiographs without a server: markups, an overlay picture per image, and one table."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from tqdm import tqdm

import _app_path  # noqa: F401
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.inputs import OVERLAY_SUFFIX, InputImage, find_images
from lib.learning.overlay import draw_overlay
from lib.learning.prediction import LandmarkPredictor, NoSpineError
from lib.learning.reading import UnreadableImageError, read_radiograph
from lib.learning.training import choose_device
from lib.spine.markups import SUFFIX, write_markups
from lib.spine.schema import Spine

COLUMNS = ("image", "vertebra", "point", "x_px", "y_px", "score")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="images, or folders that hold images")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results; made when missing")
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser.parse_args(arguments)


def rows(name: str, spine: Spine) -> list[tuple[str, str, str, str, str, str]]:
    """The 85 table rows of one image."""
    return [
        (name, vertebra, point, f"{landmark.x:.3f}", f"{landmark.y:.3f}", f"{landmark.score:.4f}")
        for vertebra, point, landmark in spine.points()
        if landmark is not None
    ]


def predict_one(image: InputImage, predictor: LandmarkPredictor, output: Path) -> Spine:
    """Predict one image and write its two files.

    Raises:
        UnreadableImageError: the image cannot be read.
        NoSpineError: it shows no spine.
        OSError: a result cannot be written.
    """
    radiograph = read_radiograph(image.path)
    spine = predictor.predict(radiograph).spine
    write_markups(output / f"{image.stem}{SUFFIX}", spine, radiograph.spacing)
    draw_overlay(radiograph, spine).save(output / f"{image.stem}{OVERLAY_SUFFIX}")
    return spine


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        images = find_images(arguments.paths, arguments.output)
        predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
        arguments.output.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        print(f"predict: {error}", file=sys.stderr)
        return 1
    failed = 0
    with (arguments.output / "landmarks.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(COLUMNS)
        for image in tqdm(images, unit="image", disable=len(images) < 2):
            try:
                table.writerows(rows(image.name, predict_one(image, predictor, arguments.output)))
            except (UnreadableImageError, NoSpineError) as error:
                failed += 1
                reason = str(error).removeprefix(f"{image.path.name}: ")
                tqdm.write(f"{image.name}: {reason}", file=sys.stderr)
    print(f"{len(images) - failed} of {len(images)} images done; results are in {arguments.output}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
