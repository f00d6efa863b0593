"""Section Measurements: Cobb angles, updated with every move of a point, warnings, and the patient's side."""

from html import escape

from ...spine.measurement.angle_interval import interval_text
from ...spine.overlay_geometry import format_curve
from ...workflow.actions.image_side import format_side
from ..tables import fill, prepare
from .adjudication import angles_of_readings
from .notice import COLORS

SIDES = ((None, "not stated"), ("left", "patient's left"), ("right", "patient's right"))
"""Sides that the user can state for the left of the upright image, with their texts."""


class MeasureSection:
    """Curves of the present points.

    Args:
        ui: the widgets.
        controller: the workflow.
        logic: the module's logic.
    """

    def __init__(self, ui, controller, logic):
        self._ui, self._logic = ui, logic
        self._adjudication = None
        prepare(ui.curvesTable, (None, 70, 80, 160))
        ui.warningsFrame.styleSheet = (
            f"#warningsFrame {{background: {COLORS['question']};}} #warningsLabel {{color: black;}}"
        )
        for _, text in SIDES:
            ui.sideComboBox.addItem(text)
        ui.sideComboBox.connect("activated(int)", lambda index: controller.set_side(SIDES[index][0]))
        self.refresh_points()

    def refresh(self, state):
        """Show whose sides are shown."""
        ui, radiograph, side = self._ui, self._logic.radiograph, self._logic.image_left_is
        if state.adjudication is not self._adjudication:
            self._adjudication = state.adjudication
            self.refresh_angles()
        ui.sideComboBox.setEnabled(radiograph is not None and not radiograph.info.is_side_in_file)
        ui.sideComboBox.setCurrentIndex([stated for stated, _ in SIDES].index(side))
        ui.sidesLabel.text = "" if radiograph is None else format_side(radiograph, side)

    def refresh_points(self):
        """Show measurements and warnings."""
        self.refresh_angles()
        warnings = self._logic.warnings
        self._ui.warningsLabel.text = "\n".join(f"! {warning.message}" for warning in warnings)
        self._ui.warningsFrame.setVisible(bool(warnings))

    def refresh_angles(self):
        """Show measurements; fast, as it runs with every move."""
        measurements = self._logic.measurements
        fill(self._ui.curvesTable, [curve_row(curve) for curve in measurements.curves])
        self._ui.intervalLabel.text = measurements.interval
        self._ui.intervalLabel.setVisible(bool(measurements.interval))
        self._ui.anglesLabel.text = self._format_angles(measurements.curves)

    def _format_angles(self, curves):
        """All angles in short, for below the sections; while readings are compared, theirs."""
        own = escape("; ".join(format_curve(curve) for curve in curves)) or "No angles yet."
        if self._adjudication is None:
            return own
        both = angles_of_readings(self._adjudication)
        return f"{both}<br>Yours: {own}" if self._adjudication.is_editing else both


def curve_row(curve):
    """End vertebrae, apex, side, and degrees with their interval."""
    larger = ", may be larger" if curve.open_ends else ""
    angle = f"{curve.angle_deg:.1f}{interval_text(curve.half_width_deg)}°{larger}"
    return f"{curve.upper_end} to {curve.lower_end}", curve.apex, curve.side, angle
