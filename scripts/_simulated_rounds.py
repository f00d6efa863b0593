"""Label films in rounds, chosen by each strategy: error on held-out films against the number of labelled ones."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import _app_path  # noqa: F401
import _plots
import _rounds_figures
import _small_learner
from _small_learner import INPUT, Films
from lib.learning.aasce import folds, read_aasce, to_items
from lib.learning.choosing import STRATEGIES, choose, opinions_of
from lib.learning.codec import LandmarkCodec
from lib.learning.config import load_config
from lib.learning.decoders import make_decoder
from lib.learning.synthetic import synthetic_items
from lib.learning.transforms import IMAGE, LABEL, LoadRadiographd, fitting_matrix, move
from lib.spine.files import replacing
from lib.spine.priors import DEFAULT_PRIOR

ALL = (_rounds_figures.BASELINE, *STRATEGIES, "first")
SIZES = (20, 30, 45, 65, 90, 120, 160, 200)
PHANTOMS = 500
_BATCH = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to replay, and how long the networks learn."""
    parser.add_argument("--data", type=Path, required=True, help="data set in the AASCE layout; its training split")
    parser.add_argument("--output", type=Path, required=True, help="folder of results; an interrupted run goes on")
    parser.add_argument("--seeds", type=int, default=5, help="how many repetitions, each from other first films")
    parser.add_argument("--strategies", nargs="+", choices=ALL, default=ALL)
    parser.add_argument("--fold", type=int, default=0, help="fold of films that errors are measured on")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="labelled films of each round")
    parser.add_argument("--phantoms", type=int, default=PHANTOMS, help="that the first weights are learnt from")
    parser.add_argument("--start-steps", type=int, default=3000, help="of learning from phantoms")
    parser.add_argument("--first-steps", type=int, default=600, help="of learning in the first round")
    parser.add_argument("--steps", type=int, default=200, help="of learning in every other round, from the one before")


def run(arguments: argparse.Namespace) -> None:
    """Replay what is missing and write ``rounds.csv``, ``rounds.json`` and ``rounds.png``.

    Raises:
        ValueError: the rounds do not grow or take more films than there are, or the folder holds another replay.
        OSError: a file cannot be read or written.
    """
    sizes = list(arguments.sizes)
    if sizes != sorted(set(sizes)) or sizes[0] < 1:
        raise ValueError(f"--sizes must grow from round to round, got {sizes}")
    if arguments.seeds < 2:
        raise ValueError(f"--seeds must be at least 2, so that there is an interval, got {arguments.seeds}")
    _plots.check_library()
    torch.set_num_threads(1)  # the same figures on any machine, and other cores are left to others
    replay = Replay(arguments)
    for seed in range(arguments.seeds):
        for strategy in dict.fromkeys([_rounds_figures.BASELINE, *arguments.strategies]):
            rounds = replay.rounds(strategy, seed)
            said = " ".join(f"{r['labels']}: {r['error']:.3f}" for r in rounds)
            print(f"seed {seed} {strategy:15s} {said}", flush=True)
        if seed > 0:
            _rounds_figures.write(arguments.output, replay.settings)


