"""Procedural radiographs of the spine with exact landmarks, and images without a spine.

A phantom is made like a film: absorbers are summed along the rays (``anatomy``), the dose behind them falls
exponentially and is blurred by scatter and focus, grains of noise fall on it, and the logarithm is windowed to 8 bits.
The landmarks come from the same vertebrae that are drawn, so they are exact by construction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Optional

import numpy as np

from . import anatomy, raster
from .anatomy import COUNT, FIRST, Column, Pencil
from .raster import PolygonSheet
from .schema import Spine

COLLIMATIONS = ("none", "dark", "bright")
"""Borders of the exposed field: none in the image, black, or (as on unprocessed films) bright."""
IMPLANTS = ("rods", "pacemaker", "leads", "garment")
"""Foreign bodies: spinal rods with screws, a pacemaker, ECG leads, and clips or buckles of clothes."""
MAX_BEND_DEG = 11.0
"""Largest mean bend per level at which neighbouring bodies stay clear of each other."""
LOW_RES = 4
"""Soft tissue is computed on a grid coarser by this factor."""

Curves = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class PhantomSpec:
    """What one phantom shows.

    Args:
        height: rows, at least 64.
        width: columns, at least 32.
        seed: everything that is not named here varies with it.
        curves: (apex, cobb_deg) from top to bottom, the apex in levels counted from T1 = 0 (1...15); positive angles
            bulge to image right and signs alternate. ``()`` is a straight spine, ``None`` a random scoliosis.
        field_above: what is seen above T1: 0 nothing, 0.5 the neck, 1 the jaw.
        field_below: what is seen below L5: 0 nothing, 0.5 half the pelvis, 1 the femoral heads.
        shift: horizontal place of the spine, -1 at the left border, 1 at the right one.
        lean_deg: rotation of the patient in the image plane, positive clockwise.
        twist_deg: rotation of the patient about the long axis.
        aspect: mean width of a body over its height.
        spacing: mean distance of neighbouring body centers over the body height.
        endplate_jitter_deg: standard deviation of an endplate about its place in the curve; 0 makes Cobb angles exact.
        girth: width of the trunk, 1 is average.
        bone: strength of all bones, 1 is average.
        ribs: strength of the ribs relative to the other bones, 0 leaves them out.
        lungs: how much air is in the chest; 0 gives an evenly gray trunk.
        scatter: scattered over primary radiation; flattens dense regions.
        blur_px: focus blur, Gaussian sigma.
        noise: 0 none, 1 a strongly underexposed film.
        equalization: 0 raw film ... 1 local contrast only, as of a strongly processed film.
        contrast: steepness of the film curve, 1 is average.
        gamma: exponent of the gray values.
        collimation: one of ``COLLIMATIONS``.
        implants: any of ``IMPLANTS``.
        letters: whether markers such as L or R are burnt in.
        seam: whether the film is stitched of two exposures.

    Raises:
        ValueError: a value is out of range, or the curves overlap, bend too sharply or do not alternate.
    """

    height: int = 1024
    width: int = 512
    seed: int = 0
    curves: Optional[Curves] = None
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
    for (apex, cobb), (next_apex, next_cobb) in zip(curves, curves[1:]):
        if next_apex - apex < 3:
            raise ValueError(f"curve apices must go down by at least 3 levels, got {apex} then {next_apex}")
        if cobb * next_cobb >= 0:
            raise ValueError(f"neighbouring curves must bend to opposite sides, got {cobb} then {next_cobb}")
    if curves:
        spans = np.diff(anatomy.end_levels(curves))
        for (apex, cobb), span in zip(curves, spans):
            if not abs(cobb) <= MAX_BEND_DEG * span:
                limit = MAX_BEND_DEG * span
                raise ValueError(
                    f"curve at apex {apex} must not exceed {limit:.0f} degrees over its levels, got {cobb}"
                )


@dataclass(frozen=True)
class Phantom:
    """A rendered phantom.

    Args:
        pixels: ``(H, W)`` uint8, bone bright.
        spine: the exact landmarks in pixels of ``pixels``.
    """

    pixels: np.ndarray
    spine: Spine


def render_phantom(spec: PhantomSpec) -> Phantom:
    """Render the radiograph a spec describes; the same spec gives the same phantom."""
    column = _column(spec)
    place = _Placement.fit(spec, column)
    corners = place.to_px(column.corners[FIRST : FIRST + COUNT].reshape(-1, 2)).reshape(COUNT, 4, 2)
    spine = Spine.from_arrays(np.concatenate([corners.mean(axis=1, keepdims=True), corners], axis=1))
    exposed = _expose(spec, _absorption(spec, column, place))
    gray = _develop(spec, exposed)
    gray = _overlay(spec, gray, corners)
    return Phantom(np.round(gray * 255).astype(np.uint8), spine)


def _rng(spec: PhantomSpec, part: int) -> np.random.Generator:
    """A random stream per part of the picture, so that one setting does not stir the others."""
    return np.random.default_rng([int(spec.seed), part])


def _column(spec: PhantomSpec) -> Column:
    curves = random_curves(_rng(spec, 0)) if spec.curves is None else spec.curves
    return anatomy.build_column(
        curves, spec.aspect, spec.spacing, spec.endplate_jitter_deg, spec.twist_deg, _rng(spec, 1)
    )


@dataclass(frozen=True)
class _Placement:
    """Where millimetres of the patient lie in the image: ``pixel = scale * turn @ mm + origin``."""

    scale: float
    turn: np.ndarray
    origin: np.ndarray

    @classmethod
    def fit(cls, spec: PhantomSpec, column: Column) -> _Placement:
        """Place T1-L5 so that all corners are inside and the fields above and below are as asked."""
        angle = math.radians(spec.lean_deg)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        corners = column.corners[FIRST : FIRST + COUNT].reshape(-1, 2) @ turn.T
        low, high = corners.min(axis=0), corners.max(axis=0)
        length = high[1] - low[1]
        above, below = (0.025 + 0.36 * spec.field_above) * length, (0.025 + 0.40 * spec.field_below) * length
        size = np.array([spec.width - 1, spec.height - 1], dtype=float)
        room = size * (0.94, 1.0)
        scale = float(np.min(room / (high - low + raster.vector(0, above + below))))
        free = size / scale - (high - low)
        corner = np.array([free[0] * 0.5 + spec.shift * (free[0] - 0.06 * size[0] / scale) * 0.5,
                           free[1] * above / (above + below)])  # fmt: skip
        return cls(scale, turn, (corner - low) * scale)

    def to_px(self, points: np.ndarray) -> np.ndarray:
        """Pixels ``(N, 2)`` of millimetres ``(N, 2)``."""
        return np.asarray(np.asarray(points, dtype=float) @ self.turn.T * self.scale + self.origin)

    def to_mm(self, points: np.ndarray) -> np.ndarray:
        """Millimetres of pixels, any ``(..., 2)``."""
        return np.asarray((points - self.origin) @ self.turn / self.scale)


def _absorption(spec: PhantomSpec, column: Column, place: _Placement) -> np.ndarray:
    """Sum of all absorbers along the rays, ``(H, W)``; 1 is the thickness of the abdomen."""
    soft = _soft_tissue(spec, column, place)
    bone = _bones(spec, column, place)
    rng = _rng(spec, 9)
    grain = raster.cloud(rng, spec.height, spec.width, max(2.0, 5 * place.scale), 2)
    fading = raster.cloud(rng, spec.height, spec.width, max(8.0, 70 * place.scale), 1)
    bone *= np.maximum(1 + np.float32(rng.uniform(0.05, 0.25)) * grain + np.float32(rng.uniform(0, 0.5)) * fading, 0.3)
    metal = _metal(spec, column, place)
    return np.asarray(soft + bone * spec.bone + metal)


def _sheet(spec: PhantomSpec, place: _Placement) -> tuple[PolygonSheet, Pencil]:
    sheet = PolygonSheet(spec.height, spec.width)
    return sheet, Pencil(sheet, place.to_px)


def _bones(spec: PhantomSpec, column: Column, place: _Placement) -> np.ndarray:
    """Everything of bone, ``(H, W)``, not below 0."""
    sheet, pencil = _sheet(spec, place)
    rng = _rng(spec, 2)
    look = anatomy.BoneLook.sample(rng)
    for level in range(-FIRST, COUNT):
        anatomy.draw_vertebra(pencil, column, level, look, rng)
    anatomy.draw_pelvis(pencil, column, spec.girth, _rng(spec, 3))
    anatomy.draw_shoulders(pencil, column, spec.girth, _rng(spec, 4))
    anatomy.draw_skull(pencil, column, _rng(spec, 5))
    bone = sheet.render()
    if spec.ribs > 0:
        sheet, pencil = _sheet(spec, place)
        anatomy.draw_ribs(pencil, column, spec.girth, _rng(spec, 6))
        bone += sheet.render() * spec.ribs
    return np.asarray(np.maximum(bone, 0))


def _soft_tissue(spec: PhantomSpec, column: Column, place: _Placement) -> np.ndarray:
    """Trunk, lungs, heart, bowel gas, ``(H, W)``, not below 0."""
    rng = _rng(spec, 7)
    height, width = (max(8, size // LOW_RES) for size in (spec.height, spec.width))
    trunk = _trunk(spec, column, place, height, width)
    sheet, pencil = _sheet(spec, place)
    for outline in anatomy.lung_outlines(column, spec.girth, rng):
        pencil.fill(outline, 1.0)
    air = np.clip(raster.blur(sheet.render(), 1.0), 0, 1)
    coarse = raster.blur(raster.resize(air, height, width), 7 * place.scale / LOW_RES)
    depth = rng.uniform(0.5, 0.68) * spec.lungs
    filled = raster.resize(trunk, spec.height, spec.width)
    filled *= 1 - depth * air * raster.resize(np.minimum(coarse * 1.3, 1), spec.height, spec.width)
    return np.asarray(np.maximum(filled + _organs(spec, column, place, rng), 0))


def _organs(spec: PhantomSpec, column: Column, place: _Placement, rng: np.random.Generator) -> np.ndarray:
    """Heart, vessels, bowel gas and windpipe as added or missing absorbers, ``(H, W)``."""
    sheet, pencil = _sheet(spec, place)
    anatomy.draw_heart(pencil, column, rng.choice((1.0, 1.0, 1.0, -1.0)), rng.uniform(0.75, 1.2), rng)
    anatomy.draw_vessels(pencil, column, spec.girth, rng)
    anatomy.draw_bowel_gas(pencil, column, spec.girth, rng)
    windpipe = np.stack(
        [column.at(level) * (0.6, 1.0) + raster.vector(0.4 * column.at(-3)[0], 0) for level in range(-5, 4)]
    )
    pencil.fill(raster.band(windpipe, 8.0), -rng.uniform(0.05, 0.12))
    return raster.blur(sheet.render(), max(0.6, 1.6 * place.scale))


def _trunk(spec: PhantomSpec, column: Column, place: _Placement, height: int, width: int) -> np.ndarray:
    """Thickness of the trunk on a coarse grid ``(height, width)``."""
    y, x = np.mgrid[:height, :width].astype(float)
    pixels = np.stack([(x + 0.5) * spec.width / width - 0.5, (y + 0.5) * spec.height / height - 0.5], axis=-1)
    mm = place.to_mm(pixels)
    heights = column.centers[:, 1]
    axis = 0.4 * np.interp(mm[..., 1], heights, column.centers[:, 0])
    half = anatomy.body_half_width(column, mm[..., 1], spec.girth)
    depths = np.interp(mm[..., 1], [heights[2], heights[6], heights[9], heights[19], heights[24] + 90],
                       [0.5, 0.55, 0.85, 1.0, 1.15])  # fmt: skip
    chord = np.sqrt(np.maximum(1 - ((mm[..., 0] - axis) / half) ** 2, 0))
    rng = _rng(spec, 8)
    lumps = raster.cloud(rng, height, width, max(4.0, 60 * place.scale / LOW_RES), 4)
    bowel = np.clip((mm[..., 1] - column.at(11)[1]) / 60, 0, 1)
    stuff = rng.uniform(0.005, 0.06) * raster.cloud(rng, height, width, max(2.0, 11 * place.scale / LOW_RES), 2)
    thickness = chord * depths * (1 + 0.06 * lumps + bowel * stuff)
    return raster.blur(thickness.astype(np.float32), 0.7)


def _metal(spec: PhantomSpec, column: Column, place: _Placement) -> np.ndarray:
    """Implants and things worn, ``(H, W)``."""
    sheet, pencil = _sheet(spec, place)
    rng = _rng(spec, 10)
    for name in spec.implants:
        _IMPLANT_DRAWERS[name](pencil, column, rng)
    return sheet.render()


def _draw_rods(pencil: Pencil, column: Column, rng: np.random.Generator) -> None:
    first = int(rng.integers(1, 10))
    last = int(rng.integers(first + 3, COUNT))
    for side in (-1.0, 1.0):
        heads = np.concatenate([column.local(v, np.array([[0.5 * side, -0.15]])) for v in range(first, last + 1)])
        pencil.fill(raster.band(heads, 2.8), 0.9)
        for level, head in zip(range(first, last + 1), heads):
            if rng.random() < 0.75:
                tip = column.local(level, np.array([0.12 * side, rng.uniform(-0.3, 0.2)]))
                pencil.fill(raster.band(np.stack([head, tip]), np.array([2.6, 1.4])), 0.7)
                pencil.fill(raster.ellipse(head, (5.0, 5.5), count=14), 0.7)


def _draw_pacemaker(pencil: Pencil, column: Column, rng: np.random.Generator) -> None:
    side = rng.choice((-1.0, 1.0))
    middle = column.at(rng.uniform(3, 5)) + raster.vector(side * rng.uniform(75, 105), 0)
    phi = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    box = np.stack([np.cos(phi), np.sin(phi)], axis=1)
    box = np.sign(box) * np.abs(box) ** 0.5 * (24, 20) + middle
    pencil.fill(box, 0.8)
    pencil.ring(middle + (box - middle) * 0.8, 0.3)
    lead = raster.bezier(
        [
            middle,
            middle + raster.vector(-side * 30, -60),
            column.at(4) + raster.vector(0, -20),
            column.at(8) + raster.vector(side * 40, 0),
        ],
        30,
    )
    pencil.fill(raster.band(lead, 1.1), 0.6)


def _draw_leads(pencil: Pencil, column: Column, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(2, 6))):
        spot = column.at(rng.uniform(1, 13)) + raster.vector(rng.uniform(-120, 120), 0)
        pencil.fill(raster.ellipse(spot, (7, 7)), 0.25)
        pencil.fill(raster.ellipse(spot, (3.2, 3.2)), 0.7)
        wire = raster.bezier([spot, *(spot + rng.uniform(-130, 130, (3, 2)))], 40)
        pencil.fill(raster.band(wire, 0.9), 0.4)


def _draw_garment(pencil: Pencil, column: Column, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(2, 8))):
        spot = column.at(rng.uniform(-1, 17)) + raster.vector(rng.uniform(-130, 130), 0)
        if rng.random() < 0.5:
            pencil.ring(raster.ellipse(spot, (5, 5)), 0.5, 0.5)
        else:
            turn = math.radians(rng.uniform(-45, 45))
            along = np.array([math.cos(turn), math.sin(turn)]) * rng.uniform(6, 14)
            box = raster.band(np.stack([spot - along, spot + along]), rng.uniform(3, 8))
            pencil.ring(box, 0.6, 0.75)


_IMPLANT_DRAWERS: dict[str, Callable[[Pencil, Column, np.random.Generator], None]] = {
    "rods": _draw_rods,
    "pacemaker": _draw_pacemaker,
    "leads": _draw_leads,
    "garment": _draw_garment,
}


def _expose(spec: PhantomSpec, absorption: np.ndarray) -> np.ndarray:
    """The logarithm of the dose behind the patient, ``(H, W)``, larger where more was absorbed."""
    rng = _rng(spec, 11)
    height, width = absorption.shape
    dose = np.exp(-3.2 * raster.blur(absorption, spec.blur_px))
    if spec.scatter > 0:
        coarse = raster.resize(dose, max(4, height // 16), max(4, width // 16))
        dose = dose + spec.scatter * raster.resize(raster.blur(coarse, 2.0), height, width)
    film = np.asarray(-np.log(dose))
    if spec.noise > 0:
        grain = rng.standard_normal(absorption.shape, dtype=np.float32)
        grain = raster.blur(grain, float(rng.choice((0.0, 0.5, 0.8))))
        film += spec.noise * 0.10 * grain * np.minimum(np.exp(0.5 * (film - 2.0)), 2.5)
    if spec.seam:
        row = int(height * rng.uniform(0.3, 0.75))
        film[row:] += np.float32(rng.uniform(-0.35, 0.35))
        film[row : row + max(1, height // 400)] -= np.float32(rng.uniform(-0.3, 0.3))
    return film


def _develop(spec: PhantomSpec, film: np.ndarray) -> np.ndarray:
    """Gray values ``(H, W)`` in 0...1: local equalization, window, film curve, gamma."""
    height, width = film.shape
    if spec.equalization > 0:
        coarse = raster.resize(raster.blur(film, 1.0), max(4, height // 8), max(4, width // 8))
        local = raster.blur(coarse, max(1.0, height / 8 / 20))
        spread = np.sqrt(raster.blur((coarse - local) ** 2, max(1.0, height / 8 / 16))) + 0.06
        film = film - spec.equalization * 0.85 * raster.resize(local, height, width)
        film /= raster.resize(spread, height, width) ** np.float32(spec.equalization)
    sample = film[:: max(1, height // 128), :: max(1, width // 128)]
    low, high = np.percentile(sample, (2.0, 99.8))
    middle, half = (low + high) / 2, max(float(high - low), 1e-3) * 0.54
    gray = np.clip((film - middle) / half * (0.5 * spec.contrast) + 0.5, 0, 1)
    gray = gray * gray * (3 - 2 * gray) * np.float32(0.5) + gray * np.float32(0.5)
    return np.asarray(gray ** np.float32(spec.gamma))


def _overlay(spec: PhantomSpec, gray: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Collimator borders and burnt-in letters, kept clear of the landmarks."""
    rng = _rng(spec, 12)
    low, high = corners.reshape(-1, 2).min(axis=0), corners.reshape(-1, 2).max(axis=0)
    if spec.collimation != "none":
        shade = rng.uniform(0, 0.06) if spec.collimation == "dark" else rng.uniform(0.85, 1.0)
        mask = np.clip(_collimator(spec, low, high, rng), 0, 1)
        gray = gray * (1 - mask) + np.float32(shade) * mask
    if spec.letters:
        for _ in range(int(rng.integers(1, 4))):
            gray = _burn_letters(gray, low, high, rng)
    return np.asarray(np.clip(gray, 0, 1))


