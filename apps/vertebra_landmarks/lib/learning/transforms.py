"""From a radiograph to the network's input: image and points always move together.

Every transform works on a dict with the keys below and returns a new one. ``MATRIX`` always maps pixels of the
original file to pixels of ``IMAGE`` as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
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

from ..spine.geometry import mirror_points, rotation, scaling, transform_points, translation
from .codec import ABSENT, STATE
from .config import AugmentationConfig, Config, InputConfig, ModelConfig
from .reading import Radiograph, read_radiograph

IMAGE = "image"
"""Path, ``Radiograph`` or ``(H, W)`` array at first; then a ``(1, H, W)`` tensor in 0...1."""
LABEL = "label"
"""``(V, P, 3)`` x, y, state; optional."""
MATRIX = "matrix"
"""``(3, 3)`` from original pixels to pixels of ``IMAGE``."""

_WINDOW_PERCENTILES = (0.5, 99.5)
_WINDOW_SAMPLES = 250_000
_LOCAL_WINDOW_SHARE = 8


def windowed(pixels: np.ndarray) -> np.ndarray:
    """Stretch the gray values so that all but the extreme ones fill 0...1.

    Args:
        pixels: ``(H, W)`` values of any type.

    Returns:
        ``(H, W)`` float32; 0 everywhere for a constant image.
    """
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    every = max(1, int(np.sqrt(pixels.size / _WINDOW_SAMPLES)))
    low, high = (float(v) for v in np.percentile(pixels[::every, ::every], _WINDOW_PERCENTILES))
    if high <= low:
        low, high = float(pixels.min()), float(pixels.max())
    if high <= low:
        return np.zeros(pixels.shape, np.float32)
    precision = np.float32 if pixels.dtype.itemsize <= 2 else np.float64
    stretched = np.subtract(pixels, low, dtype=precision)
    stretched /= high - low
    return np.clip(stretched, 0.0, 1.0).astype(np.float32, copy=False)


def warp(image: torch.Tensor, matrix: np.ndarray, size: tuple[int, int], fill: float = 0.0) -> torch.Tensor:
    """Move an image by an affine matrix; a shrinking one averages the pixels that fall together.

    Args:
        image: ``(1, H, W)`` float tensor.
        matrix: ``(3, 3)`` from pixels of the image to pixels of the result.
        size: (height, width) of the result.
        fill: value outside the image.

    Returns:
        ``(1, *size)`` float tensor.
    """
    height, width = image.shape[-2:]
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    if scale < 1.0:
        small = max(1, round(height * scale)), max(1, round(width * scale))
        image = F.interpolate(image[None], size=small, mode="bilinear", antialias=True, align_corners=False)[0]
        matrix = matrix @ np.linalg.inv(scaling(small[1] / width, small[0] / height))
        height, width = small
    to_unit = np.array([[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]])
    from_unit = np.linalg.inv(
        np.array([[2 / size[1], 0, 1 / size[1] - 1], [0, 2 / size[0], 1 / size[0] - 1], [0, 0, 1]])
    )
    theta = torch.from_numpy((to_unit @ np.linalg.inv(matrix) @ from_unit)[:2]).to(image)
    grid = F.affine_grid(theta[None], [1, 1, *size], align_corners=False)
    return F.grid_sample(image[None] - fill, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0] + fill


def move(data: Mapping[str, Any], matrix: np.ndarray, size: tuple[int, int], fill: float = 0.0) -> dict[str, Any]:
    """Apply ``warp`` to the image and the same matrix to the points; the data passed in stay as they are."""
    moved = dict(data)
    moved[IMAGE] = warp(data[IMAGE], matrix, size, fill)
    moved[MATRIX] = matrix @ data[MATRIX]
    if LABEL in data:
        label = np.array(data[LABEL], dtype=np.float64)
        label[..., :STATE] = transform_points(matrix, label[..., :STATE])
        moved[LABEL] = label
    return moved


class LoadRadiographd(Transform):
    """Reads ``IMAGE`` and windows it; with ``longest``, shrinks it to at most that length."""

    def __init__(self, longest: int | None = None) -> None:
        self.longest = longest

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a copy with the image as a tensor and the identity as matrix.

        Raises:
            UnreadableImageError: the file cannot be read.
        """
        source = data[IMAGE]
        if isinstance(source, (str, Path)):
            source = read_radiograph(Path(source))
        pixels = source.pixels if isinstance(source, Radiograph) else source
        loaded = dict(data)
        loaded[IMAGE] = torch.from_numpy(windowed(pixels))[None]
        loaded[MATRIX] = np.eye(3)
        height, width = pixels.shape
        if self.longest is None or max(height, width) <= self.longest:
            return loaded
        scale = self.longest / max(height, width)
        size = max(1, round(height * scale)), max(1, round(width * scale))
        return move(loaded, scaling(size[1] / width, size[0] / height), size)


