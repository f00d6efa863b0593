"""Landmark schema: names and order of the points of a spine, and the containers for them.

Coordinates are pixels of the original image: x to the right, y down, pixel centers at whole numbers. "Left" is
image left. Arrays of a whole spine have the axes ``V`` (17 vertebrae, T1 first), ``P`` (5 points: the center, then
the corners) and 2 (x, y).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Optional

import numpy as np

SCHEMA_VERSION = 1
"""Incremented whenever a name, an order or the meaning of a point changes."""

VERTEBRAE = tuple(f"T{i}" for i in range(1, 13)) + tuple(f"L{i}" for i in range(1, 6))
"""The 17 vertebrae from top to bottom; the index in this tuple is the heatmap channel."""

CORNERS = ("TL", "TR", "BL", "BR")
"""Corner order of every array: top left, top right, bottom left, bottom right (image left and right)."""

CENTER = "center"
POINTS = (CENTER, *CORNERS)
"""Point order along axis ``P``."""


@dataclass(frozen=True)
class Landmark:
    """One point.

    Args:
        x: pixels from the left edge's pixel centers.
        y: pixels from the top edge's pixel centers.
        score: confidence in 0...1; 1 for a point placed by a person.
        error: expected distance from the true position in pixels; ``None`` where not estimated.
        is_visible: whether the image shows it; invisible points are not measured.

    Raises:
        ValueError: a coordinate is not finite, the score is outside 0...1, or the error is negative or not finite.
    """

    x: float
    y: float
    score: float = 1.0
    error: Optional[float] = None
    is_visible: bool = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.x) and math.isfinite(self.y)):
            raise ValueError(f"landmark coordinates must be finite, got ({self.x}, {self.y})")
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"landmark score must lie in 0...1, got {self.score}")
        if self.error is not None and not 0.0 <= self.error < math.inf:
            raise ValueError(f"landmark error must be zero or more pixels, got {self.error}")


@dataclass(frozen=True)
class Vertebra:
    """One named vertebra; absent points are ``None``.

    Raises:
        ValueError: ``name`` is not one of ``VERTEBRAE``.
    """

    name: str
    center: Optional[Landmark] = None
    TL: Optional[Landmark] = None
    TR: Optional[Landmark] = None
    BL: Optional[Landmark] = None
    BR: Optional[Landmark] = None

    def __post_init__(self) -> None:
        if self.name not in VERTEBRAE:
            raise ValueError(f"vertebra {self.name!r} is not one of {', '.join(VERTEBRAE)}")

    def point(self, name: str) -> Optional[Landmark]:
        """The point called ``name`` (one of ``POINTS``), ``None`` where it is absent.

        Raises:
            KeyError: ``name`` is not one of ``POINTS``.
        """
        if name not in POINTS:
            raise KeyError(f"point {name!r} is not one of {', '.join(POINTS)}")
        point: Optional[Landmark] = getattr(self, name)
        return point

    @property
    def is_absent(self) -> bool:
        """Whether all points are absent."""
        return all(self.point(name) is None for name in POINTS)


class _Arrays(NamedTuple):
    """What a spine holds as arrays, see its properties of the same names."""

    xy: np.ndarray
    visible: np.ndarray
    scores: np.ndarray
    errors: np.ndarray


@dataclass(frozen=True)
class Spine:
    """The 17 vertebrae of one image, from T1 to L5; absent ones keep their entry.

    Raises:
        ValueError: the vertebrae are not exactly ``VERTEBRAE`` in order.
    """

    vertebrae: tuple[Vertebra, ...]

    def __post_init__(self) -> None:
        names = tuple(vertebra.name for vertebra in self.vertebrae)
        if names != VERTEBRAE:
            raise ValueError(f"a spine holds {', '.join(VERTEBRAE)} in this order, got {', '.join(names) or 'nothing'}")

    @classmethod
    def from_arrays(
        cls,
        xy: np.ndarray,
        scores: Optional[np.ndarray] = None,
        errors: Optional[np.ndarray] = None,
        visible: Optional[np.ndarray] = None,
    ) -> Spine:
        """Build a spine from arrays.

        Args:
            xy: ``(V, P, 2)`` pixels; a point with a coordinate that is not finite is absent.
            scores: ``(V, P)`` confidences in 0...1; 1 everywhere when left out. Entries of absent points are ignored.
            errors: ``(V, P)`` expected errors in pixels, NaN where not estimated; nowhere estimated when left out.
            visible: ``(V, P)`` which points the image shows; all when left out.

        Raises:
            ValueError: a shape is wrong, a score of a present point lies outside 0...1, or its error is negative.
        """
        xy = np.asarray(xy, dtype=float)
        shape = (len(VERTEBRAE), len(POINTS))
        if xy.shape != (*shape, 2):
            raise ValueError(f"xy must have shape {(*shape, 2)}, got {xy.shape}")
        scores = np.ones(shape) if scores is None else np.asarray(scores, dtype=float)
        errors = np.full(shape, math.nan) if errors is None else np.asarray(errors, dtype=float)
        visible = np.ones(shape, bool) if visible is None else np.asarray(visible, dtype=bool)
        for name, values in (("scores", scores), ("errors", errors), ("visible", visible)):
            if values.shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {values.shape}")

        is_present, has_error = np.isfinite(xy).all(-1).tolist(), (~np.isnan(errors)).tolist()
        positions, listed_scores, listed_errors, is_visible = (a.tolist() for a in (xy, scores, errors, visible))

        def landmark(v: int, p: int) -> Optional[Landmark]:
            if not is_present[v][p]:
                return None
            error = listed_errors[v][p] if has_error[v][p] else None
            x, y = positions[v][p]
            return Landmark(x, y, listed_scores[v][p], error, is_visible[v][p])

        return cls(
            tuple(Vertebra(name, *(landmark(v, p) for p in range(len(POINTS)))) for v, name in enumerate(VERTEBRAE))
        )

    def __getitem__(self, name: str) -> Vertebra:
        """The vertebra called ``name``.

        Raises:
            KeyError: there is no such vertebra.
        """
        if name not in VERTEBRAE:
            raise KeyError(f"vertebra {name!r} is not one of {', '.join(VERTEBRAE)}")
        return self.vertebrae[VERTEBRAE.index(name)]

    def points(self) -> Iterator[tuple[str, str, Optional[Landmark]]]:
        """All 85 points in schema order as (vertebra, point, landmark or ``None``)."""
        for vertebra in self.vertebrae:
            for name in POINTS:
                yield vertebra.name, name, vertebra.point(name)

    @cached_property
    def _arrays(self) -> _Arrays:
        """All arrays; not to be changed."""
        landmarks, nan = [landmark for _, _, landmark in self.points()], math.nan
        xy = [(nan, nan) if p is None else (p.x, p.y) for p in landmarks]
        scores = [0.0 if p is None else p.score for p in landmarks]
        errors = [nan if p is None or p.error is None else p.error for p in landmarks]
        shape = (len(VERTEBRAE), len(POINTS))
        return _Arrays(
            np.array(xy, dtype=float).reshape(*shape, 2),
            np.array([p is not None and p.is_visible for p in landmarks], dtype=bool).reshape(shape),
            np.array(scores, dtype=float).reshape(shape),
            np.array(errors, dtype=float).reshape(shape),
        )

    @property
    def xy(self) -> np.ndarray:
        """``(V, P, 2)`` pixels, NaN where a point is absent; a copy, as the other arrays are."""
        return self._arrays.xy.copy()

    @property
    def visible(self) -> np.ndarray:
        """``(V, P)`` which points are present and visible."""
        return self._arrays.visible.copy()

    @property
    def visible_xy(self) -> np.ndarray:
        """``(V, P, 2)`` pixels, NaN where a point is absent or invisible: the points that are measured."""
        visible_xy: np.ndarray = np.where(self.visible[..., None], self.xy, math.nan)
        return visible_xy

    def moved_to(self, xy: np.ndarray) -> Spine:
        """The same landmarks at other positions; scores, errors and visibility stay.

        Args:
            xy: ``(V, P, 2)`` pixels.
        """
        return Spine.from_arrays(xy, self.scores, self.errors, self.visible | ~np.isfinite(self.xy).all(-1))

    def cut_to(self, width: int, height: int) -> Spine:
        """The same landmarks, with those outside the image invisible.

        A body whose center lies outside the image has no visible point.

        Args:
            width: of the image in pixels, in the same raster as the points.
            height: of the image in pixels.
        """
        xy = self.xy
        with np.errstate(invalid="ignore"):
            on_image = np.asarray(((xy >= -0.5) & (xy <= np.array([width, height]) - 0.5)).all(-1))
        center = np.isfinite(xy[:, 0]).all(-1)
        on_image[center & ~on_image[:, 0]] = False
        if not (self.visible & ~on_image).any():
            return self
        return Spine.from_arrays(xy, self.scores, self.errors, on_image & self.visible)

    @property
    def scores(self) -> np.ndarray:
        """``(V, P)`` confidences, 0 where a point is absent."""
        return self._arrays.scores.copy()

    @property
    def errors(self) -> np.ndarray:
        """``(V, P)`` expected errors in pixels, NaN where a point is absent or its error is not estimated."""
        return self._arrays.errors.copy()
