"""``/landmarks`` and ``base_version`` on a real server: who may save, what is stored, and what is never replaced."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from lib.image_io import read_radiograph
from lib.phantoms import random_spec, render_phantom
from lib.server.models import FOLDER
from lib.spine.labels.markups import label_of, to_markups
from lib.spine.schema import Spine

if TYPE_CHECKING:
    from ...serving import Server, Start

pytestmark = pytest.mark.integration

READER, ADA, BEN, ADMIN = (f"the-token-of-{name}-{'x' * 8}" for name in ("reader", "ada", "ben", "admin"))
TOKENS = f"rita reader {READER}\nada annotator {ADA}\nben annotator {BEN}\ncleo admin {ADMIN}\n"
SIZE = (320, 160)
IMAGES = "abcdefghij"
JSON = "application/json"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """A server with a login and one image per test."""
    place = tmp_path_factory.mktemp("place")
    studies = place / "studies"
    studies.mkdir()
    for name in IMAGES:
        Image.fromarray(render_phantom(random_spec(1, *SIZE)).pixels).save(studies / f"{name}.png", dpi=(254, 254))
    (place / "tokens.txt").write_text(TOKENS)
    conf = ("--conf", "tokens", str(place / "tokens.txt"))
    with start(studies, *conf) as running:
        yield running


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def put(
    server: Server, image: str, content: Any, token: str = ADA, base: int | None = None, tag: str = "final"
) -> tuple[int, Any]:
    """Save points; status and answer."""
    query = f"image={image}&tag={tag}" + ("" if base is None else f"&base_version={base}")
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    status, answer = server.ask(f"/landmarks?{query}", "PUT", body, JSON, bearer(token))
    return status, json.loads(answer)


def get(server: Server, image: str, tag: str = "final", token: str = READER) -> tuple[int, Any]:
    """Points of a label; status and answer."""
    status, answer = server.ask(f"/landmarks?image={image}&tag={tag}", headers=bearer(token))
    return status, json.loads(answer)


def points(shift: float = 0.0, **others: Any) -> dict[str, Any]:
    """A body with all 85 points."""
    spine = Spine.from_arrays(
        np.array([80, 20])
        + np.arange(17)[:, None, None] * np.array([0, 16])
        + np.array([[0, 0], [-10, -6], [10, -6], [-10, 6], [10, 6]])
        + np.array([shift, 0])
    )
    listed = [{"name": label_of(v, p), "x": one.x, "y": one.y} for v, p, one in spine.points() if one is not None]
    return {"landmarks": listed, **others}


def stored(server: Server, image: str, tag: str = "final") -> bytes:
    """The file of a label."""
    return (server.studies / "labels" / tag / f"{image}.mrk.json").read_bytes()


def versions(server: Server, image: str) -> list[str]:
    """Files of the versions of an image's labels."""
    return sorted(path.name for path in (server.studies / FOLDER / "versions").rglob(f"{image}.*"))


def test_a_label_is_saved_and_read_with_its_version(server: Server) -> None:
    assert get(server, "a") == (404, {"detail": "image 'a' has no label 'final'"})
    info = {"user": "Nobody", "seconds": 12.34, "edits": 3, "room": "2"}
    content = points(touched=["T7"], info=info, origin={"model_version": "2", "names_right": 0.9})
    assert put(server, "a", content, base=0) == (200, {"image": "a", "tag": "final", "version": 1})
    status, found = get(server, "a")
    assert status == 200
    assert (found["image"], found["tag"], found["version"], found["touched"]) == ("a", "final", 1, ["T7"])
    assert [{"name": one["name"], "x": one["x"], "y": one["y"]} for one in found["landmarks"]] == [
        {**one, "x": pytest.approx(one["x"]), "y": pytest.approx(one["y"])} for one in content["landmarks"]
    ]
    assert found["origin"]["names_right"] == 0.9
    expected = {"user": "ada", "annotator": "Nobody", "seconds": 12.3, "edits": 3, "touched": 1, "room": "2"}
    assert expected.items() <= found["info"].items()
    geometry = read_radiograph(server.studies / "a.png").geometry
    xy = np.array([[one["x"], one["y"]] for one in content["landmarks"]]).reshape(17, 5, 2)
    assert stored(server, "a") == json.dumps(to_markups(Spine.from_arrays(xy), geometry), indent=1).encode()


def test_whether_there_is_a_label_can_be_asked_without_an_error(server: Server) -> None:
    path = "/landmarks?image=a&tag=nothing"
    assert server.ask(path, headers=bearer(READER))[0] == 404
    assert server.ask(f"{path}&missing_ok=true", headers=bearer(READER)) == (204, b"")
    assert server.ask(f"{path}&missing_ok=true")[0] == 401


