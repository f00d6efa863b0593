"""Phantoms, weights and manifests for measurements of archives, and the commands that run on them."""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.archive.toy_network import save_toy_network
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.phantoms import random_spec, render_phantom

SCRIPTS = Path(__file__).resolve().parents[2]
DISTINCT = 24
"""Phantoms; a longer archive lists them again."""
SIZE, BLANK_SIZE = (1000, 460), (160, 80)
PART_SIZE = 25
_FIRST_SEED = 3_000_000


class Bench:
    """A folder with phantoms, weights and manifests, and the commands that run on them.

    Args:
        folder: empty.
        arguments: of the command.
    """

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self.folder, self._runs = folder, 0
        self.weights = save_toy_network(folder / "toy.pt") if arguments.toy else DEFAULT_WEIGHTS_FILE
        (folder / "images").mkdir()
        for number in range(DISTINCT):
            pixels = render_phantom(random_spec(_FIRST_SEED + number, *SIZE)).pixels
            Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        Image.new("L", BLANK_SIZE[::-1]).save(folder / "images" / "blank.png")

    def manifest(self, rows: int, blank_share: float = 0.0) -> Path:
        """A manifest with the phantoms in turn; a share of the rows names a blank image, which is refused at once."""
        path = self.folder / f"{rows}-{blank_share}.csv"
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(("image", "study"))
            real = 0
            for number in range(rows):
                is_blank = number * (1 - blank_share) < real
                writer.writerow((f"images/{'blank' if is_blank else real % DISTINCT}.png", f"study-{number:07d}"))
                real += not is_blank
        return path

    def command(self, source: Path | str, output: Path | str, *options: str) -> list[str]:
        """The command line of a run."""
        fixed = ["--weights", str(self.weights), "--device", "cpu", "--part-size", str(PART_SIZE), "--allow-refused"]
        script = str(SCRIPTS / "predict_archive.py")
        return [sys.executable, script, str(source), "--output", str(output), *fixed, *options]

    def timed(self, source: Path, *options: str, pin: bool = False) -> dict[str, float]:
        """Wall and processor seconds of a whole run; images per second by the slope over the times of its parts."""
        self._runs += 1
        output = self.folder / f"out-{self._runs}"
        before, begin = children_cpu_s(), time.perf_counter()
        subprocess.run(
            self.command(source, output, *options),
            check=True,
            capture_output=True,
            preexec_fn=(lambda: os.sched_setaffinity(0, {0})) if pin else None,
        )
        wall, spent = time.perf_counter() - begin, children_cpu_s() - before
        times = np.array(sorted(path.stat().st_mtime for path in (output / "parts").iterdir()))
        per_s = np.polyfit(times - times[0], PART_SIZE * np.arange(len(times)), 1)[0]
        return {"wall_s": wall, "cpu_s": spent, "images_per_s": float(per_s)}


def children_cpu_s() -> float:
    """Processor seconds of the child processes that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def median(values: Iterator[float] | Sequence[float]) -> float:
    """The median of some numbers."""
    return float(np.median(list(values)))
