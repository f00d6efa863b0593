"""Geometry of points: affine maps, mirror images, distances between centers, heights and tilts of bodies."""

from __future__ import annotations

from typing import Optional

import numpy as np

from .schema import CORNERS, POINTS

_CORNERS = tuple(POINTS.index(name) for name in CORNERS)
_LEFT, _RIGHT = (tuple(CORNERS.index(end + side) for end in "TB") for side in "LR")
_COLLINEAR = 0.05  # smallest over largest extent below which points count as lying in a line


def mirrored_order(names: tuple[str, ...]) -> tuple[int, ...]:
    """Order of the points after left and right are exchanged, as indices into ``names``.

    Raises:
        ValueError: a name's mirror image is not among the names.
    """
    return tuple(names.index(name.translate(str.maketrans("LR", "RL"))) for name in names)


def check_shape(name: str, array: np.ndarray, shape: tuple[Optional[int], ...]) -> None:
    """Raise unless the array ends in the given shape.

    Args:
        name: what the array is, for the message.
        array: any array.
        shape: the wanted last axes; ``None`` stands for any length.

    Raises:
        ValueError: the last axes differ.
    """
    last = array.shape[-len(shape) :]
    if len(last) != len(shape) or any(want is not None and want != got for want, got in zip(shape, last)):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise ValueError(f"{name} must have shape (..., {wanted}), got {array.shape}")


