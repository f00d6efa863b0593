"""How far apart two readers of one radiograph are: the numbers of ``lib/spine/measurement/angle_interval.py``.

    python scripts/reader_error.py --data FOLDER

Some radiographs are in the AASCE data set twice, with another crop and new labels. Images of one patient are registered
by the shift at which their edges correlate most; those that then agree are one radiograph.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from lib.image_io import read_radiograph
from lib.learning.data.aasce import Record, read_aasce
from lib.spine.geometry import body_heights
from lib.spine.measurement.cobb import largest_curve

_EVERY = 4  # pixels left out when images are compared
_MIN_OVERLAP = 0.6  # of the height of an image
_MIN_CORRELATION = 0.9  # of the edges of two images that are one radiograph; those that are not have 0.71 and less
_MAX_SHIFT = 0.4  # of a body height, between the centers of readers who mean the same vertebrae
_COVERAGE = 90


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder in the AASCE layout")
    return parser.parse_args(arguments)


def edges(path: Path) -> np.ndarray:
    """Edges of an image, which do not depend on its exposure, ``(h, w)``."""
    pixels = read_radiograph(path).pixels[::_EVERY, ::_EVERY].astype(float)
    return np.asarray(gaussian_filter(pixels, 1) - gaussian_filter(pixels, 8))


def best_shift(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, float]:
    """Shift ``(2,)`` x, y that lays an image b on an image a, and the correlation of what then overlaps."""
    size = [2 * max(pair) for pair in zip(a.shape, b.shape, strict=True)]
    product = np.fft.irfft2(np.fft.rfft2(a, size) * np.conj(np.fft.rfft2(b, size)), size)
    peak = np.unravel_index(product.argmax(), product.shape)
    y, x = (int(lag) - length * (lag > length / 2) for lag, length in zip(peak, size, strict=True))
    top, left = max(0, y), max(0, x)
    bottom, right = min(a.shape[0], b.shape[0] + y), min(a.shape[1], b.shape[1] + x)
    if bottom - top < _MIN_OVERLAP * a.shape[0] or right - left < 2:
        return np.zeros(2), 0.0
    part, other = a[top:bottom, left:right], b[top - y : bottom - y, left - x : right - x]
    return np.array([x, y], dtype=float), float(np.corrcoef(part.ravel(), other.ravel())[0, 1])


def read_twice(records: list[Record]) -> list[tuple[Record, Record]]:
    """Pairs of records that are one radiograph with the same vertebrae labelled.

    Raises:
        UnreadableImageError: an image cannot be read.
    """
    groups = defaultdict(list)
    for record in records:
        if record.geometry_ok:
            groups[record.group].append(record)
    pairs = []
    for group in groups.values():
        for a, b in combinations(group, 2):
            shift, correlation = best_shift(edges(a.path), edges(b.path))
            away = np.linalg.norm((a.corners - b.corners).mean(1) - _EVERY * shift, axis=-1)
            if correlation >= _MIN_CORRELATION and np.median(away) <= _MAX_SHIFT * body_heights(a.corners).mean():
                pairs.append((a, b))
    return pairs


def main() -> int:
    """Run the command; returns the exit status."""
    pairs = read_twice(read_aasce(parse_arguments().data, "training"))
    angles = np.array([[largest_curve(record.corners).angle_deg for record in pair] for pair in pairs])
    apart = np.abs(angles[:, 0] - angles[:, 1])
    high = float(np.percentile(apart, _COVERAGE))
    print(f"{len(pairs)} radiographs read twice: largest angles differ by {apart.mean():.1f} degrees in the mean,")
    print(f"{_COVERAGE} % by {high:.1f} at most; each end vertebra's part: {high / math.sqrt(2):.2f} degrees")
    return 0
