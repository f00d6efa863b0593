"""Warnings of predictions and measurements: reasons to doubt the numbers, one sentence each.

All sentences are worded here, so that server, tables, overlay and Slicer panel agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Optional

import numpy as np

from ..imaging.image_frame import ImageFrame
from ..imaging.orientation import Orientation
from ..imaging.pixel_aspect import MAX_ASPECT, is_believed, shape_text
from ..schema import VERTEBRAE, Spine
from .anatomy import KINDS, violations
from .angle_interval import are_names_doubtful
from .cobb import Curve, measure_curves

IMPLAUSIBLE, OFF_IMAGE, LARGER = "implausible_anatomy", "bodies_off_image", "curve_may_be_larger"
NAMES, SECOND_SPINE, OTHER_VIEW = "names_doubtful", "second_spine", "other_view"
POLARITY, ORIENTATION, CONTRADICTION = "polarity_guessed", "orientation_guessed", "contradicting_tags"
NOT_FRONTAL, NOT_SQUARE = "not_a_frontal_spine", "pixels_not_square"
CODES = (
    IMPLAUSIBLE,
    OFF_IMAGE,
    LARGER,
    NAMES,
    SECOND_SPINE,
    OTHER_VIEW,
    POLARITY,
    ORIENTATION,
    CONTRADICTION,
    NOT_FRONTAL,
    NOT_SQUARE,
)
"""Codes of all warnings."""
MEASURED_CODES = (IMPLAUSIBLE, OFF_IMAGE, LARGER, NAMES)
"""Codes about the points, as ``measurement_warnings`` derives them; all others are about the image."""

_MAX_LISTED_VIOLATIONS = 3


@dataclass(frozen=True)
class ImageWarning:
    """One reason to doubt a prediction or measurement.

    Attributes:
        code: one of ``CODES``, for programs.
        message: a sentence for people.
        vertebrae: those concerned, from top to bottom; empty where the whole image is.
    """

    code: str
    message: str
    vertebrae: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "vertebrae": list(self.vertebrae)}


def measurement_warnings(
    spine: Spine, frame: ImageFrame, names_right: Optional[float] = None, about_image: Iterable[ImageWarning] = ()
) -> tuple[ImageWarning, ...]:
    """All warnings about a measurement: those about the image, then those about the points.

    Args:
        spine: points in stored pixels.
        frame: the image that they belong to.
        names_right: probability in 0...1 that the names are right; ``None`` where not estimated.
        about_image: earlier warnings, of which those about points (``MEASURED_CODES``) are replaced.
    """
    upright = frame.upright(spine)
    kept = [warning for warning in about_image if warning.code not in MEASURED_CODES]
    curves = measure_curves(upright.visible_xy)
    return (
        *kept,
        *_name_warnings(names_right),
        *_off_image_warnings(upright),
        *_larger_curve_warnings(curves, upright),
        *_anatomy_warnings(upright),
    )


def orientation_warning(orientation: Orientation) -> ImageWarning:
    """Warning that the orientation of an image was guessed from its content, since its file states none.

    Args:
        orientation: the guessed one.
    """
    message = (
        "The file does not say how the image stands: "
        f"the spine was found with the image {describe_orientation(orientation)}."
    )
    return ImageWarning(ORIENTATION, message)


def orientation_contradiction(source: str, orientation: Orientation) -> ImageWarning:
    """Warning that the content of an image contradicts the orientation that its file states.

    Args:
        source: the tag or header that states it, with its value.
        orientation: the one used instead.
    """
    message = (
        f"The image contradicts {source}: the spine was found with the image "
        f"{describe_orientation(orientation)}, and is measured so."
    )
    return ImageWarning(CONTRADICTION, message)


def second_spine_warning() -> ImageWarning:
    """Warning that the image shows two spines."""
    return ImageWarning(
        SECOND_SPINE, "The image shows a second spine beside the measured one: crop it to the one that is meant."
    )


def pixel_aspect_warnings(x: float, y: float, source: str) -> tuple[ImageWarning, ...]:
    """Warning that a file states pixels of a shape that is not believed; others are measured as they are.

    Args:
        x: stated width of a pixel, in any unit.
        y: stated height, in the same unit.
        source: the tag or header that states them.
    """
    if is_believed(x, y):
        return ()
    message = (
        f"{source} states pixels that are {shape_text(x, y)}, which no radiograph has (at most {MAX_ASPECT:g} times): "
        "angles are measured as if they were square."
    )
    return (ImageWarning(NOT_SQUARE, message),)


def not_frontal_warning(aspect: float) -> ImageWarning:
    """Warning that the image may show a lateral spine, or none at all.

    Args:
        aspect: width over height of the detected bodies.
    """
    message = (
        f"The image may not show a spine from the front: the bodies that were found are {aspect:.2f} times as wide as "
        "high and are not sure to be vertebrae, as on a lateral radiograph."
    )
    return ImageWarning(NOT_FRONTAL, message)


def describe_orientation(orientation: Orientation) -> str:
    """How a stored image is brought upright in words, as "turned 90° clockwise"."""
    if orientation.is_upright:
        return "upright as stored"
    if orientation == Orientation(2, is_mirrored=True):
        return "mirrored top to bottom"
    mirrored = ["mirrored left to right"] if orientation.is_mirrored else []
    turned = [f"turned {orientation.turn_deg}° clockwise"] if orientation.quarter_turns else []
    return " and ".join(mirrored + turned)


def list_vertebrae(names: Sequence[str]) -> str:
    """Names of vertebrae in words, as "T1 to T4, T6 and L5"."""
    runs: list[list[int]] = []
    for index in (VERTEBRAE.index(name) for name in names):
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    parts: list[str] = []
    for run in runs:
        first, last = VERTEBRAE[run[0]], VERTEBRAE[run[-1]]
        parts += [f"{first} to {last}"] if len(run) > 2 else [VERTEBRAE[index] for index in run]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def _name_warnings(names_right: Optional[float]) -> list[ImageWarning]:
    if names_right is None or not are_names_doubtful(names_right):
        return []
    message = f"The names may be off by one level (chance that they are right: {100 * names_right:.0f} %)."
    return [ImageWarning(NAMES, message)]


def _off_image_warnings(spine: Spine) -> list[ImageWarning]:
    """Warnings about vertebrae of an upright spine that lie outside the image, or partly."""
    is_present, visible = np.isfinite(spine.xy).all(-1), spine.visible
    hidden = (is_present & ~visible).any(axis=1)
    off = tuple(name for name, is_off in zip(VERTEBRAE, hidden & ~visible.any(axis=1)) if is_off)
    partly = tuple(name for name, is_partly in zip(VERTEBRAE, hidden & visible.any(axis=1)) if is_partly)
    warnings = []
    if off:
        verb = "lies" if len(off) == 1 else "lie"
        message = f"{list_vertebrae(off)} {verb} off the image: nothing is measured from what it does not show."
        warnings.append(ImageWarning(OFF_IMAGE, message, off))
    if partly:
        verb = "lies" if len(partly) == 1 else "lie"
        message = f"{list_vertebrae(partly)} {verb} partly off the image: only visible corners are measured."
        warnings.append(ImageWarning(OFF_IMAGE, message, partly))
    return warnings


def _larger_curve_warnings(curves: Iterable[Curve], spine: Spine) -> list[ImageWarning]:
    hidden = (np.isfinite(spine.xy).all(-1) & ~spine.visible).any(axis=1)
    warnings = []
    for curve in curves:
        for end in curve.open_ends:
            index = VERTEBRAE.index(end)
            beyond = hidden[:index] if end == curve.upper_end else hidden[index + 1 :]
            last = "that the image shows" if beyond.any() else "with all four corners"
            message = f"{end} is the last body {last}: the curve {curve.upper_end} to {curve.lower_end} may be larger."
            warnings.append(ImageWarning(LARGER, message, (end,)))
    return warnings


def _anatomy_warnings(spine: Spine) -> list[ImageWarning]:
    found = violations(spine.visible_xy)
    if not found:
        return []
    concerned = {name for violation in found for name in violation.vertebrae}
    vertebrae = tuple(name for name in VERTEBRAE if name in concerned)
    gravest = sorted(found, key=lambda violation: KINDS.index(violation.kind))[:_MAX_LISTED_VIOLATIONS]
    sentences = " ".join(violation.message for violation in gravest)
    rest = len(found) - _MAX_LISTED_VIOLATIONS
    more = f" And {rest} more." if rest > 0 else ""
    return [ImageWarning(IMPLAUSIBLE, f"Implausible anatomy: {sentences}{more}", vertebrae)]
