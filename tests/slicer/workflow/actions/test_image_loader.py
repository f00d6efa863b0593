"""Which image is open, and with which points: own work first, labels and predictions as the server has them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from VertebraLandmarksLib.client.api import Client
from VertebraLandmarksLib.client.http import Connection
from VertebraLandmarksLib.spine.schema import VERTEBRAE
from VertebraLandmarksLib.workflow.state import ConnectionState

from ...conftest import facts, offline, stored

if TYPE_CHECKING:
    from ....serving import Server
    from ...conftest import Desk

pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("fresh_labels")]
integration = pytest.mark.integration

T7, TL, CENTER = 6, 1, 0


def labelled(desk: Desk, image_id: str, **noted: Any) -> bytes:
    """Have the server hold a person's label, which is not where the model's points are; returns it as stored."""
    desk.open(image_id)
    desk.infer()
    desk.logic.editor.move_vertebra(T7, (2.5, 1.25))
    label = desk.logic.markups()
    Client(Connection(desk.state.url)).save_label(image_id, label, {"annotator": "ada", **noted})
    desk.logic.editor.undo()
    desk.idle()
    for draft in desk.drafts.list():
        desk.drafts.remove(draft.key)
    return label


@integration
def test_landmarks_never_take_the_place_of_a_label_for_good(new_desk: Callable[..., Desk], server: Server) -> None:
    first = new_desk()
    first.connect(server.url)
    label = labelled(first, "phantom_000", model_version="of the label")
    first.controller.close()
    desk = new_desk()
    desk.connect(server.url)
    desk.open("phantom_000")
    assert desk.state.current is not None
    assert (desk.state.current.label, desk.state.current.is_unsaved) == ("label", False)
    assert desk.state.current.model_version == "of the label"
    desk.infer()
    assert desk.logic.markups() != label
    assert desk.state.current.is_unsaved
    assert desk.state.info is not None
    assert desk.state.current.model_version == desk.state.info.model_version
    assert "Undo" in desk.state.notice
    asked = desk.controller.submit()
    assert asked is not None
    assert [question.kind for question in asked.warnings] == ["replaces"]
    assert "You labelled this image already. Points of the model will replace" in asked.warnings[0].text
    assert stored(server, "phantom_000") == label

    desk.logic.editor.undo()
    assert desk.logic.markups() == label
    assert desk.controller.submit() is None  # one's own label again: nothing to ask
    desk.idle()
    assert stored(server, "phantom_000") == label
    assert desk.state.current.model_version == "of the label"


@integration
def test_the_image_that_is_open_is_loaded_again(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    label = labelled(desk, "phantom_000")
    desk.controller.open_image("phantom_000")
    desk.until(lambda: desk.state.current is not None and desk.state.current.label == "label")
    assert desk.logic.markups() == label
    desk.infer()
    desk.move()
    edited = desk.logic.markups()
    desk.controller.open_image("phantom_000")
    desk.until(lambda: desk.logic.markups() == label)
    assert "kept under unfinished work" in desk.state.notice
    desk.until(lambda: [draft.markups for draft in desk.state.drafts] == [edited])


@integration
def test_ones_own_work_is_shown_when_its_image_is_opened_again(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    desk.move()
    edited, touched = desk.logic.markups(), desk.logic.editor.touched
    desk.open("phantom_001")
    desk.controller.previous()
    desk.until(lambda: desk.state.current is not None and desk.state.current.id == "phantom_000")
    assert desk.state.current is not None
    assert (desk.state.current.label, desk.state.current.is_unsaved) == ("draft", True)
    assert desk.logic.markups() == edited
    assert np.array_equal(desk.logic.editor.touched, touched)
    assert "unfinished work" in desk.state.notice
    desk.until(lambda: len(desk.drafts.list()) == 1 and desk.state.drafts == ())

    desk.controller.revert()  # "Start over"
    desk.until(lambda: desk.state.current is not None and desk.state.current.label == "")
    desk.until(lambda: [draft.markups for draft in desk.state.drafts] == [edited])


@integration
def test_work_of_others_and_work_older_than_the_label_is_offered_only(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    desk.move()
    desk.open("phantom_001")
    (draft,) = desk.drafts.list()
    desk.controller.annotator = "ben"
    desk.open("phantom_000")
    assert desk.state.current is not None
    assert desk.state.current.label == ""
    desk.controller.annotator = "ada"
    label = labelled(desk, "phantom_002")
    desk.drafts.save(replace(draft, image_id="phantom_002", saved=1000.0))
    desk.open("phantom_001")
    desk.open("phantom_002")
    assert desk.state.current is not None
    assert desk.state.current.label == "label"
    assert desk.logic.markups() == label
    assert "unfinished work of 1970" in desk.state.notice


@integration
def test_what_somebody_else_began_is_said_and_noted(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    desk.move()
    desk.open("phantom_001")
    desk.until(lambda: bool(desk.state.drafts))
    (draft,) = desk.state.drafts
    assert (draft.user, draft.edits) == ("ada", 1)
    desk.controller.annotator = "ben"
    desk.controller.resume_draft(draft)
    desk.until(lambda: desk.state.current is not None and desk.state.current.label == "draft")
    assert desk.state.current is not None
    assert (desk.state.current.begun_by, desk.state.current.edits) == ("ada", 1)
    desk.move()
    assert desk.state.current.edits == 2
    desk.submit()
    desk.idle()
    noted = facts(server, "phantom_000")
    assert (noted["annotator"], noted["begun_by"], noted["edits"]) == ("ben", "ada", 2)


@integration
def test_the_model_of_points_that_nobody_set_is_known_after_a_pause(
    new_desk: Callable[..., Desk], server: Server
) -> None:
    first = new_desk()
    first.connect(server.url)
    first.open("phantom_000")
    first.infer()
    first.move()
    assert first.state.current is not None
    version, right = first.state.current.model_version, first.state.current.names_right
    widths = first.logic.editor.origin.tilt_half_widths
    assert version
    first.controller.close()

    desk = new_desk()
    desk.connect(server.url)
    desk.open("phantom_000")
    assert desk.state.current is not None
    assert (desk.state.current.label, desk.state.current.model_version) == ("draft", version)
    assert desk.state.current.names_right == right
    assert desk.logic.editor.origin.tilt_half_widths == widths
    desk.submit()
    desk.idle()
    assert facts(server, "phantom_000")["model_version"] == version


@integration
@pytest.mark.parametrize("is_old", [True, False])
def test_predictions_of_another_model_are_asked_for_again(desk: Desk, server: Server, is_old: bool) -> None:
    desk.connect(server.url)
    assert desk.state.info is not None
    served = desk.state.info.model_version
    desk.open("phantom_000")
    desk.infer()
    desk.logic.editor.move_vertebra(T7, (4.5, 2.25))
    kept = desk.logic.editor.xy
    noted = {"model_version": "another" if is_old else served, "names_right": 0.25}
    Client(Connection(server.url)).save_label("phantom_001", desk.logic.markups(), noted, "original")

    desk.open("phantom_001")
    assert desk.state.current is not None
    assert desk.state.current.label == "prediction"
    assert np.allclose(desk.logic.editor.xy, kept)
    assert (desk.state.current.model_version, desk.state.current.names_right) == (noted["model_version"], 0.25)
    assert desk.state.is_busy("infer") == is_old
    desk.idle()
    assert desk.state.current.model_version == served
    assert np.allclose(desk.logic.editor.xy, kept) != is_old


@integration
def test_names_that_were_shifted_stay_when_landmarks_are_found_again(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    desk.logic.editor.shift_names(-1)
    shifted = desk.logic.editor.xy
    named = np.flatnonzero(np.isfinite(shifted[:, CENTER, 0]))
    assert len(named) == len(VERTEBRAE) - 1
    assert desk.logic.editor.is_touched
    desk.infer()
    assert np.array_equal(desk.logic.editor.xy[named, CENTER], shifted[named, CENTER])
    step = np.median(np.linalg.norm(np.diff(shifted[named, CENTER], axis=0), axis=1))
    corners = np.linalg.norm(desk.logic.editor.xy[named, 1:] - shifted[named, 1:], axis=-1)
    assert np.median(corners) < step / 4


@integration
def test_every_strategy_passes_over_images_that_were_left(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    seen = []
    for _ in range(4):
        shown = len(desk.logic.shown)
        desk.controller.next_image("first")
        desk.until(lambda shown=shown: len(desk.logic.shown) > shown)
        assert desk.state.error is None
        seen.append(desk.logic.shown[-1])
    assert seen == [f"phantom_00{n}" for n in range(4)]
    desk.controller.next_image("first")  # all were passed over: from the beginning
    desk.until(lambda: len(desk.logic.shown) > 4)
    assert desk.logic.shown[-1] == "phantom_000"


@integration
def test_the_only_image_that_is_left_is_said_to_be_that(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    label = labelled(desk, "phantom_000")
    for name in ("phantom_001", "phantom_002"):
        Client(Connection(server.url)).save_label(name, label, {})
    desk.open("phantom_003")
    desk.controller.refresh()
    desk.idle()
    desk.controller.next_image("first")
    desk.until(lambda: desk.state.error is not None)
    assert desk.state.error is not None
    assert "only image left" in desk.state.error.message


def test_an_image_is_read_here_on_another_thread(desk: Desk, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((30, 10), np.uint8)).save(tmp_path / "image.png")
    desk.controller.open_local(str(tmp_path / "image.png"))
    assert desk.state.is_busy("open")
    assert desk.state.busy[0].description == "Loading image.png"
    desk.until(lambda: desk.state.current is not None)
    assert desk.logic.readers != [threading.current_thread().name]


@integration
def test_an_image_is_read_here_while_the_server_is_lost(desk: Desk, server: Server, tmp_path: Path) -> None:
    for name in ("one", "two"):
        Image.open(server.studies / "phantom_001.png").save(tmp_path / f"{name}.png")
    desk.connect(server.url)
    connection = desk.controller._requests.client.connection  # type: ignore[union-attr]
    address = connection.url
    connection.url = type(address)(False, address.host, 9, "")  # nobody is there
    for name in ("one", "two"):  # the first is what the loss is noticed by
        desk.open_file(tmp_path / f"{name}.png")
        current = desk.state.current
        assert current is not None
        assert (current.id, current.source) == (name, "local")
        assert desk.state.connection is ConnectionState.LOST


def test_a_file_that_is_opened_again_is_shown_with_ones_work(new_desk: Callable[..., Desk], tmp_path: Path) -> None:
    first = new_desk()
    offline(first, tmp_path)
    edited = first.logic.markups()
    first.controller.close()
    desk = new_desk()
    desk.open_file(tmp_path / "image.png")
    assert desk.state.current is not None
    assert (desk.state.current.label, desk.state.current.edits) == ("draft", 85)
    assert desk.logic.markups() == edited
    desk.idle()
    desk.open_file(tmp_path / "image.png")  # once more: from the beginning, and the work is kept
    assert not np.isfinite(desk.logic.editor.xy).any()
    desk.until(lambda: [draft.markups for draft in desk.state.drafts] == [edited])


@integration
def test_images_of_another_server_are_not_gone_back_to(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.open("phantom_001")
    assert desk.state.can_go_back
    desk.connect(server.url.replace("127.0.0.1", "localhost"))
    assert not desk.state.can_go_back
    assert desk.state.current is None
