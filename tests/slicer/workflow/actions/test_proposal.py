"""What somebody has edited in a viewer of the PACS is offered with its label, and never taken silently."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from VertebraLandmarksLib.client.api import Client
from VertebraLandmarksLib.workflow.actions.proposal import format_offer

from ...conftest import Desk, stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ....serving import Server

pytestmark = [pytest.mark.slicer, pytest.mark.integration, pytest.mark.usefixtures("fresh_labels", "of_pacs")]

IMAGE, CORNER, AT = "phantom_001", "T5 TL", (4, 1)
MOVED_PX = 20.0
OUTDATED = (
    "Viola has edited Cobb lines of version {} of this label in a viewer. It was replaced since, so that they are not "
    "offered."
)


@pytest.fixture
def of_pacs(monkeypatch: pytest.MonkeyPatch, server: Server) -> Iterator[None]:
    """The server's own answers, as if its images were of a PACS; it has no proposal afterwards."""
    original = Client.info
    monkeypatch.setattr(
        Client, "info", lambda *some, **others: replace(original(*some, **others), pacs="PACS: 0 to send")
    )
    yield
    server.ask(f"/datastore/label?id={IMAGE}&tag=proposal_ohif", "DELETE")


@pytest.fixture
def labelled(desk: Desk, server: Server) -> Desk:
    """A desk that is connected, and an image with a label."""
    desk.connect(server.url)
    desk.open(IMAGE)
    desk.infer()
    desk.submit()
    desk.idle()
    return desk


def version(server: Server) -> int:
    return int(json.loads(server.ask(f"/landmarks?image={IMAGE}&tag=final")[1])["version"])


def propose(server: Server, of_version: int, tag: str = "final") -> None:
    """Save what the server makes of edited Cobb lines: the label with one corner moved."""
    landmarks = json.loads(server.ask(f"/landmarks?image={IMAGE}&tag=final")[1])["landmarks"]
    for point in landmarks:
        point["y"] += MOVED_PX * (point["name"] == CORNER)
    about = {"of_tag": tag, "of_version": of_version, "moved": [CORNER]}
    content = json.dumps({"landmarks": landmarks, "info": {"user": "Viola", "proposal": about}}).encode()
    status, body = server.ask(f"/landmarks?image={IMAGE}&tag=proposal_ohif", "PUT", content, "application/json")
    assert status == 200, body


def open_again(desk: Desk) -> None:
    """Open the image, and let everything happen that comes with it."""
    desk.controller.open_image(IMAGE)
    desk.idle()
    desk.until(lambda: not desk.controller._requests.is_background_running)
    desk.controller.poll()


def test_a_proposal_is_offered_and_taken_as_one_step(labelled: Desk, server: Server) -> None:
    propose(server, version(server))
    before = stored(server, IMAGE)
    open_again(labelled)
    proposal = labelled.state.current.proposal
    text = "Viola has edited Cobb lines of this image in a viewer, which would move T5 TL."
    assert format_offer(proposal) == text
    editor, was = labelled.logic.editor, labelled.logic.editor.xy
    assert not labelled.state.current.is_unsaved
    labelled.controller.take_proposal(proposal)
    assert editor.xy[AT] == pytest.approx(was[AT] + (0, MOVED_PX), abs=0.01)
    assert labelled.state.current.is_unsaved
    assert (labelled.state.current.proposal, stored(server, IMAGE)) == (None, before)
    assert labelled.state.notice.startswith("The corners lie on the edited lines now.")
    labelled.controller.take_proposal(proposal)  # a second click
    editor.undo()
    assert (editor.xy == was).all()
    assert not editor.can_undo


def test_a_proposal_about_another_label_is_not_offered(labelled: Desk, server: Server) -> None:
    for of_version, tag in ((version(server), "original"), (version(server) + 1, "final")):
        propose(server, of_version, tag)
        open_again(labelled)
        assert (labelled.state.current.proposal, labelled.state.notice) == (None, "")


def test_an_edit_of_an_earlier_version_is_told_and_not_offered(labelled: Desk, server: Server) -> None:
    first = version(server)
    labelled.move()
    labelled.submit()
    labelled.idle()
    saved = json.loads(server.ask(f"/landmarks?image={IMAGE}&tag=final")[1])["info"]["ts"]
    labelled.until(lambda: time.time() >= saved + 1)  # times are whole seconds
    propose(server, first)
    open_again(labelled)
    assert labelled.state.current.proposal is None
    assert labelled.state.notice == OUTDATED.format(first)


def test_a_label_that_was_submitted_meanwhile_withdraws_the_offer(labelled: Desk, server: Server) -> None:
    propose(server, version(server))
    open_again(labelled)
    assert labelled.state.current.proposal is not None
    labelled.move()
    labelled.submit()
    labelled.idle()
    assert labelled.state.current.proposal is None


def test_points_of_the_model_are_not_moved(labelled: Desk, server: Server) -> None:
    propose(server, version(server))
    open_again(labelled)
    proposal = labelled.state.current.proposal
    labelled.infer()
    before = labelled.logic.editor.xy
    labelled.controller.take_proposal(proposal)
    assert (labelled.logic.editor.xy == before).all()
    assert "The points are those of the model now." in labelled.state.notice
