"""Train the landmark network on labelled images plus phantoms, holding one fold out or none; can be interrupted."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import _app_path  # noqa: F401  # before torch is loaded

# isort: split
import numpy as np
import torch

import _training
from _data_arguments import keep_folds, read_data
from _held_out_arguments import add_boxes_fold
from _path_arguments import existing_file
from lib.learning.config import Config, load_config
from lib.learning.data import IMAGE, boxed_images
from lib.learning.data.formats.data_set import DataSet, to_items
from lib.learning.data.formats.folds import check_fold
from lib.learning.data.synthetic import synthetic_items
from lib.learning.models.landmark_net import LandmarkNet
from lib.learning.prediction.level_names import read_model_folds, read_names, rename_items
from lib.learning.training.distributed import is_first
from lib.learning.training.landmark_trainer import LandmarkTrainer
from lib.learning.weights.imagenet import load_imagenet_backbone
from lib.learning.weights.provenance import BOXED, facts_of, init_facts, trained_on
from lib.learning.weights.weight_files import file_digest, load_weights
from lib.spine.chain_prior import DEFAULT_PRIOR, MIN_SPINES, measure_prior


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boxes", type=Path, help="radiographs with unnamed boxes to learn from as well")
    add_boxes_fold(parser, "--boxes")
    parser.add_argument(
        "--names", type=existing_file, help="table of scripts/audit_names.py: names to move, or not to learn"
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--imagenet", type=existing_file, help="public ImageNet weights of the backbone to start from")
    start.add_argument(
        "--init", type=existing_file, help="weight file to start from, which has not seen what is held out"
    )
    _training.add_arguments(parser, "training.epochs 3")
    parsed = _training.parse(parser, arguments)
    if not hasattr(parsed, "boxes_fold"):
        parsed.boxes_fold = parsed.fold
    elif parsed.boxes is None:
        parser.error("--boxes-fold goes with --boxes only")
    return parsed


def starting_point(
    arguments: argparse.Namespace, config: Config, data: DataSet
) -> tuple[dict[str, torch.Tensor] | None, dict[str, Any]]:
    """Weights to start from, if any, and their provenance.

    Raises:
        ValueError: they do not fit, or were trained on what is held out.
        OSError: their file cannot be read.
    """
    if arguments.imagenet:
        torch.manual_seed(config.training.seed)
        network = LandmarkNet(config.network)
        load_imagenet_backbone(arguments.imagenet, network.backbone)
        return network.state_dict(), {"imagenet": file_digest(arguments.imagenet)}
    if arguments.init:
        given = load_weights(arguments.init)
        seen, name, assumed = trained_on(given.facts), arguments.init.name, arguments.assume_unseen
        seen.check_held_out(data, arguments.fold, name, assumed)
        if arguments.boxes:
            seen.check_unseen(arguments.boxes_fold, name, BOXED, assumed)
        return given.state, {"init": init_facts(file_digest(arguments.init), seen)}
    return None, {}


def warn_of_names(table: Path, fold: int | None) -> None:
    """Warn where the model of a table of names was trained on the held-out fold, or where that is unknown."""
    if fold is None:
        return
    model_folds = read_model_folds(table)
    if model_folds is None:
        statement = f"does not say on which images its model was trained, so that fold {fold} may be among them"
    elif fold in model_folds:
        statement = f"was made by a model that was trained on fold {fold}, which is held out"
    else:
        return
    print(f"train: {table.name} {statement}; errors on that fold may come out a little too small", file=sys.stderr)


def train(arguments: argparse.Namespace, device: torch.device) -> None:
    """Train on a device, alone or as one of several processes.

    Raises:
        ValueError: a setting or a file is not as it should be.
        OSError: a file cannot be read or written.
        FloatingPointError: the loss is no longer finite.
    """
    _training.check_logs(arguments.log)
    config = load_config(arguments.config, dict(arguments.set))
    data = read_data(arguments, run=arguments.output, is_learnt=True)
    initial, begun = starting_point(arguments, config, data)
    checked = to_items(check_fold(data, arguments.fold))
    kept = [image for image in data.outside(arguments.fold) if image.label is not None]
    real = to_items(kept)
    facts = {**facts_of(data, arguments.fold, kept), **begun}
    if arguments.boxes:
        boxed = [record for record in boxed_images.read_boxes(arguments.boxes) if record.fold != arguments.boxes_fold]
        boxed = boxed[: config.training.boxed]
        real += boxed_images.to_items(boxed)
        facts["boxed_radiographs"] = len(boxed)
        if arguments.boxes_fold != arguments.fold:
            facts["boxes_fold"] = arguments.boxes_fold
    if arguments.names:
        if is_first():
            warn_of_names(arguments.names, arguments.fold)
        names = read_names(arguments.names)
        facts["names"] = file_digest(arguments.names)
        real = rename_items(real, names)
        facts["renamed_radiographs"] = sum(Path(item[IMAGE]).name in names for item in real)
    clean = [image.upright(image.points) for image in kept if image.is_trusted and image.is_complete]
    prior = measure_prior(np.stack(clean)) if len(clean) >= MIN_SPINES else DEFAULT_PRIOR
    trainer = LandmarkTrainer(
        config,
        arguments.output,
        device,
        arguments.workers,
        initial,
        facts,
        prior,
        full_precision=arguments.full_precision,
    )
    keep_folds(arguments, data, arguments.output)
    schedule = config.training
    training = real + synthetic_items(schedule.phantoms, schedule.spineless, schedule.seed)
    words = f"training on {len(real)} radiographs and {len(training) - len(real)} synthetic images"
    words += f", {_training.checking(arguments.fold, len(checked))}"
    _training.fit(arguments, trainer, training, checked, words)


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    return _training.run("train", arguments.device, lambda device: train(arguments, device))


if __name__ == "__main__":
    raise SystemExit(main())
