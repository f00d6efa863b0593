"""What every script imports first."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
CHECK = f"import os, _app_path; print(*(os.environ.get(name) for name in {WAITING}))"


def imported(path: Path) -> list[str]:
    """Top-level modules that a script imports, in its order."""
    names = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names += [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize(
    "script", [path.name for path in sorted(SCRIPTS.glob("[!_]*.py")) if "_app_path" in imported(path)]
)
def test_what_is_set_for_torch_is_set_before_it_is_loaded(script: str) -> None:
    names = imported(SCRIPTS / script)
    loads_torch = [names.index(name) for name in ("torch", "monai", "lib") if name in names]
    assert all(names.index("_app_path") < place for place in loads_torch)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ({}, "PASSIVE 3000"),
        ({"GOMP_SPINCOUNT": "7"}, "PASSIVE 7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE None"),
    ],
)
def test_waiting_threads_soon_sleep_unless_the_user_wants_otherwise(given: dict[str, str], used: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in WAITING} | given
    run = subprocess.run(
        [sys.executable, "-c", CHECK], cwd=SCRIPTS, env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == used
