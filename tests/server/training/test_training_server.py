"""Training in a real server over HTTP."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.learning.weights.provenance import OWN, public_facts
from lib.learning.weights.weight_files import load_weights
from lib.server.models import TRAINED_ON, ModelStore, version_name
from lib.server.training.run_files import CHECK, PROCESSES
from lib.server.training.train_task import REPORT, RUN
from lib.server.training.training_stages import CORNERS, LANDMARKS

from ...serving import Start
from .rounds import make_studies

pytestmark = pytest.mark.integration

MODEL = "vertebra_landmarks"
LIMIT_S = 180
LABELLED, HELD_OUT = 8, 3
EPOCHS = 5
"""Of each network: so many that its process can be killed in the middle."""
QUICK = {"learning_rate": 1e-3, "corner_learning_rate": 1e-2, "phantoms": 2}
"""With which the second network does clearly better, and the first one goes on to see a spine everywhere."""


class Server:
    """A running server and the folder that it serves."""

    def __init__(self, url: str, studies: Path, weights: Path) -> None:
        self.url, self.studies = url, studies
        self.models = ModelStore(studies, weights)

    def ask(self, path: str, method: str = "GET", content: object = None) -> tuple[int, Any]:
        """Status and JSON of an answer, whatever the status."""
        body = json.dumps(content).encode() if content is not None else None
        headers = {"Content-Type": "application/json"} if content is not None else {}
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def train(self, **parameters: Any) -> tuple[int, Any]:
        return self.ask(f"/train/{MODEL}", "POST", parameters)

    def stats(self) -> dict[str, Any]:
        facts: dict[str, Any] = self.ask("/info/")[1]["train_stats"][MODEL]
        return facts

    def task(self) -> dict[str, Any]:
        facts: dict[str, Any] = self.ask("/info/")[1]["models"][MODEL]
        return facts

    def landmarks(self) -> Any:
        query = urllib.parse.urlencode({"image": "phantom_0", "output": "json"})
        status, answer = self.ask(f"/infer/{MODEL}?{query}", "POST")
        assert status == 200, answer
        return answer["landmarks"]

    def wait(self, until: Callable[[], Any]) -> Any:
        """What ``until`` returns as soon as that is true."""
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            result = until()
            if result:
                return result
            time.sleep(0.1)
        return pytest.fail(f"waited in vain; {self.ask('/train/')}, {self.stats()}")

    def is_running(self) -> bool:
        return self.ask("/train/?check_if_running=true")[0] == 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Start, toy_server_weights: Path) -> Iterator[Server]:
    """The app on eight labelled phantoms, with toy networks."""
    studies = tmp_path_factory.mktemp("studies")
    make_studies(studies, LABELLED)
    with start(studies, "--conf", "weights", str(toy_server_weights)) as running:
        server = Server(running.url, studies, toy_server_weights)
        yield server
        if server.is_running():
            server.ask("/train/", "DELETE")


def cancel_in_the_middle(server: Server) -> dict[str, Any]:
    """Start a long training, see that no second one starts, and cancel after the first epoch; the stats thereafter."""
    assert server.train(max_epochs=500, **QUICK)[0] == 200
    server.wait(lambda: server.stats().get("state") == "running" and server.stats().get("epoch", 0) >= 1)
    assert server.train(max_epochs=1)[0] == 429
    status, task = server.ask("/train/", "DELETE")
    assert (status, task["status"]) == (200, "STOPPED")
    server.wait(lambda: not server.is_running())
    return server.stats()


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        pytest.param({"max_epochs": -1}, "max_epochs must be a whole number", id="range"),
        pytest.param({"learning_rate": "fast"}, "learning_rate must be a number", id="kind"),
        pytest.param({"rounds": 3}, "max_epochs", id="unknown"),
        pytest.param({"device": "cuda:99"}, "not available here", id="device"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_starts(
    server: Server, parameters: dict[str, Any], words: str
) -> None:
    status, answer = server.train(**parameters)
    assert status == 400
    assert words in answer["detail"]
    assert not server.is_running()


def test_an_unknown_model_is_not_trained(server: Server) -> None:
    assert server.ask("/train/other", "POST", {})[0] == 404


def test_a_cancelled_training_leaves_the_model_as_it_was(server: Server) -> None:
    initial, before = server.models.served, server.landmarks()
    assert cancel_in_the_middle(server)["state"] == "stopped"
    assert (server.models.served, server.landmarks()) == (initial, before)
    assert not (server.models.folder / RUN).exists()


def watched(server: Server) -> list[int]:
    """Epochs that the running training tells until its end; stage and percentage belong to them."""
    seen: list[int] = []
    while server.is_running():
        stats = server.stats()
        if stats["state"] == "running" and stats.get("epoch"):
            epoch = stats["epoch"]
            assert stats["percent"] == min(100 * epoch / (2 * EPOCHS), 99)
            stages = {LANDMARKS} if epoch < EPOCHS else {CORNERS} if epoch > EPOCHS else {LANDMARKS, CORNERS}
            assert stats["stage"] in (stages | {CHECK} if epoch == 2 * EPOCHS else stages)
            seen.append(epoch)
        time.sleep(0.05)
    return seen


def check_published(server: Server, initial: Path, facts: dict[str, Any], stats: dict[str, Any]) -> None:
    """The model that is served is the one of the training, and says so."""
    published = server.models.served
    assert published != initial
    now = server.task()
    assert now["model"] == public_facts(load_weights(published).facts) != facts["model"]
    assert stats["version_before"] == facts["model_version"] == "0"
    assert stats["version_after"] == now["model_version"] == version_name(now["model"])
    kept = {stage: told["kept"] for stage, told in stats["stages"].items()}  # a network that did worse stays
    assert "new" in kept.values()
    for stage, known in ((LANDMARKS, now["model"]), (CORNERS, now["second_network"])):
        assert (known.get("data") == OWN) == (kept[stage] == "new")
    new, old = load_weights(published).refiner, load_weights(initial).refiner
    assert new is not None
    assert old is not None
    assert not torch.equal(new.state["heatmap.weight"], old.state["heatmap.weight"])


def check_taken_back(server: Server, before: Any) -> None:
    """The model of the training is listed without names of images, and its predecessor is served again on request."""
    after, gate = server.landmarks(), server.stats()["gate"]
    status, listed = server.ask("/model/versions")
    assert (status, listed["served"]) == (200, 1)
    assert listed["versions"][-1]["facts"]["gate"] == gate
    assert listed["versions"][-1]["facts"][TRAINED_ON] == LABELLED - HELD_OUT
    assert "phantom_" not in json.dumps(listed)

    assert server.ask("/model/publish", "POST", {})[0] == 400
    assert server.ask("/model/publish", "POST", {"version": 99})[0] == 400
    assert server.ask("/model/rollback", "POST", {})[1]["served"] == 0
    assert server.landmarks() == before
    assert server.ask("/info/")[1]["served_version"] == 0
    assert server.ask("/model/publish", "POST", {"version": 1})[1]["served"] == 1
    assert server.landmarks() == after


def test_a_killed_training_goes_on_to_the_end_and_its_model_is_taken_back_by_one_request(server: Server) -> None:
    initial, facts, before = server.models.served, server.task(), server.landmarks()
    content = initial.read_bytes()
    assert server.train(resume=True)[0] == 400
    status, task = server.train(max_epochs=EPOCHS, publish="always", **QUICK)
    assert (status, task["status"] in ("SUBMITTED", "RUNNING")) == (200, True)
    server.wait(lambda: server.stats().get("state") == "running" and server.stats().get("epoch", 0) >= 1)
    process = json.loads((server.models.folder / REPORT).read_text())[PROCESSES][0]
    os.kill(process, signal.SIGKILL)
    server.wait(lambda: not server.is_running())
    interrupted = server.stats()
    assert (interrupted["state"], server.models.served, server.landmarks()) == ("interrupted", initial, before)
    assert list(interrupted["skipped"]) == ["damaged"]

    assert server.train(resume=True)[0] == 200
    seen = watched(server)
    assert server.ask("/train/")[1]["status"] == "DONE", server.ask("/train/")
    assert seen == sorted(seen)
    assert set(seen) & set(range(1, 2 * EPOCHS))
    stats = server.stats()
    assert (stats["state"], stats["percent"]) == ("done", 100)
    assert stats["epoch"] == stats["total_epochs"] == 2 * EPOCHS
    assert stats["resumed_from"] >= interrupted["epoch"] >= 1
    assert stats["images"]["training"] + stats["images"]["validation"] == LABELLED
    assert stats["validation"]["corner_mean"] > 0
    assert stats["before"]["corner_mean"] > 0
    assert stats["gate"]["films"] == stats["images"]["validation"] == HELD_OUT

    assert initial.read_bytes() == content
    check_published(server, initial, facts, stats)
    assert server.landmarks() != before
    check_taken_back(server, before)
