"""Fixed landmarks applied to detected bodies: which body is meant, and which points follow."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...spine.centerline import gap_lengths, is_dented, normals_of
from ...spine.geometry import centers_of, corners_of, drag_along
from ..decoders import FixedLandmarks

_OTHER_BODY = (1.0, 0.5)  # steps across and along the spine; a fixed corner so far off is not of the body in the patch
_NAMING_REACH = 0.15  # steps; a center fixed that near to a body's says which body it is, not where it lies
_SAME_MAXIMUM = 0.5  # pixels of the image between centers that are decoded from the same maximum


class ConstrainedSpine(NamedTuple):
    """Vertebrae after fixed landmarks were applied.

    Attributes:
        xy: ``(V, P, 2)`` with the fixed points at their positions, NaN for a vertebra of which one is unknown.
        is_shown: ``(V,)`` whether the patch shows the body that is meant.
        bodies: ``(V, P, 2)`` as the patches show them, moved to fixed centers.
    """

    xy: np.ndarray
    is_shown: np.ndarray
    bodies: np.ndarray


def apply_constraints(observed: np.ndarray, fixed: FixedLandmarks, centers: np.ndarray) -> ConstrainedSpine:
    """Move the vertebrae that the patches show to the fixed landmarks.

    All corners go along with a fixed center, unless it lies within ``_NAMING_REACH`` of the observed one: then it only
    says which body is meant. A fixed corner leaves the others where the image shows them (``ErrorCorrelations`` says
    what follows from its error for theirs). The center is the mean of all four. But where a fixed corner lies half a
    step up or down from the one that the patch shows, or a whole one to the side, or would dent the outline or turn it
    inside out, the patch shows another body than is meant. Then the free corners go along with all fixed points, with
    the least change of shape that does it (``drag_along``).

    Args:
        observed: ``(V, P, 2)`` points, NaN where the network gives no number.
        fixed: points that must stay.
        centers: ``(V, 2)`` as decoded, which tell how long a step is and where the spine goes.
    """
    shifts = np.where(np.isfinite(fixed.centers), fixed.centers - observed[:, 0], 0.0)
    shifts[np.linalg.norm(shifts, axis=1) <= _NAMING_REACH * gap_lengths(centers)] = 0.0
    bodies = observed + shifts[:, None]
    placed = fixed.applied_to(bodies)
    has_corner = np.any(fixed.mask[:, 1:], axis=1)
    is_shown = ~has_corner | ~(_is_far(placed[:, 1:] - bodies[:, 1:], centers) | is_dented(placed))
    for vertebra in np.flatnonzero(~is_shown & np.isfinite(observed).all((1, 2))):
        placed[vertebra] = drag_along(observed[vertebra], fixed.xy[vertebra])
    placed = fixed.applied_to(placed)
    follows = has_corner[:, None] & ~np.isfinite(fixed.centers)
    placed[:, 0] = np.where(follows, centers_of(corners_of(placed)), placed[:, 0])
    placed[~np.isfinite(placed).all((1, 2))] = np.nan
    return ConstrainedSpine(placed, is_shown, bodies)


def _is_far(off: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """``(V,)`` whether one of the corners is so far off ``(V, K, 2)`` that it belongs to another body."""
    normal = normals_of(centers)
    far = (normal**2).sum(1, keepdims=True) * _OTHER_BODY
    across = np.abs((off * normal[:, None]).sum(-1))
    along = np.abs(off[..., 1] * normal[:, :1] - off[..., 0] * normal[:, 1:])
    is_far: np.ndarray = ((across >= far[:, :1]) | (along >= far[:, 1:])).any(1)
    return is_far


def snap_to_bodies(fixed: FixedLandmarks, centers: np.ndarray, decoded: np.ndarray) -> FixedLandmarks:
    """The fixed points with every center that only names a body moved to where decoding found that body.

    Args:
        fixed: points that must stay.
        centers: ``(V, 2)`` of the bodies, under whatever name.
        decoded: ``(V, 2)`` where decoding found them.
    """
    away = np.linalg.norm(fixed.centers[:, None] - centers, axis=-1)
    reach = np.where(np.isfinite(away), _NAMING_REACH * gap_lengths(centers) - away, -np.inf)
    nearest = reach.argmax(1)
    names = reach.max(1) >= 0
    xy = fixed.xy.copy()
    xy[names, 0] = decoded[nearest[names]]
    return FixedLandmarks(xy)


def match_bodies(centers: np.ndarray, before: np.ndarray, fixed: FixedLandmarks, reach: np.ndarray) -> np.ndarray:
    """Which vertebrae are bodies that were refined before, under whatever name.

    A center counts as the same where it has moved by no more than a fraction of a pixel; of a vertebra with a fixed
    corner, where it has moved by no more than its reach: the corner is what has moved it.

    Args:
        centers: ``(V, 2)`` as decoded now.
        before: ``(V, 2)`` as decoded when they were refined.
        fixed: points that must stay.
        reach: ``(V,)`` pixels.

    Returns:
        ``(V,)`` indices into ``before``, each at most once; -1 for vertebrae that were not refined.
    """
    away = np.linalg.norm(centers[:, None] - before, axis=-1)
    by_corner = fixed.mask[:, 1:].any(1) & ~np.isfinite(fixed.centers).all(1)
    near = np.where(by_corner, reach, _SAME_MAXIMUM)
    bodies = np.full(len(centers), -1)
    for vertebra in np.argsort(away.min(1), kind="stable"):
        body = away[vertebra].argmin()
        if away[vertebra, body] <= near[vertebra] and body not in bodies:
            bodies[vertebra] = body
    return bodies
