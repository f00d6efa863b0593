"""Banner and section Study: which reading is open, giving it back, progress of readers, and what is to adjudicate."""

from ...scene.click_placement import GUIDED_MODE
from ...workflow.actions.study import format_part, format_progress
from ..tables import fill, prepare
from .notice import COLORS
from .submit import format_duration


class StudySection:
    """What the study plan says about the user and the open image; hidden without a plan.

    Args:
        ui: the widgets.
        controller: the workflow.
        logic: the module's logic.
    """

    def __init__(self, ui, controller, logic):
        self._ui, self._logic = ui, logic
        self._queue = ()
        self._shown = None
        ui.studyFrame.styleSheet = f"#studyFrame {{background: {COLORS['info']};}} #studyLabel {{color: black;}}"
        prepare(ui.progressTable, (None, 60, 60, 60, 90))
        prepare(ui.queueTable, (None, 130, 90))
        ui.releaseButton.connect("clicked(bool)", lambda: controller.release_reading())
        ui.queueTable.connect(
            "cellDoubleClicked(int,int)", lambda row: controller.open_image(self._queue[row].image_id)
        )

    def refresh(self, state):
        """Show banner and progress, and begin to place points where a reading is made without the model."""
        ui, study, current = self._ui, state.study, state.current
        text = format_part(study, current, state.adjudication is not None)
        ui.studyLabel.text = text
        ui.studyFrame.setVisible(bool(text))
        is_reading = current is not None and current.reading is not None
        ui.releaseButton.setVisible(is_reading and current.label != "label")
        ui.releaseButton.setEnabled(state.is_connected and not state.is_busy("release"))
        ui.studySection.setVisible(study is not None)
        if study is not None:
            ui.progressLabel.text = format_progress(study)
            fill(ui.progressTable, [progress_row(one) for one in study.readers])
        self._show_queue(state.queue, study is not None and study.is_adjudicator)
        self._begin_placing(current)

    def _show_queue(self, queue, is_adjudicator):
        ui, self._queue = self._ui, queue
        ui.queueLabel.setVisible(is_adjudicator)
        ui.queueTable.setVisible(is_adjudicator)
        ui.queueLabel.text = f"To adjudicate: {len(queue) or 'nothing'}"
        fill(ui.queueTable, [(one.image_id, ", ".join(one.readers), one.adjudicator) for one in queue])

    def _begin_placing(self, current):
        """Begin guided placement once, when a reading without points is opened that offers none of the model."""
        shown = None if current is None else (current.id, current.reading)
        if shown == self._shown:
            return
        self._shown = shown
        is_by_hand = current is not None and current.reading is not None and not current.reading.offers_model
        if is_by_hand and not current.label and self._logic.radiograph is not None:
            self._logic.start_placement(GUIDED_MODE)


def progress_row(progress):
    """Name, numbers of readings, and median working time of a reader."""
    median = "" if progress.seconds_median is None else format_duration(progress.seconds_median)
    return progress.reader, str(progress.done), str(progress.open), str(progress.to_do), median
