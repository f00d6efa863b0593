"""Find the landmarks of radiographs without a server: a Markups file and an overlay per image, and six tables.

``--report`` adds a page of PDF per image. Rows are written as images are done; ``--resume`` continues an interrupted
run.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout
from tqdm import tqdm

import _app_path  # noqa: F401
from _path_arguments import existing_file
from _result_tables import DoneImage, ResultTables
from lib import __version__
from lib.archive.results.record import ImageRecord
from lib.archive.results.tables import REFUSED, TABLES, result_rows
from lib.image_io import Radiograph, UnreadableImageError, read_radiograph
from lib.image_io.dicom.study import read_study_tags
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.data.input_files import OVERLAY_SUFFIX, InputImage, find_images
from lib.learning.decoders import DECODERS, DEFAULT_DECODER
from lib.learning.models.devices import choose_device
from lib.learning.prediction.overlay import PNG_LEVEL, draw_overlay
from lib.learning.prediction.predictor import LandmarkPredictor, NoSpineError
from lib.learning.prediction.request import PredictionRequest
from lib.learning.prediction.result import Prediction
from lib.learning.weights.weight_files import file_digest
from lib.report import PAGE_SIZES, ReportContent, report_pdf
from lib.spine.labels.markups import SUFFIX, write_markups
from lib.spine.measurement.origin import Origin

REPORT_SUFFIX = ".report.pdf"
LOCK_FILE = ".predict_run.lock"
"""Lock file of a run, which is never deleted."""
ABANDONED = 2
"""Exit status where nothing is done because of the arguments or existing results."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="images, or folders that hold images")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results; made when missing")
    parser.add_argument("--decoder", choices=DECODERS, default=DEFAULT_DECODER)
    parser.add_argument("--weights", type=existing_file, default=DEFAULT_WEIGHTS_FILE)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--report", action="store_true", help="write a report per image, as PDF")
    parser.add_argument("--page", choices=PAGE_SIZES, default="a4", help="paper of the reports (default: %(default)s)")
    present = parser.add_mutually_exclusive_group()
    present.add_argument("--resume", action="store_true", help="go on with the run in the folder for the results")
    present.add_argument("--overwrite", action="store_true", help="replace the tables in the folder for the results")
    return parser.parse_args(arguments)


class Run(NamedTuple):
    """What is the same for all images of a run.

    Attributes:
        predictor: of the landmarks.
        decoder: by name.
        output: folder for the results.
        page: paper of the reports; ``None`` without reports.
        digest: of the weight file.
    """

    predictor: LandmarkPredictor
    decoder: str
    output: Path
    page: str | None
    digest: str


def predict_one(image: InputImage, reading: Future[Radiograph], run: Run) -> Prediction:
    """Predict one image and write its files; earlier results are deleted even if it fails.

    Args:
        image: to predict.
        reading: of its pixels.
        run: what is the same for all.

    Raises:
        UnreadableImageError: the image cannot be read.
        NoSpineError: it shows no spine.
        OSError: a result cannot be written.
    """
    suffixes = SUFFIX, OVERLAY_SUFFIX, REPORT_SUFFIX
    markups, overlay, report = (run.output / f"{image.stem}{suffix}" for suffix in suffixes)
    for stale in (markups, overlay, report):
        stale.unlink(missing_ok=True)
    radiograph = reading.result()
    prediction = run.predictor.predict(radiograph, PredictionRequest(run.decoder))
    if run.page is not None:
        report.write_bytes(report_pdf(report_of(image, radiograph, prediction, run.digest), run.page))
    draw_overlay(radiograph, prediction).save(overlay, compress_level=PNG_LEVEL)
    write_markups(markups, prediction.spine, radiograph.geometry)
    return prediction


