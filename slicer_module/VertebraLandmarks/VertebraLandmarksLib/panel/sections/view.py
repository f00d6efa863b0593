"""Section View: gray window and layers of the slice view."""

from ...scene.gray_window import WINDOWS
from ...scene.image_display import LAYERS

POINTS_ONLY = ("image", "centers", "corners")
IMAGE_ONLY = ("image",)
SETTING_OF = {**{name: name for name in LAYERS}, "image": "film"}
"""Setting of each layer; that of the image has the name of earlier versions."""


class ViewSection:
    """Gray window, and layers of image and overlay.

    Args:
        ui: the widgets.
        logic: the module's logic.
        settings: user settings.
    """

    def __init__(self, ui, logic, settings):
        self._ui, self._logic, self._settings = ui, logic, settings
        self._boxes = {
            "image": ui.imageCheckBox,
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
            box.checked = settings[SETTING_OF[name]]
            logic.set_layer(name, box.checked)
            box.connect("toggled(bool)", lambda on, name=name: self._show(name, on))
        self._set_window()
        ui.windowComboBox.connect("currentIndexChanged(int)", lambda: self._set_window())
        ui.windowComboBox.connect(
            "activated(int)", lambda: self._set_window()
        )  # chosen again, after the mouse changed it
        ui.invertCheckBox.connect("toggled(bool)", self._invert)
        ui.fitButton.connect("clicked(bool)", lambda: logic.fit())

    def next_layers(self):
        """Switch from everything to the points only, to the image only, and back to everything."""
        shown = {name for name, box in self._boxes.items() if box.checked}
        wanted = POINTS_ONLY if shown - set(POINTS_ONLY) else IMAGE_ONLY if shown - set(IMAGE_ONLY) else LAYERS
        for name, box in self._boxes.items():
            box.checked = name in wanted

    def _show(self, name, on):
        self._settings[SETTING_OF[name]] = on
        self._logic.set_layer(name, on)

    def _set_window(self):
        name = self._ui.windowComboBox.currentText
        self._settings["window"] = name
        self._logic.set_window(name)
        self._logic.invert(self._ui.invertCheckBox.checked)

    def _invert(self, on):
        self._settings["invert"] = on
        self._logic.invert(on)
