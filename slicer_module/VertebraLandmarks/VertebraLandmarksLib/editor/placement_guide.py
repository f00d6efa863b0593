"""Placing points by hand: which one is next, and which corner is which of four."""

from __future__ import annotations

from typing import Optional

import numpy as np

from ..spine.schema import CENTER, CORNERS, POINTS, VERTEBRAE

GUIDED = tuple((v, POINTS.index(name)) for v in range(len(VERTEBRAE)) for name in CORNERS)
"""The guided order as indices (vertebra, point): T1 TL, TR, BL, BR, T2 TL ... L5 BR."""

_CENTER = POINTS.index(CENTER)
_CORNERS = tuple(POINTS.index(name) for name in CORNERS)
_TL, _TR, _BL, _BR = range(len(CORNERS))
_WIDE = 0.5
"""What a body twice as wide as high counts, against lying straight: bodies are wider than high in 99 of 100 films."""


class PlacementGuide:
    """Goes through an order of places and knows which one is next.

    Args:
        order: places (vertebra, point) in the order of placing.
        xy: ``(V, P, 2)`` points as they are; the guide begins at the first place of the order that has none.
    """

    def __init__(self, xy: np.ndarray, order: tuple[tuple[int, int], ...] = GUIDED) -> None:
        self._order = order
        self._at = 0
        if order and not self._is_free(xy, 0):
            self.advance(xy)

    @property
    def current(self) -> Optional[tuple[int, int]]:
        """The place that the next click fills; ``None`` after the last."""
        return self._order[self._at] if self._at < len(self._order) else None

    def advance(self, xy: np.ndarray) -> None:
        """Go to the next place that has no point: the current one was filled, or is skipped."""
        self._at = min(self._at + 1, len(self._order))
        while self._at < len(self._order) and not self._is_free(xy, self._at):
            self._at += 1

    def skip_vertebra(self, xy: np.ndarray) -> None:
        """Go to the first free place of a vertebra further on."""
        if self.current is not None:
            vertebra = self.current[0]
            while self.current is not None and self.current[0] == vertebra:
                self.advance(xy)

    def back(self) -> None:
        """Go to the place before this one in the order, whether it has a point or not: a click replaces that."""
        self._at = max(self._at - 1, 0)

    def go_to(self, v: int, xy: Optional[np.ndarray] = None) -> None:
        """Go to the first place of a vertebra.

        Args:
            v: index of the vertebra.
            xy: ``(V, P, 2)`` points; given these, places from there on that have one are passed, unless all have.

        Raises:
            ValueError: the order has no place of it.
        """
        found = [at for at, (vertebra, _) in enumerate(self._order) if vertebra == v]
        if not found:
            raise ValueError(f"no place of vertebra {v} is in the order")
        free = range(found[0], len(self._order)) if xy is not None else ()
        self._at = next((at for at in free if xy is not None and self._is_free(xy, at)), found[0])

    def _is_free(self, xy: np.ndarray, at: int) -> bool:
        return not np.isfinite(xy[self._order[at]]).all()


def sort_corners(points: np.ndarray, down: Optional[np.ndarray] = None) -> np.ndarray:
    """Four corners of a vertebra in the order of ``CORNERS``, whichever order they come in.

    The outline goes round clockwise. Of the four ways to begin, the one counts whose upper side looks up the spine;
    being wider than high helps a vertebra that is tilted by half a right angle.

    Args:
        points: ``(4, 2)`` pixels.
        down: (x, y) direction of the spine here, see ``spine_direction``; down the image when left out.

    Returns:
        ``(4, 2)`` the same points.

    Raises:
        ValueError: they are not four different finite points, or ``down`` has no length.
    """
    points = np.asarray(points, dtype=float)
    if points.shape != (len(CORNERS), 2) or not np.isfinite(points).all() or len(np.unique(points, axis=0)) < 4:
        raise ValueError(f"corners must be four different points, got {points.tolist()}")
    down = np.array([0.0, 1.0]) if down is None else np.asarray(down, dtype=float)
    if not np.linalg.norm(down) > 0:
        raise ValueError(f"down must be a direction, got {down.tolist()}")
    off = points - points.mean(axis=0)
    clockwise = points[np.argsort(np.arctan2(off[:, 1], off[:, 0]))]
    ways = []
    for first in range(len(CORNERS)):
        tl, tr, br, bl = np.roll(clockwise, -first, axis=0)
        ways.append(np.stack([tl, tr, bl, br]))
    return max(ways, key=lambda corners: _straightness(corners, down / np.linalg.norm(down)))


def _straightness(corners: np.ndarray, down: np.ndarray) -> float:
    """How well four corners suit a spine that runs ``down``."""
    axis = corners[_BL] + corners[_BR] - corners[_TL] - corners[_TR]
    across = corners[_TR] + corners[_BR] - corners[_TL] - corners[_BL]
    height, width = float(np.linalg.norm(axis)), float(np.linalg.norm(across))
    if height == 0 or width == 0:
        return -np.inf
    return float(axis @ down) / height + _WIDE * float(np.tanh(np.log(width / height)))


def spine_direction(xy: np.ndarray, v: int, place: np.ndarray) -> Optional[np.ndarray]:
    """Which way the spine runs down where a vertebra lies, by what is known of the others.

    Args:
        xy: ``(V, P, 2)`` points, NaN where absent; those of the vertebra itself are not asked.
        v: index of the vertebra.
        place: (x, y) where it lies.

    Returns:
        ``(2,)`` from the nearest known vertebra above to the nearest one below, with ``place`` for one that is
        missing; ``None`` where no other vertebra is known.
    """
    middles = [_middle(points) for points in xy]
    above = [middle for middle in middles[:v] if middle is not None]
    below = [middle for middle in middles[v + 1 :] if middle is not None]
    if not above and not below:
        return None
    start, stop = above[-1] if above else place, below[0] if below else place
    direction = np.asarray(stop, dtype=float) - np.asarray(start, dtype=float)
    return direction if direction.any() else None


def _middle(points: np.ndarray) -> Optional[np.ndarray]:
    """Where a vertebra ``(P, 2)`` lies: its center, or the mean of all four corners."""
    if np.isfinite(points[_CENTER]).all():
        return points[_CENTER]
    corners = points[list(_CORNERS)]
    mean: np.ndarray = corners.mean(axis=0)
    return mean if np.isfinite(mean).all() else None
