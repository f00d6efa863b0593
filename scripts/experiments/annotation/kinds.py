"""Kinds of images that studies of several machines, hospitals and patients mix, each with labels that can be trusted.

Radiographs are those of a collection, seen otherwise; phantoms are drawn. Labels move along and stay exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lib.learning.codec import PRESENT, STATE
from lib.learning.data import IMAGE, LABEL
from lib.learning.data.transforms import LoadRadiographd
from lib.phantoms import PhantomSpec, random_spec, render_phantom
from lib.phantoms.canvas import Sheet, band, blur, cloud, resize
from lib.spine.geometry import center_distances
from lib.spine.schema import CORNERS, POINTS, VERTEBRAE

HEIGHT = 640
"""At most, of a radiograph before it is seen otherwise, and that of a phantom, pixels."""

Seen = tuple[np.ndarray, np.ndarray]
"""Gray values ``(H, W)`` in 0...1 and points ``(V, P, 2)`` in their pixels."""
Look = Callable[[np.ndarray, np.ndarray, np.random.Generator], Seen]

_TOP_LEFT, _TOP_RIGHT, _BOTTOM_LEFT, _BOTTOM_RIGHT = (1 + CORNERS.index(name) for name in ("TL", "TR", "BL", "BR"))


def _as_it_is(image: np.ndarray, points: np.ndarray, random: np.random.Generator) -> Seen:
    return image, points


def _whole_view(image: np.ndarray, points: np.ndarray, random: np.random.Generator) -> Seen:
    """In the field of a whole radiograph, neck to thighs: the surroundings are tissue too blurred to show a bone."""
    height, width = image.shape
    tall = round(height * random.uniform(1.65, 1.9))
    wide = max(round(width * 1.4), round(tall * random.uniform(0.45, 0.5)))
    top = round((tall - height) * random.uniform(0.3, 0.4))
    left = round((wide - width) * random.uniform(0.42, 0.58))
    coarse = blur(np.ascontiguousarray(image[::8, ::8]), 5.0)
    field = resize(resize(coarse, 6, 4), tall, wide)
    field *= 1 - 0.75 * np.abs(np.linspace(-1, 1, wide, dtype=np.float32)) ** 3
    field += random.normal(0, 0.02, field.shape).astype(np.float32)
    field[top : top + height, left : left + width] = image
    return field, points + np.array([left, top])


def _inverted(image: np.ndarray, points: np.ndarray, random: np.random.Generator) -> Seen:
    """Bone dark, as unprocessed images of some detectors have it."""
    return 1 - image, points


def _low_dose(image: np.ndarray, points: np.ndarray, random: np.random.Generator) -> Seen:
    """Little contrast, much grain, dark."""
    gray = 0.5 * image ** random.uniform(1.6, 2.2) + 0.1
    grain = blur(random.standard_normal(image.shape).astype(np.float32), 0.7)
    return gray + random.uniform(0.12, 0.18) * grain, points


def _marked(image: np.ndarray, points: np.ndarray, random: np.random.Generator) -> Seen:
    """With pen: lines along endplates as people draw them to measure, strokes, and a ruler beside the spine."""
    height, width = image.shape
    step = float(center_distances(points[:, 0]).mean())
    pen, ruler = Sheet(height, width), Sheet(height, width)
    for level in random.choice(len(VERTEBRAE), random.integers(3, 7), replace=False):
        is_upper = random.random() < 0.5
        ends = (_TOP_LEFT, _TOP_RIGHT) if is_upper else (_BOTTOM_LEFT, _BOTTOM_RIGHT)
        left, right = points[level, ends[0]], points[level, ends[1]]
        reach = random.uniform(0.5, 2.5, 2)[:, None] * (right - left)
        off = (0, random.normal(0, 0.1) * step)
        pen.add(band(np.stack([left - reach[0] + off, right + reach[1] + off]), random.uniform(0.8, 2.0)), 1.0)
    for _ in range(random.integers(2, 6)):
        begin = random.uniform((0, 0), (width, height))
        pen.add(band(np.stack([begin, begin + random.normal(0, 1.5 * step, 2)]), random.uniform(0.8, 2.5)), 1.0)
    x = width * random.choice([random.uniform(0.03, 0.12), random.uniform(0.88, 0.97)])
    ruler.add(band(np.array([[x, 0.03 * height], [x, 0.97 * height]]), 0.02 * width), 0.6)
    for number, y in enumerate(np.arange(0.04 * height, 0.96 * height, step / 4)):
        half = (0.018 if number % 5 == 0 else 0.009) * width
        ruler.add(band(np.array([[x - half, y], [x + half, y]]), 0.7), 0.4)
    shade = float(random.choice([0.0, 1.0]))
    image = np.maximum(image, np.clip(ruler.render(), 0, 1))
    drawn = np.clip(pen.render(), 0, 1)
    return image * (1 - drawn) + shade * drawn, points


def _equalised(image: np.ndarray, points: np.ndarray, random: np.random.Generator) -> Seen:
    """Local contrast alone, as strongly processed images have it, and collimated on black."""
    mean = blur(image, image.shape[1] / 14)
    spread = np.sqrt(np.maximum(blur((image - mean) ** 2, image.shape[1] / 14), 0)) + 0.02
    gray = 1 / (1 + np.exp(-2.2 * (image - mean) / spread))
    height, width = image.shape
    clear = 1 - np.minimum(np.abs(np.linspace(-1, 1, width)) ** 24, 1)
    return (gray * clear + 0.03 * cloud(random, height, width, 30)).astype(np.float32), points


RADIOGRAPHS: dict[str, Look] = {
    "crop": _as_it_is,
    "whole view": _whole_view,
    "inverted": _inverted,
    "low dose": _low_dose,
    "marked": _marked,
    "equalised": _equalised,
}
"""How radiographs of each kind are seen."""


def _plain(spec: PhantomSpec, random: np.random.Generator) -> PhantomSpec:
    return replace(
        spec,
        field_above=random.uniform(0, 0.3),
        field_below=random.uniform(0, 0.3),
        girth=random.uniform(0.8, 1.05),
        noise=random.uniform(0.05, 0.3),
        scatter=random.uniform(0.1, 0.5),
        gamma=random.uniform(0.8, 1.2),
        equalization=random.uniform(0, 0.4),
        implants=(),
        collimation="none",
        letters=False,
        seam=False,
    )


def _implants(spec: PhantomSpec, random: np.random.Generator) -> PhantomSpec:
    return replace(_plain(spec, random), implants=("rods", "leads", "garment"), bone=random.uniform(0.5, 0.8))


def _large_body(spec: PhantomSpec, random: np.random.Generator) -> PhantomSpec:
    return replace(
        _plain(spec, random),
        field_above=random.uniform(0.4, 0.9),
        field_below=random.uniform(0.5, 1.0),
        girth=random.uniform(1.35, 1.6),
        bone=random.uniform(0.35, 0.5),
        scatter=random.uniform(1.0, 1.8),
        noise=random.uniform(0.6, 0.9),
        collimation="bright",
    )


PLAIN = "plain phantom"
"""What starting weights are learnt from; no pool has it."""
PHANTOMS: dict[str, Callable[[PhantomSpec, np.random.Generator], PhantomSpec]] = {
    PLAIN: _plain,
    "implants": _implants,
    "large body": _large_body,
}
"""How phantoms of each kind are drawn."""


def radiograph_items(kind: str, items: Sequence[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Labelled images of a collection as those of a kind.

    Args:
        kind: one of ``RADIOGRAPHS``.
        items: dicts with ``IMAGE``, a path, and ``LABEL`` ``(V, P, 3)``, all points placed.
        seed: of all that is random; an image depends on nothing but it and its place.

    Returns:
        The same with ``IMAGE`` ``(H, W)`` uint8.
    """
    load, made = LoadRadiographd(HEIGHT), []
    for number, item in enumerate(items):
        loaded, random = load(item), np.random.default_rng((seed, number))
        points = np.asarray(loaded[LABEL])[..., :STATE]
        image, points = RADIOGRAPHS[kind](loaded[IMAGE][0].numpy(), points, random)
        made.append(_item(np.round(255 * np.clip(image, 0, 1)).astype(np.uint8), points))
    return made


def phantom_items(kind: str, count: int, seed: int) -> list[dict[str, Any]]:
    """Phantoms of a kind with their labels.

    Args:
        kind: one of ``PHANTOMS``.
        count: how many.
        seed: of all that is random; other seeds below 10^6 share none where ``count`` stays below 10^4.

    Returns:
        Dicts with ``IMAGE`` ``(H, W)`` uint8 and ``LABEL`` ``(V, P, 3)``.
    """
    made = []
    for number in range(count):
        random = np.random.default_rng((seed, number))
        spec = random_spec(10_000 * seed + number, HEIGHT, int(random.integers(220, 400)))
        phantom = render_phantom(PHANTOMS[kind](spec, random))
        made.append(_item(phantom.pixels, phantom.spine.xy))
    return made


def _item(image: np.ndarray, points: np.ndarray) -> dict[str, Any]:
    state = np.full((len(VERTEBRAE), len(POINTS), 1), float(PRESENT))
    return {IMAGE: image, LABEL: np.concatenate([points, state], -1)}
