"""Weight files: what is stored, and what is refused."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.learning.config import Config, CornerConfig, ModelConfig, NetworkConfig, load_config
from lib.learning.models.corner_net import CornerNet
from lib.learning.models.landmark_net import LandmarkNet
from lib.learning.uncertainty.error_model import ErrorModel
from lib.learning.weights.weight_files import (
    CornerWeights,
    Weights,
    build_corner_net,
    build_network,
    file_digest,
    load_weights,
    networks_digest,
    save_atomically,
    save_weights,
)
from lib.spine.schema import SCHEMA_VERSION


@pytest.fixture
def config() -> Config:
    """The default configuration with a narrow head."""
    return dataclasses.replace(load_config(), network=NetworkConfig("w18_small", 8))


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Weights of a random network."""
    torch.manual_seed(0)
    return LandmarkNet(NetworkConfig("w18_small", 8)).state_dict()


def test_weights_survive_in_half_precision(tmp_path: Path, config: Config, state: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "new" / "a.pt"
    save_weights(path, state, config, {"fold": 3, "note": "x"})
    weights = load_weights(path)
    assert weights.config == ModelConfig(config.network, config.input, config.codec)
    assert weights.facts == {"fold": 3, "note": "x"}
    assert set(weights.state) == set(state)
    for name, tensor in state.items():
        kept = weights.state[name]
        assert kept.dtype == (torch.float16 if tensor.is_floating_point() else tensor.dtype)
        torch.testing.assert_close(kept.to(tensor.dtype), tensor, rtol=1e-3, atol=1e-7)
    assert path.stat().st_size < 2.5 * sum(t.numel() for t in state.values())


def test_a_network_is_built_in_single_precision_for_evaluation(
    tmp_path: Path, config: Config, state: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / "a.pt"
    save_weights(path, state, config, {})
    network = build_network(load_weights(path), path)
    assert not network.training
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    torch.testing.assert_close(network.heatmap[0].weight, state["heatmap.0.weight"].half().float())


def test_saving_does_not_change_the_callers_weights(
    tmp_path: Path, config: Config, state: dict[str, torch.Tensor]
) -> None:
    before = {name: tensor.clone() for name, tensor in state.items()}
    save_weights(tmp_path / "a.pt", state, config, {})
    assert all(torch.equal(state[name], before[name]) for name in before)
    assert state["heatmap.0.weight"].dtype == torch.float32


def test_weights_that_do_not_fit_are_refused(tmp_path: Path, config: Config, state: dict[str, torch.Tensor]) -> None:
    other = dataclasses.replace(config, network=NetworkConfig("w18_small", 16))
    path = tmp_path / "a.pt"
    save_weights(path, state, other, {})
    with pytest.raises(ValueError, match=r"a\.pt: the weights do not fit a w18_small network"):
        build_network(load_weights(path), path)
    save_weights(path, {k: v for k, v in state.items() if "offset" not in k}, config, {})
    with pytest.raises(ValueError, match="do not fit"):
        build_network(load_weights(path), path)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello world", b"{}", b"\0" * 300, b"PK\x03\x04 no archive", pickle.dumps({"model": 1}, 2)],
    ids=["empty", "text", "json", "zeros", "zip", "pickle"],
)
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"^a\.pt: not a weight file of this project"):
        load_weights(tmp_path / "a.pt")


def test_a_truncated_file_is_refused(tmp_path: Path, config: Config, state: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "a.pt"
    save_weights(path, state, config, {})
    content = path.read_bytes()
    for share in (0.01, 0.5, 0.999):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match="not a weight file of this project"):
            load_weights(path)


@pytest.mark.parametrize("key", ["model", "config", "schema_version", "facts"])
def test_a_file_without_one_of_its_parts_is_refused(tmp_path: Path, config: Config, key: str) -> None:
    content = {"model": {}, "config": config.to_dict(), "schema_version": SCHEMA_VERSION, "facts": {}}
    del content[key]
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="not a weight file of this project"):
        load_weights(tmp_path / "a.pt")


def test_another_landmark_schema_is_refused(tmp_path: Path, config: Config) -> None:
    content = {"model": {}, "config": config.to_dict(), "schema_version": SCHEMA_VERSION + 1, "facts": {}}
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=rf"made for landmark schema {SCHEMA_VERSION + 1}, this is schema"):
        load_weights(tmp_path / "a.pt")


