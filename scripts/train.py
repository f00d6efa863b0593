"""Train the landmark network on the AASCE layout plus phantoms, holding one fold out; an interrupted run goes on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

import _app_path  # noqa: F401
import _training
from lib.learning import boxes
from lib.learning.aasce import folds, read_aasce, to_items
from lib.learning.config import load_config
from lib.learning.devices import choose_device
from lib.learning.imagenet import load_imagenet_backbone
from lib.learning.naming import read_names, rename_items
from lib.learning.network import LandmarkNet
from lib.learning.synthetic import synthetic_items
from lib.learning.training import Trainer
from lib.learning.transforms import IMAGE
from lib.learning.weights import load_weights
from lib.spine.geometry import with_centers
from lib.spine.priors import DEFAULT_PRIOR, LEAST_SPINES, measure_prior


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boxes", type=Path, help="radiographs with unnamed boxes to learn from as well")
    parser.add_argument("--names", type=Path, help="table of scripts/audit_names.py: names to move, or not to learn")
    parser.add_argument("--imagenet", type=Path, help="public ImageNet weights of the backbone to start from")
    parser.add_argument("--init", type=Path, help="weight file to start from")
    _training.add_arguments(parser, "training.epochs 3")
    return parser.parse_args(arguments)


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        config = load_config(arguments.config, dict(arguments.set))
        records = read_aasce(arguments.data, "training")
        initial = load_weights(arguments.init).state if arguments.init else None
        if arguments.imagenet:
            torch.manual_seed(config.training.seed)
            network = LandmarkNet(config.network)
            load_imagenet_backbone(arguments.imagenet, network.backbone)
            initial = network.state_dict()
        fold_of = folds(records)
        held_out = [record for record, fold in zip(records, fold_of, strict=True) if fold == arguments.fold]
        kept = [record for record, fold in zip(records, fold_of, strict=True) if fold != arguments.fold]
        real, checked = to_items(kept), to_items(held_out)
        facts = {"data": "AASCE training split", "fold": arguments.fold, "radiographs": len(real)}
        if arguments.boxes:
            boxed = [record for record in boxes.read_boxes(arguments.boxes) if record.fold != arguments.fold]
            boxed = boxed[: config.training.boxed]
            real += boxes.to_items(boxed)
            facts["boxed_radiographs"] = len(boxed)
        if arguments.names:
            names = read_names(arguments.names)
            real = rename_items(real, names)
            facts["renamed_radiographs"] = sum(Path(item[IMAGE]).name in names for item in real)
        device = choose_device(arguments.device)
        clean = [with_centers(record.corners) for record in kept if record.is_clean]
        prior = measure_prior(np.stack(clean)) if len(clean) >= LEAST_SPINES else DEFAULT_PRIOR
        trainer = Trainer(config, arguments.output, device, arguments.workers, initial, facts, prior)
        schedule = config.training
        training = real + synthetic_items(schedule.phantoms, schedule.spineless, schedule.seed)
        print(f"training on {len(real)} radiographs and {len(training) - len(real)} synthetic images, ", end="")
        print(f"checking on {len(checked)} radiographs of fold {arguments.fold}")
        print(trainer.fit(training, checked))
    except (OSError, ValueError, FloatingPointError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
