"""A picture of the landmarks on their radiograph."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..spine.schema import Spine, Vertebra
from .image_io import Radiograph
from .transforms import windowed

_LONGEST = 1600
_OUTLINE = ("TL", "TR", "BR", "BL", "TL")
_SURE, _DOUBTFUL = (90, 220, 120), (255, 90, 80)
_DOUBT_BELOW = 0.5


def draw_overlay(radiograph: Radiograph, spine: Spine) -> Image.Image:
    """Draw outlines, centers and names; doubtful vertebrae are red.

    Args:
        radiograph: the image.
        spine: points in its pixels.

    Returns:
        An RGB picture of at most 1600 pixels on its longer side.
    """
    scale = min(1.0, _LONGEST / max(radiograph.height, radiograph.width))
    gray = Image.fromarray((windowed(radiograph.pixels) * 255).round().astype(np.uint8))
    size = max(1, round(radiograph.width * scale)), max(1, round(radiograph.height * scale))
    picture = gray.resize(size, Image.Resampling.LANCZOS).convert("RGB")
    draw = ImageDraw.Draw(picture)
    length = max(picture.size)
    font = ImageFont.load_default(size=max(9, length // 75))
    for vertebra in spine.vertebrae:
        _draw_vertebra(draw, vertebra, scale, font, max(1, length // 700))
    return picture


def _draw_vertebra(
    draw: ImageDraw.ImageDraw,
    vertebra: Vertebra,
    scale: float,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    line: int,
) -> None:
    def place(name: str) -> tuple[float, float] | None:
        point = vertebra.point(name)
        return None if point is None else ((point.x + 0.5) * scale - 0.5, (point.y + 0.5) * scale - 0.5)

    center = vertebra.center
    color = _SURE if center is not None and center.score >= _DOUBT_BELOW else _DOUBTFUL
    outline = [place(name) for name in _OUTLINE]
    for a, b in pairwise(outline):
        if a is not None and b is not None:
            draw.line([a, b], fill=color, width=line)
    at = place("center")
    if at is None:
        return
    r = 1.5 * line
    draw.ellipse([at[0] - r, at[1] - r, at[0] + r, at[1] + r], fill=color)
    right = max((p[0] for p in outline if p is not None), default=at[0])
    draw.text((right + 6 * line, at[1]), vertebra.name, fill=color, font=font, anchor="lm")
