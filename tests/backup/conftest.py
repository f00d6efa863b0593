"""A study with labels, versions, readings of the plan and a model, on either database."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib.server.store.datastore import StudiesDatastore

from ..server.store.conftest import database, label, opened, postgresql, studies  # noqa: F401

Make = Callable[..., Path]


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of all files below a folder by path, but of locks and the write-ahead log of a database."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "locks" not in path.parts)
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if not path.name.endswith(("-wal", "-shm"))
    }


def facts(store: StudiesDatastore) -> dict[str, Any]:
    """What a study says of its images and labels."""
    images = store.list_images()
    tags = {image: sorted(store.get_labels_by_image_id(image)) for image in images}
    return {
        "images": images,
        "tags": tags,
        "versions": {(i, t): store.label_versions(i, t) for i in images for t in ("final", "second", "original")},
        "current": {(i, t): store.read_label(i, t).content for i in images for t in tags[i]},
    }


@pytest.fixture
def study(studies: Path, label: Callable[[int], str]) -> Make:  # noqa: F811
    """Fill the folder ``studies`` by a store on a database, and return it."""

    def fill(url: str | None) -> Path:
        store = StudiesDatastore(str(studies), url)
        for number, image, tag in ((1, "a", "final"), (2, "a", "final"), (3, "b", "second"), (4, "c", "final")):
            store.save_label(image, label(number), tag, {"user": "ada"})
        store.remove_label("c", "final")
        store.close()
        models = studies / ".vertebra_landmarks" / "models"
        models.mkdir()
        (models / "1.pt").write_bytes(b"weights")
        (models / "served.json").write_text('{"number": 1, "since": "2026"}')
        (studies / "study.yaml").write_text("readers: [ada, ben]\n")
        return studies

    return fill
