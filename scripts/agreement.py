"""How well the readers of a study agree, with each other, with themselves and with the model.

Writes tables (CSV), plots (PNG) and a methods paragraph (``methods.txt``) into a folder, see docs/AGREEMENT.md.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import _app_path  # noqa: F401
from _agreement_plots import draw_plots
from _path_arguments import existing_file
from _study_readings import model_readings, readings_of_table
from experiments.plot_style import check_library
from labels import open_store
from lib import __version__
from lib.agreement.methods import methods_text, results_text
from lib.agreement.paired_readings import StudyReading
from lib.agreement.readings_csv import readings_csv
from lib.agreement.selection import unaided, unusable
from lib.agreement.study_agreement import Agreement, agreement
from lib.agreement.tables import TABLES
from lib.server.annotation.readings.agreement_input import readings_of_folder
from lib.spine.atomic_write import atomic_write
from lib.spine.imaging.image_frame import ImageFrame

METHODS, READINGS = "methods.txt", "readings.csv"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "readings", help="studies folder, address of a PACS's DICOMweb service, or table of readings (CSV)"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of tables, plots and methods paragraph")
    parser.add_argument("--model", type=existing_file, help="the model's points: landmarks.csv of scripts/predict.py")
    parser.add_argument(
        "--model-name", default="model", help="of the model; one of the readers of a table (default: %(default)s)"
    )
    parser.add_argument(
        "--margin-deg",
        type=float,
        help="by how many degrees the model may be farther from the readers than they are from each other; state it "
        "before you look",
    )
    parser.add_argument("--margin-px", type=float, help="the same for corners, in pixels")
    parser.add_argument("--unaided", action="store_true", help="leave out readings that began with a model's points")
    parser.add_argument("--no-plots", action="store_true", help="tables and methods alone; needs no matplotlib")
    parser.add_argument("--database", help="URL of the database, if the server has one")
    parser.add_argument(
        "--conf", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), help="setting of a PACS; repeatable"
    )
    return parser.parse_args(arguments)


def main() -> int:
    """Run the command; returns the exit status, which is 1 where something was left out."""
    arguments = parse_arguments()
    problems: list[str] = []
    try:
        if not arguments.no_plots:
            check_library()
        readings, frames = load(arguments, problems)
        if arguments.model is not None:
            readings += model_readings(arguments.model, arguments.model_name, readings, frames, problems)
        has_model = any(one.reader == arguments.model_name for one in readings)
        model = arguments.model_name if has_model else None
        left_out = unusable(len(problems))
        if arguments.unaided:
            readings, sentences = unaided(readings, model)
            left_out += sentences
        found = agreement(readings, model, arguments.margin_deg, arguments.margin_px, left_out)
        write(found, readings, arguments.output)
        if not arguments.no_plots:
            draw_plots(found, arguments.output)
    except (ValueError, OSError) as error:
        print("\n".join([*problems, str(error)]), file=sys.stderr)
        return 1
    print(results_text(found))
    for sentence in problems:
        print(sentence, file=sys.stderr)
    return 1 if problems else 0


def load(arguments: argparse.Namespace, problems: list[str]) -> tuple[list[StudyReading], dict[str, ImageFrame]]:
    """The readings, and the frames of their images as far as known.

    Raises:
        ValueError: there are none, or they cannot be read.
        OSError: likewise.
    """
    frames: dict[str, ImageFrame] = {}
    if Path(arguments.readings).is_file():
        readings = readings_of_table(Path(arguments.readings), problems)
    else:
        store = open_store(arguments.readings, arguments.database, dict(arguments.conf))
        try:
            readings, frames = readings_of_folder(store, problems)
        finally:
            store.close()
    return readings, frames


def write(found: Agreement, readings: list[StudyReading], folder: Path) -> None:
    """Write tables and methods; a table without rows is not written.

    Args:
        found: what was calculated.
        readings: what it was calculated from.
        folder: made where it is not there.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows_of in TABLES.items():
        rows, path = list(rows_of(found)), folder / f"{name}.csv"
        if not rows:
            path.unlink(missing_ok=True)
            continue
        with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    for name, text in ((METHODS, methods_text(found, __version__)), (READINGS, readings_csv(readings))):
        with atomic_write(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
