"""Widgets of CTK and Slicer that the module uses, and the ``qt`` module with its UI loader."""

import types
from typing import Any

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

from .pythonqt import QtClass


class CollapsibleButton(QtWidgets.QAbstractButton):
    """``ctkCollapsibleButton``: a heading that shows or hides its contents."""

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
                # widgets hidden explicitly stay hidden
                if collapsed:
                    child.setProperty("_hiddenByItself", child.isHidden())
                child.setVisible(not collapsed and not child.property("_hiddenByItself"))
        self.setMaximumHeight(self._heading() if collapsed else 16777215)
        self.contentsCollapsed.emit(collapsed)

    collapsed = QtCore.Property(bool, _get_collapsed, _set_collapsed)

    def sizeHint(self) -> QtCore.QSize:
        """Heading and, unless collapsed, the contents."""
        layout = self.layout()
        return self._around(layout.sizeHint() if layout is not None and self.isChecked() else QtCore.QSize(0, 0))

    def minimumSizeHint(self) -> QtCore.QSize:
        """The same with the contents at their minimum size."""
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
    """``qMRMLWidget``: a widget with a scene."""

    def setMRMLScene(self, scene: Any) -> None:
        """Set the scene."""
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


class QtModule(types.ModuleType):
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
