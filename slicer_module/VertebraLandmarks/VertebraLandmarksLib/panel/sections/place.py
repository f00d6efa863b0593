"""Section Place by hand: manual placement with clicks in the view, point by point or four corners at a time."""

from ...scene.click_placement import FREE_MODE, GUIDED_MODE
from ...spine.schema import VERTEBRAE

MODES = ((GUIDED_MODE, "Guided, point by point"), (FREE_MODE, "Four corners of a vertebra, in any order"))
FIRST_MISSING = "first missing point"


class PlaceSection:
    """Starts, guides and ends manual placement.

    Args:
        ui: the widgets.
        logic: the module's logic.
    """

    def __init__(self, ui, logic):
        self._ui, self._logic = ui, logic
        for _, text in MODES:
            ui.placeModeComboBox.addItem(text)
        for name in (FIRST_MISSING, *VERTEBRAE):
            ui.placeFromComboBox.addItem(name)
        ui.placeButton.connect("toggled(bool)", self._toggle)
        ui.placeBackButton.connect("clicked(bool)", lambda: logic.undo_placement())
        ui.placeSkipButton.connect("clicked(bool)", lambda: logic.skip_placement())

    def refresh(self, state):
        """Show the state of the placement."""
        self.refresh_points()

    def refresh_points(self):
        """Show which point comes next."""
        ui, step = self._ui, self._logic.placement
        ui.placeButton.setEnabled(self._logic.radiograph is not None)
        ui.placeButton.blockSignals(True)
        ui.placeButton.checked = step is not None
        ui.placeButton.blockSignals(False)
        ui.placeButton.text = "Stop placing" if step is not None else "Place points"
        for button in (ui.placeBackButton, ui.placeSkipButton):
            button.setEnabled(step is not None)
        for combo in (ui.placeModeComboBox, ui.placeFromComboBox):
            combo.setEnabled(step is None)
        ui.placeLabel.text = "Not placing." if step is None else step.text

    def _toggle(self, on):
        if on:
            mode = MODES[self._ui.placeModeComboBox.currentIndex][0]
            index = self._ui.placeFromComboBox.currentIndex
            self._logic.start_placement(mode, None if index == 0 else VERTEBRAE[index - 1])
        else:
            self._logic.stop_placement()
        self.refresh_points()  # a locked editor ignores the start without a change
