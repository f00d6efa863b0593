"""Which of several statements about the shape of pixels counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ..spine.imaging.image_geometry import ImageGeometry
from ..spine.imaging.pixel_aspect import shape_text
from ..spine.measurement.image_warnings import CONTRADICTION, ImageWarning, pixel_aspect_warnings

_TOLERANCE = 0.01  # of width over height, within which statements agree


class PixelShape(NamedTuple):
    """A statement of a header about the width and height of a pixel.

    Attributes:
        source: the tag or kind of header.
        x: width of a pixel, in any unit.
        y: height in the same unit.
    """

    source: str
    x: float
    y: float

    @property
    def text(self) -> str:
        """What is stated, and where."""
        return f"{self.source} (pixels that are {shape_text(self.x, self.y)})"


def shaped_geometry(
    geometry: ImageGeometry, shapes: Sequence[PixelShape]
) -> tuple[ImageGeometry, tuple[ImageWarning, ...]]:
    """The geometry with the shape of pixels that counts, and what is to be doubted about that.

    Args:
        geometry: of Slicer's reader, whose spacing may have another shape, or none.
        shapes: as stated, with positive numbers; the first one is obeyed.
    """
    if not shapes:
        return geometry, ()
    first = shapes[0]
    warnings = list(pixel_aspect_warnings(first.x, first.y, first.source))
    others = (one for one in shapes[1:] if abs(_log_aspect(one) - _log_aspect(first)) > math.log1p(_TOLERANCE))
    for other in others:
        sentence = f"{first.text} and {other.text} contradict each other; {first.source} was obeyed"
        warnings.append(ImageWarning(CONTRADICTION, sentence))
    return geometry.with_pixels(first.x, first.y), tuple(warnings)


def _log_aspect(shape: PixelShape) -> float:
    """Logarithm of width over height, which overflows for no positive numbers."""
    return math.log(shape.x) - math.log(shape.y)
