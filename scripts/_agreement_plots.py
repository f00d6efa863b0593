"""Plots of agreement: differences over means, corner distances by level, and the model against the readers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import _app_path  # noqa: F401
from experiments.plot_style import COLORS, MARKERS, new_figure, save
from lib.agreement.model_spread import ANGLE, INSIDE, OUTSIDE, UNDECIDED, Spread
from lib.agreement.paired_readings import mean_present
from lib.agreement.study_agreement import LARGEST, Agreement, Comparison
from lib.spine.schema import VERTEBRAE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_PANELS = 12
VERDICTS = {
    INSIDE: "inside the readers' spread",
    OUTSIDE: "outside the readers' spread",
    UNDECIDED: "neither inside nor outside is shown",
}
_COLUMNS = 3
_PANEL_INCHES = (4.2, 3.4)


def draw_plots(found: Agreement, folder: Path) -> None:
    """Write ``bland_altman.png``, ``corners.png`` and, where there is a model, ``model.png``.

    Args:
        found: what was calculated.
        folder: of the plots; one that cannot be drawn for want of images is removed.

    Raises:
        OSError: they cannot be written.
    """
    draw_differences(found, folder / "bland_altman.png")
    draw_corners(found, folder / "corners.png")
    draw_model(found, folder / "model.png")


def draw_differences(found: Agreement, path: Path) -> None:
    """A panel per comparison: difference of the largest angles over their mean, with bias and limits of agreement."""
    shown = [one for one in found.comparisons if one.figures(LARGEST) is not None][:MAX_PANELS]
    path.unlink(missing_ok=True)
    if not shown:
        return
    columns = min(_COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = new_figure(_PANEL_INCHES[0] * columns, _PANEL_INCHES[1] * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, comparison in zip(panels, shown, strict=False):
        _differences(axes, comparison)
    for axes in panels[len(shown) :]:
        axes.remove()
    for axes in panels[max(0, len(shown) - columns) : len(shown)]:
        axes.xaxis.set_tick_params(labelbottom=True)
    figure.supxlabel("mean of the largest Cobb angle (°)", fontsize=10)
    figure.supylabel("difference (°)", fontsize=10)
    save(figure, path, max_bytes=None)


def _differences(axes: Axes, comparison: Comparison) -> None:
    figures = comparison.figures(LARGEST)
    if figures is None:
        return
    first, second = comparison.angles(LARGEST).T
    limits = figures[0]
    for name, at, style in (("bias", limits.bias, "-"), ("lower", limits.lower, "--"), ("upper", limits.upper, "--")):
        color = COLORS[0] if name == "bias" else COLORS[1]
        axes.axhspan(at.low, at.high, color=color, alpha=0.12, linewidth=0)
        axes.axhline(at.value, color=color, linestyle=style, linewidth=1.2)
        axes.annotate(
            f"{round(at.value, 1) + 0.0:.1f}".replace("-", "\N{MINUS SIGN}"),  # nor -0.0
            (1, at.value),
            xycoords=("axes fraction", "data"),
            xytext=(-3, 2),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=color,
        )
    axes.plot((first + second) / 2, first - second, "o", color=COLORS[-1], markersize=3.5, alpha=0.6)
    axes.set_title(f"{comparison.title} ({comparison.kind}, n = {limits.count})", fontsize=9)
    axes.grid(alpha=0.25)


def draw_corners(found: Agreement, path: Path) -> None:
    """Mean distance of corners of the same bodies by level, a line per comparison."""
    path.unlink(missing_ok=True)
    shown = found.comparisons[: len(COLORS)]
    figure = new_figure(8.0, 4.2)
    axes = figure.subplots()
    levels = np.arange(len(VERTEBRAE))
    for number, comparison in enumerate(shown):
        means = mean_present(np.array([pair.bodies_px for pair in comparison.pairs]), axis=0)
        label = f"{comparison.title} ({comparison.kind})"
        axes.plot(levels, means, color=COLORS[number], marker=MARKERS[number], markersize=5, label=label)
    axes.set_xticks(levels, VERTEBRAE)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("mean distance of corners (px)")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    save(figure, path, max_bytes=None)


def draw_model(found: Agreement, path: Path) -> None:
    """Model to reader and reader to reader with their intervals, and the difference with the margin."""
    path.unlink(missing_ok=True)
    if not found.spreads:
        return
    figure = new_figure(8.0, 1.9 * len(found.spreads))
    for axes, one in zip(figure.subplots(len(found.spreads), squeeze=False)[:, 0], found.spreads, strict=True):
        _spread(axes, one)
    save(figure, path, max_bytes=None)


def _spread(axes: Axes, one: Spread) -> None:
    rows = [
        ("reader to reader", one.reader_to_reader, COLORS[-1]),
        ("model to reader", one.model_to_reader, COLORS[0]),
        ("difference", one.difference, COLORS[1]),
    ]
    for at, (_, estimate, color) in enumerate(rows):
        axes.plot([estimate.low, estimate.high], [at, at], color=color, linewidth=2)
        axes.plot([estimate.value], [at], MARKERS[at], color=color, markersize=7)
    axes.axvline(0, color="0.4", linewidth=0.8)
    if one.margin is not None:
        axes.axvline(one.margin, color=COLORS[1], linestyle="--", linewidth=1.2)
        axes.annotate(
            f"margin {one.margin:g}",
            (one.margin, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -10),
            textcoords="offset points",
            fontsize=8,
            color=COLORS[1],
        )
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    verdict = f", {VERDICTS[one.verdict]}" if one.verdict else ""
    unit = "°" if one.quantity == ANGLE else "px"
    what = "Largest angle" if one.quantity == ANGLE else "Corners of the same bodies"
    axes.set_title(f"{what}, n = {one.images}{verdict}", fontsize=9)
    axes.set_xlabel(f"mean distance ({unit})", fontsize=9)
    axes.grid(alpha=0.25, axis="x")
