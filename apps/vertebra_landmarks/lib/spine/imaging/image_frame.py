"""Size, shape of pixels, orientation and the patient's sides of an image, as measuring its points needs them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

from ..geometry import transform_points
from ..schema import Spine
from .orientation import UPRIGHT, Orientation, orientation_of
from .pixel_aspect import square_matrix, square_size


@dataclass(frozen=True)
class ImageFrame:
    """The raster that points belong to.

    Attributes:
        width: columns of the stored raster.
        height: rows of the stored raster.
        orientation: how to turn it upright; ``None`` where unknown, and the points decide (``orientation_of``).
        image_left_is: the patient's side at the left of the upright image, "left" or "right"; ``None`` where
            unknown.
        pixel_aspect: width over height of a stored pixel in the patient; 1 where they are square, or nothing is known.
    """

    width: int
    height: int
    orientation: Optional[Orientation] = None
    image_left_is: Optional[str] = None
    pixel_aspect: float = 1.0

    def resolved(self, spine: Spine) -> ImageFrame:
        """The same image with the orientation in which points of a spine stand upright.

        The patient's sides are kept where this is the stated orientation or, without one, the stored one; else the file
        was wrong about the orientation and may be about the sides.

        Args:
            spine: points in stored pixels.
        """
        orientation = orientation_of(spine.xy, self.width, self.height, self.orientation)
        keeps_sides = orientation == (self.orientation or UPRIGHT)
        return replace(self, orientation=orientation, image_left_is=self.image_left_is if keeps_sides else None)

    def matrix(self, orientation: Orientation) -> np.ndarray:
        """``(3, 3)`` from stored pixels to those of the upright image, which are square.

        Args:
            orientation: how to turn the stored raster.
        """
        if self.pixel_aspect == 1.0:
            return orientation.matrix(self.width, self.height)
        width, height = square_size(self.width, self.height, self.pixel_aspect)
        matrix: np.ndarray = orientation.matrix(width, height) @ square_matrix(self.pixel_aspect)
        return matrix

    def upright_size(self, orientation: Orientation) -> tuple[int, int]:
        """(width, height) of the upright image.

        Args:
            orientation: how to turn the stored raster.
        """
        return orientation.size(*square_size(self.width, self.height, self.pixel_aspect))

    def upright(self, spine: Spine) -> Spine:
        """A spine in pixels of the upright image, which are square, with what lies off the image not visible.

        All that is measured is measured of these points.

        Args:
            spine: points in stored pixels.
        """
        xy = spine.xy
        orientation = orientation_of(xy, self.width, self.height, self.orientation)
        on_image = spine.cut_to(self.width, self.height)
        if orientation.is_upright and self.pixel_aspect == 1.0:
            return on_image
        return on_image.moved_to(transform_points(self.matrix(orientation), xy))

    def upright_height(self, spine: Spine) -> int:
        """Height of the image in which ``upright`` places a spine."""
        orientation = orientation_of(spine.xy, self.width, self.height, self.orientation)
        return self.upright_size(orientation)[1]
