"""Fixtures of the panel: the module opened as in Slicer, and a real server with phantoms."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
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


def _copied(phantoms: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in phantoms.glob("*.png"):
        shutil.copy(path, folder)
    return folder


def _served(studies: Path, weights: Path) -> AbstractContextManager[OwnServer]:
    conf = ("scoring", "false"), ("weights", str(weights))
    return own_server(studies, studies.parent / "server.log", *conf)


@pytest.fixture
def studies(phantoms: Path, tmp_path: Path) -> Path:
    """The phantoms without labels, in a folder of their own."""
    return _copied(phantoms, tmp_path / "studies")


@pytest.fixture
def server(studies: Path, quick_weights: Path) -> Iterator[OwnServer]:
    """A real server with the phantoms."""
    with _served(studies, quick_weights) as running:
        yield running


@pytest.fixture(scope="module")
def shared_server(phantoms: Path, quick_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """The same for all tests of a file that leave nothing on it."""
    studies = _copied(phantoms, tmp_path_factory.mktemp("shared") / "studies")
    with _served(studies, quick_weights) as running:
        yield running


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Desktop]:
    """The module, opened; afterwards nothing that Qt called may have raised."""
    with desktop(tmp_path / "slicer") as shown:
        yield shown
    errors, pythonqt.slot_errors[:] = list(pythonqt.slot_errors), []
    assert errors == []
