"""Train the second network, which finds corners in patches, on the AASCE layout; an interrupted run goes on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import _app_path  # noqa: F401
from lib.learning.aasce import FOLDS, folds, read_aasce, to_items
from lib.learning.config import DEFAULT_CONFIG_FILE, DEFAULT_WEIGHTS_FILE, load_config
from lib.learning.devices import choose_device
from lib.learning.refiner_training import RefinerTrainer
from lib.learning.weights import load_weights


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data set in the AASCE layout")
    parser.add_argument("--fold", type=int, default=0, choices=range(FOLDS), help="fold held out for validation")
    parser.add_argument("--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS_FILE, help="weight file that it goes into")
    parser.add_argument("--init", type=Path, help="weight file whose second network is trained on")
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG_FILE)
    parser.add_argument(
        "--set", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="e.g. refiner_training.epochs 3"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare patches")
    return parser.parse_args(arguments)


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        config = load_config(arguments.config, dict(arguments.set))
        records = read_aasce(arguments.data, "training")
        fold_of = folds(records)
        items = [to_items([record]) for record in records]  # none of records with wrong geometry
        checked = [i for part, fold in zip(items, fold_of, strict=True) for i in part if fold == arguments.fold]
        kept = [i for part, fold in zip(items, fold_of, strict=True) for i in part if fold != arguments.fold]
        initial = None
        if arguments.init:
            refiner = load_weights(arguments.init).refiner
            if refiner is None:
                raise ValueError(f"{arguments.init.name} holds no second network to start from")
            initial = refiner.state
        facts = {"data": "AASCE training split", "fold": arguments.fold, "radiographs": len(kept)}
        base = load_weights(arguments.weights)
        device = choose_device(arguments.device)
        trainer = RefinerTrainer(config, base, arguments.output, device, arguments.workers, initial, facts)
        print(f"training on {len(kept)} radiographs, checking on {len(checked)} of fold {arguments.fold}")
        print(trainer.fit(kept, checked))
    except (OSError, ValueError, FloatingPointError) as error:
        print(f"train_refiner: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
