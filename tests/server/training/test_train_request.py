"""What a client may ask of a training."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lib.server.training.train_request import TrainRequest, read_request


def test_nothing_asked_is_the_defaults() -> None:
    assert read_request({}) == TrainRequest()
    assert read_request({}, "cpu").device == "cpu"


def test_the_defaults_may_come_back() -> None:
    """Clients show what ``/info/`` lists and send it again; MONAI Label adds names of its own."""
    sent = {**dataclasses.asdict(TrainRequest()), "model": "m", "client_id": "me", "gpus": "all", "local_rank": 0}
    assert read_request(sent) == TrainRequest()


def test_values_are_taken_over() -> None:
    request = read_request({"max_epochs": 3, "learning_rate": 0.01, "val_split": 0, "pretrained": False, "seed": 5})
    assert request == TrainRequest(max_epochs=3, learning_rate=0.01, val_split=0, pretrained=False, seed=5)


def test_customary_names_are_understood_or_overlooked() -> None:
    """Clients of other MONAI Label apps send them."""
    sent = {"epochs": 3, "train_batch_size": 2, "name": "run", "dataset": "CacheDataset", "tracking": "None"}
    assert read_request({**sent, "multi_gpu": False}) == TrainRequest(max_epochs=3, batch_size=2)
    with pytest.raises(ValueError, match="max_epochs must be a whole number"):
        read_request({"epochs": "many"})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("rounds", 3, "unknown parameter 'rounds'; known are max_epochs, batch_size"),
        ("max_epochs", 0, "max_epochs must be a whole number from 1 to 1000, got 0"),
        ("max_epochs", 1001, "from 1 to 1000"),
        ("max_epochs", 2.0, "whole number"),
        ("max_epochs", True, "whole number"),
        ("max_epochs", "3", "got '3'"),
        ("max_epochs", None, "got None"),
        ("batch_size", 65, "from 1 to 64"),
        ("seed", -1, "from 0 to"),
        ("learning_rate", 0, "learning_rate must be a number above 0, 0.1 at most, got 0"),
        ("learning_rate", 0.2, "above 0, 0.1 at most, got 0.2"),
        ("learning_rate", float("nan"), "above 0, 0.1 at most"),
        ("learning_rate", "fast", "got 'fast'"),
        ("learning_rate", [1], "above 0, 0.1 at most"),
        ("val_split", 0.6, "from 0 to 0.5"),
        ("val_split", True, "from 0 to 0.5"),
        ("pretrained", "yes", "pretrained must be true or false, got 'yes'"),
        ("pretrained", 1, "true or false"),
        ("corner_learning_rate", 0, "corner_learning_rate must be a number above 0"),
        ("rehearsal", 1, "rehearsal must be a number from 0 to 0.9"),
        ("phantoms", -1, "phantoms must be a whole number from 0 to 500"),
        ("keep_versions", 2, "keep_versions must be a whole number from 3 to"),
        ("publish", True, "publish must be gate, always or never, got True"),
        ("resume", "yes", "resume must be true or false, got 'yes'"),
        ("patient_pattern", 3, "patient_pattern must be a regular expression, got 3"),
        ("patient_pattern", "[^_]+", "patient_pattern: a pattern marks the patient by a group"),
        ("device", "tpu", "device must be auto, cpu or cuda, got 'tpu'"),
        ("device", 0, "auto, cpu or cuda, got 0"),
        ("device", "cuda:99", "not available here"),
        ("gpus", "0", "gpus must be 'all' or left out"),
        ("local_rank", 1, "local_rank must be 0 or left out"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(name: str, value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_request({name: value})
