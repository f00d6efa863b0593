"""Landmarks of one image by the exported landmark network: ``python predict_onnx.py IMAGE``.

Needs numpy, Pillow and onnxruntime, and neither PyTorch nor the project. Every vertebra is the highest cell of its own
heatmap, in a view of the whole image and then of the spine. The project's prediction goes on from here: MAP decoding,
turned and mirrored views, the corner network, expected errors and warnings. The MONAI bundle does all of that.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..image_io.raster.luminance import finite
from ..image_io.window import windowed
from ..spine.geometry import scaling, transform_points, translation
from ..spine.schema import CORNERS, POINTS, VERTEBRAE

STRIDE = 4  # input pixels per cell of a map
SPAN, MARGIN = 0.82, 2.0  # height of the spine in the second view as a share of it, and steps left on either side
ROWS = 6  # of the image that are read per row of a view at least

Network = Callable[[np.ndarray], list[np.ndarray]]
"""``(1, 1, H, W)`` in 0...1 to heatmap ``(1, V, h, w)``, offset ``(1, 2, h, w)``, corner offset ``(1, 2 K, h, w)``."""


def fit(width: int, height: int, size: tuple[int, int]) -> np.ndarray:
    """``(3, 3)`` from pixels of an image to those of a view of ``size`` (height, width) that shows all of it."""
    scale = min(size[0] / height, size[1] / width)
    left, top = round((size[1] - width * scale) / 2), round((size[0] - height * scale) / 2)
    return translation(left, top) @ scaling(scale, scale)


def closer(centers: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``(3, 3)`` to a view of the spine with centers ``(V, 2)``."""
    low, high = centers.min(0), centers.max(0)
    width, height = np.maximum(high - low, 1.0)
    room = 2 * MARGIN * height / (len(centers) - 1)
    scale = min(SPAN * size[0] / height, size[1] / (width + room))
    middle = np.array([size[1] - 1, size[0] - 1]) / 2
    return translation(*(middle - scale * (low + high) / 2)) @ np.diag([scale, scale, 1.0])


def view(pixels: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``(height, width)`` float32 in 0...1: what a matrix shows of gray values, stretched, black around the image."""
    every = max(1, int(1 / (ROWS * matrix[0, 0])))
    pixels, matrix = pixels[::every, ::every], matrix @ np.diag([every, every, 1.0])
    corners = transform_points(np.linalg.inv(matrix), np.array([[0.0, 0.0], [size[1], size[0]]]))
    limits = np.array(pixels.shape[::-1])
    low = np.clip(np.floor(corners[0]).astype(int) - 2, 0, limits - 1)
    high = np.clip(np.ceil(corners[1]).astype(int) + 2, low + 1, limits)
    part = windowed(pixels[low[1] : high[1], low[0] : high[0]])
    matrix = matrix @ translation(*low)
    height, width = part.shape
    if matrix[0, 0] < 1.0:  # shrunk first, so that pixels that fall together are averaged
        small = max(1, round(width * matrix[0, 0])), max(1, round(height * matrix[0, 0]))
        part = np.asarray(Image.fromarray(part).resize(small, Image.Resampling.BILINEAR))
        matrix = matrix @ np.linalg.inv(scaling(small[0] / width, small[1] / height))
    return _interpolated(part, np.linalg.inv(matrix), size)


def _interpolated(part: np.ndarray, back: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear values of an image at the pixels of a view; ``back`` leads from these, without a turn, to the image."""
    framed = np.pad(part, 1)
    weights = []
    for axis, count in ((1, size[0]), (0, size[1])):
        place = back[axis, axis] * np.arange(count) + back[axis, 2] + 1
        place = np.clip(place, 0, framed.shape[1 - axis] - 1)
        cell = np.minimum(place.astype(int), framed.shape[1 - axis] - 2)
        weights.append((cell, (place - cell).astype(np.float32)))
    (y, down), (x, right) = weights
    rows = framed[y] * (1 - down)[:, None] + framed[y + 1] * down[:, None]
    result: np.ndarray = rows[:, x] * (1 - right) + rows[:, x + 1] * right
    return result


def decode(heatmap: np.ndarray, offset: np.ndarray, corner_offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points ``(V, P, 2)`` in pixels of the view, and scores ``(V,)``, of the maps of one image."""
    flat = heatmap[0].reshape(len(VERTEBRAE), -1)
    y, x = np.divmod(flat.argmax(1), heatmap.shape[-1])
    center = np.stack([x, y], 1) + offset[0][:, y, x].T
    corners = center[:, None] + corner_offset[0][:, y, x].T.reshape(len(VERTEBRAE), len(CORNERS), 2)
    points = np.concatenate([center[:, None], corners], 1)
    return (points + 0.5) * STRIDE - 0.5, flat.max(1)


def predict(pixels: np.ndarray, network: Network, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Points ``(V, P, 2)`` in pixels of an upright image ``(H, W)`` with bright bone, and scores ``(V,)`` in 0...1."""
    pixels, matrix = finite(pixels), fit(pixels.shape[1], pixels.shape[0], size)
    for _ in range(2):
        points, scores = decode(*network(view(pixels, matrix, size)[None, None]))
        points = transform_points(np.linalg.inv(matrix), points)
        matrix = closer(points[:, 0], size)
    return points, scores


def open_network(path: Path) -> tuple[Network, tuple[int, int]]:
    """The network in an ONNX file, and height and width of its input."""
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    image = session.get_inputs()[0]
    return lambda batch: session.run(None, {image.name: batch}), tuple(image.shape[2:])


def main() -> int:
    """Print a table of points; returns the exit status."""
    if len(sys.argv) != 2:
        print("usage: python predict_onnx.py IMAGE", file=sys.stderr)
        return 2
    network, size = open_network(Path(__file__).parent / "landmark_network.onnx")
    with Image.open(sys.argv[1]) as image:
        gray = image if image.mode in ("L", "F") or image.mode.startswith("I") else image.convert("L")
        points, scores = predict(np.asarray(gray), network, size)
    table = csv.writer(sys.stdout)
    table.writerow(["vertebra", "point", "x", "y", "score"])
    for vertebra, xy, score in zip(VERTEBRAE, points, scores, strict=True):
        for name, (x, y) in zip(POINTS, xy, strict=True):
            table.writerow([vertebra, name, f"{x:.3f}", f"{y:.3f}", f"{score:.3f}"])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
