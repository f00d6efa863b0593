"""Compare predicted landmarks with labelled ones: on the AASCE layout (a split, or one fold of it), or on phantoms."""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

import _app_path  # noqa: F401
from lib.learning.aasce import FOLDS, SPLITS, Record, folds, read_aasce
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.decoders import DECODERS
from lib.learning.devices import choose_device
from lib.learning.padding import padded
from lib.learning.prediction import LandmarkPredictor
from lib.learning.reading import Radiograph, read_radiograph
from lib.spine.anatomy import spans_of
from lib.spine.evaluation import Figures, anatomy_figures, evaluate
from lib.spine.geometry import with_centers
from lib.spine.phantoms import random_spec, render_phantom

PHANTOM_SEED = 1_000_000
LABELS = "labels"


@dataclass(frozen=True)
class Case:
    """One image and what is known about it.

    Attributes:
        path: the file; for a phantom its number.
        points: ``(V, P, 2)`` labelled pixels.
        angles: ``(3,)`` official angles; ``None`` where there are none.
        sets: names of the sets that it belongs to.
    """

    path: Path | int
    points: np.ndarray
    angles: np.ndarray | None
    sets: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the image is called, wherever the data set lies."""
        return self.path.name if isinstance(self.path, Path) else str(self.path)

    def read(self) -> Radiograph:
        """The image."""
        if isinstance(self.path, Path):
            return read_radiograph(self.path)
        return Radiograph(phantom(self.path)[0])


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="data set in the AASCE layout")
    source.add_argument("--phantoms", type=int, metavar="COUNT", help="as many phantoms that training never draws")
    parser.add_argument("--split", choices=SPLITS, help="goes with --data")
    parser.add_argument("--fold", type=int, choices=range(FOLDS), help="only this fold of the training split")
    parser.add_argument("--decoder", choices=DECODERS, nargs="+", default=[DECODERS[0]], help="one or several")
    parser.add_argument("--padded", action="store_true", help="put every image into a larger, random field first")
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parsed = parser.parse_args(arguments)
    if (parsed.data is None) != (parsed.split is None):
        parser.error("--data and --split go together")
    if parsed.phantoms is not None and parsed.phantoms < 1:
        parser.error("--phantoms must be at least 1")
    if parsed.fold is not None and parsed.split != "training":
        parser.error("--fold goes with --split training only")
    return parsed


def phantom(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and points of a phantom of 1000 x 460 pixels; training draws seeds from 0 up, these start far above."""
    rendered = render_phantom(random_spec(PHANTOM_SEED + number, 1000, 460))
    return rendered.pixels, rendered.spine.xy


def training_cases(records: Sequence[Record]) -> list[Case]:
    """Films with sane points, and the clean ones among them, whose names can be trusted as well."""
    return [
        Case(r.path, with_centers(r.corners), r.angles, ("sane", "clean") if r.is_clean else ("sane",))
        for r in records
        if r.geometry_ok
    ]


def test_cases(records: Sequence[Record], training: Sequence[Record]) -> list[Case]:
    """All test films with the labels that the literature uses; again the strict ones, with repaired labels.

    Strict films have sane points and trusted names, and no film of the same patient in the training split.
    """
    known = {record.group for record in training}
    cases = []
    for r in records:
        unseen = ("all", "unseen") if not r.duplicate_of_training else ("all",)
        resorted = r.corners if r.resorted is None else r.resorted
        cases.append(Case(r.path, with_centers(resorted), r.angles, unseen))
        if r.is_clean and not r.duplicate_of_training and r.group not in known:
            cases.append(Case(r.path, with_centers(r.corners), r.angles, ("strict",)))
    return cases


def measure(cases: Sequence[Case], predictor: LandmarkPredictor, decoders: Sequence[str], is_padded: bool) -> Results:
    """Figures of every decoder, and of the labels themselves, on every set; each film is predicted once.

    An image that shows no spine to the model counts all the same.

    Raises:
        ValueError: there is no case, or an image cannot be read.
        OSError: an image cannot be opened.
    """
    if not cases:
        raise ValueError("there is no image to compare")
    seen: dict[Path | int, tuple[dict[str, np.ndarray], np.ndarray, tuple[int, int]]] = {}
    for case in tqdm(cases, unit="image", disable=not sys.stderr.isatty()):
        if case.path in seen:
            continue
        radiograph, moved = case.read(), np.zeros(2)
        size = radiograph.width, radiograph.height
        if is_padded:
            radiograph, moved = padded(radiograph, zlib.crc32(case.name.encode()))
        predictions = predictor.compare(radiograph, decoders)
        seen[case.path] = {name: p.spine.xy - moved for name, p in predictions.items()}, moved, size
    results: Results = {}
    for chosen in dict.fromkeys(name for case in cases for name in case.sets):
        part = [case for case in cases if chosen in case.sets]
        labelled = np.stack([case.points for case in part])
        sizes = np.array([seen[case.path][2] for case in part], dtype=float)
        angles = [case.angles for case in part if case.angles is not None]
        official = np.stack(angles) if len(angles) == len(part) else None
        for decoder in decoders:
            predicted = np.stack([seen[case.path][0][decoder] for case in part])
            results.setdefault(decoder, {})[chosen] = evaluate(predicted, labelled, sizes, official)
        centers = labelled[:, :, 0]
        results.setdefault(LABELS, {})[chosen] = {"images": len(part), **anatomy_figures(centers, spans_of(centers))}
    return results


Results = dict[str, dict[str, Figures]]
"""Decoder, or ``LABELS``, to set to figures."""


def show(results: Results) -> None:
    """Print one table, a column per decoder and set."""
    columns = [(decoder, chosen) for decoder, sets in results.items() for chosen in sets]
    names = dict.fromkeys(name for decoder, chosen in columns for name in results[decoder][chosen])
    width = max(map(len, names)) + 2
    for row in (0, 1):
        print(" " * width + "".join(f"{column[row]:>12}" for column in columns))
    for name in names:
        values = (results[decoder][chosen].get(name) for decoder, chosen in columns)
        print(f"{name:{width}}" + "".join(" " * 12 if v is None else f"{v:>12.5g}" for v in values))


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        if arguments.json is not None:
            arguments.json.parent.mkdir(parents=True, exist_ok=True)
        predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
        if arguments.phantoms is not None:
            cases = [Case(n, phantom(n)[1], None, ("phantoms",)) for n in range(arguments.phantoms)]
        else:
            training = read_aasce(arguments.data, "training")
            if arguments.split == "test":
                cases = test_cases(read_aasce(arguments.data, "test"), training)
            else:
                wanted = range(FOLDS) if arguments.fold is None else [arguments.fold]
                chosen = [r for r, fold in zip(training, folds(training), strict=True) if fold in wanted]
                cases = training_cases(chosen)
        results = measure(cases, predictor, arguments.decoder, arguments.padded)
        show(results)
        if arguments.json is not None:
            arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    except (OSError, ValueError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
