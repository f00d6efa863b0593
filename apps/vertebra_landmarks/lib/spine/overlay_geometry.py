"""Overlay geometry in upright pixels: lines of bodies, endplates and Cobb angles, texts of names and angles."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from .display import DOUBTFUL, FAINT, IMPLAUSIBLE, MEASURED, SURE
from .measurement.angle_interval import interval_text
from .measurement.cobb import Curve
from .measurement.measured_spine import DOUBTFUL as IS_DOUBTFUL
from .measurement.measured_spine import IMPLAUSIBLE as IS_IMPLAUSIBLE
from .measurement.measured_spine import Measurements, suspicions
from .schema import CORNERS, POINTS, VERTEBRAE

_PALE = 0.72
"""Brightness of pale lines relative to bright ones."""
_STEPS = 8
_UNSURE = tuple(
    tuple(round(sure + (faint - sure) * step / _STEPS) for sure, faint in zip(SURE, FAINT))
    for step in range(1, _STEPS + 1)
)
_BRIGHT_COLORS = (SURE, *_UNSURE, DOUBTFUL, IMPLAUSIBLE, MEASURED)
PALETTE = tuple(tuple(round(share * value) for value in color) for share in (1.0, _PALE) for color in _BRIGHT_COLORS)
"""Red, green and blue of all lines, by color index."""
SIGNS = {IS_DOUBTFUL: "?", IS_IMPLAUSIBLE: "!"}
"""Behind the name of a vertebra, by kind of check."""
_TL, _TR, _BL, _BR = (POINTS.index(name) for name in CORNERS)
_SIDES, _ENDPLATES = ((_TL, _BL), (_TR, _BR)), ((_TL, _TR), (_BL, _BR))
_CLOSED, _OPEN = 1.1, 0.35
"""Length of Cobb lines beyond the endplate on the concave and on the convex side, in widths of the endplate."""


class Lines(NamedTuple):
    """Straight lines: ``ends`` ``(N, 2, 2)`` in pixels, ``colors`` ``(N,)`` indices into ``PALETTE``."""

    ends: np.ndarray
    colors: np.ndarray


class Text(NamedTuple):
    """A text: its start in pixels, its content, and whether it is highlighted."""

    x: float
    y: float
    text: str
    is_highlighted: bool = False


def vertebra_colors(measured: Measurements) -> dict[str, tuple[int, int, int]]:
    """Colors of the vertebrae to be checked, see ``suspicions``."""
    colors = {IS_DOUBTFUL: DOUBTFUL, IS_IMPLAUSIBLE: IMPLAUSIBLE}
    return {name: colors[kind] for name, kind in suspicions(measured).items()}


def color_indices(measured: Measurements) -> np.ndarray:
    """``(V,)`` bright colors of all vertebrae as indices into ``PALETTE``; see ``body_lines``."""
    colored = vertebra_colors(measured)
    return np.array(
        [
            _BRIGHT_COLORS.index(colored[name]) if name in colored else round(_STEPS * uncertainty)
            for name, uncertainty in zip(VERTEBRAE, measured.uncertainty)
        ]
    )


def body_lines(xy: np.ndarray, measured: Measurements, layers: Collection[str]) -> Lines:
    """Sides and endplates of the vertebrae.

    Args:
        xy: ``(V, P, 2)`` pixels, NaN where absent; a line with an absent end is left out.
        measured: colors the vertebrae, see ``vertebra_colors``; the others range from ``SURE`` to ``FAINT`` by their
            uncertainty.
        layers: "outlines" includes pale sides and pale endplates; "endplates" bright endplates.
    """
    wanted = []
    if "outlines" in layers:
        wanted += [(pair, True) for pair in _SIDES]
    if "endplates" in layers or "outlines" in layers:
        wanted += [(pair, "endplates" not in layers) for pair in _ENDPLATES]
    if not wanted:
        return Lines(np.empty((0, 2, 2)), np.empty(0, int))
    colors = color_indices(measured)
    lines = np.concatenate([xy[:, list(pair)] for pair, _ in wanted])
    numbers = np.concatenate([colors + is_pale * len(_BRIGHT_COLORS) for _, is_pale in wanted])
    is_there = np.isfinite(lines).all(axis=(1, 2))
    return Lines(lines[is_there], numbers[is_there])


def outlines(xy: np.ndarray) -> np.ndarray:
    """``(N, 2, 2)`` ends of the sides and endplates of all vertebrae, without those that lack an end.

    Args:
        xy: ``(V, P, 2)`` pixels, NaN where absent.
    """
    lines = np.concatenate([xy[:, list(pair)] for pair in (*_SIDES, *_ENDPLATES)])
    found: np.ndarray = lines[np.isfinite(lines).all(axis=(1, 2))]
    return found


def cobb_lines(xy: np.ndarray, curves: Collection[Curve]) -> Lines:
    """Cobb lines: the measured endplates, extended to the concave side.

    Args:
        xy: ``(V, P, 2)`` pixels.
        curves: whose end vertebrae have all corners.
    """
    ends = [line for curve in curves for line in _pair(xy, curve)]
    lines = np.array(ends).reshape(-1, 2, 2)
    return Lines(lines, np.full(len(lines), _BRIGHT_COLORS.index(MEASURED)))


def angle_texts(xy: np.ndarray, curves: Collection[Curve], width: float, letter: float) -> list[Text]:
    """Angle, levels and side of each curve, between its two lines on the concave side.

    Args:
        xy: ``(V, P, 2)`` pixels.
        curves: as for ``cobb_lines``.
        width: of the image in pixels; texts stay inside.
        letter: width of a letter in pixels of the image.
    """
    texts = []
    for curve in curves:
        text, anchor = format_curve(curve), angle_anchor(xy, curve)
        x = anchor.x if anchor.is_at_right else anchor.x - letter * len(text)
        x = min(max(x, letter), max(letter, width - letter * (len(text) + 1)))
        texts.append(Text(float(x), anchor.y, text))
    return texts


class Anchor(NamedTuple):
    """Where the text of an angle begins, or ends if it stands at the left of its lines."""

    x: float
    y: float
    is_at_right: bool


def angle_anchor(xy: np.ndarray, curve: Curve) -> Anchor:
    """Place of a curve's text: outside its two lines on the concave side, midway between them.

    Args:
        xy: ``(V, P, 2)`` pixels.
        curve: as for ``cobb_lines``.
    """
    is_at_right = _closes_at_right(xy, curve)
    outer = np.array([line[int(is_at_right)] for line in _pair(xy, curve)])
    x = outer[:, 0].max() if is_at_right else outer[:, 0].min()
    return Anchor(float(x), float(outer[:, 1].mean()), is_at_right)


def format_curve(curve: Curve) -> str:
    """Angle with interval, levels and side of a curve."""
    larger = ", may be larger" if curve.open_ends else ""
    angle = f"{curve.angle_deg:.1f}{interval_text(curve.half_width_deg)}°"
    return f"{angle}  {curve.upper_end}–{curve.lower_end} {curve.side}{larger}"  # noqa: RUF001


def name_texts(xy: np.ndarray, measured: Measurements, gap: float) -> list[Text]:
    """Names of the vertebrae at their right; with "?" where doubtful, with "!" where implausible.

    Args:
        xy: ``(V, P, 2)`` pixels.
        measured: see ``suspicions``.
        gap: between vertebra and name in pixels.
    """
    marked = suspicions(measured)
    texts = []
    for name, points in zip(VERTEBRAE, xy):
        there = points[np.isfinite(points).all(axis=1)]
        if len(there):
            rightmost = there[there[:, 0] >= there[:, 0].max() - gap]
            x, y = rightmost[:, 0].max() + gap, np.mean([there[:, 1].min(), there[:, 1].max()])
            sign = f" {SIGNS[marked[name]]}" if name in marked else ""
            texts.append(Text(float(x), float(y), name + sign, name in marked))
    return texts


def _pair(xy: np.ndarray, curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """``(2, 2)`` ends, left and right, of the two lines of a curve."""
    a, b = curve.ends
    left, right = (_OPEN, _CLOSED) if _closes_at_right(xy, curve) else (_CLOSED, _OPEN)
    lines = []
    for start, stop in ((xy[a, _TL], xy[a, _TR]), (xy[b, _BL], xy[b, _BR])):
        along = stop - start
        lines.append(np.array([start - left * along, stop + right * along]))
    return lines[0], lines[1]


def _closes_at_right(xy: np.ndarray, curve: Curve) -> bool:
    """Whether the two endplates converge to the right: the concave side of the curve."""
    a, b = curve.ends
    upper, lower = xy[a, _TR] - xy[a, _TL], xy[b, _BR] - xy[b, _BL]
    return bool(upper[0] * lower[1] - upper[1] * lower[0] < 0)
