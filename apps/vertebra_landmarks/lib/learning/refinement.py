"""Corners found once more, in patches around the vertebrae that decoding found."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from ..spine.anatomy import LIMITS, spans_of, violations
from ..spine.geometry import carried_along, centers_of, corners_of, steps, transform_points, with_centers
from ..spine.schema import CORNERS, VERTEBRAE
from .config import PredictionConfig, RefinerConfig
from .decoders import FixedLandmarks
from .devices import quick_precision
from .patches import ShrunkImage, cut_patches, shrink_around, standardised, vertebra_frames
from .refiner import CornerRefiner, Refined, mirrored_refined
from .stopwatch import Stopwatch

_LEFT, _RIGHT = ([CORNERS.index(name) for name in side] for side in (("TL", "BL"), ("TR", "BR")))
_LEAST_GAP = 0.3  # of the gap that decoding left between two vertebrae; nearer, both are taken for the same body
_LEAST_STEP = 1.0  # pixels of the image; where most vertebrae lie nearer together, there are none to see
_OTHER_BODY = (1.0, 0.5)  # steps across and along the spine; a fixed corner so far off is not of the body in the patch


class RefinedSpine(NamedTuple):
    """A spine after refinement, in pixels of the image.

    Attributes:
        xy: ``(V, P, 2)`` points.
        errors: ``(V, P)`` expected distances from the true places, before calibration; ``refinement_reach`` for
            vertebrae that stayed as decoding placed them, and for those that lie elsewhere than their patches show.
    """

    xy: np.ndarray
    errors: np.ndarray


class _Views(NamedTuple):
    """How often every vertebra is seen in one round.

    Attributes:
        turns: radians by which its patch is turned, one view each.
        mirror: whether each is seen in its mirror image too.
    """

    turns: tuple[float, ...]
    mirror: bool


def _views(limits: PredictionConfig, is_last: bool) -> _Views:
    """Once, upright, while the places are still being found; in the last round as often as the configuration says."""
    if not is_last:
        return _Views((0.0,), False)
    turn = math.radians(limits.refinement_turn_deg)
    return _Views((-turn, turn) if turn else (0.0,), limits.mirror)


class Refinement:
    """The second network at work.

    Args:
        network: in evaluation mode, on its device.
        config: its patches.
        device: where to compute.
    """

    def __init__(self, network: CornerRefiner, config: RefinerConfig, device: torch.device) -> None:
        self.network, self.config, self.device = network, config, device

    def refine(
        self, pixels: np.ndarray, xy: np.ndarray, fixed: FixedLandmarks, limits: PredictionConfig, watch: Stopwatch
    ) -> RefinedSpine | None:
        """Move the corners to where the patches show them, and the centers to the corners' means.

        Decoding knows the whole spine, a patch only what lies around it. So a vertebra stays as it was where its center
        would move further than ``refinement_reach``, and both of two neighbours do where they would come to lie on the
        same body, or where their step would leave ``anatomy.LIMITS`` that it kept to. Vertebrae with fixed points
        do not go back; it is their neighbours that stay.

        Fixed points stay where they are, ``around_fixed`` says how the rest of their vertebrae follows. It does so
        after every round, so that the next one looks where the person did.

        Args:
            pixels: ``(H, W)`` of the image.
            xy: ``(V, P, 2)`` decoded points, the fixed ones in their places.
            fixed: points that must stay, in pixels of the image.
            limits: how often, and how far a center may move.
            watch: told how long the network takes ("refine"), and all the rest ("prepare").

        Returns:
            The spine, ``None`` where the decoded centers are no numbers or most of them lie in one place.
        """
        decoded = xy[:, 0]
        if not (np.isfinite(decoded).all() and np.median(steps(decoded)) >= _LEAST_STEP):
            return None
        image, gaps = shrink_around(pixels, decoded, self.config), gap_lengths(decoded)
        is_fixed, has_corner = np.any(fixed.mask, axis=1), np.any(fixed.mask[:, 1:], axis=1)
        current, errors, leans = xy, np.empty(xy.shape[:2]), np.zeros(len(xy), dtype=bool)
        for number in range(limits.refinement_rounds):
            views = _views(limits, is_last=number == limits.refinement_rounds - 1)
            found, said = self._look(image, current[:, 0], views, watch)
            found, is_shown = around_fixed(found, fixed, decoded)
            moves = _may_move(decoded, found[:, 0], limits.refinement_reach * gaps, is_fixed)
            current = np.where(moves[:, None, None], found, xy)
            errors = np.where((moves & is_shown)[:, None], said, limits.refinement_reach * gaps[:, None])
            leans = moves & ~has_corner
        turned = leaning_to_normal(current, limits.refinement_tilt_prior)
        watch.stop("prepare")
        return RefinedSpine(fixed.applied_to(np.where(leans[:, None, None], turned, current)), errors)

    def _look(
        self, image: ShrunkImage, centers: np.ndarray, views: _Views, watch: Stopwatch
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points ``(V, P, 2)`` and their expected errors ``(V, P)`` in pixels of the image: means over the views."""
        places = transform_points(image.matrix, centers)
        frames = np.stack([vertebra_frames(places, self.config, turn=turn) for turn in views.turns])
        flat = frames.reshape(-1, 3, 3)
        patches = standardised(cut_patches(image.pixels, flat, self.config)).unflatten(0, frames.shape[:2])
        shown = torch.cat([patches, patches.flip(-1)]) if views.mirror else patches
        watch.stop("prepare")
        with torch.inference_mode(), quick_precision(self.device):
            refined = Refined(*(part.cpu() for part in self.network(shown.to(self.device))))
        watch.stop("refine")
        if views.mirror:
            count = len(views.turns)
            mirrored = mirrored_refined(Refined(*(part[count:] for part in refined)), self.config.width)
            refined = Refined(*((a[:count] + b) / 2 for a, b in zip(refined, mirrored, strict=True)))
        back = np.linalg.inv(flat @ image.matrix)
        seen = refined.corners.double().numpy().reshape(-1, len(CORNERS), 2)
        corners = np.stack([transform_points(*pair) for pair in zip(back, seen, strict=True)])
        scale = np.sqrt(np.abs(np.linalg.det(back[:, :2, :2]))).reshape(frames.shape[:2])
        log_errors = refined.log_errors.double().numpy() + np.log(scale)[..., None]
        found: np.ndarray = corners.reshape(*frames.shape[:2], len(CORNERS), 2).mean(0)
        return with_centers(found), np.exp(log_errors.mean(0))


