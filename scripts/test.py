"""Run the tests: ``python3 scripts/test.py [pytest arguments]``.

Makes ``.venv`` and installs what is missing, as ``start.py`` does, plus ``requirements-dev.txt``,
``requirements-cluster.txt`` and, as root on Debian, the system libraries of the Slicer tests, PostgreSQL, Chromium and
npm; then runs pytest in the repository root, in several processes at once (``-n 0``: in one), and ends with its exit
status.
"""

import os
import sys

import setup_environment
from harness import system_packages
from setup_environment import CLUSTER, DEVELOPMENT, ROOT, SetupError

MAX_PROCESSES = 4
"""Each takes a gigabyte of memory, and its servers as much."""


def processes() -> "list[str]":
    """Arguments of pytest: one process more than cores, since many tests wait for a server or for the browser.

    Tests of a file stay together, so that they share servers and toy networks, and files keep the order of
    ``tests/conftest.py``.
    """
    count = min(MAX_PROCESSES, (os.cpu_count() or 1) + 1)
    return ["-n", str(count), "--dist", "loadfile", "--no-loadscope-reorder"]


def main() -> int:
    """Run pytest; returns its exit status."""
    setup_environment.use_suitable_python()
    try:
        python = setup_environment.prepare(DEVELOPMENT, CLUSTER)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped before the tests ran.", file=sys.stderr)
        return 130
    lacking = system_packages.provide()
    if lacking:
        print(lacking, file=sys.stderr)
    os.chdir(str(ROOT))
    setup_environment.become([str(python), "-m", "pytest", *processes(), *sys.argv[1:]])
    return 0  # not reached


if __name__ == "__main__":
    raise SystemExit(main())
