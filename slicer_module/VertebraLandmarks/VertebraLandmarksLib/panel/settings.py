"""User settings and keyboard shortcuts of the module."""

import qt
import slicer.util

GROUP = "VertebraLandmarks"
DEFAULTS = {
    "server": "http://127.0.0.1:8000",
    "token": "",
    "rememberToken": False,
    "user": "",
    "strategy": "",
    "window": "",
    "invert": False,
    "inferOnOpen": True,
    "followMoves": True,
    "nextAfterSubmit": True,
    "film": True,
    "centers": True,
    "corners": True,
    "outlines": True,
    "endplates": True,
    "angles": True,
    "labels": True,
    "closedSections": "",
}


class Settings:
    """Values by name in Slicer's user settings; the kinds of the defaults say what is read."""

    def __getitem__(self, name):
        """The value, or its default.

        Raises:
            KeyError: there is no such setting.
        """
        default = DEFAULTS[name]
        converter = slicer.util.toBool if isinstance(default, bool) else str
        return slicer.util.settingsValue(f"{GROUP}/{name}", default, converter=converter)

    def __setitem__(self, name, value):
        """Remember a value.

        Raises:
            KeyError: there is no such setting.
        """
        qt.QSettings().setValue(f"{GROUP}/{name}", type(DEFAULTS[name])(value))


_CLAIMS = (("QAction", "shortcut", "shortcutContext", qt.Qt.WidgetShortcut), ("QShortcut", "key", "enabled", False))
"""What claims keys in Qt: class, property that holds the key, and property with the value that ends the claim."""


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
        self._muted = []

    def install(self, window):
        """Let the keys work in a window; text fields keep the letters that are typed into them.

        Where something else in the window has one of the keys too, Qt would call the two in turn. So the other one has
        it no longer in all of the window, until ``remove``.
        """
        if self._installed or window is None:
            return
        self._mute(window)
        for name, keys, _ in self.KEYS:
            for key in keys:
                shortcut = qt.QShortcut(window)
                shortcut.setKey(qt.QKeySequence(key))
                shortcut.connect("activated()", self._actions[name])
                self._installed.append(shortcut)

    def remove(self):
        """Give the keys back."""
        for shortcut in self._installed:
            shortcut.disconnect("activated()")
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._installed = []
        for other, claim, before in self._muted:
            if other:
                setattr(other, claim, before)
        self._muted = []

    def _mute(self, window):
        """Take the keys from whatever else has them in the window."""
        wanted = {qt.QKeySequence(key).toString() for _, keys, _ in self.KEYS for key in keys}
        for kind, key, claim, silent in _CLAIMS:
            for other in slicer.util.findChildren(window, className=kind):
                if getattr(other, key).toString() in wanted:
                    self._muted.append((other, claim, getattr(other, claim)))
                    setattr(other, claim, silent)

    @classmethod
    def lines(cls):
        """Pairs of the first key and meaning, for the list."""
        return [(keys[0], text) for _, keys, text in cls.KEYS]
