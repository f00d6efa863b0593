"""The panel: buttons that are pressed, keys that are typed, and what one then sees."""

from __future__ import annotations

import statistics
import sys
import time
import unittest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtTest import QTest

from harness.fake_slicer import application, scripted_module
from harness.fake_slicer.desktop import MODULE, Desktop, desktop
from harness.fake_slicer.slice_view import stage
from harness.local_server import OwnServer, own_server
from lib.spine.schema import POINTS, VERTEBRAE

pytestmark = [pytest.mark.slicer, pytest.mark.integration]

T7, TL = VERTEBRAE.index("T7"), POINTS.index("TL")


def connect(opened: Desktop, url: str) -> None:
    opened.ui.serverLineEdit.text = url
    opened.ui.connectButton.click()
    opened.wait(lambda: opened.state.is_connected and opened.state.images)


def open_image(opened: Desktop, image: str, labelled_as: str = "prediction") -> None:
    """Open an image by a double click in the list, and wait for its points."""
    table = opened.ui.imageTable
    row = next(row for row in range(table.rowCount) if table.item(row, 0).text() == image)
    table._target.cellDoubleClicked.emit(row, 0)
    opened.wait(lambda: opened.state.current and opened.state.current.id == image, what="opening")
    opened.wait(lambda: opened.state.current.label == labelled_as, 120, "finding landmarks")


def show_spine(opened: Desktop) -> Any:
    """An image with a spine, without a server; returns the editor."""
    selftest = __import__("VertebraLandmarksLib.panel.self_test", fromlist=["selftest"])
    opened.logic.show_image(selftest.gray_steps())
    opened.logic.editor.load(selftest.straight_spine())
    return opened.logic.editor


def column(table: Any, number: int) -> list[str]:
    return [table.item(row, number).text() for row in range(table.rowCount)]


def test_a_server_that_is_not_there_is_said_in_a_banner_that_goes_away(opened: Desktop) -> None:
    opened.ui.serverLineEdit.text = "http://127.0.0.1:9"
    opened.ui.connectButton.click()
    opened.wait(lambda: opened.state.error)
    opened.settle()
    assert opened.ui.noticeFrame.visible
    assert "No server answers at 127.0.0.1:9" in opened.ui.noticeLabel.text
    assert opened.ui.stateLabel.text == "● Cannot connect"
    opened.ui.noticeCloseButton.click()
    assert not opened.ui.noticeFrame.visible


