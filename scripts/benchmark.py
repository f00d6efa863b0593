"""Time whole requests, file to landmarks, markups and measurement: stage by stage, images per second, peak memory."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import _app_path  # noqa: F401  # before torch is loaded

# isort: split
import numpy as np
import psutil
import torch
from PIL import Image

from _path_arguments import existing_file
from lib.image_io import read_radiograph
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.decoders import DECODERS, DEFAULT_DECODER
from lib.learning.models.devices import choose_device, quick_precision
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.phantoms import random_spec, render_phantom
from lib.spine.labels.markups import SUFFIX, write_markups
from lib.spine.measurement.report import anatomy_report, cobb_report

READ, MEASURE, TOTAL = "read", "measure", "total"
FORWARDS = ("forward", "refine")
"""Stages of a prediction that run a network; a stage that is not reported took no time."""
FIRST_SEED = 7
"""Seed of the first generated image."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=existing_file, help="file to time; without it, a generated image is used")
    parser.add_argument("--size", type=int, nargs=2, default=(2000, 6000), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=8, help="images of the batch for images per second")
    parser.add_argument("--decoder", choices=DECODERS, default=DEFAULT_DECODER)
    parser.add_argument("--threads", type=int, help="cores that the network may use")
    parser.add_argument("--weights", type=existing_file, default=DEFAULT_WEIGHTS_FILE)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parsed = parser.parse_args(arguments)
    if parsed.repeats < 1:
        parser.error("--repeats must be at least 1")
    if parsed.images < 1:
        parser.error("--images must be at least 1")
    if min(parsed.size) < 300:
        parser.error("--size must be at least 300 pixels each way")
    return parsed


def write_image(path: Path, width: int, height: int, seed: int = FIRST_SEED) -> None:
    """A generated image with 16 bits per pixel, enlarged from a phantom of 1200 rows to save time."""
    small = render_phantom(random_spec(seed, 1200, max(220, round(1200 * width / height)))).pixels
    large = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC), dtype=np.uint16)
    grain = np.random.default_rng(seed).integers(0, 257, large.shape, dtype=np.uint16)
    Image.fromarray(np.minimum(large, 254) * np.uint16(257) + grain).save(path)


class PeakMemory:
    """Largest resident size of this process while it is used as a context, in bytes."""

    def __init__(self) -> None:
        self.peak = 0
        self._is_done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._is_done.wait(0.005):
            self.peak = max(self.peak, process.memory_info().rss)

    def __enter__(self) -> PeakMemory:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_done.set()
        self._watcher.join()


def one_request(path: Path, predictor: LandmarkPredictor, decoder: str, folder: Path) -> dict[str, float]:
    """Seconds of every stage of one request, including the stages that the prediction reports."""
    begin = time.perf_counter()
    radiograph = read_radiograph(path)
    read = time.perf_counter()
    prediction = predictor.locate(radiograph, decoder)
    predicted = time.perf_counter()
    write_markups(folder / f"result{SUFFIX}", prediction.spine, radiograph.geometry)
    cobb_report(prediction.spine, radiograph.frame)
    anatomy_report(prediction.spine, radiograph.frame)
    end = time.perf_counter()
    return {READ: read - begin, **prediction.seconds, MEASURE: end - predicted, TOTAL: end - begin}


def stage_figures(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Median seconds of every stage, and ``other_s``: of everything but reading the file and the networks.

    Args:
        runs: seconds by stage of each request; a missing stage took no time.
    """
    stages = dict.fromkeys(name for run in runs for name in run)
    medians = {f"{name}_s": statistics.median(run.get(name, 0.0) for run in runs) for name in stages}
    others = (run[TOTAL] - sum(run.get(name, 0.0) for name in (READ, *FORWARDS)) for run in runs)
    return {**medians, "other_s": statistics.median(others)}


def bare_forward(predictor: LandmarkPredictor, repeats: int) -> float:
    """Median seconds of the network alone on one input."""
    size = predictor.config.input
    image = torch.zeros(1, 1, size.height, size.width, device=predictor.device)
    image = image.to(memory_format=torch.channels_last)
    seconds = []
    with torch.inference_mode(), quick_precision(predictor.device):
        for _ in range(repeats + 1):
            begin = time.perf_counter()
            predictor.network(image)
            if predictor.device.type == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[1:])


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """All figures, in seconds unless their name states another unit.

    Raises:
        ValueError: the weights or the image cannot be read.
        OSError: a file cannot be opened or written.
    """
    predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
    width, height = arguments.size
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        batch = [folder / f"image{number}.png" for number in range(arguments.images)]
        for number, path in enumerate(batch):
            write_image(path, width, height, FIRST_SEED + number)
        image = batch[0] if arguments.image is None else arguments.image
        one_request(image, predictor, arguments.decoder, folder)  # the first one is slower
        with PeakMemory() as memory:
            runs = [one_request(image, predictor, arguments.decoder, folder) for _ in range(arguments.repeats)]
            begin = time.perf_counter()
            for path in batch:
                one_request(path, predictor, arguments.decoder, folder)
            passed = time.perf_counter() - begin
    return {
        **stage_figures(runs),
        "bare_forward_s": bare_forward(predictor, arguments.repeats),
        "images_per_s": len(batch) / passed,
        "peak_memory_gb": memory.peak / 1e9,
        "threads": torch.get_num_threads(),
    }


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        figures = measure(arguments)
    except (OSError, ValueError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    for name, value in figures.items():
        print(f"{name:16}{value:>10.3f}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
