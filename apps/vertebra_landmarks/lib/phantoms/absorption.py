"""All absorbers of the patient summed along the rays."""

from __future__ import annotations

import numpy as np

from .body import draw_pelvis, draw_ribs, draw_shoulders, draw_skull
from .canvas import band, blur, cloud, resize, vector
from .column import COUNT, FIRST, Column, build_column
from .implants import draw_implant
from .organs import body_half_width, draw_bowel_gas, draw_heart, draw_vessels, lung_outlines
from .placement import Placement, blank_sheet
from .spec import PhantomSpec, random_curves
from .streams import Part, stream
from .vertebra import BoneLook, draw_vertebra

LOW_RES = 4
"""Soft tissue is computed on a grid coarser by this factor."""


def column_of(spec: PhantomSpec) -> Column:
    """The vertebrae a spec describes, in millimetres."""
    curves = random_curves(stream(spec.seed, Part.CURVES)) if spec.curves is None else spec.curves
    return build_column(
        curves, spec.aspect, spec.spacing, spec.endplate_jitter_deg, spec.twist_deg, stream(spec.seed, Part.COLUMN)
    )


def absorption_of(spec: PhantomSpec, column: Column, place: Placement) -> np.ndarray:
    """Sum of all absorbers along the rays, ``(H, W)``; 1 is the thickness of the abdomen."""
    soft = soft_tissue(spec, column, place)
    bone = _bones(spec, column, place)
    rng = stream(spec.seed, Part.TEXTURE)
    grain = cloud(rng, spec.height, spec.width, max(2.0, 5 * place.scale), 2)
    fading = cloud(rng, spec.height, spec.width, max(8.0, 70 * place.scale), 1)
    bone *= np.maximum(1 + np.float32(rng.uniform(0.05, 0.25)) * grain + np.float32(rng.uniform(0, 0.5)) * fading, 0.3)
    metal = _metal(spec, column, place)
    return np.asarray(soft + bone * spec.bone + metal)


def _bones(spec: PhantomSpec, column: Column, place: Placement) -> np.ndarray:
    """Everything of bone, ``(H, W)``, not below 0."""
    sheet, pencil = blank_sheet(spec, place)
    rng = stream(spec.seed, Part.VERTEBRAE)
    look = BoneLook.sample(rng)
    for level in range(-FIRST, COUNT):
        draw_vertebra(pencil, column, level, look, rng)
    draw_pelvis(pencil, column, spec.girth, stream(spec.seed, Part.PELVIS))
    draw_shoulders(pencil, column, spec.girth, stream(spec.seed, Part.SHOULDERS))
    draw_skull(pencil, column, stream(spec.seed, Part.SKULL))
    bone = sheet.render()
    if spec.ribs > 0:
        sheet, pencil = blank_sheet(spec, place)
        draw_ribs(pencil, column, spec.girth, stream(spec.seed, Part.RIBS))
        bone += sheet.render() * spec.ribs
    return np.asarray(np.maximum(bone, 0))


def soft_tissue(spec: PhantomSpec, column: Column, place: Placement) -> np.ndarray:
    """Trunk, lungs, heart, bowel gas, ``(H, W)``, not below 0.

    Args:
        spec: girth, lungs and seed.
        column: what the organs hang on.
        place: where the patient lies.

    Returns:
        Absorption, 1 is the thickness of the abdomen.
    """
    rng = stream(spec.seed, Part.ORGANS)
    height, width = (max(8, size // LOW_RES) for size in (spec.height, spec.width))
    trunk = _trunk(spec, column, place, height, width)
    sheet, pencil = blank_sheet(spec, place)
    for outline in lung_outlines(column, spec.girth, rng):
        pencil.fill(outline, 1.0)
    air = np.clip(blur(sheet.render(), 1.0), 0, 1)
    coarse = blur(resize(air, height, width), 7 * place.scale / LOW_RES)
    depth = rng.uniform(0.5, 0.68) * spec.lungs
    filled = resize(trunk, spec.height, spec.width)
    filled *= 1 - depth * air * resize(np.minimum(coarse * 1.3, 1), spec.height, spec.width)
    return np.asarray(np.maximum(filled + _organs(spec, column, place, rng), 0))


def _organs(spec: PhantomSpec, column: Column, place: Placement, rng: np.random.Generator) -> np.ndarray:
    """Heart, vessels, bowel gas and windpipe as added or missing absorbers, ``(H, W)``."""
    sheet, pencil = blank_sheet(spec, place)
    draw_heart(pencil, column, rng.choice((1.0, 1.0, 1.0, -1.0)), rng.uniform(0.75, 1.2), rng)
    draw_vessels(pencil, column, spec.girth, rng)
    draw_bowel_gas(pencil, column, spec.girth, rng)
    windpipe = np.stack([column.at(level) * (0.6, 1.0) + vector(0.4 * column.at(-3)[0], 0) for level in range(-5, 4)])
    pencil.fill(band(windpipe, 8.0), -rng.uniform(0.05, 0.12))
    return blur(sheet.render(), max(0.6, 1.6 * place.scale))


def _trunk(spec: PhantomSpec, column: Column, place: Placement, height: int, width: int) -> np.ndarray:
    """Thickness of the trunk on a coarse grid ``(height, width)``."""
    y, x = np.mgrid[:height, :width].astype(float)
    pixels = np.stack([(x + 0.5) * spec.width / width - 0.5, (y + 0.5) * spec.height / height - 0.5], axis=-1)
    mm = place.to_mm(pixels)
    heights = column.centers[:, 1]
    axis = 0.4 * np.interp(mm[..., 1], heights, column.centers[:, 0])
    half = body_half_width(column, mm[..., 1], spec.girth)
    depths = np.interp(mm[..., 1], [heights[2], heights[6], heights[9], heights[19], heights[24] + 90],
                       [0.5, 0.55, 0.85, 1.0, 1.15])  # fmt: skip
    chord = np.sqrt(np.maximum(1 - ((mm[..., 0] - axis) / half) ** 2, 0))
    rng = stream(spec.seed, Part.TRUNK)
    lumps = cloud(rng, height, width, max(4.0, 60 * place.scale / LOW_RES), 4)
    bowel = np.clip((mm[..., 1] - column.at(11)[1]) / 60, 0, 1)
    stuff = rng.uniform(0.005, 0.06) * cloud(rng, height, width, max(2.0, 11 * place.scale / LOW_RES), 2)
    thickness = chord * depths * (1 + 0.06 * lumps + bowel * stuff)
    return blur(thickness.astype(np.float32), 0.7)


def _metal(spec: PhantomSpec, column: Column, place: Placement) -> np.ndarray:
    """Implants and things worn, ``(H, W)``."""
    sheet, pencil = blank_sheet(spec, place)
    rng = stream(spec.seed, Part.IMPLANTS)
    for name in spec.implants:
        draw_implant(name, pencil, column, rng)
    return sheet.render()
