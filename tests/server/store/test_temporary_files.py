"""Temporary files of writers who were killed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lib.server.store.datastore import StudiesDatastore

Open = Callable[..., StudiesDatastore]


def test_old_ones_are_removed_at_the_start(studies: Path, opened: Open) -> None:
    own = studies / ".vertebra_landmarks"
    opened(studies).close()
    (own / "versions" / "final" / "0f").mkdir()
    places = [studies / "labels" / "final", own / "versions" / "final" / "0f", own]
    for place in places:
        for name in (".old.0123456789ab.tmp", ".new.0123456789ab.tmp", ".old.tmp", "old.0123456789ab.tmp"):
            (place / name).write_text("{")
            os.utime(place / name, (1, 1) if "old" in name else None)
    (studies / ".upload.0123456789ab.tmp").write_text("of others")
    os.utime(studies / ".upload.0123456789ab.tmp", (1, 1))
    opened(studies)
    for place in places:
        left = sorted(path.name for path in place.glob("*.tmp"))
        assert left == [".new.0123456789ab.tmp", ".old.tmp", "old.0123456789ab.tmp"]
    assert (studies / ".upload.0123456789ab.tmp").exists()
