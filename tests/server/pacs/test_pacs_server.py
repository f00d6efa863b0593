"""A real server on a PACS: annotation, failures and recovery, and nothing of a patient in what it writes."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from harness.phantom_dicom import Examination, phantom_dx
from lib.phantoms import random_spec, render_phantom
from lib.server import pacs as package

from .conftest import Pacs

if TYPE_CHECKING:
    from ...serving import Server, Start

pytestmark = pytest.mark.integration

PATIENT_ID, PATIENT_NAME, STUDY_DATE = "QX-7741-", "Zyzzowitsch^Quirina", datetime.datetime(2019, 3, 7, 9, 15)
TIMEOUT_S = 90
APP = Path(package.__file__).parents[3]


@pytest.fixture(scope="module")
def phantoms() -> list[np.ndarray]:
    """Pixels of radiographs on which the model finds a spine."""
    return [np.asarray(render_phantom(random_spec(seed)).pixels, np.uint8) for seed in range(3)]


def examined(phantoms: list[np.ndarray]) -> list[Dataset]:
    return [
        phantom_dx(pixels, Examination(f"{PATIENT_ID}{number}", f"{PATIENT_NAME}{number}", STUDY_DATE))
        for number, pixels in enumerate(phantoms)
    ]


def wait_for(server: Server, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    end = time.monotonic() + TIMEOUT_S
    while not holds(info := json.loads(server.ask("/info/")[1])):
        assert time.monotonic() < end, info["pacs"]
        time.sleep(0.2)
    return info


def test_a_department_annotates_from_its_pacs(
    pacs: Pacs, start: Start, tmp_path: Path, phantoms: list[np.ndarray]
) -> None:
    datasets = examined(phantoms)
    pacs.store(*datasets)
    env = {"VERTEBRA_DICOMWEB_USER": pacs.server.user, "VERTEBRA_DICOMWEB_PASSWORD": pacs.server.password}
    conf = ("--conf", "dicomweb_folder", str(tmp_path / "work"))
    answers: list[bytes] = []
    pacs.proxy.stop()
    with start(pacs.proxy.url, *conf, env=env) as server:
        info = wait_for(server, lambda info: info["pacs"]["state"] == "unavailable")
        assert "cannot be reached" in info["pacs"]["message"]
        status, sentence = server.said(server.ask("/activelearning/random", "POST", b""))
        assert (status, "cannot be reached" in sentence) == (503, True)
        pacs.proxy.start()
        info = wait_for(server, lambda info: info["pacs"]["state"] == "watching" and info["datastore"]["total"] == 3)
        assert info["pacs"]["message"] is None
        labelled = annotate(server, answers)
        refuse_changes(server, labelled, answers)
        fail(server, pacs, labelled, answers)
        wait_for(server, lambda info: info["pacs"]["state"] == "watching")
        for image in {line["id"] for line in listed(server)} - {labelled}:
            status, answer = server.ask(f"/datastore/image/pixels?image={image}")
            assert status == 200, answer
        log = server.log
        temporary = server.temporary
    with start(pacs.proxy.url, *conf, env=env) as again:  # all is there before the PACS is asked
        assert json.loads(again.ask("/info/")[1])["datastore"]["completed"] == 1
    check_privacy(datasets, answers, log, temporary, tmp_path / "work")


def listed(server: Server) -> list[dict[str, str]]:
    objects = json.loads(server.ask("/datastore/?output=all")[1])["objects"]
    return [{"id": image} for image in objects]


def annotate(server: Server, answers: list[bytes]) -> str:
    """Next image, its landmarks, a label: twice, of which the second is a new version; returns the image's id."""
    image = json.loads(server.ask("/activelearning/first", "POST", b"")[1])["id"]
    status, prediction = server.infer(image)
    assert status == 200
    status, content = server.ask(f"/infer/vertebra_landmarks?image={image}&output=image", "POST", b"")
    assert status == 200
    answers += [json.dumps(prediction).encode(), content]
    for _ in range(2):
        path = f"/datastore/label?image={quote(image)}&tag=final"
        answer = server.send(path, "PUT", label=("label.mrk.json", content), params=json.dumps({"user": "ann"}))
        assert answer[0] == 200, answer
        answers.append(answer[1])
    versions = json.loads(server.ask(f"/datastore/label/versions?label={image}&tag=final")[1])["versions"]
    assert [one["version"] for one in versions] == [1, 2]
    return image


def refuse_changes(server: Server, image: str, answers: list[bytes]) -> None:
    stream = BytesIO()
    Image.new("L", (20, 40)).save(stream, "PNG")
    for answer in (
        server.send("/datastore/image?image=new", "PUT", file=("new.png", stream.getvalue())),
        server.ask(f"/datastore/image?id={image}", "DELETE"),
    ):
        status, sentence = server.said(answer)
        assert (status, sentence.startswith("the images are those of the PACS at")) == (409, True)
        answers.append(answer[1])


def fail(server: Server, pacs: Pacs, cached: str, answers: list[bytes]) -> None:
    """While the PACS fails, what is cached works, and the rest is refused with a sentence."""
    for path in server_cache(server).glob("*.dcm"):
        if path.stem != cached:
            path.unlink()
    pacs.proxy.status = 500
    other = next(line["id"] for line in listed(server) if line["id"] != cached)
    status, sentence = server.said(server.ask(f"/datastore/image/pixels?image={other}"))
    assert (status, "the PACS at" in sentence and "failed (500)" in sentence) == (503, True)
    wait_for(server, lambda info: info["pacs"]["state"] == "unavailable")
    for path in ("/datastore/image", "/infer/vertebra_landmarks"):
        answer = server.ask(
            f"{path}?image={other}", "POST" if "infer" in path else "GET", b"" if "infer" in path else None
        )
        assert server.said(answer)[0] == 503
        answers.append(answer[1])
    answer = server.ask("/activelearning/random", "POST", b"")
    assert server.said(answer)[0] == 503
    answers.append(answer[1])
    assert server.infer(cached)[0] == 200
    assert server.ask(f"/datastore/image/info?image={other}")[0] == 200
    pacs.proxy.status = 0


def server_cache(server: Server) -> Path:
    info = json.loads(server.ask("/datastore/?output=all")[1])["objects"]
    path = json.loads(server.ask(f"/datastore/image/info?image={next(iter(info))}")[1])["path"]
    return Path(path).parent


def check_privacy(datasets: list[Dataset], answers: list[bytes], log: Path, temporary: Path, work: Path) -> None:
    """Nothing of a patient is in anything that the server wrote, but in cached images and the database."""
    secrets = {PATIENT_ID, PATIENT_NAME.partition("^")[0], f"{STUDY_DATE:%Y%m%d}", f"{STUDY_DATE:%Y-%m-%d}", "20100101"}
    for dataset in datasets:
        secrets |= {str(dataset[name].value) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")}
    tops = work, temporary, log.parent, APP / "logs"
    written = [path for top in tops for path in top.rglob("*") if path.is_file()]
    names = "\n".join(map(str, written))
    assert not [secret for secret in secrets if secret in names]
    images = [path for path in written if path.suffix == ".dcm"]
    assert images
    assert any(PATIENT_ID.encode() in path.read_bytes() for path in images)  # the test can fail
    assert all(path.stat().st_mode & 0o077 == 0 for path in images)
    others = [path for path in written if path not in images and not path.name.startswith("store.sqlite3")]
    assert log in others
    for content in (*answers, *(path.read_bytes() for path in others)):
        assert not [secret for secret in secrets if secret.encode() in content]
