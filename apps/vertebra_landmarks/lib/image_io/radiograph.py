"""What reading an image file yields: the gray pixels, and what the file says about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..spine.imaging.image_frame import ImageFrame
from ..spine.imaging.image_geometry import PIXELS, ImageGeometry
from ..spine.imaging.orientation import UPRIGHT, Orientation
from ..spine.measurement.image_warnings import ImageWarning


class UnreadableImageError(ValueError):
    """A file holds no image that this project can read; the message says which file and why."""


@dataclass(frozen=True)
class Millimetres:
    """Size of a pixel in the patient, for measuring; it may differ from what Slicer's reader takes for the spacing.

    Attributes:
        x: width of a pixel.
        y: height of a pixel.
        source: the tag or the kind of header that says so.
    """

    x: float
    y: float
    source: str


@dataclass(frozen=True, eq=False)
class Radiograph:
    """One gray image.

    Attributes:
        pixels: ``(H, W)`` values in the raster of the file, bright bone, never resized or turned. Padding and constant
            margins that would spoil the gray range have a value at the dark end of the image proper.
        geometry: where Slicer's own reader places the pixels.
        millimetres: size of a pixel in the patient; ``None`` where the file does not state it.
        image_left_is: the patient's side, "left" or "right", at the left of the upright image; ``None`` where the file
            does not state it.
        orientation: how the file says that the raster must be turned to stand upright; ``None`` where it says nothing.
        orientation_source: which tag or header says so, with its value; "none" where nothing does.
        warnings: what reading the file gave reason to doubt.
    """

    pixels: np.ndarray
    geometry: ImageGeometry = PIXELS
    millimetres: Millimetres | None = None
    image_left_is: str | None = None
    orientation: Orientation | None = None
    orientation_source: str = "none"
    warnings: tuple[ImageWarning, ...] = ()

    @property
    def frame(self) -> ImageFrame:
        """What measuring needs to know about the image."""
        return ImageFrame(self.width, self.height, self.orientation, self.image_left_is)

    def upright(self, orientation: Orientation) -> Radiograph:
        """The same image with its raster brought upright; what the file says about the raster is left behind.

        Args:
            orientation: how to turn the stored raster.
        """
        if orientation.is_upright:
            return self
        pixels = np.ascontiguousarray(orientation.upright_pixels(self.pixels))
        return Radiograph(pixels, image_left_is=self.image_left_is, orientation=UPRIGHT)

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])