class Packd(MapTransform):
    """Stores images as bytes, to keep a whole data set in memory; ``Unpackd`` is the way back."""

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a copy with uint8 images."""
        packed = dict(data)
        for key in self.key_iterator(packed):
            packed[key] = (packed[key] * 255).round().to(torch.uint8)
        return packed


class Unpackd(MapTransform):
    """Turns stored bytes into values in 0...1."""

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a copy with float images."""
        unpacked = dict(data)
        for key in self.key_iterator(unpacked):
            unpacked[key] = unpacked[key].float() / 255
        return unpacked


def fitting_matrix(height: int, width: int, config: InputConfig) -> np.ndarray:
    """``(3, 3)`` matrix that makes a whole image fit the input, undistorted and centered."""
    scale = min(config.height / height, config.width / width)
    dx = round((config.width - width * scale) / 2)
    dy = round((config.height - height * scale) / 2)
    return translation(dx, dy) @ scaling(scale, scale)


class FitToInputd(Transform):
    """Makes the whole image fit the network's input, undistorted, centered, black around it."""

    def __init__(self, config: InputConfig) -> None:
        self.config = config

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a copy of input size."""
        height, width = data[IMAGE].shape[-2:]
        matrix = fitting_matrix(height, width, self.config)
        return move(data, matrix, (self.config.height, self.config.width))


class RandFitToInputd(Randomizable, Transform):
    """Fits the image into the input at a random scale, place, angle and aspect, now and then mirrored."""

    _tries = 5
    _least_visible = 14

    def __init__(self, config: InputConfig, augmentation: AugmentationConfig) -> None:
        self.config = config
        self.augmentation = augmentation

    def _random_matrix(self, height: int, width: int) -> np.ndarray:
        random, ranges = self.R, self.augmentation
        fit = min(self.config.height / height, self.config.width / width)
        is_wide = random.uniform() < ranges.wide_probability
        scale = fit * random.uniform(*(ranges.wide_scale if is_wide else ranges.scale))
        stretch = np.exp(random.uniform(-1, 1) * ranges.stretch / 2)
        scale_x, scale_y = scale * stretch, scale / stretch
        angle = random.uniform(-1, 1) * ranges.rotation_deg
        free_x = max(0.0, self.config.width - width * scale_x) / 2 + ranges.shift * self.config.width
        free_y = max(0.0, self.config.height - height * scale_y) / 2 + ranges.shift * self.config.height
        middle_x = (self.config.width - 1) / 2 + random.uniform(-1, 1) * free_x
        middle_y = (self.config.height - 1) / 2 + random.uniform(-1, 1) * free_y
        to_middle = translation(-(width - 1) / 2, -(height - 1) / 2)
        return translation(middle_x, middle_y) @ rotation(angle) @ np.diag([scale_x, scale_y, 1.0]) @ to_middle

    def _shows_enough(self, label: np.ndarray, matrix: np.ndarray) -> bool:
        centers = label[:, 0]
        there = centers[:, STATE] != ABSENT
        xy = transform_points(matrix, centers[there, :STATE])
        inside = ((xy >= 0) & (xy <= (self.config.width - 1, self.config.height - 1))).all(-1)
        return bool(inside.sum() >= min(self._least_visible, there.sum()))

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a copy of input size."""
        height, width = data[IMAGE].shape[-2:]
        if self.R.uniform() < self.augmentation.flip_probability:
            data = mirrored(data)
        for _ in range(self._tries):
            matrix = self._random_matrix(height, width)
            if LABEL not in data or self._shows_enough(np.asarray(data[LABEL]), matrix):
                break
        else:
            matrix = fitting_matrix(height, width, self.config)
        fill = float(self.R.choice([0.0, self.R.uniform(), float(data[IMAGE].mean())]))
        return move(data, matrix, (self.config.height, self.config.width), fill)


