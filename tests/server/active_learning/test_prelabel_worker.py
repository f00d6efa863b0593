"""Predictions in the background."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException
from filelock import FileLock

from lib.phantoms import random_spec, render_phantom
from lib.server.active_learning.background_worker import lock_name
from lib.server.active_learning.prelabel_worker import MODEL_VERSION, PREDICTED_BY, PrelabelWorker
from lib.server.store.datastore import StudiesDatastore
from lib.spine.labels.markups import write_markups

IMAGES = ["a", "b", "c"]


class Folder:
    """A studies folder and a model that counts its predictions."""

    def __init__(self, path: Path) -> None:
        for name in IMAGES:
            (path / f"{name}.png").write_bytes(b"no pixels are read here")
        self.path = path
        self.store = StudiesDatastore(str(path), None, auto_reload=False, read_only=False)
        self.version, self.key = "1 (then)", "aa"
        self.predicted: list[str] = []
        self.before: Callable[[str], None] = lambda _: None
        self.label = path.parent / f"{path.name}.mrk.json"
        write_markups(self.label, render_phantom(random_spec(1, 400, 200)).spine)
        self.work = self.again()

    def again(self) -> PrelabelWorker:
        """As after a restart."""
        return PrelabelWorker(
            self.store,
            self.predict,
            lambda: self.version,
            lambda: f"{self.version} {self.key}",
            self.path / ".run",
            interval_s=0.01,
        )

    def predict(self, image: str) -> tuple[Path, dict[str, Any]]:
        self.predicted.append(image)
        self.before(image)
        return Path(shutil.copy(self.label, self.path.parent / "predicted.mrk.json")), {MODEL_VERSION: self.version}

    def save(self, image: str, tag: str, metadata: dict[str, Any]) -> None:
        self.store.save_label(image, str(self.label), tag, metadata)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "studies"
    path.mkdir()
    return Folder(path)


def test_only_unlabelled_images_are_predicted(folder: Folder) -> None:
    folder.save("b", "final", {})
    folder.work.catch_up()
    assert folder.predicted == ["a", "c"]
    assert set(folder.store.get_labels_by_image_id("b")) == {"final"}
    assert folder.work.status() == {"state": "idle", MODEL_VERSION: "1 (then)", "total": 2, "done": 2, "failed": 0}


def test_after_a_restart_it_goes_on_with_the_rest_and_a_new_model_begins_anew(folder: Folder) -> None:
    folder.before = lambda image: folder.work.stop() if image == "b" else None
    folder.save("b", "original", {MODEL_VERSION: "0"})  # as releases before noted it
    folder.work.catch_up()
    assert folder.predicted == ["a", "b"]
    folder.again().catch_up()
    assert folder.predicted == IMAGES
    folder.again().catch_up()
    assert folder.predicted == IMAGES
    folder.version = "2 (now)"
    folder.again().catch_up()
    assert folder.predicted[3:] == IMAGES
    folder.key = "bb"
    folder.again().catch_up()
    assert folder.predicted[6:] == IMAGES
    assert not (folder.path.parent / "predicted.mrk.json").exists()
    assert folder.store.get_label_info("a", "original")[MODEL_VERSION] == "2 (now)"


def test_a_file_that_was_replaced_is_predicted_again_also_one_that_failed(folder: Folder) -> None:
    def refuse(image: str) -> None:
        if image == "b":
            raise HTTPException(415, "no image")

    folder.before = refuse
    folder.work.catch_up()
    for name in ("a", "b"):
        path = folder.path / f"{name}.png"
        path.write_bytes(b"other pixels")
        os.utime(path, ns=(0, 10**9))
    folder.store.refresh()
    folder.before = lambda _: None
    folder.work.catch_up()
    assert folder.predicted == [*IMAGES, "a", "b"]
    assert folder.work.status() == {"state": "idle", MODEL_VERSION: "1 (then)", "total": 3, "done": 3, "failed": 0}


@pytest.mark.parametrize(
    "metadata",
    [{}, {MODEL_VERSION: "0", "user": "anna"}, {MODEL_VERSION: "0", "edits": 2}],
    ids=["of no model", "of a user", "edited"],
)
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_what_a_person_has_saved_as_original_stays(folder: Folder, metadata: dict[str, Any], when: str) -> None:
    if when == "before":
        folder.save("a", "original", metadata)
    else:
        folder.before = lambda image: folder.save("a", "original", metadata) if image == "a" else None
    folder.work.catch_up()
    folder.work.catch_up()
    assert folder.predicted == (["b", "c"] if when == "before" else IMAGES)
    assert len(folder.store.label_versions("a", "original")) == 1
    assert PREDICTED_BY not in folder.store.get_label_info("a", "original")
    assert folder.work.status() == {"state": "idle", MODEL_VERSION: "1 (then)", "total": 2, "done": 2, "failed": 0}


def test_a_label_that_is_submitted_meanwhile_is_left_alone(folder: Folder) -> None:
    folder.before = lambda image: folder.save("c", "final", {}) if image == "a" else None
    folder.work.catch_up()
    assert folder.predicted == ["a", "b"]
    assert (folder.work.status()["total"], folder.work.status()["done"]) == (2, 2)


def test_another_model_ends_the_round(folder: Folder) -> None:
    def publish(_: str) -> None:
        folder.version = "2 (now)"

    folder.before = publish
    folder.work.catch_up()
    assert folder.predicted == ["a"]
    folder.work.catch_up()
    assert folder.predicted == ["a", *IMAGES]  # which of both has predicted the first is unknown


def test_images_without_a_spine_are_tried_once(folder: Folder) -> None:
    answers = {"a": HTTPException(422, "no spine"), "b": HTTPException(503, "busy"), "c": ValueError("broken")}

    def refuse(image: str) -> None:
        raise answers[image]

    folder.before = refuse
    folder.work.catch_up()
    assert folder.work.status()["failed"] == 3
    folder.before = lambda _: None
    folder.work.catch_up()
    assert folder.predicted == [*IMAGES, "b"]  # the server was busy: that may go better
    assert (folder.work.status()["done"], folder.work.status()["failed"]) == (1, 2)


def test_it_stops_after_the_image_that_is_being_predicted(folder: Folder) -> None:
    folder.before = lambda _: folder.work.stop()
    folder.work.start()
    assert folder.work.join(30)
    assert folder.predicted == ["a"]


def test_of_several_workers_one_does_the_work(folder: Folder) -> None:
    done = threading.Event()
    folder.before = lambda image: done.set() if image == "c" else None
    (folder.path / ".run").mkdir()
    with FileLock(folder.path / ".run" / lock_name("prelabel")):
        folder.work.start()
        assert not done.wait(0.3)
        assert folder.predicted == []
    assert done.wait(60)
    folder.work.stop()