def gap_lengths(centers: np.ndarray) -> np.ndarray:
    """Mean distance of every center ``(V, 2)`` from its neighbours, ``(V,)``."""
    gaps = np.linalg.norm(np.diff(centers, axis=0), axis=1)
    return np.array([gaps[max(0, i - 1) : i + 1].mean() for i in range(len(centers))])


def leaning_to_normal(xy: np.ndarray, share: float) -> np.ndarray:
    """Turn every vertebra about its center by this share of the way to lying square to the line of centers.

    A vertebra lies 0.0 ± 3.1 degrees off that (AASCE labels), which is as much as a patch errs: of two such estimates
    a mean is better than either.

    Args:
        xy: ``(V, P, 2)`` points.
        share: in 0...1.
    """
    centers, corners = xy[:, 0], corners_of(xy)
    normal = _normals(centers)
    middle = corners[:, _RIGHT].mean(1) - corners[:, _LEFT].mean(1)
    off = np.arctan2(_cross(middle, normal), (middle * normal).sum(1))
    cosine, sine = np.cos(share * off), np.sin(share * off)
    arms = xy - centers[:, None]
    turned = [cosine[:, None] * arms[..., 0] - sine[:, None] * arms[..., 1]]
    turned.append(sine[:, None] * arms[..., 0] + cosine[:, None] * arms[..., 1])
    return centers[:, None] + np.stack(turned, -1)


def _normals(centers: np.ndarray) -> np.ndarray:
    """``(V, 2)`` a step to the right, square to the line of centers ``(V, 2)``."""
    along = np.gradient(centers, axis=0)
    return np.stack([along[:, 1], -along[:, 0]], 1)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    product: np.ndarray = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return product


