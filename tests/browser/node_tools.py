"""npm's tools for the page's JavaScript, installed once into the repository's ignored ``node_modules``."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "tests" / "browser" / "javascript"
MODULES = ROOT / "node_modules"
INSTALL_TIMEOUT_S, TOOL_TIMEOUT_S = 300, 240
NO_NETWORK = r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED)\b"
"""What npm says where its registry is out of reach, and its cache lacks a package."""


class MissingTools(Exception):
    """The tools cannot be had on this machine; the message says why."""


def install() -> None:
    """Install the packages of the lock file, unless they are there; processes take turns.

    Raises:
        MissingTools: npm is not installed, or its registry is out of reach.
        RuntimeError: npm refuses what the lock file names.
    """
    wanted = hashlib.sha256((PACKAGE / "package-lock.json").read_bytes()).hexdigest()
    stamp = MODULES / ".installed"
    with FileLock(ROOT / ".node_modules.lock"):
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        npm = shutil.which("npm")
        if npm is None:
            raise MissingTools("npm is not installed; on Debian and Ubuntu: sudo apt install nodejs npm")
        with tempfile.TemporaryDirectory(prefix=".node_modules.", dir=ROOT) as place:
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(PACKAGE / name, place)
            _run_npm(npm, Path(place))
            (Path(place) / "node_modules" / stamp.name).write_text(wanted)
            shutil.rmtree(MODULES, ignore_errors=True)
            (Path(place) / "node_modules").replace(MODULES)


def _run_npm(npm: str, place: Path) -> None:
    command = [npm, "ci", "--ignore-scripts", "--prefer-offline", "--fetch-retries=1"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S)
    if done.returncode:
        if re.search(NO_NETWORK, done.stderr):
            raise MissingTools("npm's registry is out of reach, and the packages are not in npm's cache")
        raise RuntimeError(f"npm ci failed: {done.stderr[-1000:]}")


def node_version() -> tuple[int, ...]:
    """Version of the installed Node, such as ``(20, 19, 0)``; ``()`` without one."""
    node = shutil.which("node")
    if node is None:
        return ()
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, re.findall(r"\d+", said)[:3]))


def run(*command: str, text: str = "") -> tuple[int, str]:
    """Run Node in the repository root with these arguments, and with a text as its input.

    Returns:
        Its exit status, and what it printed.
    """
    plain = {**os.environ, "NO_COLOR": "1", "NODE_OPTIONS": ""}
    done = subprocess.run(
        ["node", *command], cwd=ROOT, input=text, capture_output=True, text=True, env=plain, timeout=TOOL_TIMEOUT_S
    )
    return done.returncode, done.stdout + done.stderr
