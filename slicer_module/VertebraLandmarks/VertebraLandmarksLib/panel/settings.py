"""What the module remembers from one start of Slicer to the next."""

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
