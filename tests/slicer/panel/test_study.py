"""A study in the panel: two readers and an adjudicator at one workstation, whose server is restarted in between.

``STUDY_IMAGES=40`` makes it one of 40 phantoms; the suite reads 6.
"""

from __future__ import annotations

import json
import os
import re
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from PIL import Image
from PySide6 import QtCore, QtWidgets
from PySide6.QtTest import QTest

from harness.fake_slicer.desktop import Desktop, desktop
from harness.local_server import OwnServer, own_server
from harness.ports import free_port
from lib.phantoms import random_spec, render_phantom
from lib.server.annotation.readings.listing import readings
from lib.server.store.datastore import StudiesDatastore
from lib.spine.geometry import with_centers
from lib.study.plan import checked_plan

pytestmark = [pytest.mark.slicer, pytest.mark.integration]

COUNT = int(os.environ.get("STUDY_IMAGES", "6"))
SIZE = (320, 160)
PLAN = {
    "readers": ["ada", "ben"],
    "adjudicators": ["cleo"],
    "second_reading": {"share": 0.5},
    "model": {"first": False, "second": False},
    "seed": 2,
}
MODULE_HEIGHT = 520
"""Of the module's area on a screen of 768 pixels: less Slicer's menu, tool bar, module selector and status."""


class Study:
    """People before one panel, and what they have seen and chosen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.truth: dict[str, np.ndarray] = {}
        self.made: dict[tuple[str, str], np.ndarray] = {}
        self.chosen: dict[str, np.ndarray] = {}
        self.plan = checked_plan(PLAN)
        folder.mkdir()
        for number in range(COUNT):
            phantom = render_phantom(random_spec(number, *SIZE))
            Image.fromarray(phantom.pixels).save(folder / f"phantom_{number:02d}.png")
            self.truth[f"phantom_{number:02d}"] = phantom.spine.xy
        (folder / "study.yaml").write_text(json.dumps(PLAN))

    @property
    def twice(self) -> list[str]:
        """Images that are read twice; of any other, the first reading is the final label, and is seen by all."""
        return [image for image in self.truth if self.plan.wants_second(image)]

    def points(self, image: str, reader: str) -> np.ndarray:
        """Where a reader places the corners: at the truth, a pixel off, to either side."""
        return self.truth[image] + np.array((1.0 if reader == "ada" else -1.0, 0.5))

    def read(self, opened: Desktop, reader: str, most: int = 10**6) -> None:
        """Read what the plan gives, until nothing is left."""
        take_over(opened, reader)
        for _ in range(most):
            if not press_next(opened):
                return
            image, kind = opened.state.current.id, opened.state.current.reading.kind
            if opened.state.current.label != "draft":  # what the reader has left unfinished, and nobody else has read
                self.check_blind(opened, reader, kind)
            for v, points in enumerate(self.points(image, reader)):
                opened.logic.editor.place_corners(v, points[1:])
            self.made[image, reader] = opened.logic.editor.xy
            submit(opened)

    def check_blind(self, opened: Desktop, reader: str, kind: str) -> None:
        """Nothing of another reading is on the screen, in the scene or among the unfinished work."""
        ui, other = opened.ui, "ben" if reader == "ada" else "ada"
        beginning = {"first": "First reading.", "second": "Second reading, blind: nothing of other readings is shown."}
        assert ui.studyLabel.text == f"{beginning[kind]} No points of the model: place the points by hand."
        assert not np.isfinite(opened.logic.editor.xy).any()
        assert opened.logic.placement is not None, "guided placement begins by itself"
        assert not ui.inferButton.enabled
        assert points_in_scene() == 0
        told = " ".join(texts_of(opened, [name for name in self.truth if name not in self.twice]))
        assert re.search(rf"\b{other}\b", told) is None, f"{other} is named before {reader} has submitted: {told}"
        assert [draft.user for draft in opened.state.drafts if draft.user != reader] == []

    def adjudicate(self, opened: Desktop) -> None:
        """Choose with keys, by turns the first reading, the mean, and points of one's own."""
        take_over(opened, "cleo")
        while press_next(opened):
            image, ui, editor = opened.state.current.id, opened.ui, opened.logic.editor
            one, other = (self.made[image, one.reader] for one in opened.state.adjudication.compared)
            check_comparison(opened)
            turn = len(self.chosen) % 3
            press(opened, (QtCore.Qt.Key.Key_1, QtCore.Qt.Key.Key_M, QtCore.Qt.Key.Key_E)[turn])
            opened.settle(0.05)
            if turn == 2:
                assert np.allclose(editor.xy, one, atol=1e-6)
                editor.move_vertebra(6, (0.0, 3.0))
                self.chosen[image] = editor.xy
            else:
                assert "Enter stores it." in ui.choiceLabel.text
                assert len(outlines_of_readings()) == (2 if turn == 0 else 3), "the mean is drawn between both"
                assert ("Mean: " in ui.anglesLabel.text) == (turn == 1)
                self.chosen[image] = one if turn == 0 else (one + other) / 2
            stored = f"The final label of {image} is stored."
            press(opened, QtCore.Qt.Key.Key_Return)
            opened.settle(0.02)
            if opened.panel.notice.is_question:
                press(opened, QtCore.Qt.Key.Key_Enter)
            opened.wait(lambda stored=stored: opened.state.notice == stored, what=f"{stored} {ui.noticeLabel.text}")