def report_of(image: InputImage, radiograph: Radiograph, prediction: Prediction, digest: str) -> ReportContent:
    """Content of the report of a prediction.

    Args:
        image: that was predicted.
        radiograph: its pixels.
        prediction: of it.
        digest: of the weight file.
    """
    widths = [] if prediction.tilt_half_widths is None else prediction.tilt_half_widths.tolist()
    tags = read_study_tags(image.path)
    return ReportContent(
        image.name,
        radiograph,
        prediction.spine,
        prediction.frame,
        Origin(
            names_right=prediction.names_right,
            tilt_half_widths=tuple(width if math.isfinite(width) else None for width in widths),
            orientation=prediction.orientation,
            warnings=prediction.warnings,
        ),
        model_digest=digest,
        taken_on="" if tags is None else tags.taken_on,
    )


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    empty = [path for path in arguments.paths if path.is_dir() and not find_images([path], arguments.output)]
    for path in empty:
        print(f"{path}: the folder holds no image", file=sys.stderr)
    images = find_images(arguments.paths, arguments.output)
    try:
        digest = file_digest(arguments.weights)
        page = arguments.page if arguments.report else None
        options = {"decoder": arguments.decoder, "weights": digest, "version": __version__}
        options |= {} if page is None else {"report": page}
        arguments.output.mkdir(parents=True, exist_ok=True)
        predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
        tables = ResultTables(arguments.output, TABLES, options)
        with FileLock(arguments.output / LOCK_FILE, timeout=0):
            try:
                done = begin(tables, images, arguments)
            except (ValueError, FileExistsError) as error:
                print(f"predict: {error}", file=sys.stderr)
                return ABANDONED
            run = Run(predictor, arguments.decoder, arguments.output, page, digest)
            failed = predict_all(images, run, tables, done)
    except Timeout:
        print(f"predict: another run is writing to {arguments.output}: wait for it to end", file=sys.stderr)
        return ABANDONED
    except (OSError, ValueError) as error:
        print(f"predict: {error}", file=sys.stderr)
        return 1
    print(f"{len(images) - failed} of {len(images)} images done; results are in {arguments.output}")
    return 1 if failed or empty else 0


def begin(tables: ResultTables, images: list[InputImage], arguments: argparse.Namespace) -> Mapping[str, DoneImage]:
    """Create the tables, or resume existing ones; returns the images that are done.

    Raises:
        FileExistsError: there are tables of another run.
        ValueError: the existing run cannot be resumed.
        OSError: a table cannot be written.
    """
    if arguments.resume:
        return tables.resume(images)
    tables.begin(arguments.overwrite)
    return {}


def predict_all(images: list[InputImage], run: Run, tables: ResultTables, done: Mapping[str, DoneImage]) -> int:
    """Predict every image that is not done, name those that fail on stderr, and write their rows.

    Returns:
        How many failed, now or before.

    Raises:
        OSError: a table cannot be written.
    """
    failed = 0
    readings = read_ahead([image for image in images if image.name not in done])
    for image in tqdm(images, unit="image", disable=len(images) < 2 or not sys.stderr.isatty()):
        refused = done[image.name].refused if image.name in done else _predict(image, next(readings), run, tables)
        if refused is not None:
            failed += 1
            tqdm.write(f"{image.name}: {refused}".encode(errors="backslashreplace").decode(), file=sys.stderr)
    return failed


def read_ahead(images: Sequence[InputImage]) -> Iterator[Future[Radiograph]]:
    """Each image as it is read in a thread, which reads the next one while the caller is at work on it."""
    with ThreadPoolExecutor(1, thread_name_prefix="read-image") as pool:
        readings = deque(pool.submit(read_radiograph, image.path) for image in images[:1])
        for image in images[1:]:
            readings.append(pool.submit(read_radiograph, image.path))
            yield readings.popleft()
        yield from readings


def _predict(image: InputImage, reading: Future[Radiograph], run: Run, tables: ResultTables) -> str | None:
    """Predict an image and write its rows; returns why it was refused, ``None`` where it was not."""
    try:
        prediction = predict_one(image, reading, run)
    except (UnreadableImageError, NoSpineError, OSError) as error:
        reason = str(error).removeprefix(f"{image.path.name}: ")
        is_final = not isinstance(error, OSError)  # a full disk may have room next time
        tables.add(image, {REFUSED: [(image.name, reason)]}, reason, is_final)
        return reason
    tables.add(image, result_rows(image.name, ImageRecord.of(prediction)))
    return None


if __name__ == "__main__":
    raise SystemExit(main())
