"""One image from the server to the server, with buttons that are pressed and a mouse that drags in the slice view."""

from __future__ import annotations

import json
import urllib.request

import pytest

from harness.fake_slicer.desktop import Desktop
from harness.local_server import OwnServer
from lib.spine.schema import POINTS, VERTEBRAE

pytestmark = [pytest.mark.slicer, pytest.mark.integration]

T7, L5, TL = VERTEBRAE.index("T7"), VERTEBRAE.index("L5"), POINTS.index("TL")


def curves(opened: Desktop) -> list[tuple[str, ...]]:
    """What the table of curves shows."""
    table = opened.ui.curvesTable
    return [tuple(table.item(row, column).text() for column in range(4)) for row in range(table.rowCount)]


def test_an_image_is_predicted_corrected_submitted_and_followed_by_the_next(opened: Desktop, server: OwnServer) -> None:
    ui, editor = opened.ui, opened.logic.editor
    ui.serverLineEdit.text, ui.userLineEdit.text = server.url, "Ada"
    ui.connectButton.click()
    opened.wait(lambda: "Connected" in ui.stateLabel.text)
    assert ui.countsLabel.text == "4 in all, 0 labelled, 4 left"

    ui.inferOnOpenCheckBox.checked = False
    ui.strategyComboBox.setCurrentIndex(ui.strategyComboBox.findText("first"))
    ui.nextButton.click()
    opened.wait(lambda: opened.state.current is not None)
    image = opened.state.current.id
    assert ui.imageLabel.text.startswith(f"{image}: no points yet")
    ui.inferButton.click()
    opened.wait(lambda: opened.state.current.label == "prediction", 120)
    assert len(curves(opened)) >= 1

    before, shown = editor.xy, curves(opened)
    seen: list[list[tuple[str, ...]]] = []
    x, y = opened.position_of(T7, TL)
    opened.stage.render()
    opened.stage.drag((x, y), (x + 12, y + 30), after_each=lambda: seen.append(curves(opened)))
    assert abs(editor.xy[T7, TL] - before[T7, TL]).max() > 5
    assert len({str(table) for table in [shown, *seen]}) > 4, "the table must change while the point is dragged"

    ui.vertebraComboBox.setCurrentIndex(L5)
    ui.pointComboBox.setCurrentIndex(0)
    ui.hideButton.click()
    assert (editor.xy[L5] != editor.xy[L5]).all()
    ui.undoButton.click()
    assert (editor.xy[L5] == before[L5]).all()
    ui.redoButton.click()
    assert (editor.xy[L5] != editor.xy[L5]).all()

    ui.nextAfterCheckBox.checked = True
    ui.submitButton.click()
    assert opened.panel.notice.is_question
    assert "L5 has no points" in ui.noticeLabel.text
    on_screen = opened.logic.markups()
    ui.noticeYesButton.click()
    opened.wait(lambda: opened.state.current.id != image)
    stored = server.studies / "labels" / "final" / f"{image}.mrk.json"
    assert stored.read_bytes() == on_screen
    opened.wait(lambda: ui.countsLabel.text == "4 in all, 1 labelled, 3 left")
    with urllib.request.urlopen(f"{server.url}/datastore/label/info?label={image}&tag=final") as answer:
        facts = json.load(answer)
    assert (facts["annotator"], facts["edits"]) == ("Ada", 2)
