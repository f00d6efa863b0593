"""Reads the image of an entry, wherever it lies; what has to be fetched lies in a temporary file meanwhile."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec

from ...image_io import Radiograph, UnreadableImageError, read_radiograph
from ...image_io.errors import error_text
from ...server.pacs.client import GoneError, PacsClient, PacsError
from ..backoff import is_disk_full, with_retries
from .dicomweb import PREFIX, settings_of, uids_of
from .entries import is_url, location

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 60.0
_MAX_NAME = 80
_UNSAFE = re.compile(r"[^\w.-]+")


class UnreachableImageError(Exception):
    """The image could not be fetched, though another try may succeed; the message is the reason."""


class ImageReader:
    """Reads images of one archive; safe for use by several threads.

    Args:
        root: of the archive.
        image_filter: filter of a PACS, see ``settings_of``.
        ca: certificates of a PACS, see ``settings_of``.
    """

    def __init__(self, root: str, image_filter: Path | None = None, ca: Path | None = None) -> None:
        self._root = root
        self._pacs = PacsClient(settings_of(root, image_filter, ca)) if root.startswith(PREFIX) else None

    def read(self, source: str) -> Radiograph:
        """Read an image.

        Args:
            source: of its entry.

        Raises:
            UnreadableImageError: there is no such image, or it cannot be read.
            UnreachableImageError: it cannot be fetched at present.
            OSError: there is no room for a temporary file.
        """
        place = source if self._pacs is not None else location(self._root, source)
        if self._pacs is None and not is_url(place):
            return _read_file(Path(place))
        with tempfile.TemporaryDirectory(prefix="archive-image-", ignore_cleanup_errors=True) as folder:
            path = Path(folder) / _file_name(place)
            if self._pacs is None:
                _fetch(place, path)
            else:
                path.write_bytes(self._retrieved(source))
            return _read_file(path)

    def _retrieved(self, source: str) -> bytes:
        assert self._pacs is not None
        try:
            return self._pacs.retrieve(uids_of(source))
        except (GoneError, ValueError) as error:
            raise UnreadableImageError(str(error)) from error
        except PacsError as error:
            raise UnreachableImageError(str(error)) from error


def _read_file(path: Path) -> Radiograph:
    """Read a file; messages do not begin with its name, which stands beside them."""
    try:
        return read_radiograph(path)
    except UnreadableImageError as error:
        raise UnreadableImageError(str(error).removeprefix(f"{path.name}: ")) from error


def _fetch(url: str, path: Path) -> None:
    """Copy what a URL names to a local file."""
    try:
        filesystem, remote = fsspec.core.url_to_fs(url, **_options(url))
        with_retries(lambda: filesystem.get_file(remote, str(path)))
    except FileNotFoundError as error:
        raise UnreadableImageError("there is no such file") from error
    except PermissionError as error:
        raise UnreadableImageError("access is refused") from error
    except Exception as error:  # every file system and web client has error types of its own
        if is_disk_full(error):
            raise
        raise UnreachableImageError(f"cannot be fetched ({error_text(error)})") from error


def _options(url: str) -> dict[str, Any]:
    """Time limits of a file system."""
    protocol = urlsplit(url).scheme.lower()
    if protocol in ("http", "https"):
        import aiohttp  # of the extra packages; only where it is needed

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S)
        return {"client_kwargs": {"timeout": timeout}}
    if protocol in ("s3", "s3a"):
        limits = {"connect_timeout": CONNECT_TIMEOUT_S, "read_timeout": READ_TIMEOUT_S}
        return {"config_kwargs": {**limits, "retries": {"max_attempts": 1}}}
    return {}


def _file_name(place: str) -> str:
    """A safe name for the temporary file, with the suffix of the original."""
    path = urlsplit(place).path if is_url(place) else place
    return _UNSAFE.sub("_", path.rpartition("/")[2])[-_MAX_NAME:].lstrip(".") or "image"
