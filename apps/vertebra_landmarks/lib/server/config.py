"""The ``--conf KEY VALUE`` settings of the server, parsed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..learning.config import DEFAULT_WEIGHTS_FILE


@dataclass(frozen=True)
class ServerConfig:
    """Settings of the running server.

    Attributes:
        device: auto, cpu or cuda.
        weights: weight file that inference uses.
    """

    device: str = "auto"
    weights: Path = DEFAULT_WEIGHTS_FILE


def parse_conf(conf: Mapping[str, str]) -> ServerConfig:
    """Read the settings.

    Args:
        conf: names and values as given on the command line; ``server_mode`` is MONAI Label's own.

    Raises:
        ValueError: a name is unknown, or the weight file is missing.
    """
    known = {"device", "weights", "server_mode"}
    unknown = sorted(set(conf) - known)
    if unknown:
        raise ValueError(f"--conf {unknown[0]}: unknown setting; known are device and weights")
    weights = Path(conf.get("weights", DEFAULT_WEIGHTS_FILE))
    if not weights.is_file():
        raise ValueError(f"--conf weights: there is no file {weights}")
    return ServerConfig(conf.get("device", "auto"), weights)
