"""Load on several servers while some are killed: the command; code in ``experiments/load``."""

import _app_path  # noqa: F401  # before the experiment imports lib

# isort: split
from experiments.load.load_test import main

if __name__ == "__main__":
    raise SystemExit(main())