def _collimator(spec: PhantomSpec, low: np.ndarray, high: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Coverage ``(H, W)`` of the shutters outside the box ``low``...``high`` of the landmarks."""
    sheet = PolygonSheet(spec.height, spec.width)
    size = np.array([spec.width, spec.height], dtype=float)
    room = np.concatenate([low, size - 1 - high])  # left, top, right, bottom
    depth = room * rng.uniform(0.1, 0.75, (2, 4)) * (rng.random(4) < 0.75)
    (left, top, right, bottom), (left2, top2, right2, bottom2) = depth * 0.7 + depth.mean(axis=0) * 0.3
    w, h = size
    sheet.add(np.array([(-1, -1), (left - 0.5, -1), (left2 - 0.5, h), (-1, h)]), 1.0)
    sheet.add(np.array([(w, -1), (w - 0.5 - right, -1), (w - 0.5 - right2, h), (w, h)]), 1.0)
    sheet.add(np.array([(-1, -1), (w, -1), (w, top2 - 0.5), (-1, top - 0.5)]), 1.0)
    sheet.add(np.array([(-1, h), (w, h), (w, h - 0.5 - bottom2), (-1, h - 0.5 - bottom)]), 1.0)
    return sheet.render()


GLYPHS = {
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "P": "11110 10001 10001 11110 10000 10000 10000",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "C": "01111 10000 10000 10000 10000 10000 01111",
    "T": "11111 00100 00100 00100 00100 00100 00100",
    "7": "11111 00001 00010 00100 00100 01000 01000",
    "4": "00010 00110 01010 10010 11111 00010 00010",
}
WORDS = ("L", "R", "L", "R", "AP", "PA", "ERECT", "LAT", "74", "R 4")


def stamp(word: str, cell: int) -> np.ndarray:
    """A word of 5 x 7 dot letters as ``(H, W)`` of 0 and 1, dots of ``cell`` pixels; unknown letters are blank."""
    blank = " ".join(["00000"] * 7)
    letters = []
    for letter in word:
        rows = GLYPHS.get(letter, blank).split()
        letters.append(np.array([[float(dot) for dot in row + "0"] for row in rows], dtype=np.float32))
    return np.kron(np.concatenate(letters, axis=1)[:, :-1], np.ones((cell, cell), dtype=np.float32))


def _burn_letters(gray: np.ndarray, low: np.ndarray, high: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Burn one word beside the landmarks, or nothing where there is no room."""
    height, width = gray.shape
    mark = stamp(str(rng.choice(WORDS)), max(1, round(min(height, width) / 256 * rng.uniform(0.6, 1.8))))
    if rng.random() < 0.1:
        mark = mark[:, ::-1]
    rows, columns = mark.shape
    top = int(rng.uniform(0.01, 0.95) * max(1, height - rows))
    spans = [(2, int(low[0]) - 2 - columns), (int(high[0]) + 2, width - columns - 2)]
    spans = [span for span in spans if span[1] >= span[0]]
    if not spans or rows > height:
        return gray
    start, stop = spans[int(rng.integers(len(spans)))]
    left = int(rng.integers(start, stop + 1))
    window = gray[top : top + rows, left : left + columns]
    gray = gray.copy()
    gray[top : top + rows, left : left + columns] = np.maximum(window, mark * np.float32(rng.uniform(0.8, 1.0)))
    return gray


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
    curves = tuple((float(a), float(sign * (-1) ** k * largest * s)) for k, (a, s) in enumerate(zip(apices, shares)))
    if not curves:
        return ()
    spans = np.diff(anatomy.end_levels(curves))
    return tuple(
        (apex, float(np.clip(cobb, -0.9 * MAX_BEND_DEG * span, 0.9 * MAX_BEND_DEG * span)))
        for (apex, cobb), span in zip(curves, spans)
    )


def random_spec(seed: int, height: int = 1024, width: int = 512) -> PhantomSpec:
    """A spec of the wide variety that training needs: every setting varies with ``seed``."""
    rng = np.random.default_rng([int(seed), 100])
    crop = rng.random() < 0.45
    fields = rng.uniform(0, 0.35, 2) if crop else rng.uniform(0.1, 1.0, 2)
    implants = tuple(name for name, p in zip(IMPLANTS, (0.07, 0.03, 0.06, 0.10)) if rng.random() < p)
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


def random_spineless(seed: int, height: int = 1024, width: int = 512) -> np.ndarray:
    """An image ``(H, W)`` uint8 without a spine, of the kind ``spineless_kind(seed)``."""
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
    light = raster.cloud(rng, height, width, max(height, width) * rng.uniform(0.2, 0.8), 2)
    image = raster.blur(image * (1 + np.float32(rng.uniform(0, 0.5)) * light), float(rng.choice((0.0, 0.6, 1.5))))
    image = np.clip(image, 0, 1.3) ** np.float32(np.exp(rng.normal(0, 0.4)))
    dark, bright = rng.uniform(0, 0.35), rng.uniform(0.6, 1.1)
    image = dark + (bright - dark) * image
    image += np.float32(rng.choice((0.0, 0.02, 0.07))) * rng.standard_normal(image.shape, dtype=np.float32)
    return 1 - image if rng.random() < 0.35 else image


def _easel(rng: np.random.Generator, height: int, width: int, turn_deg: float = 15.0) -> tuple[PolygonSheet, Pencil]:
    """A sheet and a pencil whose unit is a random share of half the height, turned and shifted at random."""
    angle = math.radians(rng.normal(0, turn_deg / 2))
    scale = height / 2 * rng.uniform(0.45, 1.15)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) * scale
    turn = turn * (rng.choice((-1.0, 1.0)), 1.0)
    origin = np.array([width, height]) / 2 + rng.normal(0, 0.12, 2) * (width, height)
    sheet = PolygonSheet(height, width)
    return sheet, Pencil(sheet, lambda points: np.asarray(points, dtype=float) @ turn.T + origin)


