"""Servers forked from a process that has imported their libraries: they start in a fraction of the processor time.

``python -m monailabel.main`` takes five seconds of it to import PyTorch, MONAI and the like before the app begins. A
``ForkServer`` imports them once. What it starts goes on from there as a fresh interpreter would: with arguments,
environment, working folder, standard streams and session of its own, importing MONAI Label and what builds on it
itself, as a child of the process that asked. On Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

OWN = ("monailabel", "lib.server", "main", "scripts")
"""What each server imports itself; MONAI Label reads the environment then."""
FIXED = ("PYTHON", "OMP_", "OPENBLAS_", "MKL_", "LD_")
"""Variables that count when an interpreter starts or a library is loaded, so that a fork cannot change them."""
_PR_SET_CHILD_SUBREAPER = 36


class ForkedProcess:
    """A process that a ``ForkServer`` started, with the methods of ``subprocess.Popen`` that its users need.

    Attributes:
        args: its command.
        pid: its number.
        stdin: the pipe to its standard input, or ``None``.
        returncode: as of ``Popen``.
    """

    def __init__(self, args: list[str], pid: int, stdin: IO[bytes] | None) -> None:
        self.args, self.pid, self.stdin = args, pid, stdin
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, ``None`` while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, when it has ended.

        Raises:
            subprocess.TimeoutExpired: it runs still after ``timeout`` seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            time.sleep(0.01)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """Starts ``python -m MODULE ...`` from a process that has imported the libraries of the server.

    Args:
        env: its environment; what it starts differs in no variable of ``FIXED``.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = dict(env)
        self._socket, other = socket.socketpair()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(other.fileno())],
                env=self._env,
                pass_fds=[other.fileno()],
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    def can_start(self, command: list[str], env: Mapping[str, str]) -> bool:
        """Whether a command is ``python -m MODULE ...`` in an environment that a fork can have."""
        fixed = {name for name in {*env, *self._env} if name.startswith(FIXED)}
        is_module = command[:2] == [sys.executable, "-m"]
        return is_module and all(env.get(name) == self._env.get(name) for name in fixed)

    def start(self, command: list[str], cwd: str, env: Mapping[str, str], output: int) -> ForkedProcess:
        """Start a command in a session of its own; its output goes to a file, and its standard input is a pipe.

        Raises:
            RuntimeError: the process to fork from has ended.
        """
        request = json.dumps({"command": command[2:], "cwd": cwd, "env": dict(env)}).encode()
        reading, writing = os.pipe()
        try:
            with _subreaper():
                socket.send_fds(self._socket, [len(request).to_bytes(4, "big")], [reading, output])
                self._socket.sendall(request)
                answer = self._socket.recv(4, socket.MSG_WAITALL)
        finally:
            os.close(reading)
        if len(answer) < 4:
            os.close(writing)
            raise RuntimeError("the process that servers are forked from has ended")
        return ForkedProcess(command, int.from_bytes(answer, "big"), os.fdopen(writing, "wb"))

    def close(self) -> None:
        """End it; what it started runs on."""
        self._socket.close()
        self._process.wait()


@contextlib.contextmanager
def _subreaper() -> Iterator[None]:
    """Orphans among the descendants become children of this process."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _import_libraries(root: Path) -> None:
    """Import what the server imports, and forget what is not a library."""
    app = root / "apps" / "vertebra_landmarks"
    sys.path[:0] = [str(app), str(root)]
    for module in ("monailabel.main", "monailabel.app", "main"):
        __import__(module)
    del sys.path[:2]
    for name in [name for name in sys.modules if f"{name}.".startswith(tuple(f"{own}." for own in OWN))]:
        del sys.modules[name]


def _serve(asked: socket.socket) -> list[str] | None:
    """Fork for each request.

    Returns:
        the command in each process that was started; ``None`` here, when the other side has closed.
    """
    while True:
        head, descriptors, _, _ = socket.recv_fds(asked, 4, 2)
        if len(head) < 4:
            return None
        request = json.loads(asked.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
        reading, writing = os.pipe()
        between = os.fork()
        if between == 0:
            pid = os.fork()
            if pid == 0:
                asked.close()
                return _become(request, [*descriptors, reading, writing])
            os.write(writing, pid.to_bytes(4, "big"))
            os._exit(0)  # its child is an orphan now, and goes to the process that asked
        os.waitpid(between, 0)
        asked.sendall(os.read(reading, 4))
        for descriptor in (*descriptors, reading, writing):
            os.close(descriptor)


def _become(request: dict[str, Any], descriptors: list[int]) -> list[str]:
    """Make this process one of its own; returns its command."""
    import numpy as np

    os.setsid()
    os.dup2(descriptors[0], 0)
    os.dup2(descriptors[1], 1)
    os.dup2(descriptors[1], 2)
    for descriptor in descriptors:
        os.close(descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path[0] = request["cwd"]  # as of python -m
    tempfile.tempdir = None  # the environment may name another one
    np.random.seed()  # noqa: NPY002  # the global state is a copy
    command: list[str] = request["command"]
    return command


def main() -> None:
    """Import the libraries, and fork until the other side closes."""
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        _import_libraries(Path(__file__).resolve().parents[2])
        gc.collect()
        gc.freeze()  # else collections in the children copy the memory that all share
        command = _serve(asked)
    if command is not None:
        sys.argv[:] = command
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
