"""Common style of the plots: colours for colour-blind readers, markers, small files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lib.learning.optional_packages import missing_packages
from lib.spine.atomic_write import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito, Color Universal Design, 2008; without its yellow, which is too light for lines."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""One per color, so that no series is told apart by its color alone."""
STYLES = ("-", "--", "-.", ":")
MAX_BYTES = 300_000
_DPI = 130


def check_library() -> None:
    """Say how to get the library where it is missing, before any work is done.

    Raises:
        ValueError: matplotlib is not installed.
    """
    if missing := missing_packages(("matplotlib",), "python3 scripts/setup_environment.py --cluster", "plots need"):
        raise ValueError(missing)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that many inches, which no window belongs to."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path, max_bytes: int | None = MAX_BYTES) -> None:
    """Write a PNG file.

    Args:
        figure: what to write.
        path: of the file.
        max_bytes: that it may have; ``None`` for any number.

    Raises:
        OSError: it cannot be written.
        ValueError: it is too large for a repository.
    """
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI)
        size = temporary.stat().st_size
        if max_bytes is not None and size > max_bytes:
            raise ValueError(f"{path.name} would have {size} bytes, at most {max_bytes} are wanted")
