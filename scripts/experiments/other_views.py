"""Predictions, refusals and warnings on images without a frontal spine; a table in Markdown.

    python scripts/other_views.py --count 50 [--boxed FOLDER --boxes-fold 0 --weights FILE]

Generated are spines from the side, body parts, images of other things and, for comparison, spines from the front, whole
and cut. ``--boxed`` adds parts of radiographs beside, above and below the boxed spine, and the whole radiographs, of a
fold; weights that were trained on it are refused.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from _held_out_arguments import add_assume_unseen
from lib.image_io import Radiograph, UnreadableImageError, read_radiograph
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.data.boxed_images import BoxRecord, read_boxes
from lib.learning.models.devices import choose_device
from lib.learning.prediction.predictor import LandmarkPredictor, NoSpineError
from lib.learning.weights.provenance import BOXED, file_trained_on
from lib.learning.weights.weight_files import load_weights
from lib.phantoms import OTHER_VIEWS, SPINELESS, other_view, random_spec, random_spineless, render_phantom
from lib.spine.measurement.image_warnings import NAMES, NOT_FRONTAL, SECOND_SPINE

_FIRST_SEED = 5000  # far from those of training items
_CUT_VERTEBRAE = 6
_PART_HEIGHT = 640  # pixels of an enlarged part of a radiograph


@dataclass
class Row:
    """Counts of one kind of image."""

    images: int = 0
    refused: int = 0
    lateral: int = 0
    names: int = 0
    second: int = 0
    silent: int = 0

    def count(self, codes: set[str] | None) -> None:
        """Count one image by the codes of its warnings, ``None`` where it was refused."""
        self.images += 1
        self.refused += codes is None
        for name, code in (("lateral", NOT_FRONTAL), ("names", NAMES), ("second", SECOND_SPINE)):
            setattr(self, name, getattr(self, name) + (codes is not None and code in codes))
        self.silent += codes is not None and not codes


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="generated images of each kind, and radiographs")
    parser.add_argument("--boxed", type=Path, help="folder with boxes.csv and images")
    parser.add_argument("--boxes-fold", type=int, default=0, help="fold of these that the weights do not know")
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE)
    add_assume_unseen(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser.parse_args(arguments)


def sources(count: int, boxed: Path | None, boxes_fold: int) -> Iterator[tuple[str, Iterator[np.ndarray]]]:
    """Kinds of images, and the pixels of each.

    Args:
        count: images of each kind, and radiographs.
        boxed: folder as for ``boxed_images.read_boxes``; names of whole ones begin with "film".
        boxes_fold: of these.

    Raises:
        ValueError: the boxes cannot be read.
        OSError: a file is missing.
    """
    seeds = range(_FIRST_SEED, _FIRST_SEED + count)
    yield "spine from the front (phantom)", (render_phantom(random_spec(seed)).pixels for seed in seeds)
    yield f"the same, 1 to {_CUT_VERTEBRAE} bodies cut off", (cut_phantom(seed) for seed in seeds)
    for kind in OTHER_VIEWS:
        yield f"{kind} (phantom)", (other_view(kind, seed) for seed in seeds)
    yield f"any of {len(SPINELESS)} other things", (random_spineless(seed) for seed in seeds)
    if boxed is not None:
        whole = [record for record in read_boxes(boxed) if record.path.name.startswith("film")]
        records = [record for record in whole if record.fold == boxes_fold]
        records = records[:: max(1, len(records) // count)]
        yield "spine from the front (radiograph)", (read_radiograph(record.path).pixels for record in records)
        yield (
            "part of a radiograph without its spine",
            (part for record in records for part in parts_without_spine(record)),
        )


def cut_phantom(seed: int) -> np.ndarray:
    """A phantom that lacks one to six bodies at the top or the bottom."""
    phantom = render_phantom(random_spec(seed))
    y, number = phantom.spine.xy[..., 1], seed % _CUT_VERTEBRAE
    return phantom.pixels[round(y[number].max()) :] if seed % 2 else phantom.pixels[: round(y[16 - number].min())]


def parts_without_spine(record: BoxRecord) -> Iterator[np.ndarray]:
    """Enlarged parts of a radiograph beside, above and below its boxes; too narrow parts are left out."""
    pixels = read_radiograph(record.path).pixels
    left, top = np.floor(record.boxes[:, :2].min(0)).astype(int)
    right, bottom = np.ceil(record.boxes[:, 2:].max(0)).astype(int)
    height = bottom - top
    beside = (pixels[:, : max(0, left - height // 40)], pixels[:, right + height // 40 :])
    for part in (*beside, pixels[: max(0, top - height // 20)], pixels[bottom + height // 40 :]):
        if min(part.shape) >= height // 8:
            scale = _PART_HEIGHT / max(part.shape)
            size = round(part.shape[1] * scale), round(part.shape[0] * scale)
            yield np.asarray(Image.fromarray(part).resize(size))


def codes_of(predictor: LandmarkPredictor, pixels: np.ndarray) -> set[str] | None:
    """Codes of the warnings about an image, ``None`` where it is refused."""
    try:
        return {warning.code for warning in predictor.predict(Radiograph(pixels)).warnings}
    except (NoSpineError, UnreadableImageError):
        return None


HEADER = """\
| image | n | refused | doubts: not from the front | names | second spine | points without a warning |
|---|---|---|---|---|---|---|"""


def line(kind: str, row: Row) -> str:
    """A row in Markdown, shares in percent."""
    counts = (row.refused, row.lateral, row.names, row.second, row.silent)
    shares = " | ".join(f"{100 * count / max(1, row.images):.0f} %" for count in counts)
    return f"| {kind} | {row.images} | {shares} |"


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        if arguments.boxed is not None:
            seen, name = file_trained_on(load_weights(arguments.weights)), arguments.weights.name
            seen.check_unseen(arguments.boxes_fold, name, BOXED, arguments.assume_unseen)
        predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
    except (OSError, ValueError) as error:
        print(f"other_views: {error}", file=sys.stderr)
        return 1
    print(HEADER, flush=True)
    for kind, images in sources(arguments.count, arguments.boxed, arguments.boxes_fold):
        row = Row()
        for pixels in images:
            row.count(codes_of(predictor, pixels))
        print(line(kind, row), flush=True)
    return 0
