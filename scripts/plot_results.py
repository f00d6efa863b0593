"""Plots of evaluated images: the command; code in ``experiments/plot_results.py``."""

import _app_path  # noqa: F401  # before the experiment imports lib

# isort: split
from experiments.plot_results import main

if __name__ == "__main__":
    raise SystemExit(main())
