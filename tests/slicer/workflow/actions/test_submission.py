"""What is asked before a label is stored, for which image and points an answer counts, and what is sent."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from VertebraLandmarksLib.client.api import Client
from VertebraLandmarksLib.client.http import Connection
from VertebraLandmarksLib.workflow.controller import Controller

from ...conftest import Desk, facts, stored

if TYPE_CHECKING:
    from ....serving import Server

pytestmark = [pytest.mark.slicer, pytest.mark.integration, pytest.mark.usefixtures("fresh_labels")]

T7, L5 = 6, 16


def is_stored(server: Server, image_id: str) -> bool:
    """Whether a person's label lies on the server's disk."""
    return (server.studies / "labels" / "final" / f"{image_id}.mrk.json").exists()


def test_an_answer_to_an_old_question_submits_no_other_image(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    desk.logic.editor.hide(L5)
    asked = desk.controller.submit()
    assert asked is not None
    desk.open("phantom_001")
    desk.infer()
    assert desk.controller.submit(asked) is None
    assert not desk.state.is_busy("submit")
    assert "no longer open" in desk.state.notice
    desk.idle()
    assert not is_stored(server, "phantom_000")
    assert not is_stored(server, "phantom_001")


def test_an_answer_counts_for_the_points_that_it_was_about(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    desk.logic.editor.hide(L5)
    asked = desk.controller.submit()
    assert asked is not None
    desk.logic.editor.move_vertebra(T7, (0.5, 0.0))  # the questions stay the same
    anew = desk.controller.submit(asked)
    assert anew is not None
    assert (anew.key, anew.warnings) == (asked.key, asked.warnings)
    assert anew.revision != asked.revision
    assert not desk.state.is_busy("submit")
    desk.infer()
    assert desk.controller.submit(anew) is not None  # nor may other points come in between
    desk.logic.editor.undo()
    desk.logic.editor.undo()
    desk.logic.editor.undo()
    assert desk.controller.submit(anew) is None  # nothing is left to ask
    desk.idle()
    assert stored(server, "phantom_000") == desk.logic.markups()


def test_a_label_that_came_meanwhile_is_not_replaced_without_a_word(desk: Desk, server: Server) -> None:
    """The list on the screen is older than the label of another person."""
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    other = desk.logic.markups()
    desk.move()
    Client(Connection(server.url)).save_label("phantom_000", other, {"annotator": "ben"})
    assert desk.controller.submit() is None
    desk.idle()
    assert desk.state.error is not None
    assert "phantom_000 has a label by ben" in desk.state.error.message
    assert stored(server, "phantom_000") == other
    assert [draft.markups for draft in desk.drafts.list()] == [desk.logic.markups()]
    entry = next(one for one in desk.state.images if one.id == "phantom_000")
    assert (entry.status, entry.user) == ("labelled", "ben")
    asked = desk.controller.submit()
    assert asked is not None
    assert "ben labelled this image already" in asked.warnings[0].text
    assert desk.controller.submit(asked) is None
    desk.idle()
    assert stored(server, "phantom_000") == desk.logic.markups()
    assert facts(server, "phantom_000")["annotator"] == "ada"


class LateClient(Client):
    """A client before whose first label another person saves one."""

    other: bytes | None = None

    def save_label(self, image_id: str, *arguments: Any, **settings: Any) -> None:
        """As ``Client`` does, later."""
        if self.other is not None:
            other, self.other = self.other, None
            super().save_label(image_id, other, {"annotator": "ben"})
        super().save_label(image_id, *arguments, **settings)


def test_a_label_that_comes_at_the_same_moment_is_not_replaced_either(desk: Desk, server: Server) -> None:
    client = LateClient(Connection(server.url))
    desk.controller = Controller(desk.logic, desk.drafts, connect_to=lambda url, token: client)
    desk.controller.annotator = "ada"
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    client.other = desk.logic.markups()
    desk.move()
    other = client.other
    assert desk.controller.submit() is None
    desk.idle()
    assert desk.state.error is not None
    assert "phantom_000 has a label by ben" in desk.state.error.message
    assert "It was not replaced; your work is kept." in desk.state.error.message
    assert stored(server, "phantom_000") == other
    asked = desk.controller.submit()
    assert asked is not None
    assert desk.controller.submit(asked) is None
    desk.idle()
    assert stored(server, "phantom_000") == desk.logic.markups()


def test_points_that_were_set_are_set_when_the_label_is_opened_again(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    desk.move(T7)
    desk.logic.editor.hide(L5)
    touched = desk.logic.editor.touched
    assert touched.sum() == 6
    asked = desk.controller.submit()
    assert desk.controller.submit(asked) is None
    desk.idle()
    desk.open("phantom_001")
    desk.open("phantom_000")
    assert np.array_equal(desk.logic.editor.touched, touched)
    desk.infer()
    assert not np.isfinite(desk.logic.editor.xy[L5]).any()  # what a person has hidden stays hidden


def test_a_label_of_the_browser_opens_as_one_of_the_module_and_the_other_way_round(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    desk.move(T7)
    desk.logic.editor.hide(L5, 3)
    asked = desk.controller.submit()
    assert desk.controller.submit(asked) is None
    desk.idle()
    shown = json.loads(server.ask("/landmarks?image=phantom_000&tag=final")[1])
    assert shown["origin"] == desk.logic.editor.origin.as_dict()
    assert shown["touched"] == ["T7 TL", "L5 BL"]
    by_page = {name: shown[name] for name in ("landmarks", "touched", "origin")}
    body = json.dumps({**by_page, "info": {"user": "ben"}}).encode()
    status, answer = server.ask(
        "/landmarks?image=phantom_001&tag=final&base_version=0", "PUT", body, "application/json"
    )
    assert status == 200, answer
    assert json.loads(stored(server, "phantom_001")) == json.loads(stored(server, "phantom_000"))
    before = desk.logic.editor
    touched, xy, scores, errors, origin = before.touched, before.xy, before.scores, before.errors, before.origin
    desk.open("phantom_001")
    after = desk.logic.editor
    assert np.array_equal(after.touched, touched)
    assert np.allclose(after.xy, xy, rtol=0, atol=1e-9, equal_nan=True)
    there = np.isfinite(xy).all(-1)
    assert np.allclose(after.scores[there], scores[there], atol=1e-5)
    assert np.allclose(after.errors, errors, rtol=1e-5, equal_nan=True)
    assert after.origin == origin
    assert after.is_own


def test_a_label_may_be_corrected_and_submitted_again(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    assert desk.controller.submit() is None
    desk.idle()
    assert desk.state.current is not None
    assert (desk.state.current.label, desk.state.current.is_unsaved) == ("label", False)
    desk.move()
    assert desk.controller.submit() is None  # one's own label, one's own correction
    desk.idle()
    assert stored(server, "phantom_000") == desk.logic.markups()
    desk.infer()  # from now on it is a label, which comes back
    assert desk.logic.editor.undo()
    assert stored(server, "phantom_000") == desk.logic.markups()


def test_an_image_whose_work_cannot_be_saved_is_not_taken_for_one_of_another_server(
    desk: Desk, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays open until it is saved, and the other server may have an image of that name."""
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    desk.idle()

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(desk.drafts, "save", full)
        desk.move()
        desk.controller.connect(server.url.replace("127.0.0.1", "localhost"))
        desk.until(lambda: desk.state.is_connected and desk.state.error is not None)
        for act in (desk.submit, desk.controller.infer):
            desk.controller.dismiss()
            act()
            assert not desk.state.busy
            assert desk.state.error is not None
            assert f"belongs to the server {server.url}" in desk.state.error.message
    assert not is_stored(server, "phantom_000")


