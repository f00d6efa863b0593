"""Section Images: the next image, the list of images, local files, and unfinished work."""

import os

import qt

from ...spine.image_suffixes import IMAGE_SUFFIXES
from ...workflow.actions.image_search import ImageSearch, format_time, image_row
from ..tables import fill, fill_from, prepare, resize

FILES = f"Radiographs ({' '.join(f'*{suffix}' for suffix in IMAGE_SUFFIXES)});;All files (*)"
SEARCH_DELAY_MS = 150
"""Between the last key press and the search."""
STEP_S, STEP_ROWS = 0.01, 50
"""Duration of a search step, and rows shown per step; the event loop runs in between."""
LABELS = {
    "": "no points yet",
    "prediction": "points of the model",
    "label": "submitted before",
    "draft": "your unfinished work",
    "readings": "two readings to compare",
}


class ImagesSection:
    """Choice of the image to work on.

    Args:
        ui: the widgets.
        controller: the workflow.
        settings: user settings.
        notice: asks before work is discarded.
    """

    def __init__(self, ui, controller, settings, notice):
        self._ui, self._controller, self._settings, self._notice = ui, controller, settings, notice
        self._strategies = self._images = self._drafts = ()
        self._ids = []
        self._dialog = None
        self._search = ImageSearch()
        self._shown = 0
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", lambda: self._list())
        prepare(ui.imageTable, (None, 80, 80, 118))
        prepare(ui.draftsTable, (None, 118, 90, 50))
        ui.nextButton.connect("clicked(bool)", lambda: self.next())
        ui.previousButton.connect("clicked(bool)", lambda: controller.previous())
        ui.refreshButton.connect("clicked(bool)", lambda: controller.refresh())
        ui.strategyComboBox.connect("currentIndexChanged(int)", lambda: self._choose_strategy())
        ui.searchLineEdit.connect("textChanged(QString)", lambda: self._list_later())
        ui.imageTable.connect("cellDoubleClicked(int,int)", lambda row: controller.open_image(self._ids[row]))
        ui.openFileButton.connect("clicked(bool)", lambda: self.choose_file())
        ui.inferOnOpenCheckBox.checked = controller.infer_on_open = settings["inferOnOpen"]
        ui.inferOnOpenCheckBox.connect("toggled(bool)", self._set_infer)
        ui.resumeDraftButton.connect("clicked(bool)", lambda: self._with_draft(controller.resume_draft))
        ui.discardDraftButton.connect("clicked(bool)", lambda: self._with_draft(self._discard))

    def refresh(self, state):
        """Show list, open image and unfinished work."""
        ui = self._ui
        has_part = state.study is None or state.study.has_part
        ui.nextButton.setEnabled(state.is_connected and has_part and not state.is_busy("open"))
        ui.nextButton.text = "Next image" if state.study is None else "Your next image"
        ui.previousButton.setEnabled(state.can_go_back)
        ui.refreshButton.setEnabled(state.is_connected)
        ui.imageLabel.text = format_image(state.current, state.all_labelled)
        strategies = () if state.info is None else state.info.strategies
        if strategies != self._strategies:
            self._strategies = strategies
            self._fill_strategies()
        if state.images is not self._images:
            self._images = state.images
            self._begin_search()
            self._list()
        if state.drafts != self._drafts:
            self._drafts = state.drafts
            fill(ui.draftsTable, [draft_row(draft) for draft in state.drafts])
            ui.draftsTable.selectRow(0)
            ui.draftsFrame.setVisible(bool(state.drafts))

    def next(self):
        """Open the image that the server chooses."""
        self._controller.next_image(self._ui.strategyComboBox.currentText or None)

    def choose_file(self):
        """Open a file dialog, which does not block."""
        self._dialog = qt.QFileDialog(self._ui.openFileButton.window(), "Open a radiograph", "", FILES)
        self._dialog.setFileMode(qt.QFileDialog.ExistingFile)
        self._dialog.connect("fileSelected(QString)", lambda path: self._controller.open_local(os.path.normpath(path)))
        self._dialog.open()

    def close(self):
        """Close the dialog and end the search."""
        self._timer.stop()
        self._timer.disconnect("timeout()")
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

    def _list_later(self):
        """Search once typing pauses."""
        self._begin_search()
        self._timer.start(SEARCH_DELAY_MS)

    def _begin_search(self):
        self._search.start(self._images, self._ui.searchLineEdit.text)
        self._shown = 0

    def _list(self):
        """Search for one step, and show the result when the search is done."""
        if not self._search.advance(STEP_S):
            self._timer.start(0)
            return
        hits, first = self._search.hits, self._shown
        if first == 0:
            self._ids = [entry.id for entry in hits]
            resize(self._ui.imageTable, len(hits))
            more = self._search.count - len(hits)
            self._ui.moreImagesLabel.text = f"and {more:,} more: search"
            self._ui.moreImagesLabel.setVisible(more > 0)
        self._shown = first + STEP_ROWS
        fill_from(self._ui.imageTable, first, [image_row(entry) for entry in hits[first : self._shown]])
        if self._shown < len(hits):
            self._timer.start(0)

    def _with_draft(self, action):
        row = self._ui.draftsTable.currentRow()
        if 0 <= row < len(self._drafts):
            action(self._drafts[row])

    def _discard(self, draft):
        text = f"Discard your work on {draft.image_id} of {format_time(draft.saved)}? This cannot be undone."
        self._notice.ask(text, "Discard", lambda: self._controller.discard(draft), "Keep")


def draft_row(draft):
    """Image, time, user and number of edits of unfinished work."""
    return draft.image_id, format_time(draft.saved), draft.user, str(draft.edits)


def format_image(current, all_labelled):
    """The open image and the state of its label."""
    if current is None:
        return "All images have a label." if all_labelled else "No image is open."
    unsaved = ", changed" if current.is_unsaved else ""
    location = "" if current.path is None else ", a local file"
    points = f"unfinished work of {current.begun_by}" if current.begun_by else LABELS[current.label]
    return f"{current.id}: {points}{unsaved}{location}"
