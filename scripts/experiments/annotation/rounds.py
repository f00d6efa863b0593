"""Label images in rounds, chosen by each strategy: error on held-out images against the number of labelled ones."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments import plot_style
from experiments.annotation import round_figures, small_network
from experiments.annotation.kernel_regression import KernelLearner
from experiments.annotation.small_network import INPUT, LabelledImages, NetworkLearner
from lib.learning.active_learning import STRATEGIES
from lib.learning.codec import LandmarkCodec
from lib.learning.config import load_config
from lib.learning.data import IMAGE, LABEL
from lib.learning.data.aasce import FOLDS, Record, folds, read_aasce, to_items
from lib.learning.data.image_views import fitting_matrix
from lib.learning.data.synthetic import synthetic_items
from lib.learning.data.transforms import LoadRadiographd, move
from lib.spine.atomic_write import atomic_write

ALL = (round_figures.BASELINE, *STRATEGIES, "first")
SIZES = (20, 30, 45, 65, 90, 120, 160, 200)
PHANTOMS = 500
KERNEL, NETWORK = "kernel", "network"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to replay, and how long the networks learn."""
    parser.add_argument("--data", type=Path, required=True, help="data set in the AASCE layout; its training split")
    parser.add_argument("--output", type=Path, required=True, help="folder of results; an interrupted run goes on")
    learners = "by an exact kernel regression on the maps of a small network, or by training that network"
    parser.add_argument("--learner", choices=(KERNEL, NETWORK), default=KERNEL, help=f"labels are learnt {learners}")
    parser.add_argument("--seeds", type=int, default=20, help="how many repetitions, each from other first images")
    parser.add_argument("--strategies", nargs="+", choices=ALL, default=ALL)
    folds_help = "of images that errors are measured on; of several, a repetition's errors are means over them"
    parser.add_argument("--fold", type=int, nargs="+", choices=range(FOLDS), default=[0], help=folds_help)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="labelled images of each round")
    parser.add_argument("--phantoms", type=int, default=PHANTOMS, help="that the first weights are learnt from")
    parser.add_argument("--start-steps", type=int, default=3000, help="of learning from phantoms")
    parser.add_argument("--first-steps", type=int, default=600, help="of the network in the first round")
    parser.add_argument(
        "--steps", type=int, default=200, help="of the network in every other round, from the one before"
    )


def run(arguments: argparse.Namespace) -> None:
    """Replay what is missing and write ``rounds.csv``, ``rounds.json`` and ``rounds.png``.

    Raises:
        ValueError: the rounds do not grow or take more images than there are, or the folder holds another replay.
        OSError: a file cannot be read or written.
    """
    sizes = list(arguments.sizes)
    if sizes != sorted(set(sizes)) or sizes[0] < 1:
        raise ValueError(f"--sizes must grow from round to round, got {sizes}")
    if arguments.seeds < 2:
        raise ValueError(f"--seeds must be at least 2, so that there is an interval, got {arguments.seeds}")
    plot_style.check_library()
    torch.set_num_threads(1)  # the same figures on any machine, and other cores are left to others
    records = read_aasce(arguments.data, "training")
    dealt = [(record, fold) for record, fold in zip(records, folds(records), strict=True) if record.is_clean]
    settings, chosen = settings_of(arguments), sorted(set(arguments.fold))
    replays = [Replay(arguments, settings, dealt, fold) for fold in chosen]
    for seed in range(arguments.seeds):
        for strategy in dict.fromkeys([round_figures.BASELINE, *arguments.strategies]):
            for replay in replays:
                rounds = replay.rounds(strategy, seed)
                said = " ".join(f"{r['labels']}: {r['error']:.3f}" for r in rounds)
                print(f"seed {seed} {replay.folder.name} {strategy:15s} {said}", flush=True)
        if seed > 0:
            round_figures.write(arguments.output, settings, [replay.folder for replay in replays])