def test_readers_read_and_do_not_save(server: Server) -> None:
    status, answer = put(server, "b", points(), READER)
    assert (status, answer["detail"]) == (403, "this needs the role annotator, yours is reader")
    assert server.ask("/landmarks?image=b&tag=final", "PUT", b"{}", JSON)[0] == 401
    assert get(server, "b")[0] == 404
    assert server.ask("/landmarks?image=b&tag=final")[0] == 401
    body = json.dumps({"points": {}, "image": {"width": 10, "height": 10}}).encode()
    assert server.ask("/measure", "POST", body, JSON, bearer(READER))[0] == 200
    assert server.ask("/measure", "POST", body, JSON)[0] == 401
    assert server.ask("/measure", "POST", b" " * 1_000_001, JSON, bearer(READER))[0] == 413


def test_a_newer_label_is_not_replaced(server: Server) -> None:
    assert put(server, "c", points(), ADA, base=0)[1]["version"] == 1
    assert put(server, "c", points(1), BEN, base=1)[1]["version"] == 2
    before, listed = stored(server, "c"), versions(server, "c")
    status, answer = put(server, "c", points(2), ADA, base=1)
    assert status == 409
    assert answer["detail"].startswith("image 'c' has a newer label 'final', version 2, saved by ben on 20")
    assert answer["detail"].endswith(" UTC: nothing was replaced")
    assert put(server, "c", points(2), ADA, base=0)[0] == 409
    assert (stored(server, "c"), versions(server, "c")) == (before, listed)
    assert get(server, "c")[1]["version"] == 2
    assert put(server, "c", points(2), ADA, base=2)[1]["version"] == 3
    assert put(server, "c", points(3), BEN)[1]["version"] == 4  # a client that knows no versions replaces any


def test_a_request_that_is_repeated_is_no_conflict(server: Server) -> None:
    content = points(info={"seconds": 1, "edits": 1})
    assert put(server, "d", content, ADA, base=0)[1]["version"] == 1
    listed = versions(server, "d")
    assert put(server, "d", content, ADA, base=0) == (200, {"image": "d", "tag": "final", "version": 1})
    assert versions(server, "d") == listed
    assert put(server, "d", content, BEN, base=0)[1]["version"] == 2  # another reader's label, though the points agree
    assert get(server, "d")[1]["info"]["user"] == "ben"
    assert put(server, "d", content, BEN, base=2)[1]["version"] == 3  # and one that he saves again knowingly


def test_files_of_labels_are_checked_too(server: Server) -> None:
    def save(shift: float, base: int | str, token: str = ADA) -> tuple[int, Any]:
        spine = points(shift)["landmarks"]
        xy = np.array([[one["x"], one["y"]] for one in spine]).reshape(17, 5, 2)
        geometry = read_radiograph(server.studies / "e.png").geometry
        label = ("label.mrk.json", json.dumps(to_markups(Spine.from_arrays(xy), geometry)).encode())
        path = f"/datastore/label?image=e&tag=final&base_version={base}"
        status, answer = server.send(path, "PUT", bearer(token), label=label)
        return status, json.loads(answer)

    assert save(0, 0) == (200, {"image": "e", "label": "e", "version": 1})
    assert save(0, 0) == (200, {"image": "e", "label": "e", "version": 1})
    status, answer = save(1, 0, BEN)
    assert status == 409
    assert "saved by ada" in answer["detail"]
    assert save(1, 1, BEN)[1]["version"] == 2
    for base in ("-1", "x", 2**31):
        status, answer = save(2, base)
        assert status == 400
        assert "base_version" in answer["detail"]
    assert get(server, "e")[1]["version"] == 2


def test_a_label_that_was_removed_hinders_nobody(server: Server) -> None:
    assert put(server, "f", points(), ADA, base=0)[1]["version"] == 1
    assert server.ask("/datastore/label?id=f&tag=final", "DELETE", headers=bearer(ADMIN))[0] == 200
    assert get(server, "f")[0] == 404
    assert put(server, "f", points(1), BEN, base=1)[1]["version"] == 2


