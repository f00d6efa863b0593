"""From images to a pack, and from a pack to two networks."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import join_networks
import pack_training
import train_from_pack
from lib.learning.codec import ABSENT, PRESENT, STATE, UNNAMED
from lib.learning.config import CornerConfig, NetworkConfig, load_config
from lib.learning.data import LABEL
from lib.learning.data.boxed_images import unnamed_label
from lib.learning.data.formats.data_set import DataOptions
from lib.learning.data.formats.folds import read_folds, with_folds
from lib.learning.data.formats.registry import AUTO, read_data_set
from lib.learning.models.corner_net import CornerNet
from lib.learning.models.landmark_net import LandmarkNet
from lib.learning.training.packs.checkpoint import checkpoint_path
from lib.learning.training.packs.timed_training import TimedTraining
from lib.learning.training.packs.training_pack import NO_FOLD, NO_RECORD, read_pack
from lib.learning.training.teaching.teacher import (
    ALL_POINTS,
    IMAGE_COLUMNS,
    IMAGES_FILE,
    POINT_COLUMNS,
    POINTS_FILE,
    TEACHER_FILE,
    point_rows,
)
from lib.learning.training.teaching.unnamed_images import read_boxed
from lib.learning.weights.network_file import NetworkFile, load_network, save_network
from lib.learning.weights.provenance import OWN, TrainedOn, file_trained_on, init_facts, trained_on
from lib.learning.weights.weight_files import CornerWeights, file_digest, load_weights, save_weights
from lib.spine.schema import POINTS, VERTEBRAE

from ..test_architecture import APP, imports, package_of

PATCH = CornerConfig(16, 24, 8.0, 4, 0)
SMALL = {
    "network.preset": "tiny",
    "network.head_channels": "8",
    "network.context_layers": "0",
    "input.height": "64",
    "input.width": "32",
    "refiner.height": "16",
    "refiner.width": "24",
    "refiner.step": "8.0",
    "refiner.channels": "4",
    "refiner.context_layers": "0",
}
COUNTS = ("--phantoms", 1, "--hard-phantoms", 1, "--spineless", 1, "--longest", 200)

pytestmark = pytest.mark.usefixtures("torch_as_before")


def call(monkeypatch: pytest.MonkeyPatch, script: Any, *arguments: object) -> int:
    """Run a command in this process."""
    monkeypatch.setattr(sys, "argv", [script.__name__, *map(str, arguments)])
    status: int = script.main()
    return status


@pytest.fixture
def pack(folders: Any, ladder: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five radiographs, two boxed images, one of them labelled by a teacher, two phantoms, an image without a spine."""
    taught, path = tmp_path / "taught", tmp_path / "pack.npz"
    taught.mkdir()
    label = np.concatenate([ladder, np.full((*ladder.shape[:2], 1), PRESENT)], -1)
    row = ("boxes", "film_001.png", 0, 16, ALL_POINTS, "", 1, "20.0", "0.01", "1 2", "2")
    teacher = init_facts("0123", TrainedOn(frozenset({1, 2}), frozenset({2}), True))
    (taught / TEACHER_FILE).write_text(json.dumps(teacher), encoding="utf-8")
    for name, rows in (
        (IMAGES_FILE, [IMAGE_COLUMNS, row]),
        (POINTS_FILE, [POINT_COLUMNS, *point_rows("boxes", "film_001.png", label)]),
    ):
        with (taught / name).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(rows)
    given = ("--data", folders.data, "--boxes", folders.boxes, "--taught", taught)
    assert call(monkeypatch, pack_training, *given, *COUNTS, "--output", path) == 0
    return path


