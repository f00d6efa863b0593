"""The section Place by hand: points set with clicks in the view, one after the other or four at a time."""

from ...scene.click_placement import FREE_MODE, GUIDED_MODE
from ...spine.schema import VERTEBRAE

MODES = ((GUIDED_MODE, "Guided, point by point"), (FREE_MODE, "Four corners of a vertebra, in any order"))
FIRST = "first missing point"


class PlaceSection:
    """Starts, leads and ends placing.

    Args:
        ui: the widgets.
        logic: the module's logic.
    """

    def __init__(self, ui, logic):
        self._ui, self._logic = ui, logic
        for _, words in MODES:
            ui.placeModeComboBox.addItem(words)
        for name in (FIRST, *VERTEBRAE):
            ui.placeFromComboBox.addItem(name)
        ui.placeButton.connect("toggled(bool)", self._toggle)
        ui.placeBackButton.connect("clicked(bool)", lambda: logic.place_back())
        ui.placeSkipButton.connect("clicked(bool)", lambda: logic.place_skip())

    def refresh(self, state):
        """Show what can be done now."""
        self.refresh_points()

    def refresh_points(self):
        """Show which point comes next."""
        ui, placing = self._ui, self._logic.placing
        ui.placeButton.setEnabled(self._logic.film is not None)
        ui.placeButton.blockSignals(True)
        ui.placeButton.checked = placing is not None
        ui.placeButton.blockSignals(False)
        ui.placeButton.text = "Stop placing" if placing is not None else "Place points"
        for button in (ui.placeBackButton, ui.placeSkipButton):
            button.setEnabled(placing is not None)
        for combo in (ui.placeModeComboBox, ui.placeFromComboBox):
            combo.setEnabled(placing is None)
        ui.placeLabel.text = "Not placing." if placing is None else placing.text

    def _toggle(self, on):
        if on:
            mode = MODES[self._ui.placeModeComboBox.currentIndex][0]
            index = self._ui.placeFromComboBox.currentIndex
            self._logic.start_placing(mode, None if index == 0 else VERTEBRAE[index - 1])
        else:
            self._logic.stop_placing()
        self.refresh_points()  # the locked editor does not begin, and says nothing
