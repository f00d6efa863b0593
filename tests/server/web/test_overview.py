"""Overview routes of a real server: lists and thumbnails."""

from __future__ import annotations

import io
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from lib.phantoms import random_spec, render_phantom

if TYPE_CHECKING:
    from ...serving import Server, Start

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """The app on a folder with two phantoms and what is no image."""
    studies = tmp_path_factory.mktemp("studies")
    for number in (1, 2):
        Image.fromarray(render_phantom(random_spec(number, 900, 420)).pixels).save(studies / f"phantom_{number}.png")
    (studies / "text.png").write_text("I have no pixels")
    with start(studies) as running:
        yield running


def listed(server: Server, query: str = "") -> dict[str, Any]:
    status, answer = server.ask(f"/images?{query}")
    assert status == 200, answer
    return json.loads(answer)


def test_images_are_listed_with_their_states(server: Server) -> None:
    page = listed(server)
    assert page["counts"] == {"all": 3, "unlabelled": 3, "predicted": 0, "labelled": 0, "unreadable": 0}
    assert [entry["id"] for entry in page["images"]] == ["phantom_1", "phantom_2", "text"]
    status, _ = server.infer("phantom_2", save_label=True)
    assert status == 200
    assert server.ask("/images/thumbnail?image=text")[0] == 415
    page = listed(server, "search=PHANTOM&state=predicted&sort=doubt&descending=true&offset=0&limit=10")
    assert page["total"] == 1
    assert page["counts"] == {"all": 3, "unlabelled": 1, "predicted": 1, "labelled": 0, "unreadable": 1}
    assert page["images"][0]["id"] == "phantom_2"
    assert page["images"][0]["largest_angle_deg"] > 0
    assert page["images"][0]["opened_by"] == []
    client = "5e1d4a0c-0a0a-4b4b-8c8c-111111111111"
    presence = f"/presence?image=phantom_2&client={client}"
    assert server.ask(presence, "PUT", json.dumps({"user": "bob", "edits": 1}).encode(), "application/json")[0] == 200
    assert [entry["opened_by"] for entry in listed(server)["images"]] == [[], ["bob"], []]
    assert server.ask(presence, "DELETE")[0] == 200
    assert [entry["opened_by"] for entry in listed(server)["images"]] == [[], [], []]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("offset=-1", "offset"),
        ("sort=size", "sort"),
        ("state=new", "state"),
        (f"search={'x' * 201}", "search"),
    ],
)
def test_a_wrong_parameter_is_named(server: Server, query: str, words: str) -> None:
    status, sentence = server.said(server.ask(f"/images?{query}"))
    assert status == 400
    assert words in sentence


def test_a_thumbnail_is_a_small_jpeg_that_browsers_may_keep(server: Server) -> None:
    address = f"{server.url}/images/thumbnail?image=phantom_1"
    with urllib.request.urlopen(address, timeout=60) as answer:
        headers, content = answer.headers, answer.read()
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["Cache-Control"].startswith("private, max-age=")
    assert headers["Vary"] == "Authorization"  # who has signed out does not get it from the browser's cache
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    assert pixels.shape == (240, 112)
    assert pixels.max() - pixels.min() > 150
    assert server.ask("/images/thumbnail?image=phantom_1", headers={"If-None-Match": headers["ETag"]}) == (304, b"")
    assert server.ask("/images/thumbnail?image=phantom_1", headers={"If-None-Match": '"other"'}) == (200, content)
    assert server.said(server.ask("/images/thumbnail?image=nobody")) == (
        404,
        "there is no image 'nobody' in the studies folder",
    )
    kept: list[Path] = list((server.studies / ".vertebra_landmarks" / "thumbnails").rglob("*.jpg"))
    assert [path.read_bytes() for path in kept] == [content]


def test_the_thumbnail_of_an_image_is_removed_with_it(server: Server) -> None:
    folder = server.studies / ".vertebra_landmarks" / "thumbnails"
    before = set(folder.rglob("*.jpg"))
    content = (server.studies / "phantom_1.png").read_bytes()
    assert server.send("/datastore/image?image=removed", "PUT", file=("removed.png", content))[0] == 200
    assert server.ask("/images/thumbnail?image=removed")[0] == 200
    assert len(set(folder.rglob("*.jpg")) - before) == 1
    assert server.ask("/datastore/image?id=removed", "DELETE")[0] == 200
    assert set(folder.rglob("*.jpg")) == before


def test_statistics_are_of_the_labels(server: Server) -> None:
    status, markups = server.ask("/infer/vertebra_landmarks?image=phantom_1&output=image", "POST")
    assert status == 200
    params = json.dumps({"user": "ada", "seconds": 12.5, "edits": 4})
    sent = server.send("/datastore/label?image=phantom_1", "PUT", label=("label.mrk.json", markups), params=params)
    assert sent[0] == 200
    refused = json.dumps({"largest_angle_deg": 99})
    answer = server.send("/datastore/label/info?label=phantom_1&tag=final", "PUT", info=refused)
    assert server.said(answer)[0] == 400
    found = json.loads(server.ask("/statistics")[1])
    assert [(one["user"], one["count"]) for one in found["labels_by_day"]] == [("ada", 1)]
    assert found["readers"] == [{"user": "ada", "labels": 1, "median_seconds": 12.5}]
    assert found["largest_angle_deg"] == [listed(server, "search=phantom_1")["images"][0]["largest_angle_deg"]]
    assert found["largest_angle_deg"][0] > 0


def test_a_follow_up_is_of_the_images_of_one_patient(server: Server) -> None:
    for name in ("P5_pre", "P5_post"):
        pixels = render_phantom(random_spec(1 if name == "P5_pre" else 2, 900, 420)).pixels
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        assert server.send("/datastore/image", "PUT", file=(f"{name}.png", stream.getvalue()))[0] == 200
        assert server.infer(name, save_label=True)[0] == 200
    status, answer = server.ask("/follow_up?image=P5_post")
    assert status == 200
    found = json.loads(answer)
    assert {one["id"] for one in found["images"]} == {"P5_pre", "P5_post"}
    assert {one["date_source"] for one in found["images"]} == {"file"}
    first, second = found["images"]
    assert first["id"] == found["reference"]
    own = [(one["upper_end"], one["lower_end"], pytest.approx(one["angle_deg"])) for one in first["curves"]]
    assert [(one["upper_end"], one["lower_end"], one["angle_deg"]) for one in first["same_ends"]] == own
    assert len(found["changes"]) == len(second["same_ends"]) == len(own) >= 1
    assert all(isinstance(one["within_error"], bool) for one in found["changes"])
    assert len(json.loads(server.ask("/follow_up?image=phantom_1")[1])["images"]) == 1
    assert server.said(server.ask("/follow_up?image=nobody"))[0] == 404
