"""Temporary nginx on loopback, configured by the file of the documentation."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.ports import free_port
from harness.system_packages import BALANCER, nginx
from setup_environment import ROOT

CONFIGURATION = ROOT / "docs" / "scale" / "nginx.conf"
START_TIMEOUT_S = 20
_SERVERS = re.compile(r"(?:^ *server [\d.]+:\d+([^;\n]*);\n)+", re.MULTILINE)
_TLS = re.compile(r"^ *ssl_certificate.*\n", re.MULTILINE)


def configuration(text: str, ports: Sequence[int], port: int, place: Path) -> str:
    """The documented configuration for servers on this machine, without TLS and complete for ``nginx -c``.

    Args:
        text: of the documentation.
        ports: of the servers.
        port: to listen on.
        place: folder for all that nginx writes.

    Raises:
        ValueError: the text has no servers to replace, or does not listen as documented.
    """
    if not _SERVERS.search(text) or "listen 443 ssl;" not in text:
        raise ValueError(f"{CONFIGURATION.name} must name servers, and listen on 443")

    def local(match: re.Match[str]) -> str:
        return "".join(f"    server 127.0.0.1:{one}{match[1]};\n" for one in ports)

    site = _TLS.sub("", _SERVERS.sub(local, text)).replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    folders = "".join(
        f"    {name}_temp_path {place}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log {place}/error.log;\n"
        f"events {{ worker_connections 1024; }}\nhttp {{\n    access_log off;\n{folders}{site}}}\n"
    )


@contextlib.contextmanager
def own_balancer(ports: Sequence[int], port: int = 0) -> Iterator[str]:
    """Run nginx in front of servers of this machine for the time of the block; yields its address.

    Args:
        ports: of the servers, which may start later.
        port: to listen on; 0 for a free one.

    Raises:
        RuntimeError: nginx is not installed, or does not start.
    """
    program = nginx()
    if program is None:
        raise RuntimeError(f"nginx is not installed; on Debian and Ubuntu: sudo apt install {BALANCER}")
    if not port:
        port = free_port()
    place = Path(tempfile.mkdtemp(prefix="nginx-"))
    try:
        text = configuration(CONFIGURATION.read_text(encoding="utf-8"), ports, port, place)
        (place / "nginx.conf").write_text(text, encoding="utf-8")
        with (place / "error.log").open("ab") as log:
            command = [program, "-p", str(place), "-c", str(place / "nginx.conf"), "-e", str(place / "error.log")]
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait(process, port, place / "error.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nginx did not start: {log.read_text(errors='replace')[-500:]}")
