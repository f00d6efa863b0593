"""The application of 3D Slicer without its desktop: PySide6, offscreen, behind the interface of PythonQt.

``install()`` provides the modules ``qt`` and ``ctk``, ``slicer.app``, ``slicer.modules`` and
``slicer.ScriptedLoadableModule``; ``load_module(path)`` then treats a scripted module as Slicer does when it starts,
opens and closes it.
"""

import sys
import types
from pathlib import Path

import slicer
from PySide6 import QtCore, QtWidgets

from .pythonqt import QtClass, QtObject
from .scripted_module import (
    LoadedModule,
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from .widgets import CollapsibleButton, ModuleManager, MRMLWidget, QtModule

ORGANIZATION = "VertebraLandmarksTests"


class Application:
    """The Qt part of ``slicer.app``, without layout manager and IO manager.

    Args:
        folder: of the settings.
    """

    def __init__(self, folder: Path) -> None:
        existing = QtWidgets.QApplication.instance()
        self._qt = existing if isinstance(existing, QtWidgets.QApplication) else QtWidgets.QApplication(["Slicer"])
        self._qt.setOrganizationName(ORGANIZATION)
        self._qt.setApplicationName("Slicer")
        self._qt.setStyle("Fusion")  # as Slicer's light style
        self._manager = ModuleManager()
        self.main_window = QtWidgets.QMainWindow()
        self.main_window.setObjectName("qSlicerMainWindow")
        self.use(folder)

    def use(self, folder: Path) -> None:
        """Store settings in this folder from now on."""
        formats, scope = QtCore.QSettings.Format, QtCore.QSettings.Scope.UserScope
        QtCore.QSettings.setDefaultFormat(formats.IniFormat)
        QtCore.QSettings.setPath(formats.IniFormat, scope, str(folder / "settings"))
        self.temporaryPath = str(folder)
        self.slicerUserSettingsFilePath = str(folder / "settings" / ORGANIZATION / "Slicer.ini")

    def topLevelWidgets(self) -> "list[QtObject]":
        """All windows."""
        return [QtObject(widget) for widget in self._qt.topLevelWidgets()]

    def moduleManager(self) -> QtObject:
        """The object that signals the unloading of modules."""
        return QtObject(self._manager)

    def userSettings(self) -> QtObject:
        """Settings of the user."""
        return QtObject(QtCore.QSettings())

    def settings(self) -> QtObject:
        """The same, as there are no other settings here."""
        return self.userSettings()

    def processEvents(self) -> None:
        """Run pending events of Qt."""
        self._qt.processEvents()


def install(folder: Path) -> Application:
    """Provide ``qt``, ``ctk`` and the Qt part of ``slicer``.

    There is one application per process: later calls only change the folder.

    Args:
        folder: of the settings.
    """
    if "qt" in sys.modules:
        application().use(folder)
        return application()
    slicer.app = Application(folder)
    sys.modules["qt"] = QtModule("qt")
    ctk = types.ModuleType("ctk")
    ctk.ctkCollapsibleButton = QtClass(CollapsibleButton)  # type: ignore[attr-defined]
    sys.modules["ctk"] = ctk
    slicer.qMRMLWidget = QtClass(MRMLWidget)
    slicer.modules = types.SimpleNamespace()
    scripted = types.ModuleType("slicer.ScriptedLoadableModule")
    kinds = (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    )
    for kind in kinds:
        setattr(scripted, kind.__name__, kind)
    scripted.__all__ = [kind.__name__ for kind in kinds]  # type: ignore[attr-defined]
    sys.modules["slicer.ScriptedLoadableModule"] = scripted
    slicer.ScriptedLoadableModule = scripted
    return slicer.app


def application() -> Application:
    """``slicer.app``, once it is installed."""
    running = slicer.app
    assert isinstance(running, Application)
    return running


def load_module(path: Path) -> LoadedModule:
    """Load a scripted module from its Python file, as Slicer does when it starts; ``show()`` creates its panel."""
    return LoadedModule(path.resolve())
