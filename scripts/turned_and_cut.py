"""Images that are turned or cut: the command; code in ``experiments/turned_and_cut.py``."""

import _app_path  # noqa: F401  # before the experiment imports lib

# isort: split
from experiments.turned_and_cut import main

if __name__ == "__main__":
    raise SystemExit(main())
