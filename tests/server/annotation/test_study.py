"""A study of two readers and an adjudicator over HTTP, with servers that are killed while they work.

``STUDY_IMAGES=40`` makes it one of 40 phantoms; the suite reads 12.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import sqlite3
import threading
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from lib.phantoms import random_spec, render_phantom
from lib.server.annotation.readings.listing import readings
from lib.server.store.datastore import StudiesDatastore
from lib.spine.geometry import with_centers
from lib.study.plan import DAY_S, checked_plan

from .study_client import TOKENS, Person, points_of

if TYPE_CHECKING:
    from ...serving import Server, Start

pytestmark = pytest.mark.integration

COUNT = int(os.environ.get("STUDY_IMAGES", "12"))
SIZE = (320, 160)
READERS = ("ada", "ben")
PLAN = {
    "readers": [*READERS, "dan"],
    "adjudicators": ["cleo"],
    "second_reading": {"share": 0.3},
    "repeat": {"share": 0.3, "after_days": 14},
    "seed": 5,
}
LATER_PLAN = {**PLAN, "readers": [*READERS], "second_reading": {"share": 0.5}}


class Submission(NamedTuple):
    """A reading whose submission was acknowledged."""

    image: str
    kind: str
    reader: str
    xy: np.ndarray


class Simulation:
    """People who read until their server dies, and what was acknowledged to them."""

    def __init__(self, truth: dict[str, np.ndarray]) -> None:
        self.truth = truth
        self.acknowledged: dict[tuple[str, int], Submission] = {}
        self.chosen: dict[str, np.ndarray] = {}
        self.failures: list[Exception] = []
        self._lock = threading.Lock()

    def xy(self, image: str, reader: str, kind: str) -> np.ndarray:
        """What a reader sees in an image: the truth, give or take a pixel."""
        seed = zlib.crc32(f"{image} {reader} {kind}".encode())
        noise = np.random.default_rng(seed).normal(0, 1, (17, 4, 2))
        return with_centers(self.truth[image][:, 1:] + noise)

    def read(self, person: Person, is_over: Callable[[], bool]) -> None:
        """Read what comes, until nothing is left or the server is gone."""
        draws = random.Random(person.name)
        with contextlib.suppress(OSError, http.client.HTTPException):
            while not is_over() and (given := person.next())["image"] is not None:
                image, reading = given["image"], given["reading"]
                if draws.random() < 0.1 and person.get("/study/release", "POST", {"image": image})["released"]:
                    continue
                person.get(f"/presence?image={image}&client=00000000-0000-4000-8000-000000000001", "PUT", {"edits": 1})
                xy = self.xy(image, person.name, reading["kind"])
                assert person.ask(f"/landmarks?image={image}&reading=9")[0] == 404
                query = f"&reading={reading['number']}&base_version=0"
                saved = person.submit(image, xy, query, seconds=30.0, edits=4)
                with self._lock:
                    made = Submission(image, reading["kind"], person.name, xy)
                    assert self.acknowledged.setdefault((image, saved["reading"]), made) is made

    def adjudicate(self, person: Person, is_over: Callable[[], bool]) -> None:
        """Choose final labels, by turns of a reading, the mean and points of one's own."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            while not is_over() and (given := person.next())["image"] is not None:
                image = given["image"]
                found = person.get(f"/readings?image={image}")
                shown = {one["number"]: one for one in found["readings"] if one["kind"] != "repeat"}
                versions = {number: one["version"] for number, one in shown.items()}
                points = [self.xy(image, one["reader"], one["kind"]) for one in shown.values()]
                take: Any = (1, "mean", "edited")[len(self.chosen) % 3]
                if take == "edited":
                    own = self.truth[image]
                    person.submit(image, own, adjudicated="edited", reading_versions=versions)
                else:
                    body = {"take": take, "versions": versions}
                    person.get(f"/readings/adjudicate?image={image}", "POST", body)
                    own = points[0] if take == 1 else (points[0] + points[1]) / 2
                    if take == "mean":
                        np.testing.assert_allclose(points_of(found["mean"]["landmarks"]), own, atol=0.01)
                self.chosen[image] = own

    def together(self, people: list[Person], server: Server, until: int | None) -> None:
        """All work at once, until so many readings are acknowledged, and the server is killed; else to the end."""
        enough = threading.Event()

        def is_over() -> bool:
            if until is not None and len(self.acknowledged) >= until:
                enough.set()
            return False  # until the server is gone, or nothing is left

        def work(person: Person) -> None:
            try:
                (self.adjudicate if person.name == "cleo" else self.read)(person, is_over)
            except Exception as error:
                self.failures.append(error)
            finally:
                if until is None or not any(thread.is_alive() for thread in threads if thread is not current()):
                    enough.set()

        current = threading.current_thread
        threads = [threading.Thread(target=work, args=(person,)) for person in people]
        for thread in threads:
            thread.start()
        if until is not None:
            assert enough.wait(120)
            server.process.kill()  # while they work
        for thread in threads:
            thread.join(120)
        server.process.wait() if until is not None else None
        assert self.failures == []


