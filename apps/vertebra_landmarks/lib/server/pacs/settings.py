"""Settings of the connection to a PACS, from ``--conf`` and the environment."""

from __future__ import annotations

import hashlib
import logging
import os
import ssl
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ...structured_report.subject import COBB_LINES, DOCUMENT, GRAPHICS, LANDMARKS
from ..config import GSPS, LABELS, PDF, PREDICTIONS, ServerConfig
from ..filenames import is_dicomweb
from .image_filter import ImageFilter, read_filter

logger = logging.getLogger(__name__)

USER, PASSWORD, TOKEN = "VERTEBRA_DICOMWEB_USER", "VERTEBRA_DICOMWEB_PASSWORD", "VERTEBRA_DICOMWEB_TOKEN"
"""Environment variables of the login, which neither logs nor lists of processes show."""
MEGABYTE = 1_000_000
SENT_TAGS = {LABELS: "final", PREDICTIONS: "original"}
SENT_KINDS = {PDF: DOCUMENT, GSPS: GRAPHICS}
_DIGITS = 16  # of the hash of the address that names the default folder


@dataclass(frozen=True)
class PacsSettings:
    """A PACS, and how it is used.

    Attributes:
        url: address of its DICOMweb service, without a slash at the end.
        folder: working folder: labels, versions, database and cache.
        user: of the login by name and password; ``None`` where there is none.
        password: of that user.
        token: bearer token; ``None`` where there is none.
        ca: file with the certificates of the authorities to trust; ``None`` for the system's.
        image_filter: which instances are images to annotate.
        cache_bytes: largest size of the cache on the disk.
        send: what is sent to the PACS: words of ``SENT_TAGS`` and ``SENT_KINDS``.
    """

    url: str
    folder: Path
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ca: Path | None = None
    image_filter: ImageFilter = field(default_factory=ImageFilter)
    cache_bytes: int = 4_096 * MEGABYTE
    send: tuple[str, ...] = (LABELS,)

    @property
    def sent(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Tags of the labels that are sent, and the kinds of objects that are sent of each version."""
        tags = tuple(tag for word, tag in SENT_TAGS.items() if word in self.send)
        extra = tuple(kind for word, kind in SENT_KINDS.items() if word in self.send)
        return tags, (*extra, COBB_LINES, LANDMARKS)

    @property
    def host(self) -> str:
        """The PACS as named in messages: host and port."""
        return urlsplit(self.url).netloc


def pacs_settings(url: str, config: ServerConfig) -> PacsSettings:
    """The settings of a PACS; what ``--conf`` does not say comes from the environment.

    Args:
        url: address of the DICOMweb service.
        config: of the server.

    Raises:
        ValueError: the address, the filter or the login is not usable; the message says why.
    """
    url = url.strip().rstrip("/")
    if not is_dicomweb(url) or not urlsplit(url).hostname:
        raise ValueError(f"{url!r:.200} must be an address like https://pacs.example/dicom-web")
    if config.dicomweb_password or config.dicomweb_token:
        logger.warning(
            "The login of the PACS is on the command line, which logs and lists of processes show: better put it into "
            "the environment, as %s and %s, or as %s",
            USER,
            PASSWORD,
            TOKEN,
        )
    user = config.dicomweb_user or os.environ.get(USER) or None
    password = config.dicomweb_password or os.environ.get(PASSWORD) or None
    token = config.dicomweb_token or os.environ.get(TOKEN) or None
    if (user is None) != (password is None):
        raise ValueError(f"the login of the PACS needs both a user and a password: set {USER} and {PASSWORD}")
    if user is not None and token is not None:
        raise ValueError("the login of the PACS is either a user and a password or a token, not both")
    return PacsSettings(
        url,
        config.dicomweb_folder or default_folder(url),
        user,
        password,
        token,
        _checked_ca(config.dicomweb_ca),
        ImageFilter() if config.dicomweb_filter is None else read_filter(config.dicomweb_filter),
        config.dicomweb_cache_mb * MEGABYTE,
        config.dicomweb_send,
    )


def _checked_ca(path: Path | None) -> Path | None:
    """The file, if it has certificates.

    Raises:
        ValueError: it has none.
    """
    if path is None:
        return None
    try:
        if ssl.create_default_context(cafile=path).cert_store_stats()["x509"]:
            return path
    except OSError:  # of which SSLError is one
        pass
    raise ValueError(f"--conf dicomweb_ca {path.name} holds no certificate: expected a file in PEM format")


def default_folder(url: str) -> Path:
    """The working folder of a PACS where none is named: below the user's data, by a hash of the address."""
    if sys.platform == "win32":
        data = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        data = Path.home() / "Library" / "Application Support"
    else:
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    digest = hashlib.sha256(url.strip().rstrip("/").encode()).hexdigest()[:_DIGITS]
    return data / "vertebra_landmarks" / "pacs" / digest
