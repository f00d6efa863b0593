"""The controller on the real editor and the real server: what a person does, from connecting to submitting."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import shutil
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from VertebraLandmarksLib.client.api import Client
from VertebraLandmarksLib.client.errors import ServerError
from VertebraLandmarksLib.client.http import Connection
from VertebraLandmarksLib.spine.labels.markups import from_markups
from VertebraLandmarksLib.spine.schema import SCHEMA_VERSION
from VertebraLandmarksLib.workflow import open_image, requests
from VertebraLandmarksLib.workflow.drafts import SUBMITTING
from VertebraLandmarksLib.workflow.state import ConnectionState

from ..conftest import facts, offline, stored
from ..misbehaving import answering, read_all, read_head, reply, serving

if TYPE_CHECKING:
    from ...serving import Server, Start
    from ..conftest import Desk

pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("fresh_labels")]
integration = pytest.mark.integration

T7, TL = 6, 1
L5 = 16


@integration
def test_connect_choose_infer_correct_submit_next(desk: Desk, server: Server) -> None:
    controller = desk.controller
    controller.next_after_submit = True
    controller.connect(server.url + "/")
    assert desk.state.connection is ConnectionState.CONNECTING
    assert desk.state.is_busy("connect")
    desk.idle()
    assert desk.state.connection is ConnectionState.CONNECTED
    assert desk.state.info is not None
    assert (desk.state.info.images, desk.state.info.unlabelled, len(desk.state.images)) == (4, 4, 4)

    controller.next_image("first")
    desk.until(lambda: desk.state.current is not None)
    current = desk.state.current
    assert current is not None
    first = current.id
    assert (current.source, current.label, current.is_unsaved) == ("server", "", False)
    assert desk.logic.radiograph is not None

    desk.infer()
    assert desk.state.current is not None
    assert desk.state.current.label == "prediction"
    assert not desk.state.current.is_unsaved  # a prediction is nobody's work
    predicted = desk.logic.editor.xy
    desk.move(T7, TL)
    desk.logic.editor.hide(L5)
    assert desk.state.current.is_unsaved
    desk.logic.editor.undo()
    desk.logic.editor.redo()
    desk.idle()

    asked = controller.submit()
    assert asked is not None
    (question,) = asked.warnings
    assert (question.kind, question.vertebrae) == ("incomplete", ("L5",))
    assert "not visible" in question.text
    assert not desk.state.is_busy("submit")
    shown = desk.logic.markups()
    assert controller.submit(asked) is None
    assert desk.state.is_busy("submit")
    desk.until(lambda: desk.state.current is not None and desk.state.current.id != first)
    assert stored(server, first) == shown
    label = from_markups(json.loads(stored(server, first)))
    assert label["L5"].is_absent
    assert np.allclose(label.xy[T7, TL], predicted[T7, TL] + (3.25, -2.5))
    noted = facts(server, first)
    assert (noted["annotator"], noted["edits"], noted["user"]) == ("ada", 2, "anybody")
    assert noted["touched"] == 6
    assert 0 <= noted["seconds"] < 600
    desk.idle()
    assert desk.drafts.list() == ()
    desk.until(lambda: desk.state.info is not None and desk.state.info.unlabelled == 3)
    entry = next(one for one in desk.state.images if one.id == first)
    assert (entry.status, entry.user) == ("labelled", "ada")

    controller.previous()
    desk.until(lambda: desk.state.current is not None and desk.state.current.id == first)
    assert desk.state.current is not None
    assert desk.state.current.label == "label"
    assert np.allclose(desk.logic.editor.xy, label.xy, equal_nan=True)
    assert not desk.state.can_go_back


@integration
def test_landmarks_are_found_again_around_what_was_touched(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    before = desk.logic.editor.xy
    desk.move(T7, 0, (9.123456789, 2.0))
    kept = desk.logic.editor.xy[T7, 0].copy()
    desk.controller.infer()
    assert desk.state.busy[-1].description == "Finding landmarks around yours"
    desk.idle()
    after = desk.logic.editor.xy
    assert np.array_equal(after[T7, 0], kept)
    assert not np.array_equal(after[T7, 1:], before[T7, 1:])
    assert desk.logic.editor.touched.sum() == 1
    assert desk.state.current is not None
    assert desk.state.current.is_unsaved


@integration
def test_the_others_follow_a_move_and_undo_takes_both_back(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    desk.controller.follow_moves = True
    editor, before = desk.logic.editor, desk.logic.editor.xy
    for shift in (9.0, 3.0):  # the second comes before the model was asked about the first
        desk.move(T7, 0, (shift, 2.0))
        kept = editor.xy[T7, 0].copy()
    moved = editor.xy
    desk.until(lambda: not np.array_equal(editor.xy, moved))
    assert np.array_equal(editor.xy[T7, 0], kept)
    assert (editor.edits, editor.prediction_count, editor.touched.sum()) == (2, 0, 1)
    followed = editor.xy
    desk.idle()
    editor.undo()
    editor.undo()
    assert np.array_equal(editor.xy, before)
    editor.redo()
    editor.redo()
    desk.idle()
    assert np.array_equal(editor.xy, followed)
    assert desk.state.current is not None
    assert desk.state.current.is_unsaved


@integration
@pytest.mark.parametrize("is_opened_again", [False, True])
def test_what_a_person_submitted_does_not_follow(desk: Desk, server: Server, is_opened_again: bool) -> None:
    desk.connect(server.url)
    desk.open("phantom_001")
    desk.infer()
    desk.submit()
    desk.until(lambda: desk.state.current is not None and desk.state.current.label == "label")
    if is_opened_again:
        desk.controller.open_image("phantom_001")
        desk.until(lambda: not desk.state.is_busy("open"))
    desk.controller.follow_moves = True
    desk.move(T7, 0, (9.0, 2.0))
    moved, end = desk.logic.editor.xy, time.monotonic() + 0.5
    desk.until(lambda: time.monotonic() > end)
    desk.idle()
    assert np.array_equal(desk.logic.editor.xy, moved)


@integration
def test_an_answer_that_an_undo_has_overtaken_is_dropped(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    desk.controller.follow_moves = True
    before = desk.logic.editor.xy
    desk.move(T7, 0, (9.0, 2.0))
    desk.until(lambda: desk.state.is_busy("infer"))
    desk.logic.editor.undo()
    desk.idle()
    assert np.array_equal(desk.logic.editor.xy, before)


@integration
def test_an_image_of_this_computer_enters_the_folder_with_its_label(desk: Desk, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "my image.png"
    Image.open(server.studies / "phantom_003.png").save(path)
    desk.connect(server.url)
    desk.controller.open_local(str(path))
    desk.until(lambda: desk.state.current is not None)
    current = desk.state.current
    assert current is not None
    assert (current.id, current.source, current.path) == ("my image", "session", str(path))
    desk.infer()
    desk.move()
    shown = desk.logic.markups()
    desk.submit()
    desk.idle()
    assert desk.state.error is None
    current = desk.state.current
    assert current is not None
    assert (current.id, current.source, current.path, current.is_unsaved) == ("my image", "server", None, False)
    assert stored(server, "my image") == shown
    assert (server.studies / "my image.png").read_bytes() == path.read_bytes()
    desk.until(lambda: desk.state.info is not None and desk.state.info.images == 5)
    assert desk.drafts.list() == ()

    # a second image of that name gets another, the same image again does not
    desk.controller.open_local(str(path))
    desk.until(lambda: desk.state.current is not None and desk.state.current.source == "session")
    desk.infer()
    desk.submit()
    desk.idle()
    assert desk.state.error is not None
    assert "my image has a label by ada" in desk.state.error.message
    assert stored(server, "my image") == shown
    desk.submit()
    desk.idle()
    assert stored(server, "my image") == desk.logic.markups()
    Image.open(server.studies / "phantom_002.png").save(path)
    desk.controller.open_local(str(path))
    desk.until(lambda: desk.state.current is not None and desk.state.current.source == "session")
    desk.infer()
    desk.submit()
    desk.idle()
    names = {entry.id for entry in Client(Connection(server.url)).images()}
    assert {name for name in names if name.startswith("my")} == {"my image", "my image_2"}


@integration
def test_a_session_that_is_over_is_begun_again(desk: Desk, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.open(server.studies / "phantom_003.png").save(path)
    desk.connect(server.url)
    desk.controller.open_local(str(path))
    desk.until(lambda: desk.state.current is not None)
    session = desk.controller._autosave.session.upload_id  # type: ignore[union-attr]
    assert server.ask(f"/session/{session}", "DELETE")[0] == 200
    desk.infer()
    assert np.isfinite(desk.logic.editor.xy).all()


@integration
def test_an_image_is_opened_without_a_server_and_labelled_when_there_is_one(
    desk: Desk, server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "offline.png"
    Image.open(server.studies / "phantom_001.png").save(path)
    desk.open_file(path)
    assert desk.state.current is not None
    assert (desk.state.current.source, desk.state.current.id) == ("local", "offline")
    desk.controller.infer()
    assert desk.state.error is not None
    assert "Connect" in desk.state.error.message
    desk.connect(server.url)
    assert desk.state.current is not None
    desk.infer()
    desk.move()
    desk.submit()
    desk.idle()
    assert desk.state.error is None
    assert stored(server, "offline") == desk.logic.markups()


@integration
def test_unsaved_edits_outlive_the_choice_of_another_image(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    desk.move()
    edited, touched = desk.logic.markups(), desk.logic.editor.touched
    desk.open("phantom_001")
    (draft,) = desk.drafts.list()
    assert draft.markups == edited
    assert (draft.image_id, draft.server, draft.user) == ("phantom_000", server.url, "ada")
    desk.until(lambda: desk.state.drafts == (draft,))
    assert not np.isfinite(desk.logic.editor.xy).any()

    desk.controller.resume_draft(draft)
    desk.until(lambda: desk.state.current is not None and desk.state.current.label == "draft")
    assert desk.logic.markups() == edited
    assert np.array_equal(desk.logic.editor.touched, touched)
    desk.until(lambda: desk.state.drafts == ())
    (moved,) = desk.drafts.list()
    assert (moved.markups, moved.edits) == (edited, 1)
    desk.move(3, 0)
    desk.submit()
    desk.idle()
    assert desk.drafts.list() == ()
    assert facts(server, "phantom_000")["edits"] == 2


@integration
def test_reverting_keeps_the_edits_as_an_offer(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    desk.move()
    edited = desk.logic.markups()
    desk.controller.revert()
    desk.until(lambda: bool(desk.state.drafts))
    assert [draft.markups for draft in desk.state.drafts] == [edited]
    assert not np.isfinite(desk.logic.editor.xy).any()
    desk.controller.discard(desk.state.drafts[0])
    desk.until(lambda: desk.state.drafts == ())
    assert desk.drafts.list() == ()


@integration
def test_a_process_that_is_killed_loses_nothing(new_desk: Callable[..., Desk], server: Server, tmp_path: Path) -> None:
    """What is on the disk while the first desk works is all that the second one has."""
    desk = new_desk()
    desk.connect(server.url)
    desk.open("phantom_002")
    desk.infer()
    desk.move()
    desk.idle()
    edited = desk.logic.markups()

    shutil.copytree(desk.folder, tmp_path / "left")
    second = new_desk(tmp_path / "left")
    second.until(lambda: bool(second.state.drafts))
    (draft,) = second.state.drafts
    assert draft.markups == edited
    second.controller.resume_draft(draft)
    assert second.state.error is not None
    assert f"belongs to the server {server.url}" in second.state.error.message
    second.connect(server.url)
    second.controller.resume_draft(draft)
    second.until(lambda: second.state.current is not None)
    assert second.logic.markups() == edited


@integration
def test_a_server_killed_in_the_middle_of_a_submit(
    new_desk: Callable[..., Desk], tmp_path: Path, start: Start, server: Server
) -> None:
    """A server that takes the label and dies before it answers; then Slicer dies too."""
    desk, taken = new_desk(), threading.Event()
    target = server.url.removeprefix("http://").split(":")

    def relay(client: socket.socket) -> None:
        """Pass everything on, but for the label, of which half is read."""
        head = read_head(client)
        if head.startswith(b"PUT /datastore/label"):
            client.recv(1000)
            taken.set()
            return
        with socket.create_connection((target[0], int(target[1]))) as upstream:
            upstream.sendall(head)
            client.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                while piece := client.recv(1 << 16):
                    upstream.sendall(piece)
            while piece := upstream.recv(1 << 16):
                client.sendall(piece)

    with serving(relay) as url:
        desk.connect(url)
        desk.open("phantom_002")
        desk.infer()
        desk.move()
        edited = desk.logic.markups()
        desk.submit()
        assert taken.wait(20)
        (left,) = desk.drafts.list()  # as a kill of Slicer in this moment would leave it
        assert (left.note, left.markups) == (SUBMITTING, edited)
        desk.until(lambda: desk.state.error is not None)
    assert desk.state.error is not None
    assert desk.state.error.kind == "cut_short"
    assert desk.state.connection is ConnectionState.LOST
    assert desk.state.current is not None
    assert desk.state.current.is_unsaved
    assert desk.logic.markups() == edited
    desk.until(lambda: desk.drafts.list()[0].note != SUBMITTING)
    assert desk.drafts.list()[0].markups == edited
    assert not (server.studies / "labels" / "final" / "phantom_002.mrk.json").exists()


@integration
def test_a_label_that_had_arrived_before_the_kill_is_recognised(
    new_desk: Callable[..., Desk], server: Server, tmp_path: Path
) -> None:
    desk = new_desk()
    desk.connect(server.url)
    desk.open("phantom_002")
    desk.infer()
    desk.move()
    desk.idle()
    (draft,) = desk.drafts.list()
    Client(Connection(server.url)).save_label("phantom_002", draft.markups, {})
    desk.drafts.save(replace(draft, note=SUBMITTING))
    shutil.copytree(desk.folder, tmp_path / "left")
    second = new_desk(tmp_path / "left")
    second.connect(server.url)
    second.until(lambda: bool(second.state.drafts))
    second.controller.resume_draft(second.state.drafts[0])
    second.until(lambda: second.state.current is not None)
    assert "had reached the server" in second.state.notice
    assert second.state.current is not None
    assert (second.state.current.label, second.state.current.is_unsaved) == ("label", False)
    second.until(lambda: second.state.drafts == ())


@integration
def test_a_label_that_the_server_refuses_is_kept(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_002")
    desk.infer()
    desk.move()
    honest = desk.logic.markups
    desk.logic.markups = lambda: b'{"markups": "none"}'  # type: ignore[method-assign]
    desk.submit()
    desk.until(lambda: desk.state.error is not None)
    desk.logic.markups = honest  # type: ignore[method-assign]
    assert desk.state.error is not None
    assert desk.state.error.kind == "refused"
    assert "Markups" in desk.state.error.message
    assert desk.state.current is not None
    assert desk.state.current.is_unsaved
    desk.until(lambda: "Markups" in desk.drafts.list()[0].note)


@integration
def test_the_label_of_somebody_else_is_not_replaced_without_a_word(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    Client(Connection(server.url)).save_label("phantom_000", desk.logic.markups(), {"annotator": "ben"})
    desk.controller.refresh()
    desk.idle()
    asked = desk.controller.submit()
    assert asked is not None
    assert [question.kind for question in asked.warnings] == ["replaces"]
    assert "ben labelled this image already" in asked.warnings[0].text


@integration
def test_an_unusual_spine_is_asked_about(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    assert desk.controller.submit() is None
    assert desk.state.error is not None
    assert "no points" in desk.state.error.message
    desk.infer()
    desk.move(T7, 0, (90.0, 0.0))
    asked = desk.controller.submit()
    assert asked is not None
    (question,) = asked.warnings
    assert question.kind == "implausible"
    assert "T7" in question.vertebrae
    assert "stored as it is" in question.text


@integration
def test_edits_during_a_submit_are_not_taken_for_submitted(desk: Desk, server: Server) -> None:
    desk.controller.next_after_submit = True
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    desk.move()
    sent = desk.logic.markups()
    desk.submit()
    desk.move(2, 1)
    newer = desk.logic.markups()
    desk.until(lambda: not desk.state.is_busy("submit"))
    desk.idle()
    assert stored(server, "phantom_000") == sent
    assert desk.state.current is not None
    assert desk.state.current.id == "phantom_000"
    assert desk.state.current.is_unsaved
    (draft,) = desk.drafts.list()
    assert draft.markups == newer


@integration
def test_a_server_that_comes_back_is_noticed(
    desk: Desk, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "RECONNECT_INTERVAL_S", 0.2)
    desk.connect(server.url)
    address = desk.controller._requests.client.connection.url  # type: ignore[union-attr]
    connection = desk.controller._requests.client.connection  # type: ignore[union-attr]
    connection.url = type(address)(False, address.host, 9, "")  # nobody is there
    desk.controller.refresh()
    desk.until(lambda: desk.state.connection is ConnectionState.LOST)
    assert desk.state.error is not None
    assert desk.state.info is not None  # what was known stays on the screen
    connection.url = address
    desk.until(lambda: desk.state.connection is ConnectionState.CONNECTED)


@integration
def test_of_two_images_chosen_in_a_row_only_the_second_is_opened(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.controller.open_image("phantom_000")
    desk.controller.open_image("phantom_001")
    desk.until(lambda: desk.state.current is not None and desk.state.current.id == "phantom_001")
    desk.idle()
    time.sleep(0.5)
    desk.controller.poll()
    assert desk.logic.shown == ["phantom_001"]


@integration
def test_landmarks_may_be_asked_for_at_once(desk: Desk, server: Server) -> None:
    desk.controller.infer_on_open = True
    desk.connect(server.url)
    desk.open("phantom_001")
    desk.until(lambda: desk.state.current is not None and desk.state.current.label == "prediction")
    assert np.isfinite(desk.logic.editor.xy).all()


def test_a_failed_connect_says_why(desk: Desk) -> None:
    other = json.dumps({"name": "Radiology", "models": {}}).encode()
    for answer, kind in (
        (reply(b"<html>Welcome</html>"), "bad_response"),
        (reply(b'{"detail": "this server wants a token"}', "401 Unauthorized"), "login"),
        (reply(other), "wrong_app"),
    ):
        with serving(answering(answer)) as url:
            desk.controller.connect(url)
            desk.idle()
        assert desk.state.connection is ConnectionState.FAILED
        assert desk.state.error is not None
        assert desk.state.error.kind == kind
    desk.controller.connect("ftp://x")
    assert desk.state.connection is ConnectionState.FAILED
    desk.controller.disconnect()
    assert desk.state.connection is ConnectionState.DISCONNECTED


def test_a_connect_can_be_cancelled(desk: Desk) -> None:
    with serving(lambda connection: time.sleep(20)) as url:
        desk.controller.connect(url)
        time.sleep(0.1)
        desk.controller.poll()
        begin = time.monotonic()
        desk.controller.cancel()
        assert desk.state.connection is ConnectionState.DISCONNECTED
        assert desk.state.busy == ()
        assert time.monotonic() - begin < 10  # of the 20 s that the server would take


def test_edits_are_on_the_disk_within_a_second(desk: Desk, tmp_path: Path) -> None:
    offline(desk, tmp_path)
    begin = time.monotonic()
    assert desk.state.current is not None
    assert desk.state.current.is_unsaved
    assert not desk.state.current.is_saved
    desk.idle()
    assert time.monotonic() - begin < 10  # a second, and what a busy machine adds
    (draft,) = desk.drafts.list()
    assert draft.markups == desk.logic.markups()
    assert (draft.source, draft.server, draft.edits, len(draft.touched)) == (str(tmp_path / "image.png"), "", 85, 85)


def test_edits_are_kept_during_a_long_drag(desk: Desk, tmp_path: Path) -> None:
    offline(desk, tmp_path)
    desk.idle()
    desk.logic.editor.begin()
    end = time.monotonic() + 1.6
    while time.monotonic() < end:
        desk.move(T7, TL, (0.01, 0.0))
        desk.controller.poll()
        time.sleep(0.01)
    (draft,) = desk.drafts.list()
    kept = from_markups(json.loads(draft.markups)).xy[T7, TL, 0]
    assert kept > 40.0  # where it was when the drag began
    desk.logic.editor.end()


def test_close_keeps_what_was_edited_just_now(new_desk: Callable[..., Desk], tmp_path: Path) -> None:
    desk = new_desk()
    offline(desk, tmp_path)
    edited = desk.logic.markups()
    begin = time.monotonic()
    desk.controller.close()
    assert time.monotonic() - begin < 10
    assert [draft.markups for draft in desk.drafts.list()] == [edited]
    desk.controller.close()
    desk.controller.poll()

    second = new_desk()
    second.until(lambda: bool(second.state.drafts))
    second.controller.resume_draft(second.state.drafts[0])
    second.until(lambda: second.state.current is not None)
    assert second.logic.markups() == edited
    assert second.state.current is not None
    assert (second.state.current.source, second.state.current.label) == ("local", "draft")


def test_a_scene_that_closes_leaves_the_work_as_an_offer(desk: Desk, tmp_path: Path) -> None:
    offline(desk, tmp_path)
    edited = desk.logic.markups()
    desk.controller.save_now()
    desk.logic.close_image()
    desk.controller.on_scene_closed()
    assert desk.state.current is None
    desk.until(lambda: bool(desk.state.drafts))
    assert [draft.markups for draft in desk.state.drafts] == [edited]


def test_a_full_disk_keeps_the_image_open(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offline(desk, tmp_path)
    Image.fromarray(np.zeros((30, 10), np.uint8)).save(tmp_path / "other.png")

    tries = []

    def full(_: object) -> None:
        tries.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(open_image, "RETRY_INTERVAL_S", 0.2)  # a name could mean modules that were loaded anew
    with monkeypatch.context() as patch:
        patch.setattr(desk.drafts, "save", full)
        desk.controller.open_local(str(tmp_path / "other.png"))
        desk.until(lambda: desk.state.error is not None)
        assert desk.state.error is not None
        assert "cannot be saved on this computer" in desk.state.error.message
        assert desk.state.current is not None
        assert (desk.state.current.id, desk.state.current.is_saved) == ("image", False)
        desk.until(lambda: len(tries) > 5, 10)  # it is tried again and again
    desk.until(lambda: desk.state.current is not None and desk.state.current.is_saved)
    desk.controller.open_local(str(tmp_path / "other.png"))
    desk.until(lambda: desk.state.current is not None and desk.state.current.id == "other")
    assert len(desk.drafts.list()) == 1


def test_a_draft_whose_image_is_gone_is_kept(new_desk: Callable[..., Desk], tmp_path: Path) -> None:
    desk = new_desk()
    offline(desk, tmp_path)
    desk.controller.close()
    (tmp_path / "image.png").unlink()
    second = new_desk()
    second.until(lambda: bool(second.state.drafts))
    second.controller.resume_draft(second.state.drafts[0])
    assert second.state.error is not None
    assert str(tmp_path / "image.png") in second.state.error.message
    assert second.state.current is None
    assert len(second.drafts.list()) == 1


def test_what_is_no_image_is_told(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "image.png").write_text("text")
    desk.controller.open_local(str(tmp_path / "image.png"))
    desk.until(lambda: desk.state.error is not None)
    assert desk.state.error is not None
    assert desk.state.error.kind == "unreadable"
    assert desk.state.current is None
    desk.controller.dismiss()
    assert desk.state.error is None


def test_listeners_hear_of_every_change_once_and_can_leave(desk: Desk, tmp_path: Path) -> None:
    offline(desk, tmp_path)
    desk.idle()
    heard: list[object] = []
    leave = desk.controller.subscribe(heard.append)
    desk.move()
    assert heard == []  # only poll tells
    desk.controller.poll()
    assert heard[-1] is desk.state
    desk.idle()
    count = len(heard)
    for _ in range(50):
        desk.controller.poll()
    assert len(heard) == count
    leave()
    leave()
    desk.controller.dismiss()
    desk.move()
    desk.idle()
    assert len(heard) == count


def test_no_call_and_no_poll_takes_long(desk: Desk, tmp_path: Path) -> None:
    """While a server is slow and an image of 24 MB comes in, nothing holds the thread of the panel."""
    pixels = np.random.default_rng(1).integers(0, 4096, (4000, 3000)).astype(np.uint16)
    stream = io.BytesIO()
    np.save(stream, pixels)
    radiograph = gzip.compress(stream.getvalue(), 1)
    info = {
        "name": "Vertebra Landmarks",
        "version": "1",
        "models": {"vertebra_landmarks": {"schema_version": SCHEMA_VERSION}},
        "strategies": {"first": {}},
        "datastore": {"total": 1, "completed": 0},
    }
    objects = {"objects": {"a": {"image": {"ext": ".png"}, "labels": {}}}}
    known = {"width": 3000, "height": 4000, "spacing": [1, 1]}

    def behave(connection: Any) -> None:
        head = read_all(connection)[0].split()[1].decode()
        time.sleep(3 if "pixels" in head else 0)
        if "pixels" in head:
            answer = reply(radiograph, "200 OK", "Content-Encoding: gzip", f"X-Image-Facts: {json.dumps(known)}")
        elif "label" in head:
            answer = reply(b"{}", "404 Not Found")
        else:
            content = info if "info" in head else {"username": "a", "roles": ["admin"]} if "auth" in head else objects
            answer = reply(json.dumps(content).encode())
        connection.sendall(answer)

    busy, waited = 0.0, 0.0

    def timed(call: Callable[[], object]) -> None:
        nonlocal busy, waited
        begin, wall = time.thread_time(), time.perf_counter()
        call()
        busy, waited = max(busy, time.thread_time() - begin), max(waited, time.perf_counter() - wall)

    with serving(behave) as url:
        desk.connect(url)
        timed(lambda: desk.controller.open_image("a"))
        end = time.monotonic() + 60
        while desk.state.current is None:
            assert time.monotonic() < end
            timed(desk.controller.poll)
            time.sleep(0.01)
    assert desk.logic.radiograph is not None
    assert np.array_equal(desk.logic.radiograph.pixels, pixels)
    done = [state.busy[0].done for state in desk.states if state.busy and state.busy[0].name == "open"]
    assert len(set(done)) > 3  # there was progress to see
    assert busy < 0.05
    assert waited < 2.5  # the server takes 3 s


@integration
def test_a_training_that_the_server_refuses_is_told(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.controller.start_training()
    desk.until(lambda: desk.state.error is not None)
    assert isinstance(desk.state.error, ServerError)
    assert "at least 2 images" in desk.state.error.message
    assert desk.state.training is None
