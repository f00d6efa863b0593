"""Exchange labels of a studies folder with other programs: ``labels.py export`` and ``labels.py import``.

Works while a server runs on the folder. An import overwrites nothing: earlier labels stay as versions. ``export
--deidentify`` writes a folder with the images and their labels for research instead, see docs/DEIDENTIFICATION.md;
``export --format images`` a row per image and reading for statistics, see docs/AGREEMENT.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import _app_path  # noqa: F401
from _deidentified_export import export_deidentified
from _images_table import HEADER, export_images
from _path_arguments import existing_file
from lib.image_io import Radiograph, read_radiograph
from lib.server.config import parse_conf
from lib.server.filenames import check_studies, check_tag, is_dicomweb
from lib.server.inference.response import with_stated_side
from lib.server.pacs.pacs_images import open_pacs_store
from lib.server.pacs.settings import pacs_settings
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.studies_folder import id_of
from lib.spine.atomic_write import atomic_write, check_writable
from lib.spine.labels.coco import from_coco, to_coco
from lib.spine.labels.label_exchange import (
    LabelledImage,
    curves_csv,
    decode_text,
    fit_to_image,
    labels_json,
    landmarks_csv,
    read_labels_json,
    read_landmarks_csv,
)
from lib.spine.labels.landmark_names import NameMap
from lib.spine.labels.markups import SUFFIX, read_markups, write_markups
from lib.spine.measurement.image_warnings import measurement_warnings
from lib.spine.schema import Spine

WRITERS = {"csv": landmarks_csv, "curves": curves_csv, "json": labels_json, "coco": to_coco}
READERS = {"csv": read_landmarks_csv, "json": read_labels_json, "coco": from_coco}
IMAGES = "images"
"""The format with a row per image and reading, whatever their tag."""
_FORMAT_HELP = {
    "export": "csv: a row per point; curves: a row per curve; images: a row per image and reading, of all tags",
    "import": "csv: a row per point",
}
_SAME_TOLERANCE_PX = 1e-6


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, description, formats in (
        ("export", "write labels to a file", (*WRITERS, IMAGES)),
        ("import", "store the labels of a file", tuple(READERS)),
    ):
        command = commands.add_parser(name, help=description, description=description)
        command.add_argument("studies", help="the studies folder, or the address of a PACS's DICOMweb service")
        command.add_argument("file", type=Path, help="file or folder to write" if name == "export" else "file to read")
        what = command.add_mutually_exclusive_group(required=True)
        what.add_argument("--format", choices=formats, help=_FORMAT_HELP[name])
        command.add_argument("--tag", default="final", help="of the labels (default: %(default)s)")
        command.add_argument("--database", help="URL of the database, if the server has one")
        command.add_argument(
            "--conf",
            nargs=2,
            action="append",
            default=[],
            metavar=("KEY", "VALUE"),
            help="setting of a PACS; repeatable",
        )
        if name == "export":
            what.add_argument(
                "--deidentify", action="store_true", help="write a folder with de-identified images and their labels"
            )
            command.add_argument(
                "--keep-map",
                type=Path,
                metavar="FILE",
                help="with --deidentify: keep what leads back to the originals, and use it again in later exports",
            )
            command.add_argument(
                "--header",
                nargs="+",
                choices=HEADER,
                default=[],
                help="with --format images: also what DICOM headers state of the patient",
            )
        else:
            command.add_argument("--user", default="", help="who made the labels")
            command.add_argument(
                "--map", type=existing_file, metavar="FILE", help="table or JSON: names in the file, and ours for them"
            )
    return parser.parse_args(arguments)


def main() -> int:
    """Run the command; returns the exit status, which is 1 where something was left out."""
    arguments = parse_arguments()
    try:
        if arguments.command == "export" and arguments.keep_map is not None and not arguments.deidentify:
            raise ValueError("--keep-map needs --deidentify")
        if arguments.command == "export" and arguments.header and arguments.format != IMAGES:
            raise ValueError(f"--header needs --format {IMAGES}")
        check_tag(arguments.tag)
        store = open_store(arguments.studies, arguments.database, dict(arguments.conf))
        try:
            run = export_labels if arguments.command == "export" else import_labels
            problems = run(store, arguments)
        finally:
            store.close()
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for sentence in problems:
        print(sentence, file=sys.stderr)
    return 1 if problems else 0


def open_store(studies: str, database: str | None, conf: dict[str, str]) -> StudiesDatastore:
    """Open a studies folder, or the working folder of a PACS.

    Raises:
        ValueError: there is none; see ``StudiesDatastore``.
        ConnectionError: the database cannot be used.
    """
    check_studies(studies)
    if is_dicomweb(studies):
        return open_pacs_store(pacs_settings(studies, parse_conf(conf)), database)[0]
    if not Path(studies).is_dir():
        raise ValueError(f"there is no folder {studies}")
    return StudiesDatastore(studies, database)


def export_labels(store: StudiesDatastore, arguments: argparse.Namespace) -> list[str]:
    """Write all labels of a tag, or a de-identified copy; returns a sentence for each image that was left out."""
    if arguments.deidentify:
        return export_deidentified(store, arguments.file, arguments.tag, arguments.keep_map)
    check_writable(arguments.file)
    if arguments.format == IMAGES:
        return export_images(store, arguments.file, arguments.header)
    problems: list[str] = []
    labels = list(_labels(store, arguments.tag, problems))
    with atomic_write(arguments.file) as temporary:
        temporary.write_text(WRITERS[arguments.format](labels), encoding="utf-8")
    print(f"{len(labels)} labels exported" + (f", {len(problems)} left out" if problems else ""))
    for label in labels:
        for warning in label.warnings:
            print(f"{label.image}: {warning.message}", file=sys.stderr)
    return problems


def _labels(store: StudiesDatastore, tag: str, problems: list[str]) -> Iterator[LabelledImage]:
    for image in store.get_labeled_images(tag):
        try:
            yield _labelled(store, image, tag)
        except (ValueError, OSError) as error:
            problems.append(f"image {image!r:.80}: {error}")


def _labelled(store: StudiesDatastore, image: str, tag: str) -> LabelledImage:
    """An image and its label, with the warnings about its file and about the measurement."""
    path = Path(store.get_image_uri(image))
    radiograph = read_radiograph(path)
    spine = read_markups(Path(store.get_label_uri(image, tag)), radiograph.geometry)
    spine = spine.cut_to(radiograph.width, radiograph.height)
    frame = with_stated_side(radiograph.frame.resolved(spine), radiograph, store.stated_side(image))
    warnings = measurement_warnings(spine, frame, about_image=radiograph.warnings)
    return LabelledImage(path.name if id_of(path.name) == image else image, spine, frame, warnings)


def import_labels(store: StudiesDatastore, arguments: argparse.Namespace) -> list[str]:
    """Store the labels of a file; returns a sentence for each that was left out."""
    names = NameMap() if arguments.map is None else NameMap.parse(decode_text(arguments.map.read_bytes()))
    labels, problems = READERS[arguments.format](decode_text(arguments.file.read_bytes()), names)
    info = {"user": arguments.user, "imported": arguments.file.name}
    outcomes: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for label in labels:
            try:
                image = _image_of(store, label.image)
                if image in outcomes:
                    raise ValueError("the file has an earlier label of this image")
                outcomes[image] = _save(store, image, label, arguments.tag, info, Path(folder) / f"label{SUFFIX}")
            except (ValueError, OSError) as error:
                problems.append(f"image {label.image!r:.80}: {error}")
    counts = Counter(outcomes.values())
    print(
        f"{counts['new'] + counts['over']} labels imported, {counts['over']} of them over others, which stay as "
        f"versions; {counts['same']} were there already; {len(problems)} left out"
    )
    for image in (image for image, outcome in outcomes.items() if outcome == "over"):
        print(f"over another label: {image}")
    return problems


def _image_of(store: StudiesDatastore, name: str) -> str:
    """The id of the image that a file names by id, by file name, or by a path whose last part is the file name."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    for file in (name, base):
        if Path(store.get_image_uri(id_of(file))).name == file:  # first, since this is what an export writes
            return id_of(file)
    if not store.get_image_uri(name):
        raise ValueError("there is no such image in the studies folder")
    return name


