"""Arguments shared by the commands for training and calibration."""

from __future__ import annotations

import argparse
import contextlib
import io
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import _app_path  # noqa: F401

# isort: split
import torch

from _data_arguments import DATA_HELP, add_data_options
from lib.learning.config import DEFAULT_CONFIG_FILE
from lib.learning.data.aasce import FOLDS
from lib.learning.training import distributed
from lib.learning.training.trainer import Item, Trainer

NO_FOLD = "none"
_INTERRUPTED = 130
"""Exit status after Ctrl-C."""
FOLD_NAMES = f"{{{','.join([*map(str, range(FOLDS)), NO_FOLD])}}}"


def fold_or_none(text: str) -> int | None:
    """A fold, or ``None`` where none is held out.

    Raises:
        argparse.ArgumentTypeError: the text is neither.
    """
    if text == NO_FOLD:
        return None
    if text not in map(str, range(FOLDS)):
        raise argparse.ArgumentTypeError(f"invalid choice: {text} (choose from {FOLD_NAMES})")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser, example: str) -> None:
    """Data, fold, folder of the run, settings and machine; ``example`` is a setting with a value."""
    parser.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    add_data_options(parser)
    parser.add_argument(
        "--fold",
        type=fold_or_none,
        default=0,
        metavar=FOLD_NAMES,
        help="fold held out for validation; none: learn from all of them and keep the last weights",
    )
    add_assume_unseen(parser)
    parser.add_argument("--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG_FILE)
    parser.add_argument(
        "--set", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help=f"e.g. {example}"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare images")
    parser.add_argument(
        "--full-precision", action="store_true", help="single precision throughout, so that runs can be compared"
    )


def checking(fold: int | None, count: int) -> str:
    """The validation set of a training in words."""
    return "holding out no fold" if fold is None else f"checking on {count} of fold {fold}"


def add_assume_unseen(parser: argparse.ArgumentParser) -> None:
    """Add ``--assume-unseen``, for weights of unknown training data."""
    parser.add_argument(
        "--assume-unseen",
        action="store_true",
        help="assume that weights of unknown training data have not seen the held-out fold",
    )


def parse(parser: argparse.ArgumentParser, arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line; of several processes that torchrun has started, the first one tells of mistakes."""
    said = contextlib.nullcontext() if distributed.launched_rank() == 0 else contextlib.redirect_stderr(io.StringIO())
    with said:
        return parser.parse_args(arguments)


def fit(trainer: Trainer, training: Sequence[Item], checked: Sequence[Item], words: str) -> None:
    """Train to the end; the first of several processes prints the words before and the weight file after."""
    if distributed.is_first():
        processes = distributed.count()
        print(words if processes == 1 else f"{words}, by {processes} processes")
    best = trainer.fit(training, checked)
    if distributed.is_first():
        print(best)


def run(name: str, device: str, train: Callable[[torch.device], None]) -> int:
    """Run a training, alone or as one of the processes that torchrun has started.

    Args:
        name: of the command, before what it says.
        device: auto, cpu or cuda.
        train: the training, on the device of this process.

    Returns:
        The exit status. Of several processes only one says why a training ends.
    """
    try:
        with distributed.joined(device) as place:
            train(place)
    except distributed.FailedElsewhereError as error:
        return _INTERRUPTED if isinstance(error.__cause__, KeyboardInterrupt) else 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(f"{name}: interrupted; the same command goes on from the last finished epoch", file=sys.stderr)
        return _INTERRUPTED
    except (OSError, ValueError, FloatingPointError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0
