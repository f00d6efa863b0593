"""From a radiograph to the network's input: image and points always move together.

Every transform works on a dict with the keys below and returns a new one. ``MATRIX`` always maps pixels of the
original file to pixels of ``IMAGE`` as it stands.
"""

from __future__ import annotations

from abc import abstractmethod
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

from ...image_io import Radiograph, read_radiograph
from ...spine.geometry import mirror_points, rotation, scaling, transform_points, translation
from ...spine.imaging.orientation import UPRIGHT, orientation_of
from ..codec import ABSENT, STATE, UNKNOWN, is_placed
from ..config import AugmentationConfig, Config, InputConfig

IMAGE = "image"
"""Path, ``Radiograph`` or ``(H, W)`` array at first; then a ``(1, H, W)`` tensor in 0...1."""
LABEL = "label"
"""``(V, P, 3)`` x, y, state; optional."""
MATRIX = "matrix"
"""``(3, 3)`` from original pixels to pixels of ``IMAGE``."""

_WINDOW_PERCENTILES = (0.5, 99.5)
_WINDOW_SAMPLES = 250_000
_LOCAL_WINDOW_SHARE = 8
_MARGIN = 2  # pixels around a part of an image, for interpolation at its border
_LEAST_ROWS = 4  # of the image per row of the input that a glance looks at


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
    if not np.isfinite(high - low):  # so large that differences overflow
        return windowed(pixels / max(abs(low), abs(high)))
    precision = np.float32 if pixels.dtype.itemsize <= 2 else np.float64
    stretched = np.subtract(pixels, low, dtype=precision)
    stretched /= high - low
    return np.clip(stretched, 0.0, 1.0, out=stretched).astype(np.float32, copy=False)


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
    scale = _scale_of(matrix)
    if scale < 1.0:
        small = max(1, round(height * scale)), max(1, round(width * scale))
        image = F.interpolate(image[None], size=small, mode="bilinear", antialias=True, align_corners=False)[0]
        matrix = matrix @ np.linalg.inv(scaling(small[1] / width, small[0] / height))
        height, width = small
    theta = torch.from_numpy(sampling_matrix(np.linalg.inv(matrix), (height, width), size)).to(image)
    grid = F.affine_grid(theta[None], [1, 1, *size], align_corners=False)
    return F.grid_sample(image[None] - fill, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0] + fill


def _scale_of(matrix: np.ndarray) -> float:
    """Pixels of the result per pixel of the image."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))


def sampling_matrix(back: np.ndarray, source: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """What ``affine_grid`` without aligned corners needs in order to look at an image through affine matrices.

    Args:
        back: ``(..., 3, 3)`` from pixels of the result to pixels of the image.
        source: (height, width) of the image.
        size: (height, width) of the result.

    Returns:
        ``(..., 2, 3)``.
    """
    theta: np.ndarray = (_to_unit(*source) @ back @ np.linalg.inv(_to_unit(*size)))[..., :2, :]
    return theta


def _to_unit(height: int, width: int) -> np.ndarray:
    """From pixels to -1...1 between the outer edges of the outermost pixels."""
    return np.array([[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]])


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
    """Reads ``IMAGE``, brings it upright and windows it; with ``longest``, shrinks it to at most that length.

    Upright is what the file says or, where the points of ``LABEL`` stand otherwise, as they stand.
    """

    def __init__(self, longest: int | None = None) -> None:
        self.longest = longest

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a copy with the upright image as a tensor.

        Raises:
            UnreadableImageError: the file cannot be read.
        """
        source = data[IMAGE]
        if isinstance(source, (str, Path)):
            source = read_radiograph(Path(source))
        radiograph = source if isinstance(source, Radiograph) else Radiograph(source)
        loaded = _upright(data, radiograph)
        height, width = loaded[IMAGE].shape[-2:]
        if self.longest is None or max(height, width) <= self.longest:
            return loaded
        scale = self.longest / max(height, width)
        size = max(1, round(height * scale)), max(1, round(width * scale))
        return move(loaded, scaling(size[1] / width, size[0] / height), size)


