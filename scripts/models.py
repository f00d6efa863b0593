"""List the versions of the model that were trained on a studies folder, show one, serve another or an earlier one."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import _app_path  # noqa: F401
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.server.models import HELD_OUT, IMAGE_DIGEST, TRAINED_ON, ModelStore, Version

_FOLD_OF = {HELD_OUT: 0, TRAINED_ON: 1}
COLUMNS = ("", "version", "made", "from", "films", "checked on", "steps before", "steps after", "gate")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    descriptions = {
        "list": "all versions; the one that is served is marked by >",
        "show": "details of a version, as JSON",
        "folds": "the images that a version holds out (fold 0) and was trained on (1), as a table for --folds",
        "publish": "serve a version, such as one that the gate has held back",
        "rollback": "serve the version that the served one was trained from, or the given one",
    }
    for name, description in descriptions.items():
        command = commands.add_parser(name, help=description, description=description)
        command.add_argument("--studies", type=Path, required=True, help="folder that the server serves")
        command.add_argument(
            "--weights", type=Path, default=DEFAULT_WEIGHTS_FILE, help="the server's --conf weights, if it has one"
        )
        if name != "list":
            command.add_argument("version", type=int, nargs="?" if name == "rollback" else None, help="its number")
    return parser.parse_args(arguments)


def row(version: Version, is_served: bool) -> list[str]:
    """One line of the list."""
    gate: dict[str, Any] = version.facts.get("gate") or {}
    before, after = (gate.get(name) for name in ("before", "after"))
    decided = "" if not gate else "passed" if gate["is_passed"] else "held back"
    if gate and not gate.get("are_held_out", gate["films"] > 0):
        decided += ", nothing held out"
    return [
        ">" if is_served else "",
        str(version.number),
        version.made,
        str(version.parent),
        str(len(version.images(TRAINED_ON))),
        str(gate.get("films", "")),
        *("" if value is None else f"{value:.4f}" for value in (before, after)),
        decided,
    ]


def table(models: ModelStore) -> str:
    """All versions; version 0 are the server's first weights."""
    served = models.served_number
    rows = [
        list(COLUMNS),
        *(row(version, version.number == served) for version in (models.version(0), *models.versions())),
    ]
    widths = [max(len(line[column]) for line in rows) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in rows
    )


def folds_table(version: Version) -> str:
    """Images of a version as ``evaluate.py --folds`` reads them, which knows them by their digests.

    Raises:
        ValueError: the version does not say which they are.
    """
    rows = [(name, of, fold) for subset, fold in _FOLD_OF.items() for name, of in version.images(subset).items()]
    if not rows:
        raise ValueError(f"version {version.number} does not say which images it was trained on")
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("image", "digest", "fold"))
    writer.writerows((name, of.get(IMAGE_DIGEST, ""), fold) for name, of, fold in rows)
    return table.getvalue()


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        if not arguments.studies.is_dir():
            raise ValueError(f"there is no folder {arguments.studies}")
        models = ModelStore(arguments.studies, arguments.weights)
        others = [folder for folder in models.folder.glob("models*") if folder != models.versions_folder]
        if others and not models.versions():
            raise ValueError(
                f"the versions in {arguments.studies} were not trained from {arguments.weights.name}; name the "
                "server's first weights by --weights"
            )
        if arguments.command == "show":
            print(json.dumps(asdict(models.version(arguments.version)), indent=1))
            return 0
        if arguments.command == "folds":
            print(folds_table(models.version(arguments.version)), end="")
            return 0
        if arguments.command == "publish":
            models.serve(arguments.version)
        elif arguments.command == "rollback":
            models.roll_back(arguments.version)
        print(table(models))
    except (OSError, ValueError) as error:
        print(f"models: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
