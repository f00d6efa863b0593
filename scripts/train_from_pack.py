"""Train one network for a given time on the images of scripts/pack_training.py; batches are made on the device.

The network is written to a file of its own, which scripts/join_networks.py puts into a weight file. A checkpoint lies
beside it: the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import _app_path  # noqa: F401  # before torch is loaded

# isort: split
import torch

from _held_out_arguments import add_assume_unseen, add_boxes_fold, add_fold
from _path_arguments import existing_file
from lib.learning.config import DEFAULT_CONFIG_FILE, Config, load_config
from lib.learning.data.formats.folds import check_fold
from lib.learning.models.devices import choose_device
from lib.learning.training.packs.checkpoint import checkpoint_path, read_checkpoint, write_checkpoint
from lib.learning.training.packs.pack_tasks import Initial, build_task
from lib.learning.training.packs.timed_training import TimedSchedule, TimedTraining
from lib.learning.training.packs.training_pack import (
    BOXED,
    GENERATED,
    PHANTOM,
    SPINELESS,
    STRIP,
    PackedImage,
    TrainingPack,
    read_pack,
)
from lib.learning.weights import provenance
from lib.learning.weights.network_file import CORNERS, LANDMARKS, NETWORKS, NetworkFile, network_of, save_network
from lib.learning.weights.weight_files import file_digest, load_weights
from lib.spine.atomic_write import check_writable

_INTERRUPTED = 130
"""Exit status after Ctrl-C."""
_SECTIONS = {
    LANDMARKS: ("network", "input", "codec", "loss", "augmentation"),
    CORNERS: ("refiner", "refiner_augmentation"),
}
"""Parts of the settings that a training depends on."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", type=existing_file, required=True, help="file of scripts/pack_training.py")
    parser.add_argument("--network", choices=NETWORKS, required=True)
    parser.add_argument(
        "--init", type=existing_file, help="weight file whose network is trained on; left out: random weights"
    )
    add_fold(parser, "learn from all of them")
    add_boxes_fold(parser, "the images with boxes")
    add_assume_unseen(parser)
    parser.add_argument("--seconds", type=float, required=True, help="of training; the schedule ends then")
    parser.add_argument("--batch", type=int, default=48, help="views or spines of a step")
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--ema", type=float, default=0.999, help="decay of the averaged weights per step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=float, default=100.0, help="seconds between checkpoints")
    parser.add_argument("--output", type=Path, required=True, help="file for the network")
    parser.add_argument("--config", type=existing_file, default=DEFAULT_CONFIG_FILE)
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parsed = parser.parse_args(arguments)
    if not hasattr(parsed, "boxes_fold"):
        parsed.boxes_fold = parsed.fold
    positive = (parsed.seconds, parsed.rate, parsed.save_every, parsed.batch)
    if not all(math.isfinite(number) and number > 0 for number in positive):
        parser.error("--seconds, --rate, --save-every and --batch must be positive, finite numbers")
    if not 0 <= parsed.ema < 1:
        parser.error("--ema must lie in 0...1, 1 excluded")
    return parsed


def facts_of(arguments: argparse.Namespace, pack: TrainingPack, images: list[PackedImage]) -> dict[str, Any]:
    """What the network states of its training.

    Raises:
        OSError: the pack cannot be read.
    """
    kinds = [image.kind for image in images]
    facts = provenance.facts_of(pack.data, arguments.fold, pack.records_of(images))
    if BOXED in kinds:
        facts["boxed_radiographs"] = kinds.count(BOXED)
    if STRIP in kinds:
        facts["boxed_strips"] = kinds.count(STRIP)
    if GENERATED in kinds:
        facts["generated_radiographs"] = kinds.count(GENERATED)
    facts["phantoms"] = kinds.count(PHANTOM) + kinds.count(SPINELESS)
    if has_boxes(images) and arguments.boxes_fold != arguments.fold:
        facts["boxes_fold"] = arguments.boxes_fold
    return {**pack.facts, **facts, "pack": file_digest(arguments.pack)}


def has_boxes(images: Iterable[PackedImage]) -> bool:
    """Whether boxed images or strips are among images, of which ``--boxes-fold`` is held out."""
    return any(image.kind in (BOXED, STRIP) for image in images)


def check_teacher(arguments: argparse.Namespace, pack: TrainingPack, images: Sequence[PackedImage]) -> None:
    """Refuse to learn points that a model has placed which was trained on what is held out, or may have been.

    Raises:
        ValueError: it was, or that is not known and not assumed.
    """
    if not any(image.is_taught for image in images):
        return
    seen, name = provenance.stated(pack.facts.get(provenance.TEACHER)), f"the teacher of {arguments.pack.name}"
    check_unseen(arguments, pack, images, seen, name)


