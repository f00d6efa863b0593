"""Images on their side or head, cut ones, and such whose side nobody states, from the server through the panel."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.fake_slicer.desktop import Desktop, desktop
from harness.local_server import OwnServer, own_server
from lib.spine.geometry import transform_points
from lib.spine.imaging.image_geometry import DENSITY, ImageGeometry
from lib.spine.imaging.orientation import Orientation
from lib.spine.labels.markups import read_markups
from lib.spine.schema import POINTS, VERTEBRAE, Spine

pytestmark = [pytest.mark.slicer, pytest.mark.integration]

T1, T7, L5, TL = (*(VERTEBRAE.index(name) for name in ("T1", "T7", "L5")), POINTS.index("TL"))
ON_ITS_SIDE, ON_ITS_HEAD = Orientation(1), Orientation(2)
DENSITY_MM = 25.4 / 72
CUT = 0.3
"""Share of the height that is cut off above."""


@pytest.fixture(scope="module")
def truth(phantoms: Path) -> Spine:
    """The landmarks of the upright phantom."""
    return read_markups(phantoms / "labels" / "final" / "phantom_000.mrk.json")


@pytest.fixture(scope="module")
def server(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """A real server with one phantom in three kinds of files; those that tests submit are there twice."""
    studies = tmp_path_factory.mktemp("turned") / "studies"
    studies.mkdir()
    image, exif = Image.open(phantoms / "phantom_000.png"), Image.Exif()
    exif[274] = 6
    image.rotate(90, expand=True).save(studies / "side.jpg", exif=exif, quality=95, dpi=(72, 72))
    image.rotate(180).save(studies / "head.png")
    image.crop((0, int(CUT * image.height), *image.size)).save(studies / "cut.png")
    for name in ("side.jpg", "head.png"):
        shutil.copy(studies / name, studies / f"unlabelled_{name}")
    with own_server(studies, studies.parent / "server.log", ("scoring", "false")) as running:
        yield running


def open_image(opened: Desktop, server: OwnServer, image: str) -> None:
    """Open an image, and wait for the points of the model."""
    ui = opened.ui
    if not opened.state.is_connected:
        ui.serverLineEdit.text = server.url
        ui.nextAfterCheckBox.checked = ui.followCheckBox.checked = False
        ui.inferOnOpenCheckBox.checked = True
        ui.connectButton.click()
        opened.wait(lambda: opened.state.is_connected and opened.state.images)
    opened.controller.open_image(image)
    opened.wait(
        lambda: opened.state.current and (opened.state.current.id, opened.state.current.label) == (image, "prediction"),
        120,
    )
    opened.stage.render()


def answer_of(server: OwnServer, image: str) -> dict:
    """What the server says of an image."""
    request = urllib.request.Request(f"{server.url}/infer/vertebra_landmarks?image={image}&output=json", method="POST")
    with urllib.request.urlopen(request) as answer:
        content: dict = json.load(answer)
    return content


def in_view(opened: Desktop) -> np.ndarray:
    """``(V, 2)`` places of the centers in the view, y up."""
    return np.array([opened.position_of(v, 0) for v in range(len(VERTEBRAE))])


@pytest.mark.parametrize(
    ("image", "orientation", "geometry"),
    [
        ("side", ON_ITS_SIDE, ImageGeometry((DENSITY_MM, DENSITY_MM), source=DENSITY)),
        ("head", ON_ITS_HEAD, ImageGeometry()),
    ],
)
def test_a_turned_image_is_corrected_upright_and_submitted_as_it_is_stored(
    opened: Desktop, server: OwnServer, truth: Spine, image: str, orientation: Orientation, geometry: ImageGeometry
) -> None:
    open_image(opened, server, image)
    logic, editor, radiograph = opened.logic, opened.logic.editor, opened.logic.radiograph
    height, width = radiograph.pixels.shape
    stored_truth = transform_points(np.linalg.inv(orientation.matrix(width, height)), truth.xy)
    assert logic.frame.orientation.as_dict() == orientation.as_dict()
    assert np.nanmedian(np.abs(editor.xy - stored_truth)) < 3, "points are those of the stored raster"
    places = in_view(opened)
    assert (np.diff(places[:, 1]) < 0).all(), "T1 is above L5 on the screen"

    before = editor.xy
    x, y = opened.position_of(T7, TL)
    opened.stage.drag((x, y), (x + 10, y - 15))
    moved = logic.frame.to_upright(editor.xy[T7, TL]) - logic.frame.to_upright(before[T7, TL])
    assert (moved > 1).all(), "right and down on the screen"

    opened.ui.submitButton.click()
    if opened.panel.notice.is_question:
        opened.ui.noticeYesButton.click()
    opened.wait(lambda: opened.state.current.label == "label")
    label = server.studies / "labels" / "final" / f"{image}.mrk.json"
    assert read_markups(label).xy == pytest.approx(editor.xy, nan_ok=True)
    position = json.loads(label.read_text())["markups"][1]["controlPoints"][4 * T7]["position"]
    assert position == pytest.approx(geometry.to_physical(editor.xy[T7, TL]).tolist())

    opened.controller.open_image(image)
    opened.wait(lambda: opened.state.current.label == "label" and not opened.state.busy)
    assert logic.frame.orientation.as_dict() == orientation.as_dict(), "it is remembered with the label"


def test_a_cut_image_says_what_it_does_not_show(opened: Desktop, server: OwnServer) -> None:
    open_image(opened, server, "cut")
    logic, ui = opened.logic, opened.ui
    said = {one["name"]: one["visible"] for one in answer_of(server, "cut")["landmarks"]}
    lost = [v for v, name in enumerate(VERTEBRAE) if not said[name]]
    assert lost[:2] == [0, 1], "the phantom must lose bodies"
    assert np.isnan(logic.editor.xy[lost]).all()
    points = opened.stage.scene.GetFirstNodeByName("Vertebra corners")
    assert {points.GetNthControlPointPositionStatus(4 * v + corner) for v in lost for corner in range(4)} == {
        points.PositionUndefined
    }
    assert all(curve.ends[0] not in lost for curve in logic.measurements.curves)
    words = ui.warningsLabel.text.splitlines()
    assert words == [f"! {warning.message}" for warning in logic.warnings]
    assert any("off the image: nothing is measured from what it does not show" in line for line in words)
    assert ui.warningsFrame.visible
    table = ui.curvesTable
    angles = {table.item(row, 0).text(): table.item(row, 3).text() for row in range(table.rowCount)}
    for curve in logic.measurements.curves:
        said = angles[f"{curve.upper_end} to {curve.lower_end}"]
        assert said.endswith(", may be larger") == bool(curve.open_ends)
    place = (float(logic.radiograph.pixels.shape[1] / 2), 6.0)
    logic.editor.place(lost[-1], TL, place)
    assert logic.editor.xy[lost[-1], TL] == pytest.approx(place), "a point may be placed inside"


@pytest.mark.parametrize("image", ["cut", "unlabelled_head", "unlabelled_side"])
def test_the_panel_warns_in_the_words_of_the_server(opened: Desktop, server: OwnServer, image: str) -> None:
    open_image(opened, server, image)
    said = [warning["message"] for warning in answer_of(server, image)["warnings"]]
    assert [warning.message for warning in opened.logic.warnings] == said


def test_a_person_states_the_side(server: OwnServer, tmp_path: Path) -> None:
    with desktop(tmp_path / "ada") as first:
        open_image(first, server, "unlabelled_head")
        ui, table = first.ui, first.ui.curvesTable
        in_image = [table.item(row, 2).text() for row in range(table.rowCount)]
        assert (ui.sideComboBox.enabled, ui.sideComboBox.currentText) == (True, "not stated")
        assert ui.sidesLabel.text == "Sides are the image's."
        ui.sideComboBox.setCurrentIndex(2)
        ui.sideComboBox._target.activated.emit(2)
        other = {"left": "right", "right": "left"}
        assert [table.item(row, 2).text() for row in range(table.rowCount)] == [other[side] for side in in_image]
        first.wait(lambda: not first.state.busy)
        assert ui.sidesLabel.text == "Sides are the patient's, stated by a person."
        assert not first.state.current.is_unsaved
    with desktop(tmp_path / "ben") as second:
        open_image(second, server, "unlabelled_head")
        assert second.ui.sideComboBox.currentText == "patient's right"
        second.ui.sideComboBox._target.activated.emit(0)
        second.wait(lambda: not second.state.busy)
        assert second.ui.sidesLabel.text == "Sides are the image's."


def test_a_side_that_the_file_states_cannot_be_chosen(opened: Desktop) -> None:
    selftest = __import__("VertebraLandmarksLib.panel.self_test", fromlist=["selftest"])
    radiograph = selftest.gray_steps()
    facts = type(radiograph.info)(240, 400, image_left_is="right", image_left_is_source="PatientOrientation L\\F")
    opened.logic.show_image(type(radiograph)(**{**vars(radiograph), "info": facts}))
    opened.panel._measure.refresh(opened.state)
    assert (opened.ui.sideComboBox.enabled, opened.ui.sideComboBox.currentText) == (False, "patient's right")
    assert opened.ui.sidesLabel.text == "Sides are the patient's, PatientOrientation L\\F."
