"""Whether the packages of ``requirements-cluster.txt`` are installed."""

from __future__ import annotations

from importlib.util import find_spec

PACKAGES = ("pyarrow", "distributed", "s3fs", "aiohttp")


def missing_packages() -> str | None:
    """A sentence that says what is not installed and how to install it; ``None`` where nothing is missing."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if not missing:
        return None
    return (
        f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed; "
        "python3 scripts/setup_environment.py --cluster installs what archives need"
    )
