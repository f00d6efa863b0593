"""Measure predictions of archives: processes against one, the engine's own cost, kills, and growth with the entries."""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from experiments.archive.entries import growth
from experiments.archive.toy_network import save_toy_network
from lib.archive.output import open_output
from lib.archive.plan import read_plan
from lib.archive.results.collection import read_rows
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.phantoms import random_spec, render_phantom

SCRIPTS = Path(__file__).resolve().parents[2]
DISTINCT = 24
"""Phantoms; a longer archive lists them again."""
SIZE = (1000, 460)
MAX_DIFFERENCE_PX = 0.01
_PART_SIZE = 25
_FIRST_SEED = 3_000_000


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=tuple(MEASUREMENTS), nargs="+")
    parser.add_argument("--images", type=int, default=2_000, help="of an archive (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=3, help="of timed runs (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes of the cluster (default: %(default)s)")
    parser.add_argument("--worker-kills", type=int, default=10, help="(default: %(default)s)")
    parser.add_argument("--driver-kills", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--rows", type=int, default=100_000, help="of the long manifest (default: %(default)s)")
    parser.add_argument(
        "--toy", action="store_true", help="an untrained network with a tiny input, not the shipped one"
    )
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    return parser.parse_args(arguments)


def main() -> int:
    """Run the command; the exit status is 1 where an image is lost, doubled or wrong."""
    arguments = parse_arguments()
    figures: dict[str, Any] = {}
    for name in arguments.what:
        with tempfile.TemporaryDirectory(prefix="archive-") as folder:
            bench = Bench(Path(folder), arguments)
            figures[name] = {"load": os.getloadavg()[0], **MEASUREMENTS[name](bench, arguments)}
        print(json.dumps({name: figures[name]}, indent=1), flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return int(any(figure.get("wrong", 0) for figure in figures.values()))


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
        Image.new("L", SIZE[::-1]).save(folder / "images" / "blank.png")

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

    def command(self, source: Path, output: Path, *options: str) -> list[str]:
        """The command line of a run."""
        fixed = ["--weights", str(self.weights), "--device", "cpu", "--part-size", str(_PART_SIZE), "--allow-refused"]
        script = str(SCRIPTS / "predict_archive.py")
        return [sys.executable, script, str(source), "--output", str(output), *fixed, *options]

    def timed(self, source: Path, *options: str, pin: bool = False) -> dict[str, float]:
        """Wall and processor seconds of a whole run; of the time between its first and last part, images per second."""
        self._runs += 1
        output = self.folder / f"out-{self._runs}"
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            self.command(source, output, *options),
            check=True,
            capture_output=True,
            preexec_fn=(lambda: os.sched_setaffinity(0, {0})) if pin else None,
        )
        wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0
        times = sorted(path.stat().st_mtime for path in (output / "parts").iterdir())
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        steady = (len(times) - 1) * _PART_SIZE / max(times[-1] - times[0], 1e-9)
        return {"wall_s": wall, "cpu_s": spent, "images_per_s": steady}


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
        "efficiency_wall": _median(pair["one"]["wall_s"] / pair["cluster"]["wall_s"] / count for pair in pairs),
        "efficiency_steady": _median(
            pair["cluster"]["images_per_s"] / pair["one"]["images_per_s"] / count for pair in pairs
        ),
        "efficiency_cpu": _median(pair["one"]["cpu_s"] / pair["cluster"]["cpu_s"] for pair in pairs),
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
    few, many = 2 * _PART_SIZE, arguments.images

    def bare(count: int) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", _BARE, str(bench.weights), str(bench.folder / "images"), str(count)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPTS)}
        subprocess.run(command, check=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def cluster(count: int) -> float:
        return bench.timed(bench.manifest(count), "--cluster", "local:1")["cpu_s"]

    def serial(count: int) -> float:
        return bench.timed(bench.manifest(count))["cpu_s"]

    def per_image(measure: Callable[[int], float]) -> float:
        return (measure(many) - measure(few)) / (many - few)

    rounds = [{f.__name__: per_image(f) for f in (bare, serial, cluster)} for _ in range(arguments.pairs)]
    return {
        "images": many,
        "bare_s_per_image": _median(one["bare"] for one in rounds),
        "serial_overhead": _median(one["serial"] / one["bare"] - 1 for one in rounds),
        "cluster_overhead": _median(one["cluster"] / one["bare"] - 1 for one in rounds),
        "rounds": rounds,
    }


def kills(bench: Bench, arguments: argparse.Namespace) -> dict[str, Any]:
    """Workers and drivers killed at random; afterwards each image once, as ``predict.py`` has it."""
    chance = random.Random(0)
    source, output = bench.manifest(arguments.images), bench.folder / "out"
    moments = sorted(
        [("worker", chance.random()) for _ in range(arguments.worker_kills)]
        + [("driver", (number + 1) / (arguments.driver_kills + 1)) for number in range(arguments.driver_kills)],
        key=lambda moment: moment[1],
    )
    parts = -(-arguments.images // _PART_SIZE)
    starts, killed = 0, {"worker": 0, "driver": 0}
    while True:
        starts += 1
        with (bench.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                bench.command(source, output, "--cluster", f"local:{arguments.workers}"), stdout=log, stderr=log
            )
        while process.poll() is None:
            time.sleep(0.05)
            done = len(list((output / "parts").glob("part-*"))) / parts
            if moments and done >= moments[0][1] and _kill(process, moments[0][0], chance):
                killed[moments.pop(0)[0]] += 1
        if process.returncode == 0:
            break
        if process.returncode != -signal.SIGKILL:
            raise RuntimeError((bench.folder / "log").read_text()[-2000:])
    wrong = _wrong_images(bench, output, arguments.images)
    return {"images": arguments.images, "starts": starts, "killed": killed, **wrong}


def _kill(driver: subprocess.Popen[bytes], what: str, chance: random.Random) -> bool:
    """Kill the driver or one of its workers, if there is one."""
    if what == "driver":
        driver.kill()
        driver.wait()
        return True
    try:
        family = psutil.Process(driver.pid).children(recursive=True)
        workers = [one for one in family if "spawn_main" in " ".join(one.cmdline())]
        chance.choice(workers).kill()
    except (psutil.Error, IndexError):
        return False
    return True


def _wrong_images(bench: Bench, output: Path, images: int) -> dict[str, Any]:
    """Compare all rows with a run of ``predict.py``."""
    plain = bench.folder / "plain"
    command = [sys.executable, str(SCRIPTS / "predict.py"), str(bench.folder / "images"), "--output", str(plain)]
    subprocess.run([*command, "--weights", str(bench.weights), "--device", "cpu"], capture_output=True, check=False)
    expected: dict[str, list[tuple[float, float]]] = {}
    with (plain / "landmarks.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            expected.setdefault(f"images/{row['image']}", []).append((float(row["x_px"]), float(row["y_px"])))
    opened = open_output(str(output))
    plan = read_plan(opened)
    assert plan is not None
    seen: list[int] = []
    largest, wrong = 0.0, 0
    for entry, record, _ in read_rows(plan, opened):
        seen.append(entry.index)
        points = [(one.x_px, one.y_px) for one in record.landmarks]
        if len(points) != len(expected.get(entry.source, ())):
            wrong += 1
        elif points:
            largest = max(largest, float(np.abs(np.subtract(points, expected[entry.source])).max()))
    wrong += (seen != list(range(images))) + (largest > MAX_DIFFERENCE_PX)
    return {"rows": len(seen), "distinct": len(set(seen)), "largest_difference_px": largest, "wrong": wrong}


def manifest(bench: Bench, arguments: argparse.Namespace) -> dict[str, Any]:
    """A long manifest, nearly all of whose rows are refused at once: the driver's memory, submission and resume."""
    source, output = bench.manifest(arguments.rows, 0.98), bench.folder / "out"
    begin = time.perf_counter()
    command = bench.command(source, output, "--cluster", f"local:{arguments.workers}")
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    planned = started = 0.0
    memory: list[int] = []
    for _ in _until_ended(process):
        now = time.perf_counter() - begin
        planned = planned or (now if (output / "plan.json").exists() else 0.0)
        started = started or (now if (output / "attempts").exists() else 0.0)
        if started:
            memory.append(process.memory_info().rss)
    wall = time.perf_counter() - begin
    first, last = (np.mean(some) / 2**20 for some in (memory[: len(memory) // 5], memory[-len(memory) // 5 :]))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    resumed, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "rows": arguments.rows,
        "run_wall_s": wall,
        "planned_after_s": planned,
        "first_part_begun_after_s": started,
        "driver_mb_first_fifth": first,
        "driver_mb_last_fifth": last,
        "driver_mb_peak": max(memory) / 2**20,
        "resume_of_done_wall_s": resumed,
        "resume_of_done_cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }


def _until_ended(process: psutil.Popen) -> Iterator[None]:
    while process.poll() is None:
        try:
            yield
        except psutil.NoSuchProcess:
            return
        time.sleep(0.1)


def entries(bench: Bench, _: argparse.Namespace) -> dict[str, Any]:
    """What grows with the number of entries, without any prediction."""
    return growth(bench.folder)


def _median(values: Iterator[float] | Sequence[float]) -> float:
    return float(np.median(list(values)))


MEASUREMENTS: dict[str, Callable[[Bench, argparse.Namespace], dict[str, Any]]] = {
    function.__name__: function for function in (efficiency, engine, kills, manifest, entries)
}
