"""Submit, always in sight below the sections: stores the points as the final label or reading of the image."""


class SubmitSection:
    """Submits the label, after warnings are confirmed.

    Args:
        ui: the widgets.
        controller: the workflow.
        settings: user settings.
        notice: asks for confirmation.
    """

    def __init__(self, ui, controller, settings, notice):
        self._ui, self._controller, self._notice = ui, controller, notice
        self._settings = settings
        ui.nextAfterCheckBox.checked = controller.next_after_submit = settings["nextAfterSubmit"]
        ui.nextAfterCheckBox.connect("toggled(bool)", self._set_next)
        ui.submitButton.connect("clicked(bool)", lambda: self.submit())

    def refresh(self, state):
        """Enable submitting, and show the effort."""
        may = state.info is not None and state.info.may_label
        is_open = state.current is not None and not state.current.is_view_only
        self._ui.submitButton.setEnabled(is_open and state.is_connected and not state.is_busy("submit") and may)
        self._ui.submitButton.setVisible(state.adjudication is None or state.adjudication.is_editing)
        self._ui.effortLabel.text = _format_effort(state, may)

    def submit(self, confirmed=None):
        """Submit, or ask for confirmation of warnings that were not ``confirmed``."""
        request = self._controller.submit(confirmed)
        if request is not None:
            text = "\n".join(warning.text for warning in request.warnings)
            self._notice.ask(text, "Submit", lambda: self.submit(request), "Look again")

    def _set_next(self, on):
        self._settings["nextAfterSubmit"] = self._controller.next_after_submit = on


def _format_effort(state, may_label):
    if state.current is None:
        return "-"
    if state.is_connected and not may_label:
        return "Your token allows viewing images, but not storing labels."
    current = state.current
    saved = ", being saved …" if not current.is_saved else ", saved on this computer" if current.is_unsaved else ""
    return f"{current.edits} edit{'' if current.edits == 1 else 's'} in {format_duration(current.seconds)}{saved}"


def format_duration(seconds):
    """Duration in minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
