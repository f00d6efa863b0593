"""Orientation of an image from the directions of its plane in the patient.

Convention: an upright frontal image has the patient's feet at its bottom; one that must be turned is brought to the
standard hanging, the patient's right at the image's left. A plane without an axis along the body, as converters give
it to plain rasters, is upright where its rows run to +x and its columns to +y in LPS.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..measurement.image_warnings import OTHER_VIEW, ImageWarning
from .orientation import UPRIGHT, Orientation

CORONAL, SAGITTAL, RASTER = "coronal", "sagittal", "raster"

_PLANES = {frozenset({0, 2}): CORONAL, frozenset({1, 2}): SAGITTAL, frozenset({0, 1}): RASTER}
_FEET = (2, -1)
_ALL = tuple(Orientation(turns, is_mirrored) for is_mirrored in (False, True) for turns in range(4))
_LETTERS = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "H": (2, 1), "F": (2, -1)}

Axis = tuple[int, int]
"""Which of x, y, z in LPS a direction is nearest to, and its sign."""


@dataclass(frozen=True)
class Plane:
    """A stated plane.

    Attributes:
        kind: ``CORONAL``, ``SAGITTAL`` or ``RASTER``, whose axes say nothing about a standing patient.
        orientation: how to turn it upright; ``None`` where the directions are the default of writing programs.
        image_left_is: the patient's side at the left of the upright image; ``None`` where the plane does not tell.
        is_half_turned: whether a raster runs to -x and -y, the identity in RAS.
    """

    kind: str
    orientation: Orientation | None
    image_left_is: str | None = None
    is_half_turned: bool = False

    def warnings(self, source: str) -> tuple[ImageWarning, ...]:
        """Warning about a sagittal plane.

        Args:
            source: the tag that states the plane, with its value.
        """
        if self.kind != SAGITTAL:
            return ()
        sentence = f"{source} says that the image is a sagittal plane, a lateral view; a frontal one is expected"
        return (ImageWarning(OTHER_VIEW, sentence),)


def axis_of(direction: np.ndarray) -> Axis:
    """The axis of LPS that a direction is nearest to.

    Args:
        direction: three numbers in LPS.
    """
    main = int(np.argmax(np.abs(direction)))
    return main, 1 if direction[main] > 0 else -1


def axis_of_code(code: str) -> Axis | None:
    """The axis of the first letter of a PatientOrientation value; ``None`` where it is none."""
    return _LETTERS.get(code[:1])


def plane_of(row: Axis, column: Axis) -> Plane | None:
    """The plane spanned by the directions along a row and down a column; ``None`` where they are the same axis."""
    kind = _PLANES.get(frozenset({row[0], column[0]}))
    if kind is None:
        return None
    if kind == RASTER:
        is_identity = (row, column) == ((0, 1), (1, 1))
        orientation = None if is_identity else _orientation_to(row, column, right=(0, 1), down=(1, 1))
        return Plane(kind, orientation, is_half_turned=(row, column) == ((0, -1), (1, -1)))
    if kind == SAGITTAL:
        return Plane(kind, UPRIGHT if column == _FEET else _rotation_to_feet(row, column))
    if column == _FEET:
        return Plane(kind, UPRIGHT, "right" if row[1] > 0 else "left")
    return Plane(kind, _orientation_to(row, column, right=(0, 1), down=_FEET), "right")


def _orientation_to(row: Axis, column: Axis, right: Axis, down: Axis) -> Orientation:
    """The orientation after which rows run to ``right`` and columns to ``down``."""
    return next(o for o in _ALL if _upright_axes(o, row, column) == (right, down))


def _rotation_to_feet(row: Axis, column: Axis) -> Orientation:
    """The rotation after which columns run to the feet."""
    return next(o for o in _ALL if _upright_axes(o, row, column)[1] == _FEET)


def _upright_axes(orientation: Orientation, row: Axis, column: Axis) -> tuple[Axis, Axis]:
    stored = np.zeros((3, 2))
    stored[row[0], 0], stored[column[0], 1] = row[1], column[1]
    upright = stored @ np.linalg.inv(orientation.matrix(1, 1)[:2, :2])
    return axis_of(upright[:, 0]), axis_of(upright[:, 1])
