"""The desktop of 3D Slicer without its desktop: PySide6, offscreen, under the names and with the manners of PythonQt.

``install()`` provides the modules ``qt`` and ``ctk``, ``slicer.app``, ``slicer.modules`` and
``slicer.ScriptedLoadableModule``; ``load_module(path)`` then does with a scripted module what Slicer does when it
starts, opens and leaves it. What PythonQt answers with an error is an error here. Where PythonQt is silent (unknown
signals, values of the wrong kind, getters beside a property) this is strict, so that a slip shows in the tests and not
in Slicer. Source of the manners: ``PythonQtInstanceWrapper.cpp`` and ``PythonQtSignalReceiver.cpp`` of PythonQt.
"""

import contextlib
import enum
import importlib.util
import inspect
import os
import sys
import traceback
import types
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import shiboken6
import slicer
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

ORGANIZATION = "VertebraLandmarksTests"
slot_errors: "list[BaseException]" = []
"""What Python code raised when Qt called it; PythonQt prints that and goes on, so tests look here."""

_VARARGS = inspect.CO_VARARGS
_PYTHON_ONLY = frozenset({"findChild", "findChildren", "connect", "disconnect", "receivers", "sender"})
_KINDS: "dict[str, tuple[type, ...]]" = {"QString": (str,), "bool": (bool,), "int": (int,), "double": (int, float)}


class QtObject:
    """A QObject as PythonQt shows it: properties are attributes, everything else that is public is a method.

    Args:
        target: the object of PySide6.
    """

    _target: QtCore.QObject
    _slots: "dict[tuple[str, Callable[..., Any]], Callable[..., Any]]"

    def __init__(self, target: QtCore.QObject) -> None:
        object.__setattr__(self, "_target", target)

    def __getattr__(self, name: str) -> Any:
        target = _alive(self)
        if name == "name":
            return target.objectName()
        meta = target.metaObject()
        if meta.indexOfProperty(name) >= 0:
            return _wrapped(target.property(name))
        if name.startswith("_") or name in _PYTHON_ONLY or name in _readers(meta) or not hasattr(type(target), name):
            raise AttributeError(f"{meta.className()} has no attribute named '{name}'")
        found = getattr(target, name)
        if isinstance(found, QtCore.SignalInstance):
            raise AttributeError(f"'{name}' of {meta.className()} is a signal; use connect('{name}(...)', callable)")
        return _method(found) if callable(found) else found

    def __setattr__(self, name: str, value: Any) -> None:
        target = _alive(self)
        meta = target.metaObject()
        index = meta.indexOfProperty("objectName" if name == "name" else name)
        if index < 0:
            kind = meta.className()
            raise AttributeError(f"'{name}' does not exist on {kind} and creating attributes on it is not allowed")
        found = meta.property(index)
        kinds = _KINDS.get(str(found.typeName()))
        plain = _plain(value)
        if not found.isWritable():
            raise AttributeError(f"Property '{name}' of {meta.className()} is not writable")
        wrong = kinds is not None and (not isinstance(plain, kinds) or (isinstance(plain, bool) and bool not in kinds))
        if wrong or not found.write(target, plain):
            raise AttributeError(f"Property '{name}' of type '{found.typeName()!s}' does not accept {value!r}")

    def connect(self, signal: str, slot: "Callable[..., Any]") -> bool:
        """Call ``slot`` at every ``signal``, given as ``name(types)``, with as many arguments as it takes."""
        target = _alive(self)
        signature = _signature(target, signal)
        if not callable(slot):
            raise TypeError(f"connect('{signal}', ...) needs something to call, got {slot!r}")
        called = _trimmed(slot)
        _connections.setdefault((_key(target), signature), []).append((slot, called))
        return bool(QtCore.QObject.connect(target, QtCore.SIGNAL(signature), called))

    def disconnect(self, signal: str, slot: "Callable[..., Any] | None" = None) -> bool:
        """Undo ``connect`` for this slot, or for all."""
        target = _alive(self)
        signature = _signature(target, signal)
        known = _connections.get((_key(target), signature), [])
        gone = [pair for pair in known if slot is None or pair[0] == slot]
        for pair in gone:
            known.remove(pair)
            QtCore.QObject.disconnect(target, QtCore.SIGNAL(signature), pair[1])
        return bool(gone)

    def className(self) -> str:
        """Name of the C++ class."""
        return str(_alive(self).metaObject().className())

    def children(self) -> "list[QtObject]":
        """The objects that belong to this one."""
        return [QtObject(child) for child in _alive(self).children()]

    def __bool__(self) -> bool:
        return shiboken6.isValid(self._target)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QtObject) and self._target is other._target

    def __hash__(self) -> int:
        return hash(self._target)

    def __repr__(self) -> str:
        return f"<{self.className()} {self.name!r}>" if self else "<deleted Qt object>"


