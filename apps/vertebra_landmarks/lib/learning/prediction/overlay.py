"""Overlay of a prediction on its upright radiograph: outlines, curves with their angles, and warnings below."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...image_io import Radiograph
from ...image_io.window import windowed_bytes
from ...spine.display import DOUBTFUL, MEASURED, MIN_SURE_SCORE, SURE
from ...spine.measurement.angle_interval import interval_sentence, interval_text
from ...spine.measurement.cobb import Curve
from ...spine.measurement.image_warnings import describe_orientation
from ...spine.measurement.report import curves_of
from ...spine.schema import Spine, Vertebra
from .result import Prediction

MAX_SIDE = 1600
"""Longer side of the radiograph on the canvas, pixels."""

MIN_TEXT_WIDTH = 420
"""Width of the text below it at least, pixels."""

PNG_LEVEL = 4
"""Compression of an overlay: at 4 it takes 0.4 of the time of the default, 6, and a tenth more bytes."""

_MIN_ROWS = 1.5  # of the radiograph per row of the canvas; the others of a large one are left out
_OUTLINE = ("TL", "TR", "BR", "BL", "TL")
_HIDDEN, _TEXT, _PAPER = (150, 150, 150), (235, 235, 235), (24, 24, 24)
_DASH = 6  # line widths
_REACH = 1.6  # body widths by which the line of an endplate goes on beyond its body

Point = tuple[float, float]


def draw_overlay(radiograph: Radiograph, prediction: Prediction) -> Image.Image:
    """Draw a prediction on the upright image.

    Doubtful vertebrae are red, what the image does not show is gray and dashed. Each curve is drawn as the lines of
    its two endplates with its angle between them. What is to be doubted stands below.

    Args:
        radiograph: the image.
        prediction: what was found in it.

    Returns:
        An RGB image; the radiograph has at most 1600 pixels on its longer side.
    """
    pixels = prediction.orientation.upright_pixels(radiograph.square_pixels)
    scale = min(1.0, MAX_SIDE / max(pixels.shape))
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    every = max(1, int(1 / (_MIN_ROWS * scale)))
    gray = Image.fromarray(windowed_bytes(np.ascontiguousarray(pixels[::every, ::every])))
    canvas = gray.resize(size, Image.Resampling.LANCZOS).convert("RGB")
    pen = _Pen.on(canvas, scale)
    spine = prediction.frame.upright(prediction.spine)
    curves = curves_of(prediction.spine, prediction.frame, prediction.tilt_half_widths, prediction.names_right)
    for curve in curves:
        pen.curve(curve, spine)
    for vertebra in spine.vertebrae:
        pen.vertebra(vertebra)
    return _with_text(canvas, _sentences(prediction, curves), pen.font)


def _sentences(prediction: Prediction, curves: tuple[Curve, ...]) -> list[str]:
    """What stands below the radiograph."""
    sentences = []
    if not prediction.orientation.is_upright:
        turned = describe_orientation(prediction.orientation)
        sentences.append(f"The image is {turned} ({prediction.orientation_source}).")
    sentences += [f"! {warning.message}" for warning in prediction.warnings]
    if any(curve.half_width_deg is not None for curve in curves):
        sentences.append(interval_sentence(prediction.names_right))
    return sentences


@dataclass(frozen=True)
class _Pen:
    """Draws in pixels of the upright radiograph on an image of it at another scale.

    Attributes:
        draw: on the canvas.
        size: (width, height) of the canvas.
        scale: pixels of the canvas per pixel of the radiograph.
        line: width of lines.
        font: of names and angles.
    """

    draw: ImageDraw.ImageDraw
    size: tuple[int, int]
    scale: float
    line: int
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont

    @classmethod
    def on(cls, canvas: Image.Image, scale: float) -> _Pen:
        """A pen for a canvas, its lines and letters as large as that asks for."""
        length = max(canvas.size)
        font = ImageFont.load_default(size=max(9, length // 75))
        return cls(ImageDraw.Draw(canvas), canvas.size, scale, max(1, length // 700), font)

    def at(self, xy: np.ndarray) -> Point:
        """A point of the radiograph on the canvas."""
        x, y = ((xy + 0.5) * self.scale - 0.5).tolist()
        return x, y

    def vertebra(self, vertebra: Vertebra) -> None:
        """Outline, center and name; dashed where an end of a side is not visible."""
        points = {name: vertebra.point(name) for name in (*_OUTLINE, "center")}
        positions = {name: self.at(np.array([p.x, p.y])) for name, p in points.items() if p is not None}
        hidden = {name for name, p in points.items() if p is not None and not p.is_visible}
        center = points["center"]
        color = SURE if center is not None and center.score >= MIN_SURE_SCORE else DOUBTFUL
        for a, b in pairwise(_OUTLINE):
            if a in positions and b in positions:
                self.side(positions[a], positions[b], color, is_dashed=bool({a, b} & hidden))
        if "center" not in positions or "center" in hidden:
            return
        (x, y), r = positions["center"], 1.5 * self.line
        self.draw.ellipse([x - r, y - r, x + r, y + r], fill=color)
        right = max(position[0] for position in positions.values())
        self.text((right + 6 * self.line, y), vertebra.name, color, "lm")

    def side(self, a: Point, b: Point, color: tuple[int, int, int], is_dashed: bool) -> None:
        """A side of an outline."""
        if not is_dashed:
            self.draw.line([a, b], fill=color, width=self.line)
            return
        for start, stop in _dashes(a, b, _DASH * self.line):
            self.draw.line([start, stop], fill=_HIDDEN, width=self.line)

    def curve(self, curve: Curve, spine: Spine) -> None:
        """The lines of both endplates, going on to the side on which they meet, and the angle between their ends."""
        plates = np.array([self.plate(spine[curve.upper_end], "T"), self.plate(spine[curve.lower_end], "B")])
        width = float(np.linalg.norm(plates[:, 1] - plates[:, 0], axis=-1).mean())
        along = (plates[:, 1] - plates[:, 0]) / np.linalg.norm(plates[:, 1] - plates[:, 0], axis=-1, keepdims=True)
        gaps = [abs(float(plates[1, end, 1] - plates[0, end, 1])) for end in (0, 1)]
        inner = int(gaps[1] < gaps[0])  # the concave side: 0 image left, 1 image right
        ends = plates[:, inner] + (1 if inner else -1) * _REACH * width * along
        for plate, end in zip(plates, ends, strict=True):
            self.draw.line([self.at(plate[1 - inner]), self.at(end)], fill=MEASURED, width=self.line)
        label = f"{curve.upper_end} to {curve.lower_end}\n{curve.angle_deg:.0f}°{interval_text(curve.half_width_deg)}"
        x, y = self.at(ends.mean(0))
        self.text((x, y), label, MEASURED, "mm")

    @staticmethod
    def plate(vertebra: Vertebra, row: str) -> np.ndarray:
        """``(2, 2)`` left and right end of an endplate, upper ("T") or lower ("B")."""
        points = (vertebra.point(f"{row}{side}") for side in "LR")
        return np.array([(point.x, point.y) for point in points if point is not None])

    def text(self, position: Point, text: str, color: tuple[int, int, int], anchor: str) -> None:
        """Text with a dark rim, moved so far that it stands on the canvas."""
        left, top, right, bottom = self.draw.multiline_textbbox(position, text, font=self.font, anchor=anchor)
        dx = max(0.0, 2 - left) - max(0.0, right - self.size[0] + 2)
        dy = max(0.0, 2 - top) - max(0.0, bottom - self.size[1] + 2)
        self.draw.multiline_text(
            (position[0] + dx, position[1] + dy),
            text,
            fill=color,
            font=self.font,
            anchor=anchor,
            align="center",
            stroke_width=self.line,
            stroke_fill=(0, 0, 0),
        )


def _dashes(a: Point, b: Point, length: float) -> Iterator[tuple[Point, Point]]:
    """Every other piece of a line."""
    start, way = np.array(a), np.subtract(b, a)
    count = max(1, round(float(np.hypot(*way)) / length))
    for number in range(0, count, 2):
        first, last = start + way * number / count, start + way * (number + 1) / count
        yield (float(first[0]), float(first[1])), (float(last[0]), float(last[1]))


def _with_text(
    canvas: Image.Image, sentences: list[str], font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> Image.Image:
    """The canvas with sentences below it, wrapped to its width."""
    margin, width = max(4, canvas.height // 150), max(canvas.width, MIN_TEXT_WIDTH)
    lines = [line for sentence in sentences for line in _wrapped(sentence, width - 2 * margin, font)]
    if not lines:
        return canvas
    step = round(1.35 * (font.getbbox("Ag")[3]))
    paper = Image.new("RGB", (width, canvas.height + 2 * margin + step * len(lines)), _PAPER)
    paper.paste(canvas, (0, 0))
    draw = ImageDraw.Draw(paper)
    for number, line in enumerate(lines):
        draw.text((margin, canvas.height + margin + number * step), line, fill=_TEXT, font=font)
    return paper


def _wrapped(sentence: str, width: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """A sentence in lines that are no wider than that, unless a word is."""
    lines: list[str] = []
    for word in sentence.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
