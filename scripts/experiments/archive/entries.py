"""What an archive costs by its number of entries alone: plan, resume, finished parts, tables."""

from __future__ import annotations

import csv
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from lib.archive.execution.run import Share, remaining_work
from lib.archive.output import LocalOutput
from lib.archive.plan import Plan, check_source, make_plan, part_file
from lib.archive.results.collection import write_tables
from lib.archive.results.record import CurveRecord, ImageRecord, LandmarkRecord
from lib.archive.results.schema import ResultRow, encode_part
from lib.archive.source.manifest import Manifest
from lib.spine.schema import POINTS, VERTEBRAE

COUNTS = (1_000, 10_000, 100_000)
PART_SIZE = 40
SAMPLE = 25
"""Parts with content, from which the time of each is taken; the files of the others are empty."""
_OPTIONS = {"decoder": "map", "weights": "0" * 12, "version": "0"}

ResultT = TypeVar("ResultT")


def growth(folder: Path) -> dict[str, Any]:
    """Processor seconds, memory and bytes at each of ``COUNTS``.

    Args:
        folder: for what is written.
    """
    figures = {}
    for count in COUNTS:
        figures[str(count)] = _measured(folder / str(count), count)
        print(count, figures[str(count)], file=sys.stderr, flush=True)
    return figures


def _measured(folder: Path, count: int) -> dict[str, float]:
    folder.mkdir()
    manifest = _manifest(folder / "list.csv", count)
    output = LocalOutput(str(folder / "out"))
    figures: dict[str, float] = {"manifest_mb": manifest.stat().st_size / 1e6}
    source = Manifest(str(manifest))
    plan, figures["plan_s"] = _timed(lambda: make_plan(source, "list.csv", output, PART_SIZE, _OPTIONS))
    figures["plan_mb"] = (folder / "out" / plan.entries_file).stat().st_size / 1e6
    _, figures["compare_s"] = _timed(lambda: check_source(plan, source, "out"))
    _, figures["read_plan_s"] = _timed(lambda: sum(len(part.entries) for part in plan.read_parts(output)))
    _, seconds = _timed(lambda: _write_parts(plan, output))
    figures["write_part_ms"] = 1e3 * seconds / SAMPLE
    _touch_parts(plan, folder / "out")
    figures["part_kb"] = (folder / "out" / part_file(0)).stat().st_size / 1e3
    _, figures["resume_of_done_s"] = _timed(lambda: remaining_work(plan, output, Share(0, 1), False))
    if plan.parts == SAMPLE:
        _, seconds = _timed(lambda: write_tables(plan, output, folder / "tables"))
        figures["tables_ms_per_image"] = 1e3 * seconds / count
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {name: round(value, 4) for name, value in figures.items()}


def _write_parts(plan: Plan, output: LocalOutput) -> None:
    for part in plan.read_parts(output, set(range(SAMPLE))):
        rows = [ResultRow(entry, _record(), _OPTIONS["weights"]) for entry in part.entries]
        output.write(part.file, encode_part(rows, plan.columns))


def _touch_parts(plan: Plan, folder: Path) -> None:
    for number in range(SAMPLE, plan.parts):
        (folder / part_file(number)).touch()


def _timed(action: Callable[[], ResultT]) -> tuple[ResultT, float]:
    """The result of an action, and the processor seconds that it took."""
    begin = time.process_time()
    return action(), time.process_time() - begin


def _manifest(path: Path, count: int) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("image", "study"))
        writer.writerows((f"{number // 1000:04d}/{number:07d}.dcm", f"study-{number:07d}") for number in range(count))
    return path


def _record() -> ImageRecord:
    """As full as that of an image."""
    landmarks = (
        LandmarkRecord(vertebra, point, 100.0 + 7.13 * n, 200.0 + 11.7 * n, 0.75, True, 3.25)
        for n, (vertebra, point) in enumerate((vertebra, point) for vertebra in VERTEBRAE for point in POINTS)
    )
    curve = CurveRecord(1, "T5", "T11", "T8", "right", 31.4, 4.2, "thoracic", "image")
    return ImageRecord(
        None, True, 0.9, 0.8, 0.95, "upright as stored (not stated)", (31.4, 20.1, 12.0), (), tuple(landmarks), (curve,)
    )
