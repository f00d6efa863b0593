"""Random views for training: size, position, surroundings and gray values of an image; its points move along."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from monai.transforms import (
    Compose,
    MapTransform,
    RandAdjustContrastd,
    RandCoarseDropoutd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    Randomizable,
    RandScaleIntensityd,
    RandShiftIntensityd,
    Transform,
)
from torch.nn import functional as F

from ...spine.geometry import rotation, transform_points, translation
from ..codec import ABSENT, STATE, UNKNOWN, is_placed
from ..config import AugmentationConfig, Config, InputConfig
from . import IMAGE, LABEL
from .image_views import fitting_matrix, local_contrast
from .transforms import LoadRadiographd, Packd, RandUnpackd, ToTensorsd, mirrored, move


class RandFitToInputd(Randomizable, Transform):
    """Shows the image at a random size, place, angle and aspect, now and then mirrored, cut and in other surroundings.

    The size is set by the spine, not by the borders of the file, since those of a data set may tell where the spine
    ends and those of a whole radiograph do not. Moving them inwards and filling what lies outside with structure takes
    that hint away. A share of the images is shown uncut on black, as prediction shows them: someone who has cropped an
    image to T1 to L5 has said where the spine ends.
    """

    _tries = 5
    _min_visible = 14

    def __init__(self, config: InputConfig, augmentation: AugmentationConfig) -> None:
        self.config = config
        self.augmentation = augmentation

    def _random_matrix(self, points: np.ndarray, is_whole: bool) -> np.ndarray:
        """A view in which the points' height has a random share of the input's and lies anywhere inside it."""
        random, ranges = self.R, self.augmentation
        is_far = not is_whole and random.uniform() < ranges.far_probability
        span = random.uniform(*(ranges.far_span if is_far else ranges.near_span))
        scale = span * self.config.height / max(1.0, np.ptp(points[:, 1]))
        stretch = np.exp(random.uniform(-1, 1) * ranges.stretch / 2)
        angle = random.uniform(-1, 1) * ranges.rotation_deg
        matrix = rotation(angle) @ np.diag([scale * stretch, scale / stretch, 1.0])
        moved = transform_points(matrix, points)
        size = np.array([self.config.width, self.config.height])
        body = np.ptp(moved[:, 1]) / max(1, len(points) - 1)  # about the half width, and the height, of a vertebra
        free = size - 1 - np.ptp(moved, axis=0) - (2 * body, body)
        reach = np.abs(free) / 2 + ranges.shift * size
        middle = (size - 1) / 2 + random.uniform(-1, 1, 2) * reach
        return translation(*(middle - (moved.min(0) + moved.max(0)) / 2)) @ matrix

    def _shows_enough(self, points: np.ndarray, matrix: np.ndarray) -> bool:
        xy = transform_points(matrix, points)
        inside = ((xy >= 0) & (xy <= (self.config.width - 1, self.config.height - 1))).all(-1)
        return bool(inside.sum() >= min(self._min_visible, len(points)))

    def _random_cut(self, height: int, width: int, points: np.ndarray) -> np.ndarray:
        """What stays of the image, ``(2, 2)``: the least, then the greatest x and y, in its pixels."""
        whole = np.array([[0.0, 0.0], [width - 1, height - 1]])
        limits = whole.copy()
        margin = np.ptp(points[:, 1]) / max(1, len(points) - 1)  # one step between vertebrae
        inner = np.stack([points.min(0) - margin, points.max(0) + margin])
        inner[:, 1] += (0.4 * margin, -0.4 * margin)
        for end, sign in ((0, 1), (1, -1)):
            for axis in (0, 1):
                if self.R.uniform() < self.augmentation.cut_probability:
                    room = max(0.0, sign * (inner[end, axis] - limits[end, axis]))
                    limits[end, axis] += sign * room * self.R.uniform()
        if self.R.uniform() < self.augmentation.deep_cut_probability:  # over T1 and T2, or over L4 and L5
            end = self.R.randint(2)
            outermost = points[:3, 1] if end == 0 else points[-3:, 1]
            limits[end, 1] = self.R.uniform(outermost.min(), outermost.max())
        return limits if (np.ptp(limits, axis=0) > 2 * margin).all() else whole

    def _surroundings(self, image: torch.Tensor) -> torch.Tensor:
        """``(1, height, width)`` in 0...1 for what lies outside the image."""
        size = self.config.height, self.config.width
        even = float(self.R.choice([0.0, self.R.uniform(), float(image.mean())]))
        surroundings = torch.full((1, *size), even)
        if self.R.uniform() >= self.augmentation.background_probability:
            return surroundings
        cells = self.R.randint(3, 9, 2)
        if self.R.uniform() < 0.5:  # soft tissue of the image itself, too blurred to show a vertebra
            coarse = F.adaptive_avg_pool2d(image[None], tuple(cells.tolist()))
        else:
            coarse = torch.from_numpy(self.R.uniform(0, 1, (1, 1, *cells)).astype(np.float32))
        surroundings = F.interpolate(coarse, size=size, mode="bicubic", align_corners=False)[0].clamp(0, 1)
        grain = torch.from_numpy(self.R.normal(0, self.R.uniform(0, 0.1), (1, *size)).astype(np.float32))
        return (surroundings + grain).clamp(0, 1)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a copy of input size; points on what was cut off are absent."""
        height, width = data[IMAGE].shape[-2:]
        if self.R.uniform() < self.augmentation.flip_probability:
            data = mirrored(data)
        points = _centers(data)
        if len(points) < 2:  # nothing to go by but the image itself
            points = np.array([[width / 2, 0.07 * height], [width / 2, 0.93 * height]])
        is_whole = self.R.uniform() < self.augmentation.whole_probability
        for _ in range(self._tries):
            matrix = self._random_matrix(points, is_whole)
            if self._shows_enough(points, matrix):
                break
        else:
            matrix = fitting_matrix(height, width, self.config)
        size = self.config.height, self.config.width
        if is_whole:
            return move(data, matrix, size)
        limits = self._random_cut(height, width, points)
        surroundings = self._surroundings(data[IMAGE])
        moved = move(_without_points_outside(data, limits), matrix, size)
        is_image = torch.from_numpy(_inside(np.linalg.inv(matrix), limits, size))
        moved[IMAGE] = torch.where(is_image, moved[IMAGE], surroundings)
        return moved