class QtClass:
    """A class of QObjects: call it for an object; static methods and enumerations are its attributes."""

    def __init__(self, kind: "type[QtCore.QObject]") -> None:
        self._kind = kind

    def __call__(self, *arguments: Any) -> QtObject:
        """A new object of the kind."""
        made = self._kind(*[_plain(value) for value in arguments])
        return QtObject(made)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(self._kind, name):
            raise AttributeError(f"{self._kind.__name__} has no attribute named '{name}'")
        found = getattr(self._kind, name)
        return _method(found) if callable(found) and not isinstance(found, (type, enum.Enum)) else found

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(_plain(value), self._kind)


_readers_of: "dict[str, frozenset[str]]" = {}
_connections: "dict[tuple[int, str], list[tuple[Callable[..., Any], Callable[..., Any]]]]" = {}


def _key(target: QtCore.QObject) -> int:
    return int(shiboken6.getCppPointer(target)[0])


def _alive(wrapper: QtObject) -> QtCore.QObject:
    target = wrapper._target
    if not shiboken6.isValid(target):
        raise ValueError(f"a destroyed {type(target).__name__} object was used")
    return target


def _readers(meta: QtCore.QMetaObject) -> "frozenset[str]":
    """Getters of properties that have another name than the property, such as ``isChecked``."""
    kind = str(meta.className())
    if kind not in _readers_of:
        names = (str(meta.property(i).name()) for i in range(meta.propertyCount()))
        _readers_of[kind] = frozenset(f"is{name[:1].upper()}{name[1:]}" for name in names)
    return _readers_of[kind]


def _signature(target: QtCore.QObject, signal: str) -> str:
    normal = QtCore.QMetaObject.normalizedSignature(signal)  # type: ignore[arg-type]  # takes text, whatever its stub says
    signature = bytes(normal.data()).decode()
    if target.metaObject().indexOfSignal(signature) < 0:
        raise ValueError(f"{target.metaObject().className()} has no signal '{signal}'")
    return signature


def _trimmed(slot: "Callable[..., Any]") -> "Callable[..., Any]":
    code = slot.__func__.__code__ if inspect.ismethod(slot) else getattr(slot, "__code__", None)
    most = None
    if code is not None and not code.co_flags & _VARARGS:
        most = code.co_argcount - inspect.ismethod(slot)

    def called(*arguments: Any) -> None:
        try:
            slot(*[_wrapped(value) for value in arguments[:most]])
        except BaseException as error:
            traceback.print_exc()
            slot_errors.append(error)

    return called


def _method(found: "Callable[..., Any]") -> "Callable[..., Any]":
    return lambda *arguments: _wrapped(found(*[_plain(value) for value in arguments]))


def _plain(value: Any) -> Any:
    if isinstance(value, QtObject):
        return value._target
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(one) for one in value)
    if inspect.isfunction(value) or inspect.ismethod(value):
        return _trimmed(value)
    return value


def _wrapped(value: Any) -> Any:
    if isinstance(value, QtCore.QObject):
        return QtObject(value)
    if isinstance(value, (list, tuple)):
        return [_wrapped(one) for one in value] if isinstance(value, list) else tuple(_wrapped(one) for one in value)
    return value