def take_over(opened: Desktop, name: str) -> None:
    """Type a name into the panel, and wait for the server's answer."""
    field = opened.ui.userLineEdit
    field.text = name
    field._target.editingFinished.emit()
    is_known = lambda: opened.state.study is not None and opened.state.study.user == name and opened.state.study.readers  # noqa: E731
    opened.wait(is_known, what=f"the study of {name}")
    opened.wait(lambda: opened.state.current is None and not opened.state.busy, what="closing")
    opened.settle(0.05)


def press_next(opened: Desktop) -> bool:
    """Press “Your next image”; returns whether there was one."""
    ui, before = opened.ui, opened.state.current
    assert ui.nextButton.text == "Your next image"
    ui.nextButton.click()
    opened.wait(lambda: not opened.state.is_busy("open") or opened.state.error)
    assert opened.state.error is None, opened.state.error.message
    is_over = opened.state.notice.startswith("There is nothing left")
    if not is_over:
        opened.wait(lambda: opened.state.current is not before and opened.state.current is not None, what="opening")
    opened.settle(0.05)
    return not is_over


def submit(opened: Desktop) -> None:
    """Press Submit, and say yes with a key."""
    opened.ui.submitButton.click()
    if opened.panel.notice.is_question:
        press(opened, QtCore.Qt.Key.Key_Return)
    opened.wait(lambda: opened.state.current.label == "label" and not opened.state.busy, what="the submit")
    assert opened.state.notice == f"Your reading of {opened.state.current.id} is stored."


def press(opened: Desktop, key: QtCore.Qt.Key) -> None:
    """Press a key in the main window, which is brought to the front before."""
    window: QtWidgets.QMainWindow = slicer.app.main_window
    window.activateWindow()
    opened.wait(window.isActiveWindow)
    window.setFocus()
    QTest.keyClick(window, key)


def nodes(kind: str = "vtkMRMLNode") -> list[Any]:
    """The module's nodes in the scene."""
    found = slicer.mrmlScene.GetNodesByClass(kind)
    every = (found.GetItemAsObject(i) for i in range(found.GetNumberOfItems()))
    return [node for node in every if node.GetAttribute("VertebraLandmarks.role")]


def outlines_of_readings() -> list[Any]:
    """Models of the readings that are compared."""
    models = nodes("vtkMRMLModelNode")
    return [node for node in models if node.GetAttribute("VertebraLandmarks.role")[:7] == "reading"]


def points_in_scene() -> int:
    """Number of positions in point lists, and of points in models."""
    lists = sum(
        node.GetNthControlPointPositionStatus(i) == node.PositionDefined
        for node in nodes("vtkMRMLMarkupsFiducialNode")
        for i in range(node.GetNumberOfControlPoints())
    )
    meshes = [node.GetPolyData() for node in nodes("vtkMRMLModelNode")]
    return lists + sum(mesh.GetNumberOfPoints() for mesh in meshes if mesh is not None)


def texts_of(opened: Desktop, closed: list[str]) -> list[str]:
    """All texts of the panel, but for the progress by reader, what the user has typed, and images that are closed."""
    holder = opened.module.widgetRepresentation()._target
    texts = [label.text() for label in holder.findChildren(QtWidgets.QLabel)]
    for table in holder.findChildren(QtWidgets.QTableWidget):
        rows = [row for row in range(table.rowCount()) if table.item(row, 0).text() not in closed]
        if table.objectName() != "progressTable":
            cells = [table.item(row, column) for row in rows for column in range(table.columnCount())]
            texts += [cell.text() for cell in cells if cell is not None]
    return texts


