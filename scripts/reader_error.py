"""How far apart two readers are: the command; code in ``experiments/reader_error.py``."""

import _app_path  # noqa: F401  # before the experiment imports lib

# isort: split
from experiments.reader_error import main

if __name__ == "__main__":
    raise SystemExit(main())
