"""Plots of the results that scripts/evaluate.py wrote: errors of corners, agreement of Cobb angles, calibration."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments import plot_style
from lib.learning.decoders import DECODERS

COLUMNS = ("image", "set", "decoder", "corner_mean_px", "angle1_deg", "reference1_deg")
CORNERS, COBB, CALIBRATION = "corner_errors.png", "cobb_bland_altman.png", "calibration.png"
GOOD_RATIO = (0.8, 1.25)
"""Expected over observed error within which an expected error means what it says."""


@dataclass(frozen=True)
class ImageErrors:
    """Errors and angles of the images of one set.

    Attributes:
        corner_px: ``(N,)`` mean corner error of every image.
        angle_deg: ``(N,)`` largest predicted angle.
        reference_deg: ``(N,)`` largest official angle, or the label's where there is none.
    """

    corner_px: np.ndarray
    angle_deg: np.ndarray
    reference_deg: np.ndarray


@dataclass(frozen=True)
class Agreement:
    """Bland and Altman's figures.

    Attributes:
        bias: mean difference.
        low: lower 95 % limit of agreement, the bias less 1.96 standard deviations (divisor n - 1).
        high: upper limit.

    Reference:
        Bland and Altman, Lancet 1986, 1 (8476), 307-310.
    """

    bias: float
    low: float
    high: float


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="table that evaluate.py --images wrote")
    parser.add_argument("--calibration", type=Path, metavar="JSON", help="figures that evaluate.py --json wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder for the plots")
    parser.add_argument("--decoder", choices=DECODERS, help="whose results; left out, the first that the table has")
    return parser.parse_args(arguments)


def read_image_errors(path: Path, decoder: str | None = None) -> tuple[str, dict[str, ImageErrors]]:
    """The decoder that is plotted, and its images by set.

    Raises:
        ValueError: a column or the decoder is missing, or a value is no number.
        OSError: the file cannot be read.
    """
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path.name} has no column {', '.join(missing)}; evaluate.py --data --images writes them")
        rows = list(reader)
    there = [name for name in DECODERS if any(row["decoder"] == name for row in rows)]
    chosen = decoder or next(iter(there), None)
    if chosen is None or chosen not in there:
        raise ValueError(f"{path.name} has no row of {f'decoder {decoder}' if decoder else 'any decoder'}")
    rows = [row for row in rows if row["decoder"] == chosen]
    try:
        sets = {
            name: ImageErrors(*(np.array([float(row[c]) for row in rows if row["set"] == name]) for c in COLUMNS[3:]))
            for name in dict.fromkeys(row["set"] for row in rows)
        }
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path.name}: {error}") from error
    if not all(np.isfinite(values).all() for f in sets.values() for values in vars(f).values()):
        raise ValueError(f"{path.name}: a value is not a finite number")
    return chosen, sets


def agreement(difference: np.ndarray) -> Agreement | None:
    """Bias and limits of differences ``(N,)``; ``None`` of fewer than two."""
    if len(difference) < 2:
        return None
    bias, reach = float(difference.mean()), 1.96 * float(difference.std(ddof=1))
    return Agreement(bias, bias - reach, bias + reach)


def cumulative(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted values ``(N,)`` and, in per cent, how many are at most as large as each."""
    return np.sort(values), 100 * np.arange(1, len(values) + 1) / len(values)


def draw_corners(sets: dict[str, ImageErrors], decoder: str, path: Path) -> None:
    """Plot the cumulative distribution of the images' mean corner errors."""
    figure = plot_style.new_figure(7, 4.5)
    axes = figure.subplots()
    for number, (name, of_set) in enumerate(sets.items()):
        x, y = cumulative(of_set.corner_px)
        label = f"{name} ({len(x)} images), median {np.median(x):.1f} px"
        color, style = (
            plot_style.COLORS[number % len(plot_style.COLORS)],
            plot_style.STYLES[number % len(plot_style.STYLES)],
        )
        axes.step(np.concatenate([x[:1], x]), np.concatenate([[0.0], y]), style, where="post", color=color, label=label)
    if all((f.corner_px > 0).all() for f in sets.values()):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0, 101)
    axes.set_xlabel("mean corner error of an image, pixels of the original")
    axes.set_ylabel("images with at most that error, %")
    axes.set_title(f"decoder {decoder}")
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="lower right")
    plot_style.save(figure, path)