def mirrored(data: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with image, points and matrix mirrored left to right; left corners become right corners."""
    width = data[IMAGE].shape[-1]
    flipped = dict(data)
    flipped[IMAGE] = data[IMAGE].flip(-1)
    flipped[MATRIX] = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]]) @ data[MATRIX]
    if LABEL in data:
        flipped[LABEL] = mirror_points(np.asarray(data[LABEL]), width)
    return flipped


def local_contrast(image: torch.Tensor) -> torch.Tensor:
    """Equalise contrast locally, as many viewers and exports do.

    Args:
        image: ``(1, H, W)`` in 0...1.

    Returns:
        ``(1, H, W)`` in 0...1: each pixel against the mean and spread of its neighbourhood.
    """
    window = max(3, image.shape[-1] // _LOCAL_WINDOW_SHARE) | 1

    def mean(x: torch.Tensor) -> torch.Tensor:  # of a square window, rows first, then columns
        x = F.avg_pool2d(x, (1, window), stride=1, padding=(0, window // 2), count_include_pad=False)
        return F.avg_pool2d(x, (window, 1), stride=1, padding=(window // 2, 0), count_include_pad=False)

    average = mean(image)
    spread = (mean(image**2) - average**2).clamp(min=0).sqrt()
    return torch.sigmoid(1.6 * (image - average) / (spread + 0.03))


class RandLocalContrastd(Randomizable, MapTransform):
    """Blends the image with its locally equalised version, at a random strength, with probability ``prob``."""

    def __init__(self, keys: str, prob: float) -> None:
        MapTransform.__init__(self, keys)
        self.prob = prob

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a changed copy."""
        changed = dict(data)
        if self.R.uniform() < self.prob:
            share = self.R.uniform(0.3, 1.0)
            for key in self.key_iterator(changed):
                changed[key] = torch.lerp(changed[key], local_contrast(changed[key]), share)
        return changed


class RandInvertd(Randomizable, MapTransform):
    """Turns bright into dark with probability ``prob``."""

    def __init__(self, keys: str, prob: float) -> None:
        MapTransform.__init__(self, keys)
        self.prob = prob

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a changed copy."""
        changed = dict(data)
        if self.R.uniform() < self.prob:
            for key in self.key_iterator(changed):
                changed[key] = 1.0 - changed[key]
        return changed


class ToTensorsd(Transform):
    """Keeps what a batch needs: float32 tensors under ``IMAGE``, ``LABEL`` and ``MATRIX``."""

    def __call__(self, data: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Returns only the three keys."""
        return {
            key: torch.as_tensor(data[key], dtype=torch.float64 if key == MATRIX else torch.float32)
            for key in (IMAGE, LABEL, MATRIX)
            if key in data
        }


def prediction_transforms(config: ModelConfig) -> Compose:
    """File or radiograph to network input; the last steps are the ones of validation."""
    return Compose([LoadRadiographd(), FitToInputd(config.input), ToTensorsd()])


def validation_transforms(config: Config) -> Compose:
    """As for prediction, with the shrunk image kept in memory between epochs."""
    cached = [LoadRadiographd(config.training.cache_longest), Packd(IMAGE), Unpackd(IMAGE)]
    return Compose([*cached, FitToInputd(config.input), ToTensorsd()])


def training_transforms(config: Config) -> Compose:
    """Random views for training; what comes before the first random step is kept in memory."""
    a = config.augmentation
    longest = round(0.25 * config.input.width)
    return Compose(
        [
            LoadRadiographd(config.training.cache_longest),
            Packd(IMAGE),
            _RandUnpackd(IMAGE),
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


class _RandUnpackd(Randomizable, Unpackd):
    """``Unpackd`` marked as random, so that MONAI's cache keeps the bytes and not the floats."""
