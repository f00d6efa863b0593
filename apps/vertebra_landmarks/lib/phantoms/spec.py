"""The specification of a phantom, random ones for training, and the random streams of its parts."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from .column import COUNT, Curves, end_levels

COLLIMATIONS = ("none", "dark", "bright")
"""Borders of the exposed field: none in the image, black, or (as on unprocessed images) bright."""
IMPLANTS = ("rods", "pacemaker", "leads", "garment")
"""Foreign bodies: spinal rods with screws, a pacemaker, ECG leads, and clips or buckles of clothes."""
MAX_BEND_DEG = 11.0
"""Largest mean bend per level at which neighbouring bodies stay clear of each other."""


@dataclass(frozen=True)
class PhantomSpec:
    """Everything that decides how one phantom looks.

    Args:
        height: rows, at least 64.
        width: columns, at least 32.
        seed: everything that is not named here varies with it.
        curves: (apex, cobb_deg) from top to bottom, the apex in levels counted from T1 = 0 (1...15); positive angles
            bulge to image right and signs alternate. ``()`` is a straight spine, ``None`` a random scoliosis.
        field_above: what is seen above T1: 0 nothing, 0.5 the neck, 1 the jaw.
        field_below: what is seen below L5: 0 nothing, 0.5 half the pelvis, 1 the femoral heads.
        shift: horizontal position of the spine, -1 at the left border, 1 at the right one.
        lean_deg: rotation of the patient in the image plane, positive clockwise.
        twist_deg: rotation of the patient about the long axis.
        aspect: mean width of a body over its height.
        spacing: mean distance of neighbouring body centers over the body height.
        endplate_jitter_deg: standard deviation of an endplate about the curve; 0 makes Cobb angles exact.
        girth: width of the trunk, 1 is average.
        bone: strength of all bones, 1 is average.
        ribs: strength of the ribs relative to the other bones, 0 leaves them out.
        lungs: how much air is in the chest; 0 gives an evenly gray trunk.
        scatter: scattered over primary radiation; flattens dense regions.
        blur_px: focus blur, Gaussian sigma.
        noise: 0 none, 1 a strongly underexposed image.
        equalization: 0 unprocessed ... 1 local contrast only, as after strong processing.
        contrast: steepness of the characteristic curve, 1 is average.
        gamma: exponent of the gray values.
        collimation: one of ``COLLIMATIONS``.
        implants: any of ``IMPLANTS``.
        letters: whether markers such as L or R are burnt in.
        seam: whether the image is stitched of two exposures.

    Raises:
        ValueError: a value is out of range, or the curves overlap, bend too sharply or do not alternate.
    """

    height: int = 1024
    width: int = 512
    seed: int = 0
    curves: Curves | None = None
    field_above: float = 0.4
    field_below: float = 0.4
    shift: float = 0.0
    lean_deg: float = 0.0
    twist_deg: float = 0.0
    aspect: float = 1.8
    spacing: float = 1.385
    endplate_jitter_deg: float = 1.5
    girth: float = 1.0
    bone: float = 1.0
    ribs: float = 1.0
    lungs: float = 1.0
    scatter: float = 0.3
    blur_px: float = 0.7
    noise: float = 0.2
    equalization: float = 0.3
    contrast: float = 1.0
    gamma: float = 1.0
    collimation: str = "none"
    implants: tuple[str, ...] = ()
    letters: bool = False
    seam: bool = False

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise ValueError(f"{name} must lie in {low}...{high}, got {value}")
        for name in ("height", "width", "seed"):
            if int(getattr(self, name)) != getattr(self, name):
                raise ValueError(f"{name} must be a whole number, got {getattr(self, name)}")
        if self.collimation not in COLLIMATIONS:
            raise ValueError(f"collimation {self.collimation!r} is not one of {', '.join(COLLIMATIONS)}")
        for name in self.implants:
            if name not in IMPLANTS:
                raise ValueError(f"implant {name!r} is not one of {', '.join(IMPLANTS)}")
        if self.curves is not None:
            _check_curves(self.curves)


_RANGES = {
    "height": (64, 8192), "width": (32, 8192), "seed": (0, 2**63 - 1), "field_above": (0, 1), "field_below": (0, 1),
    "shift": (-1, 1), "lean_deg": (-30, 30), "twist_deg": (-30, 30), "aspect": (1.1, 3.0), "spacing": (1.13, 1.81),
    "endplate_jitter_deg": (0, 4), "girth": (0.6, 1.7), "bone": (0.1, 4), "ribs": (0, 3), "lungs": (0, 1.3),
    "scatter": (0, 3), "blur_px": (0, 6), "noise": (0, 1), "equalization": (0, 1), "contrast": (0.3, 3),
    "gamma": (0.3, 3),
}  # fmt: skip


def _check_curves(curves: Curves) -> None:
    """Raise ``ValueError`` unless the curves can be built as asked."""
    for curve in curves:
        if len(curve) != 2:
            raise ValueError(f"a curve must be (apex, cobb_deg), got {curve!r}")
        if not 1 <= curve[0] <= COUNT - 2:
            raise ValueError(f"curve apex must lie in 1...{COUNT - 2}, got {curve[0]}")
    for (apex, cobb), (next_apex, next_cobb) in itertools.pairwise(curves):
        if next_apex - apex < 3:
            raise ValueError(f"curve apices must go down by at least 3 levels, got {apex} then {next_apex}")
        if cobb * next_cobb >= 0:
            raise ValueError(f"neighbouring curves must bend to opposite sides, got {cobb} then {next_cobb}")
    if curves:
        spans = np.diff(end_levels(curves))
        for (apex, cobb), span in zip(curves, spans, strict=True):
            if not abs(cobb) <= MAX_BEND_DEG * span:
                limit = MAX_BEND_DEG * span
                raise ValueError(
                    f"curve at apex {apex} must not exceed {limit:.0f} degrees over its levels, got {cobb}"
                )


def random_curves(rng: np.random.Generator) -> Curves:
    """A straight spine or a single thoracic, thoracolumbar or lumbar, double or triple scoliosis of 5-80 degrees."""
    kind = rng.choice(5, p=(0.12, 0.22, 0.18, 0.30, 0.18))
    apices = [
        (),
        (rng.uniform(6, 9),),
        (rng.uniform(10, 14),),
        (rng.uniform(5.5, 7.5), rng.uniform(12, 14)),
        (rng.uniform(1.5, 2.5), rng.uniform(6.5, 8), rng.uniform(12, 13.5)),
    ][int(kind)]
    sign = rng.choice((-1.0, 1.0))
    largest = 5 + 75 * rng.beta(1.3, 1.7)
    shares = rng.uniform(0.55, 1.0, len(apices))
    curves = tuple(
        (float(a), float(sign * (-1) ** k * largest * s)) for k, (a, s) in enumerate(zip(apices, shares, strict=True))
    )
    if not curves:
        return ()
    spans = np.diff(end_levels(curves))
    return tuple(
        (apex, float(np.clip(cobb, -0.9 * MAX_BEND_DEG * span, 0.9 * MAX_BEND_DEG * span)))
        for (apex, cobb), span in zip(curves, spans, strict=True)
    )


def random_spec(seed: int, height: int = 1024, width: int = 512) -> PhantomSpec:
    """A spec of the wide variety that training needs: every setting varies with ``seed``.

    Args:
        seed: decides everything but the size.
        height: rows, at least 64.
        width: columns, at least 32.
    """
    rng = np.random.default_rng([int(seed), 100])
    crop = rng.random() < 0.45
    fields = rng.uniform(0, 0.35, 2) if crop else rng.uniform(0.1, 1.0, 2)
    implants = tuple(name for name, p in zip(IMPLANTS, (0.07, 0.03, 0.06, 0.10), strict=True) if rng.random() < p)
    return PhantomSpec(
        height=height,
        width=width,
        seed=int(seed),
        curves=random_curves(rng),
        field_above=float(fields[0]),
        field_below=float(fields[1]),
        shift=float(np.clip(rng.normal(0, 0.3), -1, 1)),
        lean_deg=float(np.clip(rng.normal(0, 3.5), -12, 12)),
        twist_deg=float(np.clip(rng.normal(0, 6), -20, 20)),
        aspect=float(np.clip(1.8 * np.exp(rng.normal(0, 0.17)), 1.25, 2.7)),
        spacing=float(np.clip(rng.normal(1.385, 0.1), 1.18, 1.7)),
        endplate_jitter_deg=float(rng.uniform(0.5, 2.8)),
        girth=float(np.clip(np.exp(rng.normal(0, 0.16)), 0.7, 1.5)),
        bone=float(np.clip(np.exp(rng.normal(0, 0.4)), 0.35, 2.2)),
        ribs=float(rng.choice((rng.uniform(0, 0.3), rng.uniform(0.4, 1.5)), p=(0.15, 0.85))),
        lungs=float(rng.choice((rng.uniform(0, 0.5), rng.uniform(0.6, 1.25)), p=(0.15, 0.85))),
        scatter=float(rng.choice((0.0, rng.uniform(0, 1.2)), p=(0.15, 0.85))),
        blur_px=float(min(6.0, height / 1024 * (rng.uniform(0.2, 2.6) + rng.choice((0.0, 2.0), p=(0.85, 0.15))))),
        noise=float(rng.beta(1.1, 3.0)),
        equalization=float(rng.choice((0.0, rng.uniform(0, 1)), p=(0.25, 0.75))),
        contrast=float(np.clip(np.exp(rng.normal(0.05, 0.22)), 0.5, 2.0)),
        gamma=float(np.clip(np.exp(rng.normal(0, 0.35)), 0.45, 2.4)),
        collimation=str(rng.choice(COLLIMATIONS, p=(0.65, 0.25, 0.10))),
        implants=implants,
        letters=bool(rng.random() < 0.35),
        seam=bool(rng.random() < 0.15),
    )


class Part(IntEnum):
    """Parts of a phantom with a random stream of their own."""

    CURVES = 0
    COLUMN = 1
    VERTEBRAE = 2
    PELVIS = 3
    SHOULDERS = 4
    SKULL = 5
    RIBS = 6
    ORGANS = 7
    TRUNK = 8
    TEXTURE = 9
    IMPLANTS = 10
    EXPOSURE = 11
    OVERLAY = 12


def part_rng(seed: int, part: Part) -> np.random.Generator:
    """Random generator of one part; a setting that draws more numbers leaves the other parts as they are."""
    return np.random.default_rng([int(seed), int(part)])
