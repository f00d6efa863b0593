"""From a radiograph to the network's input: image and points always move together.

Every transform works on an item (keys: see the package) and returns a new one. ``MATRIX`` always maps pixels of the
original file to pixels of ``IMAGE`` as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose, MapTransform, Randomizable, Transform

from ...image_io import Radiograph, UnreadableImageError, read_radiograph
from ...image_io.window import windowed
from ...spine.geometry import mirror_points, scaling, transform_points
from ...spine.imaging.orientation import UPRIGHT, orientation_of
from ..codec import STATE, is_placed
from ..config import Config, InputConfig
from . import IMAGE, LABEL, MATRIX
from .image_views import fitting_matrix, warp


class FetchedImage(str):
    """Path of an image in a cache, which it may leave at any time: ``fetch`` brings it back and says where it is."""

    fetch: Callable[[], Path]

    def __new__(cls, path: Path, fetch: Callable[[], Path]) -> FetchedImage:
        """Make one of its path and of what fetches it."""
        new = super().__new__(cls, path)
        new.fetch = fetch
        return new

    def __deepcopy__(self, _: Any) -> FetchedImage:
        return self

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """Another process gets the path of a file that is there now."""
        return str, (str(self.fetch()),)


def file_of(source: str | Path) -> Path:
    """Path of an image that can be read now.

    Raises:
        OSError: it cannot be fetched.
    """
    return source.fetch() if isinstance(source, FetchedImage) else Path(source)


def move(data: Mapping[str, Any], matrix: np.ndarray, size: tuple[int, int]) -> dict[str, Any]:
    """Apply ``warp`` to the image and the same matrix to the points; the data passed in stay as they are."""
    moved = dict(data)
    moved[IMAGE] = warp(data[IMAGE], matrix, size)
    moved[MATRIX] = matrix @ data[MATRIX]
    if LABEL in data:
        label = np.array(data[LABEL], dtype=np.float64)
        label[..., :STATE] = transform_points(matrix, label[..., :STATE])
        moved[LABEL] = label
    return moved


class LoadRadiographd(Transform):
    """Reads ``IMAGE``, brings it upright with square pixels and windows it.

    With ``longest``, it is shrunk to at most that length.

    Upright is what the file says or, where the points of ``LABEL`` stand otherwise, as they stand.
    """

    def __init__(self, longest: int | None = None) -> None:
        self.longest = longest

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a copy with the upright image as a tensor.

        Raises:
            UnreadableImageError: the file cannot be read.
            OSError: it cannot be fetched.
        """
        source = data[IMAGE]
        if isinstance(source, (str, Path)):
            source = _read(source)
        radiograph = source if isinstance(source, Radiograph) else Radiograph(source)
        loaded = _upright(data, radiograph)
        height, width = loaded[IMAGE].shape[-2:]
        if self.longest is None or max(height, width) <= self.longest:
            return loaded
        scale = self.longest / max(height, width)
        size = max(1, round(height * scale)), max(1, round(width * scale))
        return move(loaded, scaling(size[1] / width, size[0] / height), size)


def _read(source: str | Path) -> Radiograph:
    """The image; fetched again where the cache drops it before it is read."""
    for is_last in (False, False, True):
        path = file_of(source)
        try:
            return read_radiograph(path)
        except UnreadableImageError:
            if is_last or path.exists() or not isinstance(source, FetchedImage):
                raise
    raise AssertionError("the last attempt returns or raises")


def _upright(data: Mapping[str, Any], radiograph: Radiograph) -> dict[str, Any]:
    """A copy with the upright windowed image, its label's points in its pixels, and the matrix from stored ones."""
    upright = dict(data)
    orientation, frame = radiograph.orientation or UPRIGHT, radiograph.frame
    if LABEL in data:
        label = np.array(data[LABEL], dtype=np.float64)
        placed = is_placed(torch.from_numpy(label[..., STATE])).numpy()
        xy = np.where(placed[..., None], label[..., :STATE], np.nan)
        orientation = orientation_of(xy, frame.width, frame.height, frame.orientation)
        label[..., :STATE] = transform_points(frame.matrix(orientation), label[..., :STATE])
        upright[LABEL] = label
    upright[IMAGE] = torch.from_numpy(windowed(radiograph.upright(orientation).pixels))[None]
    upright[MATRIX] = frame.matrix(orientation)
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


class FitToInputd(Transform):
    """Makes the whole image fit the network's input, undistorted, centered, black around it."""

    def __init__(self, config: InputConfig) -> None:
        self.config = config

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a copy of input size."""
        height, width = data[IMAGE].shape[-2:]
        matrix = fitting_matrix(height, width, self.config)
        return move(data, matrix, (self.config.height, self.config.width))


def mirrored(data: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with image, points and matrix mirrored left to right; left corners become right corners."""
    width = data[IMAGE].shape[-1]
    flipped = dict(data)
    flipped[IMAGE] = data[IMAGE].flip(-1)
    flipped[MATRIX] = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]]) @ data[MATRIX]
    if LABEL in data:
        flipped[LABEL] = mirror_points(np.asarray(data[LABEL]), width)
    return flipped


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


class RandUnpackd(Randomizable, Unpackd):
    """``Unpackd`` marked as random, so that MONAI's cache keeps the bytes and not the floats."""
