"""Streamed files, and pixels of images: the same answer for every format, of the folder and of a session."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from fastapi import HTTPException
from fastapi.responses import StreamingResponse
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian

from lib.image_io import Radiograph, read_radiograph
from lib.server.web.file_responses import file_response, gray_16, pixels_response
from lib.spine.atomic_write import atomic_write


async def _sent(response: StreamingResponse) -> bytes:
    return b"".join([bytes(piece) async for piece in response.body_iterator])  # type: ignore[arg-type]


def test_a_file_that_is_replaced_while_it_is_sent_arrives_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old" * 200_000)
    response = file_response(path, "image/png")
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"new and longer" * 200_000)
    assert response.headers["content-length"] == "600000"
    assert asyncio.run(_sent(response)) == b"old" * 200_000


@pytest.mark.parametrize(
    ("name", "disposition"), [("a 1.png", "filename*=utf-8''a%201.png"), ("a-1.png", 'filename="a-1.png"')]
)
def test_the_response_names_the_file(tmp_path: Path, name: str, disposition: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert file_response(tmp_path / name, "image/png").headers["content-disposition"] == f"attachment; {disposition}"
    assert "given.bin" in file_response(tmp_path / name, "x", "given.bin").headers["content-disposition"]


def test_a_file_that_is_gone_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(HTTPException) as raised:
        file_response(tmp_path / "a.png", "image/png")
    assert raised.value.status_code == 404


if TYPE_CHECKING:
    from ...serving import Server, Start

HEIGHT, WIDTH = 90, 40


@pytest.mark.parametrize(
    ("values", "expected", "dtype"),
    [
        pytest.param(np.array([[0, 255]], np.uint8), [[0, 255]], np.uint8, id="8 bits stay"),
        pytest.param(np.array([[7, 65535]], np.uint16), [[7, 65535]], np.uint16, id="16 bits stay"),
        pytest.param(np.array([[7, 4095]], np.int32), [[7, 4095]], np.uint16, id="whole numbers that fit stay"),
        pytest.param(np.array([[-5, 0, 300]], np.int16), [[0, 5, 305]], np.uint16, id="negative ones are shifted"),
        pytest.param(np.array([[-32768, 32767]], np.int16), [[0, 65535]], np.uint16, id="the widest that fits"),
        pytest.param(np.array([[70000, 70010]], np.int32), [[0, 10]], np.uint16, id="differences that fit stay"),
        pytest.param(np.array([[0, 131070]], np.int32), [[0, 65535]], np.uint16, id="wider ones are scaled"),
        pytest.param(np.array([[-0.5, 0.0, 0.5]], np.float32), [[0, 32768, 65535]], np.uint16, id="fractions"),
        pytest.param(np.array([[3.5, 3.5]], np.float32), [[0, 0]], np.uint16, id="all the same"),
        pytest.param(np.array([[False, True]]), [[0, 1]], np.uint16, id="two values"),
    ],
)
def test_pixels_of_any_kind_become_8_or_16_bits(values: np.ndarray, expected: list[list[int]], dtype: type) -> None:
    found = gray_16(values)
    assert found.dtype == dtype
    assert np.abs(found.astype(int) - expected).max() <= 1 if values.dtype.kind == "f" else found.tolist() == expected


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_file_is_one_that_clients_read_whatever_the_layout_in_memory(
    tmp_path: Path, dtype: str, order: Literal["C", "F"]
) -> None:
    pixels = np.arange(12, dtype=dtype).reshape(3, 4)
    answer = pixels_response(Radiograph(np.array(pixels, order=order)), tmp_path)
    content = gzip.decompress(Path(answer.path).read_bytes())
    kind = "|u1" if dtype == "u1" else "<u2"
    assert f"'descr': '{kind}', 'fortran_order': False".encode() in content[:128]
    assert np.array_equal(np.load(io.BytesIO(content)), pixels)


def source(dtype: type = np.uint8) -> np.ndarray:
    """A source that is neither the same upside down nor mirrored."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (rows * 2 + columns).astype(dtype)


