"""The fonts of reports, and texts that can be printed with them: no markup, no control characters, a line long."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from xml.sax.saxutils import escape

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

REGULAR, BOLD = "DejaVuSans", "DejaVuSans-Bold"
_FOLDER = Path(__file__).parent / "fonts"
_UNPRINTABLE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Unicode categories of control, formatting and private characters, of halves of pairs, and of line ends."""
_SPACES = re.compile(r"\s+")
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def register_fonts() -> None:
    """Make the fonts known to reportlab.

    Raises:
        OSError: a font file is missing.
    """
    known = pdfmetrics.getRegisteredFontNames()
    for name in (REGULAR, BOLD):
        if name not in known:
            pdfmetrics.registerFont(TTFont(name, str(_FOLDER / f"{name}.ttf")))
    pdfmetrics.registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD)


def printable(text: str, max_characters: int = 80) -> str:
    """A text of any origin as one line that can be printed; a longer one is cut and ends with "…".

    Args:
        text: any characters; those that would change direction or layout of a line become visible.
        max_characters: of the result.
    """
    line = _SPACES.sub(" ", text).strip()
    line = "".join(_UNKNOWN if unicodedata.category(letter) in _UNPRINTABLE else letter for letter in line)
    return line if len(line) <= max_characters else line[: max_characters - 1].rstrip() + "…"


def marked_up(text: str) -> str:
    """A printable text as the content of a reportlab paragraph, whose markup it does not use."""
    return escape(text)
