"""What the interval of a Cobb angle promises, in words, and when it promises nothing."""

from __future__ import annotations

from typing import Optional

MIN_NAMES_RIGHT = 0.8
"""Chance that the names are right below which they are doubtful, and no interval is shown."""


def are_names_doubtful(names_right: Optional[float]) -> bool:
    """Whether the names may well be off by a level.

    Args:
        names_right: chance in 0...1 that they are right; ``None`` where nobody has estimated it.
    """
    return names_right is not None and names_right < MIN_NAMES_RIGHT


def interval_sentence(names_right: Optional[float] = None, is_corrected: bool = False) -> str:
    """What "±" beside an angle means; "" where the names are doubtful, and no interval is shown.

    Args:
        names_right: chance in 0...1 that the names are right; ``None`` where nobody has estimated it.
        is_corrected: whether a person has placed all corners of the end vertebrae.
    """
    if are_names_doubtful(names_right):
        return ""
    if is_corrected:
        return "In nine films of ten another reader's angle lies within ±."
    return "If the names are right, in nine films of ten the angle lies within ±."


def interval_text(half_width_deg: Optional[float]) -> str:
    """`` ± 4`` to stand behind an angle in degrees, "" where the half width is not known."""
    return "" if half_width_deg is None else f" ± {half_width_deg:.0f}"
