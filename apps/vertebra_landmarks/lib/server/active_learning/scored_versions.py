"""Of which models there are scores, so that an older one's count until those of a new one are there."""

from __future__ import annotations

import json
from pathlib import Path

from ...spine.atomic_write import atomic_write

FILE = "scored.json"
MOST_KEPT = 2


class ScoredVersions:
    """Versions whose scores are complete, newest first; in a file that all workers of a server read.

    Args:
        folder: of the file.
    """

    def __init__(self, folder: Path) -> None:
        self._path = Path(folder) / FILE

    def complete(self) -> list[str]:
        """Versions with scores of all films, newest first; none where the file is missing or damaged."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        return [str(version) for version in found] if isinstance(found, list) else []

    def note(self, version: str) -> list[str]:
        """Note that all films have scores of a version.

        Returns:
            The versions that are kept.

        Raises:
            OSError: the file cannot be written.
        """
        before = self.complete()
        kept = [version, *(other for other in before if other != version)][:MOST_KEPT]
        if kept != before:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._path) as temporary:
                temporary.write_text(json.dumps(kept), encoding="utf-8")
        return kept
