"""Predict an archive of images with many processes, into Parquet parts: the command; code in ``_archive_run.py``.

Started once more with the same arguments, it goes on where it ended, whatever has died. See docs/scale/ARCHIVE.md.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded: one process per core beats many threads

import _app_path  # noqa: F401

# isort: split
from lib.archive.extras import missing_packages


def main() -> int:
    """Run the command; returns the exit status."""
    missing = missing_packages()
    if missing is not None:
        print(f"predict_archive: {missing}", file=sys.stderr)
        return 2
    from _archive_run import main as run

    return run(__doc__)


if __name__ == "__main__":
    raise SystemExit(main())
