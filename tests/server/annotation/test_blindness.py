"""Nothing that a first reader has made reaches the second one: every route is asked, before and after, and compared."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from lib.image_io import read_radiograph
from lib.phantoms import random_spec, render_phantom
from lib.server.web.routes.study.agreement import HIDDEN
from lib.spine.labels.markups import to_markups
from lib.spine.schema import Spine

from ...serving import form
from .study_client import TOKENS, Person, points_body, token_of

if TYPE_CHECKING:
    from ...serving import Start

pytestmark = pytest.mark.integration

SIZE = (320, 160)
READ, UNREAD = "first_read", "never_read"
PLAN = {"readers": ["ada", "ben"], "adjudicators": ["cleo"], "second_reading": {"share": 1.0}}
CANARY = "1421356"
"""Digits of every coordinate of the first reading, in pixels and in tenths of a millimetre."""
WORDS = (CANARY, "0.27182", "43219", "1234.5", r"\bada\b", "aortic knob", "yellow note")
"""Of the first reading: points, scores, edits, seconds, reader, notes."""
CLIENT = "00000000-0000-4000-8000-000000000002"
VALUES = {
    "image": (READ,), "label": (READ,), "id": (READ,), "session_id": ("none",),
    "tag": ("final", "original", "reading-1", "reading-2", "second"), "reading": ("", "1", "2"), "version": ("1",),
    "model": ("vertebra_landmarks",), "strategy": ("first",), "method": ("none",), "client": (CLIENT,),
    "output": ("all", "train", "stats"), "state": ("all", "labelled", "predicted"), "sort": ("labelled", "doubt"),
    "descending": ("false", "true"), "path": ("index.html",), "base_version": ("7",),
}  # fmt: skip
"""What parameters of the routes are filled with; others are left out."""
LEFT_OUT = {
    ("DELETE", "/datastore/image"): "of an admin, and answers nothing",
    ("DELETE", "/datastore/"): "the same",
    ("PUT", "/datastore/image"): "adds an image",
    ("PUT", "/datastore/image/info"): "answers nothing of what was there",
    ("PUT", "/datastore/image/side"): "changes the image's sides for everybody",
    ("PUT", "/study"): "of an admin",
    ("POST", "/train/{model}"): "of an admin",
    ("DELETE", "/train/"): "of an admin",
    ("POST", "/batch/infer/{model}"): "of an admin",
    ("DELETE", "/batch/infer"): "of an admin",
    ("POST", "/model/rollback"): "of an admin",
    ("POST", "/model/publish"): "of an admin",
    ("GET", "/model/{model}"): "of an admin",
    ("GET", "/model/info/{model}"): "of an admin",
    ("GET", "/logs/"): "of an admin",
    ("PUT", "/session/"): "holds what the client sends",
    ("POST", "/auth/token"): "holds what the client sends",
    ("POST", "/measure"): "measures what the client sends",
    ("POST", "/study/next"): "begins a reading: asked below",
    ("POST", "/activelearning/{strategy}"): "the same",
}
"""Routes that are not walked, and why; a new route must be walked, or stand here."""


def spine_of(seed: int) -> np.ndarray:
    """Points of a curved spine, with the digits of the canary."""
    middle = np.stack([70 + 9 * np.sin(np.arange(17) / 2.7 + seed), 20 + 16 * np.arange(17)], -1).round()
    corners = np.array([[0, 0], [-10, -6], [10, -6], [-10, 6], [10, 6]])
    xy: np.ndarray = middle[:, None] + corners + np.array([0.41421356, 0.41421356])
    return xy


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two images, a plan and tokens."""
    place = tmp_path_factory.mktemp("blind")
    (place / "studies").mkdir()
    for name in (READ, UNREAD):
        pixels = render_phantom(random_spec(3, *SIZE)).pixels
        Image.fromarray(pixels).save(place / "studies" / f"{name}.png", dpi=(254, 254))
    (place / "studies" / "study.yaml").write_text(json.dumps(PLAN))
    (place / "tokens.txt").write_text(TOKENS)
    return place


def serve(start: Start, place: Path) -> Any:
    conf = ("--conf", "tokens", str(place / "tokens.txt"))
    return start(place / "studies", *conf)


def walks(person: Person) -> Iterator[tuple[str, str, bytes | None, str]]:
    """Method, path, body and type of requests to every route that may be asked without changing anything."""
    described = json.loads(person.ask("/openapi.json")[1])["paths"]
    asked = {(method.upper(), path) for path, methods in described.items() for method in methods}
    assert not set(LEFT_OUT) - asked - {("DELETE", "/datastore/")}, "a route that is left out is not there"
    for (method, path), route in sorted(((m.upper(), p), r) for p, ms in described.items() for m, r in ms.items()):
        if (method, path) in LEFT_OUT:
            continue
        names = [one["name"] for one in route.get("parameters", []) if one["name"] in VALUES]
        for values in itertools.product(*(VALUES[name] for name in names)):
            filled = dict(zip(names, values, strict=True))
            of_path = {name for name in filled if f"{{{name}}}" in path}
            query = "&".join(f"{n}={v}" for n, v in filled.items() if n not in of_path and v)
            address = path.replace(":path}", "}").format_map(
                {**dict.fromkeys(re.findall(r"{(\w+)", path), "none"), **filled}
            )
            yield method, f"{address}?{query}", *body_of(method, path)


