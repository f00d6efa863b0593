"""The views that the corner network learns from: patches of a spine, each vertebra upright and at one size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose, Randomizable, Transform
from torch.nn import functional as F

from ...spine.geometry import centers_of, corners_of, scaling, transform_points
from ..codec import STATE, is_placed, longest_row
from ..config import Config, CornerConfig, PatchAugmentationConfig
from . import IMAGE, LABEL, MATRIX
from .image_views import cut_patches, local_contrast, shrinking, standardised, vertebra_frames
from .transforms import LoadRadiographd, Packd, RandUnpackd, Unpackd, mirrored, move

PATCHES = "patches"
"""``(V, height, width)`` standardised, 0 where there is no patch."""
TARGET = "target"
"""``(V, K, 2)`` labelled corners in pixels of the patches."""
IS_KNOWN = "is_known"
"""``(V,)`` 1.0 where all four labelled corners lie in the patch."""
IS_THERE = "is_there"
"""``(V,)`` whether there is a patch."""
_MAX_NOISE = 0.35  # steps that a center may be off in all, along one axis
_CALM_NOISE = 0.1  # steps that centers are off in validation
_COARSE = (0.3, 0.9)  # share of the resolution that is left
_COVERED = (8, 50)  # pixels, sides of a covered rectangle
_DRIFT_KNOTS = 5


def patched_vertebrae(label: np.ndarray) -> slice:
    """The longest row of neighbouring vertebrae with all corners, on which patches are laid; maybe empty.

    Args:
        label: ``(V, P, 3)`` x, y, state.
    """
    placed = is_placed(torch.as_tensor(label[..., STATE])).numpy() & np.isfinite(label).all(-1)
    return longest_row(placed[:, 1:].all(1))


def can_be_patched(item: Mapping[str, Any]) -> bool:
    """Whether two neighbouring vertebrae of an item have all their corners, the least that patches are laid on."""
    row = patched_vertebrae(np.asarray(item[LABEL]))
    return row.stop - row.start >= 2


class ShrinkToPatchesd(Transform):
    """Shrinks an image to the resolution of the patches, nearly."""

    def __init__(self, config: CornerConfig) -> None:
        self.config = config

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a copy that is no larger."""
        label = np.asarray(data[LABEL])
        centers = centers_of(corners_of(label)[patched_vertebrae(label)][..., :STATE])
        step = float(np.median(np.linalg.norm(np.diff(centers, axis=0), axis=1)))
        scale = shrinking(step, self.config)
        height, width = data[IMAGE].shape[-2:]
        size = max(1, round(height * scale)), max(1, round(width * scale))
        return move(data, scaling(size[1] / width, size[0] / height), size)


