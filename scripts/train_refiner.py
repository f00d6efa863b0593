"""Train the corner network, which finds corners in patches, on labelled images; an interrupted run goes on.

It has no expected errors yet: scripts/calibrate.py measures them, or copies those of another weight file.
"""

from __future__ import annotations

import argparse

import _app_path  # noqa: F401

# isort: split
import torch

import _training
from _data_arguments import keep_folds, read_data
from _path_arguments import existing_file
from lib.learning.config import DEFAULT_WEIGHTS_FILE, load_config
from lib.learning.data.formats.data_set import to_items
from lib.learning.data.formats.folds import check_fold
from lib.learning.data.patches import can_be_patched
from lib.learning.training.corner_trainer import CornerTrainer
from lib.learning.weights.provenance import facts_of, init_facts, trained_on
from lib.learning.weights.weight_files import file_digest, load_weights


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--weights", type=existing_file, default=DEFAULT_WEIGHTS_FILE, help="weight file that it goes into"
    )
    parser.add_argument("--init", type=existing_file, help="weight file whose corner network is trained on")
    _training.add_arguments(parser, "refiner_training.epochs 3")
    return _training.parse(parser, arguments)


def train(arguments: argparse.Namespace, device: torch.device) -> None:
    """Train on a device, alone or as one of several processes.

    Raises:
        ValueError: a setting or a file is not as it should be.
        OSError: a file cannot be read or written.
        FloatingPointError: the loss is no longer finite.
    """
    _training.check_logs(arguments.log)
    config = load_config(arguments.config, dict(arguments.set))
    data = read_data(arguments, [arguments.weights], arguments.output, is_learnt=True)
    checked = [item for item in to_items(check_fold(data, arguments.fold)) if can_be_patched(item)]
    usable = (image for image in data.outside(arguments.fold) if image.label is not None)
    learnt = [image for image in usable if can_be_patched(image.item())]
    if not learnt:
        raise ValueError(f"no label of {data.name} to learn from has two neighbouring vertebrae with all corners")
    kept = to_items(learnt)
    base = load_weights(arguments.weights)
    assumed = arguments.assume_unseen
    trained_on(base.facts).check_held_out(data, arguments.fold, arguments.weights.name, assumed)
    facts = facts_of(data, arguments.fold, learnt)
    facts["base"] = file_digest(arguments.weights)
    initial = None
    if arguments.init:
        refiner = load_weights(arguments.init).refiner
        if refiner is None:
            raise ValueError(f"{arguments.init.name} holds no corner network to start from")
        seen = trained_on(refiner.facts)
        seen.check_held_out(data, arguments.fold, arguments.init.name, assumed)
        initial = refiner.state
        facts["init"] = init_facts(file_digest(arguments.init), seen)
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
    keep_folds(arguments, data, arguments.output)
    words = f"training on {len(kept)} radiographs, {_training.checking(arguments.fold, len(checked))}"
    _training.fit(arguments, trainer, kept, checked, words)


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    return _training.run("train_refiner", arguments.device, lambda device: train(arguments, device))


if __name__ == "__main__":
    raise SystemExit(main())