def _save(store: StudiesDatastore, image: str, label: LabelledImage, tag: str, info: dict[str, str], path: Path) -> str:
    """Save one label through a file; returns "new", "over" where it replaces another, or "same" where it was stored.

    Raises:
        ValueError: it has no points, or belongs to another image.
    """
    radiograph = read_radiograph(Path(store.get_image_uri(image)))
    _check_size(label, radiograph)
    spine = fit_to_image(label.spine, radiograph.width, radiograph.height)
    present = store.get_label_uri(image, tag)
    if present and _is_same(Path(present), radiograph, spine):
        return "same"
    if not spine.visible.any():
        raise ValueError("the label has no points")
    write_markups(path, spine, radiograph.geometry)
    store.save_label(image, str(path), tag, info)
    return "over" if present else "new"


def _check_size(label: LabelledImage, radiograph: Radiograph) -> None:
    frame = label.frame
    if frame is not None and (frame.width, frame.height) != (radiograph.width, radiograph.height):
        raise ValueError(
            f"the label is of an image of {frame.width} x {frame.height} pixels, not of the image of "
            f"{radiograph.width} x {radiograph.height} pixels"
        )


def _is_same(path: Path, radiograph: Radiograph, spine: Spine) -> bool:
    """Whether a label file has the same visible points."""
    try:
        present = read_markups(path, radiograph.geometry).cut_to(radiograph.width, radiograph.height)
    except ValueError:  # not a readable label
        return False
    return bool(np.allclose(present.visible_xy, spine.visible_xy, rtol=0.0, atol=_SAME_TOLERANCE_PX, equal_nan=True))


if __name__ == "__main__":
    sys.exit(main())
