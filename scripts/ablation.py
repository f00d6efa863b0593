"""What each part of the method brings: the command; code in ``experiments/ablation/command.py``."""

import _app_path  # noqa: F401  # before the experiment imports lib

# isort: split
from experiments.ablation.command import main

if __name__ == "__main__":
    raise SystemExit(main())
