"""The section Submit: the points become the final label of the image."""


class SubmitSection:
    """Sends the label, after asking about what is incomplete or implausible.

    Args:
        ui: the widgets.
        controller: submits.
        settings: what is remembered.
        notice: asks.
    """

    def __init__(self, ui, controller, settings, notice):
        self._ui, self._controller, self._notice = ui, controller, notice
        self._settings = settings
        ui.nextAfterCheckBox.checked = controller.next_after_submit = settings["nextAfterSubmit"]
        ui.nextAfterCheckBox.connect("toggled(bool)", self._set_next)
        ui.submitButton.connect("clicked(bool)", lambda: self.submit())

    def refresh(self, state):
        """Show what can be done now."""
        may = state.info is not None and state.info.may_label
        is_ready = state.current is not None and state.is_connected and not state.is_busy("submit")
        self._ui.submitButton.setEnabled(is_ready and may)
        self._ui.effortLabel.text = self._words(state, may)

    def submit(self, confirmed=None):
        """Submit, or ask first about what was not ``confirmed``."""
        asked = self._controller.submit(confirmed)
        if asked is not None:
            text = "\n".join(question.text for question in asked.questions)
            self._notice.ask(text, "Submit", lambda: self.submit(asked), "Look again")

    def _words(self, state, may):
        if state.current is None:
            return "-"
        if state.is_connected and not may:
            return "Your token may look at images, but not store labels."
        current = state.current
        kept = "" if current.is_saved else ", being saved …"
        kept = ", saved on this computer" if current.is_unsaved and current.is_saved else kept
        return f"{current.edits} edit{'' if current.edits == 1 else 's'} in {duration(current.seconds)}{kept}"

    def _set_next(self, on):
        self._settings["nextAfterSubmit"] = self._controller.next_after_submit = on


def duration(seconds):
    """A time span in minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
