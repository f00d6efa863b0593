"""Parts done by the workers of a Dask cluster; the only module that imports Dask.

The scheduler is given a few parts per worker at a time, so that its memory does not grow with the archive.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import dask
import torch
from distributed import (
    Client,
    Future,
    KilledWorker,
    Nanny,
    Scheduler,
    SpecCluster,
    Worker,
    WorkerPlugin,
    as_completed,
)
from distributed.security import Security

from ..plan import Part
from .job import Job, load_model
from .part_worker import PartReport, PartWorker
from .run import THREADS

LOCAL = "local:"
CONNECT_TIMEOUT_S = 30
WORKERS_TIMEOUT_S = 600
"""How long the first worker is waited for."""
PARTS_PER_THREAD = 2
"""Parts that the scheduler holds for each thread of a worker: one at work and one next."""
_SETTINGS = {
    "distributed.scheduler.allowed-failures": 1_000,  # whether a part is given up, its attempts decide
    "distributed.comm.timeouts.connect": "120s",  # of workers of a busy machine
    "distributed.deploy.lost-worker-timeout": "1h",  # a killed worker loads the model before it is back
    "distributed.worker.profile.enabled": False,  # else the stacks of all threads are read every 10 ms
    # Without Dask's MALLOC_TRIM_THRESHOLD_, which makes the allocator give every tensor back to the system at once.
    "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1, "MKL_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1},
}


class JobPlugin(WorkerPlugin):
    """Prepares a worker: one thread for arithmetic, and the model, loaded once; another model refuses the worker.

    Args:
        job: the run.
    """

    def __init__(self, job: Job) -> None:
        self.name = f"job-{job.digest}"
        self._job = job

    def setup(self, worker: Worker) -> None:
        """Prepare the worker.

        Raises:
            ModelMismatchError: its program or weights are others than the run's.
        """
        torch.set_num_threads(1)
        self._job.check_process()
        load_model(self._job.weights, self._job.digest, self._job.device)


_beginning = threading.Lock()


@lru_cache(maxsize=1)
def _part_worker(job: Job) -> PartWorker:
    job.check_process()
    return PartWorker(job)


def do_part(job: Job, part: Part) -> PartReport:
    """Do a part in this worker; see ``PartWorker.do``.

    Raises:
        ModelMismatchError: see ``Job.check_process``.
    """
    with _beginning:  # one for all threads
        worker = _part_worker(job)
    return worker.do(part)


@contextlib.contextmanager
def cluster_client(address: str, dashboard: bool, on_dashboard: Callable[[str], None]) -> Iterator[Client]:
    """The client of a cluster.

    Args:
        address: ``local:N`` for N processes of this machine, ``tcp://host:port`` or ``tls://…`` of a scheduler, or the
            JSON file that a scheduler has written.
        dashboard: whether a local cluster serves its dashboard.
        on_dashboard: called with the address of the dashboard, if there is one.

    Raises:
        ValueError: the address is none of these.
        OSError: the scheduler does not answer.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(_SETTINGS))
        if address.startswith(LOCAL):
            client = stack.enter_context(_local_client(_count(address), dashboard))
        elif address.endswith(".json"):
            if not Path(address).is_file():
                raise ValueError(f"--cluster {address}: there is no such file of a scheduler")
            client = stack.enter_context(Client(scheduler_file=address, timeout=CONNECT_TIMEOUT_S))
        elif address.startswith(("tcp://", "tls://")):
            client = stack.enter_context(Client(address, timeout=CONNECT_TIMEOUT_S))
        else:
            raise ValueError(
                f"--cluster must be local:N, tcp://host:port or the JSON file of a scheduler, got {address!r:.80}"
            )
        if dashboard or not address.startswith(LOCAL):
            on_dashboard(client.dashboard_link)
        yield client


def _count(address: str) -> int:
    text = address.removeprefix(LOCAL)
    if not text.isdecimal() or not int(text):
        raise ValueError(f"--cluster local:N needs the number of processes, got {address!r:.80}")
    return int(text)


class _WithoutWeb:
    """A scheduler or worker that listens for its cluster only: Dask serves pages of each over plain HTTP otherwise."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Serve nothing."""


class _Scheduler(_WithoutWeb, Scheduler):
    """Serves no dashboard."""


class _Worker(_WithoutWeb, Worker):
    """Serves no dashboard."""


@contextlib.contextmanager
def _local_client(workers: int, dashboard: bool) -> Iterator[Client]:
    """Processes of this machine that listen on the loopback address only, with keys of their own for TLS."""
    security = Security.temporary()  # other users of the machine reach the loopback address, too
    here = {"host": "127.0.0.1", "protocol": "tls://", "security": security}
    web = {"dashboard": True, "dashboard_address": "127.0.0.1:0"} if dashboard else {"dashboard": False}
    worker = {
        "worker_class": _Worker,
        "nthreads": THREADS,
        "memory_limit": 1 / workers,
        "silence_logs": logging.WARNING,
    }
    with (
        SpecCluster(
            scheduler={"cls": Scheduler if dashboard else _Scheduler, "options": here | web},
            workers={number: {"cls": Nanny, "options": here | worker} for number in range(workers)},
            security=security,
            silence_logs=logging.WARNING,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def execute(client: Client, job: Job, parts: Iterator[Part]) -> Iterator[PartReport]:
    """Do parts on a cluster; each is reported when its file is written.

    A part whose worker has died is done again by another. Parts are handed over as earlier ones are done.

    Args:
        client: of the cluster.
        job: the run.
        parts: to do.

    Raises:
        ModelMismatchError: a worker has other weights.
        OSError: a result cannot be written, or no worker comes.
        DyingWorkersError: workers die before they come to an image.
    """
    client.wait_for_workers(1, timeout=WORKERS_TIMEOUT_S)
    client.register_plugin(JobPlugin(job))
    running: dict[Future, Part] = {}
    completed = as_completed()

    def submit(part: Part) -> None:
        future = client.submit(do_part, job, part, key=f"part-{part.number}-{uuid.uuid4().hex[:8]}", pure=False)
        running[future] = part
        completed.add(future)

    def fill() -> None:
        for part in islice(parts, max(0, _capacity(client) - len(running))):
            submit(part)

    fill()
    for future in completed:
        part = running.pop(future)
        report = _report(future)
        if report is None:
            submit(part)
        else:
            yield report
        fill()


def _capacity(client: Client) -> int:
    threads = sum(client.nthreads().values())
    return PARTS_PER_THREAD * max(threads, THREADS)


def _report(future: Future) -> PartReport | None:
    """The report of a part; ``None`` where its workers have died."""
    if future.status == "finished":
        report: PartReport = future.result()
        future.release()
        return report
    if future.status != "error":
        raise OSError("the scheduler has gone away; the same command goes on from here")
    error = future.exception()
    if isinstance(error, KilledWorker):
        return None
    raise error
