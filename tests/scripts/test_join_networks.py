"""``scripts/join_networks.py``: networks of their own become part of a weight file."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import join_networks
from lib.learning.config import load_config
from lib.learning.models.corner_net import CornerNet
from lib.learning.uncertainty.error_model import ErrorModel
from lib.learning.weights.network_file import CORNERS, LANDMARKS, NetworkFile, load_network, save_network
from lib.learning.weights.provenance import AASCE, OWN, file_trained_on
from lib.learning.weights.weight_files import ERRORS_MEASURED_ON, file_digest, load_weights, save_weights

from ..toy_model import PATCH, write_weights

KNOTS = ((0.01, 0.02), (0.5, 1.0))
ERRORS = ErrorModel(KNOTS, KNOTS, 0.0, 0.0, 1.0, 1.0)
RELEASED = {
    "data": "AASCE training split",
    "fold": 0,
    "radiographs": 346,
    "boxed_radiographs": 358,
    "boxed_strips": 55,
    "generated_radiographs": 278,
    "phantoms": 260,
    "init": {"digest": "fa0a3fd03358", "folds": [1, 2, 3, 4], "box_folds": [], "is_known": True},
    "pack": "ee3263bdebee",
    "steps": 155,
}
"""Facts of a network that the program for the release after 0.12.0 has written."""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A weight file of two tiny networks."""
    return write_weights(tmp_path / "base.pt", facts={"data": AASCE, "fold": 0, "epoch": 7})


def corner_file(path: Path, facts: dict[str, Any], seed: int = 1, **settings: Any) -> Path:
    """A corner network as a training writes it."""
    torch.manual_seed(seed)
    patch = dataclasses.replace(PATCH, **settings)
    config = {**load_config().to_dict(), "refiner": dataclasses.asdict(patch)}
    save_network(path, NetworkFile(CORNERS, CornerNet(patch).state_dict(), config, facts))
    return path


