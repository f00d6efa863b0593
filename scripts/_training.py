"""Arguments that the commands for training share."""

from __future__ import annotations

import argparse
from pathlib import Path

import _app_path  # noqa: F401
from lib.learning.aasce import FOLDS
from lib.learning.config import DEFAULT_CONFIG_FILE


def add_arguments(parser: argparse.ArgumentParser, example: str) -> None:
    """Data, fold, folder of the run, settings and machine; ``example`` is a setting with a value."""
    parser.add_argument("--data", type=Path, required=True, help="data set in the AASCE layout")
    parser.add_argument("--fold", type=int, default=0, choices=range(FOLDS), help="fold held out for validation")
    parser.add_argument("--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG_FILE)
    parser.add_argument(
        "--set", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help=f"e.g. {example}"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare images")
