"""Reports of the PACS as label versions: the database lost, a second site, and strangers."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from lib.spine.labels.markups import from_markups, parse_json
from lib.spine.schema import Spine
from lib.structured_report import on_grid

from ....structured_report.subjects import phantom, varied
from ..conftest import Pacs
from .conftest import PATIENT_ID, Department, Labelled, Open, examined


def history(site: Department, header: Dataset, tag: str = "final") -> list[dict[str, Any]]:
    return site.store.label_versions(site.image(header), tag)


def spine_of(site: Department, header: Dataset, version: int, tag: str = "final") -> Spine:
    content = site.store.label_version(site.image(header), tag, version)
    return on_grid(from_markups(parse_json(content)))


def who(versions: list[dict[str, Any]]) -> list[tuple[int, str, bool]]:
    return [(one["version"], one["info"].get("user", ""), one["is_current"]) for one in versions]


@pytest.mark.parametrize("lost", ["database", "folder"])
def test_what_was_lost_comes_back(labelled: Labelled, open_department: Open, tmp_path: Path, lost: str) -> None:
    site = labelled.site
    site.label(labelled.header, phantom(2)[1], "original", model_version="v7")  # not sent
    site.exchange()
    before, spines = history(site, labelled.header), [spine_of(site, labelled.header, n) for n in (1, 2)]
    site.store.close()
    if lost == "folder":
        shutil.rmtree(tmp_path / "work")
    else:
        for path in (tmp_path / "work").rglob("store.sqlite3*"):
            path.unlink()
    again = open_department()
    again.look()
    status = again.exchange()
    after = history(again, labelled.header)
    assert who(after) == [(1, "Ada", False), (2, "Boris", True)]
    for old, new in zip(before, after, strict=True):
        assert {key: new["info"][key] for key in old["info"] if key != "name"} == {
            key: value for key, value in old["info"].items() if key != "name"
        }
    for number, spine in enumerate(spines, 1):
        assert spine_of(again, labelled.header, number) == spine
    assert (status["waiting"], status["sent"]) == (0, 0)
    assert len(again.reports()) == 4
    assert again.image(labelled.header) in again.store.get_labeled_images()
    again.label(labelled.header, varied(labelled.spine, 9), user="Cleo")
    assert again.exchange()["sent"] == 2
    newest = max(again.reports(), key=lambda one: (one.SeriesNumber == 900, one.InstanceNumber))
    sequence = newest.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert sequence[0].ReferencedSOPInstanceUID in {one.SOPInstanceUID for one in again.reports() if one is not newest}


def test_nothing_is_sent_before_the_reports_of_the_pacs_are_read(
    labelled: Labelled, open_department: Open, tmp_path: Path
) -> None:
    labelled.site.exchange()
    labelled.site.store.close()
    for path in (tmp_path / "work").rglob("store.sqlite3*"):
        path.unlink()
    again = open_department()
    assert again.exchange()["sent"] == 0  # the images are not known yet
    again.pacs.proxy.status = 500
    again.look()
    again.exchange()
    again.pacs.proxy.status = 0
    again.worker._look_at = 0.0
    again.look()
    assert again.exchange()["sent"] == 0
    assert who(history(again, labelled.header)) == [(1, "Ada", False), (2, "Boris", True)]


def test_two_sites_see_the_labels_of_each_other(labelled: Labelled, open_department: Open) -> None:
    first, header = labelled.site, labelled.header
    first.exchange()
    second = open_department("second")
    second.look()
    second.exchange()
    assert who(history(second, header)) == [(1, "Ada", False), (2, "Boris", True)]
    second.label(header, varied(labelled.spine, 5), user="Cleo")
    assert second.exchange()["sent"] == 2
    first.exchange()
    assert who(history(first, header)) == [(1, "Ada", False), (2, "Boris", False), (3, "Cleo", True)]
    assert spine_of(first, header, 3) == spine_of(second, header, 3)
    for _ in range(2):
        for site in (first, second):
            site.exchange()
    assert len(first.reports()) == 6
    assert len(history(first, header)) == len(history(second, header)) == 3


def test_the_newest_of_two_sites_counts_and_none_is_lost(
    pacs: Pacs, open_department: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    header, spine = examined(2), phantom(2)[1]
    pacs.store(header)
    sites = [open_department(name) for name in ("first", "second")]
    clock = iter(range(1_800_000_000, 1_900_000_000, 100))
    monkeypatch.setattr("lib.server.store.database.Database.now", lambda _: next(clock))
    for number, site in enumerate(sites):
        site.look()
        site.label(header, varied(spine, number), user=("Ada", "Boris")[number])
    for _ in range(3):
        for site in sites:
            site.exchange()
    assert who(history(sites[0], header)) == [(1, "Ada", False), (2, "Boris", True)]
    assert [user for _, user, is_current in who(history(sites[1], header)) if is_current] == ["Boris"]
    assert {user for _, user, _ in who(history(sites[1], header))} == {"Ada", "Boris"}
    assert len(sites[0].reports()) == 4


def test_reports_of_strangers_are_named_once_without_uids(labelled: Labelled, caplog: pytest.LogCaptureFixture) -> None:
    site = labelled.site
    site.exchange()
    stranger = site.reports()[0]
    stranger.SOPInstanceUID = stranger.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    stranger.ConceptNameCodeSequence[0].CodeValue = "11528-7"
    site.pacs.store(stranger)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            site.exchange()
            site.worker._feed._list_at = -np.inf
    said = [record.getMessage() for record in caplog.records if "of others" in record.getMessage()]
    assert said == [
        "1 structured reports of others in the PACS are ignored: the structured report is none of imaging measurements"
    ]
    assert not [secret for secret in ("1.2.3.4", PATIENT_ID, str(stranger.StudyInstanceUID)) if secret in caplog.text]
    assert len(history(site, labelled.header)) == 2


def test_a_report_that_was_changed_is_no_label(labelled: Labelled, open_department: Open) -> None:
    site = labelled.site
    site.exchange()
    forged = next(one for one in site.reports() if one.SeriesNumber == 900)
    forged.SOPInstanceUID = forged.file_meta.MediaStorageSOPInstanceUID = "1.2.3.5"
    measured = next(
        item for item in forged.ContentSequence if "ContentSequence" in item and len(item.ContentSequence) > 80
    )
    for item in measured.ContentSequence[3].ContentSequence:
        if item.ValueType == "SCOORD":
            item.GraphicData = [5.5, 6.5]
    site.pacs.store(forged)
    site.exchange()
    assert len(history(site, labelled.header)) == 2
