"""Label images in rounds, chosen by each strategy: error on held-out images against the number of labelled ones."""

from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from experiments import plot_style
from experiments.annotation import pools, round_figures, served_network, small_network
from experiments.annotation.kernel_regression import KernelLearner
from experiments.annotation.kinds import PLAIN, phantom_items
from experiments.annotation.served_network import ServedLearner
from experiments.annotation.small_network import INPUT, LabelledImages, NetworkLearner
from lib.learning.active_learning import STRATEGIES
from lib.learning.codec import LandmarkCodec
from lib.learning.config import load_config
from lib.learning.data import IMAGE, LABEL
from lib.learning.data.aasce import FOLDS, folds, read_aasce
from lib.learning.data.image_views import fitting_matrix
from lib.learning.data.synthetic import synthetic_items
from lib.learning.data.transforms import LoadRadiographd, move
from lib.learning.weights.weight_files import load_weights
from lib.server.training.train_request import read_request
from lib.spine.atomic_write import atomic_write

ALL = (round_figures.BASELINE, *STRATEGIES, "first")
SIZES = (20, 30, 45, 65, 90, 120, 160, 200)
PHANTOMS = 500
KERNEL, NETWORK, SERVED = "kernel", "network", "served"
_OWN_SETTINGS = {KERNEL: (), NETWORK: ("first_steps", "steps"), SERVED: ("start_epochs", "train")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to replay, and how long the networks learn."""
    parser.add_argument("--data", type=Path, required=True, help="data set in the AASCE layout; its training split")
    parser.add_argument("--output", type=Path, required=True, help="folder of results; an interrupted run goes on")
    pool_help = "the images as they are, or of one frequent and several rare kinds; then rounds begin with the former"
    parser.add_argument(
        "--pool", choices=(pools.COLLECTION, pools.MIXED), default=pools.COLLECTION, help=f"of images: {pool_help}"
    )
    learners = "by an exact kernel regression on the maps of a small network, by training that network, or by the "
    learners += "server's own trainer with the network that it serves, at half its input size"
    parser.add_argument("--learner", choices=_OWN_SETTINGS, default=KERNEL, help=f"labels are learnt {learners}")
    parser.add_argument("--seeds", type=int, default=20, help="how many repetitions, each from other first images")
    parser.add_argument("--first-seed", type=int, default=0, help="number of the first repetition")
    parser.add_argument("--strategies", nargs="+", choices=ALL, default=ALL)
    folds_help = "of images that errors are measured on; of several, a repetition's errors are means over them"
    parser.add_argument("--fold", type=int, nargs="+", choices=range(FOLDS), default=[0], help=folds_help)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="labelled images of each round")
    parser.add_argument("--held-out", type=int, default=pools.HELD_OUT, help="images of each kind of a mixed pool")
    parser.add_argument("--phantoms", type=int, default=PHANTOMS, help="that the first weights are learnt from")
    parser.add_argument("--start-steps", type=int, default=3000, help="of the small network's learning from phantoms")
    parser.add_argument("--start-epochs", type=int, default=30, help="of the served network's learning from phantoms")
    parser.add_argument("--first-steps", type=int, default=600, help="of the small network in the first round")
    parser.add_argument(
        "--steps", type=int, default=200, help="of the small network in every other round, from the one before"
    )
    parser.add_argument(
        "--train", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="parameter of POST /train"
    )


def run(arguments: argparse.Namespace) -> None:
    """Replay what is missing and write ``rounds.csv``, ``rounds.json`` and ``rounds.png``.

    Raises:
        ValueError: the rounds do not grow or take more images than there are, a parameter of the training is wrong, or
            the folder holds another replay.
        OSError: a file cannot be read or written.
    """
    sizes = list(arguments.sizes)
    if sizes != sorted(set(sizes)) or sizes[0] < 1:
        raise ValueError(f"--sizes must grow from round to round, got {sizes}")
    if arguments.seeds < 2:
        raise ValueError(f"--seeds must be at least 2, so that there is an interval, got {arguments.seeds}")
    plot_style.check_library()
    torch.set_num_threads(1)  # the same figures on any machine, and other cores are left to others
    settings, chosen = settings_of(arguments), sorted(set(arguments.fold))
    replays = [Replay(arguments, settings, fold) for fold in chosen]
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for strategy in dict.fromkeys([round_figures.BASELINE, *arguments.strategies]):
            for replay in replays:
                rounds = replay.rounds(strategy, seed)
                said = " ".join(f"{r['labels']}: {r['error']:.3f}" for r in rounds)
                print(f"seed {seed} {replay.folder.name} {strategy:15s} {said}", flush=True)
        if seed > arguments.first_seed:
            round_figures.write(arguments.output, settings, [replay.folder for replay in replays])


def settings_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What all replays of a folder share; it is noted there.

    Raises:
        ValueError: the folder holds a replay with other settings.
        OSError: it cannot be written.
    """
    arguments.output.mkdir(parents=True, exist_ok=True)
    names = ["learner", "phantoms", *([] if arguments.learner == SERVED else ["start_steps"])]
    names += [*_OWN_SETTINGS[arguments.learner], *(["pool", "held_out"] if arguments.pool == pools.MIXED else [])]
    settings = {**{name: getattr(arguments, name) for name in names}, "sizes": list(arguments.sizes)}
    path = arguments.output / "settings.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != settings:
        raise ValueError(f"{arguments.output} holds a replay with other settings ({path.name}); choose another folder")
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(settings), encoding="utf-8")
    return settings