def transform_points(matrix: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Map points.

    Args:
        matrix: ``(3, 3)`` affine matrix acting on columns (x, y, 1).
        xy: ``(..., 2)`` points; NaN stays NaN.

    Returns:
        ``(..., 2)`` mapped points.

    Raises:
        ValueError: a shape is wrong.
    """
    check_shape("matrix", matrix, (3, 3))
    check_shape("xy", xy, (2,))
    mapped: np.ndarray = xy @ matrix[:2, :2].T + matrix[:2, 2]
    return mapped


def scaling(scale_x: float, scale_y: float) -> np.ndarray:
    """``(3, 3)`` matrix that follows an image resized by these factors (its outer edges stay aligned).

    A pixel center at 0 lies half a pixel inside the edge, so it moves to ``scale / 2 - 1 / 2``.
    """
    return np.array([[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2], [0, 0, 1]], dtype=float)


def translation(dx: float, dy: float) -> np.ndarray:
    """``(3, 3)`` matrix of a shift in pixels."""
    return np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1]], dtype=float)


def rotation(angle_deg: float) -> np.ndarray:
    """``(3, 3)`` matrix of a rotation about the origin, clockwise on the screen for positive angles."""
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=float)


def mirror_points(points: np.ndarray, width: int) -> np.ndarray:
    """Mirror points at the vertical midline of an image; left corners become right corners.

    Args:
        points: ``(..., P, C)``, x in the first of C >= 2 columns; further columns are kept.
        width: width of the image in pixels.

    Returns:
        The mirrored copy.

    Raises:
        ValueError: the axis before the last does not have length P.
    """
    check_shape("points", points, (len(POINTS), None))
    mirrored = np.array(points[..., mirrored_order(POINTS), :], dtype=float)
    mirrored[..., 0] = width - 1 - mirrored[..., 0]
    return mirrored


def centers_of(corners: np.ndarray) -> np.ndarray:
    """Centers as the means of the four corners.

    Args:
        corners: ``(..., 4, 2)`` corners.

    Returns:
        ``(..., 2)`` centers, NaN where a corner is NaN.

    Raises:
        ValueError: the shape is wrong.
    """
    check_shape("corners", corners, (len(CORNERS), 2))
    return corners.mean(axis=-2)


def with_centers(corners: np.ndarray) -> np.ndarray:
    """All five points of vertebrae known by their corners.

    Args:
        corners: ``(..., 4, 2)`` corners.

    Returns:
        ``(..., P, 2)`` the center, then the corners.

    Raises:
        ValueError: the shape is wrong.
    """
    return np.concatenate([centers_of(corners)[..., None, :], corners], axis=-2)


def corners_of(points: np.ndarray) -> np.ndarray:
    """The four corners among five points.

    Args:
        points: ``(..., P, C)`` points.

    Returns:
        ``(..., 4, C)`` in the order of ``schema.CORNERS``.

    Raises:
        ValueError: the shape is wrong.
    """
    check_shape("points", points, (len(POINTS), None))
    return points[..., _CORNERS, :]


def center_distances(centers: np.ndarray) -> np.ndarray:
    """Distances between neighbouring centers, called steps where they serve as a unit.

    Args:
        centers: ``(..., V, 2)`` from top to bottom.

    Returns:
        ``(..., V - 1)`` distances in pixels, NaN beside an absent center.

    Raises:
        ValueError: the last axis is not 2.
    """
    check_shape("centers", centers, (None, 2))
    return np.linalg.norm(np.diff(centers, axis=-2), axis=-1)


def drag_along(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Move all points by the affine map that brings some of them to their targets with the least change of shape.

    One target shifts all points. Two also stretch or shear them along the line through both, three determine the map;
    more, and three in a line, are met in the least-squares sense.

    Args:
        points: ``(N, 2)``.
        targets: ``(N, 2)`` positions of the dragged points, NaN for those that follow.

    Returns:
        ``(N, 2)``.

    Raises:
        ValueError: the shapes differ, or no point has a target.
    """
    check_shape("points", points, (None, 2))
    check_shape("targets", targets, points.shape)
    is_dragged = np.isfinite(targets).all(axis=-1)
    if not is_dragged.any():
        raise ValueError("targets must hold the position of at least one point, got none")
    middle, moves = points[is_dragged].mean(axis=0), (targets - points)[is_dragged]
    linear = np.linalg.pinv(points[is_dragged] - middle, rcond=_COLLINEAR) @ (moves - moves.mean(axis=0))
    moved: np.ndarray = points + moves.mean(axis=0) + (points - middle) @ linear
    return moved


def body_heights(corners: np.ndarray) -> np.ndarray:
    """Mean of the left and the right side's length.

    Args:
        corners: ``(..., 4, 2)``.

    Returns:
        ``(...)`` in the unit of the corners, NaN where a corner is.

    Raises:
        ValueError: the shape is wrong.
    """
    check_shape("corners", corners, (len(CORNERS), 2))
    tl, tr, bl, br = (corners[..., k, :] for k in range(len(CORNERS)))
    heights: np.ndarray = (np.linalg.norm(bl - tl, axis=-1) + np.linalg.norm(br - tr, axis=-1)) / 2
    return heights


def endplate_lines(corners: np.ndarray) -> np.ndarray:
    """Vectors ``(..., 2, 2)`` of the superior and inferior endplates, from left to right, of corners ``(..., 4, 2)``.

    Raises:
        ValueError: the shape is wrong.
    """
    check_shape("corners", corners, (len(CORNERS), 2))
    return corners[..., _RIGHT, :] - corners[..., _LEFT, :]


def midlines(corners: np.ndarray) -> np.ndarray:
    """Vectors ``(..., 2)`` from the middle of the left to that of the right side, of corners ``(..., 4, 2)``.

    Raises:
        ValueError: the shape is wrong.
    """
    check_shape("corners", corners, (len(CORNERS), 2))
    across: np.ndarray = corners[..., _RIGHT, :].mean(axis=-2) - corners[..., _LEFT, :].mean(axis=-2)
    return across


def directions_deg(vectors: np.ndarray) -> np.ndarray:
    """Directions ``(...)`` of vectors ``(..., 2)``, degrees, positive clockwise on the screen; NaN stays NaN."""
    return np.degrees(np.arctan2(vectors[..., 1], vectors[..., 0]))


def body_tilts(corners: np.ndarray) -> np.ndarray:
    """Directions ``(...)`` of bodies, degrees, of corners ``(..., 4, 2)``; positive where the right side is lower.

    Raises:
        ValueError: the shape is wrong.
    """
    return directions_deg(midlines(corners))