def body_of(method: str, path: str) -> tuple[bytes | None, str]:
    """A body that a route takes, which changes nothing that is shown to others."""
    bodies: dict[tuple[str, str], Any] = {
        ("PUT", "/presence"): {"user": "ben", "edits": 1},
        ("PUT", "/landmarks"): {"landmarks": [], "info": {}},
        ("POST", "/study/release"): {"image": READ},
        ("POST", "/readings/adjudicate"): {"take": 1},
    }
    if (method, path) == ("POST", "/infer/{model}"):
        return form({"params": json.dumps({"fixed": {}})})
    if path in ("/datastore/label/info", "/datastore/updatelabelinfo") and method == "PUT":
        return form({"info": '{"seen_by": "ben"}', "params": '{"seen_by": "ben"}'})
    if (method, path) == ("PUT", "/datastore/label"):
        return form({"label": ("a.mrk.json", b"{}"), "params": "{}"})
    found = bodies.get((method, path))
    return (None, "") if found is None else (json.dumps(found).encode(), "application/json")


def answers(person: Person) -> dict[str, tuple[int, bytes]]:
    """Answers of all routes to one person."""
    headers = {"Authorization": f"Bearer {token_of(person.name)}"}
    found = {}
    for method, path, body, kind in walks(person):
        status, content = person.server.ask(path, method, body, kind, headers)
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)  # its header has the name of a temporary file
        content = re.sub(rb'"timings":\{[^}]*\}', b"", content)
        content = re.sub(rb"[0-9a-f]{32}", b"", content)  # boundaries of multipart answers
        content = content if not path.startswith(("/study?", "/report")) else b""  # looked at on their own
        found[f"{method} {path}"] = status, content
    return found


def found_in(content: bytes) -> list[str]:
    """Words of the first reading in an answer that is text."""
    try:
        text = content.decode()
    except UnicodeDecodeError:  # pixels
        return []
    return [word for word in WORDS if re.search(word, text)]


def read_as_ada(ada: Person) -> None:
    """A first reading with everything that a reader can leave behind."""
    given = ada.next()
    while given["image"] != READ:
        ada.get("/study/release", "POST", {"image": given["image"]})
        given = ada.next()
    xy = spine_of(0)
    fixed = {"T7": {"TL": xy[6, 1].tolist()}, "L1": {"center": xy[12, 0].tolist()}}
    body, kind = form({"params": json.dumps({"fixed": fixed, "save_label": True, "label_tag": "original"})})
    headers = {"Authorization": f"Bearer {token_of('ada')}"}
    assert ada.server.ask(f"/infer/vertebra_landmarks?image={READ}&output=json", "POST", body, kind, headers)[0] == 200
    body, kind = form({"info": json.dumps({"note": "yellow note, 41421356"})})
    assert ada.server.ask(f"/datastore/image/info?image={READ}", "PUT", body, kind, headers)[0] == 200
    ada.get(f"/presence?image={READ}&client={uuid.uuid4()}", "PUT", {"user": "ada", "edits": 432199})
    noted = {"seconds": 1234.5, "edits": 43219, "note": "aortic knob"}
    saved = ada.submit(READ, xy, "&base_version=0", score=0.27182, **noted)
    assert (saved["tag"], saved["reading"]) == ("reading-1", 1)
    ada.get(f"/presence?image={READ}&client={uuid.uuid4()}", "PUT", {"user": "ada", "edits": 0})


def test_no_route_tells_a_second_reader_of_the_first_reading(place: Path, start: Start) -> None:
    with serve(start, place) as server:
        ben = Person(server, "ben")
        before = answers(ben)
        read_as_ada(Person(server, "ada"))
        after = answers(ben)
        assert {at: one for at, one in after.items() if before[at] != one} == {}
        adjudicator = answers(Person(server, "cleo"))
        server.process.kill()
        server.process.wait()
    with serve(start, place) as server:
        ben, cleo = Person(server, "ben"), Person(server, "cleo")
        again = answers(ben)
        assert {at: one for at, one in again.items() if before[at] != one} == {}
        for at, (_, content) in again.items():
            assert found_in(content) == [], at
        seen = {word for _, content in adjudicator.values() for word in found_in(content)}
        assert seen == {*WORDS}  # they can be found
        check_study(ben)
        check_report(ben, cleo)
        check_model(ben, Person(server, "root"))
        check_second_reading(ben, cleo)
        check_removed_reading(Person(server, "ada"), ben, Person(server, "root"))


