"""Radiograph: the gray pixels of an image file with its orientation, geometry, sides and warnings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..spine.imaging.image_frame import ImageFrame
from ..spine.imaging.image_geometry import PIXELS, ImageGeometry
from ..spine.imaging.orientation import UPRIGHT, Orientation
from ..spine.measurement.image_warnings import ImageWarning
from .raster.luminance import finite
from .square_pixels import resampled_to_square


@dataclass(frozen=True)
class Millimetres:
    """Size of a pixel in the patient, for measuring; it may differ from the spacing of Slicer's reader.

    Attributes:
        x: width of a pixel.
        y: height of a pixel.
        source: the tag or kind of header that states it.
    """

    x: float
    y: float
    source: str


@dataclass(frozen=True, eq=False)
class Radiograph:
    """One gray image.

    Attributes:
        pixels: ``(H, W)`` values in the raster of the file, bright bone, never resized or turned. Padding and constant
            margins that would spoil the gray range have a value at the dark end of the image proper, pixels that are
            not finite the smallest value.
        geometry: where Slicer's own reader places the pixels.
        millimetres: size of a pixel in the patient; ``None`` where the file does not state it.
        image_left_is: the patient's side, "left" or "right", at the left of the upright image; ``None`` where not
            stated.
        orientation: how the raster must be turned to be upright, as the file states it; ``None`` where not stated.
        orientation_source: tag or header that states it, with its value; "none" without one.
        warnings: reasons to doubt what was read.
    """

    pixels: np.ndarray
    geometry: ImageGeometry = PIXELS
    millimetres: Millimetres | None = None
    image_left_is: str | None = None
    orientation: Orientation | None = None
    orientation_source: str = "none"
    warnings: tuple[ImageWarning, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixels", finite(self.pixels))

    @property
    def frame(self) -> ImageFrame:
        """Size, shape of pixels, orientation and sides, as measuring needs them."""
        return ImageFrame(self.width, self.height, self.orientation, self.image_left_is, self.geometry.pixel_aspect)

    def upright(self, orientation: Orientation) -> Radiograph:
        """The same image brought upright and to square pixels, without the geometry of the stored raster.

        Args:
            orientation: how to turn the stored raster.
        """
        if orientation.is_upright and self.geometry.pixel_aspect == 1.0:
            return self
        pixels = np.ascontiguousarray(orientation.upright_pixels(self.square_pixels))
        return Radiograph(pixels, image_left_is=self.image_left_is, orientation=UPRIGHT)

    @cached_property
    def square_pixels(self) -> np.ndarray:
        """``(H, W)`` values of the stored raster, resampled where its pixels are not square (``square_matrix``)."""
        return resampled_to_square(self.pixels, self.geometry.pixel_aspect)

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])