class CountingClient(Client):
    """Counts how often the whole list is fetched."""

    lists = 0

    def images(self, *arguments: object) -> object:  # type: ignore[override]
        """As ``Client`` does."""
        self.lists += 1
        return super().images(*arguments)  # type: ignore[arg-type]


def test_a_submit_changes_one_line_of_the_list_and_the_counts(desk: Desk, server: Server) -> None:
    clients: list[CountingClient] = []

    def connect_to(url: str, token: str) -> Client:
        clients.append(CountingClient(Connection(url, token)))
        return clients[-1]

    desk.controller.close()
    desk.controller = Controller(desk.logic, desk.drafts, connect_to)
    desk.controller.annotator = "ada"
    desk.connect(server.url)
    desk.open("phantom_002")
    desk.infer()
    before = desk.state.images
    desk.submit()
    desk.until(lambda: desk.state.info is not None and desk.state.info.labelled == 1)
    assert [one for one in desk.state.images if one.id != "phantom_002"] == [
        one for one in before if one.id != "phantom_002"
    ]
    entry = next(one for one in desk.state.images if one.id == "phantom_002")
    assert (entry.status, entry.user, entry.file) == ("labelled", "ada", "phantom_002.png")
    assert clients[0].lists == 1
    assert desk.state.images == clients[0].images()


class WaitingClient(Client):
    """Holds labels back, and then sends what the server refuses."""

    go = threading.Event()

    def save_label(self, image_id: str, markups: bytes, *arguments: object, **named: object) -> None:  # type: ignore[override]
        """As ``Client`` does, later."""
        assert self.go.wait(60)
        super().save_label(image_id, b"{}", *arguments, **named)  # type: ignore[arg-type]


def test_a_submit_that_fails_while_another_image_is_open_says_which(desk: Desk, server: Server) -> None:
    desk.controller.close()
    desk.controller = Controller(desk.logic, desk.drafts, lambda url, token: WaitingClient(Connection(url, token)))
    desk.connect(server.url)
    desk.open("phantom_000")
    desk.infer()
    desk.move()
    edited = desk.logic.markups()
    desk.submit()
    desk.open("phantom_001")
    WaitingClient.go.set()
    desk.until(lambda: desk.state.error is not None)
    assert desk.state.error is not None
    assert "phantom_000 was not submitted" in desk.state.error.message
    desk.until(lambda: [(draft.image_id, draft.markups) for draft in desk.state.drafts] == [("phantom_000", edited)])
    desk.until(lambda: "Markups" in desk.drafts.list()[0].note)
