"""The points of one film while a person corrects them: moves, undo and redo, and which points the person set.

All of it in stored pixels, in which an image may lie on its side: what is up, down, left and right on the screen is
none of the editor's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable, NamedTuple, Optional

import numpy as np

from ..client.provenance import UNKNOWN, Origin
from ..spine.geometry import carried_along, rotation, transform_points
from ..spine.schema import CENTER, CORNERS, POINTS, VERTEBRAE, Spine

LOADED, ADOPTED, MOVED, HIDDEN, PLACED = "loaded", "adopted", "moved", "hidden", "placed"
SHIFTED, UNDONE, REDONE, CANCELLED, LOCKED = "shifted", "undone", "redone", "cancelled", "locked"
"""Kinds of changes."""

_V, _P = len(VERTEBRAE), len(POINTS)
_SHAPE = (_V, _P)
_CENTER = POINTS.index(CENTER)
_CORNERS = tuple(POINTS.index(name) for name in CORNERS)
_TL, _TR, _BL, _BR = _CORNERS
_DIAGONALS = ((_TL, _BR), (_TR, _BL))
_NAMED = slice(_V, 2 * _V)
"""Rows of the state that have names; those above and below were pushed over the ends by ``shift_names``."""


@dataclass(frozen=True)
class Change:
    """What happened to the points.

    Attributes:
        kind: one of the constants above; ``LOCKED`` also for unlocking.
        vertebrae: indices of the vertebrae that may look different now, from top to bottom.
        is_ongoing: whether this is an instant of a drag, after which more follows.
    """

    kind: str
    vertebrae: tuple[int, ...]
    is_ongoing: bool = False


class _State(NamedTuple):
    """Arrays with ``3 V`` rows, see ``_NAMED``: ``(3 V, P, 2)`` pixels, NaN where not visible; others ``(3 V, P)``.

    ``off_image`` is, in pixels too, where points that are not visible are supposed to lie; NaN for all others.
    """

    xy: np.ndarray
    off_image: np.ndarray
    scores: np.ndarray
    errors: np.ndarray
    touched: np.ndarray
    origin: Origin

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        return self[:-1]

    def copy(self) -> _State:
        return _State(*(array.copy() for array in self.arrays), self.origin)

    def is_same(self, other: _State) -> bool:
        return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(self.arrays, other.arrays))


class _Step(NamedTuple):
    """What undo and redo go back to, and whether a person's edit lies between it and the state after it."""

    state: _State
    is_edit: bool


def _empty() -> _State:
    shape = (3 * _V, _P)
    nowhere, unknown = np.full((*shape, 2), np.nan), np.full(shape, np.nan)
    return _State(nowhere, nowhere.copy(), np.ones(shape), unknown, np.zeros(shape, dtype=bool), UNKNOWN)


