"""The ``--conf KEY VALUE`` settings of the server, parsed once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..learning.config import DEFAULT_WEIGHTS_FILE
from .store.database import checked_url

MOST_UPLOAD_MB = 4096
_ORIGIN = re.compile(r"https?://[\w.-]+(:\d+)?|https?://\[[0-9a-f:]+\](:\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
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
    weights: Path = DEFAULT_WEIGHTS_FILE
    max_upload_mb: int = 128
    tokens: Path | None = None
    cors_origins: tuple[str, ...] = ()
    database: str | None = None
    prelabel: bool = False
    scoring: bool = True

    def __post_init__(self) -> None:
        if not self.weights.is_file():
            raise ValueError(f"--conf weights: there is no file {self.weights}")
        if not 1 <= self.max_upload_mb <= MOST_UPLOAD_MB:
            raise ValueError(f"--conf max_upload_mb must be 1 to {MOST_UPLOAD_MB}, got {self.max_upload_mb}")
        if self.tokens is not None and not self.tokens.is_file():
            raise ValueError(f"--conf tokens: there is no file {self.tokens}")
        if self.database is not None:
            checked_url(self.database)
        for origin in self.cors_origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"--conf cors_origins must be addresses like https://viewer.example, got {origin!r}")


def parse_conf(conf: Mapping[str, str]) -> ServerConfig:
    """Read the settings.

    Args:
        conf: names and values as given on the command line; ``server_mode`` is MONAI Label's own.

    Raises:
        ValueError: a name is unknown, or a value is not as its setting needs it; the message names the setting.
    """
    readers: dict[str, Callable[[str], Any]] = {
        "device": str,
        "weights": Path,
        "max_upload_mb": _whole_number,
        "tokens": Path,
        "database": str,
        "cors_origins": lambda text: tuple(text.split()),
        "prelabel": lambda text: _truth("prelabel", text),
        "scoring": lambda text: _truth("scoring", text),
    }
    unknown = sorted(set(conf) - {*readers, "server_mode"})
    if unknown:
        raise ValueError(f"--conf {unknown[0]}: unknown setting; known are {', '.join(readers)}")
    return ServerConfig(**{name: read(conf[name]) for name, read in readers.items() if name in conf})


def _whole_number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0  # no size that passes


def _truth(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"--conf {name} must be true or false, got {text!r:.80}")
    return text.lower() == "true"
