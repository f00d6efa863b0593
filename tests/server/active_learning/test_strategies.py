"""The next image from a running server, scored in the background and assigned to one person at a time."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from lib.learning.active_learning import DEFAULT, STRATEGIES
from lib.phantoms import random_spec, render_phantom

if TYPE_CHECKING:
    from ...serving import Server, Start

pytestmark = pytest.mark.integration

LIMIT_S = 300


def scoring(server: Server) -> dict[str, Any]:
    """The state of scoring, once it is no longer at work."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        status: dict[str, Any] = json.loads(server.ask("/info/")[1])["scoring"]
        if status["state"] == "idle":
            return status
        time.sleep(0.5)
    raise AssertionError(f"scoring took longer than {LIMIT_S} s: {status}")


def next_image(server: Server, strategy: str) -> dict[str, Any]:
    code, answer = server.ask(f"/activelearning/{strategy}", "POST", b"{}", "application/json")
    assert code == 200, answer
    sample: dict[str, Any] = json.loads(answer)
    return sample


def test_images_are_scored_in_the_background_and_assigned_by_every_strategy(tmp_path: Path, start: Start) -> None:
    studies = tmp_path / "studies"
    studies.mkdir()
    names = {f"phantom_{number}" for number in range(3)}
    for number in range(3):
        Image.fromarray(render_phantom(random_spec(number, 600, 280)).pixels).save(studies / f"phantom_{number}.png")
    (studies / "text.png").write_text("I have no pixels")
    with start(studies, "--conf", "scoring", "true") as server:
        status = scoring(server)
        info = json.loads(server.ask("/info/")[1])
        assert (status["scored"], status["failed"]) == (3, 1)
        assert status["model_version"] == info["models"]["vertebra_landmarks"]["model_version"]
        assert next(iter(info["strategies"])) == DEFAULT
        assert set(info["strategies"]) == {*STRATEGIES, "random", "first"}
        samples = [next_image(server, strategy) for strategy in STRATEGIES]
        assert {sample["id"] for sample in samples[:3]} == names  # each is assigned once before any comes again
        assert all(Path(sample["path"]).stem == sample["id"] for sample in samples)
        assert all({"strategy"} <= set(sample) for sample in samples)
