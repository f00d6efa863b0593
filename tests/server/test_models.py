"""Model versions: which one is served, and how others replace it."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
import torch

from lib.learning.config import DEFAULT_WEIGHTS_FILE, CornerConfig, load_config
from lib.learning.models.corner_net import CornerNet
from lib.learning.models.landmark_net import LandmarkNet
from lib.learning.weights.weight_files import CornerWeights, Weights, file_digest, load_weights, save_weights
from lib.server.models import (
    FOLDER,
    HELD_OUT,
    POINTER,
    TRAINED_ON,
    VERSION,
    ModelStore,
    file_signature,
    version_name,
    version_numbers,
    without_nan,
)


def publish(store: ModelStore, weights: Weights) -> str:
    """Add weights as a child of the served version, and serve it."""
    return store.serve(store.add(weights, store.served_number, {}).number).name


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two weight files that differ in their facts only."""
    config = load_config()
    state = LandmarkNet(config.network).state_dict()
    folder = tmp_path_factory.mktemp("weights")
    paths = [folder / "a.pt", folder / "b.pt"]
    for path in paths:
        save_weights(path, state, config, {"name": path.stem})
    return paths


def test_the_initial_weights_are_served_at_first(files: list[Path], tmp_path: Path) -> None:
    assert ModelStore(tmp_path, files[0]).served == files[0]
    assert list(tmp_path.iterdir()) == []


def test_published_weights_are_served_from_then_on(files: list[Path], tmp_path: Path) -> None:
    store = ModelStore(tmp_path, files[0])
    before = files[0].read_bytes()
    publish(store, load_weights(files[1]))
    assert store.served.parent.parent == tmp_path / FOLDER
    assert load_weights(store.served).facts["name"] == "b"
    assert ModelStore(tmp_path, files[0]).served == store.served
    assert {path.name for path in store.versions_folder.iterdir()} == {"1.pt", "1.json", POINTER, ".lock"}
    assert files[0].read_bytes() == before


def test_what_was_trained_from_other_weights_is_not_served(files: list[Path], tmp_path: Path) -> None:
    first, second = ModelStore(tmp_path, files[0]), ModelStore(tmp_path, files[1])
    publish(first, load_weights(files[0]))
    assert second.served == files[1]
    publish(second, load_weights(files[1]))
    assert load_weights(first.served).facts["name"] == "a"
    assert load_weights(second.served).facts["name"] == "b"


def test_weights_are_identified_by_content_and_not_by_name(files: list[Path], tmp_path: Path) -> None:
    twin = tmp_path / "twin.pt"
    twin.write_bytes(files[0].read_bytes())
    store = ModelStore(tmp_path, files[0])
    publish(store, load_weights(files[1]))
    assert ModelStore(tmp_path, twin).served == store.served


def test_what_was_trained_from_the_shipped_weights_survives_new_ones(files: list[Path], tmp_path: Path) -> None:
    store = ModelStore(tmp_path, DEFAULT_WEIGHTS_FILE)
    publish(store, load_weights(files[0]))
    assert store.versions_folder.name == "models"  # nothing of the shipped file's content in the name