def around_fixed(found: np.ndarray, fixed: FixedLandmarks, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertebrae as their patches show them, brought to what a person has fixed.

    All corners go along with a fixed center. A fixed corner leaves the others where the image shows them: someone who
    moves one corner has not spoken of the rest. The center is the mean of all four. But where a fixed corner lies half
    a step up or down from the one that the patch shows, or a whole one to the side, or would dent the outline or turn
    it inside out, the patch shows another body than is meant. Then the free corners go along with all fixed points,
    with the least change of shape that does it (``carried_along``).

    Args:
        found: ``(V, P, 2)`` points, NaN where the network gives no number.
        fixed: points that must stay.
        centers: ``(V, 2)`` as decoded, which tell how long a step is and where the spine goes.

    Returns:
        ``(V, P, 2)`` points with the fixed ones in their places, NaN for a vertebra of which one is unknown; and
        ``(V,)`` whether the patch shows what is meant.
    """
    shifts = np.where(np.isfinite(fixed.centers), fixed.centers - found[:, 0], 0.0)
    bodies = found + shifts[:, None]
    placed = fixed.applied_to(bodies)
    has_corner = np.any(fixed.mask[:, 1:], axis=1)
    is_shown = ~has_corner | ~(_is_far(placed - bodies, centers) | _is_dented(placed))
    for vertebra in np.flatnonzero(~is_shown & np.isfinite(found).all((1, 2))):
        placed[vertebra] = carried_along(found[vertebra], fixed.xy[vertebra])
    placed = fixed.applied_to(placed)
    follows = has_corner[:, None] & ~np.isfinite(fixed.centers)
    placed[:, 0] = np.where(follows, centers_of(corners_of(placed)), placed[:, 0])
    placed[~np.isfinite(placed).all((1, 2))] = np.nan
    return placed, is_shown


def _is_far(off: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """``(V,)`` whether one of the points is so far off ``(V, P, 2)`` that it belongs to another body."""
    normal = _normals(centers)
    far = (normal**2).sum(1, keepdims=True) * _OTHER_BODY
    across = np.abs((off * normal[:, None]).sum(-1))
    along = np.abs(off[..., 1] * normal[:, :1] - off[..., 0] * normal[:, 1:])
    is_far: np.ndarray = ((across >= far[:, :1]) | (along >= far[:, 1:])).any(1)
    return is_far


def _is_dented(xy: np.ndarray) -> np.ndarray:
    """``(V,)`` whether the corners of ``(V, P, 2)`` points are swapped or their outline is not convex."""
    dented = {violation.vertebrae[0] for violation in violations(xy) if violation.kind == "corners"}
    return np.array([name in dented for name in VERTEBRAE])


def _may_move(decoded: np.ndarray, found: np.ndarray, reach: np.ndarray, is_fixed: np.ndarray) -> np.ndarray:
    """``(V,)`` which centers ``(V, 2)`` may leave their decoded places.

    Args:
        decoded: where they are.
        found: where they would go, NaN where that is unknown.
        reach: ``(V,)`` how far each may go.
        is_fixed: ``(V,)`` those that go wherever they were found.
    """
    must = is_fixed & np.isfinite(found).all(1)
    moves: np.ndarray = must | (np.linalg.norm(found - decoded, axis=1) <= reach)
    while True:
        placed = np.where(moves[:, None], found, decoded)
        is_moved = moves[1:] | moves[:-1]
        is_unusual = _is_usual_step(decoded) & ~_is_usual_step(placed)
        clash = is_unusual | (is_moved & (np.diff(placed[:, 1]) < _LEAST_GAP * np.diff(decoded[:, 1])))
        stays = np.append(clash, False) | np.append(False, clash)
        if (is_unusual & ~is_moved).any():  # not the step has changed, but the span that it is compared with
            stays[[0, -1]] = True
        kept = moves & (must | ~stays)
        if (kept == moves).all():
            return moves
        moves = kept


def _is_usual_step(centers: np.ndarray) -> np.ndarray:
    """``(V - 1,)`` which steps between centers ``(V, 2)`` keep to the limits of anatomy."""
    low, high = LIMITS.step
    with np.errstate(divide="ignore", invalid="ignore"):
        share = steps(centers) / spans_of(centers)
    usual: np.ndarray = (share >= low) & (share <= high)
    return usual
