"""What the client makes of a study: its answers, who it says works, and servers that know none."""

from __future__ import annotations

import json
import socket
from typing import Any

import numpy as np
import pytest
from VertebraLandmarksLib.client.api import Client
from VertebraLandmarksLib.client.errors import BAD_RESPONSE, REFUSED, ServerError
from VertebraLandmarksLib.client.http import Connection
from VertebraLandmarksLib.client.readings import parse_image_readings, parse_queue
from VertebraLandmarksLib.client.responses import parse_image_list
from VertebraLandmarksLib.client.study import Reading, parse_next_reading, parse_study

from ..misbehaving import answering, read_all, reply, serving

pytestmark = pytest.mark.slicer

PROGRESS = {"reader": "ada", "done": 3, "open": 1, "to_do": 4, "seconds_median": 74.5}
STUDY: dict[str, Any] = {
    "plan": {"readers": ["ada", "ben"]},
    "progress": {"readers": [PROGRESS], "images": 8, "read": 2, "to_adjudicate": 1, "final": 1},
    "you": {"user": "ada", "is_reader": True, "is_adjudicator": False},
}
READING = {"number": 2, "kind": "second", "blind": True, "model": False}
LANDMARKS = [{"name": "T7", "x": 10.5, "y": 20.0, "score": 1.0}, {"name": "T7 TL", "x": 8, "y": 18, "score": 1}]
SUBMITTED = {
    **READING,
    "reader": "ben",
    "version": 3,
    "landmarks": LANDMARKS,
    "touched": ["T7 TL"],
    "measured": {"curves": [{"text": "31.0°  T5–T11 right"}]},  # noqa: RUF001
    "submitted": 1.8e9,
    "seconds": 61.5,
    "edits": 4,
    "model_version": None,
}
DIFFERENCE = {"vertebra": "T7", "center_px": 3.0, "corners_px": None, "tilt_deg": None, "is_missing": True}
READINGS: dict[str, Any] = {
    "image": "phantom_1",
    "readings": [SUBMITTED, {**SUBMITTED, "number": 1, "kind": "first", "reader": "ada", "version": 1}],
    "differences": [DIFFERENCE],
    "angle_difference_deg": 2.5,
    "names_shift": -1,
    "final": {"version": 2, "how": 1, "by": "cleo"},
    "mean": {"landmarks": [], "measured": None, "sentence": "the names differ by a level"},
    "you": {"may_save": True, "model": False, "reading": {**READING, "submitted": False}},
}


def test_plan_and_progress_are_read() -> None:
    study = parse_study(STUDY)
    assert study is not None
    assert (study.user, study.is_reader, study.is_adjudicator, study.has_part) == ("ada", True, False, True)
    assert (study.images, study.read, study.to_adjudicate, study.final) == (8, 2, 1, 1)
    assert [(one.reader, one.done, one.open, one.to_do, one.seconds_median) for one in study.readers] == [
        ("ada", 3, 1, 4, 74.5)
    ]
    assert parse_study({**STUDY, "plan": None, "progress": None}) is None


def test_the_next_reading_is_read() -> None:
    given = parse_next_reading({"image": "phantom_1", "reading": READING})
    assert (given.image_id, given.reading) == ("phantom_1", Reading(2, "second", True, False))
    assert given.reading is not None
    assert (given.reading.tag, given.reading.as_dict()) == ("reading-2", READING)
    adjudicated = parse_next_reading({"image": "phantom_1", "adjudicate": True})
    assert (adjudicated.image_id, adjudicated.reading) == ("phantom_1", None)
    nothing = parse_next_reading({"image": None, "sentence": "There is nothing left."})
    assert (nothing.image_id, nothing.sentence) == (None, "There is nothing left.")


