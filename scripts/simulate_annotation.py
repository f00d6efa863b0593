"""A person's work replayed: the command; code in ``experiments/annotation/command.py``."""

import _app_path  # noqa: F401  # before the experiment imports lib

# isort: split
from experiments.annotation.command import main

if __name__ == "__main__":
    raise SystemExit(main())
