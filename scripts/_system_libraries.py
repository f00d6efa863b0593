"""The system libraries that Qt and VTK of the Slicer tests load on Linux; wheels do not bring them.

Used by ``test.py`` before anything is imported, hence the standard library only.
"""

import ctypes
import os
import shutil
import subprocess
import sys

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


def missing_packages(libraries: "tuple[tuple[str, str], ...]" = LIBRARIES) -> "list[str]":
    """Debian packages of the libraries that cannot be loaded; none on systems other than Linux."""
    return [package for library, package in libraries if sys.platform == "linux" and not _loads(library)]


def provide() -> "str | None":
    """Install what is missing, as root on Debian and Ubuntu.

    Returns:
        What the user has to install, as a sentence; None if all is there.
    """
    packages = missing_packages()
    apt = shutil.which("apt-get")
    if packages and apt and hasattr(os, "geteuid") and os.geteuid() == 0:
        print(f"Installing {', '.join(packages)} with apt-get (up to 1 minute) ...", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            subprocess.call([apt, "--quiet=2", *step], env=quiet, stdout=subprocess.DEVNULL)
        packages = missing_packages()
    return advice(packages) if packages else None


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