def check_unseen(
    arguments: argparse.Namespace,
    pack: TrainingPack,
    images: Sequence[PackedImage],
    seen: provenance.TrainedOn,
    name: str,
) -> None:
    """Refuse a model that was trained on what is held out of the labelled images or of those with boxes.

    Raises:
        ValueError: it was, or that is not known and not assumed.
    """
    seen.check_held_out(pack.data, arguments.fold, name, arguments.assume_unseen)
    if has_boxes(images):
        seen.check_unseen(arguments.boxes_fold, name, provenance.BOXED, arguments.assume_unseen)


def starting_point(
    arguments: argparse.Namespace, pack: TrainingPack, images: Sequence[PackedImage]
) -> tuple[Initial | None, dict[str, Any]]:
    """Weights to begin with, if any, and their provenance.

    Raises:
        ValueError: the file has no such network, or one that was trained on what is held out.
        OSError: it cannot be read.
    """
    if arguments.init is None:
        return None, {}
    name = arguments.init.name
    network = network_of(load_weights(arguments.init), arguments.network, name)
    seen = provenance.trained_on(network.facts)
    check_unseen(arguments, pack, images, seen, name)
    return Initial(name, network), {provenance.INIT: provenance.init_facts(file_digest(arguments.init), seen)}


def warn_of_names(pack: TrainingPack, fold: int | None) -> None:
    """Warn where the model that named vertebrae of the pack knows the held-out fold, or may know it."""
    if fold is None or provenance.MODEL_FOLDS not in pack.facts:
        return
    folds = pack.facts[provenance.MODEL_FOLDS]
    if folds is not None and fold not in folds:
        return
    knows = "knows" if folds is not None else "may know"
    print(
        f"train_from_pack: a model that named vertebrae of the pack {knows} fold {fold}, which is held out; errors on "
        "that fold may come out a little too small",
        file=sys.stderr,
    )


def run_of(
    arguments: argparse.Namespace, config: Config, facts: Mapping[str, Any], device: torch.device
) -> dict[str, Any]:
    """Everything that must be the same for a training to go on."""
    plain = config.to_dict()
    settings = {
        f"{section}.{name}": value for section in _SECTIONS[arguments.network] for name, value in plain[section].items()
    }
    names = ("network", "boxes_fold", "seconds", "batch", "rate", "ema", "seed")
    return {**facts, **{name: getattr(arguments, name) for name in names}, **settings, "device": device.type}


def saver(
    arguments: argparse.Namespace, config: Config, facts: Mapping[str, Any], run: Mapping[str, Any]
) -> Callable[[TimedTraining], None]:
    """Writes the averaged network and the checkpoint."""
    device = choose_device(arguments.device)
    settings = {"batch": arguments.batch, "learning_rate": arguments.rate, "ema_decay": arguments.ema}
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    schedule = {**settings, "schedule_seconds": arguments.seconds, "machine": machine}

    def save(training: TimedTraining) -> None:
        stated = {**facts, "steps": training.steps, "seconds": round(training.elapsed, 1), **schedule}
        state = training.average.module.state_dict()
        save_network(arguments.output, NetworkFile(arguments.network, state, config.to_dict(), stated))
        write_checkpoint(checkpoint_path(arguments.output), run, training.state())

    return save


def train(arguments: argparse.Namespace) -> None:
    """Train, or go on with an interrupted training.

    Raises:
        ValueError: a setting or a file is not as it should be.
        OSError: a file cannot be read or written.
        FloatingPointError: the loss is no longer finite.
    """
    check_writable(arguments.output)
    config, device = load_config(arguments.config, dict(arguments.set)), choose_device(arguments.device)
    pack = read_pack(arguments.pack)
    check_fold(pack.data, arguments.fold)
    images = pack.learnable(arguments.fold, arguments.boxes_fold)
    initial, begun = starting_point(arguments, pack, images)
    check_teacher(arguments, pack, images)
    facts = {**facts_of(arguments, pack, images), **begun}
    run = run_of(arguments, config, facts, device)
    stored = read_checkpoint(checkpoint_path(arguments.output), run)
    warn_of_names(pack, arguments.fold)
    task = build_task(arguments.network, images, config, initial, device, arguments.batch, arguments.seed)
    schedule = TimedSchedule(
        arguments.seconds, arguments.rate, ema_decay=arguments.ema, save_every=arguments.save_every
    )
    name = arguments.output.stem
    training = TimedTraining(
        task, schedule, saver(arguments, config, facts, run), lambda line: print(f"{name}: {line}", flush=True)
    )
    if stored is not None:
        training.restore(stored)
        print(f"{name}: goes on after {training.elapsed:.0f} s, step {training.steps}", flush=True)
    else:
        print(f"{name}: {len(images)} images", flush=True)
    training.fit()
    print(f"{name}: {training.steps} steps in {training.elapsed:.0f} s", flush=True)


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    try:
        train(arguments)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("train_from_pack: interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return _INTERRUPTED
    except (OSError, ValueError, FloatingPointError) as error:
        print(f"train_from_pack: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
