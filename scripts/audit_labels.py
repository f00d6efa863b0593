"""List training labels that contradict sound anatomy, by rule; evaluate.py --audit reports figures without them."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import _app_path  # noqa: F401
from _data_arguments import DATA_HELP, add_data_options, read_data
from _path_arguments import existing_file
from lib.learning.data.label_audit import COLUMNS, contradicted_names, findings, names_finding
from lib.spine.atomic_write import atomic_write, check_writable


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    add_data_options(parser)
    parser.add_argument(
        "--names", type=existing_file, help="table of audit_names.py; images its model was trained on are left out"
    )
    parser.add_argument("--output", type=Path, required=True, help="CSV file")
    return parser.parse_args(arguments)


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    try:
        check_writable(arguments.output)
        data = read_data(arguments)
        levels = contradicted_names(arguments.names) if arguments.names is not None else {}
        rows = []
        for image in data.images:
            name = image.name
            found = findings(image.upright(image.points))
            found += [names_finding(levels[name])] if name in levels else []
            for one in found:
                clean = "yes" if image.is_trusted else "no"
                vertebrae = f"{one.vertebrae[0]}-{one.vertebrae[-1]}" if len(one.vertebrae) > 1 else one.vertebrae[0]
                rows.append((name, image.fold, clean, one.rule, vertebrae, one.sentence))
        with (
            atomic_write(arguments.output) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as stream,
        ):
            csv.writer(stream).writerows([COLUMNS, *rows])
    except (OSError, ValueError) as error:
        print(f"audit_labels: {error}", file=sys.stderr)
        return 1
    doubted = {row[0] for row in rows}
    of_clean = {row[0] for row in rows if row[2] == "yes"}
    counted = f"{len(doubted)} of {len(data.images)} labels have a finding, {len(of_clean)} of the clean"
    print(f"{counted}; see {arguments.output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
