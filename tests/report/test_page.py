"""The page of a report: one, of the right size, whatever it has to say."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from reportlab.platypus import Paragraph

from lib.image_io import Radiograph
from lib.report import PAGE_SIZES, page, report_pdf
from lib.report.page import _fitting, _height_of, _measurement, _paragraph, _style
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.measurement.image_warnings import POLARITY, ImageWarning
from lib.spine.measurement.origin import Origin
from lib.spine.schema import Spine

from .conftest import Content

HOSTILE = "<b>Зоя</b> & Ελένη مريم \N{GRINNING FACE} \ud800\u202e <img src='x'/> " + "x" * 300
MANY = tuple(ImageWarning(POLARITY, f"Reason {number} <i>to</i> & doubt, {'so long ' * 30}") for number in range(80))


def text_of(pdf: bytes, folder: Path) -> str:
    """The text of a PDF file, as another program reads it."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed: apt install poppler-utils")
    (folder / "report.pdf").write_bytes(pdf)
    read = subprocess.run(["pdftotext", "-layout", str(folder / "report.pdf"), "-"], capture_output=True, check=True)
    return read.stdout.decode()


@pytest.mark.parametrize("size", PAGE_SIZES)
def test_a_report_is_one_page_of_its_size(content: Content, size: str) -> None:
    pdf = report_pdf(content(), size)
    assert pdf.startswith(b"%PDF-")
    assert re.findall(rb"/Count (\d+)", pdf) == [b"1"]
    box = [float(number) for number in re.findall(rb"/MediaBox \[([^\]]*)\]", pdf)[0].split()]
    assert box == pytest.approx([0, 0, *PAGE_SIZES[size]], abs=0.01)
    assert len(pdf) < 600_000


def test_another_page_size_is_refused(content: Content) -> None:
    with pytest.raises(ValueError, match="page must be one of a4, letter, got 'a5'"):
        report_pdf(content(), "a5")


@pytest.mark.parametrize("size", PAGE_SIZES)
def test_hostile_texts_and_long_lists_stay_on_one_page(content: Content, size: str) -> None:
    report = content(
        scores=dict.fromkeys(("T2", "T5", "L4"), 0.1),
        image=HOSTILE,
        origin=Origin(names_right=0.1, warnings=MANY),
        model=HOSTILE,
        model_digest=HOSTILE,
        is_confirmed=True,
        confirmed_by=HOSTILE,
        taken_on=HOSTILE,
    )
    assert re.findall(rb"/Count (\d+)", report_pdf(report, size)) == [b"1"]
    assert len(report.warnings()) > 80
    width, height = 200.0, 560.0
    fitting = _fitting(report, width, height)
    assert sum(_height_of(one, width) for one in fitting) <= height
    texts = [one.getPlainText() for one in fitting if isinstance(one, Paragraph)]
    listed = sum(text.startswith("Reason") for text in texts)
    assert listed >= 1
    more = [int(match.group(1)) for text in texts if (match := re.fullmatch(r"and (\d+) more", text))]
    assert len(report.warnings()) + len(report.checks()) == sum(more) + sum(
        bool(re.match(r"Reason|The model|The names|T\d|L\d", text)) and "tilt" not in text for text in texts
    )


def test_markup_in_texts_is_printed_as_it_is() -> None:
    page.register_fonts()
    text = "<b>a</b> & <font size=99>b</font>"
    assert _paragraph(text, _style(8)).getPlainText() == text


def test_all_is_listed_where_there_is_room(content: Content) -> None:
    texts = [one.getPlainText() for one in _measurement(content(), 200.0, 12) if isinstance(one, Paragraph)]
    assert texts.count("None") == 2
    assert not any("more" in text for text in texts)


@pytest.mark.parametrize(
    ("pixels", "frame"),
    [
        (np.zeros((1200, 520), np.uint8), ImageFrame(520, 1200)),
        (np.random.default_rng(0).normal(size=(1200, 520)), ImageFrame(520, 1200)),
        (np.zeros((1, 1), np.uint16), ImageFrame(1, 1)),
        (np.zeros((30, 4000), np.uint16), ImageFrame(4000, 30)),
    ],
)
def test_any_image_can_be_drawn(content: Content, pixels: np.ndarray, frame: ImageFrame) -> None:
    report = content(radiograph=Radiograph(pixels), frame=frame)
    assert re.findall(rb"/Count (\d+)", report_pdf(report)) == [b"1"]


def test_no_points_at_all_can_be_drawn(content: Content) -> None:
    assert report_pdf(content(spine=Spine.from_arrays(np.full((17, 5, 2), np.nan)))).startswith(b"%PDF-")


def test_another_program_reads_what_it_says(content: Content, tmp_path: Path) -> None:
    report = content(
        image="Зоя & <b>", is_confirmed=True, confirmed_by="Ελένη", confirmed_on="2026-11-30", taken_on="2025-05-06"
    )
    text = text_of(report_pdf(report), tmp_path)
    for row in report.curve_rows():
        assert re.search(r"\s+".join(re.escape(cell).replace(r"\ ", r"\s+") for cell in row), text), (row, text)
    for sentence in ("Image Зоя & <b>", "Confirmed by Ελένη on 2026-11-30", "Acquired on 2025-05-06"):
        assert sentence in text
    assert "For research. Not a medical device." in text
