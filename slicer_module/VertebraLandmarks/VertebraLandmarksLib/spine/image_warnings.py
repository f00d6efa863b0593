"""Warnings that travel with every prediction and measurement: what may be wrong with the numbers, in one sentence each.

The sentences are made here only, so that the server, the tables, the overlay and the Slicer panel use the same words.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

IMPLAUSIBLE, OFF_IMAGE, LARGER = "implausible_anatomy", "bodies_off_image", "curve_may_be_larger"
NAMES, SECOND_SPINE, OTHER_VIEW = "names_doubtful", "second_spine", "other_view"
POLARITY, ORIENTATION, CONTRADICTION = "polarity_guessed", "orientation_guessed", "contradicting_tags"
NOT_FRONTAL = "not_a_frontal_spine"
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
)
"""What a warning can be about."""


@dataclass(frozen=True)
class ImageWarning:
    """One reason to doubt what is said about an image.

    Attributes:
        code: one of ``CODES``, for programs.
        message: a sentence for people.
        vertebrae: which ones it is about, from top to bottom; empty where it is about the whole image.
    """

    code: str
    message: str
    vertebrae: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "vertebrae": list(self.vertebrae)}
