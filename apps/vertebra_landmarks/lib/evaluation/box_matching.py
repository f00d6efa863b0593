"""Matches predicted centers with boxes of unnamed vertebrae, one-to-one and in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..spine.geometry import center_distances, check_shape
from ..spine.schema import VERTEBRAE

MAX_DISTANCE_STEPS = 0.4
"""Largest distance of a center from the middle of its box, in local steps."""
MAX_LINE_OFFSET_STEPS = 0.5
"""Largest distance from the line of the boxes of a center beyond the last box, in local steps."""
_LINE_BOXES = 3  # at each end, through which the line is extended: a single step is too uneven


@dataclass(frozen=True)
class BoxMatch:
    """Matched centers and boxes of one image.

    Attributes:
        boxes: number of boxes that count, at most 17.
        left_out: number of those that do not, the uppermost beyond 17.
        pairs: index of the center and index among all boxes of every match, from top to bottom.
        distances_steps: distances of those centers from the middles of their boxes, in local steps.
        reachable: number of boxes that could be matched one-to-one regardless of order.
        between: indices of unmatched centers that do not lie beyond the first or the last box.
        beyond: indices of unmatched centers beyond the first or last box, near the extended line of the boxes.
        astray: indices of unmatched centers beyond the first or last box and too far from that line.
    """

    boxes: int
    left_out: int
    pairs: tuple[tuple[int, int], ...]
    distances_steps: tuple[float, ...]
    reachable: int
    between: tuple[int, ...]
    beyond: tuple[int, ...]
    astray: tuple[int, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every box that counts is matched, one-to-one and in order."""
        return len(self.pairs) == self.boxes

    @property
    def is_in_order(self) -> bool:
        """Whether the order costs no match."""
        return len(self.pairs) == self.reachable


@dataclass(frozen=True)
class BoxFigures:
    """Matches over a set of images.

    Attributes:
        images: number of images.
        boxes: number of boxes that count, at most the 17 lowest of an image.
        boxes_left_out: number of those that do not.
        boxes_matched: share of the boxes in 0...1 with a center within 0.4 local steps, one-to-one and in order.
        images_complete: share of images in 0...1 with all boxes matched so.
        images_in_order: share of images in 0...1 where no further box could be matched out of order.
        unmatched_between: number of unmatched centers not beyond the first or last box of their image.
        unmatched_astray: number of those beyond, but more than 0.5 local steps from the extended line of the boxes.
        unmatched_beyond: number of those beyond and near that line, which are no errors.
    """

    images: int
    boxes: int
    boxes_left_out: int
    boxes_matched: float
    images_complete: float
    images_in_order: float
    unmatched_between: int
    unmatched_astray: int
    unmatched_beyond: int


def local_steps(boxes: np.ndarray) -> np.ndarray:
    """Spacing of neighbouring boxes at every box: the mean distance to the one above and the one below.

    Args:
        boxes: ``(N, 2)`` middles from top to bottom, pixels.

    Returns:
        ``(N,)`` pixels; at the ends the distance to the only neighbour.

    Raises:
        ValueError: the shape is wrong, a number is not finite, there are fewer than two boxes, or two neighbours
            share their middle.
    """
    boxes = np.asarray(boxes, dtype=float)
    check_shape("boxes", boxes, (None, 2))
    if boxes.ndim != 2 or len(boxes) < 2:
        raise ValueError(f"boxes must have shape (N, 2) with at least two of them, got {boxes.shape}")
    if not np.isfinite(boxes).all():
        raise ValueError(f"box {int((~np.isfinite(boxes).all(axis=1)).argmax())} is not finite")
    gaps = center_distances(boxes)
    if not gaps.all():
        raise ValueError(f"boxes {int(gaps.argmin())} and {int(gaps.argmin()) + 1} share their middle")
    above, below = np.append(gaps[:1], gaps), np.append(gaps, gaps[-1:])
    mean: np.ndarray = (above + below) / 2
    return mean


