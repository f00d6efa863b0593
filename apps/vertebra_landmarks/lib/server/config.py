"""The ``--conf KEY VALUE`` settings of the server, parsed once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, FilePath
from pydantic.dataclasses import dataclass

from ..learning.config import DEFAULT_WEIGHTS_FILE
from ..learning.validation import Expected, Flag, checked
from .store.database import checked_url

MAX_UPLOAD_MB, MAX_RESCAN_S = 4096, 86_400
MIN_CACHE_MB, MAX_CACHE_MB = 1, 100_000_000
LABELS, PREDICTIONS, GSPS, PDF, OFF = "labels", "predictions", "gsps", "pdf", "off"
"""Words of ``dicomweb_send``."""
_SENT = {LABELS, PREDICTIONS}
_ORIGIN = re.compile(r"https?://[\w.-]+(:\d+)?|https?://\[[0-9a-f:]+\](:\d+)?", re.IGNORECASE)


_File = Annotated[FilePath, Expected("a file that is there")]
_Truth = Annotated[Flag, BeforeValidator(lambda text: {"true": True, "false": False}.get(str(text).lower(), text))]
_Path = Annotated[Path, BeforeValidator(lambda text: Path(text).expanduser().absolute())]
_Login = Annotated[str, Field(min_length=1)]
_CacheMegabytes = Annotated[
    int, Field(ge=MIN_CACHE_MB, le=MAX_CACHE_MB), Expected(f"a whole number from {MIN_CACHE_MB} to {MAX_CACHE_MB}")
]
_Megabytes = Annotated[int, Field(ge=1, le=MAX_UPLOAD_MB), Expected(f"a whole number from 1 to {MAX_UPLOAD_MB}")]
_Seconds = Annotated[int, Field(ge=1, le=MAX_RESCAN_S), Expected(f"a whole number from 1 to {MAX_RESCAN_S}")]
_Origins = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda text: text.split() if isinstance(text, str) else text),
    Expected("addresses like https://viewer.example", lambda origins: all(map(_ORIGIN.fullmatch, origins))),
]
_Sent = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda text: tuple(text.split()) if isinstance(text, str) else text),
    Expected(
        f"{OFF!r}, or {LABELS!r} or {PREDICTIONS!r} or both, with {GSPS!r} and {PDF!r} if wanted, separated by spaces",
        lambda words: (
            words == (OFF,) or ({LABELS, PREDICTIONS} & set(words) and set(words) <= {LABELS, PREDICTIONS, GSPS})
        ),
    ),
]
_Url = Annotated[str, AfterValidator(lambda text: checked_url(text) and text)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", validate_default=True))
class ServerConfig:
    """Settings of the running server.

    Attributes:
        device: auto, cpu or cuda.
        weights: weight file that inference uses.
        max_upload_mb: largest file that a request may bring, in megabytes.
        tokens: file with the tokens that open the server; without one, whoever reaches it may do everything.
        database: URL of a PostgreSQL database or a SQLite file; a SQLite file in the studies folder if there is none.
        cors_origins: web sites whose pages may call the server, such as ``https://viewer.example``.
        rescan_s: seconds between two scans of the whole studies folder, for what other machines change in a share that
            does not report it; by default 60 on a mounted disk, else never.
        prelabel: predict images without a final label in the background.
        scoring: score images for the choice of the next one in the background.
        dicomweb_user: of the login of a PACS, where the studies are the address of one.
        dicomweb_password: of that user; better in the environment, see ``pacs.settings``.
        dicomweb_token: bearer token of a PACS, instead of user and password.
        dicomweb_ca: file with the certificates of the authorities that certify the PACS.
        dicomweb_filter: YAML file that says which images of a PACS are shown, see ``pacs.image_filter``.
        dicomweb_folder: folder of labels, versions and cache of a PACS; by default below the user's data.
        dicomweb_cache_mb: largest size of the cache of a PACS's images on the disk, in megabytes.
        dicomweb_send: what a PACS gets: ``labels``, ``predictions`` or both, as structured reports; with ``gsps``
            presentation states and with ``pdf`` reports for people, too; or ``off``.
    """

    device: str = "auto"
    weights: _File = DEFAULT_WEIGHTS_FILE
    max_upload_mb: _Megabytes = 128
    tokens: _File | None = None
    cors_origins: _Origins = ()
    database: _Url | None = None
    rescan_s: _Seconds | None = None
    prelabel: _Truth = False
    scoring: _Truth = True
    dicomweb_user: _Login | None = None
    dicomweb_password: _Login | None = field(default=None, repr=False)
    dicomweb_token: _Login | None = field(default=None, repr=False)
    dicomweb_ca: _File | None = None
    dicomweb_filter: _File | None = None
    dicomweb_folder: _Path | None = None
    dicomweb_cache_mb: _CacheMegabytes = 4096
    dicomweb_send: _Sent = (LABELS,)


def parse_conf(conf: Mapping[str, str]) -> ServerConfig:
    """Read the settings.

    Args:
        conf: names and values as given on the command line; ``server_mode`` is MONAI Label's own.

    Raises:
        ValueError: a name is unknown, or a value is not as its setting needs it; the message names the setting.
    """
    names = [one.name for one in fields(ServerConfig)]
    unknown = sorted(set(conf) - {*names, "server_mode"})
    if unknown:
        raise ValueError(f"--conf {unknown[0]}: unknown setting; known are {', '.join(names)}")
    return checked(ServerConfig, {name: conf[name] for name in names if name in conf}, "--conf", " ")
