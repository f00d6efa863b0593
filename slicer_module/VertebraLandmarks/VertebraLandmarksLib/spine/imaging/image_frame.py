"""Size, orientation and the patient's sides of the image that points belong to, as measuring needs them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional

from ..geometry import transform_points
from ..schema import Spine
from .orientation import UPRIGHT, Orientation, orientation_of


@dataclass(frozen=True)
class ImageFrame:
    """The raster that points belong to.

    Attributes:
        width: columns of the stored raster.
        height: rows of the stored raster.
        orientation: how to turn it upright; ``None`` where unknown, and the points decide (``orientation_of``).
        image_left_is: the patient's side at the left of the upright image, "left" or "right"; ``None`` where
            unknown.
    """

    width: int
    height: int
    orientation: Optional[Orientation] = None
    image_left_is: Optional[str] = None

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

    def upright(self, spine: Spine) -> Spine:
        """A spine in pixels of the upright image, with what lies off the image not visible.

        Args:
            spine: points in stored pixels.
        """
        xy = spine.xy
        orientation = orientation_of(xy, self.width, self.height, self.orientation)
        on_image = spine.cut_to(self.width, self.height)
        if orientation.is_upright:
            return on_image
        return on_image.moved_to(transform_points(orientation.matrix(self.width, self.height), xy))

    def upright_height(self, spine: Spine) -> int:
        """Height of the image in which ``upright`` places a spine."""
        orientation = orientation_of(spine.xy, self.width, self.height, self.orientation)
        return orientation.size(self.width, self.height)[1]
