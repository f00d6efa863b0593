"""Rounds of choosing images: the figures by hand, the small learner, and a replay that is interrupted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.annotation import command, kernel_regression, round_figures, rounds, small_network
from experiments.annotation.kernel_regression import KernelLearner
from lib.learning.codec import PRESENT, LandmarkCodec
from lib.learning.config import load_config

pytestmark = pytest.mark.usefixtures("torch_as_before")

LABELS = np.array([10.0, 20.0, 40.0])
START = ["--sizes", "1", "2", "--phantoms", "2", "--start-steps", "2"]
QUICK = [*START, "--learner", "network", "--first-steps", "2", "--steps", "2"]


def test_one_gross_failure_counts_as_one_step() -> None:
    errors = np.zeros((4, 17, 4))
    errors[0] = 50.0
    errors[1] = 0.4
    assert round_figures.figures(errors) == pytest.approx({"error": 1.4 / 4, "corners_near": 0.5, "films_found": 0.75})


def test_area_is_the_mean_height_of_the_curve() -> None:
    assert round_figures.area(LABELS, np.array([0.4, 0.2, 0.2])) == pytest.approx((0.3 * 10 + 0.2 * 20) / 30)


def test_interval_is_that_of_student() -> None:
    mean, low, high = round_figures.interval(np.array([1.0, 2.0, 3.0]))
    half = 4.302653 / np.sqrt(3)  # t for 2 degrees of freedom; the spread is 1
    assert (mean, low, high) == pytest.approx((2, 2 - half, 2 + half), rel=1e-6)
    assert round_figures.interval(np.array([1.0])) == (1.0, float("-inf"), float("inf"))


@pytest.mark.parametrize(
    ("goal", "reached"), [(0.5, 10.0), (0.3, 15.0), (0.15, 30.0), (0.05, None)], ids=["at once", "1", "2", "never"]
)
def test_a_goal_is_reached_between_rounds(goal: float, reached: float | None) -> None:
    found = round_figures.labels_to_reach(LABELS, np.array([0.4, 0.2, 0.1]), goal)
    assert found == (None if reached is None else pytest.approx(reached))


def test_strategies_are_compared_seed_by_seed() -> None:
    random = np.array([[0.4, 0.3, 0.2], [0.8, 0.7, 0.6]])
    good = {0: random[0] - [0, 0.1, 0.1], 2: random[1] - [0, 0.1, 0.1], 7: np.zeros(3)}
    told = round_figures.compare(LABELS, {"random": {0: random[0], 1: np.ones(3), 2: random[1]}, "good": good})
    assert (told["random"]["seeds"], told["good"]["seeds"]) == (3, 2)
    assert told["good"]["against_random"] == pytest.approx(-(0.05 * 10 + 0.1 * 20) / 30)
    assert told["good"]["interval"] == pytest.approx([told["good"]["against_random"]] * 2)  # equal in every seed
    assert told["good"]["labels_to_reach"] == pytest.approx(20 + 20 * 0.0)
    assert told["random"]["against_random"] == 0


def test_labels_move_with_the_image() -> None:
    """A bright spot lies at the center of T1 wherever it is moved to; mirrored corners keep their sides."""
    height, width = small_network.INPUT.height, small_network.INPUT.width
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    spot = torch.exp(-((x - 25.0) ** 2 + (y - 50.0) ** 2) / 8)
    label = torch.zeros(17, 5, 3)
    label[..., 0], label[..., 1], label[..., 2] = 25.0, 50.0, PRESENT
    label[:, [1, 3], 0], label[:, [2, 4], 0] = 20.0, 30.0
    data = small_network.LabelledImages(spot[None, None].repeat(8, 1, 1, 1), label[None].repeat(8, 1, 1, 1))
    images, labels = small_network.varied(data, np.random.default_rng(0))
    for image, moved in zip(images[:, 0], labels, strict=True):
        weight = torch.where(image > 0.4, image, 0.0)
        found = torch.stack([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
        torch.testing.assert_close(found, moved[0, 0, :2], atol=0.7, rtol=0)
        assert moved[0, 1, 0] < moved[0, 0, 0] < moved[0, 2, 0]
    assert len({bool(moved[0, 0, 0] > width / 2) for moved in labels}) == 2  # some were mirrored


@pytest.mark.slow
def test_the_small_network_learns() -> None:
    torch.set_num_threads(1)
    phantoms = rounds.read_images(rounds.synthetic_items(4, 0, 0))
    codec = LandmarkCodec(load_config().codec)
    errors = [
        small_network.corner_errors(small_network.train(phantoms, codec, steps, 0), codec, phantoms).clip(max=3).mean()
        for steps in (1, 120)
    ]
    assert errors[1] < errors[0] / 2


def replay(folders: Any, output: Path, *more: str) -> None:
    arguments = ["rounds", "--data", str(folders.data), "--output", str(output), "--seeds", "2", *QUICK, *more]
    rounds.run(command.parse_arguments(arguments))


def test_an_interrupted_replay_goes_on_and_gives_the_same_figures(
    folders: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = ["--strategies", "random", "uncertainty", "informative", "first"]
    replay(folders, tmp_path / "whole", *chosen)
    trainings, train = [], small_network.train

    def once_too_often(*arguments, **more):  # type: ignore[no-untyped-def]
        trainings.append(0)
        if len(trainings) == 5:
            raise KeyboardInterrupt
        return train(*arguments, **more)

    monkeypatch.setattr(small_network, "train", once_too_often)
    with pytest.raises(KeyboardInterrupt):
        replay(folders, tmp_path / "parts", *chosen)
    replay(folders, tmp_path / "parts", *chosen)
    assert (
        len(trainings) == 1 + 2 * (2 + 3) + 1
    )  # phantoms; per seed two rounds, then one more of three; the broken one
    whole, parts = (json.loads((tmp_path / name / "rounds.json").read_text()) for name in ("whole", "parts"))
    assert whole == parts
    assert {told["seeds"] for told in whole["strategies"].values()} == {2}
    assert set(whole["strategies"]) == set(chosen[1:])
    rows = (tmp_path / "whole" / "rounds.csv").read_text().splitlines()
    assert rows == (tmp_path / "parts" / "rounds.csv").read_text().splitlines()
    assert len(rows) == 1 + 4 * 2 * 2
    assert (tmp_path / "whole" / "rounds.png").read_bytes().startswith(b"\x89PNG")
    assert not list((tmp_path / "whole").rglob("uncertainty*.pt"))


def test_the_kernel_learner_gives_the_same_figures_again(folders: Any, tmp_path: Path) -> None:
    for name in ("one", "two"):
        given = ["rounds", "--data", str(folders.data), "--output", str(tmp_path / name), "--seeds", "2", *START]
        rounds.run(command.parse_arguments(given))
    one, two = ((tmp_path / name / "rounds.csv").read_text() for name in ("one", "two"))
    assert one == two
    assert len(one.splitlines()) == 1 + len(rounds.ALL) * 2 * 2
    with pytest.raises(ValueError, match="holds a replay with other settings"):
        replay(folders, tmp_path / "one")


def kernel_learner(seed: int) -> tuple[KernelLearner, small_network.LabelledImages]:
    """Six phantoms, looked at by a network that has learnt nothing; the first is held out as well."""
    torch.manual_seed(seed)
    phantoms = rounds.read_images(rounds.synthetic_items(6, 0, 0))
    return KernelLearner(small_network.SmallLandmarkNet().eval(), phantoms, phantoms[[0]]), phantoms


def test_the_kernel_learner_knows_what_it_has_learnt_better_than_the_rest() -> None:
    learner, _ = kernel_learner(0)
    known, unknown = (float(learner.errors(learner.learn(chosen, None, 0)).mean()) for chosen in ([0, 1, 2], [3, 4, 5]))
    assert known < unknown / 3
    told = learner.opinions(learner.learn([0, 1, 2], None, 0))
    entropies = [opinion.entropy for opinion in told]
    assert max(entropies[:3]) < min(entropies[3:])
    assert min(entropies) > 0
    assert max(entropies) <= 1
    assert {opinion.shape.shape for opinion in told} == {(17, 2)}
    assert all(0 <= opinion.disagreement <= 1 for opinion in told)


def test_the_kernel_learner_is_the_same_for_a_mirrored_image() -> None:
    """An image is also learnt mirrored: held out mirrored, it has the same errors, side for side."""
    learner, phantoms = kernel_learner(1)
    mirrored = kernel_regression._mirrored(phantoms.labels[..., :2].numpy())
    labels = torch.from_numpy(np.concatenate([mirrored, phantoms.labels[..., 2:].numpy()], -1))
    flipped = small_network.LabelledImages(phantoms.images.flip(-1), labels)
    torch.manual_seed(1)
    other = KernelLearner(small_network.SmallLandmarkNet().eval(), phantoms, flipped[[0]])
    errors, reversed_ = (one.errors(one.learn([1, 2, 3], None, 0))[0] for one in (learner, other))
    np.testing.assert_allclose(reversed_[:, [1, 0, 3, 2]], errors, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--sizes", "2", "1"], r"--sizes must grow from round to round, got \[2, 1\]"),
        (["--sizes", "1", "3"], "--sizes ends with 3 images, but only 2 are available"),
        (["--seeds", "1"], "--seeds must be at least 2"),
        (["--fold", "4"], "fold 4 has no image"),
    ],
    ids=["order", "too many", "seeds", "fold"],
)
def test_bad_arguments_are_named(folders: Any, tmp_path: Path, more: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replay(folders, tmp_path / "out", *more)


def test_a_folder_of_another_replay_is_left_alone(folders: Any, tmp_path: Path) -> None:
    replay(folders, tmp_path, "--strategies", "random")
    with pytest.raises(ValueError, match="holds a replay with other settings"):
        replay(folders, tmp_path, "--strategies", "random", "--steps", "3")


def test_errors_are_in_steps_of_the_labelled_spine(ladder: np.ndarray) -> None:
    """A network that says 0 everywhere puts every point into the middle of the first cell, at (1.5, 1.5)."""
    network = small_network.SmallLandmarkNet().eval()
    for layers in (network.heatmap, network.offset, network.corner_offset):
        torch.nn.init.zeros_(layers[-1].get_parameter("weight"))
        torch.nn.init.zeros_(layers[-1].get_parameter("bias"))
    label = torch.from_numpy(np.concatenate([ladder, np.full((17, 5, 1), PRESENT)], -1))[None].float()
    data = small_network.LabelledImages(torch.rand(1, 1, 192, 64), label)
    errors = small_network.corner_errors(network, LandmarkCodec(load_config().codec), data)
    np.testing.assert_allclose(errors[0], np.linalg.norm(ladder[:, 1:] - 1.5, axis=-1) / 16, rtol=1e-5)
