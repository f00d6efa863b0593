"""Panel of the module: the widgets of the ``.ui`` file, connected to controller and logic."""

import qt
import slicer.util

from .sections.adjudication import AdjudicationSection
from .sections.connection import ConnectionSection
from .sections.correct import CorrectSection
from .sections.images import ImagesSection
from .sections.measure import MeasureSection
from .sections.notice import NoticeBar
from .sections.place import PlaceSection
from .sections.proposal import ProposalSection
from .sections.study import StudySection
from .sections.submit import SubmitSection
from .sections.train import TrainSection
from .sections.view import ViewSection
from .settings import Settings, Shortcuts
from .tables import fill, prepare

POLL_INTERVAL_MS = 15
CHOICE_KEYS = ("first", "second", "mean", "edit")


class VertebraLandmarksPanel:
    """The panel of the module.

    Args:
        path: the ``.ui`` file.
        logic: the module's logic.
        controller: the workflow; closed with the panel, as is the logic.
    """

    def __init__(self, path, logic, controller):
        self.logic, self.controller = logic, controller
        self.widget = slicer.util.loadUI(path)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        settings = Settings()
        self.notice = NoticeBar(self.ui, controller.dismiss, lambda: self._enable_keys())
        self._images = ImagesSection(self.ui, controller, settings, self.notice)
        self._view = ViewSection(self.ui, logic, settings)
        self._correct = CorrectSection(self.ui, controller, logic, settings)
        self._place = PlaceSection(self.ui, logic)
        self._measure = MeasureSection(self.ui, controller, logic)
        self._submit = SubmitSection(self.ui, controller, settings, self.notice)
        self._adjudication = AdjudicationSection(self.ui, controller, logic, self._submit.submit)
        self._sections = (
            ConnectionSection(self.ui, controller, settings),
            self._images,
            self._correct,
            StudySection(self.ui, controller, logic),
            self._adjudication,
            self._place,
            self._measure,
            self._submit,
            TrainSection(self.ui, controller),
            ProposalSection(controller, self.notice),
        )
        self._shortcuts = Shortcuts(self._actions())
        self._restore_sections(settings)
        prepare(self.ui.keysTable, (130, None))
        fill(self.ui.keysTable, Shortcuts.rows())
        self.ui.taskCancelButton.connect("clicked(bool)", lambda: controller.cancel())
        self._shown_messages = (None, "")
        self._shown_image = (None, None)
        self._unsubscribe = [controller.subscribe(self._show_state), logic.subscribe(self._show_points)]
        self._show_state(controller.state)
        self._show_points()
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.connect("timeout()", controller.poll)
        self._timer.start()

    def enter(self):
        """The user opens the module."""
        self._shortcuts.install(slicer.util.mainWindow())

    def exit(self):
        """The user leaves the module; jobs continue."""
        self._shortcuts.remove()
        self.logic.stop_placement()

    def cleanup(self):
        """Save what is unsaved and release everything; the panel cannot be used afterwards."""
        self._timer.stop()
        self._timer.disconnect("timeout()")
        self._shortcuts.remove()
        self._images.close()
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self.controller.close()
        self.logic.cleanup()

    def _actions(self):
        """Actions of the keys, by name; most click a button if it is enabled."""
        ui = self.ui
        return {
            "next": ui.nextButton.click,
            "previous": ui.previousButton.click,
            "infer": ui.inferButton.click,
            "submit": ui.submitButton.click,
            "undo": ui.undoButton.click,
            "redo": ui.redoButton.click,
            "layers": self._view.next_layers,
            "doubt": self._next_check,
            "hide": self._correct.hide_hovered,
            "place": ui.placeButton.click,
            "first": ui.takeFirstButton.click,
            "second": ui.takeSecondButton.click,
            "mean": ui.takeMeanButton.click,
            "edit": ui.editFinalButton.click,
            "confirm": self._confirm,
            "reject": ui.noticeNoButton.click,
            "help": self._toggle_help,
        }

    def _next_check(self):
        if self._adjudication.is_comparing:
            self._adjudication.next_difference()
        else:
            self.ui.nextDoubtButton.click()

    def _confirm(self):
        """Yes to a question, else to the choice of the adjudicator; not while the user types into a field."""
        ui = self.ui
        if any(field.focus for field in (ui.serverLineEdit, ui.tokenLineEdit, ui.userLineEdit, ui.searchLineEdit)):
            return
        if self.notice.is_question:
            ui.noticeYesButton.click()
        else:
            ui.confirmButton.click()

    def _enable_keys(self):
        """Take keys that mean something here only now: those of questions and of adjudication."""
        is_question, is_open = self.notice.is_question, self._adjudication.is_open
        disabled = [] if self._adjudication.is_comparing else list(CHOICE_KEYS)
        disabled += [] if is_question or is_open else ["confirm"]
        self._shortcuts.disable(disabled if is_question else [*disabled, "reject"])

    def _toggle_help(self):
        self.ui.keysSection.collapsed = not self.ui.keysSection.collapsed

    def _restore_sections(self, settings):
        """Collapse the sections that were collapsed before, and remember later changes."""
        ui = self.ui
        sections = (
            *(ui.connectionSection, ui.imagesSection, ui.viewSection, ui.correctSection, ui.placeSection),
            *(ui.measurementsSection, ui.trainSection, ui.keysSection, ui.studySection, ui.adjudicationSection),
        )
        closed = settings["closedSections"].split()
        for section in sections:
            if closed:
                section.collapsed = section.name in closed
            section.connect("contentsCollapsed(bool)", lambda: self._save_sections(settings, sections))

    def _save_sections(self, settings, sections):
        settings["closedSections"] = " ".join(section.name for section in sections if section.collapsed)

    def _show_state(self, state):
        user = None if state.study is None else state.study.user
        image = None if state.current is None else (state.current.id, state.current.source)
        if (user, image) != self._shown_image:
            self._shown_image = user, image
            self.notice.withdraw()
        for section in self._sections:
            section.refresh(state)
        self._enable_keys()
        self._show_job(state)
        self._show_messages(state)

    def _show_job(self, state):
        ui, busy = self.ui, state.busy
        ui.taskFrame.setVisible(bool(busy))
        if busy:
            job = busy[-1]
            ui.taskLabel.text = f"{job.description} …"
            ui.taskProgressBar.maximum = job.total or 0
            ui.taskProgressBar.value = job.done if job.total else 0

    def _show_messages(self, state):
        messages = (state.error, state.notice)
        if messages == self._shown_messages:
            return
        self._shown_messages = messages
        if state.error is not None:
            self.notice.show(state.error.message, "error")
        elif state.notice:
            self.notice.show(state.notice)
        else:
            self.notice.dismiss()

    def _show_points(self, change=None):
        """Refresh after every change of the points; during a drag, only what must follow it."""
        if change is not None and change.is_ongoing:
            self._measure.refresh_angles()
            self._correct.refresh_checks()
        else:
            self._measure.refresh_points()
            self._correct.refresh_points()
            self._place.refresh_points()
