"""Packages on top of ``requirements.txt``: whether they are installed, and what installs them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable


def missing_packages(names: Iterable[str], command: str, purpose: str) -> str | None:
    """A sentence that says which packages are not installed and how to install them; ``None`` where none is missing.

    Args:
        names: that are imported.
        command: that installs them.
        purpose: what needs them, with its verb: ``plots need``.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if not missing:
        return None
    listed = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
    verb = "is" if len(missing) == 1 else "are"
    return f"{listed} {verb} not installed; `{command}` installs what {purpose}"
