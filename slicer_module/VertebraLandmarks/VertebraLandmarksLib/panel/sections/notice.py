"""Messages and questions at the top of the panel. Nothing here stops the user."""

COLOURS = {"info": "#d9ebf7", "question": "#fdf0cd", "error": "#f9d9d6"}
"""Backgrounds; the text on them is black in light and dark styles alike."""


class NoticeBar:
    """One message or question at a time.

    A new message replaces the one before. A question stays until it is answered, taken back or followed by another one:
    what the user did last is what is asked about. The newest message that came meanwhile is shown after it.

    Args:
        ui: the widgets.
        dismissed: called when the user closes a message.
    """

    def __init__(self, ui, dismissed):
        self._ui = ui
        self._yes = self._waiting = None
        ui.noticeYesButton.connect("clicked(bool)", lambda: self._answer(self._yes))
        ui.noticeNoButton.connect("clicked(bool)", lambda: self._answer(None))
        ui.noticeCloseButton.connect("clicked(bool)", lambda: self._answer(dismissed))

    @property
    def is_question(self):
        """Whether an answer is waited for."""
        return self._yes is not None

    def say(self, text, kind="info"):
        """Show a message; ``kind`` is a key of ``COLOURS``."""
        if self.is_question:
            self._waiting = text, kind
        else:
            self._show(text, kind)

    def ask(self, text, yes_text, yes, no_text="Cancel"):
        """Ask; ``yes`` is called if that is the answer. A question that is still open is forgotten."""
        self._yes = yes
        self._ui.noticeYesButton.text, self._ui.noticeNoButton.text = yes_text, no_text
        self._show(text, "question")

    def dismiss(self):
        """Take messages away; a question stays."""
        self._waiting = None
        if not self.is_question:
            self._ui.noticeFrame.setVisible(False)

    def withdraw(self):
        """Take a question back: what it was about is gone."""
        if self.is_question:
            self._answer(None)

    def _show(self, text, kind):
        ui, is_question = self._ui, self.is_question
        ui.noticeLabel.text = text
        ui.noticeFrame.styleSheet = f"#noticeFrame {{background: {COLOURS[kind]};}} #noticeLabel {{color: black;}}"
        ui.noticeYesButton.setVisible(is_question)
        ui.noticeNoButton.setVisible(is_question)
        ui.noticeCloseButton.setVisible(not is_question)
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
        self._yes, message, self._waiting = None, self._waiting, None
        self._ui.noticeFrame.setVisible(False)
        if message is not None:
            self._show(*message)
        if answer is not None:
            answer()