@pytest.fixture
def study(tmp_path: Path) -> tuple[Path, Simulation]:
    """A folder of phantoms with a login and a plan, and people who know the phantoms."""
    folder = tmp_path / "studies"
    folder.mkdir()
    truth = {}
    for number in range(COUNT):
        phantom = render_phantom(random_spec(number, *SIZE))
        Image.fromarray(phantom.pixels).save(folder / f"phantom_{number}.png", dpi=(254, 254))
        truth[f"phantom_{number}"] = phantom.spine.xy
    (tmp_path / "tokens.txt").write_text(TOKENS)
    (folder / "study.yaml").write_text(json.dumps(PLAN))
    return tmp_path, Simulation(truth)


def serve(start: Start, place: Path, has_login: bool = True) -> Any:
    conf = ("--conf", "tokens", str(place / "tokens.txt")) if has_login else ()
    return start(place / "studies", *conf)


def people(server: Server, *names: str, has_login: bool = True) -> list[Person]:
    return [Person(server, name, has_login) for name in names]


def test_a_study_with_kills_in_between_ends_with_every_reading_and_the_right_final_set(
    study: tuple[Path, Simulation], start: Start
) -> None:
    place, simulation = study
    with serve(start, place) as server:
        simulation.together(people(server, *READERS), server, until=COUNT // 3)
    with serve(start, place) as server:
        plan = people(server, "root")[0].get("/study", "PUT", LATER_PLAN)["plan"]
        assert plan == checked_plan(LATER_PLAN).model_dump(mode="json")
        simulation.together(people(server, *READERS, "cleo"), server, until=COUNT)
    with serve(start, place, has_login=False) as server:
        for days in (0, 15):  # what the first round makes possible for others, and repeats
            let_days_pass(place / "studies", days)
            for _ in range(4):
                simulation.together(people(server, *READERS, "cleo", has_login=False), server, until=None)
        check_over_http(simulation, server)
    check_store(simulation, place / "studies")


def let_days_pass(folder: Path, days: float) -> None:
    """Make everything that was noted older: a clock that moves."""
    by = days * DAY_S
    with closing(sqlite3.connect(folder / ".vertebra_landmarks" / "store.sqlite3")) as connection, connection:
        connection.execute(
            "UPDATE vl_readings SET submitted_at = submitted_at - ?, assigned_at = assigned_at - ?, "
            "seen_at = seen_at - ?",
            (by, by, by),
        )
        connection.execute("UPDATE vl_study_plans SET since = since - ?", (by,))


def check_over_http(simulation: Simulation, server: Server) -> None:
    """Nothing is left to do, and everybody sees the final labels."""
    ada, cleo = people(server, "ada", "cleo", has_login=False)
    progress = cleo.get("/study")["progress"]
    assert (progress["images"], progress["read"], progress["to_adjudicate"], progress["final"]) == (
        COUNT,
        COUNT,
        0,
        COUNT,
    )
    assert [(one["reader"], one["open"], one["to_do"]) for one in progress["readers"]] == [("ada", 0, 0), ("ben", 0, 0)]
    assert {one["reading"] for one in ada.get("/images")["images"]} == {"final"}
    done = sum(one["done"] for one in progress["readers"])
    for (image, number), made in simulation.acknowledged.items():
        assert ada.xy(image, number) == pytest.approx(made.xy, abs=1e-6)
    assert done >= len(simulation.acknowledged)
    for image, xy in simulation.chosen.items():
        assert ada.xy(image) == pytest.approx(xy, abs=1e-6)


def check_store(simulation: Simulation, folder: Path) -> None:
    """What the plan wants was read, by whom it wants it, and the final set is that of the acknowledged choices."""
    plan, store = checked_plan(LATER_PLAN), StudiesDatastore(str(folder))
    try:
        found = list(readings(store))
    finally:
        store.close()
    for image in simulation.truth:
        made = {one.number: one for one in found if one.image == image}
        kinds = sorted(one.kind for one in made.values() if one.number)
        readers = {one.kind: one.reader for one in made.values()}
        wanted = ["first", *(["repeat"] if plan.wants_repeat(image) else [])]
        wanted += ["second"] if plan.wants_second(image) else []
        assert kinds == wanted
        assert readers.get("repeat", readers["first"]) == readers["first"] != readers.get("second")
        final = [one for one in made.values() if one.is_final]
        assert [(one.tag, one.kind) for one in final] == [
            ("final", "adjudication" if plan.wants_second(image) else "first")
        ]
        for one in made.values():
            xy = simulation.chosen[image] if one.number == 0 else simulation.xy(image, one.reader, one.kind)
            assert one.spine.xy == pytest.approx(xy, abs=1e-6)
            was_closed = one.kind == "second" and made[1].tag == "final"  # by the plan before, which wanted one
            assert one.is_blind == (one.number > 0 and not was_closed)
    assert {(one.image, one.number) for one in found} >= set(simulation.acknowledged)
    assert any(one.kind == "repeat" for one in found)
    assert any(one.kind == "second" for one in found)
