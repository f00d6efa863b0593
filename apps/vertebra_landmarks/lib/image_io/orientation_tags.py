"""Orientation tags of photographs and scans: EXIF and TIFF tag 274, and XMP beside them."""

from __future__ import annotations

import re

from ..spine.imaging.orientation import EXIF_ORIENTATIONS, UPRIGHT, Orientation
from ..spine.measurement.image_warnings import CONTRADICTION, ImageWarning

ORIENTATION_TAG = 274

_XMP = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|\s*>\s*)(\d)")

Statement = tuple[str, int]
"""Where an orientation is stated, such as "EXIF", and its value."""


def xmp_orientation(xmp: bytes) -> list[Statement]:
    """The orientation that an XMP packet states, if it does."""
    found = _XMP.search(xmp)
    return [("XMP", int(found[1]))] if found else []


def stated_orientation(statements: list[Statement]) -> tuple[Orientation | None, str, tuple[ImageWarning, ...]]:
    """The orientation that a file states, its source, and a warning where its tags contradict each other.

    The value 1 is what every program writes by default, so it states nothing.

    Args:
        statements: the first one is obeyed; values other than 1 to 8 are passed over.
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
