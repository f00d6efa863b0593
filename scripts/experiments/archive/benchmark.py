"""Measure predictions of archives: processes against one, the engine's own cost, kills, and growth with the entries."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.archive.bench import Bench
from experiments.archive.entries import growth
from experiments.archive.kills import kills, object_store
from experiments.archive.long_manifest import manifest
from experiments.archive.speed import efficiency, engine


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=tuple(MEASUREMENTS), nargs="+")
    parser.add_argument("--images", type=int, default=2_000, help="of an archive (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=3, help="of timed runs (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes of the cluster (default: %(default)s)")
    parser.add_argument("--worker-kills", type=int, default=10, help="(default: %(default)s)")
    parser.add_argument("--driver-kills", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--rows", type=int, default=100_000, help="of the long manifest (default: %(default)s)")
    parser.add_argument(
        "--toy", action="store_true", help="an untrained network with a tiny input, not the shipped one"
    )
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    return parser.parse_args(arguments)


def main() -> int:
    """Run the command; the exit status is 1 where an image is lost, doubled or wrong."""
    arguments = parse_arguments()
    figures: dict[str, Any] = {}
    for name in arguments.what:
        with tempfile.TemporaryDirectory(prefix="archive-") as folder:
            bench = Bench(Path(folder), arguments)
            figures[name] = {"load": os.getloadavg()[0], **MEASUREMENTS[name](bench, arguments)}
        print(json.dumps({name: figures[name]}, indent=1), flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return int(any(figure.get("wrong", 0) for figure in figures.values()))


def entries(bench: Bench, _: argparse.Namespace) -> dict[str, Any]:
    """What grows with the number of entries, without any prediction."""
    return growth(bench.folder)


MEASUREMENTS: dict[str, Callable[[Bench, argparse.Namespace], dict[str, Any]]] = {
    function.__name__: function for function in (efficiency, engine, kills, object_store, manifest, entries)
}
