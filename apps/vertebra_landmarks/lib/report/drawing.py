"""The radiograph of a report: upright and windowed, with outlines, names, Cobb lines and angles as vectors."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from ..image_io.window import windowed_bytes
from ..spine.display import MEASURED, NAME
from ..spine.overlay_geometry import PALETTE, angle_anchor, body_lines, cobb_lines, name_texts, vertebra_colors
from .content import ReportContent
from .typeface import BOLD, REGULAR, register_fonts

DPI = 200
"""Pixels of the image per inch at most."""
_JPEG_QUALITY = 88
_POINTS_PER_INCH = 72
_OUTLINE, _COBB = 0.5, 0.9  # line widths in points
_NAME_SIZE, _ANGLE_SIZE = 5.8, 7.0
_GAP = 2.0  # between a vertebra and its name, points
_RIM = 0.8  # width of the rims of lines and letters together, points
_FILL, _STROKE = 0, 1  # text rendering modes of PDF
_SHADE = (0.0, 0.0, 0.0, 0.6)


def fitted_size(content: ReportContent, width: float, height: float) -> tuple[float, float]:
    """Size in points of the upright image, as large as fits."""
    columns, rows = content.frame.upright_size(content.orientation)
    scale = min(width / columns, height / rows)
    return columns * scale, rows * scale


def draw_radiograph(canvas: Canvas, content: ReportContent, x: float, y: float, size: tuple[float, float]) -> None:
    """Draw the image of a report with its measurement.

    Args:
        canvas: of the page.
        content: of the report.
        x: left edge in points.
        y: lower edge in points.
        size: (width, height) in points.
    """
    register_fonts()
    columns, _ = content.frame.upright_size(content.orientation)
    canvas.saveState()
    frame = canvas.beginPath()
    frame.rect(x, y, *size)
    canvas.clipPath(frame, stroke=0, fill=0)
    canvas.drawImage(_gray(content, size), x, y, *size)
    scale = size[0] / columns
    place = _Placement(x, y + size[1], scale)
    xy, measured = content.upright_xy, content.measured
    _draw_lines(canvas, place, *body_lines(xy, measured, {"outlines"}), width=_OUTLINE)
    _draw_lines(canvas, place, *cobb_lines(xy, measured.curves), width=_COBB)
    colors = vertebra_colors(measured)
    for text in name_texts(xy, measured, _GAP / scale):
        left, middle = place.at((text.x, text.y))
        color = _unit(colors.get(text.text.split()[0], NAME))
        font = BOLD if text.is_highlighted else REGULAR
        _draw_name(canvas, text.text, (left, middle - 0.35 * _NAME_SIZE), font, color)
    for curve in measured.curves:
        anchor = angle_anchor(xy, curve)
        _draw_angle(canvas, f"{curve.angle_deg:.1f}°", place.at((anchor.x, anchor.y)), anchor.is_at_right, x, size[0])
    canvas.restoreState()


class _Placement:
    """Where upright pixels lie on the page.

    Args:
        x: of the left edge of the image, in points.
        y: of its upper edge.
        scale: points per pixel.
    """

    def __init__(self, x: float, y: float, scale: float) -> None:
        self._x, self._y, self._scale = x, y, scale

    def at(self, xy: tuple[float, float]) -> tuple[float, float]:
        """A point of the image, whose pixel centers are at whole numbers, on the page."""
        return self._x + (xy[0] + 0.5) * self._scale, self._y - (xy[1] + 0.5) * self._scale


def _gray(content: ReportContent, size: tuple[float, float]) -> ImageReader:
    """The upright image at the resolution of the report."""
    pixels = np.ascontiguousarray(content.orientation.upright_pixels(content.radiograph.square_pixels))
    image = Image.fromarray(windowed_bytes(pixels))
    width, height = (max(1, round(points * DPI / _POINTS_PER_INCH)) for points in size)
    if width < image.width and height < image.height:
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_JPEG_QUALITY)
    return ImageReader(stream)


def _draw_lines(canvas: Canvas, place: _Placement, ends: np.ndarray, colors: np.ndarray, width: float) -> None:
    """Straight lines with a dark rim, which shows them on bright bone; see ``overlay_geometry.Lines``."""
    lines = [(*place.at(start), *place.at(stop)) for start, stop in ends.tolist()]
    canvas.setStrokeColorRGB(*_SHADE[:3], alpha=_SHADE[3])
    canvas.setLineWidth(width + _RIM)
    for line in lines:
        canvas.line(*line)
    canvas.setLineWidth(width)
    for line, color in zip(lines, colors.tolist(), strict=True):
        canvas.setStrokeColorRGB(*_unit(PALETTE[color]), alpha=1)
        canvas.line(*line)


def _draw_name(
    canvas: Canvas, name: str, at: tuple[float, float], font: str, color: tuple[float, float, float]
) -> None:
    """A name with a dark rim."""
    canvas.setFont(font, _NAME_SIZE)
    canvas.setStrokeColorRGB(*_SHADE[:3], alpha=_SHADE[3])
    canvas.setLineWidth(2 * _RIM)
    canvas.drawString(*at, name, mode=_STROKE)
    canvas.setFillColorRGB(*color)
    canvas.drawString(*at, name, mode=_FILL)


def _draw_angle(
    canvas: Canvas, text: str, at: tuple[float, float], is_at_right: bool, left: float, width: float
) -> None:
    """An angle on a shade, at the right or left of a position, within the image."""
    length = canvas.stringWidth(text, BOLD, _ANGLE_SIZE)
    x = at[0] + _GAP if is_at_right else at[0] - _GAP - length
    x = min(max(x, left + _GAP), left + max(_GAP, width - length - _GAP))
    y = at[1] - 0.35 * _ANGLE_SIZE
    canvas.setFillColorRGB(*_SHADE[:3], alpha=_SHADE[3])
    canvas.rect(x - 1, y - 0.3 * _ANGLE_SIZE, length + 2, 1.3 * _ANGLE_SIZE, stroke=0, fill=1)
    canvas.setFillColorRGB(*_unit(MEASURED), alpha=1)
    canvas.setFont(BOLD, _ANGLE_SIZE)
    canvas.drawString(x, y, text)


def _unit(color: tuple[int, ...]) -> tuple[float, float, float]:
    red, green, blue = color
    return red / 255, green / 255, blue / 255
