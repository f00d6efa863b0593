"""Lines and texts as the slice view shows them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from VertebraLandmarksLib.spine.display import DOUBTFUL, IMPLAUSIBLE, MEASURED, SURE
from VertebraLandmarksLib.spine.imaging.image_geometry import ImageGeometry
from VertebraLandmarksLib.spine.overlay_geometry import format_curve
from VertebraLandmarksLib.spine.schema import Spine

from lib.phantoms import Phantom

pytestmark = pytest.mark.slicer

TL, TR, BL, BR = 1, 2, 3, 4
T7 = 6


@pytest.fixture
def dark(labelled, radiograph):
    """The phantom's landmarks on a black image, without points and names."""
    logic, spine = labelled.logic, labelled.logic.editor.spine()
    logic.show_image(type(radiograph)(**{**vars(radiograph), "pixels": np.zeros_like(radiograph.pixels)}))
    logic.editor.load(spine)
    for layer in ("centers", "corners", "labels"):
        logic.set_layer(layer, False)
    labelled.stage.render()
    return labelled


def color_on(bench, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Brightest color around the middle of a line between two pixels of the image."""
    image = bench.stage.screenshot()
    x, y = bench.place_of((np.asarray(start) + stop) / 2)
    row, column = round(bench.stage.size[1] - 1 - y), round(x)
    around = image[row - 2 : row + 3, column - 2 : column + 3].reshape(-1, 3)
    return around[around.sum(axis=1).argmax()].astype(int)


def shares(color: np.ndarray, expected: tuple[int, ...]) -> bool:
    """Whether two colors have the same hue; lines are smoothed and thus darker."""
    return color.max() > 60 and np.allclose(color / color.max(), np.array(expected) / max(expected), atol=0.12)


def test_endplates_and_sides_are_drawn_on_the_image(dark, phantom: Phantom) -> None:
    xy = phantom.spine.xy[T7]
    for a, b in ((TL, TR), (BL, BR), (TL, BL), (TR, BR)):
        assert shares(color_on(dark, xy[a], xy[b]), SURE)
    assert not color_on(dark, xy[0], xy[0]).any()


def test_layers_are_drawn_or_not(dark, phantom: Phantom) -> None:
    xy, logic = phantom.spine.xy[T7], dark.logic
    logic.set_layer("outlines", False)
    assert color_on(dark, xy[TL], xy[TR]).any()
    assert not color_on(dark, xy[TL], xy[BL]).any()
    logic.set_layer("endplates", False)
    assert not color_on(dark, xy[TL], xy[TR]).any()
    logic.set_layer("angles", False)
    assert not dark.stage.screenshot().any()
    for layer in ("outlines", "endplates"):
        logic.set_layer(layer, True)
    assert color_on(dark, xy[TL], xy[BL]).any()


def test_doubtful_and_implausible_vertebrae_have_their_colors(dark, radiograph, phantom: Phantom) -> None:
    square = replace(radiograph.info, geometry=ImageGeometry((0.25, 0.25)))  # else all bodies are too wide
    dark.logic.show_image(replace(radiograph, pixels=np.zeros_like(radiograph.pixels), info=square))
    dark.logic.set_layer("angles", False)
    scores, xy = np.ones((17, 5)), phantom.spine.xy
    scores[T7] = 0.1
    xy[2, [TL, TR]] = xy[2, [TR, TL]]
    dark.logic.editor.load(Spine.from_arrays(xy, scores))
    assert "T3" in {name for broken in dark.logic.measurements.violations for name in broken.vertebrae}
    assert shares(color_on(dark, xy[T7, TL], xy[T7, TR]), DOUBTFUL)
    assert shares(color_on(dark, xy[2, BL], xy[2, BR]), IMPLAUSIBLE)
    assert shares(color_on(dark, xy[10, TL], xy[10, TR]), SURE)


def test_cobb_lines_and_angle_are_drawn_and_follow(dark, phantom: Phantom) -> None:
    for layer in ("outlines", "endplates"):
        dark.logic.set_layer(layer, False)
    curve = max(dark.logic.measurements.curves, key=lambda one: one.angle_deg)
    a, _ = curve.ends
    xy = phantom.spine.xy
    assert shares(color_on(dark, xy[a, TL], xy[a, TR]), MEASURED)
    (texts,) = dark.nodes("angles")
    labels = [texts.GetNthControlPointLabel(i) for i in range(texts.GetNumberOfControlPoints())]
    assert format_curve(curve) in labels
    before = dark.stage.screenshot()
    dark.logic.editor.rotate_vertebra(a, -8)
    after = [texts.GetNthControlPointLabel(i) for i in range(texts.GetNumberOfControlPoints())]
    assert after != labels
    assert not np.array_equal(before, dark.stage.screenshot())


def test_lines_that_are_gone_are_not_drawn(dark) -> None:
    for v in range(17):
        dark.logic.editor.hide(v)
    assert not dark.stage.screenshot().any()
    (texts,) = dark.nodes("angles")
    assert texts.GetNumberOfControlPoints() == 0


def test_lines_are_in_the_slice_view_only_and_nobody_can_take_hold_of_texts(labelled) -> None:
    for role in ("bodies", "cobb", "names", "angles"):
        (node,) = labelled.nodes(role)
        display = node.GetDisplayNode()
        assert display.GetViewNodeIDs() == ("vtkMRMLSliceNodeRed",)
        assert node.GetHideFromEditors()
        if role in ("bodies", "cobb"):
            assert not display.GetVisibility3D()
        else:
            assert node.GetLocked()


def test_nothing_of_it_is_saved_with_the_scene(labelled) -> None:
    scene = labelled.stage.scene
    own = [
        node
        for i in range(scene.GetNumberOfNodes())
        if (node := scene.GetNthNode(i)).GetAttribute("VertebraLandmarks.role")
    ]
    assert len(own) == 15
    assert not any(node.GetSaveWithScene() for node in own)


def test_names_are_seen_when_there_is_room_for_them(labelled) -> None:
    (names,) = labelled.nodes("names")
    assert names.GetNumberOfControlPoints() == 17
    node = labelled.stage.slice_node
    width, height, depth = node.GetFieldOfView()
    node.SetFieldOfView(10 * width, 10 * height, depth)
    assert names.GetNumberOfControlPoints() == 0
    node.SetFieldOfView(width, height, depth)
    assert names.GetNumberOfControlPoints() == 17


def test_names_stand_beside_their_vertebra_however_far_it_is_zoomed(labelled, phantom: Phantom) -> None:
    (names,) = labelled.nodes("names")
    rightmost = phantom.spine.xy[T7, :, 0].max()
    gaps = []
    for factor in (1.0, 1.5):
        node = labelled.stage.slice_node
        width, height, depth = node.GetFieldOfView()
        node.SetFieldOfView(factor * width, factor * height, depth)
        right, anterior, _ = names.GetNthControlPointPosition(T7)
        gaps.append(labelled.stage.position_of((right, anterior))[0] - labelled.place_of((rightmost, 0))[0])
    assert gaps == pytest.approx([6, 6])
