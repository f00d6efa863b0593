"""What Cobb lines that a person drew or edited in a viewer would change in a label. A proposal: nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ..spine.geometry import body_heights, corners_of
from ..spine.imaging.pixel_aspect import square_scale
from ..spine.labels.markups import label_of
from ..spine.schema import POINTS, VERTEBRAE, Spine
from .cobb_lines_report import INFERIOR, SUPERIOR

MIN_MOVE_PX = 0.05
"""Shorter moves are rounding by the viewer."""
MAX_DISTANCE_HEIGHTS = 1.5
"""Mean distance of an endplate's corners from a line, in body heights, above which the line belongs to no vertebra."""
MAX_TURN_DEG = 45.0
"""Angle between a line and an endplate above which it is not meant for it."""


@dataclass(frozen=True, eq=False)
class DrawnAngle:
    """One Cobb angle of a viewer.

    Attributes:
        lines: ``(4, 2)`` stored pixels, the ends of the one line, then of the other, in the order drawn.
        stated_deg: angle that the report states; ``None`` without one.
        image_uid: SOP Instance UID of the image that it is drawn on.
    """

    lines: np.ndarray
    stated_deg: float | None
    image_uid: str = field(repr=False)


@dataclass(frozen=True)
class CornerMove:
    """A corner that would move.

    Attributes:
        name: such as "T7 TL".
        x: new position in stored pixels.
        y: likewise.
        distance_px: from its position in the label, in square pixels.
    """

    name: str
    x: float
    y: float
    distance_px: float


@dataclass(frozen=True)
class CurveProposal:
    """What one pair of lines would change.

    Attributes:
        upper_end: vertebra whose superior endplate the upper line is nearest to.
        lower_end: vertebra whose inferior endplate the lower line is nearest to.
        angle_deg: between the lines.
        moves: corners that would move by the shortest way onto the lines; none where both are as labelled.
    """

    upper_end: str
    lower_end: str
    angle_deg: float
    moves: tuple[CornerMove, ...]


@dataclass(frozen=True)
class CobbProposal:
    """What the Cobb lines of a report would change.

    Attributes:
        curves: in the order of the report.
        problems: a sentence for each pair of lines that fits no vertebrae.
    """

    curves: tuple[CurveProposal, ...]
    problems: tuple[str, ...]

    @property
    def changes_label(self) -> bool:
        """Whether a corner would move."""
        return any(curve.moves for curve in self.curves)


def cobb_proposal(angles: Iterable[DrawnAngle], spine: Spine, pixel_aspect: float = 1.0) -> CobbProposal:
    """Find the end vertebrae of drawn Cobb lines, and the corners that would move onto them.

    Args:
        angles: drawn on the image of the label.
        spine: the label, in stored pixels.
        pixel_aspect: width over height of a stored pixel; angles and distances are those of square ones.
    """
    scale, xy = np.array(square_scale(pixel_aspect)), spine.visible_xy
    curves, problems = [], []
    for number, angle in enumerate(angles, start=1):
        try:
            curves.append(_curve_proposal(angle.lines * scale, xy * scale, scale))
        except ValueError as error:
            problems.append(f"Cobb angle {number}: {error}")
    return CobbProposal(tuple(curves), tuple(problems))


def _curve_proposal(lines: np.ndarray, xy: np.ndarray, scale: np.ndarray) -> CurveProposal:
    """What a pair of lines would change.

    Args:
        lines: ``(4, 2)`` square pixels.
        xy: ``(V, P, 2)`` visible points of the label, square pixels.
        scale: ``(2,)`` from stored to square pixels.
    """
    first, second = lines[:2], lines[2:]
    pairs = [_nearest_ends(xy, *pair) for pair in ((first, second), (second, first))]
    best = min((0, 1), key=lambda k: pairs[k][2])
    upper, lower, distance = pairs[best]
    limit = MAX_DISTANCE_HEIGHTS * float(np.nanmedian(body_heights(corners_of(xy)))) if np.isfinite(distance) else 0.0
    if not distance <= 2 * limit:
        raise ValueError("its lines lie too far from the endplates of any two vertebrae of the label")
    upper_line, lower_line = (first, second) if best == 0 else (second, first)
    moves = [*_moves(xy, upper, SUPERIOR, upper_line, scale), *_moves(xy, lower, INFERIOR, lower_line, scale)]
    return CurveProposal(VERTEBRAE[upper], VERTEBRAE[lower], _between(upper_line, lower_line), tuple(moves))


def _nearest_ends(xy: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> tuple[int, int, float]:
    """The upper and lower end vertebra with the least sum of distances from two lines; infinite without any."""
    above, below = _plate_distances(xy, SUPERIOR, upper), _plate_distances(xy, INFERIOR, lower)
    sums = np.where(np.triu(np.ones((len(VERTEBRAE),) * 2, bool), 1), above[:, None] + below[None], np.inf)
    a, b = np.unravel_index(int(np.argmin(sums)), sums.shape)
    return int(a), int(b), float(sums[a, b])


def _plate_distances(xy: np.ndarray, plate: tuple[int, int], line: np.ndarray) -> np.ndarray:
    """``(V,)`` mean distance of an endplate's corners from a line between its ends; infinite for absent ones."""
    along = line[1] - line[0]
    corners = xy[:, plate]
    share = np.clip((corners - line[0]) @ along / max(float(along @ along), 1e-9), 0, 1)
    distances = np.linalg.norm(line[0] + share[..., None] * along - corners, axis=-1).mean(-1)
    return np.where(np.isfinite(distances), distances, np.inf)


def _moves(xy: np.ndarray, v: int, plate: tuple[int, int], line: np.ndarray, scale: np.ndarray) -> list[CornerMove]:
    corners = xy[v, plate]
    turn = _between(line, corners)
    if min(turn, 180 - turn) > MAX_TURN_DEG:
        raise ValueError(
            f"a line is turned by more than {MAX_TURN_DEG:.0f} degrees against the endplate of {VERTEBRAE[v]}"
        )
    along = (line[1] - line[0]) / float(np.linalg.norm(line[1] - line[0]))
    feet = line[0] + ((corners - line[0]) @ along)[:, None] * along
    moves = []
    for p, corner, foot in zip(plate, corners, feet, strict=True):
        distance = float(np.linalg.norm(foot - corner))
        if distance > MIN_MOVE_PX:
            x, y = (foot / scale).tolist()
            moves.append(CornerMove(label_of(VERTEBRAE[v], POINTS[p]), x, y, distance))
    return moves


def _between(first: np.ndarray, second: np.ndarray) -> float:
    """Angle between two lines from their first to their second end, degrees in 0...180."""
    a, b = first[1] - first[0], second[1] - second[0]
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    if lengths <= 0:
        raise ValueError("one of its lines has no length")
    return float(np.degrees(np.arccos(np.clip(a @ b / lengths, -1, 1))))
