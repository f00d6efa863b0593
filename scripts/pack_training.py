"""Put the images and labels of a training into one file, from which scripts/train_from_pack.py learns anywhere.

Boxed images, strips and generated images have the labels of scripts/teacher_labels.py; boxed ones and strips without
such a label have the middles of their boxes. The rest are phantoms. The pack states on which images the models were
trained that have named or placed something in it.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

import _app_path  # noqa: F401
from _data_arguments import DATA_HELP, add_data_options, keep_folds, read_data
from _path_arguments import existing_file
from lib.learning.codec import ABSENT, PRESENT, STATE
from lib.learning.data import IMAGE, LABEL
from lib.learning.data.boxed_images import unnamed_label
from lib.learning.data.formats.data_set import DataSet
from lib.learning.data.synthetic import synthetic_items
from lib.learning.data.transforms import LoadRadiographd
from lib.learning.prediction.level_names import read_model_folds, read_names, rename_items
from lib.learning.training.packs.training_pack import (
    BOXED,
    DEFAULT_QUALITY,
    GENERATED,
    LABELLED,
    MAX_LENGTH,
    NO_FOLD,
    NO_RECORD,
    PHANTOM,
    SPINELESS,
    STRIP,
    PackedImage,
    TrainingPack,
    anonymous,
    write_pack,
)
from lib.learning.training.teaching.teacher import ALL_POINTS, read_taught_labels, read_teacher
from lib.learning.training.teaching.unnamed_images import UnnamedImage, read_boxed, read_quads, read_strips
from lib.learning.weights.provenance import MODEL_FOLDS, TEACHER, TrainedOn, init_facts, stated
from lib.learning.weights.weight_files import file_digest
from lib.phantoms import random_spec, render_phantom
from lib.spine.atomic_write import check_writable
from lib.spine.schema import POINTS, VERTEBRAE

_SEED = 20_000
"""Where seeds of phantoms begin; ``scripts/evaluate.py`` draws its own far above."""
_HARD_SEED = 30_000
_HEIGHT, _WIDTH = 640, 300
MIN_LENGTH = 64


class Source(NamedTuple):
    """An image that is still to be read: its item, and the fields of ``PackedImage``."""

    kind: str
    item: dict[str, Any]
    fold: int = NO_FOLD
    is_taught: bool = False
    record: int = NO_RECORD


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    add_data_options(parser)
    parser.add_argument(
        "--names", type=existing_file, help="table of scripts/audit_names.py: names to move, or not to learn"
    )
    parser.add_argument("--boxes", type=Path, help="radiographs with unnamed boxes")
    parser.add_argument("--strips", type=Path, help="strips with unnamed boxes")
    parser.add_argument("--quads", type=Path, help="generated images with unnamed quadrangles")
    parser.add_argument("--taught", type=Path, nargs="*", default=[], help="folders of scripts/teacher_labels.py")
    parser.add_argument("--phantoms", type=int, default=150, help="images with exact labels")
    parser.add_argument("--hard-phantoms", type=int, default=60, help="the same, faint or with implants")
    parser.add_argument("--spineless", type=int, default=100, help="images without a spine")
    parser.add_argument("--longest", type=int, default=1280, help="pixels to which longer images are shrunk")
    parser.add_argument("--quality", type=int, default=DEFAULT_QUALITY, help="of the stored images, up to 100")
    parser.add_argument("--output", type=Path, required=True, help="file for the pack")
    parsed = parser.parse_args(arguments)
    if min(parsed.phantoms, parsed.hard_phantoms, parsed.spineless) < 0:
        parser.error("--phantoms, --hard-phantoms and --spineless must be 0 or more")
    if not MIN_LENGTH <= parsed.longest <= MAX_LENGTH:
        parser.error(f"--longest must be a number from {MIN_LENGTH} to {MAX_LENGTH}")
    if not 1 <= parsed.quality <= 100:
        parser.error("--quality must be a number from 1 to 100")
    return parsed


def labelled(data: DataSet, names: dict[str, int | None]) -> Iterator[Source]:
    """Labelled radiographs that can be learnt from, with names as the table says."""
    for record, image in enumerate(data.images):
        if image.label is not None:
            (item,) = rename_items([image.item()], names)
            yield Source(LABELLED, item, image.fold, record=record)


def unnamed(arguments: argparse.Namespace, names: dict[str, int | None]) -> Iterator[Source]:
    """Boxed images, strips and generated images.

    Those with boxes are learnt from in any case: as a teacher says, else with unnamed centers in the middles of the
    boxes. Where a teacher says centers only and the table has names for the boxes, it goes before the teacher.
    """
    taught: dict[tuple[str, str], tuple[np.ndarray, str]] = {}
    for folder in arguments.taught:
        taught |= read_taught_labels(folder)
    readers: tuple[tuple[str, str, Path | None, Callable[[Path], list[UnnamedImage]]], ...] = (
        (BOXED, "boxes", arguments.boxes, read_boxed),
        (STRIP, "strips", arguments.strips, read_strips),
        (GENERATED, "quads", arguments.quads, read_quads),
    )
    for kind, source, folder, reader in readers:
        for image in reader(folder) if folder is not None else []:
            label, kept = taught.get((source, image.path.name), (None, ""))
            fold = NO_FOLD if image.fold is None else image.fold
            if label is not None and (kept == ALL_POINTS or kind == GENERATED or image.path.name not in names):
                yield Source(kind, {IMAGE: str(image.path), LABEL: label}, fold, is_taught=True)
            elif kind != GENERATED:
                (item,) = rename_items([{IMAGE: str(image.path), LABEL: unnamed_label(image.marks)}], names)
                yield Source(kind, item, fold)


def phantoms(arguments: argparse.Namespace) -> Iterator[Source]:
    """Images of the phantom generator, some of them faint or with rods and screws, and images without a spine."""
    for item in synthetic_items(arguments.phantoms, arguments.spineless, _SEED):
        is_spineless = bool((item[LABEL][..., STATE] == ABSENT).all())
        yield Source(SPINELESS if is_spineless else PHANTOM, item)
    for number in range(arguments.hard_phantoms):
        spec = random_spec(_HARD_SEED + number, _HEIGHT, _WIDTH)
        if number % 2:
            spec = dataclasses.replace(spec, implants=tuple({*spec.implants, "rods"}))
        else:
            spec = dataclasses.replace(spec, bone=0.35, noise=max(spec.noise, 0.5), scatter=max(spec.scatter, 1.0))
        phantom = render_phantom(spec)
        label = np.concatenate([phantom.spine.xy, np.full((len(VERTEBRAE), len(POINTS), 1), PRESENT)], -1)
        yield Source(PHANTOM, {IMAGE: phantom.pixels, LABEL: label})


def packed(sources: Iterable[Source], longest: int) -> Iterator[PackedImage]:
    """Images upright, windowed and at most so long.

    Raises:
        UnreadableImageError: an image cannot be read.
    """
    load = LoadRadiographd(longest)
    for kind, item, fold, is_taught, record in sources:
        before = np.asarray(item[LABEL])
        loaded = load(item)
        label = np.where((before[..., :STATE] == 0).all(-1, keepdims=True), before, loaded[LABEL])
        pixels = (loaded[IMAGE][0] * 255).round().byte().numpy()
        yield PackedImage(pixels, label, kind, fold, is_taught, record)


def model_facts(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the models were trained on that have named vertebrae (``--names``) or placed points (``--taught``).

    Raises:
        ValueError: a table is none.
        OSError: a table cannot be read.
    """
    facts: dict[str, Any] = {}
    if arguments.names:
        folds = read_model_folds(arguments.names)
        facts = {"names": file_digest(arguments.names), MODEL_FOLDS: None if folds is None else sorted(folds)}
    teachers = [read_teacher(folder) for folder in arguments.taught]
    if teachers:
        digests = sorted({str((one or {}).get("digest", "")) for one in teachers})
        facts[TEACHER] = init_facts(" ".join(digests), reduce(TrainedOn.__or__, map(stated, teachers)))
    return facts


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        check_writable(arguments.output)
        data = read_data(arguments, run=arguments.output.parent, is_learnt=True)
        names = read_names(arguments.names) if arguments.names else {}
        facts = {"longest": arguments.longest, **model_facts(arguments)}
        sources = [*labelled(data, names), *unnamed(arguments, names), *phantoms(arguments)]
        bar = tqdm(
            packed(sources, arguments.longest), total=len(sources), unit="image", disable=not sys.stderr.isatty()
        )
        images = tuple(bar)
        keep_folds(arguments, data, arguments.output.parent)
        write_pack(arguments.output, TrainingPack(images, anonymous(data), facts), arguments.quality)
    except (OSError, ValueError) as error:
        print(f"pack_training: {error}", file=sys.stderr)
        return 1
    counts = {kind: sum(image.kind == kind for image in images) for kind in sorted({image.kind for image in images})}
    listed = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    print(f"{len(images)} images ({listed}) in {arguments.output.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
