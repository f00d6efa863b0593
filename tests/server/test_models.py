"""Which weights are served, and how others take their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from lib.learning.config import DEFAULT_WEIGHTS_FILE, load_config
from lib.learning.network import LandmarkNet
from lib.learning.weights import load_weights, save_weights
from lib.server.models import FOLDER, ModelStore, stamp


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


def put(store: ModelStore, source: Path) -> Path:
    """A copy in the store's folder, as a training leaves it."""
    store.folder.mkdir(exist_ok=True)
    path = store.folder / "new.pt"
    path.write_bytes(source.read_bytes())
    return path


def test_the_initial_weights_are_served_at_first(files: list[Path], tmp_path: Path) -> None:
    assert ModelStore(tmp_path, files[0]).served == files[0]
    assert list(tmp_path.iterdir()) == []


def test_published_weights_are_served_from_then_on(files: list[Path], tmp_path: Path) -> None:
    store = ModelStore(tmp_path, files[0])
    before = files[0].read_bytes()
    store.publish(put(store, files[1]))
    assert store.served.parent == tmp_path / FOLDER
    assert load_weights(store.served).facts == {"name": "b"}
    assert ModelStore(tmp_path, files[0]).served == store.served
    assert [path.name for path in store.folder.iterdir()] == [store.served.name]
    assert files[0].read_bytes() == before


def test_what_was_trained_from_other_weights_is_not_served(files: list[Path], tmp_path: Path) -> None:
    first, second = ModelStore(tmp_path, files[0]), ModelStore(tmp_path, files[1])
    first.publish(put(first, files[0]))
    assert second.served == files[1]
    second.publish(put(second, files[1]))
    assert load_weights(first.served).facts == {"name": "a"}
    assert load_weights(second.served).facts == {"name": "b"}


def test_weights_are_told_apart_by_content_and_not_by_name(files: list[Path], tmp_path: Path) -> None:
    twin = tmp_path / "twin.pt"
    twin.write_bytes(files[0].read_bytes())
    store = ModelStore(tmp_path, files[0])
    store.publish(put(store, files[1]))
    assert ModelStore(tmp_path, twin).served == store.served


def test_what_was_trained_from_the_shipped_weights_survives_new_ones(files: list[Path], tmp_path: Path) -> None:
    store = ModelStore(tmp_path, DEFAULT_WEIGHTS_FILE)
    store.publish(put(store, files[0]))
    assert store.served.name == "model.pt"  # nothing of the shipped file's content in the name


@pytest.mark.parametrize(
    "damage", [lambda content: b"", lambda content: content[:1000], lambda content: b"nonsense"], ids=str
)
def test_trained_weights_that_cannot_be_used_give_way_to_the_initial_ones(
    files: list[Path], tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    store = ModelStore(tmp_path, files[0])
    store.publish(put(store, files[1]))
    trained = store.served
    trained.write_bytes(damage(trained.read_bytes()))  # type: ignore[operator]
    assert store.served == files[0]
    assert store.served == files[0]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    store.publish(put(store, files[1]))
    assert store.served == trained


def test_what_is_no_weight_file_is_not_published(files: list[Path], tmp_path: Path) -> None:
    store = ModelStore(tmp_path, files[0])
    store.publish(put(store, files[1]))
    before = store.served.read_bytes()
    bad = store.folder / "bad.pt"
    bad.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="not a weight file"):
        store.publish(bad)
    assert store.served.read_bytes() == before


def test_weights_that_do_not_fit_their_network_are_not_published(files: list[Path], tmp_path: Path) -> None:
    store = ModelStore(tmp_path, files[0])
    path = put(store, files[1])
    content = torch.load(path, weights_only=True)
    content["model"].popitem()
    torch.save(content, path)
    with pytest.raises(ValueError, match="do not fit"):
        store.publish(path)
    assert store.served == files[0]


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
