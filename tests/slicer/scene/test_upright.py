"""Images stored on their side or head, or mirrored, are shown and measured upright; their points stay as stored."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from VertebraLandmarksLib.client.radiograph import ImageInfo, Radiograph
from VertebraLandmarksLib.client.responses import Prediction
from VertebraLandmarksLib.scene.mrml_nodes import SceneFrame
from VertebraLandmarksLib.spine.geometry import transform_points
from VertebraLandmarksLib.spine.imaging.image_frame import ImageFrame
from VertebraLandmarksLib.spine.imaging.image_geometry import ImageGeometry
from VertebraLandmarksLib.spine.imaging.orientation import EXIF_ORIENTATIONS, UPRIGHT, Orientation
from VertebraLandmarksLib.spine.measurement.origin import Origin
from VertebraLandmarksLib.spine.schema import Spine
from vtk.util.numpy_support import vtk_to_numpy

from lib.phantoms import Phantom

from .conftest import SPACING, Bench

pytestmark = pytest.mark.slicer

ORIENTATIONS = tuple(EXIF_ORIENTATIONS.values())
T1, T7, L5, CENTER, TL = 0, 6, 16, 0, 1


def stored(
    phantom: Phantom, radiograph: Radiograph, orientation: Orientation, is_stated: bool = True
) -> tuple[Radiograph, Spine]:
    """The upright phantom as a file holds it that must be turned by ``orientation``, and its points in that raster."""
    height, width = phantom.pixels.shape
    back = next(one for one in ORIENTATIONS if one.followed_by(orientation) == UPRIGHT)
    pixels = np.ascontiguousarray(back.upright_pixels(phantom.pixels))
    spacing = SPACING[::-1] if orientation.quarter_turns % 2 else SPACING
    facts = ImageInfo(pixels.shape[1], pixels.shape[0], ImageGeometry(spacing))
    facts = replace(facts, orientation=orientation) if is_stated else facts
    xy = transform_points(back.matrix(width, height), phantom.spine.xy)
    return replace(radiograph, pixels=pixels, info=facts), Spine.from_arrays(xy)


def answer_with(spine: Spine, facts: ImageInfo, orientation: Orientation | None = None) -> Prediction:
    return Prediction(spine, facts, Origin("v1", orientation=orientation))


def shown_lines(bench: Bench) -> np.ndarray:
    """Ends of the outlines in the scene."""
    (node,) = bench.nodes("bodies")
    return vtk_to_numpy(node.GetPolyData().GetPoints().GetData())


@pytest.fixture
def upright(labelled: Bench) -> dict[str, np.ndarray]:
    """What the scene holds of the upright phantom."""
    (corners,) = labelled.nodes("corners")
    (radiograph,) = labelled.nodes("image")
    image = radiograph.GetImageData()
    return {
        "corners": np.array([corners.GetNthControlPointPosition(i) for i in range(68)]),
        "lines": shown_lines(labelled).copy(),
        "image": vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[1], -1).copy(),
        "spacing": np.array(radiograph.GetSpacing()),
        "picture": labelled.stage.screenshot(),
    }


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_stored_image_of_every_orientation_looks_like_the_upright_one(
    labelled: Bench, upright: dict[str, np.ndarray], radiograph: Radiograph, phantom: Phantom, orientation: Orientation
) -> None:
    measured = labelled.logic.measurements
    turned, spine = stored(phantom, radiograph, orientation)
    labelled.logic.show_image(turned)
    labelled.logic.editor.load(spine)
    (corners,), (volume,) = labelled.nodes("corners"), labelled.nodes("image")
    image = volume.GetImageData()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[1], -1)
    assert np.array_equal(pixels, upright["image"])
    assert np.allclose(volume.GetSpacing(), upright["spacing"])
    assert np.allclose([corners.GetNthControlPointPosition(i) for i in range(68)], upright["corners"])
    assert np.allclose(shown_lines(labelled), upright["lines"])
    assert np.abs(labelled.stage.screenshot().astype(int) - upright["picture"]).mean() < 0.2
    assert [replace(one, apical_deviation_px=0) for one in labelled.logic.measurements.curves] == [
        replace(one, apical_deviation_px=0) for one in measured.curves
    ]
    assert np.array_equal(labelled.logic.editor.xy, spine.xy), "points stay in stored pixels"
    content = json.loads(labelled.logic.markups())
    assert content["vertebraLandmarks"]["geometry"] == turned.info.geometry.as_dict()


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_drag_on_the_screen_moves_the_stored_point(
    bench: Bench, radiograph: Radiograph, phantom: Phantom, orientation: Orientation
) -> None:
    turned, spine = stored(phantom, radiograph, orientation)
    bench.logic.show_image(turned)
    bench.logic.editor.load(spine)
    bench.stage.render()
    x, y = bench.point(T7, TL)
    bench.stage.drag((x, y), (x + 12, y - 20))
    frame = bench.logic.frame
    moved = frame.to_upright(bench.logic.editor.xy[T7, TL]) - frame.to_upright(spine.xy[T7, TL])
    seen = np.array(bench.place_of(bench.logic.editor.xy[T7, TL])) - (x, y)
    assert moved[0] > 1, "to the right on the screen is to the right in the upright image"
    assert moved[1] > 1, "and down is down"
    assert np.abs(seen - (12, -20)).max() <= 1.5


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_keys_move_and_turn_a_vertebra_as_the_screen_shows_it(
    bench: Bench, radiograph: Radiograph, phantom: Phantom, orientation: Orientation
) -> None:
    turned, spine = stored(phantom, radiograph, orientation)
    bench.logic.show_image(turned)
    bench.logic.editor.load(spine)
    frame = bench.logic.frame
    before = frame.to_upright(spine.xy[T7])
    bench.logic.move_vertebra(T7, 3.0, 2.0)
    assert np.allclose(frame.to_upright(bench.logic.editor.xy[T7]) - before, (3.0, 2.0))
    bench.logic.editor.undo()
    bench.logic.rotate_vertebra(T7, 90.0)
    turned_by = frame.to_upright(bench.logic.editor.xy[T7]) - before[CENTER]
    (x, y), (right, down) = (before[TL] - before[CENTER]), turned_by[TL]
    aspect = SPACING[0] / SPACING[1]
    assert (right, down) == pytest.approx((-y / aspect, x * aspect)), "clockwise on the screen"


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_four_clicks_are_sorted_as_the_screen_shows_them(
    bench: Bench, radiograph: Radiograph, phantom: Phantom, orientation: Orientation
) -> None:
    turned, spine = stored(phantom, radiograph, orientation)
    bench.logic.show_image(turned)
    bench.stage.render()
    bench.logic.start_placement("free", "T7")
    for p in (4, 1, 3, 2):
        bench.stage.click(bench.place_of(spine.xy[T7, p]))
    assert np.abs(bench.logic.editor.xy[T7, 1:] - spine.xy[T7, 1:]).max() < 1


@pytest.mark.parametrize("orientation", [Orientation(2), Orientation(1), Orientation(3)])
def test_the_view_turns_when_the_answer_says_how(
    bench: Bench, radiograph: Radiograph, phantom: Phantom, orientation: Orientation
) -> None:
    turned, spine = stored(phantom, radiograph, orientation, is_stated=False)
    bench.logic.show_image(turned)
    assert bench.logic.frame.orientation == UPRIGHT
    bench.logic.show_prediction(answer_with(spine, turned.info, orientation))
    assert bench.logic.frame.orientation == orientation
    assert bench.logic.frame.upright == SceneFrame(200, 400, SPACING)
    bench.logic.show_image(radiograph)
    assert bench.logic.frame.orientation == UPRIGHT, "the next image is looked at for itself"


@pytest.mark.parametrize("orientation", [Orientation(2), Orientation(1), Orientation(3)])
def test_a_label_says_by_its_points_how_the_image_stands(
    bench: Bench, radiograph: Radiograph, phantom: Phantom, orientation: Orientation
) -> None:
    """Of a server before 0.8, whose answers and drafts say nothing about it."""
    turned, spine = stored(phantom, radiograph, orientation, is_stated=False)
    bench.logic.show_image(turned)
    bench.logic.editor.load(spine)
    assert bench.logic.frame.orientation == orientation
    markups = bench.logic.markups()
    bench.logic.show_image(turned)
    assert bench.logic.frame.orientation == UPRIGHT
    bench.logic.set_label(markups)
    assert bench.logic.frame.orientation == orientation


def test_a_few_points_do_not_turn_the_view_that_the_model_turned(
    bench: Bench, radiograph: Radiograph, phantom: Phantom
) -> None:
    orientation = Orientation(2)
    turned, spine = stored(phantom, radiograph, orientation, is_stated=False)
    centers = np.full((17, 5, 2), np.nan)
    centers[T7:, CENTER] = spine.xy[T7:, CENTER]
    bench.logic.show_image(turned)
    bench.logic.editor.load(Spine.from_arrays(centers), origin=Origin("v1", orientation=orientation))
    assert bench.logic.frame.orientation == orientation


def test_undo_leaves_the_view_as_it_is(bench: Bench, radiograph: Radiograph, phantom: Phantom) -> None:
    turned, spine = stored(phantom, radiograph, Orientation(2), is_stated=False)
    bench.logic.show_image(turned)
    bench.logic.editor.place(T7, TL, (30.0, 30.0))
    assert bench.logic.show_prediction(answer_with(spine, turned.info, Orientation(2)))
    assert bench.logic.frame.orientation == Orientation(2)
    bench.logic.editor.undo()
    assert bench.logic.frame.orientation == Orientation(2)
    assert bench.markups_xy("corners")[4 * T7] == pytest.approx((30.0, 30.0))


def test_what_lies_off_the_image_is_neither_drawn_nor_measured_until_it_is_placed(
    bench: Bench, radiograph: Radiograph, phantom: Phantom
) -> None:
    cut = int(phantom.spine.xy[3, :, 1].mean())  # through T4
    lower = replace(radiograph, pixels=phantom.pixels[cut:], info=replace(radiograph.info, height=400 - cut))
    spine = Spine.from_arrays(phantom.spine.xy - (0, cut), np.full((17, 5), 0.9))
    bench.logic.show_image(lower)
    bench.logic.show_prediction(answer_with(spine, lower.info))
    assert np.isnan(bench.logic.editor.xy[:3]).all()
    assert np.isnan(bench.markups_xy("corners")[:12]).all()
    assert all(curve.ends[0] > 2 for curve in bench.logic.measurements.curves)
    kept = bench.logic.editor.spine()
    assert kept.xy[:3] == pytest.approx(spine.xy[:3]), "the model's places are still known"
    assert not kept.visible[:3].any()
    statuses = [one["positionStatus"] for one in json.loads(bench.logic.markups())["markups"][1]["controlPoints"]]
    assert statuses[:12] == ["undefined"] * 12
    bench.logic.editor.place_corners(2, np.array([(60, 4), (90, 4), (60, 12), (90, 12)]))
    assert bench.logic.editor.spine().visible[2].all()


def test_a_point_dragged_off_the_image_is_not_measured(labelled: Bench) -> None:
    logic = labelled.logic
    logic.editor.move_point(L5, CENTER, (100.0, 450.0))
    assert all(curve.ends[1] < L5 for curve in logic.measurements.curves)
    assert np.isfinite(logic.editor.xy[L5]).all(), "but it can be dragged back"
    assert "L5" not in {one for curve in logic.measurements.curves for one in (curve.upper_end, curve.lower_end)}


def test_a_person_says_which_side_is_at_the_left(labelled: Bench) -> None:
    logic = labelled.logic
    in_image = [curve.side for curve in logic.measurements.curves]
    logic.set_side("right")
    assert [curve.side for curve in logic.measurements.curves] != in_image
    logic.set_side("left")
    assert [curve.side for curve in logic.measurements.curves] == in_image
    assert logic.image_frame.image_left_is == "left"
    logic.show_image(logic.radiograph)
    assert logic.image_left_is is None


def test_a_file_that_is_wrong_about_the_orientation_is_not_believed_about_the_side(
    bench: Bench, radiograph: Radiograph, phantom: Phantom
) -> None:
    turned, spine = stored(phantom, radiograph, Orientation(2), is_stated=False)
    facts = replace(turned.info, image_left_is="right", image_left_is_source="PatientOrientation")
    bench.logic.show_image(replace(turned, info=facts))
    assert bench.logic.image_left_is == "right"
    bench.logic.show_prediction(answer_with(spine, facts, Orientation(2)))
    assert bench.logic.image_left_is is None
    said = ImageFrame(facts.width, facts.height, None, "right").resolved(spine).image_left_is
    assert said is None, "as at the server"
