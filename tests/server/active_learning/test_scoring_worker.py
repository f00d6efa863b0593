"""Scores in the background and the strategies that read them, on a real datastore."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.image_io import UnreadableImageError
from lib.learning.active_learning import STRATEGIES, ImageDescriptor
from lib.server.active_learning.scored_versions import MAX_VERSIONS, ScoredVersions
from lib.server.active_learning.scoring_worker import ScoringWorker
from lib.server.active_learning.strategies import all_strategies
from lib.server.config import parse_conf
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.schema import assignments, scored_versions

NAMES = [f"image_{number:02d}" for number in range(12)]


class Model:
    """Its version, and which images it has described: the higher the number of an image, the less sure it is."""

    def __init__(self) -> None:
        self.version, self.described = "1", []  # type: ignore[var-annotated]
        self.unreadable, self.sign = set(), 1.0  # type: ignore[var-annotated]

    def __call__(self, image: str) -> ImageDescriptor:
        self.described.append(image)
        if image in self.unreadable:
            raise UnreadableImageError("no image")
        number = NAMES.index(image)
        shape = np.stack([np.full(17, float(number)), np.arange(17.0)], 1)
        value = 0.5 + self.sign * number / 50
        return ImageDescriptor(value, 0.0, value, 0, np.array([float(number), 0.0]), shape)


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StudiesDatastore]:
    studies = tmp_path / "studies"
    studies.mkdir()
    for name in NAMES:
        Image.fromarray(np.arange(4, dtype=np.uint8).reshape(2, 2)).save(studies / f"{name}.png")
    opened = StudiesDatastore(str(studies))
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "work"


def scoring(store: StudiesDatastore, model: Model, folder: Path) -> ScoringWorker:
    return ScoringWorker(store, model, lambda: model.version, folder)


def label(store: StudiesDatastore, image: str, tmp_path: Path) -> None:
    file = tmp_path / "label.mrk.json"
    file.write_text(json.dumps({"markups": []}))
    store.save_label(image, str(file), "final", {})


def following(store: StudiesDatastore, model: Model, strategy: str, count: int) -> list[str]:
    strategies = all_strategies(lambda: model.version)
    return [strategies[strategy]({}, store)["id"] for _ in range(count)]  # type: ignore[index]


def test_each_image_is_described_once_also_after_a_restart(store: StudiesDatastore, model: Model, folder: Path) -> None:
    first = scoring(store, model, folder)
    first.catch_up()
    assert sorted(model.described) == NAMES
    assert first.status() == {"state": "idle", "model_version": "1", "scored": 12, "failed": 0}
    first.catch_up()
    scoring(store, model, folder).catch_up()
    assert len(model.described) == 12


def test_alternating_workers_describe_each_image_once_and_agree(
    store: StudiesDatastore, model: Model, folder: Path, tmp_path: Path
) -> None:
    for name in NAMES[6:]:
        (tmp_path / "studies" / f"{name}.png").rename(tmp_path / f"{name}.png")
    store.refresh()
    first, second = scoring(store, model, folder), scoring(store, model, folder)
    second.catch_up()
    for name in NAMES[6:]:
        (tmp_path / f"{name}.png").rename(tmp_path / "studies" / f"{name}.png")
    store.refresh()
    first.catch_up()
    for name in (NAMES[0], NAMES[11]):
        label(store, name, tmp_path)
    second.catch_up()
    assert sorted(model.described) == NAMES
    assert second.status()["scored"] == 12
    assert following(store, model, "diverse", 1) in (["image_05"], ["image_06"])  # the farthest from both


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_assigns_every_image_once(
    store: StudiesDatastore, model: Model, folder: Path, strategy: str
) -> None:
    scoring(store, model, folder).catch_up()
    assert sorted(following(store, model, strategy, 12)) == NAMES


def test_the_most_uncertain_image_is_assigned_and_the_next_one_to_the_next_person(
    store: StudiesDatastore, model: Model, folder: Path
) -> None:
    scoring(store, model, folder).catch_up()
    assert following(store, model, "uncertainty", 3) == ["image_11", "image_10", "image_09"]
    assert following(store, model, "anatomy", 1) == ["image_08"]  # of another strategy, but just assigned


def test_labelled_images_are_not_assigned_and_change_what_is_diverse(
    store: StudiesDatastore, model: Model, folder: Path, tmp_path: Path
) -> None:
    background = scoring(store, model, folder)
    for name in NAMES[6:]:
        label(store, name, tmp_path)
    background.catch_up()
    assert following(store, model, "uncertainty", 1) == ["image_05"]
    assert following(store, model, "diverse", 1) == ["image_00"]  # the farthest from 6 to 11
    label(store, "image_00", tmp_path)
    background.catch_up()
    with store.context.database.writing() as connection:
        connection.execute(assignments.delete())
    assert following(store, model, "diverse", 1) != ["image_00"]
    assert len(model.described) == 12


def test_scores_of_the_model_before_count_until_those_of_a_new_one_are_complete(
    store: StudiesDatastore, model: Model, folder: Path
) -> None:
    background = scoring(store, model, folder)
    background.catch_up()
    model.version, model.sign = "2", -1.0
    store.score_queries.set_scores("uncertainty", "2", {"image_03": 9.0})
    assert following(store, model, "uncertainty", 1) == ["image_11"]
    background.catch_up()
    assert following(store, model, "uncertainty", 2)[1] == "image_00"
    assert {row["model_version"] for row in store.score_queries.scores_of("image_05")} == {"1", "2"}
    model.version = "3"
    background.catch_up()
    assert {row["model_version"] for row in store.score_queries.scores_of("image_05")} == {"2", "3"}


def test_without_any_score_it_is_a_random_image(store: StudiesDatastore, model: Model, folder: Path) -> None:
    assert sorted(following(store, model, "informative", 12)) == NAMES


def test_an_unreadable_image_does_not_stop_the_others_and_is_assigned_last(
    store: StudiesDatastore, model: Model, folder: Path
) -> None:
    model.unreadable = {"image_11"}
    background = scoring(store, model, folder)
    background.catch_up()
    background.catch_up()
    assert model.described.count("image_11") == 1
    assert background.status()["failed"] == 1
    assert following(store, model, "uncertainty", 12)[-1] == "image_11"


def test_work_ends_when_another_model_is_served(store: StudiesDatastore, model: Model, folder: Path) -> None:
    def describe(image: str) -> ImageDescriptor:
        descriptor = model(image)
        if len(model.described) == 3:
            model.version = "2"
        return descriptor

    background = ScoringWorker(store, describe, lambda: model.version, folder)
    background.catch_up()
    assert len(model.described) == 3
    assert ScoredVersions(store.context).complete() == []
    background.catch_up()
    assert len(model.described) == 15
    assert ScoredVersions(store.context).complete() == ["2"]


def test_a_stopped_worker_describes_nothing(store: StudiesDatastore, model: Model, folder: Path) -> None:
    background = scoring(store, model, folder)
    background.stop()
    background.catch_up()
    assert model.described == []


def test_nothing_is_assigned_when_all_are_labelled(
    store: StudiesDatastore, model: Model, folder: Path, tmp_path: Path
) -> None:
    for name in NAMES:
        label(store, name, tmp_path)
    strategies = all_strategies(lambda: model.version)
    assert [strategy({}, store) for strategy in strategies.values()] == [None] * len(strategies)
    assert set(strategies) == {*STRATEGIES, "random", "first"}


def test_versions_are_kept_newest_first(store: StudiesDatastore) -> None:
    versions = ScoredVersions(store.context)
    assert versions.complete() == []
    assert [versions.add(version) for version in "1213"] == [["1"], ["2", "1"], ["1", "2"], ["3", "1"]]
    assert versions.complete() == ["3", "1"]
    with store.context.database.reading() as connection:
        assert len(connection.execute(scored_versions.select()).all()) == MAX_VERSIONS


def test_scoring_is_on_unless_it_is_turned_off() -> None:
    assert parse_conf({}).scoring
    assert not parse_conf({"scoring": "False"}).scoring
    with pytest.raises(ValueError, match="--conf scoring must be true or false, got 'off'"):
        parse_conf({"scoring": "off"})


def test_a_replaced_image_is_described_again_and_scored(store: StudiesDatastore, model: Model, folder: Path) -> None:
    work = scoring(store, model, folder)
    model.unreadable = {NAMES[3]}
    work.catch_up()
    model.described.clear()
    model.unreadable = set()
    for name in (NAMES[3], NAMES[5]):
        (Path(store.get_image_uri(name))).write_bytes(b"other pixels")
    store.refresh()
    work.catch_up()
    assert sorted(model.described) == [NAMES[3], NAMES[5]]
    for strategy in STRATEGIES:
        assert not store.score_queries.without_score(strategy, "1", 20)


def test_two_people_who_ask_for_the_first_image_get_different_ones(
    store: StudiesDatastore, model: Model, folder: Path
) -> None:
    assert following(store, model, "first", 3) == NAMES[:3]
    assert sorted({*NAMES[:3], *following(store, model, "random", 9)}) == NAMES
