"""The DICOMweb client: retrieval, paging, login, and what is said when a PACS fails."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from imagecodecs import jpeg2k_encode, jpegls_encode
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from lib.image_io import read_radiograph
from lib.server.pacs import client as client_module
from lib.server.pacs.client import GoneError, PacsClient, PacsError
from lib.server.pacs.instances import InstanceUids
from lib.server.pacs.part10 import content_of, transfer_syntax

from .conftest import SECRET_ID, SECRET_NAME, Pacs, radiograph
from .strict_pacs import StrictPacs, as_file


def uids_of(dataset: Dataset) -> InstanceUids:
    return InstanceUids(*map(str, (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)))


def compressed(dataset: Dataset, kind: str) -> Dataset:
    encode, syntax = {"jpegls": (jpegls_encode, JPEGLSLossless), "jpeg2000": (jpeg2k_encode, JPEG2000Lossless)}[kind]
    content = encode(np.frombuffer(dataset.PixelData, np.uint16).reshape(dataset.Rows, dataset.Columns), level=0)
    dataset.PixelData = encapsulate([content + b"\0" * (len(content) % 2)])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


@pytest.mark.parametrize("kind", ["raw", "jpegls", "jpeg2000"])
def test_an_instance_comes_as_it_was_stored(pacs: Pacs, tmp_path: Path, kind: str) -> None:
    plain = radiograph(1, (600, 200))
    expected = np.frombuffer(plain.PixelData, np.uint16).reshape(600, 200)
    stored = plain if kind == "raw" else compressed(plain, kind)
    pacs.store(stored)
    content = PacsClient(pacs.settings(tmp_path)).retrieve(uids_of(stored))
    assert transfer_syntax(content, stored.SOPInstanceUID) == stored.file_meta.TransferSyntaxUID
    (tmp_path / "a.dcm").write_bytes(content)
    assert (read_radiograph(tmp_path / "a.dcm").pixels == expected).all()


def test_another_transfer_syntax_is_asked_for_where_the_stored_one_cannot_be_read(
    pacs: Pacs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = compressed(radiograph(1), "jpegls")
    pacs.store(stored)
    readable = client_module.READABLE_SYNTAXES - {str(JPEGLSLossless)}
    monkeypatch.setattr(client_module, "READABLE_SYNTAXES", readable)
    if isinstance(pacs.server, StrictPacs):  # it decodes with pydicom, which needs a plugin for this
        monkeypatch.setattr(Dataset, "decompress", lambda dataset: _decode(dataset))
    content = PacsClient(pacs.settings(tmp_path)).retrieve(uids_of(stored))
    assert transfer_syntax(content, stored.SOPInstanceUID) == "1.2.840.10008.1.2.1"


def _decode(dataset: Dataset) -> None:
    original = radiograph(1)
    dataset.PixelData, dataset.file_meta.TransferSyntaxUID = original.PixelData, "1.2.840.10008.1.2.1"
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OW", False


def test_no_readable_transfer_syntax_is_said(
    pacs: Pacs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_waiting: None
) -> None:
    stored = radiograph(1)
    pacs.store(stored)
    monkeypatch.setattr(client_module, "READABLE_SYNTAXES", frozenset())
    client = PacsClient(pacs.settings(tmp_path))
    with pytest.raises(PacsError, match="in no transfer syntax that can be read"):
        client.retrieve(uids_of(stored))
    assert client.failure is None  # other images may be readable


def test_all_pages_are_found_once(pacs: Pacs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAGE", 7)
    stored = [radiograph(number, Modality=("CR", "DX")[number % 2]) for number in range(31)]
    pacs.store(*stored)
    pages = list(PacsClient(pacs.settings(tmp_path)).search({"Modality": "DX"}, ["ViewPosition"]))
    found = [attributes["00080018"]["Value"][0] for page in pages for attributes in page]
    assert sorted(found) == sorted(str(one.SOPInstanceUID) for one in stored if one.Modality == "DX")
    assert len(pages) == 3


def test_a_pacs_without_pages_is_searched_once(strict: StrictPacs, tmp_path: Path) -> None:
    """However often it is asked, it returns all, in whatever order."""
    stored = [radiograph(number) for number in range(12)]
    for one in stored:
        strict.store(as_file(one))
    strict.ignores_pages = True
    pages = list(PacsClient(Pacs(strict, strict).settings(tmp_path)).search({"Modality": "DX"}, []))  # type: ignore[arg-type]
    found = [attributes["00080018"]["Value"][0] for page in pages for attributes in page]
    assert sorted(found) == sorted(str(one.SOPInstanceUID) for one in stored)


def test_an_instance_may_come_as_it_is(strict: StrictPacs, tmp_path: Path) -> None:
    stored = radiograph()
    strict.store(as_file(stored))
    strict.sends_single_parts = True
    client = PacsClient(Pacs(strict, strict).settings(tmp_path))  # type: ignore[arg-type]
    assert client.retrieve(uids_of(stored)) == as_file(stored)


def test_a_bearer_token_opens_a_pacs(strict: StrictPacs, tmp_path: Path) -> None:
    strict.store(as_file(radiograph()))
    settings = Pacs(strict, strict).settings(tmp_path, user=None, password=None, token=strict.password)  # type: ignore[arg-type]
    assert len(next(PacsClient(settings).search({"Modality": "DX"}, []))) == 1


def test_a_name_and_a_password_may_have_any_characters(strict: StrictPacs, tmp_path: Path) -> None:
    strict.user, strict.password = "ärztin", "gehéim☃"
    assert list(PacsClient(Pacs(strict, strict).settings(tmp_path)).search({"Modality": "DX"}, [])) == []  # type: ignore[arg-type]


def test_a_wrong_login_is_not_repeated_and_said(pacs: Pacs, tmp_path: Path) -> None:
    client = PacsClient(pacs.settings(tmp_path, password="wrong"))
    with pytest.raises(PacsError, match=r"refuses the login \(401\): check VERTEBRA_DICOMWEB_USER"):
        next(client.search({"Modality": "DX"}, []))
    assert len(pacs.proxy.paths) == 1
    assert client.failure is not None


@pytest.mark.parametrize(
    ("status", "said", "requests"),
    [(403, "does not allow", 1), (404, "no DICOMweb service", 1), (500, r"failed \(500\)", 4), (503, "failed", 4)],
)
def test_failures_are_sentences_and_only_those_that_may_pass_are_repeated(
    pacs: Pacs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, said: str, requests: int
) -> None:
    monkeypatch.setattr(client_module, "BACKOFF_S", 0.01)
    client = PacsClient(pacs.settings(tmp_path))
    pacs.proxy.status = status
    with pytest.raises(PacsError, match=said):
        client.ping()
    assert len(pacs.proxy.paths) == requests
    pacs.proxy.status = 0
    client.ping()
    assert client.failure is None


def test_a_pacs_that_is_away_is_not_asked_again_and_again(
    pacs: Pacs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "BACKOFF_S", 0.01)
    client = PacsClient(pacs.settings(tmp_path))
    pacs.proxy.stop()
    with pytest.raises(PacsError, match="cannot be reached"):
        client.ping()
    pacs.proxy.start()
    with pytest.raises(PacsError, match="cannot be reached"):
        client.ping()
    assert pacs.proxy.paths == []
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + client_module.FAIL_FAST_S)
    client.ping()


def test_a_pacs_that_hangs_is_left_after_a_while(
    pacs: Pacs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_waiting: None
) -> None:
    monkeypatch.setattr(client_module, "READ_TIMEOUT_S", 0.2)
    pacs.proxy.delay_s = 1.5
    with pytest.raises(PacsError, match=r"does not answer in time|cannot be reached"):
        PacsClient(pacs.settings(tmp_path)).ping()


def test_an_answer_that_is_cut_is_no_instance(pacs: Pacs, tmp_path: Path, no_waiting: None) -> None:
    stored = radiograph(1)
    pacs.store(stored)
    pacs.proxy.cuts = True
    client = PacsClient(pacs.settings(tmp_path))
    with pytest.raises(PacsError):
        client.retrieve(uids_of(stored))
    pacs.proxy.cuts = False
    assert client.retrieve(uids_of(stored)) == as_file(stored)


def test_an_instance_that_is_gone_is_told_from_a_pacs_that_is_gone(
    pacs: Pacs, tmp_path: Path, no_waiting: None
) -> None:
    stored = radiograph(1)
    pacs.store(stored)
    pacs.remove(stored)
    client = PacsClient(pacs.settings(tmp_path))
    with pytest.raises(GoneError):
        client.retrieve(uids_of(stored))
    assert client.failure is None
    assert not client.is_there(uids_of(stored))
    pacs.proxy.status = 404
    with pytest.raises(PacsError, match="no DICOMweb service"):
        client.is_there(uids_of(stored))


def test_another_address_than_that_of_a_pacs_is_told(pacs: Pacs, tmp_path: Path) -> None:
    settings = pacs.settings(tmp_path)
    with pytest.raises(PacsError, match=r"no DICOMweb service at this address|no DICOM"):
        PacsClient(replace(settings, url=f"{settings.url}/other")).ping()


def test_no_sentence_names_a_patient(pacs: Pacs, tmp_path: Path, no_waiting: None) -> None:
    stored = radiograph(1)
    pacs.store(stored)
    client = PacsClient(pacs.settings(tmp_path))
    said = []
    pacs.proxy.says = f'{{"Message": "{SECRET_NAME} {SECRET_ID} {stored.SOPInstanceUID}"}}'.encode()
    for status in (400, 401, 403, 404, 500):
        pacs.proxy.status = status
        with pytest.raises(PacsError) as caught:
            client.retrieve(uids_of(stored))
        said.append(str(caught.value))
    pacs.proxy.stop()
    with pytest.raises(PacsError) as caught:
        client.retrieve(uids_of(stored))
    text = " ".join([*said, str(caught.value)])
    assert not [secret for secret in (SECRET_ID, SECRET_NAME, *uids_of(stored)) if secret in text]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"--e\r\nA: b\r\n\r\nDICOM\r\n--e--", 'multipart/related; boundary="e"'),
        (b"before\r\n--e\r\n\r\nDICOM\r\n--e\r\n\r\nsecond\r\n--e--", "multipart/related; boundary=e"),
        (b"DICOM", "application/dicom"),
    ],
)
def test_the_first_part_of_a_body_is_found(body: bytes, kind: str) -> None:
    assert content_of(body, kind) == b"DICOM"


@pytest.mark.parametrize("body", [b"", b"--e\r\nA: b\r\n\r\nDICO", b"--f\r\n\r\nDICOM\r\n--f--"])
def test_a_body_that_is_cut_short_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="no complete multipart message"):
        content_of(body, "multipart/related; boundary=e")


def test_what_is_no_dicom_file_or_another_instance_is_refused() -> None:
    content = as_file(radiograph())
    uid = str(pydicom.dcmread(io.BytesIO(content)).SOPInstanceUID)
    for wrong in (b"", b"\0" * 200, content[:140], b"x" * 128 + b"DICM" + b"\xff" * 50):
        with pytest.raises(ValueError, match="no DICOM file"):
            transfer_syntax(wrong, uid)
    with pytest.raises(ValueError, match="another instance"):
        transfer_syntax(content, "1.2.3")
