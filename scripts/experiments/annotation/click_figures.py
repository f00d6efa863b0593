"""Figures of simulated clicks: means over images, gain by propagation, and their plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments import plot_style

COUNTS = (0, 1, 2, 3, 5, 10)
GROSS = 0.5
"""Steps of mean corner error beyond which a start is grossly wrong."""
PUBLISHED = (58.58, 35.39, 29.35, 24.02, 21.06, 17.67)
"""Pixels of mean error after 0 to 5 clicks: Kim et al., MICCAI 2022, on the AASCE test split."""
PREDICTED, SHIFTED, ELSEWHERE = "grossly wrong", "names moved by one", "elsewhere"
ALL = "all images as predicted"
_SAMPLES = 2000


@dataclass(frozen=True)
class Clicked:
    """An image after so many clicks; errors are mean distances from the label.

    Attributes:
        image: its name.
        shift: how many levels the names were moved on purpose, 0 where they were not.
        is_gross: whether the corners were off by more than half a step at the start, or the names were moved.
        noise_px: standard deviation, along each axis, by which the person misses.
        propagation: whether free corners followed what the errors of fixed ones say.
        clicks: how many points were corrected.
        point: the last of them.
        corner_px: pixels of the image.
        center_px: the same of centers.
        corner_steps: in steps between vertebrae of the label.
        center_steps: the same of centers.
        name_shift: by how many levels the names are off.
        seconds: that the prediction took.
    """

    image: str
    shift: int
    is_gross: bool
    noise_px: float
    propagation: bool
    clicks: int
    point: str
    corner_px: float
    center_px: float
    corner_steps: float
    center_steps: float
    name_shift: int
    seconds: float


def groups(rows: Sequence[Clicked]) -> dict[str, list[Clicked]]:
    """Rows by how they began."""
    return {
        ALL: [row for row in rows if row.shift == 0],
        PREDICTED: [row for row in rows if row.shift == 0 and row.is_gross],
        ELSEWHERE: [row for row in rows if not row.is_gross],
        SHIFTED: [row for row in rows if row.shift != 0],
    }


def figures(rows: Sequence[Clicked], seed: int) -> list[dict[str, Any]]:
    """A row per group, noise and count: means over images and, paired by image, the gain by propagation.

    ``floor_px`` is what a person with that noise leaves of a point on average. Intervals are those of 95 % of
    bootstrap samples of the images.
    """
    found = []
    for group, part in groups(rows).items():
        for noise in dict.fromkeys(row.noise_px for row in part):
            for clicks in COUNTS:
                with_it, without = (_chosen(part, noise, clicks, propagation) for propagation in (True, False))
                if with_it:
                    begin = _chosen(part, noise, 0, True)
                    found.append(_compared(group, noise, clicks, begin, with_it, without, seed))
    return found


def _chosen(rows: Sequence[Clicked], noise: float, clicks: int, propagation: bool) -> list[Clicked]:
    wanted = (noise, clicks, propagation)
    return [row for row in rows if (row.noise_px, row.clicks, row.propagation) == wanted]


def _compared(
    group: str,
    noise: float,
    clicks: int,
    begin: Sequence[Clicked],
    with_it: Sequence[Clicked],
    without: Sequence[Clicked],
    seed: int,
) -> dict[str, Any]:
    corner, other = (np.array([row.corner_px for row in part]) for part in (with_it, without))
    first = np.array([row.corner_px for row in begin])
    images = np.array([row.image for row in with_it])
    return {
        "group": group,
        "noise_px": noise,
        "clicks": clicks,
        "starts": len(with_it),
        "corner_px": float(corner.mean()),
        "corner_px_interval": interval(corner, images, seed),
        "without_px": float(other.mean()),
        "gain_px": float((other - corner).mean()),
        "gain_px_interval": interval(other - corner, images, seed),
        "floor_px": noise * float(np.sqrt(np.pi / 2)),
        "corner_steps": float(np.mean([row.corner_steps for row in with_it])),
        "center_px": float(np.mean([row.center_px for row in with_it])),
        "center_steps": float(np.mean([row.center_steps for row in with_it])),
        "left": float(corner.sum() / first.sum()),
        "names_right": float(np.mean([row.name_shift == 0 for row in with_it])),
        "seconds_median": float(np.median([row.seconds for row in with_it])),
        "seconds_p95": float(np.quantile([row.seconds for row in with_it], 0.95)),
    }


def interval(values: np.ndarray, images: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % interval of the mean of values ``(N,)``, drawn by image: those of one image ``(N,)`` stay together."""
    names, number = np.unique(images, return_inverse=True)
    total, count = np.bincount(number, values), np.bincount(number)
    drawn = np.random.default_rng(seed).integers(0, len(names), (_SAMPLES, len(names)))
    low, high = np.quantile(total[drawn].sum(1) / count[drawn].sum(1), [0.025, 0.975])
    return float(low), float(high)


