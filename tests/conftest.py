"""Fixtures that several test folders share."""

from __future__ import annotations

import contextlib
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

NEXT_TEST = pytest.StashKey[pytest.Item | None]()
SLOW_FOLDERS = (
    *("server/training", "archive", "browser", "slicer/panel", "server/pacs", "scripts/experiments"),
    *("server", "slicer", "export", "scripts", "learning/training"),
)
"""Folders in the order in which their files are begun, all others thereafter: no process is left alone with a long file
in the end. ``scripts/test.py`` lets pytest-xdist keep the order."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring long files first; the tests of a file stay together."""
    beginnings = [f"tests/{folder}/" for folder in SLOW_FOLDERS]

    def rank(item: pytest.Item) -> int:
        return next((n for n, beginning in enumerate(beginnings) if item.nodeid.startswith(beginning)), len(beginnings))

    items.sort(key=rank)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Keep which test is next, for fixtures that go on from one file to another."""
    item.session.stash[NEXT_TEST] = nextitem


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


@contextlib.contextmanager
def torch_kept() -> Iterator[None]:
    """One thread for tiny runs; what a run sets for the whole process is taken back."""
    import torch
    from monai.data import set_track_meta
    from monai.utils import set_determinism

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        set_determinism(None)
        set_track_meta(True)


@pytest.fixture(scope="module")
def torch_as_before() -> Iterator[None]:
    """See ``torch_kept``."""
    with torch_kept():
        yield


@pytest.fixture(scope="module")
def toy_weights(tmp_path_factory: pytest.TempPathFactory, torch_as_before: None) -> Path:
    """A weight file of both networks of ``toy_networks``."""
    from .toy_networks import write_toy_weights

    return made_once(tmp_path_factory, "toy.pt", write_toy_weights)


@pytest.fixture(scope="session")
def toy_server_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both networks of ``toy_networks``, for a server that is trained: they find a spine in every image, somewhere."""

    def make(path: Path) -> None:
        from .toy_networks import SEES_ALL, write_toy_weights

        with torch_kept():
            write_toy_weights(path, SEES_ALL)

    return made_once(tmp_path_factory, "toy_server.pt", make)


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
