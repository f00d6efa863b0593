"""Renders the radiograph of a ``PhantomSpec`` with its exact landmarks.

A phantom is made like an X-ray image: absorbers are summed along the rays, the dose behind them falls exponentially and
is blurred by scatter and focus, grains of noise fall on it, and the logarithm is windowed to 8 bits. The landmarks come
from the same vertebrae that are drawn, so they are exact by construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..spine.schema import Spine
from .body import (
    body_half_width,
    draw_bowel_gas,
    draw_heart,
    draw_pelvis,
    draw_ribs,
    draw_shoulders,
    draw_skull,
    draw_vessels,
    lung_outlines,
)
from .canvas import band, blur, cloud, resize, vector
from .column import COUNT, FIRST, BoneDensity, Column, build_column, draw_vertebra
from .exposure import develop, expose, overlay
from .implants import draw_implant
from .placement import Placement, blank_sheet
from .spec import Part, PhantomSpec, part_rng, random_curves


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
    column = column_of(spec)
    placement = Placement.fit(spec, column)
    corners = placement.to_px(column.corners[FIRST : FIRST + COUNT].reshape(-1, 2)).reshape(COUNT, 4, 2)
    spine = Spine.from_arrays(np.concatenate([corners.mean(axis=1, keepdims=True), corners], axis=1))
    exposed = expose(spec, absorption_of(spec, column, placement))
    gray = develop(spec, exposed)
    gray = overlay(spec, gray, corners)
    return Phantom(np.round(gray * 255).astype(np.uint8), spine)


LOW_RES = 4
"""Soft tissue is computed on a grid coarser by this factor."""


def column_of(spec: PhantomSpec) -> Column:
    """The vertebrae a spec describes, in millimetres."""
    curves = random_curves(part_rng(spec.seed, Part.CURVES)) if spec.curves is None else spec.curves
    return build_column(
        curves, spec.aspect, spec.spacing, spec.endplate_jitter_deg, spec.twist_deg, part_rng(spec.seed, Part.COLUMN)
    )


def absorption_of(spec: PhantomSpec, column: Column, placement: Placement) -> np.ndarray:
    """Sum of all absorbers along the rays, ``(H, W)``; 1 is the thickness of the abdomen."""
    soft = soft_tissue(spec, column, placement)
    bone = _bones(spec, column, placement)
    rng = part_rng(spec.seed, Part.TEXTURE)
    grain = cloud(rng, spec.height, spec.width, max(2.0, 5 * placement.scale), 2)
    fading = cloud(rng, spec.height, spec.width, max(8.0, 70 * placement.scale), 1)
    bone *= np.maximum(1 + np.float32(rng.uniform(0.05, 0.25)) * grain + np.float32(rng.uniform(0, 0.5)) * fading, 0.3)
    metal = _metal(spec, column, placement)
    return np.asarray(soft + bone * spec.bone + metal)


def _bones(spec: PhantomSpec, column: Column, placement: Placement) -> np.ndarray:
    """Everything of bone, ``(H, W)``, not below 0."""
    sheet, brush = blank_sheet(spec, placement)
    rng = part_rng(spec.seed, Part.VERTEBRAE)
    density = BoneDensity.sample(rng)
    for level in range(-FIRST, COUNT):
        draw_vertebra(brush, column, level, density, rng)
    draw_pelvis(brush, column, spec.girth, part_rng(spec.seed, Part.PELVIS))
    draw_shoulders(brush, column, spec.girth, part_rng(spec.seed, Part.SHOULDERS))
    draw_skull(brush, column, part_rng(spec.seed, Part.SKULL))
    bone = sheet.render()
    if spec.ribs > 0:
        sheet, brush = blank_sheet(spec, placement)
        draw_ribs(brush, column, spec.girth, part_rng(spec.seed, Part.RIBS))
        bone += sheet.render() * spec.ribs
    return np.asarray(np.maximum(bone, 0))


def soft_tissue(spec: PhantomSpec, column: Column, placement: Placement) -> np.ndarray:
    """Trunk, lungs, heart, bowel gas, ``(H, W)``, not below 0.

    Args:
        spec: girth, lungs and seed.
        column: what the organs hang on.
        placement: where the patient lies.

    Returns:
        Absorption, 1 is the thickness of the abdomen.
    """
    rng = part_rng(spec.seed, Part.ORGANS)
    height, width = (max(8, size // LOW_RES) for size in (spec.height, spec.width))
    trunk = _trunk(spec, column, placement, height, width)
    sheet, brush = blank_sheet(spec, placement)
    for outline in lung_outlines(column, spec.girth, rng):
        brush.fill(outline, 1.0)
    air = np.clip(blur(sheet.render(), 1.0), 0, 1)
    coarse = blur(resize(air, height, width), 7 * placement.scale / LOW_RES)
    depth = rng.uniform(0.5, 0.68) * spec.lungs
    filled = resize(trunk, spec.height, spec.width)
    filled *= 1 - depth * air * resize(np.minimum(coarse * 1.3, 1), spec.height, spec.width)
    return np.asarray(np.maximum(filled + _organs(spec, column, placement, rng), 0))


def _organs(spec: PhantomSpec, column: Column, placement: Placement, rng: np.random.Generator) -> np.ndarray:
    """Heart, vessels, bowel gas and windpipe as added or missing absorbers, ``(H, W)``."""
    sheet, brush = blank_sheet(spec, placement)
    draw_heart(brush, column, rng.choice((1.0, 1.0, 1.0, -1.0)), rng.uniform(0.75, 1.2), rng)
    draw_vessels(brush, column, spec.girth, rng)
    draw_bowel_gas(brush, column, spec.girth, rng)
    windpipe = np.stack([column.at(level) * (0.6, 1.0) + vector(0.4 * column.at(-3)[0], 0) for level in range(-5, 4)])
    brush.fill(band(windpipe, 8.0), -rng.uniform(0.05, 0.12))
    return blur(sheet.render(), max(0.6, 1.6 * placement.scale))


def _trunk(spec: PhantomSpec, column: Column, placement: Placement, height: int, width: int) -> np.ndarray:
    """Thickness of the trunk on a coarse grid ``(height, width)``."""
    y, x = np.mgrid[:height, :width].astype(float)
    pixels = np.stack([(x + 0.5) * spec.width / width - 0.5, (y + 0.5) * spec.height / height - 0.5], axis=-1)
    mm = placement.to_mm(pixels)
    heights = column.centers[:, 1]
    axis = 0.4 * np.interp(mm[..., 1], heights, column.centers[:, 0])
    half = body_half_width(column, mm[..., 1], spec.girth)
    depths = np.interp(mm[..., 1], [heights[2], heights[6], heights[9], heights[19], heights[24] + 90],
                       [0.5, 0.55, 0.85, 1.0, 1.15])  # fmt: skip
    chord = np.sqrt(np.maximum(1 - ((mm[..., 0] - axis) / half) ** 2, 0))
    rng = part_rng(spec.seed, Part.TRUNK)
    lumps = cloud(rng, height, width, max(4.0, 60 * placement.scale / LOW_RES), 4)
    bowel = np.clip((mm[..., 1] - column.at(11)[1]) / 60, 0, 1)
    stuff = rng.uniform(0.005, 0.06) * cloud(rng, height, width, max(2.0, 11 * placement.scale / LOW_RES), 2)
    thickness = chord * depths * (1 + 0.06 * lumps + bowel * stuff)
    return blur(thickness.astype(np.float32), 0.7)


def _metal(spec: PhantomSpec, column: Column, placement: Placement) -> np.ndarray:
    """Implants and things worn, ``(H, W)``."""
    sheet, brush = blank_sheet(spec, placement)
    rng = part_rng(spec.seed, Part.IMPLANTS)
    for name in spec.implants:
        draw_implant(name, brush, column, rng)
    return sheet.render()
