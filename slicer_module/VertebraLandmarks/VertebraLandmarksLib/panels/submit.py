"""The section Submit: the points become the final label of the image."""


class SubmitPanel:
    """Sends the label, after asking about what is incomplete or implausible.

    Args:
        ui: the widgets.
        controller: submits.
        logic: the module's logic.
        settings: what is remembered.
        notice: asks.
    """

    def __init__(self, ui, controller, logic, settings, notice):
        self._ui, self._controller, self._logic, self._notice = ui, controller, logic, notice
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

    def submit(self, asked=()):
        """Submit, or ask first about everything that was not ``asked`` before."""
        questions = self._controller.submit()
        if questions and questions == asked:
            self._controller.submit(confirmed=True)
        elif questions:
            text = "\n".join(question.text for question in questions)
            self._notice.ask(text, "Submit", lambda: self.submit(questions), "Look again")

    def _words(self, state, may):
        if state.current is None:
            return "-"
        if state.is_connected and not may:
            return "Your token may look at images, but not store labels."
        edits = self._logic.editor.edits
        kept = "" if state.current.is_kept else ", being saved …"
        kept = ", saved on this computer" if state.current.is_unsaved and state.current.is_kept else kept
        return f"{edits} edit{'' if edits == 1 else 's'}{kept}"

    def _set_next(self, on):
        self._settings["nextAfterSubmit"] = self._controller.next_after_submit = on
