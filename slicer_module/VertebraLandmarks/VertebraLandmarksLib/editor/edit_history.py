"""State of the points that the editor changes, and its undo and redo history."""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np

from ..spine.measurement.origin import UNKNOWN, Origin
from ..spine.schema import POINTS, VERTEBRAE, Spine

V, P = len(VERTEBRAE), len(POINTS)
NAMED = slice(V, 2 * V)
"""Rows of the state that have names; those above and below were shifted over the ends by ``shift_names``."""


class PointState(NamedTuple):
    """Arrays of ``3 V`` rows, see ``NAMED``.

    Attributes:
        xy: ``(3 V, P, 2)`` pixels, NaN where not visible.
        off_image: ``(3 V, P, 2)`` assumed pixels of points that are not visible, NaN for all others.
        scores: ``(3 V, P)`` confidences.
        errors: ``(3 V, P)`` expected errors in pixels, NaN without one.
        touched: ``(3 V, P)`` whether the user set the point.
        origin: provenance of the others.
    """

    xy: np.ndarray
    off_image: np.ndarray
    scores: np.ndarray
    errors: np.ndarray
    touched: np.ndarray
    origin: Origin

    @classmethod
    def empty(cls, origin: Origin = UNKNOWN) -> PointState:
        """No points."""
        shape = (3 * V, P)
        nowhere, unknown = np.full((*shape, 2), np.nan), np.full(shape, np.nan)
        return cls(nowhere, nowhere.copy(), np.ones(shape), unknown, np.zeros(shape, dtype=bool), origin)

    @classmethod
    def of_spine(cls, spine: Spine, origin: Origin) -> PointState:
        """The points of a spine in stored pixels, none of them touched."""
        state = cls.empty(origin)
        state.xy[NAMED], state.scores[NAMED], state.errors[NAMED] = spine.visible_xy, spine.scores, spine.errors
        state.off_image[NAMED] = np.where(spine.visible[..., None], np.nan, spine.xy)
        return state

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All arrays."""
        return self[:-1]

    def copy(self) -> PointState:
        """A copy with arrays of its own."""
        return PointState(*(array.copy() for array in self.arrays), self.origin)

    def is_same(self, other: PointState) -> bool:
        """Whether all arrays are equal."""
        return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(self.arrays, other.arrays))

    def changed_vertebrae(self, other: PointState) -> tuple[int, ...]:
        """Indices of the vertebrae that differ."""
        pairs = [(a[NAMED], b[NAMED]) for a, b in zip(self.arrays, other.arrays)]
        return tuple(v for v in range(V) if not all(np.array_equal(a[v], b[v], equal_nan=True) for a, b in pairs))


class _Step(NamedTuple):
    """State before a step, and whether the step is an edit of the user rather than a prediction."""

    state: PointState
    is_edit: bool


class EditHistory:
    """Undo and redo stacks."""

    def __init__(self) -> None:
        self._undo: list[_Step] = []
        self._redo: list[_Step] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to redo."""
        return bool(self._redo)

    @property
    def edit_count(self) -> int:
        """Number of edits of the user that were not undone."""
        return sum(step.is_edit for step in self._undo)

    @property
    def prediction_count(self) -> int:
        """Number of adopted predictions that were not undone."""
        return len(self._undo) - self.edit_count

    @property
    def ends_with_edit(self) -> bool:
        """Whether the last step is an edit of the user."""
        return bool(self._undo) and self._undo[-1].is_edit

    def clear(self) -> None:
        """Drop all steps."""
        self._undo, self._redo = [], []

    def push(self, before: PointState, is_edit: bool) -> None:
        """Add a step that began with the state ``before``."""
        self._undo.append(_Step(before, is_edit))
        self._redo = []

    def undo(self, present: PointState) -> Optional[PointState]:
        """The state before the last step; ``None`` without one."""
        return self._travel(self._undo, self._redo, present)

    def redo(self, present: PointState) -> Optional[PointState]:
        """The state after the step that was undone last; ``None`` without one."""
        return self._travel(self._redo, self._undo, present)

    @staticmethod
    def _travel(source: list[_Step], target: list[_Step], present: PointState) -> Optional[PointState]:
        if not source:
            return None
        state, is_edit = source.pop()
        target.append(_Step(present, is_edit))
        return state.copy()
