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
    "film": True,  # visibility of the image; the key is that of earlier versions
    "centers": True,
    "corners": True,
    "outlines": True,
    "endplates": True,
    "angles": True,
    "labels": True,
    "closedSections": "",
}


class Settings:
    """Settings by name in Slicer's user settings, with the types of their defaults."""

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


_KEY_OWNERS = (("QAction", "shortcut", "shortcutContext", qt.Qt.WidgetShortcut), ("QShortcut", "key", "enabled", False))
"""Objects with keys in Qt: class, property of the key, and property with the value that disables it."""


class Shortcuts:
    """Keyboard shortcuts while the module is open.

    Args:
        actions: functions by name of ``KEYS``.
    """

    KEYS = (
        ("next", ("N",), "Next image"),
        ("previous", ("P",), "Previous image"),
        ("infer", ("I",), "Find landmarks; your corrections stay"),
        ("submit", ("Ctrl+Enter", "Ctrl+Return"), "Submit"),
        ("undo", ("Ctrl+Z",), "Undo"),
        ("redo", ("Ctrl+Y", "Ctrl+Shift+Z"), "Redo"),
        ("layers", ("L",), "Show everything, the points only, the image only"),
        ("doubt", ("D",), "Next vertebra to check; of two readings, the next difference"),
        ("hide", ("X",), "Not visible: the point under the mouse, else the selected one"),
        ("place", ("G",), "Start or stop placing points"),
        ("first", ("1",), "Adjudication: take the first reading"),
        ("second", ("2",), "Adjudication: take the second reading"),
        ("mean", ("M",), "Adjudication: take the mean of both"),
        ("edit", ("E",), "Adjudication: edit the chosen reading"),
        ("confirm", ("Enter", "Return"), "Yes to a question; adjudication: store what is chosen"),
        ("reject", ("Esc",), "No to a question"),
        ("help", ("H",), "Show or hide this list"),
    )
    """Name, keys and description, in the order of the help."""

    def __init__(self, actions):
        missing = {name for name, _, _ in self.KEYS} ^ set(actions)
        if missing:
            raise ValueError(f"keys and actions differ in {', '.join(sorted(missing))}")
        self._actions = dict(actions)
        self._installed = []
        self._muted = []
        self._disabled = frozenset()

    def install(self, window):
        """Enable the keys in a window; text fields keep the letters that are typed into them.

        Other actions of the window with one of the keys are disabled until ``remove``, as Qt would call both in turn.
        """
        if self._installed or window is None:
            return
        self._mute(window)
        for name, keys, _ in self.KEYS:
            for key in keys:
                shortcut = qt.QShortcut(window)
                shortcut.setKey(qt.QKeySequence(key))
                shortcut.connect("activated()", self._actions[name])
                shortcut.setEnabled(name not in self._disabled)
                self._installed.append((name, shortcut))

    def disable(self, names):
        """Leave the keys of these names, and no others, to the rest of Slicer."""
        self._disabled = frozenset(names)
        for name, shortcut in self._installed:
            shortcut.setEnabled(name not in self._disabled)

    def remove(self):
        """Disable the keys, and enable the other actions again."""
        for _, shortcut in self._installed:
            shortcut.disconnect("activated()")
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._installed = []
        for other, switch, before in self._muted:
            if other:
                setattr(other, switch, before)
        self._muted = []

    def _mute(self, window):
        """Disable the keys of other actions in the window."""
        wanted = {qt.QKeySequence(key).toString() for _, keys, _ in self.KEYS for key in keys}
        for kind, key, switch, disabled in _KEY_OWNERS:
            for other in slicer.util.findChildren(window, className=kind):
                if getattr(other, key).toString() in wanted:
                    self._muted.append((other, switch, getattr(other, switch)))
                    setattr(other, switch, disabled)

    @classmethod
    def rows(cls):
        """First key and description, for the help."""
        return [(keys[0], text) for _, keys, text in cls.KEYS]
