"""Which files of the studies folder are images and labels, and leftover temporary files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.server.store.datastore import StudiesDatastore

LIST = """
import json, logging, sys
logging.basicConfig(level=logging.WARNING)
from lib.server.store.datastore import StudiesDatastore
store = StudiesDatastore(sys.argv[1], auto_reload=False, read_only=False)
found = {name: [store.get_image_uri(name), sorted(store.get_labels_by_image_id(name))] for name in store.list_images()}
print(json.dumps([found, store.status()["not_served"]]))
"""
APP = Path(__file__).resolve().parents[3] / "apps" / "vertebra_landmarks"


@pytest.mark.integration
def test_images_and_labels_are_distinguished(tmp_path: Path) -> None:
    """In a process of its own, since MONAI Label's settings are global."""
    images = ["a.png", "b.Png", "scan.jpg.jpg", "c.tif_d.tif", "vol.nii.gz", "twin.jpg", "twin.png"]
    others = ["a.mrk.json", "a.overlay.png", "notes.txt", ".hidden.png"]
    for name in [*images, *others]:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "labels" / "final").mkdir(parents=True)
    (tmp_path / "labels" / "final" / "b.mrk.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-c", LIST, str(tmp_path)], capture_output=True, text=True, cwd=APP, check=True
    )
    found, not_served = json.loads(done.stdout)
    assert {name: Path(uri).name for name, (uri, _) in found.items()} == {
        "a": "a.png",
        "b": "b.Png",
        "scan.jpg": "scan.jpg.jpg",
        "c.tif_d": "c.tif_d.tif",
        "vol": "vol.nii.gz",
        "twin": "twin.jpg",
    }
    assert {name: labels for name, (_, labels) in found.items() if labels} == {"b": ["final"]}
    assert [entry["file"] for entry in not_served] == ["notes.txt", "twin.png"]
    assert "2 files and folders are not served" in done.stderr
    assert "twin" not in done.stderr  # file names may name patients


Open = Callable[..., StudiesDatastore]


def test_old_temporary_files_are_removed_at_the_start(studies: Path, opened: Open) -> None:
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
