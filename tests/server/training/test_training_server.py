"""Training in a real server over HTTP."""

from __future__ import annotations

import dataclasses
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

from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.models.corner_net import CornerNet
from lib.learning.weights.provenance import OWN, public_facts
from lib.learning.weights.weight_files import load_weights
from lib.server.models import TRAINED_ON, ModelStore, version_name
from lib.server.training.run_files import CHECK, PROCESSES
from lib.server.training.train_task import REPORT, RUN
from lib.server.training.training_stages import CORNERS, LANDMARKS

from ...serving import Start
from ...toy_networks import PATCH
from .rounds import make_studies

pytestmark = pytest.mark.integration

MODEL = "vertebra_landmarks"
LIMIT_S = 180
LABELLED = 8
EPOCHS = 2
"""Of each network."""
QUICK = {"learning_rate": 1e-3, "corner_learning_rate": 1e-3, "phantoms": 2}


def small_weights(path: Path) -> Path:
    """The shipped first network for an input of 192 x 96 pixels, with a small random second one: quick to train."""
    content = torch.load(DEFAULT_WEIGHTS_FILE, weights_only=True)
    content["config"]["input"] = {"height": 192, "width": 96}
    torch.manual_seed(0)
    state = {n: t.half() if t.is_floating_point() else t for n, t in CornerNet(PATCH).state_dict().items()}
    content["refiner"] = {"model": state, "config": dataclasses.asdict(PATCH), "facts": {}, "errors": None}
    torch.save(content, path)
    return path


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
def server(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """The app on eight labelled phantoms, with the shipped weights for a smaller input and a small second network."""
    studies = tmp_path_factory.mktemp("studies")
    make_studies(studies, LABELLED)
    weights = small_weights(tmp_path_factory.mktemp("weights") / "small.pt")
    options = ("--conf", "weights", str(weights))
    with start(studies, *options) as running:
        server = Server(running.url, studies, weights)
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


def test_a_training_runs_to_the_end_and_inference_uses_the_new_weights(server: Server) -> None:
    initial, facts, before = server.models.served, server.task(), server.landmarks()
    content = initial.read_bytes()
    stats = cancel_in_the_middle(server)
    assert stats["state"] == "stopped"
    assert (server.models.served, server.landmarks()) == (initial, before)
    assert not (server.models.folder / RUN).exists()

    status, task = server.train(max_epochs=EPOCHS, publish="always", **QUICK)
    assert status == 200
    assert task["status"] in ("SUBMITTED", "RUNNING")
    seen: list[int] = []
    while server.is_running():
        stats = server.stats()
        if stats["state"] == "running" and "epoch" in stats:
            epoch = stats["epoch"]
            assert stats["percent"] == min(100 * epoch / (2 * EPOCHS), 99)
            stages = {LANDMARKS} if epoch < EPOCHS else {CORNERS} if epoch > EPOCHS else {LANDMARKS, CORNERS}
            assert stats.get("stage", LANDMARKS) in (stages | {CHECK} if epoch == 2 * EPOCHS else stages)
            seen.append(epoch)
        time.sleep(0.05)
    assert server.ask("/train/")[1]["status"] == "DONE", server.ask("/train/")
    assert seen == sorted(seen)
    assert set(seen) & set(range(1, 2 * EPOCHS))
    stats = server.stats()
    assert (stats["state"], stats["percent"]) == ("done", 100)
    assert stats["epoch"] == stats["total_epochs"] == 2 * EPOCHS
    assert stats["images"]["training"] + stats["images"]["validation"] == LABELLED
    assert stats["validation"]["corner_mean"] > 0
    assert stats["before"]["corner_mean"] > 0
    assert list(stats["skipped"]) == ["damaged"]

    published = server.models.served
    assert published != initial
    assert initial.read_bytes() == content
    now = server.task()
    assert now["model"] == public_facts(load_weights(published).facts) != facts["model"]
    assert stats["version_before"] == facts["model_version"] == "0"
    assert stats["version_after"] == now["model_version"] == version_name(now["model"])
    kept = {stage: told["kept"] for stage, told in stats["stages"].items()}  # a network that did worse stays
    assert "new" in kept.values()
    for stage, known in ((LANDMARKS, now["model"]), (CORNERS, now["second_network"])):
        assert (known["data"] == OWN) == (kept[stage] == "new")
    new, old = load_weights(published).refiner, load_weights(initial).refiner
    assert new is not None
    assert old is not None
    assert not torch.equal(new.state["heatmap.weight"], old.state["heatmap.weight"])
    assert server.landmarks() != before


def test_a_training_whose_process_is_killed_goes_on_and_its_model_is_taken_back_by_one_request(server: Server) -> None:
    before, answer = server.models.served, server.landmarks()
    number = server.models.served_number
    assert server.train(resume=True)[0] == 400
    assert server.train(max_epochs=EPOCHS, publish="always", **QUICK)[0] == 200
    server.wait(lambda: server.stats().get("state") == "running" and server.stats().get("epoch", 0) >= 1)
    process = json.loads((server.models.folder / REPORT).read_text())[PROCESSES][0]
    os.kill(process, signal.SIGKILL)
    server.wait(lambda: not server.is_running())
    stats = server.stats()
    assert (stats["state"], server.models.served, server.landmarks()) == ("interrupted", before, answer)

    assert server.train(resume=True)[0] == 200
    server.wait(lambda: server.stats()["state"] == "done")
    told = server.stats()
    assert told["resumed_from"] >= stats["epoch"] >= 1
    assert told["gate"]["films"] == 3
    assert told["version_after"] == server.task()["model_version"]
    status, listed = server.ask("/model/versions")
    assert (status, listed["served"]) == (200, number + 1)
    assert listed["versions"][-1]["facts"]["gate"] == told["gate"]
    assert listed["versions"][-1]["facts"][TRAINED_ON] == LABELLED - 3
    assert "phantom_" not in json.dumps(listed)
    assert server.landmarks() != answer

    assert server.ask("/model/publish", "POST", {})[0] == 400
    assert server.ask("/model/publish", "POST", {"version": 99})[0] == 400
    assert server.ask("/model/rollback", "POST", {})[1]["served"] == number
    assert server.landmarks() == answer
    assert server.ask("/info/")[1]["served_version"] == number
    assert server.ask("/model/publish", "POST", {"version": number + 1})[1]["served"] == number + 1
