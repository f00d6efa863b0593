"""Which files of the studies folder are images and labels."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

LIST = """
import json, logging, sys
logging.basicConfig(level=logging.WARNING)
from lib.server.store.datastore import StudiesDatastore
store = StudiesDatastore(sys.argv[1], auto_reload=False, read_only=False)
found = {name: [store.get_image_uri(name), sorted(store.get_labels_by_image_id(name))] for name in store.list_images()}
print(json.dumps([found, store.status()["not_served"]]))
"""
APP = Path(__file__).resolve().parents[2] / "apps" / "vertebra_landmarks"


@pytest.mark.integration
def test_images_and_labels_are_told_apart(tmp_path: Path) -> None:
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