def _box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], dtype=float)


def _drawers(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A chest of drawers with knobs or handles, with or without legs."""
    sheet, pencil = _easel(rng, height, width, 6)
    half, rows, columns = rng.uniform(0.12, 0.55), int(rng.integers(3, 20)), int(rng.choice((1, 1, 1, 2)))
    pencil.fill(_box(-half, -1, half, 1), 0.4)
    gap, front, knob = rng.uniform(0.03, 0.3), rng.uniform(-0.25, 0.4), rng.uniform(-0.4, 0.5)
    step, wide = 2 / rows, 2 * half / columns
    for row in range(rows):
        for column in range(columns):
            left, top = -half + column * wide, -1 + row * step
            frame = _box(left + 0.06 * wide, top + gap * step / 2, left + 0.94 * wide, top + (1 - gap / 2) * step)
            pencil.fill(frame, front + 0.03 * rng.normal())
            pencil.fill(raster.band(frame[:2], 0.03 * step), 0.2)
            pencil.fill(raster.band(frame[2:], 0.03 * step), -0.2)
            for place in ((0.5,), (0.25, 0.75))[int(rows % 2)]:
                spot = (left + place * wide, top + step / 2)
                pencil.fill(raster.ellipse(np.array(spot), (0.12 * step * (1 + rows % 3), 0.12 * step)), knob)
    if rng.random() < 0.5:
        for side in (-0.9, 0.75):
            pencil.fill(_box(side * half, 1, (side + 0.15) * half, 1.3), 0.4)
    return sheet.render()


def _bookshelf(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Shelves full of upright or lying books."""
    sheet, pencil = _easel(rng, height, width, 6)
    rows, half = int(rng.integers(2, 8)), rng.uniform(0.3, 0.9)
    for row in range(rows):
        top, bottom, x = -1 + 2 * row / rows, -1 + 2 * (row + 1) / rows, -half
        pencil.fill(_box(-half, bottom - 0.03, half, bottom), 0.6)
        while x < half:
            thick = rng.uniform(0.02, 0.09)
            pencil.fill(
                _box(x, top + rng.uniform(0.05, 0.6) / rows, x + 0.9 * thick, bottom - 0.03), rng.uniform(0.1, 1)
            )
            x += thick
    return sheet.render()


def _ladder(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A ladder, or rails with sleepers."""
    sheet, pencil = _easel(rng, height, width, 25)
    half, rungs, thick = rng.uniform(0.08, 0.35), int(rng.integers(5, 28)), rng.uniform(0.01, 0.05)
    for side in (-half, half):
        pencil.fill(_box(side - thick, -1.2, side + thick, 1.2), 0.8)
    for y in np.linspace(-1.1, 1.1, rungs):
        pencil.fill(_box(-half * 1.1, y - thick * 0.7, half * 1.1, y + thick * 0.7), 0.6)
    return sheet.render()


def _bricks(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A brick wall."""
    sheet, pencil = _easel(rng, height, width, 20)
    tall = rng.uniform(0.05, 0.25)
    wide = tall * rng.uniform(1.2, 3)
    joint = rng.uniform(0.04, 0.12)
    for row in range(-int(2 / tall), int(2 / tall)):
        for column in range(-int(2 / wide) - 1, int(2 / wide) + 1):
            left = (column + 0.5 * (row % 2)) * wide
            brick = _box(
                left + joint * tall, (row + joint) * tall, left + wide - joint * tall, (row + 1 - joint) * tall
            )
            pencil.fill(brick, rng.uniform(0.5, 1))
    return sheet.render()


def _stack(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A loose stack of plates, boxes or pebbles of random sizes."""
    sheet, pencil = _easel(rng, height, width, 30)
    y = -1.0
    rounded = rng.random() < 0.5
    while y < 1:
        tall, half, x = rng.uniform(0.03, 0.4), rng.uniform(0.05, 0.6), rng.normal(0, 0.12)
        if rounded:
            pencil.dome(raster.ellipse(np.array((x, y + tall / 2)), (half, tall / 2)), rng.uniform(0.2, 1))
        else:
            pencil.fill(_box(x - half, y, x + half, y + tall * 0.93), rng.uniform(0.2, 1))
        y += tall
    return sheet.render()


def _windows(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """The front of a house."""
    sheet, pencil = _easel(rng, height, width, 8)
    rows, columns, half = int(rng.integers(2, 10)), int(rng.integers(2, 7)), rng.uniform(0.3, 0.9)
    pencil.fill(_box(-half, -1, half, 1.6), rng.uniform(0.3, 0.6))
    if rng.random() < 0.6:
        pencil.fill(np.array([(-half * 1.1, -1), (0, -1 - half), (half * 1.1, -1)]), 0.7)
    tall, wide = 2 / rows, 2 * half / columns
    for row in range(rows):
        for column in range(columns):
            left, top, glass = -half + column * wide, -1 + row * tall, rng.uniform(-0.3, 0.4)
            pencil.fill(_box(left + 0.25 * wide, top + 0.2 * tall, left + 0.75 * wide, top + 0.8 * tall), glass)
            pencil.fill(_box(left + 0.48 * wide, top + 0.2 * tall, left + 0.52 * wide, top + 0.8 * tall), 0.3)
    return sheet.render()


def _text(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Lines of letters."""
    image = np.zeros((height, width), dtype=np.float32)
    cell = max(1, int(height / 512 * rng.uniform(1, 5)))
    step = int(cell * 7 * rng.uniform(1.3, 2.5))
    letters = [*GLYPHS, " ", " "]
    for top in range(step, height - 7 * cell, step):
        line = "".join(rng.choice(letters, max(1, int(rng.uniform(0.3, 0.95) * width / (6 * cell)))))
        mark = stamp(line, cell)[:, : width - 4]
        left = int(rng.integers(0, max(1, min(width - mark.shape[1], 4 * cell))))
        image[top : top + mark.shape[0], left : left + mark.shape[1]] = mark
    return image


def _white_noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return raster.blur(rng.standard_normal((height, width), dtype=np.float32), float(rng.choice((0.0, 0.7, 2.0))))


def _cloud_noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return raster.cloud(rng, height, width, height * rng.uniform(0.05, 0.6), int(rng.integers(1, 8)))


def _blobs(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Clouds cut at a level, and ellipses strewn at random."""
    image = np.tanh(rng.uniform(2, 12) * raster.cloud(rng, height, width, height * rng.uniform(0.03, 0.3), 2))
    sheet, pencil = _easel(rng, height, width, 90)
    for _ in range(int(rng.integers(0, 25))):
        radii = tuple(rng.uniform(0.02, 0.3, 2))
        pencil.dome(
            raster.ellipse(rng.uniform(-1, 1, 2), (radii[0], radii[1]), rng.uniform(0, 180)), rng.uniform(-1, 2)
        )
    return np.asarray(image * np.float32(rng.choice((0.1, 1.0))) + sheet.render())


def _gradient(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A ramp or a round spot of light, sometimes a bright upright column."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    ramp = x * np.float32(math.cos(turn)) + y * np.float32(math.sin(turn))
    spot = np.exp(-(((x - rng.normal(0, 0.3)) / rng.uniform(0.1, 1)) ** 2) - (y / rng.choice((0.7, 2.0, 50.0))) ** 2)
    return np.asarray(rng.uniform(0, 1) * ramp + rng.choice((0.0, 1.0, 2.0)) * spot)


def _constant(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return np.full((height, width), rng.choice((0.0, 0.0, 1.0, rng.uniform(0, 1))))


def _stripes(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Parallel stripes, soft or hard, most often level like ribs and discs; sometimes only in an upright strip."""
    y, x = np.mgrid[:height, :width].astype(np.float32) / np.float32(height)
    turn = rng.choice((0.0, np.pi / 2, rng.uniform(0, np.pi)), p=(0.5, 0.2, 0.3))
    phase = (y * math.cos(turn) + x * math.sin(turn)) * rng.uniform(4, 60) * 2 * np.pi
    image = np.tanh(np.sin(phase) * rng.choice((0.5, 10.0)))
    if rng.random() < 0.4:
        image = image * (np.abs(x - x.mean()) < rng.uniform(0.03, 0.2))
    return np.asarray(image)


def _checkerboard(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width].astype(float)
    turn, cell = rng.choice((0.0, rng.uniform(0, np.pi))), height * rng.uniform(0.02, 0.2)
    u, v = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    return np.asarray((np.floor(u / cell) + np.floor(v / cell)) % 2)


def _long_bone(pencil: Pencil, start: np.ndarray, end: np.ndarray, half_width: float) -> None:
    """A shaft with two thick ends inside a sleeve of flesh."""
    t = np.linspace(0, 1, 16)
    flare = 1 + 1.1 * (2 * np.abs(t - 0.5)) ** 6
    curve = start + (end - start) * t[:, None]
    pencil.fill(raster.band(curve, 3.2 * half_width), 0.25)
    pencil.tube(curve, half_width * flare, 0.7)
    for tip in (start, end):
        pencil.dome(raster.ellipse(tip, (2.1 * half_width, 1.2 * half_width)), 0.35)


def _hand(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """The bones of a hand: five rays of short capsules, wrist, forearm."""
    sheet, pencil = _easel(rng, height, width, 90)
    pencil.dome(raster.ellipse(np.array((0.0, 0.2)), (0.34, 0.4)), 0.3, 4)
    for finger in range(5):
        heading = math.radians(-90 + (finger - 2) * rng.uniform(9, 15) - 15 * (finger == 0))
        at, along = np.array([0.13 * (finger - 2), 0.25]), np.array([math.cos(heading), math.sin(heading)])
        for length in (0.38, 0.26, 0.17, 0.12)[: 3 if finger == 0 else 4]:
            _long_bone(pencil, at, at + along * length, 0.028)
            at = at + along * (length + 0.035)
    for _ in range(8):
        pencil.ring(raster.ellipse(rng.normal((0, 0.36), (0.11, 0.05)), (0.06, 0.05)), 0.5, 0.8)
    for x in (-0.09, 0.09):
        _long_bone(pencil, np.array((x, 0.5)), np.array((x, 1.6)), 0.05)
    return sheet.render()


def _knee(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """One or two knees: thigh and shin bones meeting at a joint space."""
    sheet, pencil = _easel(rng, height, width, 40)
    for x in ((0.0,), (-0.35, 0.35))[int(rng.integers(2))]:
        wide = rng.uniform(0.07, 0.12)
        _long_bone(pencil, np.array((x, -1.6)), np.array((x, -0.1)), wide)
        _long_bone(pencil, np.array((x, 0.1)), np.array((x, 1.5)), wide * 0.9)
        _long_bone(pencil, np.array((x + 2.2 * wide, 0.25)), np.array((x + 2 * wide, 1.5)), wide * 0.35)
    return sheet.render()


def _long_bones(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A few capsules anywhere, bright as bones."""
    sheet, pencil = _easel(rng, height, width, 90)
    for _ in range(int(rng.integers(1, 6))):
        start, heading = rng.uniform(-0.7, 0.7, 2), rng.uniform(0, 2 * np.pi)
        end = start + rng.uniform(0.3, 1.6) * np.array([math.cos(heading), math.sin(heading)])
        _long_bone(pencil, start, end, rng.uniform(0.03, 0.12))
    return sheet.render()


def _scribbles(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Random smooth curves."""
    sheet, pencil = _easel(rng, height, width, 90)
    for _ in range(int(rng.integers(1, 30))):
        curve = raster.bezier(rng.uniform(-1.4, 1.4, (int(rng.integers(3, 7)), 2)), 60)
        pencil.fill(raster.band(curve, rng.choice((0.004, 0.02, 0.08))), rng.uniform(0.2, 1))
    return np.asarray(np.tanh(sheet.render()))


def _face(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """An oval with eyes, nose, mouth and hair."""
    sheet, pencil = _easel(rng, height, width, 25)
    wide = rng.uniform(0.4, 0.65)
    pencil.fill(_box(-0.22, 0.4, 0.22, 1.4), 0.35)
    pencil.dome(raster.ellipse(np.array((0.0, 1.7)), (0.95, 0.8)), 0.4)
    pencil.fill(raster.ellipse(np.array((0.0, -0.25)), (wide * 1.12, 0.72)), rng.uniform(-0.4, 0.3))
    pencil.dome(raster.ellipse(np.zeros(2), (wide, 0.75), count=48), 0.6, 4)
    for side in (-1, 1):
        eye = np.array((side * 0.42 * wide, -0.12))
        pencil.fill(raster.ellipse(eye, (0.2 * wide, 0.06)), 0.3)
        pencil.fill(raster.ellipse(eye, (0.05, 0.05)), -0.7)
        pencil.fill(
            raster.band(np.stack([eye - raster.vector(0.13, 0.13), eye + raster.vector(0.13, -0.14)]), 0.02), -0.4
        )
    pencil.fill(np.array([(0.0, -0.1), (0.08, 0.18), (-0.08, 0.18)]), -0.12)
    pencil.fill(raster.ellipse(np.array((0.0, 0.38)), (0.45 * wide, rng.uniform(0.02, 0.09))), -0.4)
    return sheet.render()


def _rib_cage(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A chest with ribs, lungs and heart, but without vertebrae."""

    def bones(pencil: Pencil, column: Column, spec: PhantomSpec) -> None:
        anatomy.draw_ribs(pencil, column, spec.girth, _rng(spec, 6))
        anatomy.draw_shoulders(pencil, column, spec.girth, _rng(spec, 4))

    return _body_part(rng, height, width, 5.0, 250.0, bones)


def _pelvis(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A pelvis with the thighs, but without lumbar vertebrae."""

    def bones(pencil: Pencil, column: Column, spec: PhantomSpec) -> None:
        anatomy.draw_pelvis(pencil, column, spec.girth, _rng(spec, 3))

    return _body_part(rng, height, width, 17.0, 330.0, bones)


def _body_part(
    rng: np.random.Generator,
    height: int,
    width: int,
    level: float,
    extent_mm: float,
    draw_bones: Callable[[Pencil, Column, PhantomSpec], None],
) -> np.ndarray:
    """A radiograph of the soft tissue around ``level`` with only the bones that ``draw_bones`` draws."""
    spec = random_spec(int(rng.integers(2**31)), height, width)
    column = _column(spec)
    scale = max(height, width) / extent_mm / rng.uniform(0.8, 1.6)
    middle = np.array([width, height]) * rng.uniform(0.4, 0.6, 2)
    below = (0.0, 60.0 if level > 16 else 0.0)
    place = _Placement(scale, np.eye(2), middle - scale * (column.at(level) + below))
    sheet, pencil = _sheet(spec, place)
    draw_bones(pencil, column, spec)
    absorption = _soft_tissue(spec, column, place) + np.maximum(sheet.render(), 0) * spec.bone
    return _develop(spec, _expose(spec, absorption))


SPINELESS: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "drawers": _drawers,
    "bookshelf": _bookshelf,
    "ladder": _ladder,
    "bricks": _bricks,
    "stack": _stack,
    "windows": _windows,
    "text": _text,
    "white noise": _white_noise,
    "cloud noise": _cloud_noise,
    "blobs": _blobs,
    "gradient": _gradient,
    "constant": _constant,
    "stripes": _stripes,
    "checkerboard": _checkerboard,
    "hand": _hand,
    "knee": _knee,
    "long bones": _long_bones,
    "scribbles": _scribbles,
    "face": _face,
    "rib cage": _rib_cage,
    "pelvis": _pelvis,
}
"""What images without a spine show."""
