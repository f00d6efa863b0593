"""What a training holds out, on the command line."""

from __future__ import annotations

import argparse

import _app_path  # noqa: F401
from lib.learning.data.formats.folds import FOLDS

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


def add_fold(parser: argparse.ArgumentParser, otherwise: str) -> None:
    """Add ``--fold``; ``otherwise`` says what follows where none is held out."""
    parser.add_argument(
        "--fold",
        type=fold_or_none,
        default=0,
        metavar=FOLD_NAMES,
        help=f"fold held out for validation; none: {otherwise}",
    )


def add_boxes_fold(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--boxes-fold``; ``boxes_fold_of`` reads it."""
    parser.add_argument(
        "--boxes-fold",
        type=fold_or_none,
        default=argparse.SUPPRESS,
        metavar=FOLD_NAMES,
        help=f"fold of {what} that is held out; default: that of --fold",
    )


def add_assume_unseen(parser: argparse.ArgumentParser) -> None:
    """Add ``--assume-unseen``, for weights of unknown training data."""
    parser.add_argument(
        "--assume-unseen",
        action="store_true",
        help="assume that weights of unknown training data have not seen the held-out fold",
    )
