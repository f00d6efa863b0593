"""Display of a spine: colors of its overlays, and the threshold from which a vertebra counts as doubtful."""

from __future__ import annotations

from .measurement.anatomy import LIMITS

SURE, DOUBTFUL, IMPLAUSIBLE = (110, 230, 140), (255, 95, 85), (255, 170, 60)
"""Red, green and blue of vertebrae: as they should be, doubted by the model, or at odds with anatomy."""
FAINT = (245, 235, 95)
"""What ``SURE`` turns into, step by step, as doubt grows."""
MEASURED = (105, 195, 255)
"""Of Cobb lines and angles."""
READINGS = ((255, 176, 46), (86, 190, 255), (255, 255, 255))
"""Of the two readings that an adjudicator compares, and of their mean: told apart by the color-blind, too."""
CORNER, HOVERED, NAME = (255, 217, 77), (255, 255, 255), (219, 237, 224)
"""Of corners that can be dragged, of the point under the mouse, and of names of vertebrae that are not doubtful."""

MIN_SURE_SCORE = 0.5
"""Score of a center below which its vertebra is doubtful."""
MAX_SURE_ERROR = LIMITS.center_offset
"""Expected error in body heights above which a vertebra is doubtful: two readers differ by more in 5 % of corners."""


def unit_color(color: tuple[int, int, int]) -> tuple[float, float, float]:
    """Red, green and blue from 0 to 1, as VTK takes them."""
    red, green, blue = color
    return red / 255, green / 255, blue / 255
