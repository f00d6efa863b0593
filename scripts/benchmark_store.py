"""The store under killed writers and with many images: the command; code in ``experiments/benchmark_store.py``."""

import _app_path  # noqa: F401  # before the experiment imports lib

# isort: split
from experiments.benchmark_store import main

if __name__ == "__main__":
    raise SystemExit(main())
