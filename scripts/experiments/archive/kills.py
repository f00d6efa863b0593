"""Workers and drivers killed at random, with results in a folder and on an object store."""

from __future__ import annotations

import argparse
import csv
import logging
import os
import random
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import psutil

from experiments.archive.bench import PART_SIZE, SCRIPTS, Bench
from lib.archive.output import Output, open_output
from lib.archive.plan import read_plan
from lib.archive.results.collection import read_rows

MAX_DIFFERENCE_PX = 0.01
_POLL_S = 0.1


def kills(bench: Bench, arguments: argparse.Namespace) -> dict[str, Any]:
    """Workers and drivers killed at random; afterwards each image once, as ``predict.py`` has it."""
    return _killed_run(bench, arguments, str(bench.manifest(arguments.images)), str(bench.folder / "out"))


def object_store(bench: Bench, arguments: argparse.Namespace) -> dict[str, Any]:
    """The same with images, manifest and results on an S3 server, which runs in a thread of this process."""
    import s3fs
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    login = {"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ.update({**login, "AWS_ENDPOINT_URL": f"http://{host}:{port}"})
    try:
        store, source = s3fs.S3FileSystem(), bench.manifest(arguments.images)
        store.mkdir("archive")
        store.put(str(bench.folder / "images"), "archive/images", recursive=True)
        store.put(str(source), "archive/list.csv")
        return _killed_run(bench, arguments, "s3://archive/list.csv", "s3://archive/results")
    finally:
        server.stop()


def _killed_run(bench: Bench, arguments: argparse.Namespace, source: str, place: str) -> dict[str, Any]:
    """Start a run again and again until it ends; when a share of its parts is done, a process is killed."""
    chance = random.Random(0)
    moments = sorted(
        [("worker", chance.random()) for _ in range(arguments.worker_kills)]
        + [("driver", (number + 1) / (arguments.driver_kills + 1)) for number in range(arguments.driver_kills)],
        key=lambda moment: moment[1],
    )
    parts, output = -(-arguments.images // PART_SIZE), open_output(place)
    starts, killed = 0, {"worker": 0, "driver": 0}
    while True:
        starts += 1
        with (bench.folder / "log").open("ab") as log:
            command = bench.command(source, place, "--cluster", f"local:{arguments.workers}")
            process = subprocess.Popen(command, stdout=log, stderr=log)
        while process.poll() is None:
            time.sleep(_POLL_S)
            is_due = moments and len(output.names("parts")) / parts >= moments[0][1]
            if is_due and _kill(process, moments[0][0], chance):
                killed[moments.pop(0)[0]] += 1
        if process.returncode == 0:
            break
        if process.returncode != -signal.SIGKILL:
            raise RuntimeError((bench.folder / "log").read_text()[-2000:])
    return {
        "images": arguments.images,
        "starts": starts,
        "killed": killed,
        **_wrong_images(bench, output, arguments.images),
    }


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


def _wrong_images(bench: Bench, output: Output, images: int) -> dict[str, Any]:
    """Compare all rows with a run of ``predict.py``."""
    plain = bench.folder / "plain"
    command = [sys.executable, str(SCRIPTS / "predict.py"), str(bench.folder / "images"), "--output", str(plain)]
    subprocess.run([*command, "--weights", str(bench.weights), "--device", "cpu"], capture_output=True, check=False)
    expected: dict[str, list[tuple[float, float]]] = {}
    with (plain / "landmarks.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            expected.setdefault(f"images/{row['image']}", []).append((float(row["x_px"]), float(row["y_px"])))
    plan = read_plan(output)
    assert plan is not None
    seen: list[int] = []
    largest, wrong = 0.0, 0
    for entry, record, _ in read_rows(plan, output):
        seen.append(entry.index)
        points = [(one.x_px, one.y_px) for one in record.landmarks]
        if len(points) != len(expected.get(entry.source, ())):
            wrong += 1
        elif points:
            largest = max(largest, float(np.abs(np.subtract(points, expected[entry.source])).max()))
    wrong += (seen != list(range(images))) + (largest > MAX_DIFFERENCE_PX)
    return {"rows": len(seen), "distinct": len(set(seen)), "largest_difference_px": largest, "wrong": wrong}
