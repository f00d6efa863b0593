"""Paths on the command line that are checked before any work begins."""

from __future__ import annotations

import argparse
from pathlib import Path


def existing_file(text: str) -> Path:
    """A file to read.

    Raises:
        argparse.ArgumentTypeError: there is none, or it is a folder.
    """
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder, a file is expected")
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return path
