"""Simulate annotation of labelled images: how clicks repair predictions, which images teach most, both on a server."""

from __future__ import annotations

import argparse
import sys

from experiments.annotation import clicks, rounds, server_loop

PARTS = {"clicks": clicks, "rounds": rounds, "loop": server_loop}
"""What can be replayed; each has a sentence about itself, its arguments and its run."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    for name, part in PARTS.items():
        part.add_arguments(parts.add_parser(name, description=part.__doc__, help=part.__doc__))
    return parser.parse_args(arguments)


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        PARTS[arguments.part].run(arguments)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"simulate_annotation: {error}", file=sys.stderr)
        return 1
    return 0