def test_readings_are_read_by_number() -> None:
    found = parse_image_readings(READINGS)
    assert [one.reader for one in found.readings] == ["ada", "ben"]
    assert (found.versions, found.names_shift, found.angle_difference_deg) == ({1: 1, 2: 3}, -1, 2.5)
    second = found.readings[1]
    assert np.allclose(second.spine.xy[6, :2], [(10.5, 20.0), (8, 18)])
    assert (second.touched, second.curves) == (("T7 TL",), ("31.0°  T5–T11 right",))  # noqa: RUF001
    assert (second.seconds, second.edits, second.model_version) == (61.5, 4, "")
    assert [(one.vertebra, one.is_missing, one.tilt_deg) for one in found.differences] == [("T7", True, None)]
    assert found.final is not None
    assert (found.final.how, found.final.by) == ("1", "cleo")
    assert found.last_of("ben") is second
    assert found.last_of("dan") is None
    assert (found.changed_since({1: 1, 2: 3}, 2), found.changed_since({1: 1, 2: 3}, None)) == ("", "")
    assert found.changed_since({1: 1, 2: 2}, 2) == "A reading was changed"
    assert found.changed_since({1: 1, 2: 3}, 0) == "The final label was changed by cleo"
    assert found.part is not None
    assert (found.part.may_save, found.part.reading, found.part.is_submitted) == (
        True,
        Reading(2, "second", True, False),
        False,
    )
    assert found.mean is not None
    assert (found.mean.spine, found.mean.refusal) == (None, "the names differ by a level")
    older = {name: value for name, value in READINGS.items() if name not in ("you", "mean")}
    assert parse_image_readings(older).part is None, "of a server before 0.12"
    repeat = {**SUBMITTED, "number": 3, "kind": "repeat", "version": 9}
    with_repeat = parse_image_readings({**READINGS, "readings": [*READINGS["readings"], repeat]})
    assert with_repeat.versions == {1: 1, 2: 3}, "a repeat is not compared"
    queued = {"image": "phantom_1", "readings": [{"reader": "ada"}, {"reader": "ben"}], "adjudicator": None}
    (one,) = parse_queue({"total": 1, "images": [queued]})
    assert (one.image_id, one.readers, one.adjudicator) == ("phantom_1", ("ada", "ben"), "")


@pytest.mark.parametrize(
    "wrong",
    [
        {**READINGS, "names_shift": 2},
        {**READINGS, "readings": [{**SUBMITTED, "kind": "third"}]},
        {**READINGS, "readings": [{**SUBMITTED, "version": 0}]},
        {**READINGS, "differences": [{**DIFFERENCE, "vertebra": "C7"}]},
        {**READINGS, "readings": [{**SUBMITTED, "landmarks": LANDMARKS * 2}]},
    ],
)
def test_readings_that_make_no_sense_are_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ServerError) as raised:
        parse_image_readings(wrong)
    assert raised.value.kind == BAD_RESPONSE


def test_an_image_with_a_reading_is_neither_predicted_nor_labelled() -> None:
    info = {"info": {"user": "ada", "ts": 5}}
    labels = {"phantom_1": {"original": {}, "reading-2": info}, "phantom_2": {"reading-1": info, "final": info}}
    listed = {"objects": {name: {"image": {"ext": ".png"}, "labels": of} for name, of in labels.items()}}
    assert [(one.status, one.timestamp) for one in parse_image_list(listed)] == [("read", 5), ("labelled", 5)]


def test_every_request_says_who_works() -> None:
    heads: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        heads.append(read_all(connection)[0])
        connection.sendall(reply(json.dumps(STUDY).encode()))

    with serving(behave) as url:
        connection = Connection(url)
        Client(connection).study()
        connection.user = "Zoë Müller"
        Client(connection).study()
    assert b"x-user" not in heads[0].lower()
    assert b"X-User: Zo%C3%AB%20M%C3%BCller\r\n" in heads[1]


def test_a_server_that_knows_no_studies_has_none() -> None:
    with serving(answering(reply(b'{"detail": "Not Found"}', "404 Not Found"))) as url:
        assert Client(Connection(url)).study() is None


def test_what_the_plan_refuses_is_said_in_its_words() -> None:
    body = b'{"detail": "\'dan\' is neither reader nor adjudicator of the study plan"}'
    with serving(answering(reply(body, "409 Conflict"))) as url, pytest.raises(ServerError) as raised:
        Client(Connection(url)).next_reading("dan", "first")
    assert raised.value.kind == REFUSED
    assert raised.value.message == "'dan' is neither reader nor adjudicator of the study plan."


def test_a_damaged_plan_is_said_in_words() -> None:
    body = b'{"detail": "study.yaml: readers are missing"}'
    with serving(answering(reply(body, "503 Service Unavailable"))) as url, pytest.raises(ServerError) as raised:
        Client(Connection(url)).study()
    assert "cannot do this now: study.yaml: readers are missing." in raised.value.message
