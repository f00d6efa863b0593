"""Slicer's own libraries without its desktop: a scene, one rendered slice view, and simulated mouse events.

``Stage()`` creates what the application creates when it starts: application logic, scene, the logics of Markups and
colors, and a slice view ``Red`` with its displayable managers and interactor style, rendered off screen (EGL).
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")  # asks no X server first

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

_MANAGERS = (
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
)
ViewPosition = tuple[float, float]
"""(x, y) pixels from the lower left corner of the view, y up, as in VTK."""


class Stage:
    """One scene and one slice view.

    Args:
        size: (width, height) of the view in pixels.

    Attributes:
        scene: ``slicer.mrmlScene`` while the stage is open.
        app_logic: ``slicer.app.applicationLogic()`` of the desktop.
        slice_logic: of the view.
        slice_node: of the view.
        interactor: receives mouse events.
        window: rendered by ``render`` only.
    """

    def __init__(self, size: tuple[int, int] = (600, 1000)) -> None:
        self._scene_before = getattr(slicer, "mrmlScene", None)
        self.scene = slicer.vtkMRMLScene()
        slicer.mrmlScene = self.scene
        self.app_logic = slicer.vtkSlicerApplicationLogic()
        self.app_logic.SetMRMLScene(self.scene)
        self.app_logic.SetSliceLogics(vtk.vtkCollection())
        self.app_logic.SetViewLogics(vtk.vtkCollection())
        self._colors = self.app_logic.GetColorLogic()
        self._colors.SetMRMLScene(self.scene)
        self._colors.AddDefaultColorNodes()
        self.app_logic.SetModuleLogic("Colors", self._colors)
        self.markups_logic = slicer.vtkSlicerMarkupsLogic()
        self.markups_logic.SetMRMLApplicationLogic(self.app_logic)
        self.markups_logic.SetMRMLScene(self.scene)
        self.app_logic.SetModuleLogic("Markups", self.markups_logic)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)
        self._make_view(size)
        self._mouse: ViewPosition = (0.0, 0.0)

    def _make_view(self, size: tuple[int, int]) -> None:
        self.renderer, overlay = vtk.vtkRenderer(), vtk.vtkRenderer()
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(True)
        self.window.SetMultiSamples(0)
        self.window.SetAlphaBitPlanes(True)
        self.window.SetNumberOfLayers(2)
        self.window.SetSize(*size)
        for layer, renderer in enumerate((self.renderer, overlay)):
            renderer.SetLayer(layer)
            renderer.GetActiveCamera().ParallelProjectionOn()
            self.window.AddRenderer(renderer)
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.EnableRenderOff()
        self._mapper, self._image = vtk.vtkImageMapper(), vtk.vtkActor2D()
        self._mapper.SetColorWindow(255)  # the volume's display node made gray values of 0 to 255
        self._mapper.SetColorLevel(127.5)
        self._image.SetMapper(self._mapper)
        self._image.GetProperty().SetDisplayLocationToBackground()
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(self.app_logic)
        for name in _MANAGERS:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._managers = slicer.vtkMRMLDisplayableManagerGroup()
        self._managers.Initialize(factory, self.renderer)
        self.slice_logic = slicer.vtkMRMLSliceLogic()
        self.slice_logic.SetMRMLApplicationLogic(self.app_logic)
        self.app_logic.GetSliceLogics().AddItem(self.slice_logic)
        self.slice_logic.SetMRMLScene(self.scene)
        self.slice_node = self.slice_logic.AddSliceNode("Red")
        self.slice_node.SetOrientation("Axial")
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetSliceLogic(self.slice_logic)
        self._style.SetDisplayableManagers(self._managers)
        self._style.SetInteractor(self.interactor)
        self._managers.SetMRMLDisplayableNode(self.slice_node)
        self.slice_logic.ResizeSliceNode(*size)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the view in pixels."""
        width, height = self.window.GetSize()
        return width, height

    def close(self) -> None:
        """Release view and scene, and restore ``slicer.mrmlScene``."""
        self._style.SetInteractor(None)
        self._style.SetDisplayableManagers(None)
        self._managers.SetMRMLDisplayableNode(None)
        self.app_logic.GetSliceLogics().RemoveAllItems()
        self.scene.Clear(1)
        self.slice_logic.SetMRMLScene(None)
        self.window.Finalize()
        slicer.mrmlScene = self._scene_before

    def render(self) -> None:
        """Render the scene."""
        image = self.slice_logic.GetImageDataConnection()
        self._mapper.SetInputConnection(image)
        if image is None:
            self.renderer.RemoveViewProp(self._image)
        elif not self.renderer.HasViewProp(self._image):
            self.renderer.AddViewProp(self._image)
        self.window.Render()

    def screenshot(self) -> np.ndarray:
        """``(H, W, 3)`` uint8: the rendered view, first row at the top."""
        self.render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.SetInputBufferTypeToRGB()
        grab.ReadFrontBufferOff()
        grab.ShouldRerenderOff()
        grab.Update()
        width, height, _ = grab.GetOutput().GetDimensions()
        pixels = vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars()).reshape(height, width, 3)
        return np.ascontiguousarray(pixels[::-1])

    def position_of(self, ras: tuple[float, float]) -> ViewPosition:
        """Position in the view of a point of the scene, (R, A) in millimetres."""
        to_view = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.slice_node.GetXYToRAS(), to_view)
        x, y, _, _ = to_view.MultiplyPoint((*ras, 0.0, 1.0))
        return x, y

    def ras_of(self, position: ViewPosition) -> tuple[float, float]:
        """Point of the scene, (R, A) in millimetres, at a position in the view."""
        right, anterior, _, _ = self.slice_node.GetXYToRAS().MultiplyPoint((*position, 0.0, 1.0))
        return right, anterior

    def move(self, position: ViewPosition) -> None:
        """Move the mouse to the nearest pixel of the view."""
        self._mouse = position
        self._notify()
        self.interactor.MouseMoveEvent()

    def press(self) -> None:
        """Press the left button."""
        self._notify()
        self.interactor.LeftButtonPressEvent()

    def release(self) -> None:
        """Release the left button."""
        self._notify()
        self.interactor.LeftButtonReleaseEvent()

    def click(self, position: ViewPosition) -> None:
        """Move to a position and click."""
        self.move(position)
        self.press()
        self.release()

    def drag(
        self, start: ViewPosition, stop: ViewPosition, steps: int = 8, after_each: Callable[[], None] | None = None
    ) -> None:
        """Drag from one position to another in equal steps.

        Args:
            start: where the button is pressed.
            stop: where it is released.
            steps: number of move events.
            after_each: called after each of them.
        """
        self.move(start)
        self.press()
        for step in range(1, steps + 1):
            share = step / steps
            self.move((start[0] + share * (stop[0] - start[0]), start[1] + share * (stop[1] - start[1])))
            if after_each is not None:
                after_each()
        self.release()

    def wheel(self, position: ViewPosition, notches: int, control: bool = False) -> None:
        """Turn the wheel at a position: forward for positive numbers."""
        self.move(position)
        for _ in range(abs(notches)):
            self._notify(control)
            turn = self.interactor.MouseWheelForwardEvent if notches > 0 else self.interactor.MouseWheelBackwardEvent
            turn()

    def _notify(self, control: bool = False) -> None:
        x, y = (round(value) for value in self._mouse)
        self.interactor.SetEventInformation(x, y, int(control))

    def node_counts(self) -> Counter[str]:
        """Number of nodes of the scene by class."""
        return Counter(self.scene.GetNthNode(i).GetClassName() for i in range(self.scene.GetNumberOfNodes()))

    def observer_counts(self) -> dict[str, int]:
        """Number of observers of each node by its ID, and of the scene itself as ``scene``."""
        nodes = [self.scene.GetNthNode(i) for i in range(self.scene.GetNumberOfNodes())]
        return {"scene": observers(self.scene), **{node.GetID(): observers(node) for node in nodes}}


def observers(observed: Any) -> int:
    """Number of observers of a VTK object, in C++ and in Python."""
    newest = observed.AddObserver("DeleteEvent", lambda *_: None)
    observed.RemoveObserver(newest)
    return sum(observed.GetCommand(tag) is not None for tag in range(1, newest))


@contextmanager
def stage(size: tuple[int, int] = (600, 1000)) -> Iterator[Stage]:
    """A stage for the time of the block."""
    opened = Stage(size)
    try:
        yield opened
    finally:
        opened.close()
