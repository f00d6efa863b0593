"""Reports of a real server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from lib.phantoms import random_spec, random_spineless, render_phantom

from ...image_io.image_files import write_dicom

if TYPE_CHECKING:
    from ...serving import Server, Start

pytestmark = pytest.mark.integration
NAME = "Зоя & <b> 1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """The app on a DICOM file, a phantom with another name, an image without a spine, and what is no image."""
    studies = tmp_path_factory.mktemp("studies")
    pixels = render_phantom(random_spec(1, 900, 420)).pixels
    tags = {"PatientID": "P7", "PatientName": "Lovelace^Ada", "PatientBirthDate": "18151210", "StudyDate": "20250506"}
    write_dicom(studies / "dicom_1.dcm", pixels, **tags)
    Image.fromarray(pixels).save(studies / f"{NAME}.png")
    Image.fromarray(random_spineless(0, 700, 400)).save(studies / "nothing.png")
    (studies / "text.png").write_text("I have no pixels")
    with start(studies) as running:
        yield running


def text_of(pdf: bytes, folder: Path) -> str:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed: apt install poppler-utils")
    (folder / "report.pdf").write_bytes(pdf)
    read = subprocess.run(["pdftotext", "-layout", str(folder / "report.pdf"), "-"], capture_output=True, check=True)
    return read.stdout.decode()


def test_a_report_is_of_a_new_prediction_then_of_the_stored_one_then_of_the_label(
    server: Server, tmp_path: Path
) -> None:
    status, first = server.ask("/report?image=dicom_1")
    assert status == 200
    assert re.findall(rb"/Count (\d+)", first) == [b"1"]
    assert not server.is_there("/datastore/label?image=dicom_1&tag=original")
    status, prediction = server.infer("dicom_1", save_label=True)
    assert status == 200
    status, stored = server.ask("/report?image=dicom_1&page=letter")
    assert status == 200
    _, markups = server.ask("/infer/vertebra_landmarks?image=dicom_1&output=image", "POST")
    params = json.dumps({"user": "Ada Ωmega", "seconds": 12.5, "edits": 4})
    assert server.send("/datastore/label?image=dicom_1", "PUT", label=("a.mrk.json", markups), params=params)[0] == 200
    status, final = server.ask("/report?image=dicom_1")
    assert status == 200
    texts = [text_of(pdf, tmp_path) for pdf in (first, stored, final)]
    for text in texts:
        assert "Image dicom_1" in text
        assert "Acquired on 2025-05-06" in text
        for curve in prediction["cobb"]["curves"]:
            assert f"{curve['upper_end']} to {curve['lower_end']}" in text
            assert f"{curve['angle_deg']:.1f}°" in text
        for private in ("Lovelace", "P7", "1815"):
            assert private not in text
    assert ["Not confirmed by a person" in text for text in texts] == [True, True, False]
    assert f"Confirmed by Ada Ωmega on {time.strftime('%Y-%m-%d')}" in texts[2]
    assert all(f"weights {prediction['model_digest']}" in text for text in texts[:2])


def test_a_report_is_named_after_its_image_whatever_that_is_called(server: Server) -> None:
    address = f"{server.url}/report?{urllib.parse.urlencode({'image': NAME})}"
    with urllib.request.urlopen(address, timeout=180) as answer:
        assert answer.headers["Content-Type"] == "application/pdf"
        named = f"inline; filename*=utf-8''{urllib.parse.quote(NAME + '.report.pdf')}"
        assert answer.headers["Content-Disposition"] == named
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.read().startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("image=nobody", 404, "there is no image 'nobody'"),
        ("image=text", 415, "not an image"),
        ("image=nothing", 422, "spine"),
        ("image=dicom_1&page=a5", 400, "page"),
    ],
)
def test_what_cannot_be_reported_is_said(server: Server, query: str, status: int, words: str) -> None:
    answered, sentence = server.said(server.ask(f"/report?{query}"))
    assert answered == status
    assert words in sentence
