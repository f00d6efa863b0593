"""Which of the patient's sides is at the left of an image, as a person states it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from VertebraLandmarksLib.client.radiograph import BY_PERSON, SERVER, ImageInfo, Radiograph
from VertebraLandmarksLib.workflow.actions.image_side import format_side

from ...conftest import Desk, facts, offline

if TYPE_CHECKING:
    from collections.abc import Callable

    from ....serving import Server

pytestmark = pytest.mark.slicer


def test_without_a_server_the_side_stays_in_the_draft(
    desk: Desk, new_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    offline(desk, tmp_path)
    assert desk.state.current.image_left_is is None
    desk.controller.set_side("right")
    assert desk.state.current.image_left_is == desk.logic.image_left_is == "right"
    assert desk.state.current.is_unsaved
    desk.controller.close()
    (draft,) = desk.drafts.list()
    assert draft.image_left_is == "right"
    again = new_desk()
    again.until(lambda: again.state.drafts)
    again.controller.resume_draft(again.state.drafts[0])
    again.until(lambda: again.state.current is not None)
    assert again.state.current.image_left_is == again.logic.image_left_is == "right"


def test_a_side_that_the_file_states_is_not_replaced(desk: Desk, tmp_path: Path) -> None:
    offline(desk, tmp_path)
    radiograph = desk.logic.radiograph
    stated = replace(
        radiograph, info=replace(radiograph.info, image_left_is="left", image_left_is_source="PatientOrientation")
    )
    desk.logic.show_image(stated)
    desk.controller.set_side("right")
    assert desk.logic.image_left_is == "left"


@pytest.mark.integration
@pytest.mark.usefixtures("fresh_labels")
def test_the_server_keeps_the_side(desk: Desk, new_desk: Callable[..., Desk], server: Server) -> None:
    desk.connect(server.url)
    desk.open("phantom_003")
    desk.controller.set_side("right")
    desk.idle()
    assert not desk.state.current.is_unsaved, "there is nothing that only this computer knows"
    other = new_desk()
    other.connect(server.url)
    other.open("phantom_003")
    assert other.state.current.image_left_is == other.logic.image_left_is == "right"
    assert other.logic.radiograph.info.image_left_is_source == BY_PERSON
    other.controller.set_side(None)
    other.idle()
    desk.controller.open_image("phantom_003")
    desk.until(lambda: desk.state.current.image_left_is is None)


@pytest.mark.integration
@pytest.mark.usefixtures("fresh_labels")
def test_the_side_of_a_file_goes_to_the_server_with_its_label(desk: Desk, server: Server, tmp_path: Path) -> None:
    offline(desk, tmp_path)
    desk.controller.set_side("left")
    desk.idle()
    desk.connect(server.url)
    desk.submit()
    desk.until(lambda: "stored as final" in desk.state.notice)
    assert facts(server, "image")["image_left_is"] == "left"
    desk.controller.open_image("image")
    desk.until(lambda: desk.logic.radiograph.source == SERVER)
    assert desk.logic.radiograph.info.image_left_is == "left"
    assert desk.logic.radiograph.info.image_left_is_source == BY_PERSON


@pytest.mark.integration
def test_an_older_server_leaves_the_side_to_the_draft(desk: Desk, server: Server) -> None:
    """One whose facts say nothing of who states a side."""
    desk.connect(server.url)
    desk.open("phantom_002")
    radiograph = desk.logic.radiograph
    of_old = Radiograph(
        radiograph.id, radiograph.pixels, SERVER, None, ImageInfo(radiograph.info.width, radiograph.info.height)
    )
    desk.logic.show_image(of_old)
    desk.controller.set_side("left")
    desk.idle()
    assert desk.state.current.is_unsaved
    assert [draft.image_left_is for draft in desk.drafts.list()] == ["left"]
    assert json.loads(server.ask("/datastore/image/info?image=phantom_002")[1]).get("stated_side") is None


@pytest.mark.parametrize(
    ("side", "in_file", "source", "words"),
    [
        (None, None, None, "Sides are the image's."),
        ("left", None, "", "Sides are the patient's, stated by a person."),
        ("left", "left", BY_PERSON, "Sides are the patient's, stated by a person."),
        ("left", "left", "PatientOrientation L\\F", "Sides are the patient's, PatientOrientation L\\F."),
        ("left", "left", None, "Sides are the patient's."),
    ],
)
def test_the_panel_says_whose_sides_are_meant(
    desk: Desk, tmp_path: Path, side: str | None, in_file: str | None, source: str | None, words: str
) -> None:
    offline(desk, tmp_path)
    radiograph = desk.logic.radiograph
    known = replace(radiograph.info, image_left_is=in_file, image_left_is_source=source)
    assert format_side(replace(radiograph, info=known), side) == words
