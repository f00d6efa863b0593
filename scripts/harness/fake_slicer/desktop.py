"""Slice view and panel together: the module on Slicer's own libraries, rendered off screen."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PySide6 import QtGui, QtWidgets

from harness.fake_slicer import application
from harness.fake_slicer.scripted_module import LoadedModule
from harness.fake_slicer.slice_view import Stage, ViewPosition, stage
from setup_environment import ROOT

MODULE = ROOT / "slicer_module" / "VertebraLandmarks" / "VertebraLandmarks.py"
PANEL_WIDTH = 470


class Desktop:
    """The module in a scene, with its panel shown.

    Args:
        stage: scene and slice view.
        module: the loaded module.

    Attributes:
        panel: the module's panel.
        ui: its widgets by name.
        logic: the module's logic.
        controller: the module's controller.
    """

    def __init__(self, stage: Stage, module: LoadedModule) -> None:
        self.stage, self.module = stage, module
        self.panel: Any = module.widget.panel
        self.ui, self.logic, self.controller = self.panel.ui, self.panel.logic, self.panel.controller

    @property
    def state(self) -> Any:
        """State of the controller."""
        return self.controller.state

    def wait(self, is_done: Callable[[], Any], seconds: float = 60.0, what: str = "") -> None:
        """Run Qt until a condition holds.

        Raises:
            TimeoutError: it did not hold in time.
        """
        end = time.monotonic() + seconds
        while not is_done():
            if time.monotonic() > end:
                seen = f"connection {self.state.connection.value}, busy {self.state.busy}, error {self.state.error}"
                raise TimeoutError(f"{what or 'the condition'} did not happen in {seconds:.0f} s: {seen}")
            application.application().processEvents()
            time.sleep(0.002)

    def settle(self, seconds: float = 0.1) -> None:
        """Run Qt for a while."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end, seconds + 60)

    def position_of(self, v: int, p: int) -> ViewPosition:
        """Position of a point in the slice view."""
        frame = self.logic.frame
        right, anterior, _ = frame.to_ras(self.logic.editor.xy[v, p])
        return self.stage.position_of((right, anterior))

    def screenshot(self) -> QtGui.QImage:
        """Slice view and panel side by side, each as high as the higher one."""
        holder = self.module.widgetRepresentation()._target
        assert isinstance(holder, QtWidgets.QWidget)
        panel = holder.grab().toImage()
        view = self.stage.screenshot()
        height, width = view.shape[:2]
        left = QtGui.QImage(
            np.ascontiguousarray(view).data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888
        )
        both = QtGui.QImage(width + panel.width(), max(height, panel.height()), QtGui.QImage.Format.Format_RGB888)
        both.fill(holder.palette().color(QtGui.QPalette.ColorRole.Window))
        painter = QtGui.QPainter(both)
        painter.fillRect(0, 0, width, both.height(), QtGui.QColor("black"))
        painter.drawImage(0, 0, left)
        painter.drawImage(width, 0, panel)
        painter.end()
        return both


@contextlib.contextmanager
def desktop(folder: Path, size: "tuple[int, int]" = (600, 1000)) -> "Iterator[Desktop]":
    """The module in a new scene.

    Args:
        folder: of settings and drafts, which may exist from before.
        size: (width, height) of the slice view.
    """
    with stage(size) as opened:
        application.install(folder)
        module = application.load_module(MODULE)
        module.show(PANEL_WIDTH)
        try:
            yield Desktop(opened, module)
        finally:
            module.unload()