@pytest.mark.parametrize(
    "damage",
    [lambda content: b"", lambda content: content[:1000], lambda content: b"nonsense"],
    ids=["empty", "cut short", "nonsense"],
)
def test_trained_weights_that_cannot_be_used_give_way_to_the_initial_ones(
    files: list[Path], tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    store = ModelStore(tmp_path, files[0])
    publish(store, load_weights(files[1]))
    trained = store.served
    trained.write_bytes(damage(trained.read_bytes()))  # type: ignore[operator]
    assert store.served == files[0]
    assert store.served == files[0]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    publish(store, load_weights(files[1]))
    assert store.served == store.path_of(2)


def lacking(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """All but the last tensor."""
    return dict(list(state.items())[:-1])


@pytest.mark.parametrize("part", ["network", "corner network"])
def test_weights_that_do_not_fit_their_networks_are_neither_published_nor_served(
    files: list[Path], tmp_path: Path, part: str
) -> None:
    store = ModelStore(tmp_path, files[0])
    publish(store, load_weights(files[1]))
    before = store.served.read_bytes()
    weights, config = load_weights(files[1]), CornerConfig(40, 48, 16.0, 4, 1)
    state = CornerNet(config).state_dict()
    if part == "network":
        bad = replace(weights, state=lacking(weights.state), refiner=CornerWeights(state, config, {}))
    else:
        bad = replace(weights, refiner=CornerWeights(lacking(state), config, {}))
    with pytest.raises(ValueError, match=f"do not fit .*{part}"):
        publish(store, bad)
    assert store.served.read_bytes() == before
    assert version_numbers(store.versions_folder) == [1]
    save_weights(store.served, bad.state, bad.config, bad.facts, bad.prior, bad.refiner)
    assert store.served == files[0]


def test_every_publication_has_a_version_of_its_own(files: list[Path], tmp_path: Path) -> None:
    store = ModelStore(tmp_path, files[0])
    assert version_name(load_weights(store.served).facts) == "0"
    told = [publish(store, load_weights(files[1])) for _ in range(2)]
    assert [version.split(" (")[0] for version in told] == ["1", "2"]
    times = [datetime.fromisoformat(version.split(" (")[1][:-1]) for version in told]
    assert all(abs((datetime.now(timezone.utc) - time).total_seconds()) < 60 for time in times)
    assert version_name(load_weights(store.served).facts) == told[1]
    assert version_name(load_weights(ModelStore(tmp_path, files[0]).served).facts) == told[1]


@pytest.mark.parametrize("version", [7, {}, {"number": "3"}, {"number": 0}, {"number": -1}], ids=str)
def test_what_is_no_version_counts_as_none(version: object) -> None:
    assert version_name({VERSION: version}) == "0"


def test_file_signatures_differ_for_files_of_equal_time_and_size(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_text("one")
    other.write_text("two")
    before = file_signature(path)
    assert file_signature(path) == before
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert file_signature(path) != before


def test_missing_initial_weights_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        ModelStore(tmp_path, tmp_path / "gone.pt")


# --- versions ---


@pytest.fixture
def store(files: list[Path], tmp_path: Path) -> ModelStore:
    """Three versions, each trained from the one before; the last one is served."""
    store = ModelStore(tmp_path, files[0])
    for _ in range(3):
        publish(store, load_weights(files[1]))
    return store


def test_an_added_version_is_not_served_until_it_is_published(store: ModelStore, files: list[Path]) -> None:
    facts = {"gate": {"after": float("nan")}, TRAINED_ON: {"image_1": {"label": "1"}}, HELD_OUT: {}}
    version = store.add(load_weights(files[1]), 2, facts)
    assert (version.number, version.parent, store.served_number) == (4, 2, 3)
    store.serve(4)
    assert (store.served_number, store.served) == (4, store.path_of(4))
    known = store.version(4)
    assert known.facts["gate"] == {"after": None}
    assert known.images(TRAINED_ON) == {"image_1": {"label": "1"}}
    assert "image_1" not in str(known.summary())
    assert known.summary()["facts"][TRAINED_ON] == 1
    assert (known.digest, known.initial) == (file_digest(store.path_of(4)), file_digest(files[0]))
    assert known.name == version_name(load_weights(store.path_of(4)).facts)
    assert [v.number for v in store.lineage(4)] == [4, 2, 1]


def test_rolling_back_goes_from_version_to_version(store: ModelStore, files: list[Path]) -> None:
    content = store.path_of(3).read_bytes()
    assert store.roll_back().number == 2
    assert store.served == store.path_of(2)
    assert store.roll_back(1).number == 1
    assert store.roll_back().number == 0
    assert store.served == files[0]
    with pytest.raises(ValueError, match="nothing to take back"):
        store.roll_back()
    assert store.roll_back(3).number == 3
    assert store.path_of(3).read_bytes() == content


def test_another_process_sees_what_is_served_at_once(store: ModelStore, files: list[Path], tmp_path: Path) -> None:
    other = ModelStore(tmp_path, files[0])
    before = file_signature(other.served)
    store.roll_back()
    assert other.served == store.path_of(2)
    assert file_signature(other.served) != before  # what tells the inference task to load it


@pytest.mark.parametrize("number", [4, -1])
def test_a_version_that_is_not_there_is_named(store: ModelStore, number: int) -> None:
    for change in (store.serve, store.roll_back, store.version):
        with pytest.raises(ValueError, match=f"no version {number} of the model; there are 0, 1, 2, 3"):
            change(number)
    assert store.served_number == 3


def test_a_damaged_version_gives_way_to_the_one_before_and_is_not_served_again(store: ModelStore) -> None:
    store.path_of(3).write_bytes(b"nonsense")
    assert store.served_number == 2
    with pytest.raises(ValueError, match="version 3 cannot be used"):
        store.serve(3)
    (store.versions_folder / "2.json").write_text("{")
    assert store.version(2).parent == 0
    assert store.served_number == 2


@pytest.mark.parametrize("text", ["", "3", '{"number": "3"}', '{"number": -1}', "[]"])
def test_a_damaged_pointer_is_the_initial_weights(store: ModelStore, text: str) -> None:
    (store.versions_folder / POINTER).write_text(text)
    assert store.served_number == 0


def test_version_numbers_are_not_reused(store: ModelStore, files: list[Path]) -> None:
    store.roll_back(1)
    assert store.add(load_weights(files[1]), 1, {}).number == 4


def test_the_oldest_versions_go_but_not_what_is_needed(store: ModelStore, files: list[Path]) -> None:
    """That is the served one, the one before it, and the newest."""
    publish(store, load_weights(files[1]))
    publish(store, load_weights(files[1]))
    store.roll_back(2)
    assert store.prune(4) == [3]
    assert store.prune(3) == [4]
    assert store.prune(3) == []
    assert version_numbers(store.versions_folder) == [1, 2, 5]
    assert [version.number for version in store.versions()] == [1, 2, 5]
    store.serve(5)
    assert [version.number for version in store.lineage(5)] == [5, 4, 3, 2, 1]
    assert store.roll_back().number == 2  # 4 and 3, which it was trained from, are gone


def test_what_a_former_release_has_trained_is_the_first_version(files: list[Path], tmp_path: Path) -> None:
    facts = {"name": "old", VERSION: {"number": 4, "published": "then"}}
    weights = load_weights(files[1])
    former = tmp_path / FOLDER / f"model-{file_digest(files[0])}.pt"
    former.parent.mkdir()
    save_weights(former, weights.state, weights.config, facts)
    content = former.read_bytes()
    store = ModelStore(tmp_path, files[0])
    assert (store.served_number, store.served.read_bytes()) == (4, content)
    assert (store.version(4).made, store.version(4).parent) == ("then", 0)
    assert version_name(load_weights(store.served).facts) == "4 (then)"
    assert not former.exists()
    assert ModelStore(tmp_path, files[0]).served_number == 4
    assert ModelStore(tmp_path, files[1]).served == files[1]
    assert publish(store, weights).startswith("5 (")
    store.roll_back()
    assert store.served_number == 4


def test_a_takeover_that_was_interrupted_goes_on(files: list[Path], tmp_path: Path) -> None:
    """All is noted before the file itself moves."""
    former = tmp_path / FOLDER / f"model-{file_digest(files[0])}.pt"
    former.parent.mkdir()
    former.write_bytes(files[1].read_bytes())
    store = ModelStore(tmp_path, files[0])
    store.path_of(1).rename(former)
    assert store.served_number == 0
    assert ModelStore(tmp_path, files[0]).served_number == 1


def test_a_former_file_that_cannot_be_read_stays_where_it_is(
    files: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    former = tmp_path / FOLDER / f"model-{file_digest(files[0])}.pt"
    former.parent.mkdir()
    former.write_bytes(b"nonsense")
    assert ModelStore(tmp_path, files[0]).served == files[0]
    assert former.read_bytes() == b"nonsense"
    assert "cannot be adopted" in caplog.text


def test_non_finite_numbers_become_null_at_any_depth() -> None:
    values = {"a": math.nan, "b": [1, -math.inf, {"c": (math.inf, "x")}], "d": None, "e": True, "f": 0.5}
    plain = without_nan(values)
    assert plain == {"a": None, "b": [1, None, {"c": [None, "x"]}], "d": None, "e": True, "f": 0.5}
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
