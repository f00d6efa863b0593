"""Fixtures of the panel: the module opened as in Slicer, and a real server with phantoms."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.fake_slicer import pythonqt
from harness.fake_slicer.desktop import Desktop, desktop
from harness.local_server import OwnServer, own_server

from ..conftest import make_phantoms


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``phantom_000.png`` to ``phantom_003.png`` and their labels below ``labels/final``."""
    folder = tmp_path_factory.mktemp("phantoms")
    make_phantoms(folder, 4, "--labels")
    return folder


@pytest.fixture
def studies(phantoms: Path, tmp_path: Path) -> Path:
    """The phantoms without labels, in a folder of their own."""
    folder = tmp_path / "studies"
    folder.mkdir()
    for path in phantoms.glob("*.png"):
        shutil.copy(path, folder)
    return folder


@pytest.fixture
def server(studies: Path, quick_weights: Path, tmp_path: Path) -> Iterator[OwnServer]:
    """A real server with the phantoms."""
    conf = ("scoring", "false"), ("weights", str(quick_weights))
    with own_server(studies, tmp_path / "server.log", *conf) as running:
        yield running


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Desktop]:
    """The module, opened; afterwards nothing that Qt called may have raised."""
    with desktop(tmp_path / "slicer") as shown:
        yield shown
    errors, pythonqt.slot_errors[:] = list(pythonqt.slot_errors), []
    assert errors == []