class Replay:
    """Rounds of choosing, labelling and learning."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.folder: Path = arguments.output
        self.folder.mkdir(parents=True, exist_ok=True)
        names = ("fold", "sizes", "phantoms", "start_steps", "first_steps", "steps")
        self.settings = {name: getattr(arguments, name) for name in names}
        self.settings["sizes"] = list(arguments.sizes)
        self.config = load_config()
        self.codec = LandmarkCodec(self.config.codec)
        self.decoder = make_decoder("map", self.codec, DEFAULT_PRIOR, self.config.map)
        records = read_aasce(arguments.data, "training")
        dealt = [(record, fold) for record, fold in zip(records, folds(records), strict=True) if record.is_clean]
        pool = sorted((r for r, fold in dealt if fold != arguments.fold), key=lambda record: record.path.name)
        held_out = [r for r, fold in dealt if fold == arguments.fold]
        if not held_out:
            raise ValueError(f"fold {arguments.fold} has no film; there are {max(fold for _, fold in dealt) + 1} folds")
        if len(pool) < arguments.sizes[-1]:
            raise ValueError(f"--sizes ends with {arguments.sizes[-1]} films, but there are {len(pool)} to choose from")
        self.settings |= {"pool": len(pool), "held_out": len(held_out)}
        self._check_settings()
        self.pool, self.held_out = read_films(to_items(pool)), read_films(to_items(held_out))
        self.start = self._start()

    def _check_settings(self) -> None:
        path = self.folder / "settings.json"
        if path.exists() and json.loads(path.read_text(encoding="utf-8")) != self.settings:
            raise ValueError(f"{self.folder} holds a replay with other settings ({path.name}); choose another folder")
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(self.settings), encoding="utf-8")

    def _start(self) -> dict[str, torch.Tensor]:
        """Weights learnt from phantoms alone."""
        path = self.folder / "start.pt"
        if not path.exists():
            phantoms = read_films(synthetic_items(self.settings["phantoms"], 0, 0))
            network = _small_learner.train(phantoms, self.codec, self.settings["start_steps"], 0)
            _save(path, network.state_dict())
        return _load(path)

    def rounds(self, strategy: str, seed: int) -> list[dict[str, Any]]:
        """Figures of every round of a strategy; what was interrupted goes on after the last whole round.

        Random choice comes first: the others begin with its first round.
        """
        path = self.folder / f"{strategy}-{seed}.json"
        weights = path.with_suffix(".pt")
        done: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        deck = np.random.default_rng(seed).permutation(len(self.pool)).tolist()
        if not done and strategy != _rounds_figures.BASELINE:  # the first round is the same for all
            done = self.rounds(_rounds_figures.BASELINE, seed)[:1]
            _save(weights, _load(self._first_weights(seed)))
        for number in range(len(done), len(self.settings["sizes"])):
            network = self._network(weights) if number else None
            labelled: list[int] = done[-1]["chosen"] if done else []
            chosen = self._chosen(strategy, deck, labelled, self.settings["sizes"][number], network)
            steps = self.settings["steps" if number else "first_steps"]
            start = _load(weights) if number else self.start
            network = _small_learner.train(self.pool[chosen], self.codec, steps, 1000 * seed + number, start)
            errors = _small_learner.film_errors(network, self.codec, self.held_out)
            done = [*done, {"labels": len(chosen), **_rounds_figures.figures(errors), "chosen": chosen}]
            _save(weights, network.state_dict())
            if number == 0:
                _save(self._first_weights(seed), network.state_dict())
            with replacing(path) as temporary:  # after the weights: killed in between, the round is done once more
                temporary.write_text(json.dumps(done), encoding="utf-8")
        weights.unlink(missing_ok=True)
        return done

    def _first_weights(self, seed: int) -> Path:
        return self.folder / f"first_round-{seed}.pt"

    def _chosen(self, strategy: str, deck: list[int], labelled: list[int], size: int, network: Any) -> list[int]:
        """Places of the films that are labelled in a round: those before, and the next ones."""
        if not labelled:
            return deck[:size]
        known, missing = set(labelled), size - len(labelled)
        if strategy == _rounds_figures.BASELINE:
            return deck[:size]
        rest = [place for place in range(len(self.pool)) if place not in known]
        if strategy == "first":
            return labelled + rest[:missing]
        opinions = []
        for start in range(0, len(self.pool), _BATCH):
            images = self.pool.images[start : start + _BATCH]
            opinions += opinions_of(network, self.codec, self.decoder, images)
        picked = choose(strategy, [opinions[i] for i in rest], [opinions[i] for i in labelled], missing)
        return labelled + [rest[i] for i in picked]

    def _network(self, weights: Path) -> _small_learner.SmallLandmarkNet:
        network = _small_learner.SmallLandmarkNet()
        network.load_state_dict(_load(weights))
        return network.eval()


def read_films(items: Iterable[dict[str, Any]]) -> Films:
    """Films and labels at the size that the small network sees."""
    images, labels = [], []
    for item in items:
        data = LoadRadiographd()(item)
        height, width = data[IMAGE].shape[-2:]
        data = move(data, fitting_matrix(height, width, INPUT), (INPUT.height, INPUT.width))
        images.append(data[IMAGE])
        labels.append(torch.from_numpy(data[LABEL]).float())
    return Films(torch.stack(images), torch.stack(labels))


def _save(path: Path, state: dict[str, torch.Tensor]) -> None:
    with replacing(path) as temporary:
        torch.save(state, temporary)


def _load(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return state
