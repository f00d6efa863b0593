"""Time one whole request, stage by stage, and its peak memory: file to landmarks, markups and measurement."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import torch
from PIL import Image

import _app_path  # noqa: F401
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.decoders import DECODERS
from lib.learning.devices import choose_device
from lib.learning.prediction import LandmarkPredictor
from lib.learning.reading import read_radiograph
from lib.spine.markups import SUFFIX, write_markups
from lib.spine.phantoms import random_spec, render_phantom
from lib.spine.report import anatomy_report, cobb_report

STAGES = ("read", "prepare", "forward", "decode", "measure", "total")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path, help="file to time; without it, a generated film is used")
    parser.add_argument("--size", type=int, nargs=2, default=(2000, 6000), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--decoder", choices=DECODERS, default=DECODERS[0])
    parser.add_argument("--threads", type=int, help="cores that the network may use")
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parsed = parser.parse_args(arguments)
    if parsed.repeats < 1:
        parser.error("--repeats must be at least 1")
    if min(parsed.size) < 300:
        parser.error("--size must be at least 300 pixels each way")
    return parsed


def write_film(path: Path, width: int, height: int) -> None:
    """A generated film with 16 bits per pixel, enlarged from a phantom of 1200 rows so that making it is quick."""
    small = render_phantom(random_spec(7, 1200, max(220, round(1200 * width / height)))).pixels
    large = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC), dtype=np.uint16)
    grain = np.random.default_rng(0).integers(0, 257, large.shape, dtype=np.uint16)
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
    """Seconds of every stage of one request."""
    begin = time.perf_counter()
    radiograph = read_radiograph(path)
    read = time.perf_counter()
    prediction = predictor.locate(radiograph, decoder)
    predicted = time.perf_counter()
    write_markups(folder / f"result{SUFFIX}", prediction.spine, radiograph.spacing)
    cobb_report(prediction.spine, radiograph.height, radiograph.image_left_is)
    anatomy_report(prediction.spine)
    end = time.perf_counter()
    return {"read": read - begin, **prediction.seconds, "measure": end - predicted, "total": end - begin}


def bare_forward(predictor: LandmarkPredictor, repeats: int) -> float:
    """Median seconds of the network alone on one input."""
    size = predictor.config.input
    image = torch.zeros(1, 1, size.height, size.width, device=predictor.device)
    image = image.to(memory_format=torch.channels_last)
    seconds = []
    with torch.inference_mode():
        for _ in range(repeats + 1):
            begin = time.perf_counter()
            predictor.network(image)
            if predictor.device.type == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[1:])


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        predictor = LandmarkPredictor(arguments.weights, choose_device(arguments.device))
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            image = arguments.image
            if image is None:
                image = folder / "film.png"
                write_film(image, *arguments.size)
            one_request(image, predictor, arguments.decoder, folder)  # the first one is slower
            with PeakMemory() as memory:
                runs = [one_request(image, predictor, arguments.decoder, folder) for _ in range(arguments.repeats)]
        bare = bare_forward(predictor, arguments.repeats)
    except (OSError, ValueError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    figures = {f"{name}_s": statistics.median(run.get(name, 0.0) for run in runs) for name in STAGES}
    figures |= {"bare_forward_s": bare, "peak_memory_gb": memory.peak / 1e9, "threads": torch.get_num_threads()}
    for name, value in figures.items():
        print(f"{name:16}{value:>10.3f}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
