"""Draw phantom radiographs: ``python scripts/make_phantoms.py --output DIR [--count 12] [--seed 0] [--labels]``.

Writes ``phantom_000.png``, ``phantom_001.png``, ... and with ``--labels`` their exact landmarks where MONAI Label
expects final labels: ``labels/final/phantom_000.mrk.json``. The same numbers give the same files.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import _app_path  # noqa: F401
from lib.phantoms import random_spec, render_phantom
from lib.spine.atomic_write import atomic_write
from lib.spine.labels.markups import SUFFIX, write_markups

LABELS = Path("labels") / "final"


def main() -> int:
    """Write the files; returns the exit status."""
    arguments = parse_arguments(sys.argv[1:])
    names = [f"phantom_{index:03d}" for index in range(arguments.count)]
    files = [path for name in names for path in files_of(name, arguments)]
    existing = next((path for path in files if path.exists()), None)
    if existing and not arguments.force:
        print(f"{existing} exists; choose another --output, or overwrite with --force.", file=sys.stderr)
        return 1
    height, width = arguments.size
    try:
        for folder in {path.parent for path in files}:
            folder.mkdir(parents=True, exist_ok=True)
        for index, name in enumerate(names):
            phantom = render_phantom(random_spec(phantom_seed(arguments.seed, index), height, width))
            for path in files_of(name, arguments):
                if path.suffix == ".png":
                    with atomic_write(path) as temporary:
                        Image.fromarray(phantom.pixels).save(temporary, format="PNG")
                else:
                    write_markups(path, phantom.spine)
    except OSError as error:
        print(f"The phantoms cannot be written: {error}.", file=sys.stderr)
        return 1
    print(f"{arguments.count} phantoms in {arguments.output}")
    return 0


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """The command line, checked.

    Raises:
        SystemExit: it is wrong (status 2).
    """
    parser = argparse.ArgumentParser(description="Draw phantom radiographs.")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to; made if missing")
    parser.add_argument("--count", type=count, default=12, help="number of radiographs (default: 12)")
    parser.add_argument("--seed", type=int, default=0, help="other seeds give other radiographs (default: 0)")
    parser.add_argument("--size", type=size, default=(2000, 1000), help="HEIGHTxWIDTH in pixels (default: 2000x1000)")
    parser.add_argument("--labels", action="store_true", help="also write the landmarks")
    parser.add_argument("--force", action="store_true", help="overwrite existing files")
    return parser.parse_args(arguments)


def count(text: str) -> int:
    """A number of radiographs.

    Raises:
        argparse.ArgumentTypeError: it is not a positive whole number.
    """
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a positive whole number")
    return int(text)


def size(text: str) -> tuple[int, int]:
    """``HEIGHTxWIDTH`` as two numbers.

    Raises:
        argparse.ArgumentTypeError: it is not of that form, or a side is outside 64...8192.
    """
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() and 64 <= int(side) <= 8192 for side in sides):
        raise argparse.ArgumentTypeError(f"{text} is not HEIGHTxWIDTH with sides of 64 to 8192 pixels, like 2000x1000")
    return int(sides[0]), int(sides[1])


def files_of(name: str, arguments: argparse.Namespace) -> list[Path]:
    """The files of one phantom."""
    image = arguments.output / f"{name}.png"
    return [image, arguments.output / LABELS / f"{name}{SUFFIX}"] if arguments.labels else [image]


def phantom_seed(seed: int, index: int) -> int:
    """The seed of one phantom; sequences of different ``seed`` share none."""
    return int(np.random.SeedSequence((abs(seed), int(seed < 0), index)).generate_state(1)[0])


if __name__ == "__main__":
    raise SystemExit(main())
