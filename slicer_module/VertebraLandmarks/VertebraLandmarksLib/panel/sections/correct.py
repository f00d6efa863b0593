"""Section Correct: inference, undo and redo, moving vertebrae, shifting names, and vertebrae to be checked."""

from ...scene.logic import POINT, ROTATE, VERTEBRA
from ...spine.measurement.measured_spine import vertebrae_to_check
from ...spine.schema import CENTER, CORNERS, POINTS, VERTEBRAE
from ..tables import fill, prepare

WHOLE = "whole vertebra"
DRAG_MODES = (
    (POINT, "moves the point (a center: its vertebra)"),
    (VERTEBRA, "moves the whole vertebra"),
    (ROTATE, "rotates the vertebra about its center"),
)
POINT_NAMES = dict(zip(POINTS, ("center", "top left", "top right", "bottom left", "bottom right")))


class CorrectSection:
    """Buttons that change the points.

    Args:
        ui: the widgets.
        controller: the workflow.
        logic: the module's logic.
        settings: user settings.
    """

    def __init__(self, ui, controller, logic, settings):
        self._ui, self._controller, self._settings = ui, controller, settings
        self._logic, self._editor = logic, logic.editor
        self._checks = []
        self._is_view_only = False
        prepare(ui.doubtsTable, (80, None))
        for name in VERTEBRAE:
            ui.vertebraComboBox.addItem(name)
        for name in (WHOLE, *(POINT_NAMES[name] for name in (CENTER, *CORNERS))):
            ui.pointComboBox.addItem(name)
        for _, text in DRAG_MODES:
            ui.dragComboBox.addItem(text)
        ui.dragComboBox.connect("currentIndexChanged(int)", self._set_drag)
        ui.vertebraComboBox.connect("activated(int)", lambda index: self._jump(VERTEBRAE[index]))
        ui.inferButton.connect("clicked(bool)", lambda: controller.infer())
        ui.followCheckBox.checked = controller.follow_moves = settings["followMoves"]
        ui.followCheckBox.connect("toggled(bool)", self._set_follow)
        ui.revertButton.connect("clicked(bool)", lambda: controller.revert())
        ui.undoButton.connect("clicked(bool)", lambda: self._editor.undo())
        ui.redoButton.connect("clicked(bool)", lambda: self._editor.redo())
        ui.lockCheckBox.connect("toggled(bool)", self._lock)
        ui.hideButton.connect("clicked(bool)", lambda: self.hide())
        ui.moveLeftButton.connect("clicked(bool)", lambda: self._move(-1, 0))
        ui.moveRightButton.connect("clicked(bool)", lambda: self._move(1, 0))
        ui.moveUpButton.connect("clicked(bool)", lambda: self._move(0, -1))
        ui.moveDownButton.connect("clicked(bool)", lambda: self._move(0, 1))
        ui.rotateLeftButton.connect("clicked(bool)", lambda: self._rotate(-1))
        ui.rotateRightButton.connect("clicked(bool)", lambda: self._rotate(1))
        ui.namesUpButton.connect("clicked(bool)", lambda: self._editor.shift_names(-1))
        ui.namesDownButton.connect("clicked(bool)", lambda: self._editor.shift_names(1))
        ui.nextDoubtButton.connect("clicked(bool)", lambda: self.next_check())
        ui.doubtsTable.connect("cellClicked(int,int)", self._show_check)

    def refresh(self, state):
        """Enable what the server can do now."""
        ui = self._ui
        is_open, may_infer = state.current is not None, state.current is not None and state.current.offers_model
        ui.inferButton.setEnabled(may_infer and state.is_connected and not state.is_busy("infer"))
        self._set_view_only(is_open and state.current.is_view_only)
        ui.revertButton.setEnabled(is_open and state.is_connected and state.current.is_unsaved)
        ui.namesRightLabel.text = format_name_confidence(state.current)

    def refresh_points(self):
        """Enable what the points allow, and list vertebrae to be checked."""
        ui, editor = self._ui, self._editor
        is_open = self._logic.radiograph is not None
        ui.undoButton.setEnabled(editor.can_undo)
        ui.redoButton.setEnabled(editor.can_redo)
        ui.inferButton.text = "Re-run around my corrections" if editor.is_touched else "Find landmarks"
        for widget in (ui.lockCheckBox, ui.vertebraComboBox, ui.pointComboBox):
            widget.setEnabled(is_open)
        ui.lockCheckBox.setEnabled(is_open and not self._is_view_only)
        for widget in (
            *(ui.moveLeftButton, ui.moveRightButton, ui.moveUpButton, ui.moveDownButton, ui.moveSpinBox),
            *(ui.rotateLeftButton, ui.rotateRightButton, ui.rotateSpinBox),
            *(ui.namesUpButton, ui.namesDownButton, ui.hideButton),
        ):
            widget.setEnabled(is_open and not editor.locked)
        self.refresh_checks()

    def refresh_checks(self):
        """List vertebrae to be checked; fast, as it runs with every move."""
        ui = self._ui
        self._checks = vertebrae_to_check(self._logic.measurements)
        fill(ui.doubtsTable, [(check.vertebra, check.text) for check in self._checks])
        ui.doubtsLabel.text = f"To check: {len(self._checks) or 'nothing'}"
        ui.nextDoubtButton.setEnabled(bool(self._checks))

    def hide(self):
        """Mark the selected vertebra or point as not visible."""
        if self._logic.radiograph is not None:
            index = self._ui.pointComboBox.currentIndex
            self._editor.hide(self._ui.vertebraComboBox.currentIndex, None if index == 0 else index - 1)

    def hide_hovered(self):
        """Mark the point under the mouse as not visible; without one, the selected vertebra or point."""
        if self._logic.hovered is None:
            self._ui.hideButton.click()
        else:
            self._editor.hide(*self._logic.hovered)

    def next_check(self):
        """Show the next vertebra to be checked; after the last, the first."""
        if self._checks:
            table = self._ui.doubtsTable
            self._show_check((table.currentRow() + 1) % len(self._checks))

    def _show_check(self, row):
        vertebra = self._checks[row].vertebra
        self._ui.doubtsTable.selectRow(row)
        self._ui.vertebraComboBox.setCurrentIndex(VERTEBRAE.index(vertebra))
        self._jump(vertebra)

    def _jump(self, vertebra):
        self._logic.jump_to(vertebra)
        self._controller.touch()

    def _set_follow(self, on):
        self._settings["followMoves"] = self._controller.follow_moves = on

    def _set_drag(self, index):
        self._logic.drag_mode = DRAG_MODES[index][0]

    def _lock(self, on):
        self._editor.locked = on or self._is_view_only
        self.refresh_points()

    def _set_view_only(self, on):
        """Lock the points of an image that is not the user's to read."""
        if on != self._is_view_only:
            self._is_view_only = on
            self._lock(self._ui.lockCheckBox.checked)

    def _move(self, x, y):
        step = self._ui.moveSpinBox.value
        self._logic.move_vertebra(self._ui.vertebraComboBox.currentIndex, x * step, y * step)

    def _rotate(self, sign):
        self._logic.rotate_vertebra(self._ui.vertebraComboBox.currentIndex, sign * self._ui.rotateSpinBox.value)


def format_name_confidence(current):
    """Probability that the names are right; "" where unknown or after a shift of names."""
    if current is None or current.names_right is None:
        return ""
    return f"Names right: {100 * current.names_right:.0f} %"
