"""Names as they are printed: right-to-left ones reversed, Arabic letters joined, which reportlab does not do."""

from __future__ import annotations

from arabic_reshaper import reshape
from bidi.algorithm import get_display  # the package's own name for it does not mirror brackets


def in_printed_order(text: str) -> str:
    """A text of one line with its letters from left to right as they are printed, without the vowel signs of Arabic.

    Args:
        text: in the order in which it is read, without control characters. It is isolated: it has the direction of its
            first letter, whatever it stands in.
    """
    printed: str = get_display(reshape(text))
    return printed
