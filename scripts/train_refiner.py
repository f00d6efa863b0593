"""Train the corner network, which finds corners in patches, on the AASCE layout; an interrupted run goes on.

It has no expected errors yet: scripts/calibrate.py measures them, or copies those of another weight file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _app_path  # noqa: F401

# isort: split
import torch

import _training
from lib.learning.config import DEFAULT_WEIGHTS_FILE, load_config
from lib.learning.data.aasce import folds, read_aasce, to_items
from lib.learning.training.corner_trainer import CornerTrainer
from lib.learning.weights.provenance import AASCE, init_facts, trained_on
from lib.learning.weights.weight_files import file_digest, load_weights


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE, help="weight file that it goes into")
    parser.add_argument("--init", type=Path, help="weight file whose corner network is trained on")
    _training.add_arguments(parser, "refiner_training.epochs 3")
    return _training.parse(parser, arguments)


def train(arguments: argparse.Namespace, device: torch.device) -> None:
    """Train on a device, alone or as one of several processes.

    Raises:
        ValueError: a setting or a file is not as it should be.
        OSError: a file cannot be read or written.
        FloatingPointError: the loss is no longer finite.
    """
    config = load_config(arguments.config, dict(arguments.set))
    records = read_aasce(arguments.data, "training")
    fold_of = folds(records)
    items = [to_items([record]) for record in records]  # none of records with wrong geometry
    checked = [i for part, fold in zip(items, fold_of, strict=True) for i in part if fold == arguments.fold]
    kept = [i for part, fold in zip(items, fold_of, strict=True) for i in part if fold != arguments.fold]
    base = load_weights(arguments.weights)
    assumed = arguments.assume_unseen
    trained_on(base.facts).check_unseen(arguments.fold, arguments.weights.name, assume_unseen=assumed)
    facts = {"data": AASCE, "fold": arguments.fold, "radiographs": len(kept)}
    facts["base"] = file_digest(arguments.weights)
    initial = None
    if arguments.init:
        refiner = load_weights(arguments.init).refiner
        if refiner is None:
            raise ValueError(f"{arguments.init.name} holds no corner network to start from")
        trained_on(refiner.facts).check_unseen(arguments.fold, arguments.init.name, assume_unseen=assumed)
        initial = refiner.state
        facts["init"] = init_facts(arguments.init, refiner.facts)
    trainer = CornerTrainer(
        config,
        base,
        arguments.output,
        device,
        arguments.workers,
        initial,
        facts,
        full_precision=arguments.full_precision,
    )
    words = f"training on {len(kept)} radiographs, {_training.checking(arguments.fold, len(checked))}"
    _training.fit(trainer, kept, checked, words)


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    return _training.run("train_refiner", arguments.device, lambda device: train(arguments, device))


if __name__ == "__main__":
    raise SystemExit(main())
