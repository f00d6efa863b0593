"""What answers say about an image besides its pixels."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ...image_io import Radiograph
from .stated_side import StatedSide, side_facts


def image_facts(radiograph: Radiograph, stated: StatedSide | None = None) -> dict[str, Any]:
    """Size, geometry, orientation and sides in plain values, and what reading the file gave reason to doubt.

    Args:
        radiograph: the image.
        stated: the side that a person has stated.
    """
    orientation = None if radiograph.orientation is None else radiograph.orientation.as_dict()
    return {
        "width": radiograph.width,
        "height": radiograph.height,
        "spacing": list(radiograph.geometry.spacing),
        "spacing_source": radiograph.geometry.source,
        "millimetres": None if radiograph.millimetres is None else asdict(radiograph.millimetres),
        **side_facts(radiograph, stated),
        "geometry": radiograph.geometry.as_dict(),
        "orientation": None if orientation is None else {**orientation, "source": radiograph.orientation_source},
        "warnings": [warning.as_dict() for warning in radiograph.warnings],
    }
