"""Tables, summary and plots of a run of ``predict_archive.py``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from experiments.plot_style import COLORS, check_library, new_figure, save
from lib.archive.output import open_output
from lib.archive.plan import PLAN_FILE, read_plan
from lib.archive.results.collection import Summary, missing_parts, write_tables
from lib.archive.source.entries import is_url
from lib.spine.atomic_write import atomic_write

SUMMARY, PLOTS = "summary.json", "summary.png"
MAX_REASONS = 8
"""Reasons for refusals that the plot shows."""


def collect(place: str, folder: Path) -> int:
    """Write everything; returns the exit status.

    Args:
        place: output of the run, path or URL.
        folder: for the results.

    Raises:
        ValueError: there is no run, a part is damaged, or matplotlib is missing.
        OSError: something cannot be read or written.
    """
    if not is_url(place) and not (Path(place) / PLAN_FILE).is_file():
        raise ValueError(f"{place} has no {PLAN_FILE}: name a folder that predict_archive.py has written to")
    check_library()
    output = open_output(place)
    plan = read_plan(output)
    if plan is None:
        raise ValueError(f"{place} has no {PLAN_FILE}: name a folder that predict_archive.py has written to")
    summary = write_tables(plan, output, folder)
    with atomic_write(folder / SUMMARY) as temporary:
        temporary.write_text(json.dumps({**summary.as_dict(), "options": plan.options}, indent=1) + "\n", "utf-8")
    plot(summary, folder / PLOTS)
    missing = missing_parts(plan, output)
    print(f"{summary.done:,} of {plan.entries:,} images are in the tables in {folder}")
    if missing:
        print(f"collect: {len(missing):,} parts are missing, the first is {missing[0]}", file=sys.stderr)
    return 1 if missing else 0


def plot(summary: Summary, path: Path) -> None:
    """Draw the largest angles, how sure they and the names are, and the reasons for refusals.

    Raises:
        OSError: the file cannot be written.
    """
    figure = new_figure(10, 6)
    (angles, widths), (names, reasons) = figure.subplots(2, 2)
    for axes, values, bins, label in (
        (angles, summary.largest_deg, np.arange(0, 125, 5), "largest Cobb angle in degrees"),
        (widths, summary.half_width_deg, np.arange(0, 21, 1), "half width of its 90 % interval in degrees"),
        (names, summary.names_right, np.linspace(0, 1, 21), "chance that the names are right"),
    ):
        known = np.array([value for value in values if np.isfinite(value)])
        axes.hist(np.clip(known, bins[0], bins[-1]), bins, color=COLORS[0])
        axes.set_xlabel(label)
        axes.set_ylabel("images")
    most = summary.reasons.most_common(MAX_REASONS)[::-1]
    reasons.barh([_shortened(reason) for reason, _ in most], [count for _, count in most], color=COLORS[1])
    reasons.set_xlabel(f"images refused, of {summary.done:,}")
    save(figure, path)


def _shortened(reason: str, length: int = 40) -> str:
    return reason if len(reason) <= length else f"{reason[: length - 1]}…"
