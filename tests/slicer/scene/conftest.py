"""Fixtures of scene and slice view: a stage, the logic on it, and a phantom; errors inside callbacks are failures."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest
import vtk
from VertebraLandmarksLib.client.radiograph import LOCAL, ImageInfo, Radiograph
from VertebraLandmarksLib.scene.logic import VertebraLandmarksLogic
from VertebraLandmarksLib.spine.imaging.image_geometry import ImageGeometry

from harness.fake_slicer.slice_view import Stage, ViewPosition, stage
from lib.phantoms import Phantom, PhantomSpec, render_phantom

SPACING = (0.5, 0.25)


class Bench:
    """The logic in a scene with a rendered view, and hands for both."""

    def __init__(self, opened: Stage) -> None:
        self.stage = opened
        self.logic = VertebraLandmarksLogic(opened.scene)

    def place_of(self, xy: np.ndarray) -> ViewPosition:
        """Where a stored pixel of the image lies in the view."""
        right, anterior, _ = self.logic.frame.to_ras(np.asarray(xy))
        return self.stage.position_of((right, anterior))

    def point(self, v: int, p: int) -> ViewPosition:
        """Where a point lies in the view."""
        return self.place_of(self.logic.editor.xy[v, p])

    def nodes(self, role: str) -> list:
        """The module's nodes of a role, without display nodes."""
        scene = self.stage.scene
        every = (scene.GetNthNode(i) for i in range(scene.GetNumberOfNodes()))
        found = [node for node in every if node.GetAttribute("VertebraLandmarks.role") == role]
        return [node for node in found if not node.IsA("vtkMRMLDisplayNode")]

    def markups_xy(self, role: str) -> np.ndarray:
        """``(N, 2)`` stored pixels of the control points of a list as the scene has them, NaN for unset ones."""
        (node,) = self.nodes(role)
        places = []
        for i in range(node.GetNumberOfControlPoints()):
            is_set = node.GetNthControlPointPositionStatus(i) == node.PositionDefined
            places.append(node.GetNthControlPointPosition(i) if is_set else (np.nan,) * 3)
        return self.logic.frame.to_pixels(np.array(places))


@pytest.fixture(autouse=True)
def no_error_in_callbacks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """VTK prints what callbacks raise and goes on; its own errors it prints too."""
    raised: list[object] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: raised.append(error))
    window = vtk.vtkOutputWindow.GetInstance()
    told = window.AddObserver("ErrorEvent", lambda *_: raised.append("an error of VTK, see what it printed"))
    yield
    window.RemoveObserver(told)
    assert raised == []


@pytest.fixture
def slicer_stage() -> Iterator[Stage]:
    """A fresh scene with one rendered slice view."""
    with stage() as opened:
        yield opened


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """A spine with two curves, 400 x 200 px."""
    return render_phantom(PhantomSpec(height=400, width=200, seed=3, curves=((6, 48.0), (13, -30.0))))


@pytest.fixture
def radiograph(phantom: Phantom) -> Radiograph:
    """The phantom as an image with pixels that are not square, and nothing about the patient's side."""
    height, width = phantom.pixels.shape
    return Radiograph("phantom", phantom.pixels, LOCAL, None, ImageInfo(width, height, ImageGeometry(SPACING)))


@pytest.fixture
def bench(slicer_stage: Stage) -> Iterator[Bench]:
    """The logic without an image."""
    made = Bench(slicer_stage)
    yield made
    made.logic.cleanup()


@pytest.fixture
def labelled(bench: Bench, radiograph: Radiograph, phantom: Phantom) -> Bench:
    """The logic with the phantom and its landmarks, fitted and rendered."""
    bench.logic.show_image(radiograph)
    bench.logic.editor.load(phantom.spine)
    bench.stage.render()
    return bench