def test_centers_of_a_teacher_are_learnt_where_no_table_names_the_boxes(folders: Any, tmp_path: Path) -> None:
    """The teacher moved the middles of the boxes by 2 px."""
    taught, marks = tmp_path / "taught", read_boxed(folders.boxes)[1].marks
    taught.mkdir()
    (taught / IMAGES_FILE).write_text("source,image,kept\nboxes,film_011.png,centers\n", encoding="utf-8")
    with (taught / POINTS_FILE).open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([POINT_COLUMNS, *point_rows("boxes", "film_011.png", unnamed_label(marks + 2))])
    words = ["--data", "d", "--boxes", str(folders.boxes), "--taught", str(taught), "--output", "o"]
    arguments = pack_training.parse_arguments(words)
    untaught, moved = pack_training.unnamed(arguments, {})
    assert (untaught.is_taught, moved.is_taught) == (False, True)
    np.testing.assert_allclose(moved.item[LABEL][:15, 0, :2], marks + 2)
    assert (moved.item[LABEL][:15, 0, STATE] == UNNAMED).all()
    named = list(pack_training.unnamed(arguments, {"film_011.png": 1}))[1]
    assert not named.is_taught
    np.testing.assert_allclose(named.item[LABEL][1:16, 0, :2], marks)
    assert (named.item[LABEL][1:16, 0, STATE] == PRESENT).all()


