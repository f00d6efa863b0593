"""Join the parts of ``predict_archive.py``: the tables of ``predict.py``, a table of all images, a summary, plots.

The exit status is 0 if all parts are there, 1 if some are missing, and 2 if the results cannot be read.
"""

import argparse
import sys
from pathlib import Path

import _app_path  # noqa: F401

# isort: split
from lib.archive.extras import missing_packages

ABANDONED = 2


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", metavar="OUTPUT", help="folder or URL that predict_archive.py has written to")
    parser.add_argument("--tables", type=Path, required=True, help="folder for tables, summary and plots")
    return parser.parse_args(arguments)


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    missing = missing_packages()
    if missing is not None:
        print(f"collect: {missing}", file=sys.stderr)
        return ABANDONED
    from _archive_summary import collect

    try:
        return collect(arguments.output, arguments.tables)
    except (ValueError, OSError) as error:
        print(f"collect: {error}", file=sys.stderr)
        return ABANDONED


if __name__ == "__main__":
    raise SystemExit(main())