def draw_cobb(sets: dict[str, ImageErrors], decoder: str, path: Path) -> None:
    """Plot differences of the largest Cobb angle against means, one panel per set."""
    figure = plot_style.new_figure(max(6.5, 5 * len(sets)), 4.5)
    panels = figure.subplots(1, len(sets), sharey=True, squeeze=False)[0]
    for axes, (name, of_set) in zip(panels, sets.items(), strict=True):
        difference = of_set.angle_deg - of_set.reference_deg
        axes.plot((of_set.angle_deg + of_set.reference_deg) / 2, difference, ".", color=plot_style.COLORS[0], alpha=0.6)
        found = agreement(difference)
        if found is not None:
            bias = f"bias {found.bias:+.2f}°"
            limits = f"95 % limits of agreement {found.low:+.2f}° to {found.high:+.2f}°"
            axes.axhline(found.bias, color=plot_style.COLORS[1], label=bias)
            axes.axhline(found.low, color=plot_style.COLORS[1], linestyle="--", label=limits)
            axes.axhline(found.high, color=plot_style.COLORS[1], linestyle="--")
            axes.legend(loc="upper left")
        axes.set_title(f"{name} ({len(difference)} images), decoder {decoder}")
        axes.set_xlabel("mean of predicted and reference angle, °")
        axes.grid(alpha=0.3)
    low, high = panels[0].get_ylim()
    panels[0].set_ylim(low, high + 0.2 * (high - low))  # room for the legends
    panels[0].set_ylabel("largest Cobb angle, predicted - reference, °")
    plot_style.save(figure, path)


def read_deciles(path: Path, decoder: str) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Expected and observed errors in pixels, by set and by kind of points; empty where errors are not estimated.

    Raises:
        ValueError: the file does not hold figures of that decoder.
        OSError: it cannot be read.
    """
    try:
        sets = json.loads(path.read_text(encoding="utf-8"))[decoder]
        return {name: _by_points(figures["calibration"]) for name, figures in sets.items() if "calibration" in figures}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name} holds no figures of decoder {decoder} as evaluate.py writes them") from error


def _by_points(rows: Sequence[dict[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        found.setdefault(row["points"], []).append((float(row["expected"]), float(row["observed"])))
    return found


def draw_calibration(deciles: dict[str, dict[str, list[tuple[float, float]]]], decoder: str, path: Path) -> None:
    """Plot observed against expected errors by tenths, one panel per set, with the band of good ratios."""
    figure = plot_style.new_figure(max(5.5, 4.5 * len(deciles)), 4.5)
    panels = figure.subplots(1, len(deciles), sharex=True, sharey=True, squeeze=False)[0]
    values = np.array([pair for kinds in deciles.values() for pairs in kinds.values() for pair in pairs])
    positive = values[values > 0]
    ends = np.array([0.8 * positive.min(), 1.25 * positive.max()]) if len(positive) else np.array([0.1, 1.0])
    for axes, (name, kinds) in zip(panels, deciles.items(), strict=True):
        low, high = ends / GOOD_RATIO[1], ends / GOOD_RATIO[0]
        label = f"expected / observed {GOOD_RATIO[0]:g} to {GOOD_RATIO[1]:g}"
        axes.fill_between(ends, low, high, color="0.88", label=label)
        axes.plot(ends, ends, color="0.4", linewidth=1)
        for number, (points, pairs) in enumerate(kinds.items()):
            expected, observed = np.array(pairs).T
            style = {"marker": plot_style.MARKERS[number], "color": plot_style.COLORS[number]}
            axes.plot(expected, observed, linestyle="-", linewidth=1, label=points, **style)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_title(f"{name}, decoder {decoder}")
        axes.set_xlabel("expected error, px, mean of a decile")
        axes.grid(alpha=0.3, which="both")
    panels[0].set_ylabel("observed error, px, mean of the decile")
    panels[0].legend(loc="upper left")
    plot_style.save(figure, path)


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        plot_style.check_library()
        decoder, sets = read_image_errors(arguments.images, arguments.decoder)
        deciles = read_deciles(arguments.calibration, decoder) if arguments.calibration else None
        arguments.output.mkdir(parents=True, exist_ok=True)
        draw_corners(sets, decoder, arguments.output / CORNERS)
        draw_cobb(sets, decoder, arguments.output / COBB)
        names = [CORNERS, COBB]
        if deciles:
            draw_calibration(deciles, decoder, arguments.output / CALIBRATION)
            names.append(CALIBRATION)
        elif deciles is not None:
            print(f"{arguments.calibration.name} has no expected errors, so there is no plot of them", file=sys.stderr)
        print(f"wrote {', '.join(names)} to {arguments.output}")
    except (OSError, ValueError) as error:
        print(f"plot_results: {error}", file=sys.stderr)
        return 1
    return 0