def make_pool(arguments: argparse.Namespace, fold: int) -> pools.Pool:
    """The pool of a held-out fold.

    Raises:
        ValueError: it has too few images for the rounds.
        OSError: a file cannot be read.
    """
    records = read_aasce(arguments.data, "training")
    dealt = [(record, of) for record, of in zip(records, folds(records), strict=True) if record.is_clean]
    is_mixed = arguments.pool == pools.MIXED
    pool = pools.mixed(dealt, fold, arguments.held_out) if is_mixed else pools.collection(dealt, fold)
    if len(pool.items) < arguments.sizes[-1]:
        raise ValueError(f"--sizes ends with {arguments.sizes[-1]} images, but only {len(pool.items)} are available")
    return pool


def make_learner(arguments: argparse.Namespace, pool: pools.Pool) -> Any:
    """The learner that was asked for; what it begins with is kept in the folder of results.

    Raises:
        ValueError: a parameter of the training is wrong.
        OSError: a file cannot be read or written.
    """
    start = arguments.output / "start.pt"
    if arguments.learner == SERVED:
        request = read_request({name: json_value(value) for name, value in arguments.train}, "cpu")
        if not start.exists():
            served_network.train_start(start, arguments.phantoms, arguments.start_epochs)
        return ServedLearner(load_weights(start), pool.items, pool.held_out, request)
    if not start.exists():
        is_mixed = arguments.pool == pools.MIXED
        count = arguments.phantoms
        phantoms = read_images(phantom_items(PLAIN, count, 0) if is_mixed else synthetic_items(count, 0, 0))
        codec = LandmarkCodec(load_config().codec)
        small_network.save(start, small_network.train(phantoms, codec, arguments.start_steps, 0))
    network, data = small_network.load(start), (read_images(pool.items), read_images(pool.held_out))
    if arguments.learner == NETWORK:
        return NetworkLearner(network, *data, (arguments.first_steps, arguments.steps))
    return KernelLearner(network, *data)


def json_value(text: str) -> Any:
    """A number or a flag as JSON has it, else the text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


class Replay:
    """Rounds of choosing, labelling and learning.

    Args:
        arguments: of the command.
        settings: see ``settings_of``.
        fold: that is held out.

    Raises:
        ValueError: there are too few images, or a parameter is wrong.
        OSError: a file cannot be read or written.
    """

    def __init__(self, arguments: argparse.Namespace, settings: Mapping[str, Any], fold: int) -> None:
        self.folder: Path = arguments.output / f"fold{fold}"
        self.settings = settings
        self.pool = make_pool(arguments, fold)
        self.folder.mkdir(exist_ok=True)
        self.learner: Any = make_learner(arguments, self.pool)

    def rounds(self, strategy: str, seed: int) -> list[dict[str, Any]]:
        """Figures of every round of a strategy; what was interrupted goes on after the last whole round.

        Random choice comes first: the others begin with its first round.
        """
        path = self.folder / f"{strategy}-{seed}.json"
        kept, first = path.with_suffix(".pt"), self.folder / f"first_round-{seed}.pt"
        done: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        deck = self.pool.deck(seed, self.settings["sizes"][0])
        if not done and strategy != round_figures.BASELINE:  # the first round is the same for all
            done = self.rounds(round_figures.BASELINE, seed)[:1]
            if first.exists():
                shutil.copyfile(first, kept)
        learner = self.learner
        for number in range(len(done), len(self.settings["sizes"])):
            labelled: list[int] = done[-1]["chosen"] if done else []
            learnt = learner.taken_up(kept, labelled) if number else None
            chosen = self._chosen(strategy, deck, labelled, self.settings["sizes"][number], learnt)
            learnt = learner.learn(chosen, learnt, 1000 * seed + number)
            done = [*done, {"labels": len(chosen), **self._figures(learnt, chosen), "chosen": chosen}]
            learner.keep(learnt, kept)
            if number == 0:
                learner.keep(learnt, first)
            with atomic_write(path) as temporary:  # after the weights: killed in between, the round is done once more
                temporary.write_text(json.dumps(done), encoding="utf-8")
        kept.unlink(missing_ok=True)
        return done

    def _figures(self, learnt: Any, chosen: Sequence[int]) -> dict[str, Any]:
        """Errors on the held-out images; of a mixed pool also by kind, with how many of each kind are labelled."""
        errors = self.learner.errors(learnt)
        figures: dict[str, Any] = round_figures.figures(errors)
        if self.settings.get("pool") != pools.MIXED:
            return figures
        labelled, in_pool = Counter(self.pool.kinds[place] for place in chosen), Counter(self.pool.kinds)
        by_kind = {
            kind: {"error": round_figures.figures(of)["error"], "labelled": labelled[kind]}
            for kind, of in self.pool.errors_by_kind(errors).items()
        }
        weighted = sum(in_pool[kind] * figure["error"] for kind, figure in by_kind.items()) / in_pool.total()
        return {**figures, round_figures.AS_IN_POOL: weighted, round_figures.BY_KIND: by_kind}

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
