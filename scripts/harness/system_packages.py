"""System packages that the tests need on Linux besides wheels: libraries of Qt and VTK, and programs.

Used by ``test.py`` before anything is installed, hence only the standard library.
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
"""Shared libraries, and the packages of Debian and Ubuntu that contain them."""


DATABASE = "postgresql"
"""Package of the database server; without it its tests are skipped."""

PACS = ("orthanc", "orthanc-dicomweb")
"""Packages of the PACS; without them its tests are skipped."""
PACS_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
"""Where Debian puts what makes the PACS speak DICOMweb."""

BALANCER = "nginx-light"
"""Package of the load balancer; without it the load test asks the servers in turn."""

DICOM_CHECKERS = {"dciodvfy": "dicom3tools", "dsrdump": "dcmtk"}
"""Programs that check DICOM instances, and the packages that contain them; without them those tests are skipped."""
BROWSER, NODE_PACKAGES = "chromium", ("nodejs", "npm")
"""Packages of the browser, and of what checks the page's JavaScript; without them those tests are skipped."""
BROWSER_NAMES = ("chromium", "chromium-browser", "google-chrome")
"""Programs that are a Chromium."""


def missing_packages(libraries: "tuple[tuple[str, str], ...]" = LIBRARIES) -> "list[str]":
    """Debian packages of the libraries that cannot be loaded; none on systems other than Linux."""
    return [package for library, package in libraries if sys.platform == "linux" and not _loads(library)]


def provide() -> "str | None":
    """Install missing packages, as root on Debian and Ubuntu.

    Returns:
        Advice on what the user has to install; None if nothing is missing.
    """
    wanted = [missing_packages(), *optional_packages()]
    names = [name for group in wanted for name in group]
    apt = shutil.which("apt-get")
    if sys.platform == "linux" and names and apt and hasattr(os, "geteuid") and os.geteuid() == 0:
        print(f"Installing {', '.join(names)} with apt-get (up to 5 minutes) ...", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        installs = [["install", "--yes", "--no-install-recommends", *group] for group in wanted if group]
        for step in (["update"], *installs):  # one by one: a package that does not exist stops only its own group
            subprocess.call([apt, "--quiet=2", *step], env=quiet, stdout=subprocess.DEVNULL)
    packages = missing_packages()
    return advice(packages) if packages else None


def optional_packages() -> "list[list[str]]":
    """Groups of packages of programs that are missing, and without which some tests are skipped."""
    found: dict[tuple[str, ...], object] = {(DATABASE,): has_postgresql(), PACS: has_orthanc(), (BALANCER,): nginx()}
    found.update({(BROWSER,): chromium(), NODE_PACKAGES: shutil.which("npm")})
    found.update({(package,): shutil.which(program) for program, package in DICOM_CHECKERS.items()})
    return [list(packages) for packages, program in found.items() if not program]


def chromium() -> "str | None":
    """The Chromium to drive: the program that ``CHROMIUM`` names, else the first on ``PATH``; ``None`` without one."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, BROWSER_NAMES)), None)


def nginx() -> "str | None":
    """The nginx to run, where Debian puts servers or on ``PATH``; ``None`` without one."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def has_postgresql(folder: "Path" = Path("/usr/lib/postgresql")) -> bool:
    """Whether PostgreSQL is installed, in Debian's folder or on ``PATH``."""
    return any(folder.glob("*/bin/postgres")) or shutil.which("postgres") is not None


def has_orthanc(plugin: "Path" = PACS_PLUGIN) -> bool:
    """Whether Orthanc and its DICOMweb plugin are installed."""
    return plugin.exists() and shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None


def advice(packages: "list[str]") -> str:
    """Advice that names the packages."""
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
