"""Cobb lines that a person has edited in a viewer: a proposal about the label version that they are of, never more."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from lib.spine.labels.markups import LANDMARK_INDEX
from lib.structured_report import ReportSubject, cobb_lines_report, to_bytes

from ....structured_report.subjects import phantom, subject, varied
from ..conftest import Pacs
from .conftest import PATIENT_ID, Department, Open, examined
from .test_reading_back import history, spine_of, who

TAG = "proposal_ohif"
on_strict = pytest.mark.parametrize("pacs", ["strict"], indirect=True)
"""What does not depend on the PACS is tried on one of them."""


def copied(of: Dataset) -> Dataset:
    """The same report, read anew."""
    return pydicom.dcmread(io.BytesIO(to_bytes(of)))


def edited(of: Dataset, number: int, down_px: float, person: str = "Eve^Editor") -> Dataset:
    """A report as a viewer saves it after a person has moved the left end of the first line down.

    Args:
        of: the report that the viewer has shown, which is named as predecessor.
        number: of the edit, by which it gets its UID and its time.
        down_px: how far.
        person: who has done it.
    """
    report = copied(of)
    if "CodingSchemeIdentificationSequence" in report:
        del report.CodingSchemeIdentificationSequence
    reference, series, study = Dataset(), Dataset(), Dataset()
    reference.ReferencedSOPInstanceUID = of.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedSOPSequence = of.SeriesInstanceUID, [reference]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = of.StudyInstanceUID, [series]
    report.PredecessorDocumentsSequence = [study]
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.6.{9 - number}"
    report.ContentDate, report.ContentTime = "20300101", f"10{number:02d}00.5"
    measured = next(item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010")
    value = next(item for item in measured.ContentSequence[0].ContentSequence if item.ValueType == "NUM")
    graphic = next(item for item in value.ContentSequence if item.ValueType == "SCOORD")
    data = list(graphic.GraphicData)
    data[1] += down_px
    graphic.GraphicData = data
    report.ContentSequence = [item for item in report.ContentSequence if item.ValueType != "COMPOSITE"]
    for item in report.ContentSequence:
        if item.ConceptNameCodeSequence[0].CodeValue == "121008":
            item.PersonName = person
    return report


def drawn_anew(down_px: float) -> Dataset:
    """Cobb lines that name no predecessor."""
    of = subject(2, phantom(2)[1])
    report = edited(cobb_lines_report(ReportSubject(of.label, of.image, of.identity)), 1, down_px)
    del report.PredecessorDocumentsSequence
    return report


@pytest.fixture
def header() -> Dataset:
    return examined(2)


@pytest.fixture
def site(pacs: Pacs, open_department: Open, header: Dataset) -> Department:
    """A site with one label, whose reports are in the PACS."""
    pacs.store(header)
    site = open_department()
    site.look()
    site.label(header, phantom(2)[1], user="Ada")
    site.exchange()
    return site


def lines(site: Department, version: int = 1) -> Dataset:
    """Our Cobb lines of a label version."""
    return next(one for one in site.reports() if (one.SeriesNumber, one.InstanceNumber) == (901, 100 * version))


def proposals(site: Department, header: Dataset) -> list[dict[str, Any]]:
    """What is noted of the versions of the proposal."""
    return [one["info"]["proposal"] for one in history(site, header, TAG)]


def moved(site: Department, header: Dataset, version: int, of_version: int = 1) -> np.ndarray:
    """How far each point of a proposal lies from the label that it is about."""
    proposed = spine_of(site, header, version, TAG).xy
    return np.nan_to_num(np.linalg.norm(proposed - spine_of(site, header, of_version).xy, axis=-1))


@on_strict
@pytest.mark.parametrize("names_predecessor", [True, False])
def test_edited_lines_are_a_proposal_and_nothing_more(
    site: Department, header: Dataset, names_predecessor: bool
) -> None:
    site.pacs.store(edited(lines(site), 1, 6.0) if names_predecessor else drawn_anew(6.0))
    status = site.exchange()
    assert who(history(site, header)) == [(1, "Ada", True)]
    (proposal,) = history(site, header, TAG)
    noted = proposal["info"]["proposal"]
    assert (noted["of_tag"], noted["of_version"], noted["drawn_at"]) == ("final", 1, "20300101100100")
    assert proposal["info"]["user"] == "Eve Editor"
    assert 1 <= (moved(site, header, 1) > 0).sum() <= len(noted["moved"])
    assert status["sent"] == 2  # proposals are not sent
    site.worker._feed._list_at = -np.inf
    site.exchange()
    assert len(proposals(site, header)) == 1


@on_strict
def test_lines_that_change_nothing_are_no_proposal(site: Department, header: Dataset) -> None:
    site.pacs.store(edited(lines(site), 1, 0.0))
    site.exchange()
    assert proposals(site, header) == []


def test_the_last_of_two_edits_counts_in_whatever_order_they_are_found(site: Department, header: Dataset) -> None:
    first = edited(lines(site), 1, 6.0)
    second = edited(first, 2, 3.0, "Zoe")  # its UID is the lower one
    site.pacs.store(second, first)
    site.exchange()
    assert [noted["of_version"] for noted in proposals(site, header)] == [1, 1]
    assert history(site, header, TAG)[-1]["info"]["user"] == "Zoe"
    assert moved(site, header, 2).max() == pytest.approx(9.0, abs=0.5)
    late = edited(first, 0, 50.0)  # was held up somewhere
    site.pacs.store(late)
    site.exchange()
    assert len(proposals(site, header)) == 2


@on_strict
def test_an_edit_that_is_taken_back_withdraws_the_proposal(site: Department, header: Dataset) -> None:
    first = edited(lines(site), 1, 6.0)
    site.pacs.store(first)
    site.exchange()
    site.pacs.store(edited(first, 2, -6.0))
    site.exchange()
    assert [bool(noted["moved"]) for noted in proposals(site, header)] == [True, False]


@on_strict
def test_an_edit_is_about_the_version_whose_lines_it_has_changed(site: Department, header: Dataset) -> None:
    first = lines(site)
    site.label(header, varied(phantom(2)[1], 4), user="Boris")
    site.exchange()
    site.pacs.store(edited(first, 1, 6.0))
    site.exchange()
    (noted,) = proposals(site, header)
    assert (noted["of_version"], who(history(site, header))[-1]) == (1, (2, "Boris", True))
    assert moved(site, header, 1).max() == pytest.approx(6.0, abs=0.3)
    site.pacs.store(edited(lines(site, 2), 2, 6.0))
    site.exchange()
    site.pacs.store(edited(first, 3, 9.0))  # of the older version, later
    site.exchange()
    assert [noted["of_version"] for noted in proposals(site, header)] == [1, 2]


@on_strict
def test_an_edit_of_a_label_that_was_removed_is_no_proposal(
    site: Department, header: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    site.label(header, phantom(2)[1], "original", model_version="v7")
    site.store.remove_label(site.image(header), "final")
    site.pacs.store(edited(lines(site), 1, 6.0))
    with caplog.at_level(logging.WARNING):
        site.exchange()
    assert proposals(site, header) == []
    said = [record.getMessage() for record in caplog.records]
    assert said == ["Cobb lines that were edited in a viewer are those of a label that is not here any more"]


def test_an_edit_of_what_nobody_knows_is_no_proposal(
    site: Department, header: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    gone = copied(lines(site))
    gone.SOPInstanceUID = "1.2.3.4"
    odd = edited(gone, 2, 6.0)
    odd.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].SeriesInstanceUID = "../../instances"
    own = edited(gone, 3, 6.0)
    reference = own.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    reference.ReferencedSOPInstanceUID = own.SOPInstanceUID
    site.pacs.store(edited(gone, 1, 6.0), odd, own)
    with caplog.at_level(logging.WARNING):
        site.exchange()
    assert proposals(site, header) == []
    assert caplog.text.count("of a label that is not here any more") == 3
    assert not [secret for secret in ("1.2.3", PATIENT_ID, str(header.StudyInstanceUID)) if secret in caplog.text]


@pytest.mark.parametrize("where", ["rebuilt", "second site"])
def test_edits_find_their_label_where_it_has_come_from_the_pacs(
    site: Department, header: Dataset, open_department: Open, tmp_path: Path, where: str
) -> None:
    first = edited(lines(site), 1, 6.0)
    site.pacs.store(first, edited(first, 2, 3.0))
    if where == "rebuilt":
        site.store.close()
        for path in (tmp_path / "work").rglob("store.sqlite3*"):
            path.unlink()
    again = open_department("work" if where == "rebuilt" else "second")
    again.look()
    again.exchange()
    assert who(history(again, header)) == [(1, "Ada", True)]
    assert (proposals(again, header)[-1]["of_tag"], proposals(again, header)[-1]["of_version"]) == ("final", 1)
    name = proposals(again, header)[-1]["moved"][0]
    assert moved(again, header, len(proposals(again, header)))[LANDMARK_INDEX[name]] > 3