def _upright(data: Mapping[str, Any], radiograph: Radiograph) -> dict[str, Any]:
    """A copy with the upright windowed image, its label's points in its pixels, and the matrix from stored ones."""
    upright = dict(data)
    orientation = radiograph.orientation or UPRIGHT
    if LABEL in data:
        label = np.array(data[LABEL], dtype=np.float64)
        placed = is_placed(torch.from_numpy(label[..., STATE])).numpy()
        xy = np.where(placed[..., None], label[..., :STATE], np.nan)
        orientation = orientation_of(xy, radiograph.width, radiograph.height, radiograph.orientation)
        matrix = orientation.matrix(radiograph.width, radiograph.height)
        label[..., :STATE] = transform_points(matrix, label[..., :STATE])
        upright[LABEL] = label
    upright[IMAGE] = torch.from_numpy(windowed(radiograph.upright(orientation).pixels))[None]
    upright[MATRIX] = orientation.matrix(radiograph.width, radiograph.height)
    return upright


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


def spine_view(centers: np.ndarray, span: float, margin: float, config: InputConfig) -> np.ndarray:
    """``(3, 3)`` matrix that brings a spine to the middle of the input, upright as it is.

    Args:
        centers: ``(V, 2)`` from top to bottom, in pixels of the image.
        span: their height as a share of the input's.
        margin: room to leave on either side, in mean steps; where it does not fit, the spine becomes smaller.
        config: size of the input.
    """
    low, high = centers.min(0), centers.max(0)
    width, height = np.maximum(high - low, 1.0)
    room = 2 * margin * height / max(1, len(centers) - 1)
    scale = min(span * config.height / height, config.width / (width + room))
    middle = np.array([config.width - 1, config.height - 1]) / 2
    return translation(*(middle - scale * (low + high) / 2)) @ np.diag([scale, scale, 1.0])


def view(pixels: np.ndarray, matrix: np.ndarray, config: InputConfig, is_glance: bool = False) -> torch.Tensor:
    """What the network sees of an image: the part that a matrix shows, windowed by itself, black around the image.

    A glance at a large image leaves out so many of its rows and columns that at least four of each make up a pixel of
    the input.

    Args:
        pixels: ``(H, W)`` values as stored.
        matrix: ``(3, 3)`` from pixels of the image to pixels of the input.
        config: size of the input.
        is_glance: whether it may be quicker and less exact.

    Returns:
        ``(1, height, width)`` in 0...1.
    """
    every = max(1, int(1 / (_LEAST_ROWS * _scale_of(matrix)))) if is_glance else 1
    if every > 1:
        return view(pixels[::every, ::every], matrix @ np.diag([every, every, 1.0]), config)
    corners = np.array([[0, 0], [config.width, 0], [0, config.height], [config.width, config.height]], dtype=float)
    seen = transform_points(np.linalg.inv(matrix), corners)
    limits = np.array(pixels.shape[::-1])
    low = np.clip(np.floor(seen.min(0)).astype(int) - _MARGIN, 0, limits - 1)
    high = np.clip(np.ceil(seen.max(0)).astype(int) + _MARGIN, low + 1, limits)
    part = torch.from_numpy(windowed(pixels[low[1] : high[1], low[0] : high[0]]))[None]
    return warp(part, matrix @ translation(*low), (config.height, config.width))


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
    """Shows the image at a random size, place, angle and aspect, now and then mirrored, cut and in other surroundings.

    The size is set by the spine, not by the borders of the file, since those of a data set may tell where the spine
    ends and those of a whole film do not. Moving them inwards and filling what lies outside with structure takes that
    hint away. A share of the images is shown uncut on black, as prediction shows them: someone who has cropped a film
    to T1 to L5 has said where the spine ends.
    """

    _tries = 5
    _least_visible = 14

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
        return bool(inside.sum() >= min(self._least_visible, len(points)))

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
        kept = self._random_cut(height, width, points)
        surroundings = self._surroundings(data[IMAGE])
        moved = move(_without_points_outside(data, kept), matrix, size)
        is_image = torch.from_numpy(_inside(np.linalg.inv(matrix), kept, size))
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


class ToTensorsd(Transform):
    """Keeps what a batch needs: float32 tensors under ``IMAGE``, ``LABEL`` and ``MATRIX``."""

    def __call__(self, data: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Returns only the three keys."""
        return {
            key: torch.as_tensor(data[key], dtype=torch.float64 if key == MATRIX else torch.float32)
            for key in (IMAGE, LABEL, MATRIX)
            if key in data
        }


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


class RandUnpackd(Randomizable, Unpackd):
    """``Unpackd`` marked as random, so that MONAI's cache keeps the bytes and not the floats."""
