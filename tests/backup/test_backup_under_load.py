"""A backup while clients save labels through a server: what was acknowledged before its time is in it, intact.

``BACKUP_CLIENTS=20`` lets twenty save instead of four, over three backups.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from lib.backup.backup import back_up
from lib.backup.restore import restore
from lib.backup.study_source import open_source
from lib.backup.verify import verify_backup, verify_folder
from lib.server.store.datastore import StudiesDatastore
from lib.spine.labels.markups import to_markups
from lib.spine.schema import Spine

if TYPE_CHECKING:
    from ..serving import Server, Start

pytestmark = pytest.mark.integration

CLIENTS = int(os.environ.get("BACKUP_CLIENTS", "4"))
IMAGES, BACKUPS, MIN_LABELS = 12, 3 if CLIENTS > 4 else 2, 5 * CLIENTS
TIMEOUT_S = 240.0


class Saver(threading.Thread):
    """Saves labels of its own tag, and notes which version was acknowledged with which content, and when."""

    def __init__(self, server: Server, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._server, self._tag, self._stop_event = server, f"client{number}", stop
        self.acknowledged: list[tuple[str, str, int, bytes, float]] = []
        self.failed: list[object] = []

    def run(self) -> None:
        turn = 0
        while not self._stop_event.is_set():
            image, x = f"image{turn % IMAGES}", 1 + turn % 30
            content = json.dumps(to_markups(Spine.from_arrays(np.full((17, 5, 2), float(x)))) | {"turn": turn}).encode()
            answer = self._server.send(
                f"/datastore/label?image={image}&tag={self._tag}", "PUT", label=("a.json", content), params="{}"
            )
            if answer[0] != 200:
                self.failed.append(answer)
                return
            self.acknowledged.append((image, self._tag, turn // IMAGES + 1, content, time.time()))
            turn += 1


def wait_for_labels(savers: list[Saver], count: int) -> None:
    end = time.monotonic() + TIMEOUT_S
    while sum(len(saver.acknowledged) for saver in savers) < count and not any(saver.failed for saver in savers):
        assert time.monotonic() < end, "the clients are too slow"
        time.sleep(0.02)


def test_no_label_that_was_acknowledged_is_missing_in_a_backup(start: Start, tmp_path: Path) -> None:
    studies, backup, stop = tmp_path / "studies", tmp_path / "backup", threading.Event()
    studies.mkdir()
    for number in range(IMAGES):
        Image.fromarray(np.zeros((60, 40), np.uint8)).save(studies / f"image{number}.png")
    with start(studies) as server:
        savers = [Saver(server, number, stop) for number in range(CLIENTS)]
        for saver in savers:
            saver.start()
        for turn in range(1, BACKUPS + 1):
            wait_for_labels(savers, turn * MIN_LABELS)
            with open_source(studies, None) as source:
                manifest = back_up(source, backup, has_images=True)
        wait_for_labels(savers, (BACKUPS + 1) * MIN_LABELS)  # they go on meanwhile and afterwards
        with open_source(studies, None) as source:
            live = verify_folder(source)
        stop.set()
        for saver in savers:
            saver.join(TIMEOUT_S)
    assert [saver.failed for saver in savers] == [[]] * CLIENTS
    assert live.problems == []
    assert (manifest.damaged, verify_backup(backup).problems) == ([], [])
    restore(backup, tmp_path / "restored", None)
    with open_source(tmp_path / "restored", None) as source:
        assert verify_folder(source).problems == []
    labels = [label for saver in savers for label in saver.acknowledged]
    before = [label for label in labels if label[4] < manifest.snapshot_at]
    assert BACKUPS * MIN_LABELS <= len(before) < len(labels)
    store = StudiesDatastore(str(tmp_path / "restored"))
    for image, tag, version, content, _ in before:
        assert store.label_version(image, tag, version) == content
    store.close()
    print(f"{CLIENTS} clients, {len(labels)} labels acknowledged, {len(before)} before the backup: all in it")
