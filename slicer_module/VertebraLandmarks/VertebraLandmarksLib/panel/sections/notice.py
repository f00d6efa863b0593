"""Messages and questions at the top of the panel; none is modal."""

COLORS = {"info": "#d9ebf7", "question": "#fdf0cd", "error": "#f9d9d6"}
"""Background colors; the text is black in light and dark styles alike."""


class NoticeBar:
    """One message or question at a time.

    A new message replaces the one before. A question stays until it is answered, withdrawn or replaced by another
    question; then the newest message that came meanwhile is shown.

    Args:
        ui: the widgets.
        on_dismiss: called when the user closes a message.
        on_question: called when a question was asked, answered or withdrawn.
    """

    def __init__(self, ui, on_dismiss, on_question):
        self._ui, self._on_question = ui, on_question
        self._on_yes = self._pending = None
        ui.noticeYesButton.connect("clicked(bool)", lambda: self._answer(self._on_yes))
        ui.noticeNoButton.connect("clicked(bool)", lambda: self._answer(None))
        ui.noticeCloseButton.connect("clicked(bool)", lambda: self._answer(on_dismiss))

    @property
    def is_question(self):
        """Whether a question is open."""
        return self._on_yes is not None

    def show(self, text, kind="info"):
        """Show a message; ``kind`` is a key of ``COLORS``."""
        if self.is_question:
            self._pending = text, kind
        else:
            self._show(text, kind)

    def ask(self, text, yes_text, on_yes, no_text="Cancel"):
        """Ask a question; ``on_yes`` is called if the answer is yes. An open question is dropped."""
        self._on_yes = on_yes
        self._ui.noticeYesButton.text, self._ui.noticeNoButton.text = yes_text, no_text
        self._show(text, "question")
        self._on_question()

    def dismiss(self):
        """Hide messages; a question stays."""
        self._pending = None
        if not self.is_question:
            self._ui.noticeFrame.setVisible(False)

    def withdraw(self):
        """Close an open question, as its subject is gone."""
        if self.is_question:
            self._answer(None)

    def _show(self, text, kind):
        ui, is_question = self._ui, self.is_question
        ui.noticeLabel.text = text
        ui.noticeFrame.styleSheet = f"#noticeFrame {{background: {COLORS[kind]};}} #noticeLabel {{color: black;}}"
        ui.noticeYesButton.setVisible(is_question)
        ui.noticeNoButton.setVisible(is_question)
        ui.noticeCloseButton.setVisible(not is_question)
        ui.noticeFrame.setVisible(True)
        if kind != "info":
            self._bring_into_view()

    def _bring_into_view(self):
        """Scroll the module area to the message, if it is in a scroll area."""
        above = self._ui.noticeFrame.parent()
        while above:
            if hasattr(above, "ensureWidgetVisible"):
                above.ensureWidgetVisible(self._ui.noticeFrame)
                return
            above = above.parent()

    def _answer(self, action):
        self._on_yes, message, self._pending = None, self._pending, None
        self._ui.noticeFrame.setVisible(False)
        if message is not None:
            self._show(*message)
        self._on_question()
        if action is not None:
            action()
