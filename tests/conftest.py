"""Fixtures that several test folders share."""

from __future__ import annotations

import os
from collections.abc import Iterator

# Read when PyTorch is loaded, here and in what tests start: tests run side by side, and spinning threads slow all down.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pytest

from harness.local_server import forked_servers
from lib.spine.geometry import with_centers

from .serving import Start, started


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


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Serve a folder as the README says: ``start(studies, *arguments, env={...})``, ended with the block."""
    return lambda studies, *arguments, env=None: started(
        tmp_path_factory.mktemp("log") / "server.log", studies, *arguments, env=env
    )