def test_a_configuration_that_is_none_is_refused(tmp_path: Path) -> None:
    torch.save({"model": {}, "config": {}, "schema_version": SCHEMA_VERSION, "facts": {}}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt: unknown settings"):
        load_weights(tmp_path / "a.pt")


class Malicious:
    """Leaves a trace when it is unpickled with all of pickle's powers."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.trace,)


def test_nothing_in_a_weight_file_is_executed(tmp_path: Path) -> None:
    torch.save({"model": Malicious(tmp_path / "trace")}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="not a weight file"):
        load_weights(tmp_path / "a.pt")
    assert not (tmp_path / "trace").exists()


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_weights(tmp_path / "none.pt")


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_atomically({"a": 1}, path)
    before = path.read_bytes()
    with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
        save_atomically({"a": lambda: None}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"):
        save_atomically({"a": 1}, tmp_path / "file" / "a.pt")


def test_settings_that_using_the_weights_does_not_need_may_have_changed(
    tmp_path: Path, config: Config, state: dict[str, torch.Tensor]
) -> None:
    save_weights(tmp_path / "a.pt", state, config, {})
    content = torch.load(tmp_path / "a.pt", weights_only=True)
    del content["config"]["training"]["epochs"]
    content["config"]["future"] = {"setting": 1}
    torch.save(content, tmp_path / "b.pt")
    assert load_weights(tmp_path / "b.pt").config == ModelConfig(config.network, config.input, config.codec)


# --- the second network ---

PATCH = CornerConfig(16, 24, 8.0, 4, 1)
ERRORS = ErrorModel(((0.1, 0.2), (0.5, 0.6)), ((0.1, 0.1), (0.4, 0.8)), 0.01, 0.5, 1.5, 2.0)


@pytest.fixture
def refiner() -> CornerWeights:
    """A random second network with everything that may be known about it."""
    torch.manual_seed(1)
    network = CornerNet(PATCH)
    network(torch.randn(2, 17, 16, 24))  # so that the batch norms have seen something
    return CornerWeights(network.state_dict(), PATCH, {"epoch": 3, "validation": {"corner_mean": 1.5}}, ERRORS)


def with_refiner(path: Path, config: Config, state: dict[str, torch.Tensor], refiner: CornerWeights) -> Weights:
    """What is read of a file with both networks."""
    save_weights(path, state, config, {"fold": 3}, refiner=refiner)
    return load_weights(path)


def test_a_file_without_a_second_network_has_none(
    tmp_path: Path, config: Config, state: dict[str, torch.Tensor]
) -> None:
    save_weights(tmp_path / "a.pt", state, config, {})
    assert load_weights(tmp_path / "a.pt").refiner is None
    assert "refiner" not in torch.load(tmp_path / "a.pt", weights_only=True)


def test_a_second_network_survives_in_half_precision(
    tmp_path: Path, config: Config, state: dict[str, torch.Tensor], refiner: CornerWeights
) -> None:
    weights = with_refiner(tmp_path / "a.pt", config, state, refiner)
    kept = weights.refiner
    assert weights.facts == {"fold": 3}
    assert kept is not None
    assert (kept.config, kept.facts, kept.errors) == (PATCH, refiner.facts, ERRORS)
    original, built = CornerNet(PATCH).eval(), build_corner_net(kept, tmp_path / "a.pt")
    original.load_state_dict(refiner.state)
    assert not built.training
    patches = torch.randn(2, 17, 16, 24)
    with torch.inference_mode():
        for a, b in zip(original(patches), built(patches), strict=True):
            assert b.dtype == torch.float32
            torch.testing.assert_close(a, b, atol=0.05, rtol=0.01)
    assert refiner.state["to_token.weight"].dtype == torch.float32


def test_what_was_read_can_be_written_again(
    tmp_path: Path, config: Config, state: dict[str, torch.Tensor], refiner: CornerWeights
) -> None:
    """With the part of the configuration that a weight file keeps, and no measured errors."""
    first = with_refiner(tmp_path / "a.pt", config, state, dataclasses.replace(refiner, errors=None))
    save_weights(tmp_path / "b.pt", first.state, first.config, first.facts, first.prior, first.refiner)
    second = load_weights(tmp_path / "b.pt")
    assert first.refiner is not None
    assert second.refiner is not None
    assert (second.config, second.facts, second.prior) == (first.config, first.facts, first.prior)
    assert second.refiner.errors is None
    for a, b in ((first.state, second.state), (first.refiner.state, second.refiner.state)):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"config": {"height": 16}}, r"a\.pt: refiner", id="settings-missing"),
        pytest.param({"config": {**dataclasses.asdict(PATCH), "width": 25}}, "multiple of 8", id="settings-wrong"),
        pytest.param({"errors": {"center": []}}, r"a\.pt: the error model", id="error-model"),
        pytest.param({"model": None}, None, id="no-weights"),
        pytest.param(None, "corner network is not one of this project", id="no-refiner"),
        pytest.param({}, "corner network is not one of this project", id="parts-missing"),
    ],
)
def test_a_second_network_that_is_none_is_refused(
    tmp_path: Path,
    config: Config,
    state: dict[str, torch.Tensor],
    refiner: CornerWeights,
    change: dict[str, Any] | None,
    words: str | None,
) -> None:
    path = tmp_path / "a.pt"
    save_weights(path, state, config, {}, refiner=refiner)
    content = torch.load(path, weights_only=True)
    content["refiner"] = {**content["refiner"], **change} if change else ([] if change is None else {"model": {}})
    torch.save(content, path)
    if words is None:
        with pytest.raises(ValueError, match=r"a\.pt: the weights do not fit their corner network"):
            build_corner_net(load_weights(path).refiner, path)  # type: ignore[arg-type]
    else:
        with pytest.raises(ValueError, match=words):
            load_weights(path)


def test_weights_that_do_not_fit_a_second_network_are_refused(tmp_path: Path, refiner: CornerWeights) -> None:
    path = tmp_path / "a.pt"
    wider = dataclasses.replace(refiner, config=dataclasses.replace(PATCH, channels=8))
    with pytest.raises(ValueError, match=r"a\.pt: the weights do not fit their corner network"):
        build_corner_net(wider, path)
    spoilt = {name: tensor.clone() for name, tensor in refiner.state.items()}
    spoilt["place"][3, 2] = torch.nan
    with pytest.raises(ValueError, match=r"a\.pt: some weights are not finite"):
        build_corner_net(dataclasses.replace(refiner, state=spoilt), path)


def test_a_digest_is_that_of_the_content(tmp_path: Path) -> None:
    """SHA-256 of "abc" begins with ba7816bf (FIPS 180-4, the first example)."""
    for name in ("a.pt", "b.csv"):
        (tmp_path / name).write_bytes(b"abc")
        assert file_digest(tmp_path / name) == "ba7816bf8f01"
    assert file_digest(tmp_path / "a.pt", 16) == "ba7816bf8f01cfea"


def test_networks_are_known_again_whatever_is_stored_beside_them(
    tmp_path: Path, config: Config, state: dict[str, torch.Tensor], refiner: CornerWeights
) -> None:
    first = with_refiner(tmp_path / "a.pt", config, state, refiner)
    again = with_refiner(
        tmp_path / "b.pt", config, state, dataclasses.replace(refiner, errors=None, facts={"epoch": 4})
    )
    assert len(networks_digest(first)) == 12
    assert networks_digest(first) == networks_digest(again)


@pytest.mark.parametrize("which", ["first", "second", "no second"])
def test_other_networks_have_another_digest(
    tmp_path: Path, config: Config, state: dict[str, torch.Tensor], refiner: CornerWeights, which: str
) -> None:
    first = with_refiner(tmp_path / "a.pt", config, state, refiner)
    assert first.refiner is not None
    if which == "first":
        other = dataclasses.replace(first, state={n: t + 1 for n, t in first.state.items()})
    elif which == "second":
        moved = {n: t + 1 for n, t in first.refiner.state.items()}
        other = dataclasses.replace(first, refiner=dataclasses.replace(first.refiner, state=moved))
    else:
        other = dataclasses.replace(first, refiner=None)
    assert networks_digest(other) != networks_digest(first)