def _centers(data: Mapping[str, Any]) -> np.ndarray:
    """``(N, 2)`` centers that are there, from top to bottom."""
    if LABEL not in data:
        return np.empty((0, 2))
    centers = torch.as_tensor(np.asarray(data[LABEL])[:, 0])
    there: np.ndarray = centers[is_placed(centers[:, STATE]), :STATE].numpy()
    return there


def _without_points_outside(data: Mapping[str, Any], limits: np.ndarray) -> dict[str, Any]:
    """A copy in which vertebrae whose center lies outside the limits ``(2, 2)`` are absent."""
    changed = dict(data)
    if LABEL in data:
        label = np.array(data[LABEL], dtype=np.float64)
        centers = label[:, 0, :STATE]
        is_outside = ~((centers >= limits[0]) & (centers <= limits[1])).all(-1)
        label[is_outside & (label[:, 0, STATE] != UNKNOWN), :, STATE] = ABSENT
        changed[LABEL] = label
    return changed


def _inside(back: np.ndarray, limits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which pixels of the result ``(height, width)`` show something within the limits, half a pixel included."""
    y, x = np.mgrid[: size[0], : size[1]]
    xy = transform_points(back, np.stack([x, y], -1).astype(float))
    inside: np.ndarray = ((xy >= limits[0] - 0.5) & (xy <= limits[1] + 0.5)).all(-1)
    return inside


class _RandGrayd(Randomizable, MapTransform):
    """Changes gray values with probability ``prob``."""

    def __init__(self, keys: str, prob: float) -> None:
        MapTransform.__init__(self, keys)
        self.prob = prob

    @abstractmethod
    def change(self, image: torch.Tensor, share: float) -> torch.Tensor:
        """The changed image; ``share`` in 0...1 is random."""

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a changed copy."""
        changed = dict(data)
        if self.R.uniform() < self.prob:
            share = self.R.uniform()
            for key in self.key_iterator(changed):
                changed[key] = self.change(changed[key], share)
        return changed


class RandLocalContrastd(_RandGrayd):
    """Blends the image with its locally equalised version, at a random strength, with probability ``prob``."""

    def change(self, image: torch.Tensor, share: float) -> torch.Tensor:
        """The changed image; ``share`` in 0...1 is random."""
        return torch.lerp(image, local_contrast(image), 0.3 + 0.7 * share)


class RandInvertd(_RandGrayd):
    """Turns bright into dark with probability ``prob``."""

    def change(self, image: torch.Tensor, share: float) -> torch.Tensor:
        """The changed image, whatever ``share`` is."""
        return 1.0 - image


def training_transforms(config: Config) -> Compose:
    """Random views for training; what comes before the first random step is kept in memory."""
    a = config.augmentation
    longest = round(0.25 * config.input.width)
    return Compose(
        [
            LoadRadiographd(config.training.cache_longest),
            Packd(IMAGE),
            RandUnpackd(IMAGE),
            RandFitToInputd(config.input, a),
            RandLocalContrastd(IMAGE, a.local_contrast_probability),
            RandAdjustContrastd(IMAGE, prob=0.7, gamma=a.gamma),
            RandScaleIntensityd(IMAGE, factors=(a.contrast[0] - 1, a.contrast[1] - 1), prob=0.7),
            RandShiftIntensityd(IMAGE, offsets=a.brightness, prob=0.7),
            RandInvertd(IMAGE, a.invert_probability),
            RandGaussianSmoothd(IMAGE, sigma_x=(0.2, a.blur_sigma), sigma_y=(0.2, a.blur_sigma), prob=0.3),
            RandGaussianNoised(IMAGE, prob=0.5, std=a.noise_std),
            RandCoarseDropoutd(
                IMAGE,
                holes=1,
                spatial_size=8,
                max_spatial_size=longest,
                max_holes=3,
                fill_value=(0.0, 1.0),
                prob=a.occlusion_probability,
            ),
            ToTensorsd(),
        ]
    )