class CollapsibleButton(QtWidgets.QAbstractButton):
    """``ctkCollapsibleButton``: a heading that shows or hides what lies in it."""

    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, parent: "QtWidgets.QWidget | None" = None) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.setChecked(True)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Minimum, QtWidgets.QSizePolicy.Policy.Preferred)
        self.setContentsMargins(0, self._heading(), 0, 0)
        self.toggled.connect(lambda shown: self._set_collapsed(not shown))

    def _heading(self) -> int:
        return self.fontMetrics().height() + 8

    def _get_collapsed(self) -> bool:
        return not self.isChecked()

    def _set_collapsed(self, collapsed: bool) -> None:
        if self.isChecked() == collapsed:
            self.setChecked(not collapsed)
            return
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                # What the user of the class hid by itself stays hidden.
                if collapsed:
                    child.setProperty("_hiddenByItself", child.isHidden())
                child.setVisible(not collapsed and not child.property("_hiddenByItself"))
        self.setMaximumHeight(self._heading() if collapsed else 16777215)
        self.contentsCollapsed.emit(collapsed)

    collapsed = QtCore.Property(bool, _get_collapsed, _set_collapsed)

    def sizeHint(self) -> QtCore.QSize:
        """Heading and, unless collapsed, what lies below it."""
        layout = self.layout()
        return self._around(layout.sizeHint() if layout is not None and self.isChecked() else QtCore.QSize(0, 0))

    def minimumSizeHint(self) -> QtCore.QSize:
        """The same with what lies below as small as it gets."""
        layout = self.layout()
        return self._around(layout.minimumSize() if layout is not None and self.isChecked() else QtCore.QSize(0, 0))

    def _around(self, inner: QtCore.QSize) -> QtCore.QSize:
        width = self.fontMetrics().horizontalAdvance(self.text()) + 40
        return QtCore.QSize(max(width, inner.width()), max(self._heading(), inner.height()))

    def hitButton(self, position: QtCore.QPoint) -> bool:
        """Only the heading is the button."""
        return position.y() < self._heading()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        """Frame, arrow and heading."""
        painter = QtWidgets.QStylePainter(self)
        if self.isChecked():
            painter.setPen(self.palette().color(QtGui.QPalette.ColorRole.Mid))
            painter.drawRect(self.rect().adjusted(0, self._heading() // 2, -1, -1))
        heading = QtCore.QRect(0, 0, self.width(), self._heading())
        button = QtWidgets.QStyleOptionButton()
        button.initFrom(self)
        button.rect = heading
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, button)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(6, heading.center().y() - 4, 9, 9)
        element = QtWidgets.QStyle.PrimitiveElement
        down, right = element.PE_IndicatorArrowDown, element.PE_IndicatorArrowRight
        painter.drawPrimitive(down if self.isChecked() else right, arrow)
        flags = QtCore.Qt.AlignmentFlag.AlignVCenter | QtCore.Qt.AlignmentFlag.AlignLeft
        painter.setPen(self.palette().color(QtGui.QPalette.ColorRole.ButtonText))
        painter.drawText(heading.adjusted(22, 0, -6, 0), flags, self.text())


CollapsibleButton.__name__ = "ctkCollapsibleButton"


class MRMLWidget(QtWidgets.QWidget):
    """``qMRMLWidget``: a widget that knows a scene."""

    def setMRMLScene(self, scene: Any) -> None:
        """Take the scene."""
        self._scene = scene

    def mrmlScene(self) -> Any:
        """The scene."""
        return self._scene


class ModuleManager(QtCore.QObject):
    """The part of ``slicer.app.moduleManager()`` that modules listen to."""

    moduleAboutToBeUnloaded = QtCore.Signal(str)


class _UiLoader(QtUiTools.QUiLoader):
    def __init__(self, parent: "QtCore.QObject | None" = None) -> None:
        super().__init__(parent)
        self.registerCustomWidget(CollapsibleButton)


class _QtModule(types.ModuleType):
    """``import qt``: every class of Qt under its own name."""

    def __getattr__(self, name: str) -> Any:
        if name == "QUiLoader":
            return QtClass(_UiLoader)
        for module in (QtCore, QtGui, QtWidgets):
            if name.startswith("Q") and hasattr(module, name):
                found = getattr(module, name)
                is_object = isinstance(found, type) and issubclass(found, QtCore.QObject)
                return QtClass(found) if is_object else found
        raise AttributeError(f"module 'qt' has no attribute '{name}'")


class Application:
    """The part of ``slicer.app`` that lies in Qt; there is no layout manager, no file dialog and no IO manager.

    Args:
        folder: where settings are kept.
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
        """Keep settings in this folder from now on."""
        formats, scope = QtCore.QSettings.Format, QtCore.QSettings.Scope.UserScope
        QtCore.QSettings.setDefaultFormat(formats.IniFormat)
        QtCore.QSettings.setPath(formats.IniFormat, scope, str(folder / "settings"))
        self.temporaryPath = str(folder)
        self.slicerUserSettingsFilePath = str(folder / "settings" / ORGANIZATION / "Slicer.ini")

    def topLevelWidgets(self) -> "list[QtObject]":
        """Windows."""
        return [QtObject(widget) for widget in self._qt.topLevelWidgets()]

    def moduleManager(self) -> QtObject:
        """Who says when a module is unloaded."""
        return QtObject(self._manager)

    def userSettings(self) -> QtObject:
        """Settings of this user."""
        return QtObject(QtCore.QSettings())

    def settings(self) -> QtObject:
        """The same, as there is no other kind here."""
        return self.userSettings()

    def processEvents(self) -> None:
        """Let Qt deliver what waits."""
        self._qt.processEvents()


class ScriptedModuleParent:
    """What Slicer knows about a scripted module; other attributes cannot be set."""

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
        parent: the widget that the panel is put into.
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
        """Make the widgets."""

    def cleanup(self) -> None:
        """Undo ``setup``."""

    def onReload(self) -> None:
        """Load the module's source again."""
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
        """In Slicer a message for a while; here a line."""
        print(message)

    def runTest(self) -> None:
        """Run every test of the class."""


class LoadedModule:
    """A scripted module as Slicer holds it: ``slicer.modules.<name>``.

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
        """Make the package beside the module known, which Slicer does through the search path."""
        name = f"{self.name}Lib"
        if importlib.util.find_spec(name) is None:
            load_source(name, Path(self.path).parent / name / "__init__.py")

    def _run(self) -> None:
        source = load_source(self.name, Path(self.path))
        self.module = getattr(source, self.name)(ScriptedModuleParent(self.path))

    def widgetRepresentation(self) -> QtObject:
        """The widget that holds the panel, made when it is asked for first."""
        if self._parent is None:
            raw = MRMLWidget()
            raw.setLayout(QtWidgets.QVBoxLayout())
            raw.setMRMLScene(slicer.mrmlScene)
            self._parent = _ModuleWidget(raw, self)
            self.reload()
        return self._parent

    def reload(self) -> None:
        """Make the panel from the module as it is in ``sys.modules`` now."""
        self.widget = getattr(sys.modules[self.name], f"{self.name}Widget")(self._parent)
        setattr(slicer.modules, f"{self.name}Widget", self.widget)
        self.widget.setup()

    def show(self, width: int) -> None:
        """Put the panel into the module area of the main window, as wide as this, and enter the module."""
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
        """What happens when Slicer ends."""
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
    """Run a Python file as the module of that name."""
    folders = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=folders)
    assert spec is not None
    assert spec.loader is not None
    source = importlib.util.module_from_spec(spec)
    sys.modules[name] = source
    spec.loader.exec_module(source)
    return source


class _ModuleWidget(QtObject):
    """The holder of a panel; ``parent.reload()`` is how ``slicer.util.reloadScriptedModule`` makes a new one."""

    def __init__(self, target: QtCore.QObject, module: LoadedModule) -> None:
        super().__init__(target)
        object.__setattr__(self, "reload", module.reload)


def install(folder: Path) -> Application:
    """Provide ``qt``, ``ctk`` and what of ``slicer`` lies in Qt.

    There is one application in a process: later calls only change the folder.

    Args:
        folder: where settings are kept.
    """
    if "qt" in sys.modules:
        application().use(folder)
        return application()
    slicer.app = Application(folder)
    sys.modules["qt"] = _QtModule("qt")
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
    found = slicer.app
    assert isinstance(found, Application)
    return found


def load_module(path: Path) -> LoadedModule:
    """Load a scripted module from its Python file, as Slicer does at its start; its panel is made by ``show()``."""
    return LoadedModule(path.resolve())
