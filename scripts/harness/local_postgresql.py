"""Temporary PostgreSQL server on loopback, with its data in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from harness.ports import free_port

USER = "tester"
START_TIMEOUT_S = 60


class OwnPostgresql(NamedTuple):
    """A running PostgreSQL.

    Attributes:
        url: of its database, without the password.
        password: for ``PGPASSWORD``.
    """

    url: str
    password: str


def binaries() -> Path | None:
    """Folder of ``initdb`` and ``postgres``: Debian's newest, else from ``PATH``; ``None`` without one."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    found = shutil.which("initdb")
    folders = [*([Path(found).parent] if found else []), *folders]
    return next((folder for folder in reversed(folders) if (folder / "postgres").exists()), None)


@contextlib.contextmanager
def own_postgresql(*settings: str) -> Iterator[OwnPostgresql]:
    """Run a server for the time of the block.

    Args:
        settings: of the server, such as ``fsync=off``.

    Raises:
        RuntimeError: PostgreSQL is not installed, or does not start.
    """
    folder = binaries()
    if folder is None:
        raise RuntimeError("PostgreSQL is not installed; on Debian and Ubuntu: sudo apt install postgresql")
    place = Path(tempfile.mkdtemp(prefix="postgresql-"))
    as_user = _unprivileged(place)
    password = secrets.token_hex(8)
    (place / "password").write_text(password)
    port = free_port()
    try:
        made = [str(folder / "initdb"), "--pgdata", str(place / "data"), "--username", USER, "--encoding", "UTF8"]
        made += ["--no-locale", "--auth", "scram-sha-256", "--pwfile", str(place / "password"), "--no-sync"]
        done = subprocess.run(made, capture_output=True, text=True, cwd=place, **as_user)
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr[-500:]}")
        options = ["listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={place}", *settings]
        command = [str(folder / "postgres"), "-D", str(place / "data")]
        command += [part for option in ("max_connections=200", *options) for part in ("-c", option)]
        with (place / "log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=place, **as_user)
        try:
            _wait(folder, port, server, place / "log")
            yield OwnPostgresql(f"postgresql://{USER}@127.0.0.1:{port}/postgres", password)
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown
            server.wait(60)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _unprivileged(place: Path) -> dict[str, Any]:
    """Arguments to run as another user than root, which PostgreSQL refuses; the folder is given to that user."""
    if os.geteuid() != 0:
        return {}
    import pwd  # not on Windows, where nobody is root

    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(place, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _wait(folder: Path, port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end and server.poll() is None:
        asked = [str(folder / "pg_isready"), "--host", "127.0.0.1", "--port", str(port)]
        if subprocess.run(asked, capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')[-500:]}")
