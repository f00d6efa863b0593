"""Pools of several kinds: what the kinds look like, how a pool is dealt, and rounds on one."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.annotation import command, kinds, pools, rounds, served_network
from experiments.annotation.served_network import ServedLearner
from lib.learning.codec import PRESENT
from lib.learning.config import InputConfig
from lib.learning.data import IMAGE, LABEL
from lib.learning.weights.weight_files import load_weights
from lib.server.training.train_request import read_request

pytestmark = pytest.mark.usefixtures("torch_as_before")

RARE = {"inverted": 1, "implants": 1}


@pytest.fixture
def radiograph(tmp_path: Path, ladder: np.ndarray) -> dict[str, Any]:
    """A smooth gray image, 320 x 120, whose 17 centers are bright spots."""
    y, x = np.mgrid[:320, :120]
    gray = 60 + 0.2 * y
    for center in ladder[:, 0]:
        gray += 120 * np.exp(-((x - center[0]) ** 2 + (y - center[1]) ** 2) / 18)
    Image.fromarray(gray.astype(np.uint8)).save(tmp_path / "spots.png")
    return {IMAGE: str(tmp_path / "spots.png"), LABEL: np.concatenate([ladder, np.full((17, 5, 1), PRESENT)], -1)}


@pytest.mark.parametrize("kind", kinds.RADIOGRAPHS)
def test_labels_stay_on_what_they_name(kind: str, radiograph: dict[str, Any]) -> None:
    """The centers are brighter than their surroundings, on inverted images darker."""
    first, again = (kinds.radiograph_items(kind, [radiograph], 3)[0] for _ in range(2))
    np.testing.assert_array_equal(first[IMAGE], again[IMAGE])
    image, centers = first[IMAGE].astype(float), first[LABEL][:, 0, :2].round().astype(int)
    around = [np.array([image[y - 1 : y + 2, x + off - 1 : x + off + 2].mean() for x, y in centers]) for off in (0, 12)]
    higher = around[0] > around[1]
    assert (higher.mean() < 0.1) if kind == "inverted" else (higher.mean() > 0.8)
    assert (first[LABEL][..., 2] == PRESENT).all()
    if kind == "whole view":
        assert image.shape[0] > 1.6 * 320
        assert 2 * np.ptp(centers[:, 1]) < image.shape[0]


@pytest.mark.parametrize("kind", kinds.PHANTOMS)
def test_phantoms_of_a_kind_are_alike_and_none_comes_twice(kind: str) -> None:
    one, other = kinds.phantom_items(kind, 1, 1)[0], kinds.phantom_items(kind, 1, 2)[0]
    np.testing.assert_array_equal(one[IMAGE], kinds.phantom_items(kind, 1, 1)[0][IMAGE])
    assert one[IMAGE].shape[0] == other[IMAGE].shape[0] == kinds.HEIGHT
    assert not np.array_equal(one[LABEL], other[LABEL])


def pool_of(labels: str, held_out: str = "") -> pools.Pool:
    return pools.Pool([{}] * len(labels), list(labels), [{}] * len(held_out), list(held_out))


def test_rounds_begin_with_the_frequent_kind() -> None:
    pool = pool_of("abacaadbaa")
    for seed in range(5):
        deck = pool.deck(seed, 6)
        assert sorted(deck) == list(range(10))
        assert {pool.kinds[place] for place in deck[:6]} == {"a"}
    assert pool.deck(0, 6)[:6] != pool.deck(1, 6)[:6]
    with pytest.raises(ValueError, match="rounds begin with 8 images of one kind, but only 6 are of 'a'"):
        pool.deck(0, 8)
    assert pool_of("aaaa").deck(7, 2) == np.random.default_rng(7).permutation(4).tolist()  # as ever


def test_errors_are_told_by_kind() -> None:
    errors = np.arange(3.0)[:, None, None]
    told = pool_of("a", "aba").errors_by_kind(errors)
    assert {kind: of.ravel().tolist() for kind, of in told.items()} == {"a": [0.0, 2.0], "b": [1.0]}


def replay(folders: Any, output: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    monkeypatch.setattr(pools, "RARE", RARE)
    start = ["--phantoms", "2", "--start-steps", "2", "--held-out", "1", "--sizes", "1", "2", "--seeds", "2"]
    given = ["rounds", "--data", str(folders.data), "--pool", "mixed", "--output", str(output), *start, *more]
    rounds.run(command.parse_arguments(given))


def test_rounds_on_a_mixed_pool_tell_errors_by_kind(
    folders: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two clean radiographs are in the pool: one stays as it is, one is inverted; a phantom comes to them."""
    replay(folders, tmp_path, monkeypatch, "--strategies", "informative")
    told = json.loads((tmp_path / "rounds.json").read_text())
    assert told["settings"]["pool"] == "mixed"
    kinds_told = told["by_kind"]["informative"]
    assert list(kinds_told) == ["crop", *RARE]
    assert kinds_told["crop"]["labelled"] == [1, 1]
    assert sum(of["labelled"][1] for of in kinds_told.values()) == pytest.approx(2)
    final = [of["error"][1] for of in kinds_told.values()]
    assert told["strategies"]["informative"]["final_error"] == pytest.approx(np.mean(final))
    assert told["error_as_in_pool"]["informative"]["final_error"] == pytest.approx(np.mean(final))  # one of each kind
    with (tmp_path / "rounds.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * 2 * 2
    assert all(float(row["error_as_in_pool"]) == pytest.approx(float(row["error"]), abs=1e-4) for row in rows)


def test_a_collection_too_small_for_a_mixed_pool_is_named(
    folders: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="takes 2 held-out images and more than 1 others, fold 0 leaves 1 and 2"):
        replay(folders, tmp_path, monkeypatch, "--held-out", "2")


def test_the_served_network_learns_as_the_server_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept predicts the same, and goes on; labels learnt before are rehearsed, not learnt again."""
    torch.set_num_threads(1)
    monkeypatch.setattr(served_network, "INPUT", InputConfig(height=64, width=32))
    served_network.train_start(tmp_path / "start.pt", 2, 1)
    pool = kinds.phantom_items(kinds.PLAIN, 3, 5)
    request = read_request({"max_epochs": 1, "phantoms": 1, "learning_rate": 1e-3}, "cpu")
    learner = ServedLearner(load_weights(tmp_path / "start.pt"), pool, pool[:1], request)
    shown: list[tuple[int, int]] = []
    trainer = served_network.LandmarkStage.trainer

    def watched(stage: Any, *arguments: Any) -> Any:
        shown.append((len(stage.items), len(stage.rehearsal.items)))
        return trainer(stage, *arguments)

    monkeypatch.setattr(served_network.LandmarkStage, "trainer", watched)
    first = learner.learn([0, 1], None, 1)
    learner.keep(first, tmp_path / "kept.pt")
    taken = learner.taken_up(tmp_path / "kept.pt", [0, 1])
    np.testing.assert_array_equal(learner.errors(first), learner.errors(taken))
    again = [learner.learn([0, 1, 2], one, 2) for one in (first, taken)]
    np.testing.assert_array_equal(learner.errors(again[0]), learner.errors(again[1]))
    assert shown == [(2, 1), (1, 3), (1, 3)]
    assert learner.errors(first).shape == (1, 17, 4)
    told = learner.opinions(again[0])
    assert [opinion.shape.shape for opinion in told] == [(17, 2)] * 3
