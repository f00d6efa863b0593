"""Arguments shared by the commands for training and calibration."""

from __future__ import annotations

import argparse
import contextlib
import io
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import _app_path  # noqa: F401

# isort: split
import torch

from _data_arguments import DATA_HELP, add_data_options
from _held_out_arguments import add_assume_unseen, add_fold
from _path_arguments import existing_file
from lib.learning.config import DEFAULT_CONFIG_FILE
from lib.learning.optional_packages import missing_packages
from lib.learning.training import distributed
from lib.learning.training.run_logs import RUN_LOGS
from lib.learning.training.run_logs.run_log import FAILED, FINISHED, INTERRUPTED, RunLogs, describe_run
from lib.learning.training.trainer import Item, Progress, Trainer

LOG_COMMAND = ".venv/bin/pip install --no-deps -r requirements-log.txt"
_NO_ARGUMENTS = ("set", "log")
"""Arguments that logs do not list: settings are listed with those of ``model.yaml``."""
_INTERRUPTED = 130
"""Exit status after Ctrl-C."""


def add_arguments(parser: argparse.ArgumentParser, example: str) -> None:
    """Data, fold, folder of the run, settings and machine; ``example`` is a setting with a value."""
    parser.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    add_data_options(parser)
    add_fold(parser, "learn from all of them and keep the last weights")
    add_assume_unseen(parser)
    parser.add_argument("--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--config", type=existing_file, default=DEFAULT_CONFIG_FILE)
    parser.add_argument(
        "--set", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help=f"e.g. {example}"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare images")
    add_log(parser)
    parser.add_argument(
        "--full-precision", action="store_true", help="single precision throughout, so that runs can be compared"
    )


def checking(fold: int | None, count: int) -> str:
    """The validation set of a training in words."""
    return "holding out no fold" if fold is None else f"checking on {count} of fold {fold}"


def add_log(parser: argparse.ArgumentParser) -> None:
    """Add ``--log``, the programs in which a run is shown."""
    parser.add_argument(
        "--log",
        nargs="+",
        choices=RUN_LOGS,
        default=[],
        help="show losses, errors and settings in these programs too (see docs/TRAINING.md)",
    )


def parse(parser: argparse.ArgumentParser, arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line; of several processes that torchrun has started, the first one tells of mistakes."""
    said = contextlib.nullcontext() if distributed.launched_rank() == 0 else contextlib.redirect_stderr(io.StringIO())
    with said:
        return parser.parse_args(arguments)


def fit(
    arguments: argparse.Namespace, trainer: Trainer, training: Sequence[Item], checked: Sequence[Item], words: str
) -> None:
    """Train to the end; the first of several processes prints the words before and the weight file after.

    Raises:
        ValueError: there is nothing to learn from.
        OSError: a file or a log cannot be written.
        FloatingPointError: the loss is no longer finite.
    """
    if distributed.is_first():
        processes = distributed.count()
        print(words if processes == 1 else f"{words}, by {processes} processes")
    said = {name: value for name, value in vars(arguments).items() if name not in _NO_ARGUMENTS}
    with logged(arguments.log, trainer, said) as on_epoch:
        best = trainer.fit(training, checked, on_epoch)
    if distributed.is_first():
        print(best)


@contextlib.contextmanager
def logged(
    names: Sequence[str], trainer: Trainer, arguments: Mapping[str, Any]
) -> Iterator[Callable[[Progress], None] | None]:
    """Keep logs of a run, in the first of several processes.

    Args:
        names: of ``RUN_LOGS``.
        trainer: of the run, before its first epoch.
        arguments: of the command, which the logs list beside the settings.

    Yields:
        What is to be called after every epoch; ``None`` where nothing is logged.

    Raises:
        OSError: a log cannot be begun.
    """
    if not names or not distributed.is_first():
        yield None
        return
    description = describe_run(trainer, arguments)
    logs = RunLogs(RUN_LOGS[name](description) for name in dict.fromkeys(names))
    for log in logs.logs:
        print(f"logged in {log.place}", file=sys.stderr)
    status = FAILED
    try:
        yield logs.on_epoch
        status = FINISHED
    except KeyboardInterrupt:
        status = INTERRUPTED
        raise
    finally:
        logs.end(status)


def check_logs(names: Sequence[str]) -> None:
    """Refuse logs whose packages are not installed, in the process that would write them.

    Raises:
        ValueError: a package is missing; the message says what installs it.
    """
    packages = [package for name in names for package in RUN_LOGS[name].packages]
    missing = missing_packages(packages, LOG_COMMAND, f"--log {' '.join(names)} needs")
    if missing and distributed.is_first():
        raise ValueError(missing)


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
