"""Training on labels of a PACS: images come and go in the cache, and the PACS may be away in the middle of it."""

from __future__ import annotations

import json
import logging
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from harness.phantom_dicom import Examination, phantom_dx
from lib.learning.data.transforms import FetchedImage
from lib.phantoms import random_spec, render_phantom
from lib.server.models import ModelStore
from lib.server.overview.thumbnails import Thumbnails
from lib.server.pacs import image_cache
from lib.server.pacs.image_cache import ImageCache
from lib.server.training import dataset
from lib.server.training.train_task import REPORT, VertebraLandmarksTrain
from lib.spine.imaging.image_geometry import ImageGeometry
from lib.spine.labels.markups import to_markups

from ..training.rounds import ONE_EPOCH
from .conftest import SECRET_ID, SECRET_NAME, Pacs, Site, check_private

pytestmark = pytest.mark.usefixtures("torch_as_before")

IMAGES, SIZE, GEOMETRY = 4, (480, 220), ImageGeometry(spacing=(0.15, 0.15))
IMAGE_BYTES = SIZE[0] * SIZE[1] * 2


@pytest.fixture
def site(pacs: Pacs, open_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, no_waiting: None) -> Site:
    """Labelled images of several patients, and a cache that holds only one of them."""
    monkeypatch.setattr(image_cache, "MIN_KEPT_S", 0.0)
    monkeypatch.setattr("lib.server.pacs.watcher.PREFETCHED", 0)
    monkeypatch.setattr("lib.server.store.datastore.PREFETCHED", 0)
    site = open_site(cache_bytes=int(1.5 * IMAGE_BYTES))
    labels = []
    for number in range(IMAGES):
        phantom = render_phantom(random_spec(number, *SIZE))
        patient = Examination(f"{SECRET_ID}{number}", f"{SECRET_NAME}{number}")
        header = phantom_dx(phantom.pixels.astype(np.uint16) * 16, patient)
        pacs.store(header)
        labels.append((header.SOPInstanceUID, json.dumps(to_markups(phantom.spine, GEOMETRY)).encode()))
    site.round()
    for uid, content in labels:
        site.store.save_label_content(site.source.catalogue.id_of(str(uid)), "final", content, {})
    return site


@pytest.fixture
def task(site: Site, tmp_path: Path, toy_weights: Path) -> VertebraLandmarksTrain:
    folder = tmp_path / "models"
    folder.mkdir()
    return VertebraLandmarksTrain(ModelStore(folder, toy_weights), "cpu")


def report(task: VertebraLandmarksTrain) -> dict[str, object]:
    content: dict[str, object] = json.loads((task._models.folder / REPORT).read_text())
    return content


def test_the_cache_may_be_smaller_than_the_training_set(
    pacs: Pacs,
    site: Site,
    task: VertebraLandmarksTrain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing of a patient is in what it writes, nor in thumbnails."""
    caplog.set_level(logging.INFO)
    sizes: list[int] = []
    caches: list[ImageCache] = []
    added = ImageCache._note_added

    def note_added(cache: ImageCache, size: int) -> None:
        added(cache, size)
        caches.append(cache)
        sizes.append(cache.size()[0])

    monkeypatch.setattr(ImageCache, "_note_added", note_added)
    done = task(dict(ONE_EPOCH), site.store)
    assert (done["state"], done["version_after"] is not None) == ("done", True)
    assert done["images"]["training"] + done["images"]["validation"] == IMAGES
    assert report(task)["skipped"] == {}
    assert max(sizes) <= 2  # another thread may just have added one
    assert {cache.size()[0] for cache in caches} == {1}
    assert len(sizes) > IMAGES  # some were fetched again
    drawn = Thumbnails(site.store, tmp_path / "thumbnails")
    for image in site.store.list_images():
        assert drawn.make(image, drawn.key(image))
    assert caplog.text
    check_private(tmp_path.rglob("*"), json.dumps(done), caplog.text)


def test_another_process_gets_the_path_of_a_file_that_is_there(tmp_path: Path) -> None:
    def fetch() -> Path:
        (tmp_path / "image.dcm").touch()
        return tmp_path / "image.dcm"

    path = pickle.loads(pickle.dumps(FetchedImage(tmp_path / "image.dcm", fetch)))
    assert type(path) is str
    assert Path(path).exists()


@pytest.mark.parametrize("pacs", ["strict"], indirect=True)
def test_a_pacs_that_goes_away_is_waited_for(
    pacs: Pacs, site: Site, task: VertebraLandmarksTrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            pacs.proxy.start()

    monkeypatch.setattr(dataset, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    pacs.proxy.stop()
    done = task(dict(ONE_EPOCH), site.store)
    assert (done["state"], report(task)["skipped"]) == ("done", {})
    assert waited == [dataset.RETRY_INTERVAL_S] * 2


@pytest.mark.parametrize("pacs", ["strict"], indirect=True)
@pytest.mark.parametrize("after", [0, IMAGES + 1])
def test_a_pacs_that_stays_away_ends_the_training_with_a_sentence_and_it_can_be_resumed(
    pacs: Pacs, site: Site, task: VertebraLandmarksTrain, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(dataset, "MAX_AWAY_S", 0.0)
    retrieve, left = site.source.client.retrieve, [after]

    def failing(uids: object) -> bytes:
        left[0] -= 1
        if left[0] < 0:
            pacs.proxy.status = 503
        return retrieve(uids)

    monkeypatch.setattr(site.source.client, "retrieve", failing)
    with pytest.raises((OSError, RuntimeError)):
        task(dict(ONE_EPOCH), site.store)
    said = report(task)
    assert (said["state"], str(said["error"]).startswith("the PACS at 127.0.0.1")) == ("failed", True)
    pacs.proxy.status, left[0] = 0, 10**6
    again = {"resume": True} if after else dict(ONE_EPOCH)
    assert task(again, site.store)["state"] == "done"
