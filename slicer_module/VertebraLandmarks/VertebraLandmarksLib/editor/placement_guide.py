"""Manual placement: the order of the points, and which of four clicked corners is which."""

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
"""Weight of a body twice as wide as high, against its alignment: bodies are wider than high in 99 of 100 images."""


class PlacementGuide:
    """Guide through the points in the order of placement.

    Args:
        xy: ``(V, P, 2)`` pixels; the guide begins at the first point of the order that is not visible.
        order: (vertebra, point) indices in the order of placement.
    """

    def __init__(self, xy: np.ndarray, order: tuple[tuple[int, int], ...] = GUIDED) -> None:
        self._order = order
        self._at = 0
        if order and not self._is_missing(xy, 0):
            self.advance(xy)

    @property
    def current(self) -> Optional[tuple[int, int]]:
        """The point that the next click places; ``None`` after the last."""
        return self._order[self._at] if self._at < len(self._order) else None

    def advance(self, xy: np.ndarray) -> None:
        """Go to the next point that is not visible: the current one was placed, or is skipped."""
        self._at = min(self._at + 1, len(self._order))
        while self._at < len(self._order) and not self._is_missing(xy, self._at):
            self._at += 1

    def skip_vertebra(self, xy: np.ndarray) -> None:
        """Go to the first missing point of a vertebra further down."""
        if self.current is not None:
            vertebra = self.current[0]
            while self.current is not None and self.current[0] == vertebra:
                self.advance(xy)

    def back(self) -> None:
        """Go to the previous point of the order, whether it is visible or not: a click replaces it."""
        self._at = max(self._at - 1, 0)

    def go_to(self, v: int, xy: Optional[np.ndarray] = None) -> None:
        """Go to the first point of a vertebra.

        Args:
            v: index of the vertebra.
            xy: ``(V, P, 2)`` pixels; if given, visible points from there on are passed over, unless all are visible.

        Raises:
            ValueError: the order has no point of it.
        """
        positions = [at for at, (vertebra, _) in enumerate(self._order) if vertebra == v]
        if not positions:
            raise ValueError(f"the order has no point of vertebra {v}")
        free = range(positions[0], len(self._order)) if xy is not None else ()
        self._at = next((at for at in free if xy is not None and self._is_missing(xy, at)), positions[0])

    def _is_missing(self, xy: np.ndarray, at: int) -> bool:
        return not np.isfinite(xy[self._order[at]]).all()


def sort_corners(points: np.ndarray, down: Optional[np.ndarray] = None) -> np.ndarray:
    """Sort four corners of a vertebra into the order of ``CORNERS``.

    Of the four clockwise orders, the one is taken whose upper side faces up the spine; that bodies are wider than high
    decides where a vertebra is tilted by about 45 degrees.

    Args:
        points: ``(4, 2)`` pixels.
        down: (x, y) direction of the spine here, see ``spine_direction``; down the image when left out.

    Returns:
        ``(4, 2)`` the same points.

    Raises:
        ValueError: they are not four different finite points, or ``down`` is zero.
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
    """How well four corners agree with a spine that runs ``down``."""
    axis = corners[_BL] + corners[_BR] - corners[_TL] - corners[_TR]
    across = corners[_TR] + corners[_BR] - corners[_TL] - corners[_BL]
    height, width = float(np.linalg.norm(axis)), float(np.linalg.norm(across))
    if height == 0 or width == 0:
        return -np.inf
    return float(axis @ down) / height + _WIDE * float(np.tanh(np.log(width / height)))


def spine_direction(xy: np.ndarray, v: int, position: np.ndarray) -> Optional[np.ndarray]:
    """Downward direction of the spine at a vertebra, by the other vertebrae.

    Args:
        xy: ``(V, P, 2)`` pixels, NaN where absent; those of the vertebra itself are not used.
        v: index of the vertebra.
        position: (x, y) of the vertebra.

    Returns:
        ``(2,)`` from the nearest visible vertebra above to the nearest one below, with ``position`` for a missing one;
        ``None`` where no other vertebra is visible.
    """
    middles = [_middle(points) for points in xy]
    above = [middle for middle in middles[:v] if middle is not None]
    below = [middle for middle in middles[v + 1 :] if middle is not None]
    if not above and not below:
        return None
    start, stop = above[-1] if above else position, below[0] if below else position
    direction = np.asarray(stop, dtype=float) - np.asarray(start, dtype=float)
    return direction if direction.any() else None


def _middle(points: np.ndarray) -> Optional[np.ndarray]:
    """Position of a vertebra ``(P, 2)``: its center, or the mean of its four corners; ``None`` without either."""
    if np.isfinite(points[_CENTER]).all():
        return points[_CENTER]
    corners = points[list(_CORNERS)]
    mean: np.ndarray = corners.mean(axis=0)
    return mean if np.isfinite(mean).all() else None
