"""Orientation tags of raster files: EXIF and TIFF tag 274, and XMP."""

from __future__ import annotations

import re

from ..spine.imaging.orientation import EXIF_ORIENTATIONS, UPRIGHT, Orientation
from ..spine.measurement.image_warnings import CONTRADICTION, ImageWarning

ORIENTATION_TAG = 274

_XMP = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|\s*>\s*)(\d)")

Statement = tuple[str, int]
"""Source of an orientation, such as "EXIF", and its value."""


def xmp_orientation(xmp: bytes) -> list[Statement]:
    """The orientation that an XMP packet states, if any."""
    match = _XMP.search(xmp)
    return [("XMP", int(match[1]))] if match else []


def stated_orientation(statements: list[Statement]) -> tuple[Orientation | None, str, tuple[ImageWarning, ...]]:
    """The orientation that a file states, its source, and a warning where its tags contradict each other.

    The value 1 states nothing, since programs write it by default.

    Args:
        statements: by precedence; values other than 1 to 8 are ignored.
    """
    valid = [(where, value) for where, value in statements if value in EXIF_ORIENTATIONS]
    if not valid:
        return None, "none", ()
    where, value = valid[0]
    warnings = tuple(
        ImageWarning(
            CONTRADICTION,
            f"{where} Orientation is {value} but {other} Orientation is {other_value}; {where} Orientation was obeyed",
        )
        for other, other_value in valid[1:]
        if other_value != value
    )
    orientation = EXIF_ORIENTATIONS[value]
    if orientation == UPRIGHT:
        return None, "none", warnings
    return orientation, f"{where} Orientation {value}", warnings
