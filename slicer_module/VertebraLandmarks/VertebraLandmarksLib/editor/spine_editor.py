"""Editor of the points of one image: moves, placement, undo and redo, and which points the user set.

All coordinates are stored pixels, in which an image may lie on its side.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable, Optional

import numpy as np

from ..spine.geometry import drag_along, rotation, transform_points
from ..spine.measurement.origin import UNKNOWN, Origin
from ..spine.schema import CENTER, CORNERS, POINTS, VERTEBRAE, Spine
from .edit_history import NAMED, EditHistory, P, PointState, V
from .listeners import Listeners

LOADED, ADOPTED, MOVED, HIDDEN, PLACED = "loaded", "adopted", "moved", "hidden", "placed"
SHIFTED, UNDONE, REDONE, CANCELLED, LOCKED = "shifted", "undone", "redone", "cancelled", "locked"
"""Kinds of changes."""

_CENTER = POINTS.index(CENTER)
_CORNERS = tuple(POINTS.index(name) for name in CORNERS)
_TL, _TR, _BL, _BR = _CORNERS
_DIAGONALS = ((_TL, _BR), (_TR, _BL))


@dataclass(frozen=True)
class Change:
    """A change of the points.

    Attributes:
        kind: one of the constants above; ``LOCKED`` also for unlocking.
        vertebrae: indices of the vertebrae that may have changed, from top to bottom.
        is_ongoing: whether this is a part of a drag that goes on.
    """

    kind: str
    vertebrae: tuple[int, ...]
    is_ongoing: bool = False


class SpineEditor:
    """Points of one image, changed only through these methods, each of which can be undone.

    A point that the user set is *touched*: its score is 1, it has no expected error, and a new prediction leaves it
    where it is. Moving or placing a corner or center touches that point, moving or rotating a vertebra all its points;
    a point marked as not visible is touched and stays hidden. Shifting names touches the centers. Points that only
    follow (the center of a moved corner, the corners of a moved center) are not touched.

    Vertebrae ``v`` and points ``p`` are indices into ``VERTEBRAE`` and ``POINTS``. Methods that change something
    return whether they did; while the editor is locked, only ``load``, ``adopt`` and ``propose`` do.

    Attributes:
        is_own: whether the points come from a saved label or draft, not from a prediction: then a prediction replaces
            them only by a step that can be undone. To be set when points are submitted.
    """

    def __init__(self) -> None:
        self._state = PointState.empty()
        self._history = EditHistory()
        self._begun: Optional[PointState] = None
        self._in_step: set[int] = set()
        self._locked = self.is_own = False
        self._listeners: Listeners[Change] = Listeners()

    @property
    def xy(self) -> np.ndarray:
        """``(V, P, 2)`` pixels, NaN where not visible; a copy."""
        return self._state.xy[NAMED].copy()

    @property
    def scores(self) -> np.ndarray:
        """``(V, P)`` confidences, 1 where touched; a copy."""
        return self._state.scores[NAMED].copy()

    @property
    def errors(self) -> np.ndarray:
        """``(V, P)`` expected errors in pixels, NaN where there is none; a copy."""
        return self._state.errors[NAMED].copy()

    @property
    def touched(self) -> np.ndarray:
        """``(V, P)`` whether the user set the point or marked it as not visible; a copy."""
        return self._state.touched[NAMED].copy()

    @property
    def is_touched(self) -> bool:
        """Whether the user set any point or shifted the names, so that a prediction keeps something fixed."""
        return bool(self._state.touched[NAMED].any())

    @property
    def origin(self) -> Origin:
        """Provenance of the untouched points; follows ``undo`` and ``redo``."""
        return self._state.origin

    @property
    def prediction_count(self) -> int:
        """Predictions adopted since ``load`` and not undone."""
        return self._history.prediction_count

    @property
    def locked(self) -> bool:
        """Whether the points are protected against changes."""
        return self._locked

    @locked.setter
    def locked(self, on: bool) -> None:
        if bool(on) != self._locked:
            self.end()
            self._locked = bool(on)
            self._listeners.notify(Change(LOCKED, ()))

    @property
    def can_undo(self) -> bool:
        """Whether ``undo`` has a step to undo."""
        return not self._locked and self.is_changed

    @property
    def can_redo(self) -> bool:
        """Whether ``redo`` has a step to redo."""
        return not self._locked and self._history.can_redo and not self._is_step_open

    @property
    def edits(self) -> int:
        """Edits of the user since ``load`` that were not undone; a drag is one, a prediction is none."""
        return self._history.edit_count + self._is_step_open

    @property
    def is_changed(self) -> bool:
        """Whether any step since ``load``, including predictions, was not undone."""
        return self._history.can_undo or self._is_step_open

    @property
    def _is_step_open(self) -> bool:
        return self._begun is not None and not self._begun.is_same(self._state)

    def load(
        self,
        spine: Spine,
        touched: Optional[np.ndarray] = None,
        origin: Origin = UNKNOWN,
        is_own: bool = False,
    ) -> None:
        """Begin with these points and an empty history.

        Args:
            spine: points in stored pixels; those that are not visible have no position until the user places them.
            touched: ``(V, P)`` which of them the user set; none when left out.
            origin: provenance of the others.
            is_own: see the class.

        Raises:
            ValueError: ``touched`` has another shape.
        """
        touched = np.zeros((V, P), dtype=bool) if touched is None else np.asarray(touched, dtype=bool)
        if touched.shape != (V, P):
            raise ValueError(f"touched must have shape {(V, P)}, got {touched.shape}")
        self._state = PointState.of_spine(spine, origin)
        self._state.touched[NAMED] = touched
        self.is_own = is_own
        self._history.clear()
        self._begun = None
        self._listeners.notify(Change(LOADED, tuple(range(V))))

    def propose(self, spine: Spine, origin: Origin = UNKNOWN) -> bool:
        """Take a prediction: by ``load`` while no user has worked on the points, else by ``adopt``.

        Returns:
            Whether it is a step that can be undone.
        """
        is_step = self.is_own or self.is_changed or self.is_touched
        if is_step:
            self.adopt(spine, origin)
        else:
            self.load(spine, origin=origin)
        return is_step

    def adopt(self, spine: Spine, origin: Origin = UNKNOWN) -> None:
        """Replace all untouched points by a prediction; one step, which is no edit.

        Where the user moved a point while the prediction was made, the vertebra's other points are shifted with it.
        """
        self.end()
        before = self._state.copy()
        self._take(spine, origin)
        self._history.push(before, is_edit=False)
        self._listeners.notify(Change(ADOPTED, tuple(range(V))))

    def follow(self, spine: Spine, origin: Origin = UNKNOWN) -> bool:
        """Adopt a prediction around the last edit as a part of that edit, so that one undo reverts both.

        Returns:
            Whether that was done: not without an edit, or during one.
        """
        if self._begun is not None or not self._history.ends_with_edit:
            return False
        self._take(spine, origin)
        self._listeners.notify(Change(ADOPTED, tuple(range(V))))
        return True

    def begin(self) -> None:
        """Begin a step that contains all changes until ``end``; no effect within a step."""
        if self._begun is None and not self._locked:
            self._begun, self._in_step = self._state.copy(), set()

    def end(self) -> None:
        """End the step begun by ``begin``, if there is one."""
        if self._begun is None:
            return
        before, self._begun = self._begun, None
        if not before.is_same(self._state):
            self._history.push(before, is_edit=True)
            self._listeners.notify(Change(MOVED, tuple(sorted(self._in_step))))

    def cancel(self) -> bool:
        """Revert the step that is going on; returns whether that changed anything."""
        if self._begun is None:
            return False
        before, self._begun = self._begun, None
        if before.is_same(self._state):
            return False
        self._state = before
        self._listeners.notify(Change(CANCELLED, tuple(sorted(self._in_step))))
        return True

    def move_point(self, v: int, p: int, xy: tuple[float, float]) -> bool:
        """Move a visible point: the center of its vertebra follows a corner, the corners follow the center.

        Raises:
            ValueError: there is no such point, it is not visible, or the position is not two finite numbers.
        """
        _check_index(v, p)
        if not np.isfinite(self._state.xy[NAMED][v, p]).all():
            raise ValueError(f"{VERTEBRAE[v]} {POINTS[p]} is not visible and cannot be moved; place it")
        return self._put(v, p, _checked_xy(xy), MOVED)

    def place(self, v: int, p: int, xy: tuple[float, float]) -> bool:
        """Set the position of a point, whether it was visible before or not.

        The fourth corner sets the center, if there is none.

        Raises:
            ValueError: there is no such point, or the position is not two finite numbers.
        """
        _check_index(v, p)
        return self._put(v, p, _checked_xy(xy), PLACED)

    def place_corners(self, v: int, corners: np.ndarray) -> bool:
        """Set all corners of a vertebra at once; its center becomes their mean.

        Args:
            v: index of the vertebra.
            corners: ``(4, 2)`` pixels, ordered as ``CORNERS``.

        Raises:
            ValueError: there is no such vertebra, or the corners are not four finite points.
        """
        _check_index(v)
        corners = np.asarray(corners, dtype=float)
        if corners.shape != (len(CORNERS), 2) or not np.isfinite(corners).all():
            raise ValueError(f"corners must be four points of two finite numbers, got {corners.tolist()}")
        with self._step(PLACED, v) as may:
            if may:
                self._state.xy[V + v, _CORNERS] = corners
                self._state.xy[V + v, _CENTER] = corners.mean(axis=0)
                self._touch(v, _CORNERS)
        return may

    def move_vertebra(self, v: int, dxy: tuple[float, float]) -> bool:
        """Shift all visible points of a vertebra by (x, y) pixels.

        Raises:
            ValueError: there is no such vertebra, or the shift is not two finite numbers.
        """
        _check_index(v)
        return self._map(v, lambda points: points + _checked_xy(dxy))

    def rotate_vertebra(self, v: int, degrees: float, pixel_aspect: float = 1.0) -> bool:
        """Rotate a vertebra about its center, clockwise in the stored raster for positive degrees.

        Without a center it rotates about the mean of its visible corners.

        Args:
            v: index of the vertebra.
            degrees: of the rotation.
            pixel_aspect: width over height of a stored pixel; the body keeps its shape in the patient.

        Raises:
            ValueError: there is no such vertebra, or the angle is not finite.
        """
        _check_index(v)
        if not np.isfinite(degrees):
            raise ValueError(f"degrees must be a finite number, got {degrees}")

        def rotated(points: np.ndarray) -> np.ndarray:
            pivot = pivot_of(self._state.xy[NAMED][v])
            turn = rotation(degrees)
            turn[:2, :2] *= [[1.0, 1 / pixel_aspect], [pixel_aspect, 1.0]]
            return transform_points(turn, points - pivot) + pivot

        return self._map(v, rotated)

    def hide(self, v: int, p: Optional[int] = None) -> bool:
        """Mark a point, or a whole vertebra, as not visible; a prediction does not bring it back.

        Raises:
            ValueError: there is no such vertebra or point.
        """
        _check_index(v, p)
        points = range(P) if p is None else (p,)
        with self._step(HIDDEN, v) as may:
            if may:
                self._state.xy[V + v, list(points)] = np.nan
                self._touch(v, tuple(points))
        return may

    def shift_names(self, by: int) -> bool:
        """Give every vertebra the name of the next one below (1) or above (-1): T7 becomes T8, or T6.

        This touches the centers, so that a prediction keeps the names. A vertebra that is shifted over the end comes
        back by the opposite shift or by ``undo``.

        Raises:
            ValueError: ``by`` is neither 1 nor -1.
        """
        if by not in (1, -1):
            raise ValueError(f"names are shifted by 1 or -1, got {by}")
        arrays = (np.roll(array, by, axis=0) for array in self._state.arrays)
        shifted = PointState(*arrays, self._state.origin.shifted(by))
        lost = 0 if by == 1 else -1
        for array, fresh in zip(shifted.arrays, PointState.empty().arrays):
            array[lost] = fresh[lost]
        if not np.isfinite(shifted.xy[NAMED]).any():
            return False
        with self._step(SHIFTED, *range(V)) as may:
            if may:
                self._state = shifted
                for v in np.flatnonzero(np.isfinite(shifted.xy[NAMED, _CENTER]).all(axis=-1)).tolist():
                    self._touch(v, (_CENTER,))
        return may

    def undo(self) -> bool:
        """Undo the last step; during a drag, the drag."""
        if self._locked:
            return False
        if self.cancel():
            return True
        return self._travel(self._history.undo(self._state), UNDONE)

    def redo(self) -> bool:
        """Redo the step that was undone last."""
        if self._locked or self._begun is not None:
            return False
        return self._travel(self._history.redo(self._state), REDONE)

    def fixed(self) -> dict[str, dict[str, list[float]]]:
        """Pixels of touched visible points, by vertebra and point, to be kept by an inference."""
        xy, touched = self._state.xy[NAMED], self._state.touched[NAMED]
        found: dict[str, dict[str, list[float]]] = {}
        for v, p in np.argwhere(touched & np.isfinite(xy).all(axis=-1)).tolist():
            found.setdefault(VERTEBRAE[v], {})[POINTS[p]] = xy[v, p].tolist()
        return found

    def spine(self) -> Spine:
        """The points; those off the image are not visible."""
        xy, off_image = self.xy, self._state.off_image[NAMED]
        visible = np.isfinite(xy).all(axis=-1)
        return Spine.from_arrays(np.where(visible[..., None], xy, off_image), self.scores, self.errors, visible)

    def subscribe(self, listener: Callable[[Change], object]) -> Callable[[], None]:
        """Call the listener after every change; returns a function that ends it."""
        return self._listeners.subscribe(listener)

    def _take(self, spine: Spine, origin: Origin) -> None:
        """Replace untouched points, see ``adopt``."""
        before, old, touched = self._state, self.xy, self.touched
        self._state = PointState.of_spine(spine, origin)
        for array, kept in zip(self._state.arrays, before.arrays):
            array[NAMED][touched] = kept[NAMED][touched]
        new = self._state.xy[NAMED]
        for v in np.flatnonzero(touched.any(axis=1)).tolist():
            predicted = spine.visible_xy[v]
            fixed = np.where(touched[v][:, None], old[v], np.nan)
            there = np.isfinite(predicted).all(axis=1)
            if np.isfinite(fixed[there]).any():
                follow = there & ~touched[v]
                new[v][follow] = drag_along(predicted[there], fixed[there])[follow[there]]

    def _put(self, v: int, p: int, position: np.ndarray, kind: str) -> bool:
        with self._step(kind, v) as may:
            if may:
                points = self._state.xy[V + v]
                if p == _CENTER and np.isfinite(points[p]).all():
                    points[list(_CORNERS)] += position - points[p]
                points[p] = position
                self._touch(v, (p,))
                if p != _CENTER:
                    points[_CENTER] = _center_of(points)
        return may

    def _map(self, v: int, mapping: Callable[[np.ndarray], np.ndarray]) -> bool:
        visible = np.flatnonzero(np.isfinite(self._state.xy[V + v]).all(axis=-1))
        if not len(visible):
            return False
        moved = mapping(self._state.xy[V + v, visible])
        with self._step(MOVED, v) as may:
            if may:
                self._state.xy[V + v, visible] = moved
                self._touch(v, tuple(visible.tolist()))
        return may

    def _touch(self, v: int, points: tuple[int, ...]) -> None:
        row, columns = V + v, list(points)
        self._state.touched[row, columns] = True
        self._state.scores[row, columns] = 1.0
        self._state.errors[row, columns] = self._state.off_image[row, columns] = np.nan

    @contextmanager
    def _step(self, kind: str, *vertebrae: int) -> Iterator[bool]:
        """Yields whether the state may be changed; afterwards adds the step and notifies the listeners."""
        if self._locked:
            yield False
            return
        is_ongoing = self._begun is not None
        before = None if is_ongoing else self._state.copy()
        yield True
        if before is None:
            self._in_step.update(vertebrae)
        else:
            self._history.push(before, is_edit=True)
        self._listeners.notify(Change(kind, vertebrae, is_ongoing))

    def _travel(self, state: Optional[PointState], kind: str) -> bool:
        if state is None:
            return False
        before, self._state = self._state, state
        self._listeners.notify(Change(kind, before.changed_vertebrae(state)))
        return True


def pivot_of(points: np.ndarray) -> np.ndarray:
    """Pivot of a rotation: the center of the vertebra, or the mean of its visible corners.

    Args:
        points: ``(P, 2)`` points of one vertebra, NaN where not visible; at least one is.

    Returns:
        ``(2,)`` pixels.
    """
    if np.isfinite(points[_CENTER]).all():
        return points[_CENTER]
    pivot: np.ndarray = np.nanmean(points, axis=0)
    return pivot


def _center_of(points: np.ndarray) -> np.ndarray:
    """Center of a vertebra ``(P, 2)`` from its corners.

    With all corners it is their mean, as in the schema. While a corner is not visible it is the middle of a complete
    diagonal, as the mean of three corners is biased; without one the center stays.
    """
    corners = points[list(_CORNERS)]
    if np.isfinite(corners).all():
        mean: np.ndarray = corners.mean(axis=0)
        return mean
    has_center = np.isfinite(points[_CENTER]).all()
    diagonals = (points[list(ends)] for ends in _DIAGONALS)
    middles = [ends.mean(axis=0) for ends in diagonals if np.isfinite(ends).all()]
    return middles[0] if middles and has_center else points[_CENTER]


def _check_index(v: int, p: Optional[int] = None) -> None:
    if not 0 <= v < V:
        raise ValueError(f"a vertebra is a number from 0 (T1) to {V - 1} (L5), got {v}")
    if p is not None and not 0 <= p < P:
        raise ValueError(f"a point is a number from 0 (center) to {P - 1} (BR), got {p}")


def _checked_xy(xy: tuple[float, float]) -> np.ndarray:
    position = np.asarray(xy, dtype=float)
    if position.shape != (2,) or not np.isfinite(position).all():
        raise ValueError(f"a position must be two finite numbers of pixels, got {xy!r:.80}")
    return position