def write_dicom(path: Path, pixels: np.ndarray) -> None:
    """A DX source of 12 bits in which bone is dark, with size and orientation."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3.4"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = pydicom.FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    file.is_little_endian, file.is_implicit_VR = True, False
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.Modality, file.PhotometricInterpretation, file.SamplesPerPixel = "DX", "MONOCHROME1", 1
    file.Rows, file.Columns = pixels.shape
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
    file.PixelSpacing, file.PatientOrientation = [0.2, 0.1], ["L", "F"]
    file.PixelData = pixels.astype("<u2").tobytes()
    file.save_as(str(path))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """Images in every format, and files that are none."""
    studies = tmp_path_factory.mktemp("studies")
    Image.fromarray(source()).save(studies / "png8.png")
    Image.fromarray(source(np.uint16)).save(studies / "png16.png")
    Image.fromarray(source()).save(studies / "jpeg.jpg", quality=95)
    Image.fromarray(source(np.uint16)).save(studies / "tiff.tif")
    write_dicom(studies / "dicom.dcm", source(np.uint16))
    for name in ("nrrd.nrrd", "nifti.nii.gz"):
        image = sitk.GetImageFromArray(source(np.int16)[None])
        image.SetSpacing((0.3, 0.4, 1.0))
        sitk.WriteImage(image, str(studies / name))
    (studies / "text.png").write_text("I have no pixels")
    with start(studies) as running:
        yield running


def pixels_of(server: Server, path: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Pixels and facts of an answer."""
    with urllib.request.urlopen(server.url + path, timeout=60) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Cache-Control"] == "no-store"
        body = answer.read()
        assert int(answer.headers["Content-Length"]) == len(body)
        return np.load(io.BytesIO(gzip.decompress(body)), allow_pickle=False), json.loads(
            answer.headers["X-Image-Facts"]
        )


@pytest.mark.integration
@pytest.mark.parametrize(
    "name", ["png8.png", "png16.png", "jpeg.jpg", "tiff.tif", "dicom.dcm", "nrrd.nrrd", "nifti.nii.gz"]
)
def test_pixels_are_those_that_the_network_sees(server: Server, name: str) -> None:
    pixels, facts = pixels_of(server, f"/datastore/image/pixels?image={name.partition('.')[0]}")
    seen = read_radiograph(server.studies / name)
    assert pixels.shape == (HEIGHT, WIDTH)
    assert pixels.dtype in (np.uint8, np.uint16)
    assert np.array_equal(pixels.astype(int), seen.pixels.astype(int))
    assert (facts["width"], facts["height"]) == (WIDTH, HEIGHT)
    assert tuple(facts["spacing"]) == seen.geometry.spacing
    assert facts["image_left_is"] == seen.image_left_is


@pytest.mark.integration
def test_bone_is_bright_whatever_the_film_says(server: Server) -> None:
    pixels, facts = pixels_of(server, "/datastore/image/pixels?image=dicom")
    assert pixels[0, 0] > pixels[-1, -1]  # MONOCHROME1 of a source that grows towards the lower right
    assert facts["millimetres"] == {"x": 0.1, "y": 0.2, "source": "PixelSpacing"}
    assert facts["image_left_is"] == "right"


@pytest.mark.integration
def test_a_session_shows_its_pixels_too(server: Server) -> None:
    content = (server.studies / "png16.png").read_bytes()
    session = json.loads(server.send("/session/", "PUT", files=("mine.png", content))[1])["session_id"]
    pixels, facts = pixels_of(server, f"/session/{session}?pixels=true")
    assert np.array_equal(pixels, source(np.uint16))
    assert facts["spacing"] == [1.0, 1.0]
    server.ask(f"/session/{session}", "DELETE")
    assert server.said(server.ask(f"/session/{session}?pixels=true"))[0] == 404


@pytest.mark.integration
@pytest.mark.parametrize(
    ("image", "status", "words"),
    [
        pytest.param("text", 415, "not an image", id="unreadable"),
        pytest.param("absent", 404, "no image 'absent'", id="unknown"),
        pytest.param("../text", 404, "no image", id="outside the folder"),
        pytest.param("/etc/hostname", 404, "no image", id="path of the machine"),
        pytest.param("", 404, "no image", id="nothing"),
    ],
)
def test_what_is_no_film_is_refused_with_a_sentence(server: Server, image: str, status: int, words: str) -> None:
    got, sentence = server.said(server.ask(f"/datastore/image/pixels?image={image}"))
    assert got == status
    assert words in sentence


@pytest.mark.integration
def test_no_answer_stays_on_the_servers_disk(server: Server) -> None:
    """Neither when it was sent, nor when its client hung up, nor when the image could not be read."""
    import socket
    import time

    pixels_of(server, "/datastore/image/pixels?image=png8")
    server.ask("/datastore/image/pixels?image=text")
    host, port = server.url.removeprefix("http://").split(":")
    for _ in range(5):
        with socket.create_connection((host, int(port)), 20) as connection:
            connection.sendall(f"GET /datastore/image/pixels?image=png8 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    end = time.monotonic() + 10
    while list(server.studies.rglob("pixels-*")) and time.monotonic() < end:
        time.sleep(0.05)
    assert (server.studies / ".uploads").is_dir()
    assert list(server.studies.rglob("pixels-*")) == []