def test_strips_are_held_out_like_boxed_images(tmp_path: Path, pack: Path) -> None:
    content = dataclasses.replace(read_pack(pack), facts={})
    images = [dataclasses.replace(content.images[0], kind="strip", fold=1, record=NO_RECORD)]
    arguments = argparse.Namespace(fold=0, boxes_fold=2, pack=pack, assume_unseen=False)
    facts = train_from_pack.facts_of(arguments, content, images)
    assert facts["boxes_fold"] == 2
    assert trained_on(facts).box_folds == frozenset({0, 1, 3, 4})
    with pytest.raises(ValueError, match="the weights was trained on fold 2 of the boxed images"):
        train_from_pack.check_unseen(
            arguments, content, images, TrainedOn(frozenset(), frozenset({2}), True), "the weights"
        )


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A weight file with small networks that hold fold 0 out."""
    torch.manual_seed(0)
    config = dataclasses.replace(load_config(), network=NetworkConfig("tiny", 8))
    facts = {"data": "AASCE training split", "fold": 0}
    refiner = CornerWeights(CornerNet(PATCH).state_dict(), PATCH, facts)
    path = tmp_path / "begin.pt"
    save_weights(path, LandmarkNet(config.network).state_dict(), config, facts, refiner=refiner)
    return path


def train(monkeypatch: pytest.MonkeyPatch, *arguments: object, steps: float = 4) -> int:
    """Train small networks for some steps of 300 seconds."""
    ticks = itertools.count()
    monkeypatch.setattr(
        train_from_pack, "TimedTraining", lambda *given: TimedTraining(*given, clock=lambda: 300.0 * next(ticks))
    )
    settings = [word for name, value in SMALL.items() for word in ("--set", name, value)]
    fixed = ("--batch", 4, "--device", "cpu", "--seconds", 300 * steps)
    return call(monkeypatch, train_from_pack, *fixed, *arguments, *settings)


def test_a_pack_has_every_image_with_its_label(pack: Path, ladder: np.ndarray) -> None:
    content = read_pack(pack)
    kinds = [image.kind for image in content.images]
    assert {kind: kinds.count(kind) for kind in kinds} == {"labelled": 5, "boxed": 2, "phantom": 2, "spineless": 1}
    teacher = {"digest": "0123", "folds": [1, 2], "box_folds": [2], "is_known": True}
    assert content.facts == {"longest": 200, "teacher": teacher}
    assert [image.fold for image in content.images if image.kind == "boxed"] == [0, 1]
    assert {image.fold for image in content.images if image.kind in ("phantom", "spineless")} == {NO_FOLD}
    assert len(content.data.images) == 6  # one has a label that cannot be learnt from
    scale = 200 / 300
    first = content.images[0]
    assert first.pixels.shape == (200, 67)
    assert content.data.images[first.record].fold == first.fold == 0
    np.testing.assert_allclose(first.label[:, :, 1], (ladder[:, :, 1] + 0.5) * scale - 0.5, atol=0.01)
    assert (first.label[..., STATE] == PRESENT).all()
    taught, boxed = (image for image in content.images if image.kind == "boxed")
    assert (taught.label[..., STATE] == PRESENT).all()
    assert (boxed.label[:15, 0, STATE] == UNNAMED).all()
    assert (boxed.label[15:, :, STATE] == ABSENT).all()
    assert (boxed.label[15:, :, :STATE] == 0).all()
    assert [image.is_taught for image in (first, taught, boxed)] == [False, True, False]


def test_two_networks_are_trained_and_joined(
    pack: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--pack", pack, "--init", weights, "--fold", 0)
    files = {kind: tmp_path / f"{kind}.pt" for kind in ("landmarks", "corners")}
    for kind, path in files.items():
        assert train(monkeypatch, *given, "--network", kind, "--output", path) == 0
        network = load_network(path)
        assert network.network == kind
        assert network.facts["steps"] == 4
        assert network.facts["radiographs"] == 4  # one of five is held out
        assert network.facts["boxed_radiographs"] == 1
        assert network.facts["init"]["digest"] == file_digest(weights)
        assert network.facts["pack"] == file_digest(pack)
    assert capsys.readouterr().err == ""
    joined = tmp_path / "joined.pt"
    parts = [word for kind, path in files.items() for word in (f"--{kind}", path)]
    assert call(monkeypatch, join_networks, "--base", weights, *parts, "--output", joined) == 0
    found, before = load_weights(joined), load_weights(weights)
    assert found.refiner is not None
    assert found.refiner.errors is None
    assert found.refiner.config == PATCH
    assert (found.config.input.height, found.config.input.width) == (64, 32)
    assert any(not torch.equal(found.state[name], before.state[name]) for name in before.state)
    seen = file_trained_on(found)
    assert seen.is_known
    assert seen.folds == seen.box_folds == frozenset({1, 2, 3, 4})


def test_weights_that_know_the_held_out_fold_are_refused(
    pack: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "c.pt"
    given = ("--pack", pack, "--network", "corners", "--output", output, "--boxes-fold", "none")
    assert train(monkeypatch, *given, "--fold", 1, "--init", weights) == 1
    assert "begin.pt was trained on fold 1" in capsys.readouterr().err
    assert train(monkeypatch, *given, "--fold", 3, steps=1) == 0
    facts = load_network(output).facts
    assert "init" not in facts
    seen = trained_on(facts)
    assert seen.folds == frozenset({0, 1, 2, 4})
    assert seen.box_folds == frozenset(range(5))


def with_facts(pack: Path, path: Path, **changed: Any) -> Path:
    """A copy of a pack with other facts; those that are ``None`` are left out, and ``is_own`` is of its data."""
    with np.load(pack) as content:
        parts = dict(content)
    header = json.loads(parts["header"].tobytes())
    header["data"]["is_own"] = changed.pop("is_own", False)
    header["facts"] = {name: value for name, value in (header["facts"] | changed).items() if value is not None}
    np.savez(path, **{**parts, "header": np.frombuffer(json.dumps(header).encode(), np.uint8)})
    return path


def test_points_of_a_teacher_that_knows_what_is_held_out_are_refused(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It knows folds 1 and 2, of boxed images fold 2; the boxed image that it labelled is in fold 0."""
    given = ("--network", "corners", "--output", tmp_path / "c.pt")
    for folds, message in (
        (("--fold", 1, "--boxes-fold", 3), "the teacher of pack.npz was trained on fold 1 of the AASCE training split"),
        (("--fold", 3, "--boxes-fold", 2), "the teacher of pack.npz was trained on fold 2 of the boxed images"),
    ):
        assert train(monkeypatch, "--pack", pack, *given, *folds, "--assume-unseen") == 1
        assert message in capsys.readouterr().err
    assert train(monkeypatch, "--pack", pack, *given, "--fold", 2, "--boxes-fold", 0, steps=1) == 0  # not learnt from
    silent = with_facts(pack, tmp_path / "silent.npz", teacher=None)
    given = ("--pack", silent, "--network", "corners", "--output", tmp_path / "d.pt", "--fold", 3)
    assert train(monkeypatch, *given) == 1
    assert "the teacher of silent.npz does not say on which images it was trained" in capsys.readouterr().err
    assert train(monkeypatch, *given, "--assume-unseen", steps=1) == 0


