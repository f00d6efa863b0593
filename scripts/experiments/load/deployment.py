"""Several servers of one studies folder on one PostgreSQL behind nginx, all on this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
import torch
from PIL import Image

from harness.local_balancer import own_balancer
from harness.local_postgresql import own_postgresql
from harness.local_server import OwnServer, own_server
from harness.ports import free_port
from harness.system_packages import nginx
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.phantoms import random_spec, render_phantom
from lib.spine.labels.markups import label_of

HEIGHT, WIDTH = 960, 440
"""Of the phantoms, in pixels."""
DRAWN = 8
"""Different phantoms; all images are copies of one of them."""
TOY = 256, 128
"""Height and width of the input of the small network, which finds the phantoms in a quarter of the time."""


class Folder(NamedTuple):
    """A studies folder to serve.

    Attributes:
        path: of the folder.
        images: ids.
        points: of the first phantom, by name.
    """

    path: Path
    images: list[str]
    points: dict[str, tuple[float, float]]


def make_folder(path: Path, count: int) -> Folder:
    """A folder of phantoms."""
    path.mkdir(parents=True)
    points: dict[str, tuple[float, float]] = {}
    for number in range(min(DRAWN, count)):
        phantom = render_phantom(random_spec(number, HEIGHT, WIDTH))
        Image.fromarray(phantom.pixels).save(path / f"image_{number:05d}.png")
        spine = phantom.spine
        points = points or {label_of(v, p): (float(m.x), float(m.y)) for v, p, m in spine.points() if m is not None}
    for number in range(DRAWN, count):
        shutil.copyfile(path / f"image_{number % DRAWN:05d}.png", path / f"image_{number:05d}.png")
    return Folder(path, [f"image_{number:05d}" for number in range(count)], points)


def toy_weights(path: Path) -> Path:
    """The shipped landmark network for a small input, without the second network."""
    content = torch.load(DEFAULT_WEIGHTS_FILE, weights_only=True)
    content["config"]["input"] = {"height": TOY[0], "width": TOY[1]}
    content.pop("refiner", None)
    torch.save(content, path)
    return path


class Servers:
    """Servers of one folder, each of which can be killed and started again on its port.

    Args:
        folder: the studies folder.
        count: of the servers.
        workers: processes of each.
        conf: settings of the app.
        log: folder of their logs.
        env: environment variables.
    """

    def __init__(
        self, folder: Path, count: int, workers: int, conf: list[tuple[str, str]], log: Path, env: dict[str, str]
    ) -> None:
        self.ports = [free_port() for _ in range(count)]
        self.kills = 0
        self._folder, self._workers, self._conf, self._log, self._env = folder, workers, conf, log, env
        self._running: dict[int, tuple[contextlib.ExitStack, OwnServer]] = {}
        self._cpu_s = 0.0

    def start_all(self) -> None:
        """Start those that do not run, one after the other."""
        for port in self.ports:
            if port not in self._running:
                self._start(port)

    def _start(self, port: int) -> None:
        stack = contextlib.ExitStack()
        options = ("--workers", str(self._workers))
        server = own_server(
            self._folder, self._log / f"{port}.log", *self._conf, port=port, options=options, env=self._env
        )
        self._running[port] = stack, stack.enter_context(server)

    def kill(self, port: int) -> None:
        """SIGKILL a server with all of its processes."""
        stack, server = self._running.pop(port)
        self._cpu_s += _cpu_s(server)
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()
        stack.close()
        self.kills += 1

    def kill_in_turn(self, every_s: float, stop: threading.Event) -> None:
        """Kill one server after the other and start it again, until ``stop`` is set."""
        turn = 0
        while not stop.wait(every_s):
            port = self.ports[turn % len(self.ports)]
            self.kill(port)
            self._start(port)
            turn += 1

    def cpu_s(self) -> float:
        """Processor seconds of all servers so far, user and system, with those that were killed."""
        return self._cpu_s + sum(_cpu_s(server) for _, server in self._running.values())

    def close(self) -> None:
        """End all."""
        for stack, _ in self._running.values():
            stack.close()
        self._running.clear()


def _cpu_s(server: OwnServer) -> float:
    total = 0.0
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(server.process.pid)
        for process in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
    return total


class Deployment(NamedTuple):
    """Everything that runs.

    Attributes:
        folder: the studies folder.
        servers: of it.
        addresses: "host:port" of nginx, or of every server where nginx is not installed.
        database: URL.
        log: folder of the servers' logs.
    """

    folder: Folder
    servers: Servers
    addresses: list[str]
    database: str
    log: Path


@contextlib.contextmanager
def deployed(
    images: int, servers: int, workers: int, settings: Sequence[str] = (), conf: Sequence[tuple[str, str]] = ()
) -> Iterator[Deployment]:
    """Run everything for the time of the block.

    Args:
        images: in the studies folder.
        servers: number of them.
        workers: processes of each.
        settings: of PostgreSQL.
        conf: settings of the app, besides database and weights.

    Raises:
        RuntimeError: PostgreSQL is not installed, or something does not start.
    """
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="load-")))
        folder, weights = make_folder(place / "studies", images), toy_weights(place / "toy.pt")
        own = stack.enter_context(own_postgresql(*settings))
        os.environ["PGPASSWORD"] = own.password  # of the check at the end, too
        own_conf = [("database", own.url), ("weights", str(weights)), ("device", "cpu"), *conf]
        env = {"PGPASSWORD": own.password, "OMP_NUM_THREADS": "1", "TMPDIR": str(place)}
        running = Servers(folder.path, servers, workers, own_conf, place, env)
        stack.callback(running.close)
        addresses = [f"127.0.0.1:{port}" for port in running.ports]
        if nginx() is not None:
            addresses = [stack.enter_context(own_balancer(running.ports)).partition("//")[2]]
        begin = time.monotonic()
        running.start_all()
        print(f"{servers} x {workers} servers answer after {time.monotonic() - begin:.1f} s", flush=True)
        yield Deployment(folder, running, addresses, own.url, place)
