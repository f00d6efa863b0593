"""Images that show no frontal spine: the command; code in ``experiments/other_views.py``."""

import _app_path  # noqa: F401  # before the experiment imports lib

# isort: split
from experiments.other_views import main

if __name__ == "__main__":
    raise SystemExit(main())
