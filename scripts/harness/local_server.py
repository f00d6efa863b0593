"""Temporary MONAI Label server of this app on a free port, for tests and commands."""

import contextlib
import functools
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import start
from harness.fork_server import ForkedProcess, ForkServer
from harness.ports import free_port
from setup_environment import ROOT

if TYPE_CHECKING:
    Process = subprocess.Popen[bytes] | ForkedProcess

ANSWER_TIMEOUT_S = 600
"""Longer than a person would wait: tests run on machines that are busy."""
_forks: "Callable[[], ForkServer] | None" = None  # what servers are forked from, while it is wanted


class OwnServer:
    """A running server.

    Attributes:
        url: its address.
        studies: what it serves.
        process: its process.
        log: what it printed.
    """

    def __init__(self, url: str, studies: "Path | str", process: "Process", log: Path) -> None:
        self.url, self.studies, self.process, self.log = url, studies, process, log

    def kill(self) -> None:
        """Kill it without a clean shutdown."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def own_server(
    studies: "Path | str",
    log: Path,
    *conf: "tuple[str, str]",
    port: int = 0,
    options: "tuple[str, ...]" = (),
    env: "Mapping[str, str] | None" = None,
) -> "Iterator[OwnServer]":
    """Serve a folder until the block ends.

    Args:
        studies: folder of images, or address of a PACS.
        log: file for the server's output.
        conf: settings of the app.
        port: to listen on; 0 for a free one.
        options: further options of MONAI Label's command line.
        env: environment variables, besides those of this process.

    Raises:
        RuntimeError: the server does not respond.
    """
    if not port:
        port = free_port()
    arguments = Namespace(studies=studies, host="127.0.0.1", port=port, workers=1, conf=list(conf))
    url, secrets = start.address_of(arguments.host, port), start.secrets_of(arguments)
    command = [*start.server_command(Path(sys.executable), arguments), *options]
    with log.open("ab") as output:
        process = _launch(command, {**_environment(), **secrets, **(env or {})}, output.fileno())
    try:
        if start.wait_for_answer(process, url, Namespace(count=0), ANSWER_TIMEOUT_S) is None:  # type: ignore[arg-type]
            raise RuntimeError(f"the server did not start; its last words: {' '.join(start.last_lines(log)[-3:])}")
        yield OwnServer(url, studies, process, log)
    finally:
        start.end(process, Namespace(count=0))  # type: ignore[arg-type]


@contextlib.contextmanager
def forked_servers() -> "Iterator[None]":
    """Until the block ends, servers are forked from one process that has imported their libraries; on Linux only."""
    global _forks
    opened = functools.cache(lambda: ForkServer(_environment()))
    _forks = opened if sys.platform == "linux" else None
    try:
        yield
    finally:
        _forks = None
        if opened.cache_info().currsize:
            opened().close()


def _environment() -> "dict[str, str]":
    return {**start.SETTINGS, **os.environ, "VERTEBRA_LANDMARKS_PARENT_PIPE": "1"}


def _launch(command: "list[str]", env: "dict[str, str]", output: int) -> "Process":
    """Start a command in a session of its own."""
    if _forks is not None and _forks().can_start(command, env):
        return _forks().start(command, str(ROOT), env, output)
    return subprocess.Popen(
        command,
        cwd=str(ROOT),
        env=env,
        stdin=subprocess.PIPE,  # its end tells the server that this process is gone
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=os.name == "posix",
    )
