"""Keys that work while the module is open."""

import qt


class Shortcuts:
    """Keys, what they do, and the table that lists them.

    Args:
        actions: pairs of a name of ``KEYS`` and what to call.
    """

    KEYS = (
        ("next", ("N",), "Next image"),
        ("previous", ("P",), "Previous image"),
        ("infer", ("I",), "Find landmarks; your corrections stay"),
        ("submit", ("Ctrl+Enter", "Ctrl+Return"), "Submit"),
        ("undo", ("Ctrl+Z",), "Undo"),
        ("redo", ("Ctrl+Y", "Ctrl+Shift+Z"), "Redo"),
        ("layers", ("L",), "Show everything, the points only, the film only"),
        ("doubt", ("D",), "Next vertebra to check"),
        ("hide", ("X",), "Not visible: the point under the mouse, or what is chosen"),
        ("place", ("G",), "Start or stop placing points"),
        ("help", ("H",), "Show or hide this list"),
    )
    """Name, keys and meaning, in the order of the list."""

    def __init__(self, actions):
        missing = {name for name, _, _ in self.KEYS} ^ set(actions)
        if missing:
            raise ValueError(f"keys and actions differ in {', '.join(sorted(missing))}")
        self._actions = dict(actions)
        self._installed = []

    def install(self, window):
        """Let the keys work in a window; text fields keep the letters that are typed into them."""
        if self._installed or window is None:
            return
        for name, keys, _ in self.KEYS:
            for key in keys:
                shortcut = qt.QShortcut(window)
                shortcut.setKey(qt.QKeySequence(key))
                shortcut.connect("activated()", self._actions[name])
                # Where the application has the key too, Qt says so instead and calls neither.
                shortcut.connect("activatedAmbiguously()", self._actions[name])
                self._installed.append(shortcut)

    def remove(self):
        """Give the keys back."""
        for shortcut in self._installed:
            shortcut.disconnect("activated()")
            shortcut.disconnect("activatedAmbiguously()")
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._installed = []

    @classmethod
    def lines(cls):
        """Pairs of the first key and meaning, for the list."""
        return [(keys[0], text) for _, keys, text in cls.KEYS]
