"""The virtual environment ``.venv``: created when missing, and updated with the requirements files.

``setup_environment.py [--cluster]`` sets it up without starting anything; ``--cluster`` adds what archives need.
Used by ``start.py`` and ``test.py`` before anything is installed, hence the standard library only. Annotations are
quoted, so that a Python too old for the project can still run this file and print what is wrong.
"""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUPPORTED = ((3, 11), (3, 12), (3, 10))
"""Python versions that all pins support, by preference."""
TORCH = "torch==2.13.0"  # the release that requirements.txt was tested with
RUNTIME = "requirements.txt"
DEVELOPMENT = "requirements-dev.txt"
CLUSTER = "requirements-cluster.txt"

_VERSION = "{}.{}".format(*sys.version_info)
_HEARTBEAT_S = 30
_FAILURES = (
    (
        ("No space left on device", "not enough space", "Disk quota exceeded"),
        "The disk is full: .venv takes 2.5 GB (6 GB where pip chooses a CUDA build of PyTorch), and while it installs "
        "pip needs as much again for temporary files. Free some space and run the command again.",
    ),
    (
        ("ensurepip is not available", "No module named venv", "No module named ensurepip"),
        f"This Python lacks the venv module. Install it (on Debian and Ubuntu: sudo apt install python{_VERSION}-venv) "
        "and run the command again.",
    ),
    (
        ("connection broken by", "Max retries", "timed out", "IncompleteRead", "No matching distribution"),
        "pip could not download the packages. Check the network and the proxy or index that pip is configured for, "
        "and that this is 64-bit Linux, Windows, or macOS on Apple silicon; then run the command again: what is "
        "already installed is kept.",
    ),
)


class SetupError(Exception):
    """The environment cannot be set up; the message says why and what to do."""


def use_suitable_python() -> None:
    """Return if this Python is supported; otherwise run the same command with one that is.

    Raises:
        SystemExit: no supported Python was found (status 2).
    """
    if sys.version_info[:2] in SUPPORTED:
        return
    python = find_suitable_python()
    if python is None:
        print(
            f"This project needs Python 3.11 (3.10 and 3.12 work too), but this is Python {_VERSION} and no other was "
            "found; install Python 3.11 and run the command again.",
            file=sys.stderr,
        )
        raise SystemExit(2)
    become([python, *sys.argv])


def become(command: "list[str]") -> None:
    """Replace this process by a command.

    Raises:
        SystemExit: on Windows, where the command runs beside this process, with its exit status.
    """
    if os.name == "nt":  # there, exec returns to the prompt while the new process still runs
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the command too; it decides
        raise SystemExit(subprocess.call(command))
    os.execv(command[0], command)


def find_suitable_python() -> "str | None":
    """Path of an installed Python of a supported version that can make virtual environments, if there is one."""
    for major, minor in SUPPORTED:
        commands = [[path] for path in _all_on_path(f"python{major}.{minor}")]
        commands += [[path, f"-{major}.{minor}"] for path in _all_on_path("py") if os.name == "nt"]
        for command in commands:
            probe = "import ensurepip, sys, venv; print(*sys.version_info[:2], sys.executable)"
            try:
                output = subprocess.check_output([*command, "-c", probe], stderr=subprocess.DEVNULL)
            except (OSError, subprocess.CalledProcessError):
                continue
            found = output.decode(errors="replace").strip().split(" ", 2)
            if found[:2] == [str(major), str(minor)]:
                return found[2]
    return None


def _all_on_path(name: str) -> "list[str]":
    """Every program of that name: shims of version managers may work for some versions only."""
    paths = [shutil.which(name, path=folder) for folder in os.get_exec_path()]
    return [path for path in paths if path]


def say(text: str) -> None:
    """Print a line of progress at once."""
    print(text, flush=True)


def prepare(*requirements: str, root: Path = ROOT) -> Path:
    """Install what is missing; without any change, only hashes are compared.

    Args:
        requirements: names of requirements files in the repository root; ``RUNTIME`` always comes first.
        root: the repository.

    Returns:
        The environment's Python.

    Raises:
        SetupError: the installation failed; the message says why and what to do.
    """
    environment = Environment(root)
    names = (RUNTIME, *requirements)
    try:
        if not environment.has(names):
            with environment.lock():
                if not environment.has(names):  # else another process has just installed them
                    environment.install(names)
    except OSError as error:
        reason = _advice(str(error)) or f"The folder {environment.folder} cannot be set up: {error}."
        raise SetupError(reason) from error
    return environment.python