def match_boxes(centers: np.ndarray, boxes: np.ndarray) -> BoxMatch:
    """Match predicted centers with boxes, one-to-one and in order.

    A center may match a box if it lies within 0.4 local steps of its middle. Of all one-to-one matchings in order, the
    one with the most boxes counts, and of those the one with the smallest sum of distances (exact, by dynamic
    programming over both sequences).

    Of more than 17 boxes the uppermost are left out, since they are cervical; T1 to L5 are 17.

    Unmatched centers are classified by all boxes that count, matched or not. A center lies beyond an end if it lies on
    the far side of the end box along the extended line of the boxes: straight, in the direction from the third box of
    that end to the first (from the second, where there are two). Only the distance from that line matters.

    Args:
        centers: ``(M, 2)`` predicted centers from T1 down, pixels; NaN where absent.
        boxes: ``(N, 2)`` middles of the boxes from top to bottom, pixels.

    Raises:
        ValueError: a shape is wrong, a box is not finite, there are fewer than two boxes, or two neighbouring boxes
            share their middle.
    """
    centers, boxes = np.asarray(centers, dtype=float), np.asarray(boxes, dtype=float)
    check_shape("centers", centers, (None, 2))
    if centers.ndim != 2:
        raise ValueError(f"centers must have shape (M, 2), got {centers.shape}")
    check_shape("boxes", boxes, (None, 2))
    left_out = max(0, len(boxes) - len(VERTEBRAE))
    boxes = boxes[left_out:]
    step = local_steps(boxes)
    apart = np.linalg.norm(centers[:, None] - boxes[None], axis=-1) / step  # (M, N) in steps of the box
    is_near = apart <= MAX_DISTANCE_STEPS  # never where a center is absent
    pairs = _match_in_order(apart, is_near)
    matched = {center for center, _ in pairs}
    unmatched: dict[str, list[int]] = {"between": [], "beyond": [], "astray": []}
    for i in np.flatnonzero(np.isfinite(centers).all(axis=1)).tolist():
        if i not in matched:
            unmatched[_classify_unmatched(centers[i], boxes, step)].append(i)
    return BoxMatch(
        boxes=len(boxes),
        left_out=left_out,
        pairs=tuple((center, box + left_out) for center, box in pairs),
        distances_steps=tuple(float(apart[pair]) for pair in pairs),
        reachable=_max_pairs(is_near),
        between=tuple(unmatched["between"]),
        beyond=tuple(unmatched["beyond"]),
        astray=tuple(unmatched["astray"]),
    )


def box_figures(matches: Sequence[BoxMatch]) -> BoxFigures:
    """Sum up the images of a set.

    Raises:
        ValueError: there is no image.
    """
    if not matches:
        raise ValueError("there is no image to compare")
    boxes = sum(match.boxes for match in matches)
    return BoxFigures(
        images=len(matches),
        boxes=boxes,
        boxes_left_out=sum(match.left_out for match in matches),
        boxes_matched=sum(len(match.pairs) for match in matches) / boxes,
        images_complete=sum(match.is_complete for match in matches) / len(matches),
        images_in_order=sum(match.is_in_order for match in matches) / len(matches),
        unmatched_between=sum(len(match.between) for match in matches),
        unmatched_astray=sum(len(match.astray) for match in matches),
        unmatched_beyond=sum(len(match.beyond) for match in matches),
    )


def _match_in_order(apart: np.ndarray, is_near: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (center, box) of the best matching in order; ``best[i][j]`` is that of the first i and j."""
    rows, columns = apart.shape
    best: list[list[tuple[int, float]]] = [[(0, 0.0)] * (columns + 1) for _ in range(rows + 1)]  # pairs, -distances

    def paired(i: int, j: int) -> tuple[int, float]:
        count, closeness = best[i][j]
        return count + 1, closeness - float(apart[i, j])

    for i in range(rows):
        for j in range(columns):
            ways = [best[i][j + 1], best[i + 1][j]] + ([paired(i, j)] if is_near[i, j] else [])
            best[i + 1][j + 1] = max(ways)
    pairs, i, j = [], rows, columns
    while i and j:
        if best[i][j] == best[i - 1][j]:
            i -= 1
        elif best[i][j] == best[i][j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]


def _max_pairs(is_near: np.ndarray) -> int:
    """Size of the largest one-to-one matching in any order, by augmenting paths."""
    holder: dict[int, int] = {}

    def can_place(row: int, tried: set[int]) -> bool:
        for column in np.flatnonzero(is_near[row]).tolist():
            if column in tried:
                continue
            tried.add(column)
            if column not in holder or can_place(holder[column], tried):
                holder[column] = row
                return True
        return False

    return sum(can_place(row, set()) for row in range(len(is_near)))


def _classify_unmatched(center: np.ndarray, boxes: np.ndarray, step: np.ndarray) -> str:
    """The attribute of ``BoxMatch`` that an unmatched center belongs to: "between", "beyond" or "astray"."""
    for ordered, length in ((boxes, step[0]), (boxes[::-1], step[-1])):
        outwards = ordered[0] - ordered[min(_LINE_BOXES, len(boxes)) - 1]
        size = float(np.hypot(*outwards))
        dx, dy = center - ordered[0]
        ux, uy = outwards / size if size > 0 else (0.0, 0.0)
        if dx * ux + dy * uy > 0:
            return "astray" if abs(dx * uy - dy * ux) > MAX_LINE_OFFSET_STEPS * length else "beyond"
    return "between"
