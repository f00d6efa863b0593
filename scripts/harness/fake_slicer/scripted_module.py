"""Scripted modules as in ``slicer.ScriptedLoadableModule``, and how Slicer loads, shows and unloads them."""

import contextlib
import importlib.util
import sys
import types
import unittest
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from .pythonqt import QtObject
from .widgets import MRMLWidget


class ScriptedModuleParent:
    """Attributes of a scripted module in Slicer; others cannot be set."""

    __slots__ = (
        "acknowledgementText",
        "categories",
        "contributors",
        "dependencies",
        "helpText",
        "hidden",
        "icon",
        "path",
        "title",
    )

    def __init__(self, path: str) -> None:
        self.path = path
        self.title = self.helpText = self.acknowledgementText = ""
        self.categories: list[str] = []
        self.dependencies: list[str] = []
        self.contributors: list[str] = []
        self.hidden = False
        self.icon: QtGui.QIcon | None = None


class ScriptedLoadableModule:
    """Base class of a module's description."""

    def __init__(self, parent: ScriptedModuleParent) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__
        icon = Path(parent.path).parent / "Resources" / "Icons" / f"{self.moduleName}.png"
        if icon.is_file():
            parent.icon = QtGui.QIcon(str(icon))
        slicer.selfTests = {**getattr(slicer, "selfTests", {}), self.moduleName: self.runTest}

    def resourcePath(self, filename: str) -> str:
        """Absolute path of a file in ``Resources``."""
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def runTest(self, msec: int = 100, **arguments: Any) -> None:
        """Run the module's own test class."""
        test = getattr(sys.modules[type(self).__module__], f"{self.moduleName}Test")()
        test.messageDelay = msec
        test.runTest(**arguments)


class ScriptedLoadableModuleWidget:
    """Base class of a module's panel.

    Args:
        parent: widget that holds the panel.
    """

    def __init__(self, parent: QtObject) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        self.layout = parent.layout()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename: str) -> str:
        """Absolute path of a file in ``Resources``."""
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def setup(self) -> None:
        """Create the widgets."""

    def cleanup(self) -> None:
        """Undo ``setup``."""

    def onReload(self) -> None:
        """Reload the module's source."""
        slicer.util.reloadScriptedModule(self.moduleName)

    def _onModuleAboutToBeUnloaded(self, name: str) -> None:
        if name == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)


class ScriptedLoadableModuleLogic:
    """Base class of a module's logic."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Base class of a module's own test."""

    messageDelay = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*(arguments or ("runTest",)))

    def delayDisplay(self, message: str, msec: "int | None" = None) -> None:
        """Print the message, which Slicer shows for a while."""
        print(message)

    def runTest(self) -> None:
        """Run every test of the class."""


class LoadedModule:
    """A loaded scripted module: ``slicer.modules.<name>``.

    Args:
        path: its Python file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = str(path), path.stem
        self._parent: Any = None
        self.widget: Any = None
        self._find_library()
        setattr(slicer.modules, self.name.lower(), self)
        self._run()

    def _find_library(self) -> None:
        """Import the package beside the module, which Slicer finds through its search path."""
        name = f"{self.name}Lib"
        if importlib.util.find_spec(name) is None:
            load_source(name, Path(self.path).parent / name / "__init__.py")

    def _run(self) -> None:
        source = load_source(self.name, Path(self.path))
        self.module = getattr(source, self.name)(ScriptedModuleParent(self.path))

    def widgetRepresentation(self) -> QtObject:
        """The widget that holds the panel, created at the first call."""
        if self._parent is None:
            raw = MRMLWidget()
            raw.setLayout(QtWidgets.QVBoxLayout())
            raw.setMRMLScene(slicer.mrmlScene)
            self._parent = _ModuleWidget(raw, self)
            self.reload()
        return self._parent

    def reload(self) -> None:
        """Create the panel from the module in ``sys.modules``."""
        self.widget = getattr(sys.modules[self.name], f"{self.name}Widget")(self._parent)
        setattr(slicer.modules, f"{self.name}Widget", self.widget)
        self.widget.setup()

    def show(self, width: int) -> None:
        """Show the panel in the main window at this width, and enter the module."""
        area = QtWidgets.QScrollArea()
        area.setWidgetResizable(True)
        holder = self.widgetRepresentation()._target
        assert isinstance(holder, QtWidgets.QWidget)
        area.setWidget(holder)
        slicer.app.main_window.setCentralWidget(area)
        slicer.app.main_window.resize(width, 1000)
        slicer.app.main_window.show()
        self.widget.enter()

    def unload(self) -> None:
        """Unload the module, as when Slicer closes."""
        slicer.app._manager.moduleAboutToBeUnloaded.emit(self.name)
        for name in (self.name.lower(), f"{self.name}Widget"):
            with contextlib.suppress(AttributeError):
                delattr(slicer.modules, name)
        taken = slicer.app.main_window.takeCentralWidget()
        if taken is not None:
            taken.deleteLater()
        self.widget = self._parent = None
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


def load_source(name: str, path: Path) -> types.ModuleType:
    """Import a Python file as the module of that name."""
    folders = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=folders)
    assert spec is not None
    assert spec.loader is not None
    source = importlib.util.module_from_spec(spec)
    sys.modules[name] = source
    spec.loader.exec_module(source)
    return source


class _ModuleWidget(QtObject):
    """Holder of a panel; ``slicer.util.reloadScriptedModule`` calls its ``reload``."""

    def __init__(self, target: QtCore.QObject, module: LoadedModule) -> None:
        super().__init__(target)
        object.__setattr__(self, "reload", module.reload)
