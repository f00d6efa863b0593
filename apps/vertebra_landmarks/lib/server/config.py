"""The ``--conf KEY VALUE`` settings of the server, parsed once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, FilePath
from pydantic.dataclasses import dataclass

from ..learning.config import DEFAULT_WEIGHTS_FILE
from ..learning.validation import Expected, Flag, checked
from .store.database import checked_url

MAX_UPLOAD_MB = 4096
_ORIGIN = re.compile(r"https?://[\w.-]+(:\d+)?|https?://\[[0-9a-f:]+\](:\d+)?", re.IGNORECASE)


_File = Annotated[FilePath, Expected("a file that is there")]
_Truth = Annotated[Flag, BeforeValidator(lambda text: {"true": True, "false": False}.get(str(text).lower(), text))]
_Megabytes = Annotated[int, Field(ge=1, le=MAX_UPLOAD_MB), Expected(f"a whole number from 1 to {MAX_UPLOAD_MB}")]
_Origins = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda text: text.split() if isinstance(text, str) else text),
    Expected("addresses like https://viewer.example", lambda origins: all(map(_ORIGIN.fullmatch, origins))),
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
        prelabel: predict images without a final label in the background.
        scoring: score images for the choice of the next one in the background.
    """

    device: str = "auto"
    weights: _File = DEFAULT_WEIGHTS_FILE
    max_upload_mb: _Megabytes = 128
    tokens: _File | None = None
    cors_origins: _Origins = ()
    database: _Url | None = None
    prelabel: _Truth = False
    scoring: _Truth = True


def parse_conf(conf: Mapping[str, str]) -> ServerConfig:
    """Read the settings.

    Args:
        conf: names and values as given on the command line; ``server_mode`` is MONAI Label's own.

    Raises:
        ValueError: a name is unknown, or a value is not as its setting needs it; the message names the setting.
    """
    names = [field.name for field in fields(ServerConfig)]
    unknown = sorted(set(conf) - {*names, "server_mode"})
    if unknown:
        raise ValueError(f"--conf {unknown[0]}: unknown setting; known are {', '.join(names)}")
    return checked(ServerConfig, {name: conf[name] for name in names if name in conf}, "--conf", " ")
