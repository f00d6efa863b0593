"""Work by a study plan through the controller: who is given what, and that nothing of others reaches a reader."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from VertebraLandmarksLib.client.api import Client
from VertebraLandmarksLib.client.http import Connection
from VertebraLandmarksLib.client.readings import ImageReadings
from VertebraLandmarksLib.client.study import ReaderProgress, Reading, Study
from VertebraLandmarksLib.spine.geometry import with_centers
from VertebraLandmarksLib.spine.imaging.image_geometry import PIXELS
from VertebraLandmarksLib.spine.labels.markups import label_of, to_markups
from VertebraLandmarksLib.spine.schema import POINTS, VERTEBRAE, Spine
from VertebraLandmarksLib.workflow import open_image
from VertebraLandmarksLib.workflow.actions import study as study_action
from VertebraLandmarksLib.workflow.actions.adjudication import format_choice
from VertebraLandmarksLib.workflow.actions.study import format_part, format_progress, format_reading
from VertebraLandmarksLib.workflow.drafts import Draft
from VertebraLandmarksLib.workflow.state import CurrentImage, State

from ...conftest import Desk, make_phantoms

if TYPE_CHECKING:
    from ....serving import Server, Start

pytestmark = pytest.mark.slicer

PLAN = {
    "readers": ["ada", "ben"],
    "adjudicators": ["cleo"],
    "second_reading": {"share": 1},
    "model": {"first": False, "second": False, "repeat": True},
}
IMAGES = 2


@pytest.fixture(scope="module")
def study_server(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """The app on two phantoms, with a plan by which both are read twice, without the model."""
    studies = tmp_path_factory.mktemp("studies")
    make_phantoms(studies, IMAGES)
    with start(studies, "--conf", "scoring", "false") as running:
        yield running


@pytest.fixture
def server(study_server: Server) -> Iterator[Server]:
    """The same with the plan, and without readings."""
    put_plan(study_server, PLAN)
    yield study_server
    for image in range(IMAGES):
        for tag in ("final", "reading-1", "reading-2"):
            study_server.ask(f"/datastore/label?id=phantom_{image:03d}&tag={tag}", "DELETE", headers={"X-User": "cleo"})
        for user in ("ada", "ben"):
            body = json.dumps({"image": f"phantom_{image:03d}", "user": user}).encode()
            study_server.ask("/study/release", "POST", body, "application/json")


def full(_: object) -> None:
    """A disk without space."""
    raise OSError(28, "No space left on device")


def put_plan(server: Server, plan: dict[str, Any]) -> None:
    status, content = server.ask("/study", "PUT", json.dumps(plan).encode(), "application/json")
    assert status == 200, content


def known(desk: Desk, name: str) -> None:
    """Let somebody take over the workstation, and wait until the server has said what part they have."""
    desk.controller.annotator = name
    desk.until(
        lambda: desk.state.study is not None and desk.state.study.user == name and bool(desk.state.study.readers)
    )
    desk.idle()


def open_next(desk: Desk) -> CurrentImage:
    """Press “Your next image” and return what is open then."""
    desk.controller.next_image()
    desk.idle()
    assert desk.state.error is None, desk.state.error.message
    assert desk.state.current is not None
    return desk.state.current


def place_all(desk: Desk, right: float = 0.0) -> None:
    """Place all points of a straight spine, so far to the right."""
    for v in range(17):
        y = 40.0 + 32 * v
        corners = [(x + right, y + dy) for dy in (-10, 10) for x in (140, 180)]
        desk.logic.editor.place_corners(v, np.array(corners))


def read(desk: Desk, right: float = 0.0) -> str:
    """Read what is next; returns the image."""
    image_id = open_next(desk).id
    place_all(desk, right)
    desk.submit()
    desk.until(lambda: desk.state.current is not None and desk.state.current.label == "label")
    desk.idle()
    return image_id


def has_points(desk: Desk) -> bool:
    return bool(np.isfinite(desk.logic.editor.xy).any())


def everything_told(state: State) -> str:
    """What the panel shows of a state, but for the progress by reader."""
    parts = (state.current, state.images, state.notice, state.error, state.drafts, state.queue, state.adjudication)
    return repr(parts)


@pytest.mark.integration
def test_nothing_of_the_first_reading_reaches_the_second_reader_on_the_same_workstation(
    desk: Desk, server: Server
) -> None:
    desk.connect(server.url)
    desk.idle()
    assert desk.state.study is not None
    assert desk.state.study.is_reader
    first = open_next(desk)
    assert first.reading == Reading(1, "first", True, False)
    assert not has_points(desk)
    place_all(desk)
    desk.idle()

    known(desk, "ben")  # with ada's work unsubmitted on the screen
    assert desk.state.current is None
    assert not has_points(desk)
    assert (desk.state.drafts, desk.state.can_go_back) == ((), False)
    assert "ada" not in everything_told(desk.state)
    other = open_next(desk)
    assert other.id != first.id, "ada has the first one under work"
    desk.controller.release_reading()
    desk.until(lambda: desk.state.current is None and "given back" in desk.state.notice)

    known(desk, "ada")
    again = open_next(desk)
    assert (again.id, again.label, again.reading) == (first.id, "draft", first.reading)
    assert has_points(desk)
    desk.submit()
    desk.until(lambda: desk.state.current is not None and desk.state.current.label == "label")
    desk.idle()
    assert desk.state.notice == f"Your reading of {first.id} is stored."

    known(desk, "ben")
    second = open_next(desk)
    assert (second.id, second.label, second.reading) == (first.id, "", Reading(2, "second", True, False))
    assert not has_points(desk)
    assert not desk.logic.editor.can_undo
    assert "ada" not in everything_told(desk.state)
    assert {one.status for one in desk.state.images} == {"unlabelled"}
    desk.controller.infer()
    assert desk.state.error is not None
    assert "offers no points of the model" in desk.state.error.message
    assert not desk.state.is_busy("infer")


@pytest.mark.integration
def test_only_what_is_under_work_can_be_submitted(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    given = open_next(desk).id
    other = next(one.id for one in desk.state.images if one.id != given)
    desk.open(other)
    assert desk.state.current is not None
    assert (desk.state.current.reading, desk.state.current.is_view_only) == (None, True)
    place_all(desk)
    assert not desk.state.current.is_unsaved, "nothing is kept of it, either"
    assert desk.controller.submit() is None
    assert desk.state.error is not None
    assert desk.state.error.message.startswith("You have no reading of this image under work.")
    assert format_part(desk.state.study, desk.state.current, False) == desk.state.error.message
    desk.open(given)  # from the list: still the reading that was given
    assert desk.state.current.reading == Reading(1, "first", True, False)
    desk.controller.next_image()
    desk.idle()
    assert desk.state.notice == f"{given} is still yours to read: submit it, or give it back."


@pytest.mark.integration
def test_a_submitted_reading_is_corrected_from_the_list(desk: Desk, server: Server, new_desk: Any) -> None:
    desk.connect(server.url)
    image_id = read(desk)
    before = version_of(server, image_id)
    later = new_desk()
    later.connect(server.url)
    later.open(image_id)
    assert later.state.current is not None
    assert (later.state.current.label, later.state.current.reading) == ("label", Reading(1, "first", True, False))
    later.move()
    moved = later.logic.editor.xy
    later.submit()
    later.idle()
    assert later.state.error is None
    (made,) = readings_of(server, image_id).readings
    assert (made.version, made.reader) == (before + 1, "ada")
    assert np.allclose(made.spine.xy, moved)


@pytest.mark.integration
def test_an_adjudicator_takes_edits_and_is_told_of_changes(desk: Desk, server: Server) -> None:
    controller = desk.controller
    desk.connect(server.url)
    for _ in range(IMAGES):
        read(desk)
    known(desk, "ben")
    for _ in range(IMAGES):
        read(desk, right=4.0)
    known(desk, "cleo")
    assert len(desk.state.queue) == IMAGES
    first = open_next(desk)
    assert (first.label, first.is_view_only, has_points(desk)) == ("readings", True, False)
    assert desk.state.adjudication is not None
    assert [one.reader for one in desk.state.adjudication.compared] == ["ada", "ben"]
    assert [round(float(np.nanmean(one.xy[..., 0]))) for one in desk.logic.compared] == [160, 164]
    assert controller.submit() is None
    controller.confirm_choice()
    assert desk.state.error is not None
    controller.choose_reading("mean")
    controller.confirm_choice()
    desk.until(lambda: desk.state.notice == f"The final label of {first.id} is stored.")
    desk.idle()
    assert desk.state.adjudication.readings.final is not None
    assert desk.state.adjudication.readings.final.how == "mean"

    second = open_next(desk)
    assert second.id != first.id
    controller.choose_reading(2)
    controller.edit_final()
    assert desk.state.adjudication.is_editing
    assert round(float(desk.logic.editor.xy[6, 0, 0])) == 164
    assert not desk.state.current.is_unsaved
    desk.move()
    desk.idle()
    before = desk.state.adjudication.compared[1].version
    correct(server, second.id)
    desk.submit()
    desk.until(lambda: desk.state.error is not None)
    assert desk.state.error.message == "A reading was changed meanwhile. Both are shown anew; nothing was saved."
    assert desk.state.adjudication.compared[1].version == before + 1
    assert has_points(desk), "what the adjudicator has edited stays"
    edited = desk.logic.editor.xy
    desk.submit()
    desk.until(lambda: desk.state.notice == f"The final label of {second.id} is stored.")
    desk.idle()
    finals = {image: final_of(server, image) for image in (first.id, second.id)}
    assert finals[first.id] == pytest.approx(desk.logic.compared[0].xy + np.array((2.0, 0.0)), abs=1e-6)
    assert finals[second.id] == pytest.approx(edited, abs=1e-6)
    controller.next_image()
    desk.until(lambda: "nothing left to adjudicate" in desk.state.notice)


def readings_of(server: Server, image_id: str) -> ImageReadings:
    """The readings of an image, as the adjudicator sees them."""
    client = Client(Connection(server.url))
    client.connection.user = "cleo"
    return client.readings(image_id)


def version_of(server: Server, image_id: str) -> int:
    """Version of the only reading of an image."""
    (made,) = readings_of(server, image_id).readings
    return made.version


def correct(server: Server, image_id: str) -> None:
    """Ben corrects the own reading, with another client."""
    client = Client(Connection(server.url))
    client.connection.user = "ben"
    label = json.loads(client.label(image_id))
    label["markups"][1]["controlPoints"][0]["position"][0] += 1.0
    client.save_label(image_id, json.dumps(label).encode(), {"annotator": "ben"}, "reading-2")


def final_of(server: Server, image_id: str) -> np.ndarray:
    """``(17, 5, 2)`` points of the final label."""
    status, content = server.ask(f"/landmarks?image={image_id}", headers={"X-User": "cleo"})
    assert status == 200
    xy = {one["name"]: (one["x"], one["y"]) for one in json.loads(content)["landmarks"]}
    names = [(v, p) for v in VERTEBRAE for p in POINTS]
    return np.array([xy[label_of(*name)] for name in names]).reshape(17, 5, 2)


@pytest.mark.integration
def test_an_open_reading_is_reported_until_it_is_closed(
    desk: Desk, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    signs: list[tuple[Any, ...]] = []
    monkeypatch.setattr(study_action, "PRESENCE_INTERVAL_S", 0.2)
    monkeypatch.setattr(Client, "note_presence", lambda _, *some: signs.append(some[:4]))
    monkeypatch.setattr(Client, "end_presence", lambda _, *some: signs.append(("closed", *some[:2])))
    desk.connect(server.url)
    assert signs == []
    image_id = open_next(desk).id
    desk.until(lambda: len(signs) >= 3)
    assert {sign[0] for sign in signs} == {image_id}
    assert {sign[2] for sign in signs} == {"ada"}
    desk.controller.close_image()
    desk.until(lambda: signs[-1] == ("closed", image_id, signs[0][1]))


@pytest.mark.integration
def test_who_has_no_part_is_told_so(desk: Desk, server: Server) -> None:
    desk.controller.annotator = ""
    desk.connect(server.url)
    assert format_part(desk.state.study, None, False).startswith("This server has a study plan. Enter your name")
    known(desk, "dan")
    assert format_part(desk.state.study, None, False).startswith("“dan” is neither reader nor adjudicator")
    desk.controller.next_image()
    desk.until(lambda: desk.state.error is not None)
    assert desk.state.error.message == "'dan' is neither reader nor adjudicator of the study plan."


def let_slots_run_out(server: Server) -> None:
    """What is under work was given long ago, to clients that have given no sign since."""
    path = server.studies / ".vertebra_landmarks" / "store.sqlite3"
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        connection.execute("UPDATE vl_readings SET assigned_at = 1, seen_at = 1 WHERE NOT is_submitted")


def unless_seen_before(reading: Reading | None) -> Reading:
    """The reading as blind: on the shared server it is not where an earlier test had a final label of the image."""
    assert reading is not None
    return replace(reading, is_blind=True)


def client_of(server: Server, name: str) -> Client:
    """Another workstation, where somebody works."""
    client = Client(Connection(server.url))
    client.connection.user = name
    return client


def read_elsewhere(server: Server, name: str, image_id: str, right: float = 0.0) -> None:
    """Read what is next at another workstation, until an image has come."""
    client, given = client_of(server, name), ""
    while given != image_id:
        found = client.next_reading(name, "first")
        assert found.image_id is not None
        assert found.reading is not None
        given = found.image_id
        corners = [[(x + right, 40.0 + 32 * v + dy) for dy in (-10, 10) for x in (140, 180)] for v in range(17)]
        label = to_markups(Spine.from_arrays(with_centers(np.array(corners))), PIXELS)
        client.save_label(given, json.dumps(label).encode(), {"annotator": name}, found.reading.tag)


@pytest.mark.integration
def test_a_reading_that_ran_out_and_was_given_away_is_stored_as_the_next_one(desk: Desk, server: Server) -> None:
    desk.connect(server.url)
    image_id = open_next(desk).id
    place_all(desk)
    desk.idle()
    let_slots_run_out(server)  # over lunch
    read_elsewhere(server, "ben", image_id)
    desk.submit()
    desk.until(lambda: desk.state.notice.startswith(f"{image_id} was given to somebody else meanwhile."))
    assert desk.state.current is not None
    assert unless_seen_before(desk.state.current.reading) == Reading(2, "second", True, False)
    made = readings_of(server, image_id).readings
    assert [(one.reader, one.reading.number) for one in made] == [("ben", 1), ("ada", 2)]
    assert made[1].spine.visible_xy == pytest.approx(desk.logic.editor.xy, abs=1e-6)
    desk.idle()
    assert desk.drafts.list() == ()


@pytest.mark.integration
def test_work_of_a_reading_that_ran_out_is_resumed_as_the_one_that_the_user_has_now(
    desk: Desk, server: Server, new_desk: Any
) -> None:
    desk.connect(server.url)
    image_id = open_next(desk).id
    place_all(desk)
    desk.idle()
    work = desk.logic.markups()
    desk.controller.close()
    let_slots_run_out(server)
    read_elsewhere(server, "ben", image_id)
    later = new_desk()
    later.connect(server.url)
    if open_next(later).id != image_id:
        later.controller.release_reading()
        later.until(lambda: later.state.current is None)
        open_next(later)
    again = later.state.current
    assert (again.id, again.label) == (image_id, "draft")
    assert unless_seen_before(again.reading) == Reading(2, "second", True, False)
    assert later.logic.markups() == work


@pytest.mark.integration
def test_nothing_of_a_reader_stays_on_the_screen_where_the_disk_is_full(
    desk: Desk, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_image, "RETRY_INTERVAL_S", 0.05)
    desk.connect(server.url)
    image_id = open_next(desk).id
    place_all(desk)
    work = desk.logic.markups()
    with monkeypatch.context() as patch:
        patch.setattr(desk.drafts, "save", full)
        known(desk, "ben")
        assert (desk.state.current, desk.state.drafts, has_points(desk)) == (None, (), False)
        desk.until(lambda: desk.state.error is not None and "leave Slicer open" in desk.state.error.message)
        assert "ada" not in everything_told(desk.state)
        assert open_next(desk).id != image_id
        known(desk, "ada")
        assert [draft.markups for draft in desk.state.drafts] == [work], "her own work is there, in memory"
        known(desk, "ben")
    desk.until(lambda: [draft.markups for draft in desk.drafts.list()] == [work])
    known(desk, "ada")
    assert (open_next(desk).id, desk.state.current and desk.state.current.label) == (image_id, "draft")
    assert desk.logic.markups() == work


@pytest.mark.integration
def test_an_adjudicator_replaces_no_final_label_and_no_reading_unseen(desk: Desk, server: Server) -> None:
    put_plan(server, {**PLAN, "adjudicators": ["cleo", "dora"]})
    for reader, right in (("ada", 0.0), ("ben", 4.0)):
        read_elsewhere(server, reader, "phantom_000", right)
    controller, controller.annotator = desk.controller, "cleo"
    desk.connect(server.url)
    image_id = open_next(desk).id
    dora, stored = client_of(server, "dora"), f"The final label of {image_id} is stored."
    dora.adjudicate(image_id, 1, "dora", readings_of(server, image_id).versions)
    controller.choose_reading("mean")
    assert [round(float(np.nanmean(one.xy[..., 0]))) for one in desk.logic.compared] == [160, 164, 162]
    controller.confirm_choice()
    desk.until(lambda: desk.state.error is not None)
    assert desk.state.error is not None
    assert desk.state.error.message == (
        "The final label was changed by dora meanwhile. Both are shown anew; nothing was saved."
    )
    assert [round(float(np.nanmean(one.xy[..., 0]))) for one in desk.logic.compared] == [160, 164, 160]
    assert desk.state.adjudication is not None
    assert format_choice(desk.state.adjudication).startswith("Final now (white): reading 1, chosen by dora.")
    controller.choose_reading("mean")
    controller.confirm_choice()
    desk.until(lambda: desk.state.notice == stored)
    desk.idle()

    controller.choose_reading("mean")
    controller.edit_final()
    desk.move()
    edited = desk.logic.editor.xy
    assert round(float(edited[16, 0, 0])) == 162, "the mean is edited"
    desk.idle()
    controller.close_image()
    desk.until(lambda: desk.state.current is None and bool(desk.state.drafts))
    dora.adjudicate(image_id, 2, "dora", readings_of(server, image_id).versions)
    controller.resume_draft(desk.state.drafts[0])
    desk.until(lambda: desk.state.current is not None)
    assert desk.state.notice == (
        "The final label was changed by dora since this work began. Compare before you submit."
    )
    desk.submit()
    desk.until(lambda: desk.state.error is not None)
    assert "by dora meanwhile. Both are shown anew; nothing was saved." in desk.state.error.message
    assert final_of(server, image_id)[6, 1] != pytest.approx(edited[6, 1])
    desk.submit()
    desk.until(lambda: desk.state.notice == stored)
    assert final_of(server, image_id) == pytest.approx(edited, abs=1e-6)


def draft(**changes: Any) -> Draft:
    values = {"key": "k", "image_id": "a", "server": "http://x", "user": "ada", "markups": b"{}", "touched": ()}
    return Draft(**{**values, "seconds": 1.0, "edits": 1, "saved": 1.0, **changes})


@pytest.mark.parametrize(
    ("work", "user", "has_plan", "is_shown"),
    [
        pytest.param(draft(), "ben", False, True, id="without a study, unfinished work is everybody's"),
        pytest.param(draft(), "ben", True, False, id="in a study, nobody sees that of others"),
        pytest.param(draft(), "ada", True, False, id="what began before the plan may hold points of others"),
        pytest.param(draft(source="/a.png"), "ada", True, True, id="a local file is of no reading"),
        pytest.param(draft(reading=Reading(1, "first", True, True)), "ada", True, True, id="the own reading"),
        pytest.param(draft(reading=Reading(1, "first", True, True)), "ben", False, False, id="before connecting, too"),
        pytest.param(draft(seen_versions=((1, 1), (2, 1))), "ben", False, False, id="the work of an adjudicator"),
    ],
)
def test_unfinished_work_is_shown_to(work: Draft, user: str, has_plan: bool, is_shown: bool) -> None:
    assert work.is_for(user, has_plan) == is_shown


def test_words_of_the_banner_and_the_progress() -> None:
    assert format_reading(Reading(1, "first", True, True)) == "First reading. Points of the model are offered."
    assert format_reading(Reading(2, "second", True, False)) == (
        "Second reading, blind: nothing of other readings is shown. No points of the model: place the points by hand."
    )
    assert format_reading(Reading(2, "second", False, True)) == "Second reading. Points of the model are offered."
    assert format_reading(Reading(3, "repeat", True, True)).startswith(
        "Repeat, blind: your first reading is not shown."
    )
    study = Study("ada", True, False, (ReaderProgress("ada", 1, 0, 3),), 40, 9, 2, 7)
    assert format_progress(study) == "40 images: 9 read, 2 to adjudicate, 7 final"
    assert format_part(None, None, False) == ""
