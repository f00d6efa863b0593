"""Skipped bodies, names and corrections on hard images: the command; code in ``experiments/hard_to_count.py``."""

import _app_path  # noqa: F401  # before the experiment imports lib

# isort: split
from experiments.hard_to_count import main

if __name__ == "__main__":
    raise SystemExit(main())