def join(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the command in this process."""
    monkeypatch.setattr(sys, "argv", ["join_networks.py", *map(str, arguments)])
    return join_networks.main()


def test_a_corner_network_takes_the_place_of_the_old_one(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, output = corner_file(tmp_path / "c.pt", RELEASED), tmp_path / "joined.pt"
    assert join(monkeypatch, "--base", base, "--corners", new, "--output", output) == 0
    before, found = load_weights(base), load_weights(output)
    assert found.refiner is not None
    assert found.refiner.errors is None
    assert found.refiner.config == PATCH
    assert found.refiner.facts == {**RELEASED, "base": file_digest(base), ERRORS_MEASURED_ON: None}
    assert found.facts == before.facts
    assert all(torch.equal(found.state[name], before.state[name]) for name in before.state)
    trained = load_network(new).state
    assert all(torch.equal(found.refiner.state[name], trained[name]) for name in trained)
    seen = file_trained_on(found)
    assert (seen.is_known, seen.folds, seen.box_folds) == (True, frozenset({1, 2, 3, 4}), frozenset({1, 2, 3, 4}))


def test_a_landmark_network_keeps_the_corner_network_and_its_facts_but_not_its_errors(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chance of wrong names depends on the landmark network alone."""
    plain = load_weights(base)
    assert plain.refiner is not None
    measured = dataclasses.replace(
        plain.refiner, errors=ERRORS, facts={**plain.refiner.facts, ERRORS_MEASURED_ON: {"data": AASCE, "fold": 0}}
    )
    save_weights(base, plain.state, plain.config, plain.facts, plain.prior, measured)
    before = load_weights(base)
    state = {name: value + 1 if value.is_floating_point() else value for name, value in before.state.items()}
    facts = {"data": AASCE, "fold": None, "boxed_radiographs": 3, "boxes_fold": 0}
    save_network(tmp_path / "l.pt", NetworkFile(LANDMARKS, state, dataclasses.asdict(before.config), facts))
    output = tmp_path / "joined.pt"
    assert join(monkeypatch, "--base", base, "--landmarks", tmp_path / "l.pt", "--output", output) == 0
    found = load_weights(output)
    assert found.facts == facts
    assert torch.equal(found.state["fusion.norm.bias"], before.state["fusion.norm.bias"] + 1)
    assert found.refiner is not None
    assert before.refiner is not None
    assert before.refiner.errors == ERRORS
    assert found.refiner.errors is None
    assert found.refiner.facts == {**before.refiner.facts, ERRORS_MEASURED_ON: None}
    assert all(torch.equal(found.refiner.state[name], value) for name, value in before.refiner.state.items())
    assert file_trained_on(found).folds == frozenset(range(5))


def test_a_mean_lies_between_its_networks_and_knows_the_images_of_all(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"data": OWN, "data_set": {"name": "spines"}, "fold": 0, "image_digests": "aa bb", "pack": "0123"}
    first = corner_file(tmp_path / "c.pt", {**own, "names": "ab12", "model_folds": [3]})
    second, output = corner_file(tmp_path / "d.pt", {**RELEASED, "model_folds": [1]}, 2), tmp_path / "joined.pt"
    parts = ("base", 1, first, 2, second, 1)
    assert join(monkeypatch, "--base", base, "--corners", *parts, "--output", output) == 0
    before, found = load_weights(base).refiner, load_weights(output)
    assert before is not None
    assert found.refiner is not None
    name = "heatmap.weight"
    states = before.state, load_network(first).state, load_network(second).state
    wanted = sum(share * state[name].float() for share, state in zip((0.25, 0.5, 0.25), states, strict=True))
    torch.testing.assert_close(found.refiner.state[name].float(), wanted, atol=1e-3, rtol=0)
    assert [part["share"] for part in found.refiner.facts["mean_of"]] == [0.25, 0.5, 0.25]
    assert [part["names"] for part in found.refiner.facts["mean_of"]] == ["", "ab12", ""]
    assert found.refiner.facts["model_folds"] == [1, 3]
    seen = file_trained_on(found)
    assert seen.images == {"aa", "bb"}
    assert seen.folds == {1, 2, 3, 4}
    silent = corner_file(tmp_path / "e.pt", {**RELEASED, "model_folds": None}, 3)
    assert join(monkeypatch, "--base", base, "--corners", silent, 1, second, 1, "--output", output) == 0
    refiner = load_weights(output).refiner
    assert refiner is not None
    assert refiner.facts["model_folds"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{base}",), "base.pt: not a network that scripts/train_from_pack.py has written"),
        (("{new}", "1", "{wide}", "1"), "networks of different settings, which have no mean"),
        (("{new}", "0", "base", "1"), "must be a positive number, got 0.0"),
        (("{new}", "half", "base", "1"), "must be a positive number, got 'half'"),
        (("{text}",), "text.pt: not a network"),
    ],
)
def test_what_cannot_be_joined_is_refused(
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    files = {"base": base, "new": corner_file(tmp_path / "c.pt", RELEASED), "text": tmp_path / "text.pt"}
    files["wide"] = corner_file(tmp_path / "wide.pt", RELEASED, step=PATCH.step * 1.2)
    files["text"].write_text("no network", encoding="utf-8")
    given = [word.format(**files) for word in words]
    assert join(monkeypatch, "--base", base, "--corners", *given, "--output", tmp_path / "joined.pt") == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "joined.pt").exists()


def test_a_network_of_the_other_kind_is_refused(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new = corner_file(tmp_path / "c.pt", RELEASED)
    assert join(monkeypatch, "--base", base, "--landmarks", new, "--output", tmp_path / "joined.pt") == 1
    assert "holds a network for corners, not for landmarks" in capsys.readouterr().err


@pytest.mark.parametrize("words", [(), ("--corners", "a", "1", "b")])
def test_a_command_line_without_pairs_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        join_networks.parse_arguments(["--base", "b", "--output", "o", *words])
