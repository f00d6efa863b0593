"""The section View: gray values and layers of the slice view."""

from ...scene.gray_window import WINDOWS

LAYERS = ("film", "centers", "corners", "outlines", "endplates", "angles", "labels")
POINTS_ONLY = ("film", "centers", "corners")
FILM_ONLY = ("film",)


class ViewSection:
    """What is shown of the film and on it.

    Args:
        ui: the widgets.
        logic: the module's logic.
        settings: what is remembered.
    """

    def __init__(self, ui, logic, settings):
        self._ui, self._logic, self._settings = ui, logic, settings
        self._boxes = {
            "film": ui.imageCheckBox,
            "centers": ui.centersCheckBox,
            "corners": ui.cornersCheckBox,
            "outlines": ui.outlinesCheckBox,
            "endplates": ui.endplatesCheckBox,
            "angles": ui.anglesCheckBox,
            "labels": ui.labelsCheckBox,
        }
        for name in WINDOWS:
            ui.windowComboBox.addItem(name)
        chosen = ui.windowComboBox.findText(settings["window"])
        ui.windowComboBox.setCurrentIndex(max(chosen, 0))
        ui.invertCheckBox.checked = settings["invert"]
        for name, box in self._boxes.items():
            box.checked = settings[name]
            logic.set_layer(name, settings[name])
            box.connect("toggled(bool)", lambda on, name=name: self._show(name, on))
        self._set_window()
        ui.windowComboBox.connect("currentIndexChanged(int)", lambda: self._set_window())
        ui.windowComboBox.connect("activated(int)", lambda: self._set_window())  # the same again, after the mouse
        ui.invertCheckBox.connect("toggled(bool)", self._invert)
        ui.fitButton.connect("clicked(bool)", lambda: logic.fit())

    def next_layers(self):
        """From everything to the points only, to the film only, and to everything again."""
        shown = {name for name, box in self._boxes.items() if box.checked}
        wanted = POINTS_ONLY if shown - set(POINTS_ONLY) else FILM_ONLY if shown - set(FILM_ONLY) else LAYERS
        for name, box in self._boxes.items():
            box.checked = name in wanted

    def _show(self, name, on):
        self._settings[name] = on
        self._logic.set_layer(name, on)

    def _set_window(self):
        name = self._ui.windowComboBox.currentText
        self._settings["window"] = name
        self._logic.set_window(name)
        self._logic.invert(self._ui.invertCheckBox.checked)

    def _invert(self, on):
        self._settings["invert"] = on
        self._logic.invert(on)
