"""Labels of phantoms on a PACS, and what arrives there."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from harness.phantom_dicom import Examination, phantom_dx
from lib.server.pacs.client import PacsClient
from lib.server.pacs.instances import InstanceUids
from lib.server.pacs.pacs_images import PacsImages, open_pacs_store
from lib.server.pacs.reports.report_worker import ReportWorker
from lib.server.pacs.watcher import PacsWatcher
from lib.server.store.datastore import StudiesDatastore
from lib.spine.imaging.image_geometry import ImageGeometry
from lib.spine.labels.markups import to_markups
from lib.spine.schema import Spine

from ....structured_report.subjects import phantom, varied
from ..conftest import Pacs

PATIENT_NAME, PATIENT_ID = "Zyzzowitsch^Quirina", "QX-7741"
GEOMETRY = ImageGeometry(spacing=(0.15, 0.15))


def examined(seed: int) -> Dataset:
    """A phantom radiograph of an invented patient; the same number gives the same UIDs."""
    pixels = phantom(seed)[0].pixel_array
    return phantom_dx(pixels, Examination(f"{PATIENT_ID}-{seed}", f"{PATIENT_NAME}{seed}"), seed)


@dataclass
class Department:
    """A site whose labels go to a PACS and come from it; rounds are begun by the tests.

    Attributes:
        pacs: the PACS.
        store: the datastore.
        source: its images.
        watcher: of the images.
        worker: of the reports.
        client: of the PACS, without the proxy.
    """

    pacs: Pacs
    store: StudiesDatastore
    source: PacsImages
    watcher: PacsWatcher
    worker: ReportWorker
    client: PacsClient

    def look(self) -> None:
        """One round of the watcher."""
        self.watcher.catch_up()

    def exchange(self) -> dict[str, Any]:
        """One round of the exchange of reports; returns the status then."""
        self.worker.hurry()
        self.worker.catch_up()
        return self.worker.status()

    def image(self, header: Dataset) -> str:
        """Id of an image."""
        return self.source.catalogue.id_of(str(header.SOPInstanceUID))

    def label(self, header: Dataset, spine: Spine, tag: str = "final", **info: Any) -> None:
        """Save a label as the Slicer module does."""
        content = json.dumps(to_markups(spine, GEOMETRY)).encode()
        self.store.save_label_content(self.image(header), tag, content, info)

    @property
    def stores(self) -> int:
        """How many requests to store the PACS has got."""
        return len([path for path in self.pacs.proxy.paths if path.endswith("/studies")])

    def reports(self) -> list[Dataset]:
        """All structured reports in the PACS, by series and instance number."""
        return sorted(found(self.client, "SR"), key=lambda one: (one.SeriesNumber, one.InstanceNumber))


def found(client: PacsClient, modality: str) -> list[Dataset]:
    """All instances of a modality."""
    uids = [
        InstanceUids(*(one[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")))
        for page in client.search({"Modality": modality}, [])
        for one in page
    ]
    return [pydicom.dcmread(io.BytesIO(client.retrieve(one))) for one in uids]


Open = Callable[..., Department]


@pytest.fixture
def open_department(pacs: Pacs, tmp_path: Path, no_waiting: None) -> Iterator[Open]:
    """``open_department(folder, **settings)`` opens a site on the PACS."""
    opened: list[StudiesDatastore] = []

    def open_(folder: str = "work", **changes: Any) -> Department:
        settings = pacs.settings(tmp_path / folder, **changes)
        store, source = open_pacs_store(settings)
        opened.append(store)
        direct = PacsClient(replace(pacs.settings(tmp_path / folder), url=pacs.server.url))
        watcher, worker = PacsWatcher(source, store, settings), ReportWorker(source, store, settings)
        return Department(pacs, store, source, watcher, worker, direct)

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed objects are tried again in the next round."""
    from lib.server.pacs.reports import delivery

    monkeypatch.setattr(delivery, "FIRST_DELAY_S", 0.0)


@dataclass
class Labelled:
    """A labelled image in a PACS."""

    header: Dataset
    spine: Spine
    site: Department = field(repr=False)


@pytest.fixture
def labelled(pacs: Pacs, open_department: Open) -> Labelled:
    """One image with two versions of a label, of two people."""
    header, spine = examined(2), phantom(2)[1]
    pacs.store(header)
    site = open_department()
    site.look()
    site.label(header, spine, user="Ada", seconds=12.5, touched=0)
    site.label(header, varied(spine, 2), user="Boris", touched=1, touched_points=["T7", "T7 TL"])
    return Labelled(header, varied(spine, 2), site)
