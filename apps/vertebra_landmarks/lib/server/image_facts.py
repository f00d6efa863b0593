"""What answers say about an image besides its pixels."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..learning.image_io import Radiograph


def image_facts(radiograph: Radiograph) -> dict[str, Any]:
    """Size, spacing and orientation in plain values."""
    return {
        "width": radiograph.width,
        "height": radiograph.height,
        "spacing": list(radiograph.geometry.spacing),
        "spacing_source": radiograph.geometry.source,
        "millimetres": None if radiograph.millimetres is None else asdict(radiograph.millimetres),
        "image_left_is": radiograph.image_left_is,
        "geometry": radiograph.geometry.as_dict(),
    }