class Environment:
    """The virtual environment of one copy of the repository.

    Args:
        root: the repository; it holds the requirements files and gets ``.venv``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.python = self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self._record_path = self.folder / "installed.json"
        self._lock_path = self.folder / "setup.lock"
        self._inherited: tuple[int, ...] = ()

    def has(self, requirements: "tuple[str, ...]") -> bool:
        """Whether the current content of these requirements files is completely installed."""
        record = self._read_record()
        return self.python.exists() and all(record.get(name) == self.fingerprint(name) for name in requirements)

    def fingerprint(self, name: str) -> str:
        """Hash of all that an installation depends on: the pins, the Python and the folder."""
        config = self.folder / "pyvenv.cfg"
        parts = (
            TORCH.encode(),
            (self.root / name).read_bytes(),
            config.read_bytes() if config.exists() else b"",
            str(self.folder).encode(),
        )
        return hashlib.sha256(b"\0".join(parts)).hexdigest()

    def install(self, requirements: "tuple[str, ...]") -> None:
        """Create the environment if it is missing or unusable, and install the requirements files.

        Raises:
            SetupError: a step failed, or the environment is unusable and belongs to somebody else, behind a link.
        """
        defect = self.defect()
        if defect and self.folder.is_symlink():
            raise SetupError(
                f"{self.folder} is a link to an environment that {defect}; remove the link and start again"
            )
        if defect:
            say(f"{self.folder} {defect}; it is made anew.")
            self._clear()
        if not self.python.exists():
            say(f"Making an environment for Python {_VERSION} in {self.folder} (about 5 seconds) ...")
            base = getattr(sys, "_base_executable", None) or sys.executable  # not the Python that is being replaced
            self._run([base, "-m", "venv", str(self.folder)])
        installed = self._read_record()
        self._write_record({name: value for name, value in installed.items() if name not in requirements})
        self._remove_half_installed()
        if not self._has_torch():
            say(f"Installing {TORCH} (1 to 2 minutes; a CUDA build is 3 GB more and takes longer) ...")
            # The constraint keeps what PyTorch shares with the rest at the pinned releases.
            self._pip("--constraint", RUNTIME, TORCH)
        for name in requirements:
            say(f"Installing {name} (up to 1 minute) ...")
            self._pip("--no-deps", "--requirement", name)
        say("Checking that the packages load (about 10 seconds) ...")
        self._run([str(self.python), "-I", "-c", "import torch, SimpleITK, monai, monailabel"])
        for name in requirements:
            installed[name] = self.fingerprint(name)
        self._write_record({**installed, "folder": str(self.folder)})
        say("The environment is complete; the next start skips all this.")

    def defect(self) -> "str | None":
        """Why an existing environment is unusable; ``None`` if it is usable or does not exist yet."""
        if not any(path != self._lock_path for path in self.folder.iterdir()):
            return None
        if not self.python.exists():
            return "has no Python in it"
        if self._read_record().get("folder", str(self.folder)) != str(self.folder):
            return "was made in another place"
        command = [str(self.python), "-I", "-c", "import pip, sys; print(*sys.version_info[:2])"]
        try:
            output = subprocess.check_output(command, stderr=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError):
            return "has no working Python with pip in it"
        version = tuple(int(number) for number in output.split())
        return None if version in SUPPORTED else "belongs to Python {}.{}".format(*version)

    @contextlib.contextmanager
    def lock(self) -> "Iterator[None]":
        """Lock out other installations; the system releases the lock when its holders end, however they end."""
        self.folder.mkdir(exist_ok=True)
        with self._lock_path.open("a") as file:
            if not _try_lock(file.fileno()):
                say("Another installation is under way; waiting for it ...")
                while not _try_lock(file.fileno()):
                    time.sleep(0.5)
            # A pip that outlives this process must keep the lock.
            self._inherited = (file.fileno(),) if os.name == "posix" else ()
            yield
            self._inherited = ()

    def _read_record(self) -> "dict[str, str]":
        try:
            record = json.loads(self._record_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _write_record(self, record: "dict[str, str]") -> None:
        new = self._record_path.with_suffix(".new")
        new.write_text(json.dumps(record, indent=1), encoding="utf-8")
        new.replace(self._record_path)

    def _clear(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.python.unlink()  # first, so that an interrupted removal is not taken for an environment
        for path in self.folder.iterdir():
            if path == self._lock_path:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(str(path))
            else:
                path.unlink()

    def _site_packages(self) -> "list[Path]":
        return [path for pattern in ("lib/python*", "Lib") for path in self.folder.glob(f"{pattern}/site-packages")]

    def _remove_half_installed(self) -> None:
        """Remove remains of an interrupted pip: metadata without RECORD, which is written last, and backup folders."""
        for folder in self._site_packages():
            half = [path for path in folder.glob("*.dist-info") if not (path / "RECORD").exists()]
            for path in [*half, *folder.glob("~*")]:
                shutil.rmtree(str(path), ignore_errors=True)

    def _has_torch(self) -> bool:
        name = TORCH.replace("==", "-")  # a local version such as +cpu may follow
        patterns = (f"{name}.dist-info", f"{name}+*.dist-info")
        return any(any(folder.glob(pattern)) for folder in self._site_packages() for pattern in patterns)

    def _pip(self, *arguments: str) -> None:
        pip = [str(self.python), "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        self._run([*pip, *arguments])

    def _run(self, command: "list[str]") -> None:
        """Run a step, silent unless it fails."""
        started = time.monotonic()
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command,
                cwd=str(self.root),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=self._inherited,
            )
            try:
                while process.poll() is None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(_HEARTBEAT_S)
                        break
                    say(f"  ... still at it after {time.monotonic() - started:.0f} s")
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
            if process.returncode:
                output.seek(0)
                text = output.read().decode(errors="replace")
                lines = [line for line in text.splitlines() if not line.startswith("WARNING")]
                print("\n".join(lines[-8:]), file=sys.stderr)
                unknown = f"The installation failed as said above; delete {self.folder} and run the command again."
                raise SetupError(_advice(text) or unknown)


def _advice(output: str) -> "str | None":
    """The advice for a known cause of failure, recognized by messages of pip, venv or the system."""
    for messages, sentence in _FAILURES:
        if any(message.lower() in output.lower() for message in messages):
            return sentence
    return None


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: int) -> bool:
        try:
            os.lseek(file, 0, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def main() -> int:
    """Set the environment up; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", action="store_true", help=f"install {CLUSTER} as well, for archives of images")
    arguments = parser.parse_args()
    use_suitable_python()
    try:
        prepare(*([CLUSTER] if arguments.cluster else []))
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
