"""Archives: efficiency, cost of the engine, kills, growth with the number of images: the command.

Code in ``experiments/archive/benchmark.py``.
"""

import _app_path  # noqa: F401  # before the experiment imports lib

# isort: split
from experiments.archive.benchmark import main

if __name__ == "__main__":
    raise SystemExit(main())
