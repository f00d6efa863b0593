"""Tests run on a real Orthanc and on a server that follows the standard strictly, both behind a proxy that fails."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from harness.local_orthanc import LocalOrthanc, own_orthanc
from harness.phantom_dicom import Examination, phantom_dx
from harness.system_packages import has_orthanc
from lib.server.pacs.pacs_images import PacsImages, open_pacs_store
from lib.server.pacs.settings import PacsSettings
from lib.server.pacs.watcher import PacsWatcher
from lib.server.store.datastore import StudiesDatastore

from .fault_proxy import FaultProxy, fault_proxy
from .strict_pacs import StrictPacs, as_file, strict_pacs

SECRET_NAME, SECRET_ID = "Geheimnis^Zoë", "ID-4711-X"
SECRETS = (SECRET_ID, "Geheimnis", "Zoë", "QX-7741", "Zyzzowitsch", "20100101", "2010-01-01")
"""Parts of names, ids and dates of birth of the patients of tests on a PACS."""


def radiograph(number: int = 0, size: tuple[int, int] = (64, 32), **changes: Any) -> Dataset:
    """A tiny frontal radiograph of the spine of an invented patient; ``changes`` are attributes by keyword."""
    pixels = np.random.default_rng(number).integers(0, 4096, size).astype(np.uint16)
    dataset = phantom_dx(pixels, Examination(f"{SECRET_ID}{number}", f"{SECRET_NAME}{number}"))
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


@dataclass
class Pacs:
    """A PACS under test.

    Attributes:
        server: it itself.
        proxy: in front of it.
    """

    server: LocalOrthanc | StrictPacs
    proxy: FaultProxy

    def store(self, *datasets: Dataset) -> None:
        """Store instances as others do."""
        for dataset in datasets:
            self.server.store(as_file(dataset))

    def remove(self, dataset: Dataset) -> None:
        """Remove an instance."""
        self.server.remove(str(dataset.SOPInstanceUID))

    def settings(self, folder: Path, **changes: Any) -> PacsSettings:
        """How to reach it through the proxy."""
        login = {"user": self.server.user, "password": self.server.password}
        return PacsSettings(self.proxy.url, folder, **{**login, **changes})


@pytest.fixture(scope="session")
def running_orthanc() -> Iterator[LocalOrthanc]:
    if not has_orthanc():
        pytest.skip("Orthanc is not installed: apt install orthanc orthanc-dicomweb")
    with own_orthanc() as orthanc:
        yield orthanc


@pytest.fixture
def orthanc(running_orthanc: LocalOrthanc) -> LocalOrthanc:
    """An empty Orthanc."""
    for patient in running_orthanc.ask("/patients"):
        running_orthanc.ask(f"/patients/{patient}", "DELETE")
    return running_orthanc


@pytest.fixture
def strict() -> Iterator[StrictPacs]:
    """An empty server that follows the standard."""
    with strict_pacs() as server:
        yield server


@pytest.fixture(params=["orthanc", "strict"])
def pacs(request: pytest.FixtureRequest) -> Iterator[Pacs]:
    """Each PACS in turn, empty."""
    server = request.getfixturevalue(request.param)
    with fault_proxy(server.url) as proxy:
        yield Pacs(server, proxy)


@dataclass
class Site:
    """A store on a PACS.

    Attributes:
        store: the datastore.
        source: its images.
        watcher: of the PACS, whose rounds the tests begin.
    """

    store: StudiesDatastore
    source: PacsImages
    watcher: PacsWatcher

    def round(self) -> dict[str, Any]:
        """One round of the watcher; returns the status then."""
        self.watcher.catch_up()
        return self.watcher.status()


@pytest.fixture
def open_site(pacs: Pacs, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """``open_site(**settings)`` opens a store on the PACS in a working folder."""
    opened: list[StudiesDatastore] = []

    def open_(**changes: Any) -> Site:
        settings = pacs.settings(tmp_path / "work", **changes)
        store, source = open_pacs_store(settings)
        opened.append(store)
        return Site(store, source, PacsWatcher(source, store, settings))

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed requests are not repeated, and the next one is not refused at once."""
    from lib.server.pacs import client

    monkeypatch.setattr(client, "MAX_RETRIES", 0)
    monkeypatch.setattr(client, "FAIL_FAST_S", 0.0)


def label(folder: Path) -> str:
    """Path of a file that the store takes for a label."""
    path = folder / "label.mrk.json"
    path.write_text(json.dumps({"markups": []}))
    return str(path)


def check_private(written: Iterable[Path], *texts: str) -> None:
    """Nothing of an invented patient is in texts, in names of files, or in files but cached images and the database."""
    files = [path for path in written if path.is_file()]
    contents = [text.encode() for text in (*texts, *map(str, files))]
    others = [path for path in files if path.suffix != ".dcm" and not path.name.startswith("store.sqlite3")]
    for name, content in [*(("text", one) for one in contents), *((str(path), path.read_bytes()) for path in others)]:
        found = re.search(rb"|".join([*(re.escape(one.encode()) for one in SECRETS), rb"2\.25\.[0-9]{15}"]), content)
        assert found is None, f"{found[0].decode()} in {name}"
