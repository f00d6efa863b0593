"""What the tests need of a Linux system and wheels do not bring: libraries of Qt and VTK, and a PostgreSQL server.

Used by ``test.py`` before anything is imported, hence the standard library only.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

LIBRARIES = (
    ("libEGL.so.1", "libegl1"),
    ("libEGL_mesa.so.0", "libegl-mesa0"),
    ("libGL.so.1", "libgl1"),
    ("libxkbcommon.so.0", "libxkbcommon0"),
    ("libdbus-1.so.3", "libdbus-1-3"),
    ("libfontconfig.so.1", "libfontconfig1"),
    ("libglib-2.0.so.0", "libglib2.0-0"),
)
"""What is loaded, and the package of Debian and Ubuntu that has it."""


DATABASE = "postgresql"
"""Package of the server that the datastore is tested with; without it those tests are skipped."""


def missing_packages(libraries: "tuple[tuple[str, str], ...]" = LIBRARIES) -> "list[str]":
    """Debian packages of the libraries that cannot be loaded; none on systems other than Linux."""
    return [package for library, package in libraries if sys.platform == "linux" and not _loads(library)]


def provide() -> "str | None":
    """Install what is missing, as root on Debian and Ubuntu.

    Returns:
        What the user has to install, as a sentence; None if all is there.
    """
    packages = missing_packages()
    wanted = packages if has_postgresql() else [*packages, DATABASE]
    apt = shutil.which("apt-get")
    if sys.platform == "linux" and wanted and apt and hasattr(os, "geteuid") and os.geteuid() == 0:
        print(f"Installing {', '.join(wanted)} with apt-get (up to 2 minutes) ...", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["update"], ["install", "--yes", "--no-install-recommends", *wanted]):
            subprocess.call([apt, "--quiet=2", *step], env=quiet, stdout=subprocess.DEVNULL)
        packages = missing_packages()
    return advice(packages) if packages else None


def has_postgresql(place: "Path" = Path("/usr/lib/postgresql")) -> bool:
    """Whether there is a PostgreSQL server to start, in Debian's place or on ``PATH``."""
    return any(place.glob("*/bin/postgres")) or shutil.which("postgres") is not None


def advice(packages: "list[str]") -> str:
    """The sentence that names them."""
    return (
        "The Slicer tests need system libraries that are missing. On Debian and Ubuntu: sudo apt install "
        f"{' '.join(packages)}; elsewhere, install what has the same files. Without them run the tests with -m "
        '"not slicer".'
    )


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
