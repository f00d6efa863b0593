"""Two workers of a real server on one folder give the same responses."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
from PIL import Image

from harness.local_postgresql import binaries
from lib.phantoms import random_spec, render_phantom
from lib.spine.labels.markups import to_markups
from lib.spine.schema import Spine

from .store.conftest import postgresql  # noqa: F401

if TYPE_CHECKING:
    from harness.local_postgresql import OwnPostgresql

    from ..serving import Server, Start

pytestmark = pytest.mark.integration

MODEL = "vertebra_landmarks"
ASKS = 12


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """Three images, two workers, and PostgreSQL where it is installed."""
    studies = tmp_path_factory.mktemp("workers") / "studies"
    studies.mkdir()
    for name in "abc":
        Image.fromarray(np.zeros((60, 40), np.uint8)).save(studies / f"{name}.png")
    arguments, env = ["--workers", "2"], {}
    if binaries() is not None:
        own: OwnPostgresql = request.getfixturevalue("postgresql")
        arguments += ["--conf", "database", own.url]
        env["PGPASSWORD"] = own.password
    with start(studies, *arguments, env=env) as running:
        yield running


def many(ask: Callable[[], object]) -> list[object]:
    """Answers to the same question, by whichever worker."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: ask(), range(ASKS)))


def png(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def markups(x: float) -> bytes:
    return json.dumps(to_markups(Spine.from_arrays(np.full((17, 5, 2), x)))).encode()


def test_what_one_worker_saves_the_other_knows_at_once(server: Server) -> None:
    for x in range(3):
        sent = server.send(
            "/datastore/label?image=a&tag=final", "PUT", label=("a.json", markups(x)), params='{"edits": 2}'
        )
        assert sent[0] == 200, sent
        assert set(many(lambda: server.ask("/datastore/label?label=a&tag=final")[1])) == {markups(x)}
    facts = many(lambda: server.ask("/datastore/label/info?label=a&tag=final")[1])
    assert len(set(facts)) == 1
    counts = many(lambda: json.loads(server.ask("/info/")[1])["datastore"]["completed"])
    assert counts == [1] * ASKS


def test_a_label_is_whole_while_another_one_is_saved(server: Server) -> None:
    contents = [markups(1), markups(2) + b" " * 50_000]
    save = partial(server.send, "/datastore/label?image=c&tag=busy", "PUT")
    save(label=("a.json", contents[0]))
    with ThreadPoolExecutor(1) as pool:
        saving = pool.submit(lambda: [save(label=("a.json", contents[turn % 2]))[0] for turn in range(40)])
        while not saving.done():
            assert set(many(lambda: server.ask("/datastore/label?label=c&tag=busy"))) <= {(200, c) for c in contents}
    assert set(saving.result()) == {200}


def test_versions_are_listed_and_restored(server: Server) -> None:
    for x in (5, 6):
        server.send("/datastore/label?image=b&tag=mine", "PUT", label=("b.json", markups(x)))
    assert json.loads(server.ask("/datastore/label/restore?label=b&tag=mine&version=1", "POST")[1]) == {"version": 3}
    assert server.ask("/datastore/label?label=b&tag=mine")[1] == markups(5)
    versions = json.loads(server.ask("/datastore/label/versions?label=b&tag=mine")[1])["versions"]
    assert [version["is_current"] for version in versions] == [False, False, True]
    assert server.said(server.ask("/datastore/label/restore?label=b&tag=mine&version=9", "POST"))[0] == 404
    assert server.said(server.ask("/datastore/label/restore?label=b&tag=mine&version=0", "POST"))[0] == 400
    assert server.said(server.ask("/datastore/label/versions?label=x&tag=mine"))[0] == 404
    next((server.studies / ".vertebra_landmarks" / "versions" / "mine").rglob("b.2.mrk.json")).unlink()
    assert server.said(server.ask("/datastore/label/restore?label=b&tag=mine&version=2", "POST"))[0] == 409


def test_people_who_ask_at_once_get_different_images(server: Server) -> None:
    with ThreadPoolExecutor(2) as pool:
        asked = list(pool.map(lambda _: json.loads(server.ask("/activelearning/random", "POST")[1])["id"], range(2)))
    assert sorted(asked) == ["b", "c"]
    again = [json.loads(server.ask("/activelearning/first", "POST")[1])["id"] for _ in range(3)]
    assert again in (["b", "c", "b"], ["c", "b", "c"])  # the one given longest ago, whichever was first


def test_a_file_that_comes_is_seen_by_both(server: Server) -> None:
    Image.fromarray(np.zeros((60, 40), np.uint8)).save(server.studies / "d.png")
    wait(partial(server.is_there, "/datastore/image?image=d"))
    assert many(lambda: server.ask("/datastore/image?image=d", "HEAD")[0]) == [200] * ASKS


def test_a_session_is_of_both(server: Server) -> None:
    content = png(render_phantom(random_spec(5, 480, 220)).pixels)
    name = json.loads(server.send("/session/", "PUT", files=("x.png", content))[1])["session_id"]
    assert set(many(lambda: server.ask(f"/session/{name}?image=true"))) == {(200, content)}
    infer = f"/infer/{MODEL}?session_id={name}&output=json"
    landmarks = many(lambda: json.dumps(json.loads(server.ask(infer, "POST")[1])["landmarks"]))
    assert len(set(landmarks)) == 1
    assert server.ask(f"/session/{name}", "DELETE")[0] == 200
    assert set(many(lambda: server.ask(f"/session/{name}")[0])) == {404}
    assert set(many(lambda: server.ask(infer, "POST")[0])) == {404}


def test_a_training_is_of_both(server: Server) -> None:
    for number in range(2):
        phantom = render_phantom(random_spec(number, 480, 220))
        (server.studies / f"phantom_{number}.png").write_bytes(png(phantom.pixels))
        label = json.dumps(to_markups(phantom.spine)).encode()
        send = partial(
            server.send, f"/datastore/label?image=phantom_{number}&tag=final", "PUT", label=("a.json", label)
        )
        wait(lambda send=send: send()[0] == 200)  # type: ignore[misc]
    status, body = server.ask(f"/train/{MODEL}", "POST", b'{"max_epochs": 500}', "application/json")
    assert status == 200, body
    task = json.loads(body)["id"]
    wait(lambda: state(server) == "running")
    wait(lambda: set(many(lambda: state(server))) == {"running"})
    for path in ("/train/?check_if_running=true", "/train/"):
        told = [json.loads(answer) for answer in many(lambda: server.ask(path)[1])]  # type: ignore[arg-type]  # noqa: B023
        assert {(one["id"], one["status"]) for one in told} == {(task, "RUNNING")}
    started = many(lambda: server.ask(f"/train/{MODEL}", "POST", b"{}", "application/json")[0])
    assert set(started) == {429}
    stopped = many(lambda: json.loads(server.ask("/train/", "DELETE")[1]))  # type: ignore[arg-type]
    assert {one["id"] for one in stopped if one} == {task}  # type: ignore[index]
    wait(lambda: server.ask("/train/?check_if_running=true")[0] == 404)
    wait(lambda: set(many(lambda: server.ask("/train/?check_if_running=true")[0])) == {404})
    told = [json.loads(answer) for answer in many(lambda: server.ask("/train/?all=true")[1])]  # type: ignore[arg-type]
    assert {(one["id"], one["status"]) for tasks in told for one in tasks} == {(task, "STOPPED")}
    assert set(many(lambda: state(server))) == {"stopped"}


def state(server: Server) -> str:
    return str(json.loads(server.ask("/info/")[1])["train_stats"][MODEL].get("state"))


def wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not until():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_worker_that_is_killed_loses_nothing(server: Server) -> None:
    workers = [child for child in psutil.Process(server.process.pid).children() if "spawn" in " ".join(child.cmdline())]
    assert len(workers) >= 2
    server.send("/datastore/label?image=c&tag=final", "PUT", label=("c.json", markups(7)))
    workers[0].kill()
    end = time.monotonic() + 120
    while True:
        assert time.monotonic() < end
        try:
            if server.ask("/datastore/label?label=c&tag=final") == (200, markups(7)):
                break
        except OSError:
            time.sleep(0.2)


def test_the_password_is_never_shown(server: Server, postgresql: OwnPostgresql) -> None:  # noqa: F811
    said = server.log.read_text() + server.ask("/info/")[1].decode() + server.ask("/logs/")[1].decode()
    assert "postgresql://tester@127.0.0.1" in said
    assert postgresql.password not in said
