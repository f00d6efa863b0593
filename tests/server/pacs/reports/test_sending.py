"""Labels on their way to the PACS: complete, once each, and whatever happens to the PACS meanwhile."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lib.structured_report import LandmarkReport, on_grid, read_report

from .conftest import Labelled


def test_a_label_version_becomes_two_reports(labelled: Labelled) -> None:
    status = labelled.site.exchange()
    assert (status["waiting"], status["sent"], status["refused"], status["last_error"]) == (0, 4, 0, None)
    first, second, *lines = labelled.site.reports()
    assert [one.SeriesNumber for one in (first, second, *lines)] == [900, 900, 901, 901]
    assert second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[
        0
    ].ReferencedSOPInstanceUID == (first.SOPInstanceUID)
    report, reason = read_report(second)
    assert reason == ""
    assert isinstance(report, LandmarkReport)
    assert (report.label.spine.xy == on_grid(labelled.spine).xy).all() or np.array_equal(
        report.label.spine.xy, on_grid(labelled.spine).xy, equal_nan=True
    )
    assert report.label.touched == {"T7", "T7 TL"}
    assert (report.observer, report.label.version) == ("Boris", 2)
    assert labelled.site.exchange()["sent"] == 4
    assert len(labelled.site.reports()) == 4
