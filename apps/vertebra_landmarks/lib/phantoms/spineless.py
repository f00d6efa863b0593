"""Images without a spine, in which nothing may be found: distractors, limbs, and trunks without their vertebrae.

The functions of body parts take a random generator and the size in pixels, and return ``(H, W)`` of any gray range.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from . import distractors
from .body import draw_pelvis, draw_ribs, draw_shoulders, draw_skull
from .canvas import Brush, band, blur, cloud, ellipse, random_sheet
from .column import Column
from .exposure import develop, expose
from .placement import Placement, blank_sheet
from .render import column_of, soft_tissue
from .spec import Part, PhantomSpec, part_rng, random_spec


def _long_bone(brush: Brush, start: np.ndarray, end: np.ndarray, half_width: float) -> None:
    """A shaft with two thick ends inside a sleeve of flesh."""
    t = np.linspace(0, 1, 16)
    flare = 1 + 1.1 * (2 * np.abs(t - 0.5)) ** 6
    curve = start + (end - start) * t[:, None]
    brush.fill(band(curve, 3.2 * half_width), 0.25)
    brush.tube(curve, half_width * flare, 0.7)
    for tip in (start, end):
        brush.dome(ellipse(tip, (2.1 * half_width, 1.2 * half_width)), 0.35)


def hand(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """The bones of a hand: five rays of short capsules, wrist, forearm."""
    sheet, brush = random_sheet(rng, height, width, 90)
    brush.dome(ellipse(np.array((0.0, 0.2)), (0.34, 0.4)), 0.3, 4)
    for finger in range(5):
        heading = math.radians(-90 + (finger - 2) * rng.uniform(9, 15) - 15 * (finger == 0))
        at, along = np.array([0.13 * (finger - 2), 0.25]), np.array([math.cos(heading), math.sin(heading)])
        for length in (0.38, 0.26, 0.17, 0.12)[: 3 if finger == 0 else 4]:
            _long_bone(brush, at, at + along * length, 0.028)
            at = at + along * (length + 0.035)
    for _ in range(8):
        brush.ring(ellipse(rng.normal((0, 0.36), (0.11, 0.05)), (0.06, 0.05)), 0.5, 0.8)
    for x in (-0.09, 0.09):
        _long_bone(brush, np.array((x, 0.5)), np.array((x, 1.6)), 0.05)
    return sheet.render()


def knee(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """One or two knees: thigh and shin bones meeting at a joint space."""
    sheet, brush = random_sheet(rng, height, width, 40)
    for x in ((0.0,), (-0.35, 0.35))[int(rng.integers(2))]:
        wide = rng.uniform(0.07, 0.12)
        _long_bone(brush, np.array((x, -1.6)), np.array((x, -0.1)), wide)
        _long_bone(brush, np.array((x, 0.1)), np.array((x, 1.5)), wide * 0.9)
        _long_bone(brush, np.array((x + 2.2 * wide, 0.25)), np.array((x + 2 * wide, 1.5)), wide * 0.35)
    return sheet.render()


def long_bones(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A few capsules anywhere, bright as bones."""
    sheet, brush = random_sheet(rng, height, width, 90)
    for _ in range(int(rng.integers(1, 6))):
        start, heading = rng.uniform(-0.7, 0.7, 2), rng.uniform(0, 2 * np.pi)
        end = start + rng.uniform(0.3, 1.6) * np.array([math.cos(heading), math.sin(heading)])
        _long_bone(brush, start, end, rng.uniform(0.03, 0.12))
    return sheet.render()


def rib_cage(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A chest with ribs, lungs and heart, but without vertebrae."""

    def bones(brush: Brush, column: Column, spec: PhantomSpec) -> None:
        draw_ribs(brush, column, spec.girth, part_rng(spec.seed, Part.RIBS))
        draw_shoulders(brush, column, spec.girth, part_rng(spec.seed, Part.SHOULDERS))

    return _body_part(rng, height, width, 5.0, 250.0, bones)


def pelvis(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A pelvis with the thighs, but without lumbar vertebrae."""

    def bones(brush: Brush, column: Column, spec: PhantomSpec) -> None:
        draw_pelvis(brush, column, spec.girth, part_rng(spec.seed, Part.PELVIS))

    return _body_part(rng, height, width, 17.0, 330.0, bones)


def skull(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A skull from the front, without the neck."""

    def bones(brush: Brush, column: Column, spec: PhantomSpec) -> None:
        draw_skull(brush, column, part_rng(spec.seed, Part.SKULL))

    return _body_part(rng, height, width, -9.0, 300.0, bones)


def _body_part(
    rng: np.random.Generator,
    height: int,
    width: int,
    level: float,
    extent_mm: float,
    draw_bones: Callable[[Brush, Column, PhantomSpec], None],
) -> np.ndarray:
    """A radiograph of the soft tissue around ``level`` with only the bones that ``draw_bones`` draws."""
    spec = random_spec(int(rng.integers(2**31)), height, width)
    column = column_of(spec)
    scale = max(height, width) / extent_mm / rng.uniform(0.8, 1.6)
    middle = np.array([width, height]) * rng.uniform(0.4, 0.6, 2)
    below = (0.0, 60.0 if level > 16 else 0.0)
    placement = Placement(scale, np.eye(2), middle - scale * (column.at(level) + below))
    sheet, brush = blank_sheet(spec, placement)
    draw_bones(brush, column, spec)
    absorption = soft_tissue(spec, column, placement) + np.maximum(sheet.render(), 0) * spec.bone
    return develop(spec, expose(spec, absorption))


SPINELESS: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "drawers": distractors.drawers,
    "bookshelf": distractors.bookshelf,
    "ladder": distractors.ladder,
    "bricks": distractors.bricks,
    "stack": distractors.stack,
    "windows": distractors.windows,
    "text": distractors.text,
    "white noise": distractors.white_noise,
    "cloud noise": distractors.cloud_noise,
    "blobs": distractors.blobs,
    "gradient": distractors.gradient,
    "constant": distractors.constant,
    "stripes": distractors.stripes,
    "checkerboard": distractors.checkerboard,
    "hand": hand,
    "knee": knee,
    "long bones": long_bones,
    "scribbles": distractors.scribbles,
    "face": distractors.face,
    "rib cage": rib_cage,
    "pelvis": pelvis,
}
"""Generators of images without a spine, by kind."""


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
