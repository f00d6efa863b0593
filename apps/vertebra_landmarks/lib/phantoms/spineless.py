"""Images without a spine, on which nothing must be found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import body_parts, distractors, patterns
from .canvas import blur, cloud

SPINELESS: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "drawers": distractors.drawers,
    "bookshelf": distractors.bookshelf,
    "ladder": distractors.ladder,
    "bricks": distractors.bricks,
    "stack": distractors.stack,
    "windows": distractors.windows,
    "text": patterns.text,
    "white noise": patterns.white_noise,
    "cloud noise": patterns.cloud_noise,
    "blobs": patterns.blobs,
    "gradient": patterns.gradient,
    "constant": patterns.constant,
    "stripes": patterns.stripes,
    "checkerboard": patterns.checkerboard,
    "hand": body_parts.hand,
    "knee": body_parts.knee,
    "long bones": body_parts.long_bones,
    "scribbles": patterns.scribbles,
    "face": distractors.face,
    "rib cage": body_parts.rib_cage,
    "pelvis": body_parts.pelvis,
}
"""What images without a spine show."""


def random_spineless(seed: int, height: int = 1024, width: int = 512) -> np.ndarray:
    """An image ``(H, W)`` uint8 without a spine, of the kind ``spineless_kind(seed)``.

    Args:
        seed: decides what is seen.
        height: rows, at least 64.
        width: columns, at least 32.

    Raises:
        ValueError: the image is too small.
    """
    if height < 64 or width < 32:
        raise ValueError(f"an image needs at least 64 x 32 pixels, got {height} x {width}")
    rng = np.random.default_rng([int(seed), 201])
    kind = spineless_kind(seed)
    image = SPINELESS[kind](rng, height, width).astype(np.float32)
    if kind != "constant":
        image = _photograph(image, rng)
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def spineless_kind(seed: int) -> str:
    """Which of ``SPINELESS`` a seed shows."""
    kinds = tuple(SPINELESS)
    return kinds[int(np.random.default_rng([int(seed), 200]).integers(len(kinds)))]


def _photograph(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Uneven light, blur, grain, a random gray range, and often inversion."""
    height, width = image.shape
    low, high = float(image.min()), float(image.max())
    image = (image - low) / max(high - low, 1e-6)
    light = cloud(rng, height, width, max(height, width) * rng.uniform(0.2, 0.8), 2)
    image = blur(image * (1 + np.float32(rng.uniform(0, 0.5)) * light), float(rng.choice((0.0, 0.6, 1.5))))
    image = np.clip(image, 0, 1.3) ** np.float32(np.exp(rng.normal(0, 0.4)))
    dark, bright = rng.uniform(0, 0.35), rng.uniform(0.6, 1.1)
    image = dark + (bright - dark) * image
    image += np.float32(rng.choice((0.0, 0.02, 0.07))) * rng.standard_normal(image.shape, dtype=np.float32)
    return 1 - image if rng.random() < 0.35 else image
