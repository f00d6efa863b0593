"""The static build of OHIF: found in a folder, or taken from its npm package, which is checked and unpacked once."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

PACKAGE, VERSION = "@ohif/app", "3.13.2"
INTEGRITY = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
"""SHA-512 of the package in base64, as the npm registry states it."""
NPM_TIMEOUT_S = 600
INDEX = "index.html"
_MARK = b"window.PUBLIC_URL"
_DIST = PurePosixPath("package/dist")
_LEFT_OUT = ("ort", "dicom-microscopy-viewer", "app-config.js", "google.js", "sw.js")
"""What radiographs do not need, 150 MB of 200, and what would make requests to other servers."""
_CHUNK_BYTES = 1 << 20
_UNREACHABLE = (
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ETIMEDOUT",
    "ENETUNREACH",
    "ERR_SOCKET_TIMEOUT",
)


class ViewerMissingError(ValueError):
    """There is no build of OHIF to serve; the message is a sentence that says what to do."""


def cache_folder() -> Path:
    """Folder of unpacked builds, in the user's cache."""
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "vertebra_landmarks"


def find_build(source: Path | None = None) -> Path:
    """The folder of a build to serve.

    Args:
        source: a folder with a build, or the file of the npm package; ``None`` for the cache, or for ``npm pack`` where
            that is empty.

    Raises:
        ViewerMissingError: there is none, and none can be had.
    """
    if source is not None and not source.is_file():
        return _checked(source)
    build = cache_folder() / f"ohif-{VERSION}"
    if (build / INDEX).is_file():
        return build
    try:
        build.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".ohif-", dir=build.parent) as temporary:
            package = source or _npm_pack(Path(temporary))
            _check_package(package)
            unpacked = Path(temporary) / "build"
            _unpack(package, unpacked)
            _move(unpacked, build)
    except OSError as error:
        raise ViewerMissingError(f"OHIF cannot be unpacked into {build}: {error.strerror or error}") from error
    return build


def _checked(folder: Path) -> Path:
    """The folder, or ``dist`` in it, after a look at its first page."""
    if not folder.is_dir():
        raise ViewerMissingError(f"there is no folder {folder}")
    for build in (folder, folder / "dist"):
        index = build / INDEX
        if index.is_file() and _MARK in index.read_bytes():
            return build.resolve()
    raise ViewerMissingError(f"{folder} has no build of OHIF: expected the folder dist of the npm package {PACKAGE}")


def _npm_pack(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise ViewerMissingError(
            f"npm is not installed, which downloads OHIF: install it, or download the package {PACKAGE} {VERSION} "
            "elsewhere and name it with --folder"
        )
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--loglevel=error"]
    try:  # in the folder, so that no settings of a project there are read
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=NPM_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ViewerMissingError(f"npm did not download {PACKAGE} {VERSION} within {NPM_TIMEOUT_S} s") from error
    packages = list(folder.glob("*.tgz"))
    if done.returncode == 0 and len(packages) == 1:
        return packages[0]
    code = re.search(r"\bcode (E[A-Z0-9_]+)", done.stderr)
    reason = code[1] if code else f"exit status {done.returncode}"
    if reason in _UNREACHABLE:
        reason = f"the npm registry cannot be reached, {reason}"
    raise ViewerMissingError(
        f"npm could not download {PACKAGE} {VERSION} ({reason}): download it elsewhere and name it with --folder"
    )


def _check_package(package: Path) -> None:
    digest = hashlib.sha512()
    with package.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    if base64.b64encode(digest.digest()).decode() != INTEGRITY:
        raise ViewerMissingError(f"{package.name} is not the npm package {PACKAGE} {VERSION}: its SHA-512 differs")


def _unpack(package: Path, folder: Path) -> None:
    with tarfile.open(package, "r:gz") as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if not member.isfile() or not path.is_relative_to(_DIST) or ".." in path.parts:
                continue
            name = path.relative_to(_DIST)
            content = archive.extractfile(member)
            if content is None or name.suffix == ".map" or name.parts[0] in _LEFT_OUT:
                continue
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as stream:
                shutil.copyfileobj(content, stream)


def _move(unpacked: Path, build: Path) -> None:
    """Put a complete build in its place; another process may have been faster."""
    try:
        unpacked.rename(build)
    except OSError:
        if not (build / INDEX).is_file():
            raise
