"""Fixtures that several test folders share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

# Read when PyTorch is loaded, here and in what tests start: tests run side by side, and spinning threads slow all down.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pytest
from filelock import FileLock

from harness.local_server import forked_servers
from lib.spine.geometry import with_centers

from .serving import Start, started, write_quick_weights

SLOW_FOLDERS = ("server/training", "archive", "browser", "slicer/panel", "server/pacs", "server", "slicer", "export")
"""Folders in the order in which their files are begun, all others thereafter: no process is left alone with a long file
in the end. ``scripts/test.py`` lets pytest-xdist keep the order."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring long files first; the tests of a file stay together."""
    beginnings = [f"tests/{folder}/" for folder in SLOW_FOLDERS]

    def rank(item: pytest.Item) -> int:
        return next((n for n, beginning in enumerate(beginnings) if item.nodeid.startswith(beginning)), len(beginnings))

    items.sort(key=rank)


@pytest.fixture(scope="session", autouse=True)
def servers_start_fast() -> Iterator[None]:
    """Servers are forked from a process that has imported their libraries, which takes most of a start."""
    with forked_servers():
        yield


@pytest.fixture
def ladder() -> np.ndarray:
    """``(17, 5, 2)`` points of a straight spine: 20 x 12 px boxes, one every 16 px, T1 centered on (50, 20)."""
    x, y = np.array([-10.0, 10, -10, 10]), np.array([-6.0, -6, 6, 6])
    middle = 20.0 + 16 * np.arange(17)
    corners = np.stack([np.tile(50 + x, (17, 1)), middle[:, None] + y], -1)
    return with_centers(corners)


@pytest.fixture(scope="module")
def torch_as_before() -> Iterator[None]:
    """One thread for tiny runs; what a run sets for the whole process is taken back."""
    import torch
    from monai.data import set_track_meta
    from monai.utils import set_determinism

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    set_determinism(None)
    set_track_meta(True)


@pytest.fixture(scope="module")
def toy_preset() -> Iterator[None]:
    """The networks of ``toy_model`` and ``toy_networks`` can be built."""
    from .toy_model import tiny_preset

    with tiny_preset():
        yield


@pytest.fixture(scope="module")
def toy_weights(tmp_path_factory: pytest.TempPathFactory, toy_preset: None, torch_as_before: None) -> Path:
    """A weight file of both networks of ``toy_networks``."""
    from .toy_networks import write_toy_weights

    return made_once(tmp_path_factory, "toy.pt", write_toy_weights)


@pytest.fixture(scope="session")
def quick_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped networks, the first of which sees images at half the size: found in a fraction of the time."""
    return made_once(tmp_path_factory, "quick.pt", write_quick_weights)


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A file that the first of the processes of a run makes which needs it."""
    folder = tmp_path_factory.getbasetemp()
    path = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / name
    with FileLock(f"{path}.lock"):
        if not path.exists():
            make(path)
    return path


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory, quick_weights: Path) -> Start:
    """Serve a folder as the README says: ``start(studies, *arguments, env={...})``, ended with the block.

    It scores images only, and has the shipped weights only, where ``arguments`` say so.
    """
    return lambda studies, *arguments, env=None: started(
        tmp_path_factory.mktemp("log") / "server.log",
        studies,
        *("--conf", "scoring", "false", "--conf", "weights", str(quick_weights)),
        *arguments,
        env=env,
    )
