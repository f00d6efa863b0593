"""What workers, strategies and training do while images cannot be fetched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException

from lib.image_io import UnreadableImageError
from lib.server.active_learning.prelabel_worker import PrelabelWorker
from lib.server.active_learning.scoring_worker import ScoringWorker
from lib.server.active_learning.strategies import Assigner
from lib.server.inference.image_reading import ReadableImages, reading
from lib.server.training.dataset import LabelledImages

from .conftest import Pacs, Site, label, radiograph

Open = Callable[..., Site]


@pytest.fixture
def site(pacs: Pacs, open_site: Open, no_waiting: None, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Three images, none of them in the cache."""
    from lib.server.pacs import watcher
    from lib.server.store import datastore

    monkeypatch.setattr(watcher, "PREFETCHED", 0)
    monkeypatch.setattr(datastore, "PREFETCHED", 0)
    pacs.store(*(radiograph(number) for number in range(3)))
    site = open_site()
    site.round()
    return site


def test_the_scoring_worker_waits_and_goes_on(pacs: Pacs, site: Site, tmp_path: Path) -> None:
    tried: list[str] = []

    def describe(image: str) -> Any:
        tried.append(image)
        with reading(site.store, image) as path:
            assert path.exists()
            raise UnreadableImageError("this model cannot say anything about it")

    worker = ScoringWorker(site.store, describe, lambda: "1", tmp_path)
    pacs.proxy.stop()
    worker.catch_up()
    assert (len(tried), worker.status()["failed"]) == (1, 0)
    pacs.proxy.start()
    site.source.client.ping()
    worker.catch_up()
    assert (len(set(tried)), worker.status()["failed"]) == (3, 3)


def test_the_prelabel_worker_waits_and_goes_on(pacs: Pacs, site: Site, tmp_path: Path) -> None:
    def predict(image: str) -> tuple[Path, dict[str, Any]]:
        with reading(site.store, image):
            return Path(label(tmp_path)), {"model_version": "1"}

    worker = PrelabelWorker(site.store, predict, lambda: "1", lambda: "key", tmp_path)
    pacs.proxy.stop()
    worker.catch_up()
    assert (worker.status()["done"], worker.status()["failed"]) == (0, 0)
    pacs.proxy.start()
    site.source.client.ping()
    worker.catch_up()
    assert worker.status()["done"] == 3


def test_the_next_image_is_one_that_is_here(pacs: Pacs, site: Site) -> None:
    cached = site.store.list_images()[2]
    site.store.get_image_uri(cached)
    pacs.proxy.stop()  # nobody has noticed yet
    assert Assigner(ReadableImages()).next(site.store.pick_first, site.store) == {"id": cached}


def test_if_none_is_here_the_reason_is_said(pacs: Pacs, site: Site) -> None:
    pacs.proxy.status = 500
    with pytest.raises((HTTPException, ConnectionError), match=r"failed \(500\)"):
        Assigner(ReadableImages()).next(site.store.pick_first, site.store)


def test_training_fetches_one_image_at_a_time(
    pacs: Pacs, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.server.training.dataset.MAX_AWAY_S", 0.0)
    images = site.store.list_images()
    for image in images[:2]:
        site.store.save_label(image, label(tmp_path), "final", {})
    sources = LabelledImages(site.store)
    assert (sorted(sources), len(sources)) == (images[:2], 2)
    assert site.source.cache.size()[0] == 0
    assert json.loads(sources.label(images[0]).read_text()) == {"markups": []}
    assert sources[images[0]][0].exists()
    assert site.source.cache.size()[0] == 1
    pacs.proxy.stop()
    assert sources[images[0]][0].exists()
    with pytest.raises(OSError, match="the PACS at"):
        sources[images[1]]
    with pytest.raises(KeyError):
        sources[images[2]]
