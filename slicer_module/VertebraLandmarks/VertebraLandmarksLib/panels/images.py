"""The section Images: the next film, any film of the list, a file, or work that was not submitted."""

import os
import time

import qt

from ..answers import HAS_PREDICTION, LABELLED, UNLABELLED
from .tables import fill, prepare

FILES = "Radiographs (*.png *.jpg *.jpeg *.tif *.tiff *.bmp *.dcm *.nrrd *.nii *.nii.gz);;All files (*)"
STATUS = {UNLABELLED: "unlabelled", HAS_PREDICTION: "predicted", LABELLED: "labelled"}
LABELS = {
    "": "no points yet",
    "prediction": "points of the model",
    "label": "submitted before",
    "draft": "your work, taken up again",
}


class ImagesPanel:
    """What to work on.

    Args:
        ui: the widgets.
        controller: opens films.
        settings: what is remembered.
        notice: asks before work is discarded.
    """

    def __init__(self, ui, controller, settings, notice):
        self._ui, self._controller, self._settings, self._notice = ui, controller, settings, notice
        self._strategies = self._images = self._offers = ()
        self._ids = []
        self._dialog = None
        prepare(ui.imageTable, (None, 80, 80, 118))
        prepare(ui.draftsTable, (None, 118, 50))
        ui.nextButton.connect("clicked(bool)", lambda: self.next())
        ui.previousButton.connect("clicked(bool)", lambda: controller.previous())
        ui.refreshButton.connect("clicked(bool)", lambda: controller.refresh())
        ui.strategyComboBox.connect("currentIndexChanged(int)", lambda: self._choose_strategy())
        ui.searchLineEdit.connect("textChanged(QString)", lambda: self._list())
        ui.imageTable.connect("cellDoubleClicked(int,int)", lambda row: controller.open_image(self._ids[row]))
        ui.openFileButton.connect("clicked(bool)", lambda: self.choose_file())
        ui.inferOnOpenCheckBox.checked = controller.infer_on_open = settings["inferOnOpen"]
        ui.inferOnOpenCheckBox.connect("toggled(bool)", self._set_infer)
        ui.resumeDraftButton.connect("clicked(bool)", lambda: self._with_offer(controller.take_up))
        ui.discardDraftButton.connect("clicked(bool)", lambda: self._with_offer(self._discard))

    def refresh(self, state):
        """Show list, film and unfinished work."""
        ui = self._ui
        ui.nextButton.setEnabled(state.is_connected and not state.is_busy("open"))
        ui.previousButton.setEnabled(state.can_go_back)
        ui.refreshButton.setEnabled(state.is_connected)
        ui.imageLabel.text = film_words(state.current, state.all_labelled)
        strategies = () if state.info is None else state.info.strategies
        if strategies != self._strategies:
            self._strategies = strategies
            self._fill_strategies()
        if state.images != self._images:
            self._images = state.images
            self._list()
        if state.offers != self._offers:
            self._offers = state.offers
            fill(ui.draftsTable, [(one.image_id, stamp(one.saved), str(one.edits)) for one in state.offers])
            ui.draftsTable.selectRow(0)
            ui.draftsFrame.setVisible(bool(state.offers))

    def next(self):
        """The image that the server chooses."""
        self._controller.next_image(self._ui.strategyComboBox.currentText or None)

    def choose_file(self):
        """Let the user choose a file; other work goes on meanwhile."""
        self._dialog = qt.QFileDialog(self._ui.openFileButton.window(), "Open a radiograph", "", FILES)
        self._dialog.setFileMode(qt.QFileDialog.ExistingFile)
        self._dialog.connect("fileSelected(QString)", lambda path: self._controller.open_local(os.path.normpath(path)))
        self._dialog.open()

    def close(self):
        """Close what is still open."""
        if self._dialog is not None:
            self._dialog.deleteLater()
            self._dialog = None

    def _fill_strategies(self):
        combo, wanted = self._ui.strategyComboBox, self._settings["strategy"]
        combo.blockSignals(True)
        combo.clear()
        for name in self._strategies:
            combo.addItem(name)
        combo.setCurrentIndex(max(0, combo.findText(wanted)))
        combo.blockSignals(False)
        self._choose_strategy()

    def _choose_strategy(self):
        name = self._ui.strategyComboBox.currentText
        if name:
            self._settings["strategy"] = self._controller.strategy = name

    def _set_infer(self, on):
        self._settings["inferOnOpen"] = self._controller.infer_on_open = on

    def _list(self):
        words = self._ui.searchLineEdit.text.casefold().split()
        lines = []
        self._ids = []
        for entry in self._images:
            line = (entry.id, STATUS[entry.status], entry.user, "" if entry.when is None else stamp(entry.when))
            if all(word in " ".join(line).casefold() for word in words):
                lines.append(line)
                self._ids.append(entry.id)
        fill(self._ui.imageTable, lines)

    def _with_offer(self, action):
        row = self._ui.draftsTable.currentRow()
        if 0 <= row < len(self._offers):
            action(self._offers[row])

    def _discard(self, draft):
        text = f"Discard your work on {draft.image_id} of {stamp(draft.saved)}? It cannot be brought back."
        self._notice.ask(text, "Discard", lambda: self._controller.discard(draft), "Keep")


def stamp(seconds):
    """A time as people read it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def film_words(current, all_labelled):
    """What is open."""
    if current is None:
        return "All images have a label." if all_labelled else "No image is open."
    unsaved = ", changed" if current.is_unsaved else ""
    place = "" if current.path is None else ", a file of this computer"
    return f"{current.id}: {LABELS[current.label]}{unsaved}{place}"
