"""The section Measurements: the curves, renewed with every move of a point, what to doubt of them, and whose sides."""

from ...spine.measurement.angle_interval import interval_text
from ...workflow.actions.image_side import format_side
from ..tables import fill, prepare
from .notice import COLOURS

SIDES = ((None, "not stated"), ("left", "patient's left"), ("right", "patient's right"))
"""What a person can state about the left of the upright image, and the words for it."""


class MeasureSection:
    """The curves of the points as they are now.

    Args:
        ui: the widgets.
        controller: is told the patient's side.
        logic: the module's logic.
    """

    def __init__(self, ui, controller, logic):
        self._ui, self._logic = ui, logic
        prepare(ui.curvesTable, (None, 70, 80, 160))
        ui.warningsFrame.styleSheet = (
            f"#warningsFrame {{background: {COLOURS['question']};}} #warningsLabel {{color: black;}}"
        )
        for _, words in SIDES:
            ui.sideComboBox.addItem(words)
        ui.sideComboBox.connect("activated(int)", lambda index: controller.set_side(SIDES[index][0]))
        self.refresh_points()

    def refresh(self, state):
        """Show whose sides are meant."""
        ui, film, side = self._ui, self._logic.film, self._logic.image_left_is
        ui.sideComboBox.setEnabled(film is not None and not film.facts.is_side_in_file)
        ui.sideComboBox.setCurrentIndex([stated for stated, _ in SIDES].index(side))
        ui.sidesLabel.text = "" if film is None else format_side(film, side)

    def refresh_points(self):
        """Show what is measured, and what gives reason to doubt it."""
        self.refresh_angles()
        warnings = self._logic.warnings
        self._ui.warningsLabel.text = "\n".join(f"! {warning.message}" for warning in warnings)
        self._ui.warningsFrame.setVisible(bool(warnings))

    def refresh_angles(self):
        """Show what is measured; cheap, as it runs with every move."""
        found = self._logic.measurements
        fill(self._ui.curvesTable, [line(curve) for curve in found.curves])
        self._ui.intervalLabel.text = found.interval
        self._ui.intervalLabel.setVisible(bool(found.interval))


def line(curve):
    """Texts of a curve: ends, apex, side, degrees with their interval."""
    larger = ", may be larger" if curve.open_ends else ""
    angle = f"{curve.angle_deg:.1f}{interval_text(curve.half_width_deg)}°{larger}"
    return f"{curve.upper_end} to {curve.lower_end}", curve.apex, curve.side, angle