def check_comparison(opened: Desktop) -> None:
    """Both readings are drawn in two colors, are no part of what is saved, and differences lead to their place."""
    ui, readings_shown = opened.ui, opened.state.adjudication.compared
    models = outlines_of_readings()
    colors = [tuple(round(255 * value) for value in node.GetDisplayNode().GetColor()) for node in models]
    assert colors == [(255, 176, 46), (86, 190, 255)]
    assert [node.GetPolyData().GetNumberOfLines() for node in models] == [68, 68]
    assert [node.GetName() for node in nodes() if node.GetSaveWithScene()] == []
    assert not np.isfinite(opened.logic.editor.xy).any()
    names = {reading.reader for reading in readings_shown}
    assert all(f"{name}: " in ui.anglesLabel.text for name in names)
    assert not ui.submitButton.enabled
    assert ui.differencesTable.rowCount == 17
    view = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    before = view.GetFieldOfView()[1]
    press(opened, QtCore.Qt.Key.Key_D)
    assert view.GetFieldOfView()[1] < before, "the vertebra is shown larger"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A folder of phantoms with a plan."""
    return Study(tmp_path / "studies")


def serve(study: Study, port: int) -> Any:
    return own_server(study.folder, study.folder.parent / "server.log", ("scoring", "false"), port=port)


def test_two_readers_and_an_adjudicator_end_with_every_reading_and_the_right_final_set(
    study: Study, tmp_path: Path
) -> None:
    port = free_port()
    assert 0 < len(study.twice) < COUNT
    with desktop(tmp_path / "slicer") as opened:
        opened.ui.nextAfterCheckBox.checked = False
        with serve(study, port) as server:
            opened.ui.serverLineEdit.text, opened.ui.userLineEdit.text = server.url, "ada"
            opened.ui.connectButton.click()
            opened.wait(lambda: opened.state.study is not None)
            study.read(opened, "ada", most=COUNT // 2)
            leave_unfinished_work(opened, study)
            study.read(opened, "ben", most=COUNT // 2)
            server.kill()
        with serve(study, port) as server:
            opened.controller.refresh()
            for reader in ("ada", "ben", "ada"):
                study.read(opened, reader)
            study.adjudicate(opened)
            check_progress(opened, server, len(study.twice))
    check_store(study)


def leave_unfinished_work(opened: Desktop, study: Study) -> None:
    """Ada places some points of the next image, and leaves the workstation without a word."""
    assert press_next(opened)
    opened.logic.editor.place_corners(3, study.truth[opened.state.current.id][3, 1:])
    opened.wait(lambda: opened.state.current.is_saved, what="the autosave")
    opened.controller.release_reading()  # so that somebody else may read it
    opened.wait(lambda: opened.state.current is None and opened.state.drafts, what="the list of unfinished work")
    assert [draft.user for draft in opened.state.drafts] == ["ada"]


def check_progress(opened: Desktop, server: OwnServer, twice: int) -> None:
    """The panel says that all is done."""
    opened.controller.refresh()
    opened.wait(lambda: not opened.state.busy)
    opened.settle(0.05)
    ui = opened.ui
    assert ui.progressLabel.text == f"{COUNT} images: {COUNT} read, 0 to adjudicate, {COUNT} final"
    done = [int(ui.progressTable.item(row, 1).text()) for row in range(2)]
    assert sum(done) == COUNT + twice
    assert ui.queueLabel.text == "To adjudicate: nothing"
    request = urllib.request.Request(f"{server.url}/readings/queue", headers={"X-User": "cleo"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer) == {"total": 0, "images": []}


def check_store(study: Study) -> None:
    """Every reading is there with its points, and the final set is that of the choices."""
    store = StudiesDatastore(str(study.folder))
    try:
        found = list(readings(store))
    finally:
        store.close()
    made = {(one.image, one.reader): one for one in found if one.number}
    assert set(made) == set(study.made)
    for key, one in made.items():
        assert one.spine.xy == pytest.approx(study.made[key], abs=1e-6)
        assert one.is_blind
    final = {one.image: one for one in found if one.is_final}
    assert set(final) == set(study.truth)
    assert {image for image, one in final.items() if one.kind == "adjudication"} == set(study.twice)
    assert set(study.chosen) == set(study.twice)
    for image, xy in study.chosen.items():
        assert final[image].spine.xy == pytest.approx(with_centers(xy[:, 1:]), abs=1e-6)


def test_submit_and_angles_are_in_sight_on_a_small_screen(opened: Desktop) -> None:
    self_test = __import__("VertebraLandmarksLib.panel.self_test", fromlist=["self_test"])
    opened.logic.show_image(self_test.gray_steps())
    opened.logic.editor.load(self_test.straight_spine())
    window, ui = slicer.app.main_window, opened.ui
    window.resize(window.width(), MODULE_HEIGHT)
    for section in (ui.connectionSection, ui.imagesSection, ui.correctSection, ui.measurementsSection, ui.trainSection):
        section.collapsed = False
    opened.settle(0.2)
    assert window.height() == MODULE_HEIGHT
    for control in (ui.submitButton, ui.anglesLabel):
        widget = control._target
        assert widget.visibleRegion().boundingRect().height() == widget.height() > 0
    assert "°" in ui.anglesLabel.text
