"""A local cluster against one process, and the engine's own cost."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from experiments.archive.bench import PART_SIZE, SCRIPTS, Bench, children_cpu_s, median


def efficiency(bench: Bench, arguments: argparse.Namespace) -> dict[str, Any]:
    """A local cluster against one process on one core, in pairs."""
    source = bench.manifest(arguments.images)
    pairs = []
    for _ in range(arguments.pairs):
        one = bench.timed(source, pin=True)
        many = bench.timed(source, "--cluster", f"local:{arguments.workers}")
        pairs.append({"one": one, "cluster": many})
    count = arguments.workers
    return {
        "images": arguments.images,
        "efficiency_wall": median(pair["one"]["wall_s"] / pair["cluster"]["wall_s"] / count for pair in pairs),
        "efficiency_steady": median(
            pair["cluster"]["images_per_s"] / pair["one"]["images_per_s"] / count for pair in pairs
        ),
        "efficiency_cpu": median(pair["one"]["cpu_s"] / pair["cluster"]["cpu_s"] for pair in pairs),
        "pairs": pairs,
    }


_BARE = """
import sys, time
from pathlib import Path
import _app_path
import torch
from lib.image_io import read_radiograph
from lib.learning.prediction.predictor import LandmarkPredictor
torch.set_num_threads(1)
weights, images, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
model = LandmarkPredictor(weights, torch.device("cpu"))
for number in range(count):
    model.predict(read_radiograph(images / f"{number % 24}.png"))
"""


def engine(bench: Bench, arguments: argparse.Namespace) -> dict[str, Any]:
    """Processor time per image of a cluster of one worker against a plain loop: slopes, so that starting cancels."""
    few, many = 2 * PART_SIZE, arguments.images

    def bare(count: int) -> float:
        before = children_cpu_s()
        command = [sys.executable, "-c", _BARE, str(bench.weights), str(bench.folder / "images"), str(count)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPTS)}
        subprocess.run(command, check=True, env=environment)
        return children_cpu_s() - before

    def cluster(count: int) -> float:
        return bench.timed(bench.manifest(count), "--cluster", "local:1")["cpu_s"]

    def serial(count: int) -> float:
        return bench.timed(bench.manifest(count))["cpu_s"]

    def per_image(measure: Callable[[int], float]) -> float:
        return (measure(many) - measure(few)) / (many - few)

    rounds = [{f.__name__: per_image(f) for f in (bare, serial, cluster)} for _ in range(arguments.pairs)]
    return {
        "images": many,
        "bare_s_per_image": median(one["bare"] for one in rounds),
        "serial_overhead": median(one["serial"] / one["bare"] - 1 for one in rounds),
        "cluster_overhead": median(one["cluster"] / one["bare"] - 1 for one in rounds),
        "rounds": rounds,
    }
