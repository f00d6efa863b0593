"""Slice view and panel together: the module as it runs in Slicer, on Slicer's own libraries, without a screen."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PySide6 import QtGui, QtWidgets

from harness.fake_slicer import pythonqt
from harness.fake_slicer.slice_view import Place, Stage, stage
from setup_environment import ROOT

MODULE = ROOT / "slicer_module" / "VertebraLandmarks" / "VertebraLandmarks.py"
PANEL_WIDTH = 470


class Desktop:
    """The opened module.

    Args:
        stage: scene and slice view.
        module: the module, shown.

    Attributes:
        panel: the module's panel.
        ui: its widgets by name.
        logic: the module's logic.
        controller: the module's controller.
    """

    def __init__(self, stage: Stage, module: pythonqt.LoadedModule) -> None:
        self.stage, self.module = stage, module
        self.panel: Any = module.widget.panel
        self.ui, self.logic, self.controller = self.panel.ui, self.panel.logic, self.panel.controller

    @property
    def state(self) -> Any:
        """What the controller is doing."""
        return self.controller.state

    def wait(self, is_done: Callable[[], Any], seconds: float = 60.0, what: str = "") -> None:
        """Let Qt run until something is so.

        Raises:
            TimeoutError: it was not so in time.
        """
        end = time.monotonic() + seconds
        while not is_done():
            if time.monotonic() > end:
                seen = f"connection {self.state.connection.value}, busy {self.state.busy}, error {self.state.error}"
                raise TimeoutError(f"{what or 'what was waited for'} did not happen in {seconds:.0f} s: {seen}")
            pythonqt.application().processEvents()
            time.sleep(0.002)

    def settle(self, seconds: float = 0.1) -> None:
        """Let Qt run for a while."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end, seconds + 60)

    def place_of(self, v: int, p: int) -> Place:
        """Where a point lies in the slice view."""
        frame = self.logic.frame
        right, anterior, _ = frame.to_ras(self.logic.editor.xy[v, p])
        return self.stage.place_of((right, anterior))

    def picture(self) -> QtGui.QImage:
        """Slice view and panel side by side, each as high as the higher one."""
        holder = self.module.widgetRepresentation()._target
        assert isinstance(holder, QtWidgets.QWidget)
        panel = holder.grab().toImage()
        view = self.stage.picture()
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
    """The module, opened in a fresh scene.

    Args:
        folder: for settings and unsaved work; what is there from before is found again.
        size: (width, height) of the slice view.
    """
    with stage(size) as opened:
        pythonqt.install(folder)
        module = pythonqt.load_module(MODULE)
        module.show(PANEL_WIDTH)
        try:
            yield Desktop(opened, module)
        finally:
            module.unload()