def show(found: Sequence[dict[str, Any]]) -> None:
    """Print a table."""
    head = (
        "clicks",
        "starts",
        "corners px",
        "95 % interval",
        "without",
        "gain",
        "95 % interval",
        "steps",
        "left",
        "names",
    )
    for group, noise in dict.fromkeys((row["group"], row["noise_px"]) for row in found):
        print(f"\n{group}, clicks off by {noise:g} px")
        print("".join(f"{name:>15}" for name in head))
        for row in (row for row in found if (row["group"], row["noise_px"]) == (group, noise)):
            cells = [
                str(row["clicks"]),
                str(row["starts"]),
                f"{row['corner_px']:.2f}",
                _range(row["corner_px_interval"]),
            ]
            cells += [f"{row['without_px']:.2f}", f"{row['gain_px']:.2f}", _range(row["gain_px_interval"])]
            cells += [f"{row['corner_steps']:.3f}", f"{row['left']:.0%}", f"{row['names_right']:.0%}"]
            print("".join(f"{cell:>15}" for cell in cells))
    seconds = [(row["seconds_median"], row["seconds_p95"]) for row in found if row["clicks"]]
    median, p95 = np.max(seconds, axis=0)
    print(
        f"\na correction takes {1000 * median:.0f} ms in the median, {1000 * p95:.0f} ms at p95, of the slowest group"
    )


def _range(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.2f}-{ends[1]:.2f}"


def draw(found: Sequence[dict[str, Any]], path: Path) -> None:
    """Plot errors over clicks, with and without propagation, of gross starts and of the others."""
    figure = plot_style.new_figure(10, 4.2)
    for axes, group in zip(figure.subplots(1, 2), (ALL, ELSEWHERE), strict=True):
        rows = [row for row in found if row["group"] == group]
        for number, noise in enumerate(dict.fromkeys(row["noise_px"] for row in rows)):
            part = [row for row in rows if row["noise_px"] == noise]
            clicks, color = [row["clicks"] for row in part], plot_style.COLORS[number]
            label, marker = f"clicks off by {noise:g} px", plot_style.MARKERS[number]
            axes.plot(clicks, [row["corner_px"] for row in part], "-", marker=marker, color=color, label=label)
            low, high = np.array([row["corner_px_interval"] for row in part]).T
            axes.fill_between(clicks, low, high, color=color, alpha=0.15, linewidth=0)
            without = [row["without_px"] for row in part]
            axes.plot(clicks, without, "--", marker=marker, color=color, label=f"{label}, no propagation")
        if group == ALL:
            axes.plot(range(len(PUBLISHED)), PUBLISHED, ":", marker="x", color="#000000", label="Kim 2022 (test split)")
        axes.set_title(f"{group} ({rows[0]['starts'] if rows else 0} starts)")
        axes.set_xlabel("corrections of the worst point")
        axes.set_ylabel("mean corner error, pixels")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    plot_style.save(figure, path)
