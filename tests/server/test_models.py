"""Which weights are served, and how others take their place."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
import torch

from lib.learning.config import DEFAULT_WEIGHTS_FILE, RefinerConfig, load_config
from lib.learning.network import LandmarkNet
from lib.learning.refiner import CornerRefiner
from lib.learning.weights import RefinerWeights, load_weights, save_weights
from lib.server.models import FOLDER, VERSION, ModelStore, stamp, version_of


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
    store.publish(load_weights(files[1]))
    assert store.served.parent == tmp_path / FOLDER
    assert load_weights(store.served).facts["name"] == "b"
    assert ModelStore(tmp_path, files[0]).served == store.served
    assert [path.name for path in store.folder.iterdir()] == [store.served.name]
    assert files[0].read_bytes() == before


def test_what_was_trained_from_other_weights_is_not_served(files: list[Path], tmp_path: Path) -> None:
    first, second = ModelStore(tmp_path, files[0]), ModelStore(tmp_path, files[1])
    first.publish(load_weights(files[0]))
    assert second.served == files[1]
    second.publish(load_weights(files[1]))
    assert load_weights(first.served).facts["name"] == "a"
    assert load_weights(second.served).facts["name"] == "b"


def test_weights_are_told_apart_by_content_and_not_by_name(files: list[Path], tmp_path: Path) -> None:
    twin = tmp_path / "twin.pt"
    twin.write_bytes(files[0].read_bytes())
    store = ModelStore(tmp_path, files[0])
    store.publish(load_weights(files[1]))
    assert ModelStore(tmp_path, twin).served == store.served


def test_what_was_trained_from_the_shipped_weights_survives_new_ones(files: list[Path], tmp_path: Path) -> None:
    store = ModelStore(tmp_path, DEFAULT_WEIGHTS_FILE)
    store.publish(load_weights(files[0]))
    assert store.served.name == "model.pt"  # nothing of the shipped file's content in the name


@pytest.mark.parametrize(
    "damage", [lambda content: b"", lambda content: content[:1000], lambda content: b"nonsense"], ids=str
)
def test_trained_weights_that_cannot_be_used_give_way_to_the_initial_ones(
    files: list[Path], tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    store = ModelStore(tmp_path, files[0])
    store.publish(load_weights(files[1]))
    trained = store.served
    trained.write_bytes(damage(trained.read_bytes()))  # type: ignore[operator]
    assert store.served == files[0]
    assert store.served == files[0]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    store.publish(load_weights(files[1]))
    assert store.served == trained


def lacking(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """All but the last tensor."""
    return dict(list(state.items())[:-1])


@pytest.mark.parametrize("part", ["network", "second network"])
def test_weights_that_do_not_fit_their_networks_are_neither_published_nor_served(
    files: list[Path], tmp_path: Path, part: str
) -> None:
    store = ModelStore(tmp_path, files[0])
    store.publish(load_weights(files[1]))
    before = store.served.read_bytes()
    weights, config = load_weights(files[1]), RefinerConfig(40, 48, 16.0, 4, 1)
    state = CornerRefiner(config).state_dict()
    if part == "network":
        bad = replace(weights, state=lacking(weights.state), refiner=RefinerWeights(state, config, {}))
    else:
        bad = replace(weights, refiner=RefinerWeights(lacking(state), config, {}))
    with pytest.raises(ValueError, match=f"do not fit .*{part}"):
        store.publish(bad)
    assert store.served.read_bytes() == before
    save_weights(store.served, bad.state, bad.config, bad.facts, bad.prior, bad.refiner)
    assert store.served == files[0]


def test_every_publication_has_a_version_of_its_own(files: list[Path], tmp_path: Path) -> None:
    store = ModelStore(tmp_path, files[0])
    assert version_of(load_weights(store.served).facts) == "0"
    told = [store.publish(load_weights(files[1])) for _ in range(2)]
    assert [version.split(" (")[0] for version in told] == ["1", "2"]
    times = [datetime.fromisoformat(version.split(" (")[1][:-1]) for version in told]
    assert all(abs((datetime.now(timezone.utc) - time).total_seconds()) < 60 for time in times)
    assert version_of(load_weights(store.served).facts) == told[1]
    assert version_of(load_weights(ModelStore(tmp_path, files[0]).served).facts) == told[1]


@pytest.mark.parametrize("version", [7, {}, {"number": "3"}, {"number": 0}, {"number": -1}], ids=str)
def test_what_is_no_version_counts_as_none(version: object) -> None:
    assert version_of({VERSION: version}) == "0"


def test_the_stamp_tells_files_of_equal_time_and_size_apart(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_text("one")
    other.write_text("two")
    before = stamp(path)
    assert stamp(path) == before
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert stamp(path) != before


def test_missing_initial_weights_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        ModelStore(tmp_path, tmp_path / "gone.pt")