def settings_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What all replays of a folder share; it is noted there.

    Raises:
        ValueError: the folder holds a replay with other settings.
        OSError: it cannot be written.
    """
    arguments.output.mkdir(parents=True, exist_ok=True)
    names = ["learner", "phantoms", "start_steps"]
    names += ["first_steps", "steps"] if arguments.learner == NETWORK else []
    settings = {**{name: getattr(arguments, name) for name in names}, "sizes": list(arguments.sizes)}
    path = arguments.output / "settings.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != settings:
        raise ValueError(f"{arguments.output} holds a replay with other settings ({path.name}); choose another folder")
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(settings), encoding="utf-8")
    return settings


class Replay:
    """Rounds of choosing, labelling and learning."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        settings: Mapping[str, Any],
        dealt: Sequence[tuple[Record, int]],
        fold: int,
    ) -> None:
        self.folder: Path = arguments.output / f"fold{fold}"
        self.folder.mkdir(exist_ok=True)
        self.settings = settings
        pool = sorted((record for record, of in dealt if of != fold), key=lambda record: record.path.name)
        held_out = [record for record, of in dealt if of == fold]
        if not held_out:
            raise ValueError(f"fold {fold} has no image")
        if len(pool) < arguments.sizes[-1]:
            raise ValueError(f"--sizes ends with {arguments.sizes[-1]} images, but only {len(pool)} are available")
        data = read_images(to_items(pool)), read_images(to_items(held_out))
        self.pool, start = len(pool), self._start(arguments.output / "start.pt")
        self.learner: KernelLearner | NetworkLearner
        if arguments.learner == NETWORK:
            self.learner = NetworkLearner(start, *data, (arguments.first_steps, arguments.steps))
        else:
            self.learner = KernelLearner(start, *data)

    def _start(self, path: Path) -> small_network.SmallLandmarkNet:
        """A network that has learnt from phantoms alone."""
        if not path.exists():
            phantoms = read_images(synthetic_items(self.settings["phantoms"], 0, 0))
            codec = LandmarkCodec(load_config().codec)
            small_network.save(path, small_network.train(phantoms, codec, self.settings["start_steps"], 0))
        return small_network.load(path)

    def rounds(self, strategy: str, seed: int) -> list[dict[str, Any]]:
        """Figures of every round of a strategy; what was interrupted goes on after the last whole round.

        Random choice comes first: the others begin with its first round.
        """
        path = self.folder / f"{strategy}-{seed}.json"
        kept, first = path.with_suffix(".pt"), self.folder / f"first_round-{seed}.pt"
        done: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        deck = np.random.default_rng(seed).permutation(self.pool).tolist()
        if not done and strategy != round_figures.BASELINE:  # the first round is the same for all
            done = self.rounds(round_figures.BASELINE, seed)[:1]
            if first.exists():
                shutil.copyfile(first, kept)
        learner: Any = self.learner
        for number in range(len(done), len(self.settings["sizes"])):
            labelled: list[int] = done[-1]["chosen"] if done else []
            learnt = learner.taken_up(kept, labelled) if number else None
            chosen = self._chosen(strategy, deck, labelled, self.settings["sizes"][number], learnt)
            learnt = learner.learn(chosen, learnt, 1000 * seed + number)
            figures = round_figures.figures(learner.errors(learnt))
            done = [*done, {"labels": len(chosen), **figures, "chosen": chosen}]
            learner.keep(learnt, kept)
            if number == 0:
                learner.keep(learnt, first)
            with atomic_write(path) as temporary:  # after the weights: killed in between, the round is done once more
                temporary.write_text(json.dumps(done), encoding="utf-8")
        kept.unlink(missing_ok=True)
        return done

    def _chosen(self, strategy: str, deck: list[int], labelled: list[int], size: int, learnt: Any) -> list[int]:
        """Places of the images that are labelled in a round: those before, and the next ones."""
        if not labelled or strategy == round_figures.BASELINE:
            return deck[:size]
        known, missing = set(labelled), size - len(labelled)
        rest = [index for index in range(len(deck)) if index not in known]
        if strategy == "first":
            return labelled + rest[:missing]
        opinions = self.learner.opinions(learnt)
        picked = STRATEGIES[strategy].choose([opinions[i] for i in rest], [opinions[i] for i in labelled], missing)
        return labelled + [rest[i] for i in picked]


def read_images(items: Iterable[dict[str, Any]]) -> LabelledImages:
    """Images and labels at the size that the small network sees."""
    images, labels = [], []
    for item in items:
        data = LoadRadiographd()(item)
        height, width = data[IMAGE].shape[-2:]
        data = move(data, fitting_matrix(height, width, INPUT), (INPUT.height, INPUT.width))
        images.append(data[IMAGE])
        labels.append(torch.from_numpy(data[LABEL]).float())
    return LabelledImages(torch.stack(images), torch.stack(labels))
