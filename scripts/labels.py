"""Bring labels of a studies folder to other programs and back: ``labels.py export`` and ``labels.py import``.

Works while a server runs on the folder. An import overwrites nothing: a label that was there stays as a version.
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
from lib.image_io import Radiograph, read_radiograph
from lib.server.filenames import check_tag
from lib.server.inference.response import with_stated_side
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.studies_folder import id_of
from lib.spine.atomic_write import check_writable, replacing
from lib.spine.labels.coco import from_coco, to_coco
from lib.spine.labels.label_exchange import (
    LabelledFilm,
    curves_csv,
    films_json,
    landmarks_csv,
    read_films_json,
    read_landmarks_csv,
)
from lib.spine.labels.label_fit import fit_to_image
from lib.spine.labels.markups import SUFFIX, read_markups, write_markups
from lib.spine.labels.text_decoding import decode_text
from lib.spine.measurement.image_warnings import measurement_warnings
from lib.spine.schema import Spine

WRITERS = {"csv": landmarks_csv, "curves": curves_csv, "json": films_json, "coco": to_coco}
READERS = {"csv": read_landmarks_csv, "json": read_films_json, "coco": from_coco}
_SAME_PX = 1e-6


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, words, formats in (
        ("export", "write labels to a file", WRITERS),
        ("import", "keep what a file says as labels", READERS),
    ):
        command = commands.add_parser(name, help=words, description=words)
        command.add_argument("studies", type=Path, help="the studies folder")
        command.add_argument("file", type=Path, help="the file to write" if name == "export" else "the file to read")
        command.add_argument(
            "--format", choices=formats, required=True, help="csv: a row per point; curves: a row per curve"
        )
        command.add_argument("--tag", default="final", help="of the labels (default: %(default)s)")
        command.add_argument("--database", help="URL of the database, if the server has one")
        if name == "import":
            command.add_argument("--user", default="", help="who made the labels")
    return parser.parse_args(arguments)


def main() -> int:
    """Run the command; returns the exit status, which is 1 where something was left out."""
    arguments = parse_arguments()
    try:
        check_tag(arguments.tag)
        if not arguments.studies.is_dir():
            raise ValueError(f"there is no folder {arguments.studies}")
        store = StudiesDatastore(str(arguments.studies), arguments.database)
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


def export_labels(store: StudiesDatastore, arguments: argparse.Namespace) -> list[str]:
    """Write all labels of a tag; returns what was left out and why."""
    check_writable(arguments.file)
    problems: list[str] = []
    films = list(_films(store, arguments.tag, problems))
    with replacing(arguments.file) as temporary:
        temporary.write_text(WRITERS[arguments.format](films), encoding="utf-8")
    print(f"{len(films)} labels exported" + (f", {len(problems)} left out" if problems else ""))
    for film in films:
        for warning in film.warnings:
            print(f"{film.image}: {warning.message}", file=sys.stderr)
    return problems


def _films(store: StudiesDatastore, tag: str, problems: list[str]) -> Iterator[LabelledFilm]:
    for image in store.get_labeled_images(tag):
        try:
            yield _labelled(store, image, tag)
        except (ValueError, OSError) as error:
            problems.append(f"image {image!r:.80}: {error}")


def _labelled(store: StudiesDatastore, image: str, tag: str) -> LabelledFilm:
    """An image and its label; its warnings are those of the file and of what is measured from the points."""
    path = Path(store.get_image_uri(image))
    radiograph = read_radiograph(path)
    spine = read_markups(Path(store.get_label_uri(image, tag)), radiograph.geometry)
    spine = spine.cut_to(radiograph.width, radiograph.height)
    frame = with_stated_side(radiograph.frame.resolved(spine), radiograph, store.stated_side(image))
    warnings = measurement_warnings(spine, frame, about_image=radiograph.warnings)
    return LabelledFilm(path.name if id_of(path.name) == image else image, spine, frame, warnings)


def import_labels(store: StudiesDatastore, arguments: argparse.Namespace) -> list[str]:
    """Keep the labels that a file holds; returns what was left out and why."""
    films, problems = READERS[arguments.format](decode_text(arguments.file.read_bytes()))
    facts = {"user": arguments.user, "imported": arguments.file.name}
    kept: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for film in films:
            try:
                image = _image_of(store, film.image)
                if image in kept:
                    raise ValueError("the file has another label of this image, which comes first")
                kept[image] = _keep(store, image, film, arguments.tag, facts, Path(folder) / f"label{SUFFIX}")
            except (ValueError, OSError) as error:
                problems.append(f"image {film.image!r:.80}: {error}")
    counts = Counter(kept.values())
    print(
        f"{counts['new'] + counts['over']} labels imported, {counts['over']} of them over others, which stay as "
        f"versions; {counts['same']} were there already; {len(problems)} left out"
    )
    for image in (image for image, how in kept.items() if how == "over"):
        print(f"over another label: {image}")
    return problems


def _image_of(store: StudiesDatastore, name: str) -> str:
    """The id of the image that a file names by its id, or by the name of its file."""
    image = id_of(name)
    if Path(store.get_image_uri(image)).name == name:  # first, since this is what an export writes
        return image
    if not store.get_image_uri(name):
        raise ValueError("there is no such image in the studies folder")
    return name


def _keep(store: StudiesDatastore, image: str, film: LabelledFilm, tag: str, facts: dict[str, str], place: Path) -> str:
    """Save one label, unless it is there already; says which it was.

    Raises:
        ValueError: it has no points, or is of another image.
    """
    radiograph = read_radiograph(Path(store.get_image_uri(image)))
    _check_size(film, radiograph)
    spine = fit_to_image(film.spine, radiograph.width, radiograph.height)
    present = store.get_label_uri(image, tag)
    if present and _says(Path(present), radiograph, spine):
        return "same"
    if not spine.visible.any():
        raise ValueError("the label has no points")
    write_markups(place, spine, radiograph.geometry)
    store.save_label(image, str(place), tag, facts)
    return "over" if present else "new"


def _check_size(film: LabelledFilm, radiograph: Radiograph) -> None:
    if film.frame is not None and (film.frame.width, film.frame.height) != (radiograph.width, radiograph.height):
        raise ValueError(
            f"the label is of an image of {film.frame.width} x {film.frame.height} pixels, not of the image of "
            f"{radiograph.width} x {radiograph.height} pixels"
        )


def _says(label: Path, radiograph: Radiograph, spine: Spine) -> bool:
    """Whether a label has these visible points and no others."""
    try:
        present = read_markups(label, radiograph.geometry).cut_to(radiograph.width, radiograph.height)
    except ValueError:  # it says nothing
        return False
    return bool(np.allclose(present.visible_xy, spine.visible_xy, rtol=0.0, atol=_SAME_PX, equal_nan=True))


if __name__ == "__main__":
    sys.exit(main())
