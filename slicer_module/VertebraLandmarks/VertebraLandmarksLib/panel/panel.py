"""The panel: the widgets of the ``.ui`` file, connected to the controller and the logic."""

import qt
import slicer.util

from .sections.connection import ConnectionSection
from .sections.correct import CorrectSection
from .sections.images import ImagesSection
from .sections.measure import MeasureSection
from .sections.notice import NoticeBar
from .sections.place import PlaceSection
from .sections.submit import SubmitSection
from .sections.train import TrainSection
from .sections.view import ViewSection
from .settings import Settings, Shortcuts
from .tables import fill, prepare

POLL_MS = 15


class VertebraLandmarksPanel:
    """The panel of the module.

    Args:
        path: the ``.ui`` file.
        logic: the module's logic.
        controller: what the buttons start; it is closed with the panel, and so is the logic.
    """

    def __init__(self, path, logic, controller):
        self.logic, self.controller = logic, controller
        self.widget = slicer.util.loadUI(path)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        settings = Settings()
        self.notice = NoticeBar(self.ui, controller.dismiss)
        self._images = ImagesSection(self.ui, controller, settings, self.notice)
        self._view = ViewSection(self.ui, logic, settings)
        self._correct = CorrectSection(self.ui, controller, logic, settings)
        self._place = PlaceSection(self.ui, logic)
        self._measure = MeasureSection(self.ui, controller, logic)
        self._submit = SubmitSection(self.ui, controller, settings, self.notice)
        self._by_state = (
            ConnectionSection(self.ui, controller, settings),
            self._images,
            self._correct,
            self._place,
            self._measure,
            self._submit,
            TrainSection(self.ui, controller),
        )
        self._shortcuts = Shortcuts(self._actions())
        self._keep_sections(settings)
        prepare(self.ui.keysTable, (130, None))
        fill(self.ui.keysTable, Shortcuts.lines())
        self.ui.taskCancelButton.connect("clicked(bool)", lambda: controller.cancel())
        self._told = (None, "")
        self._film = None
        self._ends = [controller.on_change(self._show_state), logic.on_change(self._show_points)]
        self._show_state(controller.state)
        self._show_points()
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", controller.poll)
        self._timer.start()

    def enter(self):
        """The user sees the panel."""
        self._shortcuts.install(slicer.util.mainWindow())

    def exit(self):
        """The user goes elsewhere; jobs go on."""
        self._shortcuts.remove()
        self.logic.stop_placing()

    def cleanup(self):
        """Save what is unsaved and let go of everything; the panel cannot be used afterwards."""
        self._timer.stop()
        self._timer.disconnect("timeout()")
        self._shortcuts.remove()
        self._images.close()
        for end in self._ends:
            end()
        self.controller.close()
        self.logic.cleanup()

    def _actions(self):
        """What the keys do: press the button, if it can be pressed."""
        ui = self.ui
        return {
            "next": ui.nextButton.click,
            "previous": ui.previousButton.click,
            "infer": ui.inferButton.click,
            "submit": ui.submitButton.click,
            "undo": ui.undoButton.click,
            "redo": ui.redoButton.click,
            "layers": self._view.next_layers,
            "doubt": ui.nextDoubtButton.click,
            "hide": self._correct.hide_hovered,
            "place": ui.placeButton.click,
            "help": self._toggle_help,
        }

    def _toggle_help(self):
        self.ui.keysSection.collapsed = not self.ui.keysSection.collapsed

    def _keep_sections(self, settings):
        """Sections stay open or closed from one start to the next."""
        ui = self.ui
        sections = (
            *(ui.connectionSection, ui.imagesSection, ui.viewSection, ui.correctSection, ui.placeSection),
            *(ui.measurementsSection, ui.submitSection, ui.trainSection, ui.keysSection),
        )
        closed = settings["closedSections"].split()
        for section in sections:
            if closed:
                section.collapsed = section.name in closed
            section.connect("contentsCollapsed(bool)", lambda: self._note_sections(settings, sections))

    def _note_sections(self, settings, sections):
        settings["closedSections"] = " ".join(section.name for section in sections if section.collapsed)

    def _show_state(self, state):
        film = None if state.current is None else (state.current.id, state.current.source)
        if film != self._film:
            self._film = film
            self.notice.withdraw()
        for panel in self._by_state:
            panel.refresh(state)
        self._show_task(state)
        self._notify(state)

    def _show_task(self, state):
        ui, busy = self.ui, state.busy
        ui.taskFrame.setVisible(bool(busy))
        if busy:
            job = busy[-1]
            ui.taskLabel.text = f"{job.what} …"
            ui.taskProgressBar.maximum = job.total or 0
            ui.taskProgressBar.value = job.done if job.total else 0

    def _notify(self, state):
        news = (state.error, state.notice)
        if news == self._told:
            return
        self._told = news
        if state.error is not None:
            self.notice.say(state.error.message, "error")
        elif state.notice:
            self.notice.say(state.notice)
        else:
            self.notice.dismiss()

    def _show_points(self, change=None):
        """After every change of the points; in the middle of a drag, only what has to keep up with it."""
        if change is not None and change.is_ongoing:
            self._measure.refresh_angles()
            self._correct.refresh_doubts()
        else:
            self._measure.refresh_points()
            self._correct.refresh_points()
            self._place.refresh_points()
