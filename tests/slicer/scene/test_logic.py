"""The logic: image, answers and labels, scenes that are closed, and what listeners hear."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import slicer
from VertebraLandmarksLib.client.radiograph import ImageInfo
from VertebraLandmarksLib.client.responses import Prediction
from VertebraLandmarksLib.editor.spine_editor import ADOPTED, LOADED, MOVED
from VertebraLandmarksLib.scene.logic import VertebraLandmarksLogic
from VertebraLandmarksLib.spine.imaging.image_geometry import ImageGeometry
from VertebraLandmarksLib.spine.labels.markups import to_markups
from VertebraLandmarksLib.spine.measurement.angle_interval import READER_TILT_HALF_WIDTH_DEG
from VertebraLandmarksLib.spine.measurement.image_warnings import (
    IMPLAUSIBLE,
    NAMES,
    POLARITY,
    SECOND_SPINE,
    ImageWarning,
    measurement_warnings,
)
from VertebraLandmarksLib.spine.measurement.measured_spine import measure
from VertebraLandmarksLib.spine.measurement.origin import Origin
from VertebraLandmarksLib.spine.schema import Spine

from lib.phantoms import Phantom
from lib.spine.geometry import body_heights, corners_of
from lib.spine.labels.markups import read_markups, write_markups
from lib.spine.measurement.report import curves_of

from ...oblong import ASPECTS, FRAME, oblong, square

pytestmark = pytest.mark.slicer

CENTER, TL = 0, 1
T3, T7, L5 = 2, 6, 16


def answer_with(xy: np.ndarray, score: float = 0.8) -> Prediction:
    spine = Spine.from_arrays(xy, np.full((17, 5), score), np.full((17, 5), 1.5))
    return Prediction(spine, ImageInfo(200, 400), Origin("v1", 0.97, (2.0,) * 17))


def test_the_scene_is_slicers_own_when_left_out(slicer_stage, radiograph) -> None:
    logic = VertebraLandmarksLogic()
    logic.show_image(radiograph)
    assert slicer_stage.node_counts()["vtkMRMLScalarVolumeNode"] == 1
    logic.cleanup()


def test_an_image_is_shown_without_points(bench, radiograph) -> None:
    assert bench.logic.radiograph is None
    bench.logic.show_image(radiograph)
    assert bench.logic.radiograph is radiograph
    assert np.isnan(bench.logic.editor.xy).all()
    assert bench.logic.measurements.curves == ()
    bench.logic.close_image()
    assert bench.logic.radiograph is None
    assert bench.nodes("image") == bench.nodes("corners") == bench.nodes("bodies") == []


def test_points_are_measured_anew_after_every_change(labelled, phantom: Phantom) -> None:
    logic = labelled.logic
    editor = logic.editor
    first = logic.measurements
    assert logic.measurements is first
    assert first == measure(phantom.spine, logic.image_frame)
    editor.rotate_vertebra(T3, 15)
    assert logic.measurements != first
    assert logic.measurements == measure(editor.spine(), logic.image_frame)
    editor.undo()
    assert logic.measurements == first


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("is_of_spacing", [True, False])
def test_pixels_that_are_not_square_are_measured_and_shown_as_the_patient_is(
    bench, radiograph, aspect: float, is_of_spacing: bool
) -> None:
    one, logic = oblong(aspect), bench.logic
    height, width = one.pixels.shape
    spacing, stated = ((0.2 * aspect, 0.2), None) if is_of_spacing else ((1.0, 1.0), aspect)
    info = ImageInfo(width, height, ImageGeometry(spacing, stated_aspect=stated))
    logic.show_image(replace(radiograph, pixels=one.pixels, info=info))
    logic.editor.load(Spine.from_arrays(one.spine.xy))
    true = [curve.angle_deg for curve in curves_of(square().spine, FRAME)]
    assert [curve.angle_deg for curve in logic.measurements.curves] == pytest.approx(true, abs=1e-6)
    assert logic.warnings == ()
    assert logic.frame.spacing[0] / logic.frame.spacing[1] == pytest.approx(aspect)
    read = logic.markups()
    logic.set_label(read)
    assert [curve.angle_deg for curve in logic.measurements.curves] == pytest.approx(true, abs=1e-6)
    before = logic.measurements.curves
    for v in range(17):
        logic.rotate_vertebra(v, 5.0)
    assert [curve.angle_deg for curve in logic.measurements.curves] == pytest.approx(
        [curve.angle_deg for curve in before], abs=1e-6
    ), "bodies are turned without being sheared"
    heights = body_heights(corners_of(xy_of(logic)))
    assert heights == pytest.approx(body_heights(corners_of(square().spine.xy))), "and keep their size"


def xy_of(logic) -> np.ndarray:
    """Points in square pixels as large as those of the phantom."""
    frame = logic.image_frame
    scale = np.sqrt(400 * 800 / (frame.width * frame.height))
    return scale * frame.upright(logic.editor.spine()).xy


def test_an_answer_is_a_new_beginning_while_nothing_was_changed(bench, radiograph, phantom: Phantom) -> None:
    bench.logic.show_image(radiograph)
    bench.logic.show_prediction(answer_with(phantom.spine.xy))
    assert np.array_equal(bench.logic.editor.xy, phantom.spine.xy)
    assert not bench.logic.editor.can_undo
    assert bench.logic.measurements.curves[0].half_width_deg == pytest.approx(np.hypot(2, 2))


def test_an_answer_in_the_place_of_a_label_can_be_undone(bench, radiograph, phantom: Phantom) -> None:
    bench.logic.show_image(radiograph)
    bench.logic.editor.load(phantom.spine)
    label = bench.logic.markups()
    bench.logic.set_label(label, origin=Origin("v0"), is_own=True)
    assert bench.logic.show_prediction(answer_with(phantom.spine.xy + 2))
    assert bench.logic.editor.origin.model_version == "v1"
    assert bench.logic.measurements.curves[0].half_width_deg == pytest.approx(np.hypot(2, 2))
    assert bench.logic.editor.undo()
    assert bench.logic.markups() == label
    assert bench.logic.editor.origin.model_version == "v0"
    readers = np.hypot(READER_TILT_HALF_WIDTH_DEG, READER_TILT_HALF_WIDTH_DEG)
    assert bench.logic.measurements.curves[0].half_width_deg == pytest.approx(readers)


def test_an_answer_leaves_what_was_touched(labelled, phantom: Phantom) -> None:
    labelled.logic.editor.move_point(T7, TL, (100.5, 120.25))
    labelled.logic.editor.hide(L5)
    labelled.logic.show_prediction(answer_with(phantom.spine.xy + 2))
    xy = labelled.logic.editor.xy
    assert xy[T7, TL].tolist() == [100.5, 120.25]
    assert np.isnan(xy[L5]).all()
    assert np.array_equal(xy[0], phantom.spine.xy[0] + 2)
    assert labelled.logic.editor.edits == 2
    assert np.allclose(labelled.markups_xy("centers")[0], phantom.spine.xy[0, CENTER] + 2)
    labelled.logic.editor.undo()
    assert np.array_equal(labelled.logic.editor.xy[0], phantom.spine.xy[0])


def test_markups_are_those_of_the_numpy_tier(labelled, radiograph, tmp_path: Path) -> None:
    labelled.logic.editor.move_point(T7, TL, (100.5, 120.25))
    labelled.logic.editor.hide(L5)
    path = tmp_path / "label.mrk.json"
    write_markups(path, labelled.logic.editor.spine(), radiograph.info.geometry)
    assert labelled.logic.markups() == path.read_bytes()
    path.write_bytes(labelled.logic.markups())
    again = read_markups(path, radiograph.info.geometry).xy
    assert np.allclose(again, labelled.logic.editor.xy, equal_nan=True)


def test_slicer_itself_opens_the_markups(labelled, tmp_path: Path) -> None:
    labelled.logic.editor.hide(L5)
    path = tmp_path / "label.mrk.json"
    path.write_bytes(labelled.logic.markups())
    scene = labelled.stage.scene
    before = scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode")
    assert labelled.stage.markups_logic.LoadMarkups(str(path), "label") is not None
    lists = [scene.GetNthNodeByClass(before + i, "vtkMRMLMarkupsFiducialNode") for i in range(2)]
    found = {}
    for node in lists:
        for i in range(node.GetNumberOfControlPoints()):
            is_set = node.GetNthControlPointPositionStatus(i) == node.PositionDefined
            found[node.GetNthControlPointLabel(i)] = node.GetNthControlPointPosition(i) if is_set else None
    assert [node.GetNumberOfControlPoints() for node in lists] == [17, 68]
    for kind in ("centers", "corners"):
        (own,) = labelled.nodes(kind)
        for i in range(own.GetNumberOfControlPoints()):
            place = found[own.GetNthControlPointLabel(i)]
            if own.GetNthControlPointPositionStatus(i) == own.PositionDefined:
                assert place == pytest.approx(own.GetNthControlPointPosition(i), abs=1e-9)
            else:
                assert place is None
    assert sum(place is None for place in found.values()) == 5


def test_a_label_that_slicer_saved_is_read(labelled, tmp_path: Path) -> None:
    (corners,) = labelled.nodes("corners")
    (centers,) = labelled.nodes("centers")
    spines = []
    for node in (corners, centers):
        storage = slicer.vtkMRMLMarkupsJsonStorageNode()
        labelled.stage.scene.AddNode(storage)
        storage.SetFileName(str(tmp_path / f"{node.GetName()}.mrk.json"))
        assert storage.WriteData(node)
        spines.append(json.loads((tmp_path / f"{node.GetName()}.mrk.json").read_text())["markups"][0])
    xy = labelled.logic.editor.xy
    labelled.logic.editor.load(Spine.from_arrays(np.full((17, 5, 2), np.nan)))
    labelled.logic.set_label(json.dumps({"markups": spines}).encode())
    assert np.allclose(labelled.logic.editor.xy, xy)


@pytest.mark.parametrize("seed", range(5))
def test_a_label_comes_back_byte_for_byte(bench, radiograph, seed: int) -> None:
    """Whatever the spacing, which division and multiplication do not leave alone."""
    rng = np.random.default_rng(seed)
    radiograph = replace(
        radiograph, info=replace(radiograph.info, geometry=ImageGeometry(tuple(rng.uniform(0.1, 0.9, 2).tolist())))
    )
    xy = rng.uniform(0, (199, 399), (17, 5, 2))
    xy[rng.uniform(size=(17, 5)) < 0.1] = np.nan
    bench.logic.show_image(radiograph)
    bench.logic.editor.load(Spine.from_arrays(xy, rng.uniform(size=(17, 5)), rng.uniform(0, 9, (17, 5))))
    written = bench.logic.markups()
    bench.logic.show_image(radiograph)
    bench.logic.set_label(written)
    assert bench.logic.markups() == written
    bench.logic.editor.load(bench.logic.editor.spine(), np.zeros((17, 5), dtype=bool))
    assert bench.logic.markups() == written
    v = int(np.flatnonzero(np.isfinite(xy[:, CENTER]).all(axis=1))[0])
    bench.logic.editor.move_point(v, CENTER, (1.0, 2.0))
    assert bench.logic.markups() != written
    bench.logic.editor.undo()
    assert bench.logic.markups() == written


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xfe", b"[]", b'{"markups": [{"controlPoints": [{}]}]}'])
def test_what_is_no_label_is_refused_and_changes_nothing(labelled, content: bytes) -> None:
    before = labelled.logic.editor.xy
    with pytest.raises(ValueError, match="label"):
        labelled.logic.set_label(content)
    assert np.array_equal(labelled.logic.editor.xy, before)


def test_listeners_hear_every_change_during_a_drag(labelled) -> None:
    heard = []
    end = labelled.logic.subscribe(lambda change: heard.append((change.kind, labelled.logic.measurements.curves)))
    start = labelled.point(T7, TL)
    labelled.stage.drag(start, (start[0] - 20, start[1] + 20), steps=6)
    assert len(heard) == 7
    assert heard[-1][0] == MOVED
    assert len({curves for _, curves in heard}) > 3  # the angles change during the drag
    end()
    end()
    labelled.logic.editor.undo()
    assert len(heard) == 7


def test_listeners_hear_of_images_and_answers(bench, radiograph, phantom: Phantom) -> None:
    heard = []
    bench.logic.subscribe(lambda change: heard.append(None if change is None else change.kind))
    bench.logic.show_image(radiograph)
    bench.logic.show_prediction(answer_with(phantom.spine.xy))
    bench.logic.editor.hide(L5)
    bench.logic.show_prediction(answer_with(phantom.spine.xy))
    bench.logic.close_image()
    assert heard == [LOADED, LOADED, "hidden", ADOPTED, LOADED]


def test_a_closed_scene_leaves_the_work_in_the_editor(labelled, radiograph) -> None:
    labelled.logic.editor.move_point(T7, TL, (100.5, 120.25))
    label, xy, heard = labelled.logic.markups(), labelled.logic.editor.xy, []
    labelled.logic.subscribe(heard.append)
    labelled.stage.scene.Clear(0)
    assert labelled.logic.radiograph is None
    assert heard == [None]
    assert labelled.logic.markups() == label
    assert labelled.logic.editor.edits == 1
    assert labelled.logic.restore()
    assert labelled.logic.radiograph is radiograph
    assert np.array_equal(labelled.logic.editor.xy, xy)
    assert np.allclose(labelled.markups_xy("corners"), xy[:, 1:].reshape(-1, 2))
    labelled.stage.render()
    start = labelled.point(T7, TL)
    labelled.stage.drag(start, (start[0] + 15, start[1]))
    assert labelled.logic.editor.edits == 2
    assert not labelled.logic.restore()


def test_a_scene_that_is_closed_in_the_middle_of_a_drag_loses_nothing(labelled) -> None:
    start = labelled.point(T7, TL)
    labelled.stage.move(start)
    labelled.stage.press()
    labelled.stage.move((start[0] - 15, start[1]))
    xy = labelled.logic.editor.xy
    labelled.stage.scene.Clear(0)
    assert np.array_equal(labelled.logic.editor.xy, xy)
    assert labelled.logic.editor.edits == 1
    labelled.stage.release()
    labelled.logic.editor.undo()
    labelled.logic.restore()
    assert not labelled.logic.editor.is_changed


def test_a_scene_that_is_closed_while_placing_ends_it(bench, radiograph) -> None:
    bench.logic.show_image(radiograph)
    bench.logic.start_placement("guided")
    bench.stage.scene.Clear(0)
    assert bench.logic.placement is None
    bench.logic.restore()
    bench.logic.start_placement("guided")
    assert bench.logic.placement is not None


def test_another_image_after_a_closed_scene_needs_no_restoring(labelled, radiograph) -> None:
    labelled.stage.scene.Clear(0)
    labelled.logic.show_image(radiograph)
    assert not labelled.logic.restore()
    assert np.isnan(labelled.logic.editor.xy).all()


@pytest.mark.parametrize("role", ["image", "centers", "corners", "bodies", "names"])
def test_nodes_that_the_user_removes_come_back_with_the_next_change(labelled, role: str) -> None:
    (node,) = labelled.nodes(role)
    labelled.stage.scene.RemoveNode(node)
    labelled.logic.editor.move_vertebra(T7, (3, 0))
    assert len(labelled.nodes(role)) == 1
    assert np.allclose(labelled.markups_xy("centers"), labelled.logic.editor.xy[:, CENTER])


def test_nodes_of_the_user_are_left_alone(bench, radiograph, phantom: Phantom) -> None:
    scene = bench.stage.scene
    own = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "centers")
    own.CreateDefaultDisplayNodes()
    own.AddControlPoint(1.0, 2.0, 0.0, "T7")
    selection = bench.stage.app_logic.GetSelectionNode()
    before, changes, place_node = bench.stage.node_counts(), [], selection.GetActivePlaceNodeID()
    for event in ("ModifiedEvent", own.PointModifiedEvent):
        own.AddObserver(event, lambda *_: changes.append("changed"))
    bench.logic.show_image(radiograph)
    bench.logic.editor.load(phantom.spine)
    bench.logic.editor.move_vertebra(T7, (1, 1))
    assert selection.GetActivePlaceNodeID() == place_node == own.GetID()
    bench.logic.close_image()
    assert selection.GetActivePlaceNodeID() == place_node
    assert bench.stage.node_counts() == before
    assert own.GetNthControlPointPosition(0) == (1.0, 2.0, 0.0)
    assert changes == []


def test_an_unknown_layer_is_refused(labelled) -> None:
    with pytest.raises(ValueError, match="layer 'ribs' is not one of image, centers"):
        labelled.logic.set_layer("ribs", True)


@pytest.mark.parametrize(
    ("layer", "role"),
    [("centers", "centers"), ("corners", "corners"), ("labels", "names"), ("angles", "cobb"), ("angles", "angles")],
)
def test_layers_stay_hidden_for_the_next_image(labelled, radiograph, layer: str, role: str) -> None:
    labelled.logic.set_layer(layer, False)
    for _ in range(2):
        (node,) = labelled.nodes(role)
        assert not node.GetDisplayNode().GetVisibility()
        labelled.logic.close_image()
        labelled.logic.show_image(radiograph)
    labelled.logic.set_layer(layer, True)
    assert labelled.nodes(role)[0].GetDisplayNode().GetVisibility()


def of_0_7(spine: Spine, spacing: tuple[float, float]) -> bytes:
    """A label or draft as module and server wrote it before 0.8: pixel times spacing, without the geometry."""
    content = to_markups(spine, ImageGeometry(spacing))
    del content["vertebraLandmarks"]["geometry"]
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("source", "written_with"), [("density", (1.0, 1.0)), ("PixelSpacing", (0.3, 0.2)), ("none", (0.3, 0.2))]
)
def test_work_of_0_7_is_read_with_the_spacing_of_then(
    bench, radiograph, phantom: Phantom, source: str, written_with: tuple[float, float]
) -> None:
    geometry = ImageGeometry((0.3, 0.2), (5.0, -7.0, 9.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0), source)
    bench.logic.show_image(replace(radiograph, info=replace(radiograph.info, geometry=geometry)))
    bench.logic.set_label(of_0_7(phantom.spine, written_with), is_own=True)
    assert bench.logic.editor.xy == pytest.approx(phantom.spine.xy, nan_ok=True)
    written = bench.logic.markups()
    assert json.loads(written)["vertebraLandmarks"]["geometry"] == geometry.as_dict()
    bench.logic.set_label(written)
    assert bench.logic.editor.xy == pytest.approx(phantom.spine.xy, nan_ok=True)


def test_warnings_of_file_and_model_stay_and_those_of_points_follow_the_edits(
    bench, radiograph, phantom: Phantom
) -> None:
    logic = bench.logic
    of_file, of_model = ImageWarning(POLARITY, "Polarity guessed."), ImageWarning(SECOND_SPINE, "Two spines.")
    logic.show_image(replace(radiograph, info=replace(radiograph.info, geometry=ImageGeometry(), warnings=(of_file,))))
    assert logic.warnings == (of_file,)
    answer = answer_with(phantom.spine.xy)
    logic.show_prediction(replace(answer, origin=replace(answer.origin, names_right=0.6, warnings=(of_file, of_model))))
    assert [warning.code for warning in logic.warnings] == [POLARITY, SECOND_SPINE, NAMES]
    logic.editor.move_point(T7, CENTER, tuple(phantom.spine.xy[T7, CENTER] + (60, 0)))
    assert [warning.code for warning in logic.warnings] == [POLARITY, SECOND_SPINE, NAMES, IMPLAUSIBLE]
    assert logic.warnings == measurement_warnings(logic.editor.spine(), logic.image_frame, 0.6, (of_file, of_model)), (
        "in the words of everywhere else"
    )
    logic.editor.undo()
    logic.editor.shift_names(1)
    assert [warning.code for warning in logic.warnings[:2]] == [POLARITY, SECOND_SPINE]
    assert NAMES not in [warning.code for warning in logic.warnings]