def test_a_file_that_another_program_changed_is_a_newer_version(server: Server) -> None:
    assert put(server, "g", points(), ADA, base=0)[1]["version"] == 1
    path = server.studies / "labels" / "final" / "g.mrk.json"
    path.write_bytes(stored(server, "g").replace(b'"locked": false', b'"locked": true', 1))
    status, found = get(server, "g")
    assert (status, found["version"]) == (200, 2)
    assert put(server, "g", points(1), ADA, base=1)[0] == 409
    assert put(server, "g", points(1), ADA, base=2)[1]["version"] == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"landmarks": []}, "a final label needs at least one point"),
        ({"landmarks": [{"name": "T7", "x": 1, "y": 2, "visible": False}]}, "a final label needs at least one point"),
        ({"landmarks": [{"name": "T7", "x": 5000, "y": 2}]}, "lie outside the image"),
        ({"landmarks": [{"name": "T7", "x": 1, "y": 2}] * 2}, "landmarks: T7 stands twice"),
        ({"landmarks": [{"name": "T7", "x": 1, "y": 2}] * 101}, "body.landmarks must have 100 entries at most"),
        ({"landmarks": [{"name": "T7", "x": float("nan"), "y": 2}]}, "body.landmarks.0.x must be a number of pixels"),
        ({"info": {"ts": 5}}, "info must not name 'ts'"),
        ({"info": {"touched_points": []}}, "info must not name 'touched_points'"),
        ({"info": {"names_right": 1}}, "info must not name 'names_right'"),
        ({"info": {"x": [[[[[[[[[]]]]]]]]]}}, "info may be nested 8 times at most"),
        ({"info": {"x": "y" * 30_001}}, "info may have 30,000 characters at most"),
        ({"info": {"user": "a" * 300}}, "body.info.user must be a text of 200 characters at most"),
        ({"touched": ["T18"]}, "body.touched.0 must be a center like"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_labels_are_refused_and_nothing_is_stored(server: Server, change: dict[str, Any], words: str) -> None:
    status, answer = put(server, "h", json.dumps({**points(), **change}).encode())
    assert status == 400
    assert words in answer["detail"]
    assert versions(server, "h") == []


@pytest.mark.parametrize(
    ("image", "tag", "status"),
    [
        ("none", "final", 404),
        ("i", "../x", 400),
        ("i", "../../outside", 400),
        ("../a", "final", 404),
        ("x%00", "final", 404),
        ("i", "y%00", 400),
    ],
)
def test_wrong_names_are_refused(server: Server, image: str, tag: str, status: int) -> None:
    """Also where a file lies at the place that they lead to."""
    outside = server.studies.parent / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "i.mrk.json").write_text("{}")
    assert put(server, image, points(), tag=tag)[0] == status
    assert get(server, image, tag)[0] == 404


def test_what_is_no_label_of_vertebrae_is_not_read(server: Server) -> None:
    assert put(server, "i", points(), tag="original")[0] == 200
    (server.studies / "labels" / "original" / "i.mrk.json").write_text("{}")
    status, answer = get(server, "i", "original")
    assert status == 415
    assert answer["detail"].startswith("the label holds no vertebra landmarks")


def test_hidden_points_keep_their_place(server: Server) -> None:
    content = points()
    for one in content["landmarks"][:5]:
        one["visible"] = False
    content["landmarks"].pop()  # L5 BR, which is absent
    assert put(server, "i", content, tag="hidden")[0] == 200
    found = get(server, "i", "hidden")[1]["landmarks"]
    assert [one["visible"] for one in found] == [False] * 5 + [True] * 79
    assert (found[0]["x"], found[0]["y"]) == pytest.approx((80, 20))
    folder: Path = server.studies / "labels" / "hidden"
    assert [path.name for path in folder.glob("*.json")] == ["i.mrk.json"]


def test_points_are_saved_for_the_file_only_that_they_were_placed_on(server: Server) -> None:
    """The server may serve other studies by now, or the image was replaced by another one of its name."""
    request = urllib.request.Request(f"{server.url}/datastore/image/pixels?image=j", headers=bearer(READER))
    with urllib.request.urlopen(request, timeout=180) as answer:
        digest = json.loads(answer.headers["X-Image-Facts"])["digest"]
    point = {"landmarks": [{"name": "T7", "x": 80.0, "y": 160.0}]}
    path = f"/landmarks?image=j&tag=final&base_version=0&image_digest={digest}"
    other = render_phantom(random_spec(2, *SIZE)).pixels
    Image.fromarray(other).save(server.studies / "j.png", dpi=(254, 254))
    status, sentence = server.said(server.ask(path, "PUT", json.dumps(point).encode(), JSON, bearer(ADA)))
    assert status == 412
    assert "another file now" in sentence
    assert get(server, "j")[0] == 404
    with urllib.request.urlopen(request, timeout=180) as answer:
        now = json.loads(answer.headers["X-Image-Facts"])["digest"]
    assert now != digest
    path = path.replace(digest, now)
    assert server.ask(path, "PUT", json.dumps(point).encode(), JSON, bearer(ADA))[0] == 200