class CutPatchesd(Transform):
    """Patches whose middles are a tenth of a step off the labelled centers, as decoded ones are, always the same."""

    def __init__(self, config: CornerConfig) -> None:
        self.config = config

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what a batch needs; ``MATRIX`` becomes ``(V, 3, 3)``, one per patch."""
        row = patched_vertebrae(np.asarray(data[LABEL]))
        corners = corners_of(np.asarray(data[LABEL], dtype=float))[..., :STATE]
        centers = centers_of(corners[row])
        step = float(np.linalg.norm(np.diff(centers, axis=0), axis=1).mean())
        frames = self.frames(centers, step)
        target = np.zeros_like(corners)
        target[row] = [transform_points(*pair) for pair in zip(frames, corners[row], strict=True)]
        is_there = np.zeros(len(corners), dtype=bool)
        is_there[row] = True
        limits = self.config.width - 1, self.config.height - 1
        patches = torch.zeros(len(corners), self.config.height, self.config.width)
        patches[row] = self.grays(cut_patches(data[IMAGE], frames, self.config))
        matrices = np.tile(np.eye(3), (len(corners), 1, 1))
        matrices[row] = frames @ data[MATRIX]
        return {
            PATCHES: patches,
            TARGET: torch.from_numpy(target).float(),
            IS_KNOWN: torch.from_numpy(is_there & ((target > 0) & (target < limits)).all((1, 2))).float(),
            IS_THERE: torch.from_numpy(is_there),
            MATRIX: torch.from_numpy(matrices),
        }

    def frames(self, centers: np.ndarray, step: float) -> np.ndarray:
        """``(N, 3, 3)`` frames near centers ``(N, 2)`` whose mean distance is ``step``."""
        angle = 2.4 * np.arange(len(centers))  # radians; neighbours are off in different directions
        off = _CALM_NOISE * step * np.stack([np.cos(angle), np.sin(angle)], 1)
        return vertebra_frames(centers + off, self.config)

    def grays(self, patches: torch.Tensor) -> torch.Tensor:
        """``(N, height, width)`` standardised from gray values in 0...1."""
        return standardised(patches)


class RandCutPatchesd(Randomizable, CutPatchesd):
    """Patches at random positions near the vertebrae, of an image that is randomly changed."""

    def __init__(self, config: CornerConfig, augmentation: PatchAugmentationConfig) -> None:
        CutPatchesd.__init__(self, config)
        self.augmentation = augmentation

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what a batch needs."""
        random, ranges = self.R, self.augmentation
        if random.uniform() < ranges.flip_probability:
            data = mirrored(data)
        image = data[IMAGE]
        if random.uniform() < ranges.coarse_probability:
            height, width = image.shape[-2:]
            share = random.uniform(*_COARSE)
            size = max(8, round(height * share)), max(8, round(width * share))
            small = F.interpolate(image[None], size=size, mode="bilinear", antialias=True, align_corners=False)
            image = F.interpolate(small, size=(height, width), mode="bicubic", align_corners=False)[0].clamp(0, 1)
        if random.uniform() < ranges.local_contrast_probability:
            image = torch.lerp(image, local_contrast(image), random.uniform(0.3, 1.0))
        return super().__call__({**data, IMAGE: image})

    def frames(self, centers: np.ndarray, step: float) -> np.ndarray:
        """Frames beside the centers of a bent spine."""
        random, ranges = self.R, self.augmentation
        count = len(centers)
        stretch = np.exp(random.uniform(-1, 1) * ranges.stretch / 2)
        shear = random.uniform(-1, 1, 2) * ranges.shear
        bend = np.array([[stretch, shear[0], 0.0], [shear[1], 1 / stretch, 0.0], [0.0, 0.0, 1.0]])
        middles = transform_points(bend, centers)
        knots = random.normal(0, random.uniform(0, ranges.drift), (_DRIFT_KNOTS, 2))
        along = np.linspace(0, _DRIFT_KNOTS - 1, count)
        drift = np.stack([np.interp(along, np.arange(_DRIFT_KNOTS), knots[:, axis]) for axis in (0, 1)], 1)
        off = random.normal(0, random.uniform(*ranges.place_noise), (count, 2)) + drift
        scale = np.exp(random.normal(0, ranges.scale_noise, count))
        turn = np.radians(random.normal(0, ranges.turn_noise_deg, count))
        middles = middles + step * off.clip(-_MAX_NOISE, _MAX_NOISE)
        return vertebra_frames(middles, self.config, scale, turn) @ bend

    def grays(self, patches: torch.Tensor) -> torch.Tensor:
        """Other contrast, noise and a covered part."""
        random, ranges = self.R, self.augmentation
        patches = patches.clamp(1e-4, 1.0) ** float(random.uniform(*ranges.gamma))
        if random.uniform() < ranges.invert_probability:
            patches = 1.0 - patches
        patches = standardised(patches)
        noise = torch.from_numpy(random.normal(0, 1, patches.shape).astype(np.float32))
        patches = patches + noise * float(random.uniform(0, ranges.noise_std))
        if random.uniform() < ranges.occlusion_probability:
            height, width = random.randint(*_COVERED, 2)
            y = random.randint(0, max(1, self.config.height - height))
            x = random.randint(0, max(1, self.config.width - width))
            patches[random.randint(len(patches)), y : y + height, x : x + width] = float(random.uniform(-2, 2))
        return patches


def patch_training_views(config: Config) -> Compose:
    """Random patches; the shrunk image is kept in memory."""
    cached = [LoadRadiographd(), ShrinkToPatchesd(config.refiner), Packd(IMAGE)]
    return Compose([*cached, RandUnpackd(IMAGE), RandCutPatchesd(config.refiner, config.refiner_augmentation)])


def patch_validation_views(config: Config) -> Compose:
    """The same patches every time."""
    cached = [LoadRadiographd(), ShrinkToPatchesd(config.refiner), Packd(IMAGE), Unpackd(IMAGE)]
    return Compose([*cached, CutPatchesd(config.refiner)])
