"""Labelled data of any format on the command line: where they are, whose images they show, and their folds."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import _app_path  # noqa: F401
from _path_arguments import existing_file
from _withheld_images import without_withheld
from lib.learning.data.formats.aasce_layout import AasceLayout
from lib.learning.data.formats.data_set import DataOptions, DataSet
from lib.learning.data.formats.folds import FOLDS_FILE, read_folds, with_folds, write_folds
from lib.learning.data.formats.registry import AUTO, FORMATS, format_of_data, read_data_set
from lib.learning.data.labelled_items import check_pattern
from lib.learning.training.distributed import is_first
from lib.spine.labels.label_exchange import decode_text
from lib.spine.labels.landmark_names import NameMap

DATA_HELP = "labelled images: a studies folder, COCO, CSV or JSON file, or a folder in the AASCE layout"
MIN_IMAGES = 2
MAX_SENTENCES = 20
"""Reasons to leave labels out that are told."""
MAX_ALIKE = 3
"""Labels that are told of each such reason."""
_LEFT_OUT = re.compile(r"image '(?P<name>.+?)': (?P<reason>.*)", re.DOTALL)


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """How to read ``--data``; the argument itself is the command's."""
    group = parser.add_argument_group("your own data (see docs/TRAINING.md)")
    group.add_argument("--format", choices=(AUTO, *FORMATS), default=AUTO, help="of --data; auto: as the path looks")
    group.add_argument("--image-folder", type=Path, metavar="DIR", help="images of a label file, if not beside it")
    group.add_argument(
        "--map", type=existing_file, metavar="FILE", help="table or JSON: names in the file, and ours for them"
    )
    group.add_argument(
        "--patients",
        default="",
        metavar="PATTERN",
        help="regular expression for whole image names whose first group is the patient, such as '([^_]+)_.*'",
    )
    group.add_argument(
        "--folds", type=Path, metavar="CSV", help=f"table of folds to use; default: {FOLDS_FILE} of the run, if any"
    )


def is_aasce(arguments: argparse.Namespace) -> bool:
    """Whether ``--data`` has the AASCE layout, whose labels and splits are the challenge's."""
    if arguments.format == AUTO:
        return format_of_data(arguments.data).name == AasceLayout.name
    return bool(arguments.format == AasceLayout.name)


def read_data(
    arguments: argparse.Namespace, weights: Iterable[Path] = (), run: Path | None = None, is_learnt: bool = False
) -> DataSet:
    """Read ``--data`` with its folds, and report on stderr what cannot be used.

    A user's folds are those of ``--folds``, else of the table in the folder of the run or of the weights, else dealt.

    Args:
        arguments: of ``add_data_options``, and ``data``.
        weights: weight files of the command; the table of folds beside them is theirs.
        run: folder of a training; its table of folds goes before those of weights.
        is_learnt: leave out what a study plan keeps from models, see ``without_withheld``.

    Raises:
        ValueError: they are no labelled data, or too few, or a study plan cannot be used.
        OSError: a file cannot be read.
    """
    names = NameMap() if arguments.map is None else NameMap.parse(decode_text(arguments.map.read_bytes()))
    options = DataOptions(arguments.image_folder, names, check_pattern(arguments.patients))
    data = read_data_set(arguments.data, arguments.format, options)
    if not data.is_own:
        if arguments.folds or arguments.patients or arguments.image_folder or arguments.map:
            raise ValueError(
                f"{arguments.data} has the AASCE layout, which states patients and folds itself: --folds, --patients, "
                "--image-folder and --map go with other data"
            )
        return data
    if is_learnt:
        data = without_withheld(data, arguments.data, options)
    if is_first():
        _report(data, bool(options.patients))
    if len(data.images) < MIN_IMAGES:
        count = len(data.images) + len(data.skipped)
        usable = f"{len(data.images)} of the {count} labels in {data.name} can be used"
        found = usable if count else f"there are no labels in {data.name}"
        raise ValueError(f"{MIN_IMAGES} labelled images are the least to work with; {found}")
    table = _table(arguments.folds, [path.parent for path in weights], run)
    known = {} if table is None else read_folds(table)
    if arguments.folds and table and not any(one.name in known or one.digest in known for one in data.images):
        raise ValueError(f"none of the {len(data.images)} images of {data.name} stands in {table}")
    data = with_folds(data, known)
    if is_first():
        print(f"{_describe(data)}; folds {'dealt anew' if table is None else f'as in {table}'}", file=sys.stderr)
    return data


def keep_folds(arguments: argparse.Namespace, data: DataSet, folder: Path) -> None:
    """Write a user's folds down, in ``--folds`` or else in a folder, that of the run.

    Raises:
        OSError: the table cannot be written.
    """
    if data.is_own and is_first():
        write_folds(arguments.folds or folder / FOLDS_FILE, data)


def _table(given: Path | None, beside: Iterable[Path], run: Path | None) -> Path | None:
    """The table of folds to read; that of ``--folds`` may be missing only where a training writes it.

    Raises:
        ValueError: it is missing elsewhere.
    """
    if given is not None:
        if run is None and not given.is_file():
            raise ValueError(f"there is no table of folds {given}")
        return given if given.exists() else None
    folders = ([] if run is None else [run]) + list(beside)
    return next((folder / FOLDS_FILE for folder in folders if (folder / FOLDS_FILE).is_file()), None)


def _describe(data: DataSet) -> str:
    patients = len({image.patient for image in data.images})
    partial = sum(not image.is_complete for image in data.images)
    incomplete = f", {partial} of them with a part of the points" if partial else ""
    return f"{data.name}: {len(data.images)} labelled images of {patients} patients{incomplete}"


def _report(data: DataSet, has_rule: bool) -> None:
    reasons = _by_reason(data.skipped)
    for alike in reasons[:MAX_SENTENCES]:
        print(*alike[:MAX_ALIKE], sep="\n", file=sys.stderr)
        if len(alike) > MAX_ALIKE:
            print(f"and {len(alike) - MAX_ALIKE} more like these", file=sys.stderr)
    others = sum(map(len, reasons[MAX_SENTENCES:]))
    if others:
        print(f"and {others} more", file=sys.stderr)
    if data.skipped:
        count = len(data.skipped) + len(data.images)
        print(f"{len(data.skipped)} of {count} labels of {data.name} are left out", file=sys.stderr)
    of_all = f"{data.unstated} of {len(data.images)} images"
    if data.unstated and has_rule:
        print(f"--patients does not fit the names of {of_all}: each counts as of a patient of its own", file=sys.stderr)
    elif data.unstated:
        print(
            f"nobody states the patient of {of_all}: those whose names differ only in words at the end (P12_pre, "
            "P12_post) count as of one patient, every other image as of a patient of its own; --patients says how "
            "names tell patients apart",
            file=sys.stderr,
        )


def _by_reason(sentences: Iterable[str]) -> list[list[str]]:
    """Sentences about labels that are left out, those together that differ in nothing but the name of the image."""
    groups: dict[str, list[str]] = {}
    for sentence in sentences:
        parts = _LEFT_OUT.fullmatch(sentence)
        reason = sentence if parts is None else parts["reason"].replace(parts["name"], "")
        groups.setdefault(reason, []).append(sentence)
    return list(groups.values())