def check_study(ben: Person) -> None:
    """What is told of the study names its readers, and their numbers only."""
    told = ben.get("/study")
    ada = next(one for one in told["progress"]["readers"] if one["reader"] == "ada")
    assert ada == {"reader": "ada", "done": 1, "open": 0, "to_do": 1, "seconds_median": None}
    assert told["warnings"] == []
    assert ben.get("/statistics")["labels"] == 0
    assert ben.get("/study/agreement")["sentence"] == HIDDEN


def check_report(ben: Person, cleo: Person) -> None:
    """A report of the image shows the model's points, as of an image that nobody has read."""
    own, seen = (person.ask(f"/report?image={READ}&tag=reading-1") for person in (ben, cleo))
    assert own[0] == seen[0] == 200
    assert len(own[1]) != len(seen[1])


def check_model(ben: Person, root: Person) -> None:
    """Without the model in second readings, its points reach no second reader either, stored or new."""
    body, kind = form({"params": json.dumps({"save_label": True})})
    headers = {"Authorization": f"Bearer {token_of('root')}"}
    assert root.server.ask(f"/infer/vertebra_landmarks?image={READ}&output=json", "POST", body, kind, headers)[0] == 200
    label, report = f"/datastore/label?label={READ}&tag=original", f"/report?image={READ}"
    assert [ben.ask(path)[0] for path in (label, report)] == [200, 200]
    assert next(one for one in ben.get("/images")["images"] if one["id"] == READ)["state"] == "predicted"
    told = root.get("/study?dry_run=true", "PUT", {**PLAN, "second_reading": {"share": 0}})
    assert (told["effect"], told["plan"]["second_reading"]) == ({"closes": 1, "opens": 0}, {"share": 1})
    told = root.get("/study", "PUT", {**PLAN, "model": {"second": False}})
    assert (told["effect"], told["plan"]["model"]["second"]) == ({"closes": 0, "opens": 0}, False)
    assert [ben.ask(path)[0] for path in (label, report)] == [404, 404]
    listed = next(one for one in ben.get("/images")["images"] if one["id"] == READ)
    assert (listed["state"], listed["largest_angle_deg"], listed["doubt"]) == ("unlabelled", None, None)
    sentence = "the study plan offers no points of the model in this reading"
    assert ben.refused(f"/infer/vertebra_landmarks?image={READ}", "POST") == (409, sentence)
    assert ben.get("/datastore/?output=all")["objects"][READ]["labels"] == {}
    root.get("/study", "PUT", PLAN)


def check_second_reading(ben: Person, cleo: Person) -> None:
    """The second reader gets the image, cannot overwrite the first reading, and sees it after adjudication."""
    given = ben.next()
    assert given == {"image": READ, "reading": {"number": 2, "kind": "second", "blind": True, "model": True}}
    assert ben.refused(f"/landmarks?image={READ}&reading=1", "PUT", points_body(spine_of(1)))[0] == 409
    content = json.dumps(
        to_markups(
            Spine.from_arrays(spine_of(1) - 0.41421356), read_radiograph(ben.server.studies / f"{READ}.png").geometry
        )
    )
    fields = {"label": ("a.mrk.json", content.encode()), "params": '{"annotator": "ben", "seconds": 9}'}
    headers = {"Authorization": f"Bearer {token_of('ben')}"}
    status, answer = ben.server.send(f"/datastore/label?image={READ}&tag=final", "PUT", headers, **fields)
    assert (status, json.loads(answer)["version"]) == (200, 1)  # as a Slicer module of before saves
    own = ben.get(f"/landmarks?image={READ}")
    assert (own["tag"], own["version"], own["info"]["user"]) == ("reading-2", 1, "ben")
    assert CANARY not in json.dumps(ben.get(f"/readings?image={READ}"))
    assert ben.refused(f"/readings/adjudicate?image={READ}", "POST", {"take": 1})[0] == 403
    assert cleo.next() == {"image": READ, "adjudicate": True}
    assert cleo.get(f"/readings/adjudicate?image={READ}", "POST", {"take": 1})["version"] == 1
    assert CANARY in json.dumps(ben.get(f"/landmarks?image={READ}"))


def check_removed_reading(ada: Person, ben: Person, root: Person) -> None:
    """Versions of a reading that was removed do not reach whoever reads in its place."""
    assert ada.next()["image"] == UNREAD
    ada.submit(UNREAD, spine_of(0), seconds=1234.5)
    assert root.ask(f"/datastore/label?id={UNREAD}&tag=reading-1", "DELETE")[0] == 200
    assert ben.next()["reading"]["number"] == 1
    ben.submit(UNREAD, spine_of(1) - 0.41421356)
    versions, restore = (f"/datastore/label/{path}?label={UNREAD}&tag=reading-1" for path in ("versions", "restore"))
    assert [one["version"] for one in root.get(versions)["versions"]] == [1, 2]
    assert [one["version"] for one in ben.get(versions)["versions"]] == [2]
    there, missing = (ben.refused(f"{restore}&version={version}", "POST") for version in (1, 9))
    assert there == (404, missing[1].replace("version 9", "version 1"))
    assert ben.get(f"{restore}&version=2", "POST") == {"version": 3}
