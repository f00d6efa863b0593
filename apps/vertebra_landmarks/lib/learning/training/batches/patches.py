"""Random patches for the corner network, whole batches of spines at a time on a device.

The same kinds of patches as ``data.patches.RandCutPatchesd`` makes of one spine, and more of what hides edges: low
dose, grid lines, implants, shadows, several covered parts.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from ....spine.geometry import mirrored_order
from ....spine.schema import CORNERS
from ...codec import ABSENT, PRESENT, STATE, UNNAMED, longest_row
from ...config import CornerConfig, PatchAugmentationConfig
from ...data.image_views import MIN_STEP_SHARE, STEP_REACH, local_contrast, standardised
from . import photometry
from .affine import affine, after, inverse, linear, mirroring, moved
from .image_bank import ImageBank
from .photometry import column
from .random_draws import BatchRandom

_MAX_NOISE = 0.35  # steps that a center may be off in all, along one axis
_COARSE = (0.3, 0.9)  # share of the resolution that is left
_COVERED = (0.1, 0.63)  # sides of a covered rectangle, shares of the height
_DRIFT_KNOTS = 5
_LINED, _GRAINY, _SHADOWED, _IMPLANTED = 0.06, 0.15, 0.2, 0.1  # shares of the spines
_GRAIN = 0.12


class PatchBatch(NamedTuple):
    """What the corner network learns from a batch.

    Attributes:
        patches: ``(B, V, height, width)`` standardised, 0 where there is no patch.
        target: ``(B, V, K, 2)`` labelled corners in pixels of the patches.
        is_known: ``(B, V)`` 1.0 where all four labelled corners lie in the patch.
        is_there: ``(B, V)`` whether there is a patch.
    """

    patches: torch.Tensor
    target: torch.Tensor
    is_known: torch.Tensor
    is_there: torch.Tensor


def batch_frames(
    centers: torch.Tensor,
    is_there: torch.Tensor,
    config: CornerConfig,
    scale: torch.Tensor | float = 1.0,
    turn: torch.Tensor | float = 0.0,
) -> torch.Tensor:
    """``image_views.vertebra_frames`` of several spines at once.

    Args:
        centers: ``(B, V, 2)``.
        is_there: ``(B, V)`` which of them there are: one row of neighbours in each spine, two at least.
        config: size of the patches.
        scale: factor on the length of a step, one or ``(B, V)``.
        turn: added to the direction of the spine, radians, one or ``(B, V)``.

    Returns:
        ``(B, V, 2, 3)`` from pixels of the image to pixels of each patch, undefined where there is no vertebra.
    """
    count = centers.shape[1]
    both = is_there[:, 1:] & is_there[:, :-1]
    gaps = torch.linalg.vector_norm(centers[:, 1:] - centers[:, :-1], dim=-1)
    gaps = torch.where(both, gaps, torch.nan)
    gaps = torch.maximum(gaps, MIN_STEP_SHARE * _median(gaps)[:, None])
    reach = F.pad(gaps, (STEP_REACH, STEP_REACH), value=math.nan).unfold(1, 2 * STEP_REACH, 1)  # (B, V, 4)
    step = (_median(reach) + torch.nanmean(reach, -1)) / 2 * scale
    index = torch.arange(count, device=centers.device)
    first = is_there.float().argmax(1, keepdim=True)
    last = count - 1 - is_there.flip(1).float().argmax(1, keepdim=True)
    above, below = torch.maximum(index - 1, first), torch.minimum(index + 1, last)
    above, below = (torch.minimum(i.clamp(min=0), last)[..., None].expand(-1, -1, 2) for i in (above, below))
    tangent = centers.gather(1, below) - centers.gather(1, above)
    angle = torch.atan2(tangent[..., 0], tangent[..., 1]) + turn
    cosine, sine = config.step / step * angle.cos(), config.step / step * angle.sin()
    part = linear(cosine, -sine, sine, cosine)
    middle = centers.new_tensor([config.width - 1, config.height - 1]) / 2
    return affine(part, middle - (part @ centers[..., None])[..., 0])


def _median(values: torch.Tensor) -> torch.Tensor:
    """Median along the last axis without NaN, of an even count the mean of the middle two."""
    ordered = torch.where(torch.isnan(values), torch.inf, values).sort(-1).values
    count = (~torch.isnan(values)).sum(-1, keepdim=True)
    low, high = ((count - 1).clamp(min=0) // 2), (count // 2).clamp(max=values.shape[-1] - 1)
    return ((ordered.gather(-1, low) + ordered.gather(-1, high)) / 2)[..., 0]


class BatchPatches:
    """Random patches of the images of a bank.

    Args:
        bank: the images.
        corners: ``(N, V, K, 2)`` in their pixels.
        rows: ``(N, V)`` the vertebrae that patches are laid on, one row of neighbours in each image.
        taught: ``(N, V)`` those of them whose corners are learnt.
        config: size of the patches.
        ranges: of the random changes.
        random: source of the random numbers.
    """

    def __init__(
        self,
        bank: ImageBank,
        corners: torch.Tensor,
        rows: torch.Tensor,
        taught: torch.Tensor,
        config: CornerConfig,
        ranges: PatchAugmentationConfig,
        random: BatchRandom,
    ) -> None:
        self.bank, self.config, self.ranges, self.random = bank, config, ranges, random
        self.corners = corners.to(bank.device, torch.float32)
        self.rows, self.taught = rows.to(bank.device), taught.to(bank.device)

    def __call__(self, index: torch.Tensor) -> PatchBatch:
        """Patches of the spines of images ``(B,)``."""
        random, b = self.random, len(index)
        is_there = self.rows[index]
        frames, target = self.placed(index)
        coarse = torch.where(random.chance(self.ranges.coarse_probability, b), random.uniform(*_COARSE, b), 1.0)
        size = self.config.height, self.config.width
        gray, places = self.bank.sample(index, inverse(frames), size, 1 / coarse)
        limits = self.bank.size_of(index).view(-1, 1, 1, 1, 2)
        within = ((places >= -0.5) & (places <= limits - 0.5)).all(-1)
        patches = self._processed(torch.where(within, gray, 0.0), target, is_there)
        limits = target.new_tensor([self.config.width - 1, self.config.height - 1])
        is_inside = ((target > 0) & (target < limits)).all(-1).all(-1)
        is_known = is_there & self.taught[index] & is_inside
        patches = torch.where(is_there[..., None, None], patches, 0.0)
        return PatchBatch(patches, target.nan_to_num(0.0), is_known.float(), is_there)

    def placed(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Random places of the patches of images ``(B,)``.

        Returns:
            Matrices ``(B, V, 2, 3)`` from pixels of the images to those of the patches, and the corners
            ``(B, V, K, 2)`` in the latter.
        """
        random, ranges, b = self.random, self.ranges, len(index)
        is_there, corners = self.rows[index], self.corners[index]
        is_mirrored = random.chance(ranges.flip_probability, b)
        mirror = mirroring(self.bank.size_of(index)[:, 0].float(), is_mirrored)
        order = list(mirrored_order(CORNERS))
        corners = torch.where(is_mirrored[:, None, None, None], corners[:, :, order], corners)
        corners = moved(mirror[:, None, None], corners)
        bend, places, step = self._bent(corners.mean(2), is_there)
        count = is_there.shape[1]
        off = random.normal(b, count, 2) * random.uniform(*ranges.place_noise, b, 1, 1)
        off = (off + self._drift(b, count)).clamp(-_MAX_NOISE, _MAX_NOISE)
        scale = torch.exp(random.normal(b, count) * ranges.scale_noise)
        turn = random.normal(b, count) * math.radians(ranges.turn_noise_deg)
        frames = batch_frames(places + step[:, None, None] * off, is_there, self.config, scale, turn)
        frames = after(frames, bend[:, None])
        target = moved(frames[:, :, None], corners)
        return after(frames, mirror[:, None]), target

    def _bent(self, centers: torch.Tensor, is_there: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Stretch and shear ``(B, 2, 3)``, the centers so bent, and the mean step of the centers before ``(B,)``."""
        random, ranges, b = self.random, self.ranges, len(centers)
        stretch = torch.exp(random.uniform(-1, 1, b) * ranges.stretch / 2)
        shear = random.uniform(-1, 1, b, 2) * ranges.shear
        part = linear(stretch, shear[:, 0], shear[:, 1], 1 / stretch)
        bend = affine(part, torch.zeros_like(shear))
        both = is_there[:, 1:] & is_there[:, :-1]
        gaps = torch.linalg.vector_norm(centers[:, 1:] - centers[:, :-1], dim=-1)
        step = torch.where(both, gaps, 0.0).sum(1) / both.sum(1).clamp(min=1)
        return bend, moved(bend[:, None], centers), step

    def _drift(self, b: int, count: int) -> torch.Tensor:
        """``(B, V, 2)`` steps by which centers are off, changing slowly along the spine."""
        knots = self.random.normal(b, 2, _DRIFT_KNOTS) * self.random.uniform(0, self.ranges.drift, b, 1, 1)
        return F.interpolate(knots, size=count, mode="linear", align_corners=True).transpose(1, 2)

    def _processed(self, patches: torch.Tensor, target: torch.Tensor, is_there: torch.Tensor) -> torch.Tensor:
        """Other contrast, shadows and implants, standardised, noise, covered parts."""
        random, ranges, b = self.random, self.ranges, len(patches)
        window = round(self.config.step) | 1
        known = torch.where(is_there[..., None, None], target, torch.nan)
        patches = self._with(patches, _IMPLANTED, lambda part, which: self._implanted(part, known[which]))
        patches = self._with(patches, _SHADOWED, lambda part, _: self._shadowed(part))
        patches = self._with(
            patches,
            ranges.local_contrast_probability,
            lambda part, _: torch.lerp(part, local_contrast(part, window), column(random.uniform(0.3, 1.0, len(part)))),
        )
        patches = photometry.gamma_changed(patches, random.uniform(*ranges.gamma, b))
        patches = torch.where(column(random.chance(ranges.invert_probability, b)), 1.0 - patches, patches)
        patches = self._with(patches, _LINED, lambda part, _: photometry.lined(part, random))
        patches = self._with(patches, _GRAINY, lambda part, _: photometry.grainy(part, random, _GRAIN))
        patches = standardised(patches)
        patches = patches + random.normal(*patches.shape) * column(random.uniform(0, ranges.noise_std, b))
        low, high = (max(2, round(share * self.config.height)) for share in _COVERED)
        for _ in range(2):
            patches = self._with(
                patches,
                ranges.occlusion_probability,
                lambda part, _: photometry.covered(part / 4 + 0.5, random, low, high) * 4 - 2,
            )
        return patches

    def _with(self, patches: torch.Tensor, share: float, change: photometry.Change) -> torch.Tensor:
        return photometry.changed(patches, self.random.some(share, len(patches)), change)

    def _shadowed(self, patches: torch.Tensor) -> torch.Tensor:
        """A soft shadow in about a third of the patches of a spine."""
        random, (b, v, h, w) = self.random, patches.shape
        places = random.uniform(-0.5, 2.5, b, v, 2) * patches.new_tensor([w, h])
        return photometry.shadowed(patches, places, self.config.step * random.uniform(0.2, 0.8, b), random)

    def _implanted(self, patches: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Rods and screws as they lie in each patch; those of a neighbour's patch are not continued."""
        random, b = self.random, len(patches)
        below = target.mean(2) + target.new_tensor([0.0, self.config.step])
        segments, radius = photometry.implants(target, below, random)
        return photometry.drawn(patches, segments, radius, random.uniform(0.75, 1.0, b), random.uniform(0.6, 1.0, b))


def corner_rows(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertebrae of a label on which patches are laid, and those of them whose corners are learnt.

    Args:
        label: ``(V, P, 3)`` x, y, state; an unknown point has a place where its x and y are not 0.

    Returns:
        ``(V,)`` which belong to the longest row of neighbours whose corners have places, and ``(V,)`` which of these
        have no unknown corner.
    """
    corners = label[:, 1:]
    has_place = (corners[..., STATE] != ABSENT) & np.isfinite(corners).all(-1) & (corners[..., :STATE] != 0).any(-1)
    row = np.zeros(len(label), bool)
    row[longest_row(has_place.all(1))] = True
    return row, row & np.isin(corners[..., STATE], (PRESENT, UNNAMED)).all(1)


def mirrored_patches(batch: PatchBatch) -> PatchBatch:
    """The same spines in mirror images, patch by patch."""
    order = list(mirrored_order(CORNERS))
    target = batch.target[:, :, order]
    x = batch.patches.shape[-1] - 1 - target[..., :1]
    return batch._replace(patches=batch.patches.flip(-1), target=torch.cat([x, target[..., 1:]], -1))
