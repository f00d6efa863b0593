"""Section Adjudicate: two readings beside each other, where they differ, and the choice of the final label."""

from html import escape

from ...client.readings import MEAN
from ...spine.display import READINGS
from ...workflow.actions.adjudication import difference_row, format_choice, format_refusal_of_mean, format_shift
from ..tables import fill, prepare

_CHOSEN = "font-weight: bold;"


class AdjudicationSection:
    """Differences and choice; hidden while nothing is adjudicated.

    Args:
        ui: the widgets.
        controller: the workflow.
        logic: the module's logic.
        submit: stores points that the adjudicator has edited, after warnings are confirmed.
    """

    def __init__(self, ui, controller, logic, submit):
        self._ui, self._controller, self._logic, self._submit = ui, controller, logic, submit
        self._adjudication = None
        prepare(ui.differencesTable, (80, None, 70))
        ui.differencesTable.connect("cellClicked(int,int)", self._show_difference)
        ui.takeFirstButton.connect("clicked(bool)", lambda: self._take(0))
        ui.takeSecondButton.connect("clicked(bool)", lambda: self._take(1))
        ui.takeMeanButton.connect("clicked(bool)", lambda: controller.choose_reading(MEAN))
        ui.editFinalButton.connect("clicked(bool)", lambda: controller.edit_final())
        ui.confirmButton.connect("clicked(bool)", lambda: self.confirm())

    @property
    def is_comparing(self):
        """Whether the keys of the choice work: an image is adjudicated, and its points are not edited."""
        return self._adjudication is not None and not self._adjudication.is_editing

    @property
    def is_open(self):
        """Whether an image is adjudicated."""
        return self._adjudication is not None

    def refresh(self, state):
        """Show differences and choice."""
        ui, was_open, self._adjudication = self._ui, self.is_open, state.adjudication
        is_open = self.is_open
        ui.adjudicationSection.setVisible(is_open)
        ui.choiceFrame.setVisible(is_open)
        if not is_open:
            return
        shift = format_shift(self._adjudication)
        ui.shiftLabel.text = shift
        ui.shiftLabel.setVisible(bool(shift))
        differences = self._adjudication.readings.differences
        fill(ui.differencesTable, [difference_row(self._adjudication, one) for one in differences])
        self._show_choice(state)
        if not was_open:
            ui.sectionsArea.verticalScrollBar().value = 0  # the section is the first

    def confirm(self):
        """Store what is chosen, or the points that were edited."""
        if self.is_comparing:
            self._controller.confirm_choice()
        elif self.is_open:
            self._submit()

    def next_difference(self):
        """Show the next vertebra of the list; after the last, the first."""
        count = len(self._adjudication.readings.differences)
        if count:
            self._show_difference((self._ui.differencesTable.currentRow() + 1) % count)

    def _show_choice(self, state):
        ui, adjudication = self._ui, self._adjudication
        names = [one.reader or f"reading {one.reading.number}" for one in adjudication.compared]
        numbers = [one.reading.number for one in adjudication.compared]
        may_choose = state.is_connected and not state.is_busy("submit") and not adjudication.is_editing
        ui.takeFirstButton.text, ui.takeSecondButton.text = (f"{i}: {name}" for i, name in enumerate(names, 1))
        for button, take in zip((ui.takeFirstButton, ui.takeSecondButton, ui.takeMeanButton), (*numbers, MEAN)):
            button.setEnabled(may_choose and not (take == MEAN and format_refusal_of_mean(adjudication)))
            button.styleSheet = _CHOSEN if adjudication.take == take else ""
        ui.editFinalButton.setEnabled(not adjudication.is_editing)
        ui.editFinalButton.styleSheet = _CHOSEN if adjudication.is_editing else ""
        is_chosen = adjudication.take is not None or adjudication.is_editing
        ui.confirmButton.setEnabled(is_chosen and state.is_connected and not state.is_busy("submit"))
        ui.choiceLabel.text = format_choice(adjudication)

    def _take(self, index):
        if self._adjudication is not None:
            self._controller.choose_reading(self._adjudication.compared[index].reading.number)

    def _show_difference(self, row):
        self._ui.differencesTable.selectRow(row)
        self._logic.jump_to(self._adjudication.readings.differences[row].vertebra)
        self._controller.touch()


def angles_of_readings(adjudication):
    """The angles of both readings in their colors, and how far the largest are apart, as rich text."""
    lines = []
    for one, color in zip(adjudication.compared, READINGS):
        texts = "; ".join(one.curves) or "no angles"
        square = '<span style="color: #{:02x}{:02x}{:02x};">■</span>'.format(*color)
        lines.append(f"{square} {escape(one.reader or 'unknown')}: {escape(texts)}")
    mean = adjudication.readings.mean
    if adjudication.take == MEAN and mean is not None:
        lines.append(f"□ Mean: {escape('; '.join(mean.curves) or 'no angles')}")
    difference = adjudication.readings.angle_difference_deg
    if difference is not None:
        lines.append(f"Largest angles {difference:.1f}° apart")
    return "<br>".join(lines)
