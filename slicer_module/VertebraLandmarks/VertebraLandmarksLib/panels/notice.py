"""Messages and questions at the top of the panel. Nothing here stops the user."""

COLOURS = {"info": "#d9ebf7", "question": "#fdf0cd", "error": "#f9d9d6"}
"""Backgrounds; the text on them is black in light and dark styles alike."""


class NoticePanel:
    """One message at a time; a new one replaces the old, unless that is a question which was not answered.

    Args:
        ui: the widgets.
        dismissed: called when the user closes a message.
    """

    def __init__(self, ui, dismissed):
        self._ui = ui
        self._yes = self._no = None
        self._waiting = []
        ui.noticeYesButton.connect("clicked(bool)", lambda: self._answer(self._yes))
        ui.noticeNoButton.connect("clicked(bool)", lambda: self._answer(self._no))
        ui.noticeCloseButton.connect("clicked(bool)", lambda: self._answer(dismissed))

    @property
    def is_question(self):
        """Whether the message shown waits for an answer."""
        return self._yes is not None

    def say(self, text, kind="info"):
        """Show a message; ``kind`` is a key of ``COLOURS``."""
        self._show(text, kind, None, "", None, "")

    def ask(self, text, yes_text, yes, no_text="Cancel", no=None):
        """Ask; ``yes`` or ``no`` is called when the user answers."""
        self._show(text, "question", yes, yes_text, no, no_text)

    def dismiss(self):
        """Take the message away, unless it is a question."""
        if not self.is_question:
            self._ui.noticeFrame.setVisible(False)

    def withdraw(self):
        """Take a question back: what it was about is gone."""
        if self.is_question:
            self._answer(None)

    def _show(self, *message):
        if self.is_question:
            if message not in self._waiting:
                self._waiting.append(message)
            return
        text, kind, yes, yes_text, no, no_text = message
        ui = self._ui
        self._yes, self._no = yes, no
        ui.noticeLabel.text = text
        ui.noticeFrame.styleSheet = f"#noticeFrame {{background: {COLOURS[kind]};}} #noticeLabel {{color: black;}}"
        ui.noticeYesButton.text, ui.noticeNoButton.text = yes_text, no_text
        ui.noticeYesButton.setVisible(yes is not None)
        ui.noticeNoButton.setVisible(yes is not None)
        ui.noticeCloseButton.setVisible(yes is None)
        ui.noticeFrame.setVisible(True)
        if kind != "info":
            self._bring_into_view()

    def _bring_into_view(self):
        """Scroll the module area to the message, where there is one."""
        above = self._ui.noticeFrame.parent()
        while above:
            if hasattr(above, "ensureWidgetVisible"):
                above.ensureWidgetVisible(self._ui.noticeFrame)
                return
            above = above.parent()

    def _answer(self, answer):
        self._yes = self._no = None
        self._ui.noticeFrame.setVisible(False)
        if self._waiting:
            self._show(*self._waiting.pop(0))
        if answer is not None:
            answer()
