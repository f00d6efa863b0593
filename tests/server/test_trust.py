"""Misleading files, labels and patient sides sent to a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian

from lib.phantoms import random_spec, render_phantom
from lib.spine.imaging.image_geometry import ImageGeometry
from lib.spine.labels.markups import SUFFIX, from_markups, to_markups
from lib.spine.schema import Spine

if TYPE_CHECKING:
    from ..serving import Server, Start

pytestmark = pytest.mark.integration

WIDTH, HEIGHT = 160, 320
SPINE = Spine.from_arrays(
    np.array([80, 20])
    + np.arange(17)[:, None, None] * np.array([0, 16])
    + np.array([[0, 0], [-10, -6], [10, -6], [-10, 6], [10, 6]])
)


def write_dicom(path: Path, pixels: np.ndarray, **tags: object) -> None:
    """A DX image."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3.4"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.is_little_endian, data.is_implicit_VR = True, False
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Modality, data.SamplesPerPixel, data.PhotometricInterpretation = "DX", 1, "MONOCHROME2"
    data.Rows, data.Columns = pixels.shape
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(str(path))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """A folder of a PNG, a JPEG with a density, DICOM files without an ending, one of which is cut short, and more."""
    studies = tmp_path_factory.mktemp("place") / "studies"
    studies.mkdir()
    pixels = render_phantom(random_spec(5, HEIGHT, WIDTH)).pixels
    Image.fromarray(pixels).save(studies / "ap_view.png")
    Image.fromarray(pixels).save(studies / "photo.jpg", dpi=(96, 96))
    write_dicom(studies / "IM000001", pixels, PatientOrientation=["L", "F"])
    write_dicom(studies / "IM000002", pixels)
    whole = (studies / "IM000002").read_bytes()
    (studies / "aa_cut").write_bytes(whole[: len(whole) // 2])
    (studies / "notes.txt").write_text("nothing to see")
    (studies / "older").mkdir()
    with start(studies) as running:
        yield running


def save(server: Server, image: str, content: Any) -> tuple[int, bytes]:
    """Send a label."""
    label = ("label.json", content if isinstance(content, bytes) else json.dumps(content).encode())
    return server.send(f"/datastore/label?image={image}&tag=final", "PUT", label=label)


def saved(server: Server, image: str) -> bytes:
    """The label that is in the folder."""
    return (server.studies / "labels" / "final" / f"{image}{SUFFIX}").read_bytes()


def test_dicom_files_without_an_ending_are_served_and_the_rest_is_named(server: Server) -> None:
    assert server.infer("IM000001")[0] in (200, 422)
    assert server.ask("/datastore/image/pixels?image=IM000002")[0] == 200
    told = json.loads(server.ask("/info/")[1])["datastore"]
    reasons = {entry["file"]: entry["reason"] for entry in told["not_served"]}
    assert set(reasons) >= {"notes.txt", "older"}
    assert told["not_served_count"] == len(reasons)
    assert "notes" not in server.log.read_text(errors="replace")


def test_an_unreadable_image_is_refused_everywhere_and_never_the_next_one(server: Server) -> None:
    for strategy in ("first", "random", "uncertainty"):  # before anybody has asked about the image
        assert json.loads(server.ask(f"/activelearning/{strategy}", "POST")[1])["id"] != "aa_cut"
    answers = [
        server.ask("/infer/vertebra_landmarks?image=aa_cut&output=json", "POST"),
        server.ask("/datastore/image/pixels?image=aa_cut"),
        save(server, "aa_cut", to_markups(SPINE)),
        server.ask("/datastore/image/side?image=aa_cut&image_left_is=left", "PUT"),
        server.send("/session/", "PUT", files=("aa_cut", (server.studies / "aa_cut").read_bytes())),
        server.send("/datastore/image", "PUT", file=("other.dcm", (server.studies / "aa_cut").read_bytes())),
    ]
    told = {server.said(answer) for answer in answers}
    assert {status for status, _ in told} == {415}
    assert not any("no spine" in sentence for _, sentence in told)
    reasons = {
        entry["file"]: entry["reason"] for entry in json.loads(server.ask("/info/")[1])["datastore"]["not_served"]
    }
    assert reasons["aa_cut"] in server.said(answers[0])[1]
    for strategy in ("first", "random", "uncertainty"):
        given = json.loads(server.ask(f"/activelearning/{strategy}", "POST")[1])
        assert given.get("id") != "aa_cut"


def test_the_label_of_another_image_is_refused(server: Server) -> None:
    status, sentence = server.said(save(server, "ap_view", to_markups(SPINE.moved_to(SPINE.xy * 9))))
    assert status == 400
    assert f"outside the image of {WIDTH} x {HEIGHT} pixels" in sentence
    assert "of 85 points" in sentence


def test_points_off_the_image_become_undefined_and_nothing_else_changes(server: Server) -> None:
    content = to_markups(SPINE.moved_to(SPINE.xy - np.array([0, 21])))  # T1 is centered one row above the image
    content["markups"][0]["display"]["color"] = [0.1, 0.2, 0.3]
    assert save(server, "ap_view", content)[0] == 200
    kept = json.loads(saved(server, "ap_view"))
    changed = [
        control["label"]
        for before, after in zip(content["markups"], kept["markups"], strict=True)
        for control, now in zip(before["controlPoints"], after["controlPoints"], strict=True)
        if control != now
    ]
    assert changed == ["T1", "T1 TL", "T1 TR", "T1 BL", "T1 BR"]
    assert kept["markups"][0]["display"] == content["markups"][0]["display"]
    assert not from_markups(kept).visible[0].any()


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_label_on_its_image_is_kept_byte_for_byte(server: Server, mark: bytes) -> None:
    content = mark + json.dumps(to_markups(SPINE), indent=3).encode()
    assert save(server, "ap_view", content)[0] == 200
    assert saved(server, "ap_view") == content


def test_labels_of_an_older_module_are_refused_where_they_are_ambiguous(server: Server) -> None:
    older = to_markups(SPINE)
    del older["vertebraLandmarks"]["geometry"]
    status, sentence = server.said(save(server, "photo", older))
    assert (status, "update the module" in sentence) == (400, True)
    assert save(server, "ap_view", older)[0] == 200


def test_a_person_states_the_side_of_an_image_that_says_nothing(server: Server) -> None:
    def told(image: str) -> tuple[str, str | None, str]:
        answer = server.infer(image, fixed={"T1": {"center": [80, 20]}})[1]
        facts = answer["image"]
        return answer["cobb"]["sides_of"], facts["image_left_is"], facts["image_left_is_source"]

    assert told("ap_view") == ("image", None, "none")
    status, body = server.ask("/datastore/image/side?image=ap_view&image_left_is=right", "PUT")
    assert (status, json.loads(body)["image_left_is"]) == (200, "right")
    assert told("ap_view") == ("patient", "right", "stated by a person")
    server.ask("/datastore/image/side?image=ap_view", "PUT")
    assert told("ap_view") == ("image", None, "none")
    status, sentence = server.said(server.ask("/datastore/image/side?image=ap_view&image_left_is=up", "PUT"))
    assert (status, "image_left_is must be left or right, got 'up'" in sentence) == (400, True)
    status, sentence = server.said(server.ask("/datastore/image/side?image=IM000001&image_left_is=left", "PUT"))
    assert status == 409
    assert "PatientOrientation" in sentence
    status, _ = server.said(server.send("/datastore/image/info?image=ap_view", "PUT", info='{"stated_side": 1}'))
    assert status == 400


def test_a_label_that_was_written_for_an_image_elsewhere_is_refused(server: Server) -> None:
    status, sentence = server.said(save(server, "ap_view", to_markups(SPINE, ImageGeometry((0.2, 0.2)))))
    assert status == 400
    assert "written for another image: with spacing 0.2 x 0.2 mm" in sentence