def test_a_login_is_asked_for_and_says_what_one_may_do(opened: Desktop, studies: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("rita reader rita-token-0123456789\nada admin ada-token-0123456789\n")
    with own_server(studies, tmp_path / "server.log", ("scoring", "false"), ("tokens", str(tokens))) as server:
        ui = opened.ui
        ui.inferOnOpenCheckBox.checked = False
        ui.serverLineEdit.text = server.url
        ui.connectButton.click()
        opened.wait(lambda: opened.state.error)
        opened.settle()
        assert (
            ui.noticeLabel.text == "The server requires a valid token. Enter yours under Connection and connect again."
        )
        ui.tokenLineEdit.text = "rita-token-0123456789"
        connect(opened, server.url)
        open_image(opened, "phantom_000", "")
        opened.settle()
        assert ui.stateLabel.text.endswith("as rita")
        assert not ui.submitButton.enabled
        assert ui.effortLabel.text == "Your token allows viewing images, but not storing labels."
        assert (ui.trainButton.enabled, ui.trainStateLabel.text) == (False, "Your token does not allow training.")
        ui.connectButton.click()
        ui.tokenLineEdit.text = "ada-token-0123456789"
        connect(opened, server.url)
        opened.settle()
        assert ui.submitButton.enabled
        assert ui.trainButton.enabled


def test_the_list_is_searched_and_opened_by_a_double_click(opened: Desktop, shared_server: OwnServer) -> None:
    opened.ui.inferOnOpenCheckBox.checked = False
    connect(opened, shared_server.url)
    table = opened.ui.imageTable
    assert column(table, 0) == [f"phantom_00{i}" for i in range(4)]
    assert set(column(table, 1)) == {"unlabelled"}
    opened.ui.searchLineEdit.text = "002 UNLAB"
    opened.wait(lambda: column(table, 0) == ["phantom_002"])
    open_image(opened, "phantom_002", "")
    opened.ui.searchLineEdit.text = "nothing like it"
    opened.wait(lambda: table.rowCount == 0)
    opened.ui.searchLineEdit.text = ""
    opened.wait(lambda: table.rowCount == 4)
    open_image(opened, "phantom_003", "")
    opened.ui.previousButton.click()
    opened.wait(lambda: opened.state.current.id == "phantom_002")
    assert opened.ui.imageLabel.text == "phantom_002: no points yet"


def test_buttons_correct_and_undo(opened: Desktop) -> None:
    editor, ui = show_spine(opened), opened.ui
    before = editor.xy
    ui.vertebraComboBox.setCurrentIndex(T7)
    ui.moveSpinBox.value = 5
    for button, shift in ((ui.moveRightButton, (5, 0)), (ui.moveDownButton, (5, 5)), (ui.moveLeftButton, (0, 5))):
        button.click()
        assert np.allclose(editor.xy[T7] - before[T7], shift)
    ui.moveUpButton.click()
    ui.rotateSpinBox.value = 10.0
    ui.rotateRightButton.click()
    assert editor.xy[T7, TL, 1] < before[T7, TL, 1], "clockwise lifts the left corner"
    ui.rotateLeftButton.click()
    assert np.allclose(editor.xy, before)
    ui.namesDownButton.click()
    assert np.allclose(editor.xy[T7 + 1], before[T7])
    ui.namesUpButton.click()
    assert np.allclose(editor.xy, before)
    ui.pointComboBox.setCurrentIndex(1 + TL)
    ui.hideButton.click()
    assert np.isnan(editor.xy[T7, TL]).all()
    assert np.isfinite(editor.xy[T7, 0]).all()
    while ui.undoButton.enabled:
        ui.undoButton.click()
    assert np.array_equal(editor.xy, before)
    assert editor.edits == 0
    ui.lockCheckBox.checked = True
    assert not ui.namesUpButton.enabled
    ui.hideButton.click()
    assert np.array_equal(editor.xy, before)


def test_what_should_be_checked_is_listed_and_a_click_goes_there(opened: Desktop) -> None:
    editor, ui = show_spine(opened), opened.ui
    assert ui.doubtsLabel.text == "To check: nothing"
    editor.move_point(T7, TL, tuple(editor.xy[T7, TL] + (0, -25)))
    assert "T7" in column(ui.doubtsTable, 0)
    field = opened.stage.slice_node.GetFieldOfView()[1]
    row = column(ui.doubtsTable, 0).index("T7")
    ui.doubtsTable._target.cellClicked.emit(row, 0)
    assert opened.stage.slice_node.GetFieldOfView()[1] < field / 2
    assert ui.vertebraComboBox.currentText == "T7"
    ui.fitButton.click()
    assert opened.stage.slice_node.GetFieldOfView()[1] == pytest.approx(field)
    for expected in column(ui.doubtsTable, 0)[row + 1 :] + column(ui.doubtsTable, 0)[: row + 1]:
        ui.nextDoubtButton.click()
        assert ui.vertebraComboBox.currentText == expected


def test_layers_and_gray_values_are_switched_and_remembered(opened: Desktop, tmp_path: Path) -> None:
    show_spine(opened)
    ui, empty = opened.ui, opened.stage.screenshot()
    for box in (ui.outlinesCheckBox, ui.endplatesCheckBox, ui.centersCheckBox, ui.cornersCheckBox, ui.imageCheckBox):
        box.checked = False
        changed = opened.stage.screenshot()
        assert not np.array_equal(changed, empty), f"{box.name} must change the picture"
        empty = changed
    ui.imageCheckBox.checked = True
    normal = opened.stage.screenshot().astype(float)
    ui.invertCheckBox.checked = True
    assert np.abs(opened.stage.screenshot().astype(float) - normal).mean() > 20
    ui.windowComboBox.setCurrentIndex(2)
    chosen = ui.windowComboBox.currentText
    settings = opened.panel._view._settings
    assert (settings["window"], settings["invert"], settings["outlines"]) == (chosen, True, False)


def test_points_are_placed_by_clicks(opened: Desktop) -> None:
    editor, ui, view = show_spine(opened), opened.ui, opened.stage
    editor.load(editor.spine().from_arrays(np.full((17, 5, 2), np.nan)))
    ui.placeButton.click()
    assert ui.placeButton.text == "Stop placing"
    assert "T1 TL" in ui.placeLabel.text
    view.render()
    view.click(view.position_of((-100, -23)))
    assert np.allclose(editor.xy[0, TL], (100, 23), atol=1)
    assert "T1 TR" in ui.placeLabel.text
    ui.placeSkipButton.click()
    assert "T1 BL" in ui.placeLabel.text
    ui.placeBackButton.click()
    assert "T1 TR" in ui.placeLabel.text
    ui.placeButton.click()
    assert (ui.placeButton.text, ui.placeLabel.text) == ("Place points", "Not placing.")
    ui.placeModeComboBox.setCurrentIndex(1)
    ui.placeFromComboBox.setCurrentIndex(1 + T7)
    ui.placeButton.click()
    for x, y in ((140, 170), (100, 170), (140, 156), (100, 156)):
        view.click(view.position_of((-x, -y)))
    assert np.allclose(editor.xy[T7, 1:], [(100, 156), (140, 156), (100, 170), (140, 170)], atol=1)
    assert "T8" in ui.placeLabel.text
    opened.panel.exit()
    assert ui.placeLabel.text == "Not placing."


def active_window(opened: Desktop) -> QtWidgets.QWidget:
    """The main window, once keys reach it."""
    window = slicer.app.main_window
    window.activateWindow()
    opened.wait(window.isActiveWindow)
    window.setFocus()
    opened.wait(window.hasFocus)
    return window


def test_keys_work_in_the_window_and_not_in_text_fields(opened: Desktop) -> None:
    editor, ui = show_spine(opened), opened.ui
    window = active_window(opened)
    is_collapsed = ui.keysSection.collapsed

    def press(key: QtCore.Qt.Key, control: bool = False, on: QtWidgets.QWidget = window) -> None:
        keys = QtCore.Qt.KeyboardModifier
        QTest.keyClick(on, key, keys.ControlModifier if control else keys.NoModifier)

    press(QtCore.Qt.Key.Key_H)
    assert ui.keysSection.collapsed != is_collapsed
    ui.namesDownButton.click()
    press(QtCore.Qt.Key.Key_Z, control=True)
    assert (editor.edits, editor.can_redo) == (0, True)
    press(QtCore.Qt.Key.Key_Y, control=True)
    assert editor.edits == 1
    press(QtCore.Qt.Key.Key_L)
    assert (ui.cornersCheckBox.checked, ui.outlinesCheckBox.checked) == (True, False)
    press(QtCore.Qt.Key.Key_L)
    assert (ui.cornersCheckBox.checked, ui.imageCheckBox.checked) == (False, True)
    press(QtCore.Qt.Key.Key_L)
    assert ui.outlinesCheckBox.checked
    field = ui.searchLineEdit._target
    field.setFocus()
    press(QtCore.Qt.Key.Key_H, on=field)
    assert ui.searchLineEdit.text == "h"
    assert ui.keysSection.collapsed != is_collapsed
    opened.panel.exit()
    window.setFocus()
    press(QtCore.Qt.Key.Key_H)
    assert ui.keysSection.collapsed != is_collapsed
    opened.panel.enter()
    press(QtCore.Qt.Key.Key_H)
    assert ui.keysSection.collapsed == is_collapsed


def test_the_keys_of_the_list_are_those_that_are_installed(opened: Desktop) -> None:
    shown = column(opened.ui.keysTable, 0)
    shortcuts = slicer.app.main_window.findChildren(QtGui.QShortcut)
    assert set(shown) <= {shortcut.key().toString() for shortcut in shortcuts}
    opened.panel.exit()
    opened.settle()
    assert slicer.app.main_window.findChildren(QtGui.QShortcut) == []


def test_what_was_typed_is_there_at_the_next_start(tmp_path: Path) -> None:
    with desktop(tmp_path) as first:
        first.ui.serverLineEdit.text, first.ui.tokenLineEdit.text = "http://127.0.0.1:9", "secret"
        first.ui.tokenRememberCheckBox.checked = True
        first.ui.userLineEdit.text = "Ada"
        first.ui.connectButton.click()
        first.ui.nextAfterCheckBox.checked = first.ui.followCheckBox.checked = False
        first.ui.viewSection.collapsed = False
        first.ui.imagesSection.collapsed = True
    with desktop(tmp_path) as second:
        ui = second.ui
        assert (ui.serverLineEdit.text, ui.tokenLineEdit.text) == ("http://127.0.0.1:9", "secret")
        assert (ui.userLineEdit.text, second.controller.annotator) == ("Ada", "Ada")
        assert (ui.nextAfterCheckBox.checked, second.controller.next_after_submit) == (False, False)
        assert (ui.followCheckBox.checked, second.controller.follow_moves) == (False, False)
        assert (ui.viewSection.collapsed, ui.imagesSection.collapsed) == (False, True)


def test_a_token_is_stored_only_if_it_is_to_be_remembered(tmp_path: Path) -> None:
    def is_stored() -> bool:
        slicer.app.userSettings().sync()
        return "secret" in Path(slicer.app.slicerUserSettingsFilePath).read_text()

    with desktop(tmp_path) as first:
        ui = first.ui
        ui.serverLineEdit.text, ui.tokenLineEdit.text = "http://127.0.0.1:9", "secret"
        ui.connectButton.click()
        assert not is_stored()
        ui.tokenRememberCheckBox.checked = True
        assert is_stored()
        ui.tokenRememberCheckBox.checked = False
        assert not is_stored()
    with desktop(tmp_path) as second:
        assert second.ui.tokenLineEdit.text == ""


def test_the_whole_spine_follows_one_drag(opened: Desktop, shared_server: OwnServer) -> None:
    connect(opened, shared_server.url)
    open_image(opened, "phantom_000", "")
    opened.wait(lambda: opened.state.current.label == "prediction")
    opened.settle()
    editor, before = opened.logic.editor, opened.logic.editor.xy
    wrong = before[T7 + 1, 0]  # a name one level off, which one drag repairs
    editor.begin()
    editor.move_point(T7, 0, tuple(wrong))
    editor.end()
    opened.wait(lambda: not np.array_equal(editor.xy[0], before[0]))
    opened.settle()
    assert editor.xy[T7, 0].tolist() == wrong.tolist()
    assert np.linalg.norm(editor.xy[:-1, 0] - before[1:, 0], axis=-1).max() < 10
    opened.ui.undoButton.click()
    assert np.array_equal(editor.xy, before)


def test_many_presses_and_one_yes_submit_one_image(opened: Desktop, server: OwnServer) -> None:
    opened.ui.inferOnOpenCheckBox.checked = False
    opened.ui.nextAfterCheckBox.checked = True
    connect(opened, server.url)
    open_image(opened, "phantom_000", "")
    opened.logic.editor.place(T7, TL, (300.0, 400.0))
    for _ in range(3):
        opened.ui.submitButton.click()
    opened.ui.noticeYesButton.click()
    opened.wait(lambda: opened.state.current.id != "phantom_000")
    opened.settle()
    assert not opened.panel.notice.is_question
    if opened.ui.noticeYesButton.visible:
        opened.ui.noticeYesButton.click()
    opened.settle(0.5)
    assert [path.name for path in (server.studies / "labels" / "final").glob("*.json")] == ["phantom_000.mrk.json"]


def test_a_message_waits_for_the_answer_to_a_question_and_a_question_does_not(opened: Desktop) -> None:
    notice, ui, said = opened.panel.notice, opened.ui, []
    notice.ask("Discard it?", "Discard", lambda: said.append("discard"))
    notice.show("The server is gone.", "error")
    notice.show("It is back.")
    notice.ask("Submit it?", "Submit", lambda: said.append("submit"))
    assert (ui.noticeLabel.text, ui.noticeYesButton.text) == ("Submit it?", "Submit")
    ui.noticeYesButton.click()
    assert said == ["submit"]
    assert (ui.noticeLabel.text, notice.is_question, ui.noticeYesButton.visible) == ("It is back.", False, False)
    notice.ask("Discard it?", "Discard", lambda: said.append("discard"))
    notice.withdraw()
    assert not ui.noticeFrame.visible


def test_a_question_is_forgotten_with_the_image_it_is_about(opened: Desktop, shared_server: OwnServer) -> None:
    opened.ui.inferOnOpenCheckBox.checked = False
    connect(opened, shared_server.url)
    open_image(opened, "phantom_000", "")
    opened.logic.editor.place(T7, TL, (300.0, 400.0))
    opened.ui.submitButton.click()
    assert opened.panel.notice.is_question
    assert (opened.ui.noticeYesButton.text, opened.ui.noticeNoButton.text) == ("Submit", "Look again")
    open_image(opened, "phantom_001", "")
    opened.settle()
    assert not opened.panel.notice.is_question
    assert not list((shared_server.studies / "labels" / "final").glob("*"))


def test_a_question_is_asked_again_when_the_points_changed_meanwhile(opened: Desktop, server: OwnServer) -> None:
    opened.ui.inferOnOpenCheckBox.checked = opened.ui.nextAfterCheckBox.checked = False
    connect(opened, server.url)
    open_image(opened, "phantom_000", "")
    opened.logic.editor.place(T7, TL, (300.0, 400.0))
    opened.ui.submitButton.click()
    asked = opened.ui.noticeLabel.text
    opened.logic.editor.place(T7, TL + 1, (315.0, 400.0))
    opened.ui.noticeYesButton.click()
    assert opened.panel.notice.is_question
    assert opened.ui.noticeLabel.text != asked
    opened.ui.noticeYesButton.click()
    opened.wait(lambda: opened.state.current.label == "label")


def test_a_file_is_looked_at_and_enters_the_server_when_it_is_submitted(
    opened: Desktop, server: OwnServer, phantoms: Path, tmp_path: Path
) -> None:
    connect(opened, server.url)
    opened.ui.nextAfterCheckBox.checked = False
    path = tmp_path / "from outside.png"
    path.write_bytes((phantoms / "phantom_000.png").read_bytes())
    opened.ui.openFileButton.click()
    dialog = next(w for w in QtWidgets.QApplication.topLevelWidgets() if isinstance(w, QtWidgets.QFileDialog))
    assert not dialog.isModal() or dialog.windowModality() != QtCore.Qt.WindowModality.ApplicationModal
    dialog.fileSelected.emit(str(path))
    dialog.close()
    opened.wait(lambda: opened.state.current and opened.state.current.label == "prediction", 120)
    assert "a local file" in opened.ui.imageLabel.text
    assert len(list(server.studies.glob("*.png"))) == 4
    opened.ui.submitButton.click()
    if opened.panel.notice.is_question:
        opened.ui.noticeYesButton.click()
    opened.wait(lambda: opened.state.current.label == "label")
    assert len(list(server.studies.glob("*.png"))) == 5


def test_a_move_is_shown_within_eight_milliseconds(opened: Desktop) -> None:
    editor = show_spine(opened)
    x, y = editor.xy[T7, TL]
    editor.begin()
    taken = []
    for step in range(60):
        begun = time.thread_time()  # of this thread alone: other processes may be busy
        editor.move_point(T7, TL, (x + step / 4, y + step / 3))
        taken.append(1000 * (time.thread_time() - begun))
    editor.end()
    assert statistics.median(taken) <= 8, f"{statistics.median(taken):.1f} ms in the median"


@pytest.mark.parametrize(
    ("mode", "corner_alone", "whole", "turned"),
    [(0, True, False, False), (1, False, True, False), (2, False, False, True)],
)
def test_the_choice_of_dragging_says_what_the_mouse_moves(
    opened: Desktop, mode: int, corner_alone: bool, whole: bool, turned: bool
) -> None:
    editor = show_spine(opened)
    opened.ui.dragComboBox.setCurrentIndex(mode)
    opened.stage.render()
    before = editor.xy[T7]
    x, y = opened.position_of(T7, TL)
    opened.stage.drag((x, y), (x, y + 12))
    moved = np.linalg.norm(editor.xy[T7] - before, axis=1) > 0.3
    assert moved[TL]
    assert (not moved[2:].any()) == corner_alone
    assert np.allclose(editor.xy[T7] - before, (editor.xy[T7] - before)[0]) == whole
    assert (moved[1:].all() and not moved[0]) == turned
    sides = [np.linalg.norm(xy[1] - xy[2]) for xy in (before, editor.xy[T7])]
    assert (abs(sides[0] - sides[1]) < 0.1) == (whole or turned)
    editor.undo()
    x, y = opened.position_of(T7, 0)
    opened.stage.drag((x, y), (x + 10, y))
    shift = editor.xy[T7] - before
    assert np.allclose(shift, shift[0], atol=1e-6), "with its center the vertebra moves"
    assert shift[0, 0] > 1


def test_what_is_to_be_checked_is_what_is_colored(opened: Desktop) -> None:
    editor, ui = show_spine(opened), opened.ui
    for v in range(T7 + 1, 17):
        editor.move_vertebra(v, (0.0, 20.0))
    found = opened.logic.measurements
    marked = sketch().vertebra_colors(found)
    assert any(one.vertebrae[0] not in marked for one in found.violations), "a violation names another vertebra first"
    assert set(column(ui.doubtsTable, 0)) <= set(marked)
    ui.nextDoubtButton.click()
    assert ui.vertebraComboBox.currentText in marked


def sketch() -> Any:
    return __import__("VertebraLandmarksLib.spine.overlay_geometry", fromlist=["overlay_geometry"])


def test_names_and_work_are_said_in_words(opened: Desktop, shared_server: OwnServer) -> None:
    ui = opened.ui
    connect(opened, shared_server.url)
    open_image(opened, "phantom_000")
    assert opened.state.current.names_right is not None
    opened.settle()
    assert ui.namesRightLabel.text == f"Names right: {100 * opened.state.current.names_right:.0f} %"
    assert ui.inferButton.text == "Find landmarks"
    ui.namesDownButton.click()
    opened.wait(lambda: opened.state.current.is_saved and opened.state.current.edits == 1)
    opened.settle()
    assert ui.namesRightLabel.text == ""
    assert ui.inferButton.text == "Re-run around my corrections"
    assert ui.effortLabel.text.startswith(f"1 edit in {opened.state.current.seconds} s")
    ui.undoButton.click()
    assert ui.inferButton.text == "Find landmarks"


def test_a_key_that_slicer_has_too_belongs_to_the_module_while_it_is_open(opened: Desktop) -> None:
    editor, ui = show_spine(opened), opened.ui
    window, contexts, pressed = slicer.app.main_window, QtCore.Qt.ShortcutContext, []
    action = window.addToolBar("Edit").addAction("Undo")
    action.setShortcut("Ctrl+Z")
    action.triggered.connect(lambda: pressed.append("Slicer"))
    other = QtGui.QShortcut("Ctrl+Y", window)
    other.activated.connect(lambda: pressed.append("other module"))
    opened.settle(0.2)
    opened.panel.exit()
    opened.panel.enter()
    active_window(opened)
    control = QtCore.Qt.KeyboardModifier.ControlModifier
    for _ in range(4):
        ui.namesDownButton.click()
        ui.namesUpButton.click()
    for left in (7, 6, 5, 4):
        QTest.keyClick(window, QtCore.Qt.Key.Key_Z, control)
        assert editor.edits == left, "every press counts"
    QTest.keyClick(window, QtCore.Qt.Key.Key_Y, control)
    assert (editor.edits, pressed) == (5, [])
    opened.panel.exit()
    assert (action.shortcutContext(), other.isEnabled()) == (contexts.WindowShortcut, True)
    QTest.keyClick(window, QtCore.Qt.Key.Key_Z, control)
    QTest.keyClick(window, QtCore.Qt.Key.Key_Y, control)
    assert (editor.edits, pressed) == (5, ["Slicer", "other module"])
    other.setParent(None)
    window.removeToolBar(window.findChild(QtWidgets.QToolBar))


def test_reload_gives_a_panel_from_the_source_as_it_is_now(opened: Desktop) -> None:
    before = opened.panel
    opened.module.widget.onReload()
    now = opened.module.widget.panel
    assert now is not before
    assert type(now) is not type(before), "the library must have been read again"
    now.ui.namesUpButton.click()


@pytest.mark.parametrize("cycles", [10])
def test_nothing_is_left_after_the_module_is_closed(tmp_path: Path, cycles: int) -> None:
    application.install(tmp_path)

    def left() -> tuple[Any, ...]:
        QtWidgets.QApplication.processEvents()
        timers = [thing for thing in _objects(QtCore.QTimer) if thing.isActive()]
        shortcuts = slicer.app.main_window.findChildren(QtGui.QShortcut)
        widgets = len(QtWidgets.QApplication.allWidgets())
        return view.node_counts(), view.observer_counts(), len(timers), len(shortcuts), widgets

    def cycle() -> None:
        module = application.load_module(MODULE)
        module.show(470)
        show_spine(Desktop(view, module))
        module.unload()

    with stage() as view:
        cycle()  # what Qt and VTK make once
        before = left()
        for _ in range(cycles):
            cycle()
        assert left() == before


def _objects(kind: type) -> list[Any]:
    import gc

    return [thing for thing in gc.get_objects() if isinstance(thing, kind)]


def test_the_modules_own_test_passes(opened: Desktop, capsys: pytest.CaptureFixture[str]) -> None:
    opened.module.module.runTest()
    assert "Please check the following by hand" in capsys.readouterr().out


def test_the_test_that_ctest_runs_passes(opened: Desktop) -> None:
    path = MODULE.parent / "Testing" / "Python" / "VertebraLandmarksModuleTest.py"
    found = scripted_module.load_source(path.stem, path).VertebraLandmarksModuleTest("test_module")
    result = found.run()
    assert result is not None
    assert result.wasSuccessful(), result.errors + result.failures


def test_unittest_runs_every_test_of_the_module_on_its_own(tmp_path: Path) -> None:
    """As ``slicer_add_python_unittest`` does: nobody has opened the module, and ``runTest`` is not called."""
    application.install(tmp_path)
    with stage():
        module = application.load_module(MODULE)
        tests = unittest.defaultTestLoader.loadTestsFromTestCase(module_test())
        assert tests.countTestCases() == 6
        result = unittest.TestResult()
        tests.run(result)
        module.unload()
    assert result.wasSuccessful(), result.errors + result.failures
    assert result.testsRun == 6


def module_test() -> Any:
    return sys.modules["VertebraLandmarks"].VertebraLandmarksTest
