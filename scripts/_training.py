"""Arguments shared by the commands for training and calibration."""

from __future__ import annotations

import argparse
from pathlib import Path

import _app_path  # noqa: F401
from _data_arguments import DATA_HELP, add_data_options
from lib.learning.config import DEFAULT_CONFIG_FILE
from lib.learning.data.aasce import FOLDS

NO_FOLD = "none"
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
