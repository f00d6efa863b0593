"""Corners found once more, in patches around the vertebrae that decoding found."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from ...spine.centerline import gap_lengths, movable_centers, normals_of
from ...spine.geometry import center_distances, corners_of, transform_points, with_centers
from ...spine.schema import CORNERS
from ..config import PredictionConfig, RefinerConfig
from ..data.patches import ShrunkImage, cut_patches, shrink_around, standardised, vertebra_frames
from ..decoders import FixedLandmarks
from ..models.corner_net import CornerRefiner, KnownPatches, Refined, mirrored_refined
from ..models.devices import quick_precision
from .corrections import around_fixed, bodies_kept
from .timer import Stopwatch

_LEFT, _RIGHT = ([CORNERS.index(name) for name in side] for side in (("TL", "BL"), ("TR", "BR")))
_LEAST_STEP = 1.0  # pixels of the image; where most vertebrae lie nearer together, there are none to see
_ROOM = 1.5  # steps around the centers that an image cut out for others must show


class RefinedSpine(NamedTuple):
    """A spine after refinement, in pixels of the image.

    Attributes:
        xy: ``(V, P, 2)`` points.
        errors: ``(V, P)`` expected distances from the true places, before calibration; ``refinement_reach`` for
            vertebrae that stayed as decoding placed them, and for those that lie elsewhere than their patches show.
        shown: ``(V, P, 2)`` points as the patches show them, before corners were fixed; NaN for vertebrae that lie
            elsewhere.
        decoded: ``(V, 2)`` centers as they were decoded.
        image: that the patches were cut from.
        tokens: of each round ``(views, V, C)``, see ``KnownPatches``.
    """

    xy: np.ndarray
    errors: np.ndarray
    shown: np.ndarray
    decoded: np.ndarray
    image: ShrunkImage
    tokens: tuple[torch.Tensor, ...]


class _Known(NamedTuple):
    """What of a spine was refined before.

    Attributes:
        which: ``(V,)`` vertebrae that are looked at now; the others were looked at before.
        xy: ``(V, P, 2)`` and ``errors`` ``(V, P)`` of the others.
        tokens: of each round; empty where all are looked at.
    """

    which: np.ndarray
    xy: np.ndarray
    errors: np.ndarray
    tokens: tuple[torch.Tensor, ...]


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
        self,
        pixels: np.ndarray,
        xy: np.ndarray,
        fixed: FixedLandmarks,
        limits: PredictionConfig,
        watch: Stopwatch,
        before: RefinedSpine | None = None,
    ) -> RefinedSpine | None:
        """Move the corners to where the patches show them, and the centers to the corners' means.

        Decoding knows the whole spine, a patch only what lies around it. So a vertebra stays as it was where its center
        would move further than ``refinement_reach``, and both of two neighbours do where they would come to lie on the
        same body, or where their step would leave ``anatomy.LIMITS`` that it kept to. Vertebrae with fixed points
        do not go back; it is their neighbours that stay.

        Fixed points stay where they are, ``around_fixed`` says how the rest of their vertebrae follows. It does so
        after every round, so that the next one looks where the person did.

        Of a spine that was refined before only those vertebrae are looked at that were decoded elsewhere
        (``bodies_kept``). The others keep their points and errors exactly, whatever their names are now.

        Args:
            pixels: ``(H, W)`` of the image.
            xy: ``(V, P, 2)`` decoded points.
            fixed: points that must stay, in pixels of the image.
            limits: how often, and how far a center may move.
            watch: told how long the network takes ("refine"), and all the rest ("prepare").
            before: the spine as it was refined in the same image, with the same limits and without fixed points.

        Returns:
            The spine, ``None`` where the decoded centers are no numbers or most of them lie in one place.
        """
        decoded = xy[:, 0]
        if not (np.isfinite(decoded).all() and np.median(center_distances(decoded)) >= _LEAST_STEP):
            return None
        gaps, has_corner = gap_lengths(decoded), np.any(fixed.mask[:, 1:], axis=1)
        reach = limits.refinement_reach * gaps
        known = _known(xy, decoded, fixed, reach, before)
        is_looked_at = np.isin(np.arange(len(xy)), known.which)
        must = np.any(fixed.mask, axis=1) | ~is_looked_at
        if before is not None and _shows(before.image, pixels.shape, decoded[known.which], gaps[known.which]):
            image = before.image
        else:
            image = shrink_around(pixels, decoded, self.config)
        current, errors, tokens = known.xy, known.errors, list[torch.Tensor]()
        moves = is_shown = leans = np.zeros(len(xy), dtype=bool)
        bodies = known.xy
        for number in range(limits.refinement_rounds):
            views = _views(limits, is_last=number == limits.refinement_rounds - 1)
            found, said = known.xy.copy(), known.errors.copy()
            if len(known.which):
                others = KnownPatches(known.tokens[number], torch.from_numpy(known.which)) if known.tokens else None
                seen = self._look(image, current[:, 0], known.which, views, others, watch)
                found[known.which], said[known.which] = seen[:2]
                tokens.append(seen[2])
            placed, is_shown, bodies = around_fixed(found, fixed, decoded)
            moves = movable_centers(decoded, placed[:, 0], reach, must)
            current = np.where(moves[:, None, None], placed, xy)
            errors = np.where((moves & is_shown)[:, None], said, reach[:, None])
            leans = moves & is_looked_at & ~has_corner
        turned = leaning_to_normal(current, limits.refinement_tilt_prior)
        final = fixed.applied_to(np.where(leans[:, None, None], turned, current))
        shown = np.where(has_corner[:, None, None], bodies, np.where(leans[:, None, None], turned, current))
        shown[~is_shown | (has_corner & ~moves)] = np.nan
        watch.stop("prepare")
        return RefinedSpine(final, errors, shown, decoded, image, tuple(tokens))

    def _look(
        self,
        image: ShrunkImage,
        centers: np.ndarray,
        which: np.ndarray,
        views: _Views,
        others: KnownPatches | None,
        watch: Stopwatch,
    ) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
        """Points ``(M, P, 2)`` of M of the vertebrae, their errors ``(M, P)``, tokens of all ``(views, V, C)``.

        Points and errors are means over the views, in pixels of the image.
        """
        places = transform_points(image.matrix, centers)
        frames = np.stack([vertebra_frames(places, self.config, turn=turn)[which] for turn in views.turns])
        flat = frames.reshape(-1, 3, 3)
        patches = standardised(cut_patches(image.pixels, flat, self.config)).unflatten(0, frames.shape[:2])
        shown = torch.cat([patches, patches.flip(-1)]) if views.mirror else patches
        watch.stop("prepare")
        with torch.inference_mode(), quick_precision(self.device):
            refined, tokens = self.network.among(shown.to(self.device), others)
        refined = Refined(*(part.cpu() for part in refined))
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
        return with_centers(found), np.exp(log_errors.mean(0)), tokens


def _known(
    xy: np.ndarray, decoded: np.ndarray, fixed: FixedLandmarks, reach: np.ndarray, before: RefinedSpine | None
) -> _Known:
    """Which of decoded vertebrae ``(V, P, 2)`` were refined before, if any was."""
    if before is None:
        return _Known(np.arange(len(xy)), xy, np.full(xy.shape[:2], np.nan), ())
    body = bodies_kept(decoded, before.decoded, fixed, reach)
    is_kept = body >= 0
    points = np.where(is_kept[:, None, None], before.xy[body], xy)
    errors = np.where(is_kept[:, None], before.errors[body], np.nan)
    return _Known(np.flatnonzero(~is_kept), points, errors, tuple(tokens[:, body] for tokens in before.tokens))


def _shows(image: ShrunkImage, size: tuple[int, ...], centers: np.ndarray, gaps: np.ndarray) -> bool:
    """Whether a part of a film shows what lies around some of its centers.

    Args:
        image: the part.
        size: height and width of the film.
        centers: ``(N, 2)`` pixels of the film.
        gaps: ``(N,)`` steps of the spine there.
    """
    around = np.concatenate([centers - _ROOM * gaps[:, None], centers + _ROOM * gaps[:, None]])
    x, y = transform_points(image.matrix, np.clip(around, 0, np.array(size[1::-1]) - 1)).T
    height, width = image.pixels.shape[-2:]
    return bool(((x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)).all())


def leaning_to_normal(xy: np.ndarray, share: float) -> np.ndarray:
    """Turn every vertebra about its center by this share of the way to lying square to the line of centers.

    A vertebra lies 0.0 ± 3.1 degrees off that (AASCE labels), which is as much as a patch errs: of two such estimates
    a mean is better than either.

    Args:
        xy: ``(V, P, 2)`` points.
        share: in 0...1.
    """
    centers, corners = xy[:, 0], corners_of(xy)
    normal = normals_of(centers)
    middle = corners[:, _RIGHT].mean(1) - corners[:, _LEFT].mean(1)
    off = np.arctan2(_cross(middle, normal), (middle * normal).sum(1))
    cosine, sine = np.cos(share * off), np.sin(share * off)
    arms = xy - centers[:, None]
    turned = [cosine[:, None] * arms[..., 0] - sine[:, None] * arms[..., 1]]
    turned.append(sine[:, None] * arms[..., 0] + cosine[:, None] * arms[..., 1])
    return centers[:, None] + np.stack(turned, -1)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    product: np.ndarray = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return product
