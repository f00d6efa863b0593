"""The section Measurements: the table of curves, renewed with every move of a point."""

from .tables import fill, prepare


class MeasurePanel:
    """The curves of the points as they are now.

    Args:
        ui: the widgets.
        logic: the module's logic.
    """

    def __init__(self, ui, logic):
        self._ui, self._logic = ui, logic
        prepare(ui.curvesTable, (None, 90, 90, 110))
        self.refresh()

    def refresh(self):
        """Show what is measured now."""
        film = self._logic.film
        fill(self._ui.curvesTable, [line(curve) for curve in self._logic.measurements.curves])
        self._ui.sidesLabel.text = (
            "" if film is None else note(self._logic.image_left_is, self._logic.measurements.curves)
        )


def line(curve):
    """Texts of a curve: ends, apex, side, degrees with their interval."""
    interval = "" if curve.half_width_deg is None else f" ± {curve.half_width_deg:.0f}"
    return f"{curve.upper_end} to {curve.lower_end}", curve.apex, curve.side, f"{curve.angle_deg:.1f}{interval}°"


def note(image_left_is, curves):
    """What the sides and the interval mean."""
    sides = "Sides of the patient." if image_left_is else "Sides of the image: the film does not say whose they are."
    known = any(curve.half_width_deg is not None for curve in curves)
    return sides + (" In nine films of ten the angle lies within ±." if known else "")