def test_points_of_a_teacher_that_knows_a_users_patients_are_refused(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pack is declared a user's; the teacher knows one of the images, or a network that learnt from it does."""
    known = read_pack(pack).data.images[0]
    teacher = init_facts("0123", TrainedOn(frozenset(), frozenset(), True, frozenset([known.digest])))
    own = with_facts(pack, tmp_path / "own.npz", is_own=True, teacher=teacher)
    given = ("--pack", own, "--network", "corners", "--output", tmp_path / "c.pt", "--boxes-fold", "none")
    assert train(monkeypatch, *given, "--fold", known.fold) == 1
    assert "the teacher of own.npz was trained on your data" in capsys.readouterr().err
    other = next(one.fold for one in read_pack(own).data.images if one.fold != known.fold)
    assert train(monkeypatch, *given, "--fold", other, steps=1) == 0
    assert known.digest in trained_on({"data": "AASCE training split", "fold": 0, "teacher": teacher}).images


def test_a_fold_without_images_is_refused(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = read_pack(pack)
    images = tuple(dataclasses.replace(image, fold=0) for image in content.data.images)
    own = dataclasses.replace(content, data=dataclasses.replace(content.data, images=images, is_own=True))
    monkeypatch.setattr(train_from_pack, "read_pack", lambda _: own)
    assert train(monkeypatch, "--pack", pack, "--network", "corners", "--output", tmp_path / "c.pt", "--fold", 1) == 1
    assert "has no image: the 6 images are of 6 patients, who are in the folds 0" in capsys.readouterr().err


def test_names_of_a_model_that_knows_the_held_out_fold_are_warned_of(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    named = with_facts(pack, tmp_path / "named.npz", model_folds=[0])
    given = ("--pack", named, "--network", "corners", "--output", tmp_path / "c.pt")
    assert train(monkeypatch, *given, steps=1) == 0
    assert "a model that named vertebrae of the pack knows fold 0, which is held out" in capsys.readouterr().err


def test_the_same_command_goes_on_and_another_one_does_not(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "c.pt"
    given = ("--pack", pack, "--network", "corners", "--output", output)
    save = TimedTraining.state

    def end(training: TimedTraining) -> dict[str, Any]:
        if training.steps == 4:
            raise KeyboardInterrupt
        return save(training)

    with monkeypatch.context() as patch:
        patch.setattr(TimedTraining, "state", end)
        assert train(monkeypatch, *given) == 130
    assert "the same command goes on from the last checkpoint" in capsys.readouterr().err
    assert train(monkeypatch, *given) == 0
    assert "goes on after 900 s, step 3" in capsys.readouterr().out
    resumed, straight = load_network(output), tmp_path / "d.pt"
    assert resumed.facts["steps"] == 4
    assert train(monkeypatch, *given[:-1], straight) == 0
    for name, value in load_network(straight).state.items():
        assert torch.equal(value, resumed.state[name])
    assert train(monkeypatch, *given, "--rate", 2e-3) == 1
    assert "rate is 0.001, not 0.002" in capsys.readouterr().err
    assert train(monkeypatch, *given, "--set", "refiner_augmentation.drift", 0.5) == 1
    assert "refiner_augmentation.drift is" in capsys.readouterr().err
    other = with_facts(pack, tmp_path / "other.npz", longest=300)
    assert train(monkeypatch, "--pack", other, *given[2:]) == 1
    assert "longest is 200, not 300" in capsys.readouterr().err
    assert train(monkeypatch, *given, "--boxes-fold", 4) == 1
    assert "boxes_fold is 0, not 4" in capsys.readouterr().err
    checkpoint_path(output).unlink()
    assert train(monkeypatch, *given, "--rate", 2e-3, steps=1) == 0


def test_weights_from_a_users_pack_know_their_patients(
    ladder: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, names = tmp_path / "spines.csv", [f"patient{number}.png" for number in range(6)]
    rows: list[tuple[object, ...]] = [("image", "vertebra", "point", "x_px", "y_px")]
    for number, name in enumerate(names):
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (300, 100), dtype=np.uint8)).save(
            tmp_path / name
        )
        rows += [
            (name, vertebra, point, *ladder[v, p].tolist())
            for v, vertebra in enumerate(VERTEBRAE)
            for p, point in enumerate(POINTS)
        ]
    with table.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    path, output = tmp_path / "run" / "pack.npz", tmp_path / "c.pt"
    assert call(monkeypatch, pack_training, "--data", table, *COUNTS, "--output", path) == 0
    with (path.parent / "folds.csv").open(newline="", encoding="utf-8") as stream:
        folds = {row["digest"]: int(row["fold"]) for row in csv.DictReader(stream)}
    assert train(monkeypatch, "--pack", path, "--network", "corners", "--output", output, steps=1) == 0
    facts = load_network(output).facts
    assert facts["data"] == OWN
    assert facts["data_set"]["images"] == 6
    seen = trained_on(facts)
    assert seen.is_known
    assert seen.images == {digest for digest, fold in folds.items() if fold != 0}
    assert "boxed_radiographs" not in facts
    again = with_folds(read_data_set(table, AUTO, DataOptions()), read_folds(path.parent / "folds.csv"))
    for data in (read_pack(path).data, again):  # as a training from the pack and evaluate.py see them
        seen.check_held_out(data, 0, "c.pt")
        with pytest.raises(ValueError, match="was trained on your data spines"):
            seen.check_held_out(data, 1, "c.pt")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--set", "refiner.channels", "8"),
            "begin.pt has a network of other settings than those of this training: channels is 4, not 8\n",
        ),
        (("--pack", "{weights}"), "is no training pack"),
        (("--init", "{pack}"), "not a weight file"),
        (("--init", "{network}"), "but a single network, which scripts/join_networks.py puts into one"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    pack: Path,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    given = ("--pack", pack, "--init", weights, "--network", "corners", "--output", tmp_path / "c.pt")
    settings = [word for name, value in SMALL.items() for word in ("--set", name, value)]
    network = tmp_path / "single.pt"
    save_network(network, NetworkFile("corners", {}, {}, {}))
    last = [word.format(pack=pack, weights=weights, network=network) for word in words]
    fixed = ("--device", "cpu", "--seconds", 1, "--batch", 4)
    assert call(monkeypatch, train_from_pack, *given, *fixed, *settings, *last) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (train_from_pack, ("--pack", "p", "--network", "corners", "--output", "o", "--seconds", "0")),
        (train_from_pack, ("--pack", "p", "--network", "corners", "--output", "o", "--seconds", "inf")),
        (train_from_pack, ("--pack", "p", "--network", "corners", "--output", "o", "--seconds", "9", "--ema", "1")),
        (train_from_pack, ("--pack", "p", "--network", "ribs", "--output", "o", "--seconds", "9")),
        (pack_training, ("--data", "d", "--output", "o", "--longest", "20000")),
        (pack_training, ("--data", "d", "--output", "o", "--quality", "0")),
        (pack_training, ("--data", "d", "--output", "o", "--phantoms", "-1")),
    ],
)
def test_numbers_out_of_range_are_refused(script: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        script.parse_arguments(list(words))


def reached(script: Path) -> set[str]:
    """Names that a script imports, itself or through other files of the repository."""
    found: set[str] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        names = set(imports(path.read_text(encoding="utf-8"), package_of(path) if APP in path.parents else "")) - found
        found |= names
        for name in names:
            parts = [name.split(".")[:count] for count in range(1, name.count(".") + 2)]
            stems = [top.joinpath(*part) for part in parts for top in (APP, script.parent)]
            files = [file for stem in stems for file in (stem.with_suffix(".py"), stem / "__init__.py")]
            waiting += [file for file in files if file.is_file()]
    return found


def test_training_from_a_pack_needs_no_monai() -> None:
    folder = Path(train_from_pack.__file__).parent
    assert "lib.learning.training.losses.corner_loss" in reached(folder / "train_from_pack.py")
    for name in ("train_from_pack.py", "join_networks.py"):
        assert not {part for part in reached(folder / name) if part.split(".")[0] == "monai"}
    assert {part for part in reached(folder / "pack_training.py") if part.split(".")[0] == "monai"}
