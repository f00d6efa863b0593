"""Whether the packages of ``requirements-cluster.txt`` are installed."""

from __future__ import annotations

from ..learning import optional_packages

PACKAGES = ("pyarrow", "distributed", "s3fs", "aiohttp")
_COMMAND = "python3 scripts/setup_environment.py --cluster"


def missing_packages() -> str | None:
    """A sentence that says what is not installed and how to install it; ``None`` where nothing is missing."""
    return optional_packages.missing_packages(PACKAGES, _COMMAND, "archives need")
