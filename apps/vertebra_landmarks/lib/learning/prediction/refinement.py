"""Corner refinement: the corner network in patches around the decoded vertebrae."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from ...spine.centerline import gap_lengths, movable_centers
from ...spine.geometry import center_distances, corners_of, midlines, transform_points, with_centers
from ...spine.schema import CORNERS
from ..config import CornerConfig, PredictionConfig
from ..data.image_views import ShrunkImage, cut_patches, shrink_around, standardised, vertebra_frames
from ..decoders import FixedLandmarks
from ..models.corner_net import CachedTokens, CornerNet, CornerOutput, mirrored_output
from ..models.devices import quick_precision
from .corrections import apply_constraints, match_bodies
from .timer import Timer

_MIN_STEP = 1.0  # pixels of the image; where most vertebrae lie nearer together, there are none to see
_MAX_TURN = math.radians(12.0)  # a larger difference of the networks' tilts, of which one is mistaken, counts as this
_MARGIN = 1.5  # steps around the centers that an image cut out for others must show


class RefinedSpine(NamedTuple):
    """A spine after refinement, in pixels of the image.

    Attributes:
        xy: ``(V, P, 2)`` points.
        errors: ``(V, P)`` expected distances from the true positions, before calibration; ``refinement_reach`` for
            vertebrae that stayed as decoding placed them, and for those that lie elsewhere than their patches show.
        observed: ``(V, P, 2)`` points as the patches show them, before corners were fixed; NaN for vertebrae that lie
            elsewhere.
        decoded: ``(V, 2)`` centers as they were decoded.
        image: that the patches were cut from.
        tokens: of each round ``(views, V, C)``, see ``CachedTokens``.
    """

    xy: np.ndarray
    errors: np.ndarray
    observed: np.ndarray
    decoded: np.ndarray
    image: ShrunkImage
    tokens: tuple[torch.Tensor, ...]


class _Reused(NamedTuple):
    """What of a spine was refined before.

    Attributes:
        active: ``(N,)`` indices of the vertebrae that are refined now; the others are reused.
        xy: ``(V, P, 2)`` and ``errors`` ``(V, P)`` of the others.
        tokens: of each round; empty where all are refined now.
    """

    active: np.ndarray
    xy: np.ndarray
    errors: np.ndarray
    tokens: tuple[torch.Tensor, ...]


class _PatchView(NamedTuple):
    """One look at every vertebra.

    Attributes:
        turn: radians by which its patch is turned.
        is_mirrored: whether the mirror image of the patch is shown.
    """

    turn: float
    is_mirrored: bool


def _patch_views(limits: PredictionConfig, is_last: bool) -> tuple[_PatchView, ...]:
    """Once, upright, while centers still move; in the last round twice, turned to either side, once in the mirror."""
    turn = math.radians(limits.refinement_turn_deg)
    if not is_last or not turn:
        return (_PatchView(0.0, False),)
    return _PatchView(turn, False), _PatchView(-turn, limits.mirror)


@dataclass(frozen=True)
class Refinement:
    """The corner network at work.

    Attributes:
        network: in evaluation mode, on its device.
        config: its patches.
        device: where to compute.
    """

    network: CornerNet
    config: CornerConfig
    device: torch.device

    def refine(
        self,
        pixels: np.ndarray,
        xy: np.ndarray,
        fixed: FixedLandmarks,
        limits: PredictionConfig,
        timer: Timer,
        before: RefinedSpine | None = None,
    ) -> RefinedSpine | None:
        """Move the corners to where the patches show them, and the centers to the corners' means.

        Decoding knows the whole spine, a patch only its surroundings. So a vertebra stays as decoded where its center
        would move further than ``refinement_reach``, and two neighbours do where they would come to lie on one body or
        their step would leave ``anatomy.LIMITS`` that it kept to; vertebrae with fixed points always move.

        After every round ``apply_constraints`` brings vertebrae to their fixed points, so that the next one cuts its
        patches there. Vertebrae of ``before`` that are decoded where they were (``match_bodies``) keep their points and
        errors exactly, whatever their names are now.

        Args:
            pixels: ``(H, W)`` of the image.
            xy: ``(V, P, 2)`` decoded points.
            fixed: points that must stay, in pixels of the image.
            limits: how often, and how far a center may move.
            timer: of the prediction: the network's time ("refine"), and all the rest ("prepare").
            before: the spine as it was refined in the same image, with the same limits and without fixed points.

        Returns:
            The spine, ``None`` where the decoded centers are no numbers or most of them lie in one place.
        """
        decoded = xy[:, 0]
        if not (np.isfinite(decoded).all() and np.median(center_distances(decoded)) >= _MIN_STEP):
            return None
        gaps, has_corner = gap_lengths(decoded), np.any(fixed.mask[:, 1:], axis=1)
        reach = limits.refinement_reach * gaps
        reused = _reused(xy, decoded, fixed, reach, before)
        is_active = np.isin(np.arange(len(xy)), reused.active)
        must_move = np.any(fixed.mask, axis=1) | ~is_active
        image = self._patch_source(pixels, decoded, gaps, reused.active, before)
        current, errors, tokens = reused.xy, reused.errors, list[torch.Tensor]()
        moves = is_shown = leans = np.zeros(len(xy), dtype=bool)
        bodies = reused.xy
        for number in range(limits.refinement_rounds):
            views = _patch_views(limits, is_last=number == limits.refinement_rounds - 1)
            observed, raw_errors = reused.xy.copy(), reused.errors.copy()
            if len(reused.active):
                points, stated_errors, new_tokens = self._run(image, current[:, 0], reused, number, views, timer)
                observed[reused.active], raw_errors[reused.active] = points, stated_errors
                tokens.append(new_tokens)
            placed, is_shown, bodies = apply_constraints(observed, fixed, decoded)
            moves = movable_centers(decoded, placed[:, 0], reach, must_move)
            current = np.where(moves[:, None, None], placed, xy)
            errors = np.where((moves & is_shown)[:, None], raw_errors, reach[:, None])
            leans = moves & is_active & is_shown & ~has_corner
        turned = combine_tilts(current, errors, xy, limits.refinement_tilt_error_deg)
        free = np.where(leans[:, None, None], turned, current)
        observed = np.where(has_corner[:, None, None], bodies, free)
        observed[~is_shown | (has_corner & ~moves)] = np.nan
        timer.lap("prepare")
        return RefinedSpine(fixed.applied_to(free), errors, observed, decoded, image, tuple(tokens))

    def _patch_source(
        self, pixels: np.ndarray, centers: np.ndarray, gaps: np.ndarray, active: np.ndarray, before: RefinedSpine | None
    ) -> ShrunkImage:
        """The part of the image that patches are cut from: that of before where it shows the active vertebrae."""
        if before is not None and _shows(before.image, pixels.shape, centers[active], gaps[active]):
            return before.image
        return shrink_around(pixels, centers, self.config)

    def _run(
        self,
        image: ShrunkImage,
        centers: np.ndarray,
        reused: _Reused,
        number: int,
        views: tuple[_PatchView, ...],
        timer: Timer,
    ) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
        """Points ``(N, P, 2)`` of the active vertebrae, their errors ``(N, P)``, tokens of all ``(views, V, C)``.

        Points and errors are means over the views, in pixels of the image.

        Args:
            image: that patches are cut from.
            centers: ``(V, 2)`` of all vertebrae, pixels of the whole image.
            reused: which are active, and the tokens of the others.
            number: of the round.
            views: of each patch.
            timer: of the prediction.
        """
        others = CachedTokens(reused.tokens[number], torch.from_numpy(reused.active)) if reused.tokens else None
        in_part = transform_points(image.matrix, centers)
        frames = np.stack([vertebra_frames(in_part, self.config, turn=view.turn)[reused.active] for view in views])
        flat = frames.reshape(-1, 3, 3)
        patches = standardised(cut_patches(image.pixels, flat, self.config)).unflatten(0, frames.shape[:2])
        mirrored = torch.tensor([view.is_mirrored for view in views])[:, None, None, None]
        timer.lap("prepare")
        with torch.inference_mode(), quick_precision(self.device):
            shown = torch.where(mirrored, patches.flip(-1), patches)
            output, tokens = self.network.among(shown.to(self.device), others)
        output = CornerOutput(*(part.cpu() for part in output))
        timer.lap("refine")
        back_in_place = mirrored_output(output, self.config.width)
        output = CornerOutput(
            torch.where(mirrored, back_in_place.corners, output.corners),
            torch.where(mirrored[..., 0], back_in_place.log_errors, output.log_errors),
        )
        back = np.linalg.inv(flat @ image.matrix)
        in_patches = output.corners.double().numpy().reshape(-1, len(CORNERS), 2)
        corners = np.stack([transform_points(*pair) for pair in zip(back, in_patches, strict=True)])
        scale = np.sqrt(np.abs(np.linalg.det(back[:, :2, :2]))).reshape(frames.shape[:2])
        log_errors = output.log_errors.double().numpy() + np.log(scale)[..., None]
        mean: np.ndarray = corners.reshape(*frames.shape[:2], len(CORNERS), 2).mean(0)
        return with_centers(mean), np.exp(log_errors.mean(0)), tokens


def _reused(
    xy: np.ndarray, decoded: np.ndarray, fixed: FixedLandmarks, reach: np.ndarray, before: RefinedSpine | None
) -> _Reused:
    """Which of decoded vertebrae ``(V, P, 2)`` were refined before, if any was."""
    if before is None:
        return _Reused(np.arange(len(xy)), xy, np.full(xy.shape[:2], np.nan), ())
    body = match_bodies(decoded, before.decoded, fixed, reach)
    is_kept = body >= 0
    points = np.where(is_kept[:, None, None], before.xy[body], xy)
    errors = np.where(is_kept[:, None], before.errors[body], np.nan)
    return _Reused(np.flatnonzero(~is_kept), points, errors, tuple(tokens[:, body] for tokens in before.tokens))


def _shows(image: ShrunkImage, size: tuple[int, ...], centers: np.ndarray, gaps: np.ndarray) -> bool:
    """Whether a part of an image shows what lies around some of its centers.

    Args:
        image: the part.
        size: height and width of the whole image.
        centers: ``(N, 2)`` pixels of the whole image.
        gaps: ``(N,)`` steps of the spine there.
    """
    around = np.concatenate([centers - _MARGIN * gaps[:, None], centers + _MARGIN * gaps[:, None]])
    x, y = transform_points(image.matrix, np.clip(around, 0, np.array(size[1::-1]) - 1)).T
    height, width = image.pixels.shape[-2:]
    return bool(((x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)).all())


def combine_tilts(xy: np.ndarray, errors: np.ndarray, decoded: np.ndarray, decoded_error_deg: float) -> np.ndarray:
    """Turn every vertebra about its center to the mean of both networks' tilts, weighted by their variances.

    The corner network states an error for each corner; the landmark network's tilts all have the same one. No body is
    turned further than ``_MAX_TURN`` times the share of the landmark network, however far the tilts are apart.

    Args:
        xy: ``(V, P, 2)`` points of the corner network.
        errors: ``(V, P)`` their errors as that network states them, before calibration, in the same unit; those of the
            corners, against the width of the body, are the standard error of its tilt.
        decoded: ``(V, P, 2)`` points of the landmark network.
        decoded_error_deg: standard error of its tilts, ``prediction.refinement_tilt_error_deg``.
    """
    centers, middle, other = xy[:, 0], midlines(corners_of(xy)), midlines(corners_of(decoded))
    error = errors[:, 1:].mean(1) / np.maximum(np.linalg.norm(middle, axis=1), _MIN_STEP)
    share = error**2 / (error**2 + math.radians(decoded_error_deg) ** 2)
    apart = np.arctan2(_cross(middle, other), (middle * other).sum(1)).clip(-_MAX_TURN, _MAX_TURN)
    cosine, sine = np.cos(share * apart), np.sin(share * apart)
    arms = xy - centers[:, None]
    turned = [cosine[:, None] * arms[..., 0] - sine[:, None] * arms[..., 1]]
    turned.append(sine[:, None] * arms[..., 0] + cosine[:, None] * arms[..., 1])
    return centers[:, None] + np.stack(turned, -1)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    product: np.ndarray = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return product
