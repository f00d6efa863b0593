"""A manifest of very many rows: memory of the scheduler, how soon the first part begins, resume of a finished run."""

from __future__ import annotations

import argparse
import subprocess
import time
from typing import Any

import numpy as np
import psutil

from experiments.archive.bench import Bench, children_cpu_s
from lib.archive.output import open_output
from lib.archive.plan import read_plan
from lib.archive.results.collection import read_rows

_BLANK_SHARE = 0.998
_POLL_S = 0.1


def manifest(bench: Bench, arguments: argparse.Namespace) -> dict[str, Any]:
    """A run on a local cluster, whose driver holds the scheduler, over rows of which nearly all are refused at once.

    A blank image is read, looked at and refused: that stands in for predictions, which would take a day.
    """
    source, output = bench.manifest(arguments.rows, _BLANK_SHARE), bench.folder / "out"
    command = bench.command(source, output, "--cluster", f"local:{arguments.workers}")
    begin = time.perf_counter()
    with (bench.folder / "log").open("wb") as log, psutil.Popen(command, stdout=log, stderr=log) as process:
        planned = started = spent = 0.0
        memory: list[int] = []
        while process.poll() is None:
            now = time.perf_counter() - begin
            planned = planned or (now if (output / "plan.json").exists() else 0.0)
            if started or (output / "attempts").exists():
                started, spent = started or now, spent or sum(process.cpu_times()[:2])
                memory.append(_resident(process))
            time.sleep(_POLL_S)
    wall = time.perf_counter() - begin
    if process.returncode:
        raise RuntimeError((bench.folder / "log").read_text()[-2000:])
    before, begin = children_cpu_s(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    resumed = time.perf_counter() - begin
    fifths = [float(np.mean(some)) / 2**20 for some in np.array_split([size for size in memory if size], 5)]
    return {
        "rows": arguments.rows,
        "run_wall_s": wall,
        "planned_after_s": planned,
        "first_part_begun_after_s": started,
        "driver_cpu_until_first_part_s": spent,
        "driver_mb_by_fifth": fifths,
        "driver_mb_peak": max(memory) / 2**20,
        "resume_of_done_wall_s": resumed,
        "resume_of_done_cpu_s": children_cpu_s() - before,
        "wrong": _wrong_rows(bench, arguments.rows),
    }


def _wrong_rows(bench: Bench, rows: int) -> int:
    """Whether the results have other entries than each row of the manifest once, in their order."""
    output = open_output(str(bench.folder / "out"))
    plan = read_plan(output)
    assert plan is not None
    return int([entry.index for entry, _, _ in read_rows(plan, output)] != list(range(rows)))


def _resident(process: psutil.Popen) -> int:
    """Bytes of memory of a process; 0 where it has just ended."""
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
