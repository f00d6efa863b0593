"""How well predicted centers find the vertebrae of a film whose bodies are boxed but not named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..spine.geometry import center_distances, check_shape
from ..spine.schema import VERTEBRAE

NEAR_STEPS = 0.4
"""How far from the middle of a box a center may lie to find it, in local steps."""
LINE_STEPS = 0.5
"""How far from the line of the boxes a center beyond the last box may lie, in local steps."""
_LINE_BOXES = 3  # the line goes on as from the third last box to the last: one step alone is too uneven


@dataclass(frozen=True)
class BoxMatch:
    """Which center found which box of one film.

    Attributes:
        boxes: how many boxes count, at most 17.
        left_out: how many do not, the uppermost beyond 17.
        pairs: index of the center and index among all given boxes of what was matched, from top to bottom.
        distances_steps: how far those centers lie from the middles of their boxes, in local steps.
        reachable: how many boxes could be matched one-to-one if the order did not matter.
        between: indices of unmatched centers that do not lie beyond the first or the last box.
        beyond: indices of unmatched centers beyond the first or last box, near the line on which the boxes go on.
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
        """Whether no box is lost to the order alone."""
        return len(self.pairs) == self.reachable


@dataclass(frozen=True)
class BoxFigures:
    """How well the boxes of a set of films are found.

    Attributes:
        images: how many films.
        boxes: how many boxes count, at most the 17 lowest of a film.
        boxes_left_out: how many do not.
        boxes_matched: share of the boxes in 0...1 with a center within 0.4 local steps, one-to-one and in order.
        images_complete: share of films in 0...1 with all boxes matched so.
        images_in_order: share of films in 0...1 where dropping the order would match no further box.
        unmatched_between: how many unmatched centers do not lie beyond the first or last box of their film.
        unmatched_astray: how many lie beyond, but more than 0.5 local steps from the line on which the boxes go on.
        unmatched_beyond: how many lie beyond and near that line, as they may.
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

    A center may find a box if it lies within 0.4 local steps of its middle. Of all matchings that keep the order and
    give every center at most one box and every box at most one center, the one with the most boxes counts, and of
    those the one with the least sum of distances (exact, by dynamic programming over both sequences).

    Of more than 17 boxes the uppermost are left out, since they lie in the neck; T1 to L5 are 17 (``boxes.to_items``
    does the same for training).

    Unmatched centers are judged by all boxes that count, matched or not. A center lies beyond an end if it lies on the
    far side of the end box along the line on which the boxes go on: straight, in the direction from the third box of
    that end to the first (from the second, where there are two). How far along does not matter, how far aside does.

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
    is_near = apart <= NEAR_STEPS  # never where a center is absent
    pairs = _match_in_order(apart, is_near)
    matched = {center for center, _ in pairs}
    places: dict[str, list[int]] = {"between": [], "beyond": [], "astray": []}
    for i in np.flatnonzero(np.isfinite(centers).all(axis=1)).tolist():
        if i not in matched:
            places[_place(centers[i], boxes, step)].append(i)
    return BoxMatch(
        boxes=len(boxes),
        left_out=left_out,
        pairs=tuple((center, box + left_out) for center, box in pairs),
        distances_steps=tuple(float(apart[pair]) for pair in pairs),
        reachable=_most_pairs(is_near),
        between=tuple(places["between"]),
        beyond=tuple(places["beyond"]),
        astray=tuple(places["astray"]),
    )


def box_figures(matches: Sequence[BoxMatch]) -> BoxFigures:
    """Sum up the films of a set.

    Raises:
        ValueError: there is no film.
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
    """Pairs (center, box) of the best matching that keeps the order; ``best[i][j]`` is that of the first i and j."""
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


def _most_pairs(is_near: np.ndarray) -> int:
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


def _place(center: np.ndarray, boxes: np.ndarray, step: np.ndarray) -> str:
    """Where an unmatched center lies: "between", "beyond" or "astray", as attributes of ``BoxMatch`` are called."""
    for ordered, length in ((boxes, step[0]), (boxes[::-1], step[-1])):
        outwards = ordered[0] - ordered[min(_LINE_BOXES, len(boxes)) - 1]
        size = float(np.hypot(*outwards))
        dx, dy = center - ordered[0]
        ux, uy = outwards / size if size > 0 else (0.0, 0.0)
        if dx * ux + dy * uy > 0:
            return "astray" if abs(dx * uy - dy * ux) > LINE_STEPS * length else "beyond"
    return "between"
