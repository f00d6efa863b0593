"""The slice view: fitted to the image, moved to vertebrae, and given back as it was."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk

from lib.phantoms import Phantom

pytestmark = pytest.mark.slicer

T7, L5 = 6, 16


def corners_in_view(bench, radiograph) -> np.ndarray:
    height, width = radiograph.pixels.shape
    return np.array(
        [bench.place_of(corner) for corner in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1))]
    )


def user_volume(bench):
    node = bench.stage.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "the user's")
    image = vtk.vtkImageData()
    image.SetDimensions(10, 20, 30)
    image.AllocateScalars(vtk.VTK_SHORT, 1)
    node.SetAndObserveImageData(image)
    node.CreateDefaultDisplayNodes()
    return node


def view_of(bench) -> tuple:
    node, composite = bench.stage.slice_node, bench.stage.slice_logic.GetSliceCompositeNode()
    matrix = node.GetSliceToRAS()
    return (
        [[matrix.GetElement(i, j) for j in range(4)] for i in range(4)],
        node.GetFieldOfView(),
        node.GetXYZOrigin(),
        composite.GetBackgroundVolumeID(),
        composite.GetForegroundVolumeID(),
        composite.GetLabelVolumeID(),
    )


def test_an_image_fills_the_view_without_being_cut(labelled, radiograph) -> None:
    places = corners_in_view(labelled, radiograph)
    width, height = labelled.stage.size
    assert (places >= 0).all()
    assert (places <= (width, height)).all()
    shares = (places.max(axis=0) - places.min(axis=0)) / (width, height)
    assert shares.max() > 0.95


def test_pixels_that_are_not_square_are_drawn_in_their_proportion(labelled) -> None:
    zero, right, below = (np.array(labelled.place_of(p)) for p in ((0, 0), (100, 0), (0, 100)))
    assert (right - zero)[0] / (zero - below)[1] == pytest.approx(2.0)


def test_the_image_is_the_only_volume_in_the_view(bench, radiograph) -> None:
    other = user_volume(bench)
    composite = bench.stage.slice_logic.GetSliceCompositeNode()
    composite.SetBackgroundVolumeID(other.GetID())
    composite.SetForegroundVolumeID(other.GetID())
    bench.logic.show_image(radiograph)
    assert composite.GetBackgroundVolumeID() == bench.nodes("image")[0].GetID()
    assert composite.GetForegroundVolumeID() is None


def test_the_view_is_given_back_as_it_was(bench, radiograph) -> None:
    other, node = user_volume(bench), bench.stage.slice_node
    composite = bench.stage.slice_logic.GetSliceCompositeNode()
    composite.SetBackgroundVolumeID(other.GetID())
    composite.SetForegroundVolumeID(other.GetID())
    node.SetOrientation("Coronal")
    node.SetFieldOfView(77.0, 99.0, 1.0)
    before = view_of(bench)
    bench.logic.show_image(radiograph)
    bench.logic.show_image(radiograph)
    assert view_of(bench) != before
    bench.logic.close_image()
    assert view_of(bench) == before


def test_a_volume_that_was_removed_meanwhile_is_not_shown_again(bench, radiograph) -> None:
    other = user_volume(bench)
    composite = bench.stage.slice_logic.GetSliceCompositeNode()
    composite.SetBackgroundVolumeID(other.GetID())
    bench.logic.show_image(radiograph)
    bench.stage.scene.RemoveNode(other)
    bench.logic.close_image()
    assert composite.GetBackgroundVolumeID() is None


def test_the_layout_is_one_slice_view_and_what_it_was_afterwards(bench, radiograph) -> None:
    layout = slicer.vtkMRMLLayoutNode()
    bench.stage.scene.AddNode(layout)
    layout.SetViewArrangement(layout.SlicerLayoutFourUpView)
    bench.logic.show_image(radiograph)
    assert layout.GetViewArrangement() == layout.SlicerLayoutOneUpRedSliceView
    layout.SetViewArrangement(layout.SlicerLayoutConventionalView)
    bench.logic.show_image(radiograph)
    assert layout.GetViewArrangement() == layout.SlicerLayoutConventionalView, "the user's choice counts"
    bench.logic.close_image()
    assert layout.GetViewArrangement() == layout.SlicerLayoutFourUpView


def test_the_image_layer_hides_the_image_and_leaves_the_points(labelled) -> None:
    composite = labelled.stage.slice_logic.GetSliceCompositeNode()
    with_image = labelled.stage.screenshot().astype(int).sum()
    labelled.logic.set_layer("image", False)
    assert composite.GetBackgroundVolumeID() is None
    without = labelled.stage.screenshot()
    assert 0 < without.astype(int).sum() < with_image / 5
    labelled.logic.set_layer("image", True)
    assert labelled.stage.screenshot().astype(int).sum() == pytest.approx(with_image, rel=0.01)


def test_jumping_shows_a_vertebra_large_in_the_middle(labelled, phantom: Phantom) -> None:
    labelled.logic.jump_to("T7")
    width, height = labelled.stage.size
    assert labelled.place_of(phantom.spine.xy[T7].mean(axis=0)) == pytest.approx((width / 2, height / 2), abs=1.5)
    body = labelled.point(T7, 1)[1] - labelled.point(T7, 3)[1]
    assert height / 10 < body < height / 4
    labelled.logic.jump_to(None)
    assert labelled.point(T7, 1)[1] - labelled.point(T7, 3)[1] < body / 2


def test_jumping_to_a_hidden_vertebra_shows_where_it_would_be(labelled, phantom: Phantom) -> None:
    labelled.logic.editor.hide(T7)
    labelled.logic.jump_to("T7")
    width, height = labelled.stage.size
    x, y = labelled.place_of(phantom.spine.xy[T7].mean(axis=0))
    assert abs(x - width / 2) < width / 4
    assert abs(y - height / 2) < height / 8


def test_jumping_without_points_changes_nothing(bench, radiograph) -> None:
    bench.logic.show_image(radiograph)
    before = view_of(bench)
    bench.logic.jump_to("T7")
    assert view_of(bench) == before


def test_jumping_to_what_is_no_vertebra_is_refused(labelled) -> None:
    with pytest.raises(ValueError, match="vertebra 'L6' is not one of T1, T2"):
        labelled.logic.jump_to("L6")


def test_the_wheel_zooms_with_control_and_does_not_leave_the_image_without(labelled) -> None:
    before = labelled.stage.slice_node.GetFieldOfView()[0]
    labelled.stage.wheel((300, 500), 3, control=True)
    assert labelled.stage.slice_node.GetFieldOfView()[0] != before
    labelled.stage.wheel((300, 500), 5)
    assert labelled.stage.slice_node.GetSliceOffset() == pytest.approx(0)


def test_a_scene_without_a_view_is_enough(radiograph, phantom: Phantom) -> None:
    from VertebraLandmarksLib.scene.logic import VertebraLandmarksLogic

    scene = slicer.vtkMRMLScene()
    logic = VertebraLandmarksLogic(scene)
    logic.show_image(radiograph)
    logic.editor.load(phantom.spine)
    logic.fit()
    logic.jump_to("T7")
    logic.set_layer("image", False)
    logic.start_placement("guided", "T7")
    logic.stop_placement()
    assert len(logic.measurements.curves) >= 1
    logic.cleanup()
    assert scene.GetNumberOfNodes() == 0
