"""Damaged files: refused with a reason or read from what they hold, never a crash and never another image."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .mutations import APP

SCRIPT = Path(__file__).with_name("mutations.py")
COUNT = 150


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="limits of memory and time are set by POSIX calls")
def test_damaged_files_neither_crash_nor_show_another_image() -> None:
    command = [sys.executable, str(SCRIPT), "--count", str(COUNT), "--seed", "0"]
    run = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(APP), os.environ.get("PYTHONPATH", "")])}