class SpineEditor:
    """The points of one film, changed only through these methods, each of which can be undone.

    A point that the person set is *touched*: its score is 1, it has no expected error, and a new prediction leaves it
    where it is. A moved or placed corner or center touches itself, a moved or turned vertebra all its points, and
    what was marked as not visible is touched and stays away. Shifted names touch the centers that bear them. Points
    that only follow (the center of a moved corner, the corners of a moved center) are not touched by that.

    Vertebrae ``v`` and points ``p`` are indices into ``VERTEBRAE`` and ``POINTS``. Methods that change something
    return whether they did; nothing but ``load``, ``adopt`` and ``propose`` does while the editor is locked.

    Attributes:
        is_own: whether what ``load`` began with is somebody's word, a label or work that is taken up: then a prediction
            never takes its place but by a step that can be undone. Set it where points become that, by a submit.
    """

    def __init__(self) -> None:
        self._state = _empty()
        self._undo: list[_Step] = []
        self._redo: list[_Step] = []
        self._begun: Optional[_State] = None
        self._in_step: set[int] = set()
        self._locked = self.is_own = False
        self._listeners: list[Callable[[Change], None]] = []

    @property
    def xy(self) -> np.ndarray:
        """``(V, P, 2)`` pixels, NaN where not visible; a copy."""
        return self._state.xy[_NAMED].copy()

    @property
    def scores(self) -> np.ndarray:
        """``(V, P)`` confidences, 1 where touched; a copy."""
        return self._state.scores[_NAMED].copy()

    @property
    def errors(self) -> np.ndarray:
        """``(V, P)`` expected errors in pixels, NaN where there is none; a copy."""
        return self._state.errors[_NAMED].copy()

    @property
    def touched(self) -> np.ndarray:
        """``(V, P)`` whether the person set the point or marked it as not visible; a copy."""
        return self._state.touched[_NAMED].copy()

    @property
    def is_touched(self) -> bool:
        """Whether the person set any point, or said which vertebra is which: a new prediction is one around that."""
        return bool(self._state.touched[_NAMED].any())

    @property
    def origin(self) -> Origin:
        """Where the points that are not touched come from; goes back and forth with ``undo`` and ``redo``."""
        return self._state.origin

    @property
    def prediction_count(self) -> int:
        """New predictions since ``load`` that were adopted and not undone."""
        return sum(not step.is_edit for step in self._undo)

    @property
    def locked(self) -> bool:
        """Whether points refuse to be changed."""
        return self._locked

    @locked.setter
    def locked(self, on: bool) -> None:
        if bool(on) != self._locked:
            self.end()
            self._locked = bool(on)
            self._notify(Change(LOCKED, ()))

    @property
    def can_undo(self) -> bool:
        """Whether ``undo`` has a step to take back."""
        return not self._locked and (bool(self._undo) or self._is_step_open)

    @property
    def can_redo(self) -> bool:
        """Whether ``redo`` has a step to repeat."""
        return not self._locked and bool(self._redo) and not self._is_step_open

    @property
    def edits(self) -> int:
        """Steps of the person since ``load`` that were not undone; a drag is one, a new prediction is none."""
        return sum(step.is_edit for step in self._undo) + self._is_step_open

    @property
    def is_changed(self) -> bool:
        """Whether there is any step since ``load`` that was not undone, a new prediction included."""
        return bool(self._undo) or self._is_step_open

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
        """Begin with these points and forget the history.

        Args:
            spine: points in stored pixels; those that are not visible have no place until the person gives them one.
            touched: ``(V, P)`` which of them the person set; none when left out.
            origin: where the others come from.
            is_own: see the class.

        Raises:
            ValueError: ``touched`` has another shape.
        """
        touched = np.zeros(_SHAPE, dtype=bool) if touched is None else np.asarray(touched, dtype=bool)
        if touched.shape != _SHAPE:
            raise ValueError(f"touched must have shape {_SHAPE}, got {touched.shape}")
        self._state = _with_points(_empty()._replace(origin=origin), spine)
        self._state.touched[_NAMED] = touched
        self.is_own = is_own
        self._undo, self._redo, self._begun = [], [], None
        self._notify(Change(LOADED, tuple(range(_V))))

    def propose(self, spine: Spine, origin: Origin = UNKNOWN) -> bool:
        """Take a prediction: as a beginning while there is nobody's work, else as a step that can be undone.

        Returns:
            Whether it is such a step.
        """
        is_step = self.is_own or self.is_changed or self.is_touched
        if is_step:
            self.adopt(spine, origin)
        else:
            self.load(spine, origin=origin)
        return is_step

    def adopt(self, spine: Spine, origin: Origin = UNKNOWN) -> None:
        """Take a new prediction for all that is not touched; one step, which is no edit.

        Where a touched point of a vertebra lies elsewhere than predicted, since the person moved it while the
        prediction was made, the vertebra's other points are carried along.
        """
        self.end()
        before = self._state.copy()
        self._take(spine, origin)
        self._push(before, is_edit=False)
        self._notify(Change(ADOPTED, tuple(range(_V))))

    def follow(self, spine: Spine, origin: Origin = UNKNOWN) -> bool:
        """Adopt a prediction around the last edit as a part of it, so that undo takes both back at once.

        Returns:
            Whether that was done: not without an edit, or amid one.
        """
        if self._begun is not None or not self._undo or not self._undo[-1].is_edit:
            return False
        self._take(spine, origin)
        self._notify(Change(ADOPTED, tuple(range(_V))))
        return True

    def begin(self) -> None:
        """Let what is changed from now to ``end`` be one step; within such a step, do nothing."""
        if self._begun is None and not self._locked:
            self._begun, self._in_step = self._state.copy(), set()

    def end(self) -> None:
        """End the step that ``begin`` began, if there is one."""
        if self._begun is None:
            return
        before, self._begun = self._begun, None
        if not before.is_same(self._state):
            self._push(before, is_edit=True)
            self._notify(Change(MOVED, tuple(sorted(self._in_step))))

    def cancel(self) -> bool:
        """Go back to where the step that is going on began; returns whether that changed anything."""
        if self._begun is None:
            return False
        before, self._begun = self._begun, None
        if before.is_same(self._state):
            return False
        self._state = before
        self._notify(Change(CANCELLED, tuple(sorted(self._in_step))))
        return True

    def move_point(self, v: int, p: int, xy: tuple[float, float]) -> bool:
        """Move a visible point: the center of its vertebra follows a corner, the corners follow the center.

        Raises:
            ValueError: there is no such point, it is not visible, or the place is not two finite numbers.
        """
        _check_place(v, p)
        if not np.isfinite(self._state.xy[_NAMED][v, p]).all():
            raise ValueError(f"{VERTEBRAE[v]} {POINTS[p]} is not visible and cannot be moved; place it")
        return self._put(v, p, _checked_xy(xy), MOVED)

    def place(self, v: int, p: int, xy: tuple[float, float]) -> bool:
        """Put a point where it is, whether it was visible before or not; a visible one is moved.

        The fourth corner brings the center, if there is none.

        Raises:
            ValueError: there is no such point, or the place is not two finite numbers.
        """
        _check_place(v, p)
        return self._put(v, p, _checked_xy(xy), PLACED)

    def place_corners(self, v: int, corners: np.ndarray) -> bool:
        """Put all corners of a vertebra at once; its center lies amid them.

        Args:
            v: index of the vertebra.
            corners: ``(4, 2)`` pixels, ordered as ``CORNERS``.

        Raises:
            ValueError: there is no such vertebra, or the corners are not four finite points.
        """
        _check_place(v)
        corners = np.asarray(corners, dtype=float)
        if corners.shape != (len(CORNERS), 2) or not np.isfinite(corners).all():
            raise ValueError(f"corners must be four points of two finite numbers, got {corners.tolist()}")
        with self._step(PLACED, v) as may:
            if may:
                self._state.xy[_V + v, _CORNERS] = corners
                self._state.xy[_V + v, _CENTER] = corners.mean(axis=0)
                self._touch(v, _CORNERS)
        return may

    def move_vertebra(self, v: int, dxy: tuple[float, float]) -> bool:
        """Shift all visible points of a vertebra by (x, y) pixels.

        Raises:
            ValueError: there is no such vertebra, or the shift is not two finite numbers.
        """
        _check_place(v)
        return self._map(v, lambda points: points + _checked_xy(dxy))

    def rotate_vertebra(self, v: int, degrees: float) -> bool:
        """Turn a vertebra about its center, clockwise in the stored raster for positive degrees.

        Without a center it turns about the mean of its visible corners.

        Raises:
            ValueError: there is no such vertebra, or the angle is not finite.
        """
        _check_place(v)
        if not np.isfinite(degrees):
            raise ValueError(f"degrees must be a finite number, got {degrees}")

        def turned(points: np.ndarray) -> np.ndarray:
            pivot = pivot_of(self._state.xy[_NAMED][v])
            return transform_points(rotation(degrees), points - pivot) + pivot

        return self._map(v, turned)

    def hide(self, v: int, p: Optional[int] = None) -> bool:
        """Mark a point, or a whole vertebra, as not visible; a new prediction does not bring it back.

        Raises:
            ValueError: there is no such vertebra or point.
        """
        _check_place(v, p)
        points = range(_P) if p is None else (p,)
        with self._step(HIDDEN, v) as may:
            if may:
                self._state.xy[_V + v, list(points)] = np.nan
                self._touch(v, tuple(points))
        return may

    def shift_names(self, by: int) -> bool:
        """Give every vertebra the name of the next one below (1) or above (-1): T7 becomes T8, or T6.

        The centers are touched by that, so that a new prediction keeps the names.
        A vertebra that is pushed over the end comes back by the opposite shift or by ``undo``.

        Raises:
            ValueError: ``by`` is neither 1 nor -1.
        """
        if by not in (1, -1):
            raise ValueError(f"names are shifted by 1 or -1, got {by}")
        arrays = (np.roll(array, by, axis=0) for array in self._state.arrays)
        shifted = _State(*arrays, self._state.origin.shifted(by))
        lost = 0 if by == 1 else -1
        for array, fresh in zip(shifted.arrays, _empty().arrays):
            array[lost] = fresh[lost]
        if not np.isfinite(shifted.xy[_NAMED]).any():
            return False
        with self._step(SHIFTED, *range(_V)) as may:
            if may:
                self._state = shifted
                for v in np.flatnonzero(np.isfinite(shifted.xy[_NAMED, _CENTER]).all(axis=-1)).tolist():
                    self._touch(v, (_CENTER,))
        return may

    def undo(self) -> bool:
        """Take the last step back; in the middle of a drag, the drag."""
        if self._locked:
            return False
        if self.cancel():
            return True
        return self._travel(self._undo, self._redo, UNDONE)

    def redo(self) -> bool:
        """Repeat the step that was undone last."""
        return not self._locked and self._begun is None and self._travel(self._redo, self._undo, REDONE)

    def fixed(self) -> dict[str, dict[str, list[float]]]:
        """Pixels of what is touched and visible, by vertebra and point, for an inference around it."""
        xy, touched = self._state.xy[_NAMED], self._state.touched[_NAMED]
        found: dict[str, dict[str, list[float]]] = {}
        for v, p in np.argwhere(touched & np.isfinite(xy).all(axis=-1)).tolist():
            found.setdefault(VERTEBRAE[v], {})[POINTS[p]] = xy[v, p].tolist()
        return found

    def spine(self) -> Spine:
        """The points as they are now; those off the image are not visible."""
        xy, off_image = self.xy, self._state.off_image[_NAMED]
        visible = np.isfinite(xy).all(axis=-1)
        return Spine.from_arrays(np.where(visible[..., None], xy, off_image), self.scores, self.errors, visible)

    def subscribe(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call the listener after every change; what is returned ends that."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def _take(self, spine: Spine, origin: Origin) -> None:
        """Put a prediction in the place of all that is not touched, see ``adopt``."""
        before, old = self._state, self.xy
        touched = self.touched
        self._state = _with_points(_empty()._replace(origin=origin), spine)
        for array, kept in zip(self._state.arrays, before.arrays):
            array[_NAMED][touched] = kept[_NAMED][touched]
        new = self._state.xy[_NAMED]
        for v in np.flatnonzero(touched.any(axis=1)).tolist():
            predicted = spine.visible_xy[v]
            places = np.where(touched[v][:, None], old[v], np.nan)
            there = np.isfinite(predicted).all(axis=1)
            if np.isfinite(places[there]).any():
                follow = there & ~touched[v]
                new[v][follow] = carried_along(predicted[there], places[there])[follow[there]]

    def _put(self, v: int, p: int, place: np.ndarray, kind: str) -> bool:
        with self._step(kind, v) as may:
            if may:
                points = self._state.xy[_V + v]
                if p == _CENTER and np.isfinite(points[p]).all():
                    points[list(_CORNERS)] += place - points[p]
                points[p] = place
                self._touch(v, (p,))
                if p != _CENTER:
                    points[_CENTER] = _center_amid(points)
        return may

    def _map(self, v: int, mapping: Callable[[np.ndarray], np.ndarray]) -> bool:
        visible = np.flatnonzero(np.isfinite(self._state.xy[_V + v]).all(axis=-1))
        if not len(visible):
            return False
        moved = mapping(self._state.xy[_V + v, visible])
        with self._step(MOVED, v) as may:
            if may:
                self._state.xy[_V + v, visible] = moved
                self._touch(v, tuple(visible.tolist()))
        return may

    def _touch(self, v: int, points: tuple[int, ...]) -> None:
        row, columns = _V + v, list(points)
        self._state.touched[row, columns] = True
        self._state.scores[row, columns] = 1.0
        self._state.errors[row, columns] = self._state.off_image[row, columns] = np.nan

    @contextmanager
    def _step(self, kind: str, *vertebrae: int) -> Iterator[bool]:
        """Yields whether the state may be changed; afterwards remembers the step and tells the listeners."""
        if self._locked:
            yield False
            return
        is_ongoing = self._begun is not None
        before = None if is_ongoing else self._state.copy()
        yield True
        if before is None:
            self._in_step.update(vertebrae)
        else:
            self._push(before, is_edit=True)
        self._notify(Change(kind, vertebrae, is_ongoing))

    def _push(self, before: _State, is_edit: bool) -> None:
        self._undo.append(_Step(before, is_edit))
        self._redo = []

    def _travel(self, source: list[_Step], target: list[_Step], kind: str) -> bool:
        if not source:
            return False
        state, is_edit = source.pop()
        target.append(_Step(self._state, is_edit))
        before, self._state = self._state, state.copy()
        rows = np.flatnonzero([not _same_row(before, state, _V + v) for v in range(_V)])
        self._notify(Change(kind, tuple(rows.tolist())))
        return True

    def _notify(self, change: Change) -> None:
        for listener in tuple(self._listeners):
            listener(change)


def pivot_of(points: np.ndarray) -> np.ndarray:
    """What a vertebra turns about: its center, or the mean of its visible corners.

    Args:
        points: ``(P, 2)`` points of one vertebra, NaN where not visible; at least one is.

    Returns:
        ``(2,)`` pixels.
    """
    if np.isfinite(points[_CENTER]).all():
        return points[_CENTER]
    pivot: np.ndarray = np.nanmean(points, axis=0)
    return pivot


def _with_points(state: _State, spine: Spine) -> _State:
    state.xy[_NAMED], state.scores[_NAMED], state.errors[_NAMED] = spine.visible_xy, spine.scores, spine.errors
    state.off_image[_NAMED] = np.where(spine.visible[..., None], np.nan, spine.xy)
    return state


def _same_row(a: _State, b: _State, row: int) -> bool:
    return all(np.array_equal(x[row], y[row], equal_nan=True) for x, y in zip(a.arrays, b.arrays))


def _center_amid(points: np.ndarray) -> np.ndarray:
    """The center of a vertebra ``(P, 2)`` by its corners.

    With all corners it is their mean, which the schema says. While a corner is not visible, the middle of a diagonal
    stands for that, as the mean of three lies off it; with neither the center stays.
    """
    corners = points[list(_CORNERS)]
    if np.isfinite(corners).all():
        mean: np.ndarray = corners.mean(axis=0)
        return mean
    has_center = np.isfinite(points[_CENTER]).all()
    diagonals = (points[list(ends)] for ends in _DIAGONALS)
    middles = [ends.mean(axis=0) for ends in diagonals if np.isfinite(ends).all()]
    return middles[0] if middles and has_center else points[_CENTER]


def _check_place(v: int, p: Optional[int] = None) -> None:
    if not 0 <= v < _V:
        raise ValueError(f"a vertebra is a number from 0 (T1) to {_V - 1} (L5), got {v}")
    if p is not None and not 0 <= p < _P:
        raise ValueError(f"a point is a number from 0 (center) to {_P - 1} (BR), got {p}")


def _checked_xy(xy: tuple[float, float]) -> np.ndarray:
    place = np.asarray(xy, dtype=float)
    if place.shape != (2,) or not np.isfinite(place).all():
        raise ValueError(f"a place must be two finite numbers of pixels, got {xy!r:.80}")
    return place
