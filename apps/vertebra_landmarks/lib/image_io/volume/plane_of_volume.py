"""What the headers of NIfTI and NRRD say about the one plane that they hold."""

from __future__ import annotations

import numpy as np

from ...spine.imaging.image_geometry import ImageGeometry
from ...spine.imaging.orientation import Orientation
from ...spine.imaging.planes import Plane, axis_of, plane_of
from ..radiograph import Millimetres


def stated_plane(geometry: ImageGeometry) -> Plane | None:
    """The plane that an image lies in."""
    return plane_of(axis_of(np.array(geometry.along_row)), axis_of(np.array(geometry.down_column)))


def orientation_of_plane(plane: Plane | None, source: str, is_default: bool) -> tuple[Orientation | None, str]:
    """The stated orientation and its source, "none" where nothing is stated.

    Args:
        plane: from ``stated_plane``.
        source: the part of the header that it comes from.
        is_default: whether the directions are there only because the format asks for some.
    """
    if plane is None or plane.orientation is None or is_default:
        return None, "none"
    return plane.orientation, source


def millimetres_of(geometry: ImageGeometry) -> Millimetres | None:
    """The spacing as a size in the patient; ``None`` where it is the 1 mm of a header that states none."""
    return None if geometry.spacing == (1.0, 1.0) else Millimetres(*geometry.spacing, "file header")
