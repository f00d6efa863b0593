"""Requests that are rejected: the holes of MONAI Label, oversized requests, and calls from elsewhere."""

from __future__ import annotations

import hashlib
import io
import json
import re
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
import psutil
import pytest
from PIL import Image

from lib.phantoms import random_spec, render_phantom
from lib.server.log_privacy import redact_passwords
from lib.server.models import FOLDER
from lib.spine.labels.markups import to_markups
from lib.spine.schema import Spine

if TYPE_CHECKING:
    from ...serving import Server, Start

pytestmark = pytest.mark.integration

INFER = "/infer/vertebra_landmarks"
SECRET = "the secret beside the folder"
PATIENT = "Eve_Adams_1980"
"""Name of an image, as clinics name them."""


def png(seed: int = 1) -> bytes:
    """A phantom radiograph as the content of a file."""
    stream = io.BytesIO()
    Image.fromarray(render_phantom(random_spec(seed, 300, 140)).pixels).save(stream, "PNG")
    return stream.getvalue()


def markups(x: float = 0.0) -> bytes:
    """A label as the content of a file, whose points are all in one place; where does not matter here."""
    return json.dumps(to_markups(Spine.from_arrays(np.full((17, 5, 2), x), np.ones((17, 5))))).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """A folder with one image, among links and files that must stay out of reach."""
    place = tmp_path_factory.mktemp("place")
    studies = place / "studies"
    (studies / "labels").mkdir(parents=True)
    (studies / f"{PATIENT}.png").write_bytes(png())
    (place / "secret.png").write_bytes(png(2))
    (place / "secret.mrk.json").write_text(SECRET)
    (place / "beyond").mkdir()
    (studies / "leak.png").symlink_to(place / "secret.png")
    (studies / "labels" / "away").symlink_to(place / "beyond")
    with start(studies, "--conf", "max_upload_mb", "4", "--conf", "cors_origins", "https://viewer.example") as running:
        yield running


def everything(server: Server) -> dict[str, bytes]:
    """Content of every file in and around the studies folder and among temporary files; of the server's own folder,
    where it works by itself, that of the labels' versions."""
    files = [*server.studies.parent.rglob("*"), *server.temporary.rglob("*")]
    own = server.studies / FOLDER
    kept = [path for path in files if path.is_file() and (own not in path.parents or own / "versions" in path.parents)]
    return {str(path): path.read_bytes() for path in kept}


AWAY = ["../x", "/tmp/x", "..", ".hidden", "a/../../x", "..\\x", "x\0y", "nul", "C:\\x", "a" * 300, "x.overlay"]
"""Names that lead out of the folder, or that some system or this project keeps for something else."""


@pytest.mark.parametrize("name", AWAY)
@pytest.mark.parametrize("path", ["/datastore/", "/datastore/image"])
def test_no_image_is_stored_under_a_name_that_leads_away(server: Server, path: str, name: str) -> None:
    before = everything(server)
    answer = server.send(f"{path}?image={quote(name, safe='')}", "PUT", file=("x.png", png()))
    status, sentence = server.said(answer)
    assert status == 400
    assert "image id" in sentence
    assert everything(server) == before


@pytest.mark.parametrize("file", ["../../x.png", "/etc/x.png", "..\\..\\x.png"])
def test_the_folders_in_a_files_name_are_ignored(server: Server, file: str) -> None:
    status, body = server.send("/datastore/image", "PUT", file=(file, png()))
    assert (status, json.loads(body)) == (200, {"image": "x"})
    assert (server.studies / "x.png").is_file()
    assert server.ask("/datastore/image?id=x", "DELETE")[0] == 200
    assert not (server.studies / "x.png").exists()


@pytest.mark.parametrize("tag", ["../../outside", "/tmp/x", "..", "a/b", "a\\b", "x\0y", "nul", "a" * 300, "away"])
def test_no_label_is_stored_under_a_tag_that_leads_away(server: Server, tag: str) -> None:
    before = everything(server)
    answer = server.send(
        f"/datastore/label?image={PATIENT}&tag={quote(tag, safe='')}", "PUT", label=("x.mrk.json", markups())
    )
    assert server.said(answer)[0] == 400
    params = json.dumps({"save_label": True, "label_tag": tag})
    answer = server.send(f"{INFER}?image={PATIENT}&output=json", "POST", params=params)
    assert server.said(answer)[0] == 400
    assert everything(server) == before


PATHS = [
    "../secret",
    "../secret.png",
    "/etc/hostname",
    "leak",
    "..",
    ".",
    "\0",
    "%2e%2e/secret",
    "",
    "~",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("image", PATHS)
def test_no_path_is_taken_for_an_image(server: Server, image: str) -> None:
    name = quote(image, safe="")
    asked = {
        "infer": server.ask(f"{INFER}?image={name}&output=json", "POST"),
        "infer by params": server.send(f"{INFER}?image=none&output=json", "POST", params=json.dumps({"image": image})),
        "get": server.ask(f"/datastore/image?image={name}"),
        "info": server.ask(f"/datastore/image/info?image={name}"),
        "put info": server.send(f"/datastore/image/info?image={name}", "PUT", info='{"a": 1}'),
        "delete": server.ask(f"/datastore/image?id={name}", "DELETE"),
        "delete by the old name": server.ask(f"/datastore/?id={name}", "DELETE"),
        "label": server.send(f"/datastore/label?image={name}", "PUT", label=("x.mrk.json", markups())),
        "get label": server.ask(f"/datastore/label?label={name}&tag=final"),
        "get label by tag": server.ask(f"/datastore/label?label={PATIENT}&tag={name}"),
        "delete label": server.ask(f"/datastore/label?id={PATIENT}&tag={name}", "DELETE"),
        "label info": server.send(f"/datastore/label/info?label={name}&tag=final", "PUT", info="{}"),
        "session": server.ask(f"/session/{name or '%20'}"),
        "end session": server.ask(f"/session/{name or '%20'}", "DELETE"),
        "session of infer": server.ask(f"{INFER}?session_id={name or '%20'}", "POST"),
        "strategy": server.ask(f"/activelearning/{name or '%20'}", "POST"),
        "train": server.ask(f"/train/{name or '%20'}", "POST", b"{}", "application/json"),
        "scoring": server.ask(f"/scoring/{name or '%20'}", "POST", b"{}", "application/json"),
        "batch": server.ask(f"/batch/infer/{name or '%20'}", "POST", b"{}", "application/json"),
        "model": server.ask(f"/model/{name or '%20'}"),
    }
    for what, answer in asked.items():
        status, sentence = server.said(answer)
        assert status in (400, 404, 405), (what, status, sentence)
        assert str(server.studies.parent) not in sentence, what
    assert (server.studies.parent / "secret.png").is_file()


def test_links_out_of_the_folder_are_not_listed(server: Server) -> None:
    listed = json.loads(server.ask("/datastore/?output=all")[1])["objects"]
    assert PATIENT in listed
    assert "leak" not in listed


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/proxy/dicom/wado/x"),
        ("POST", "/proxy/dicom/http://127.0.0.1:1/"),
        ("GET", "/ohif/..%2f..%2fapp.py"),
        ("GET", "/static/../../app.py"),
        ("POST", "/infer/wsi/vertebra_landmarks"),
        ("POST", "/infer/wsi_v2/vertebra_landmarks"),
        ("POST", "/reload"),
        ("GET", "/logs/gpu"),
        ("GET", "/datastore/dataset"),
        ("PUT", "/model/vertebra_landmarks"),
        ("DELETE", "/model/vertebra_landmarks"),
    ],
)
def test_what_this_app_does_not_need_is_not_there(server: Server, method: str, path: str) -> None:
    assert server.said(server.ask(path, method))[0] in (404, 405)


def test_an_image_is_added_once_and_never_replaced(server: Server) -> None:
    assert server.send("/datastore/image?image=new", "PUT", file=("scan.PNG", png(3)))[0] == 200
    for image in ("new", "NEW"):
        status, sentence = server.said(server.send(f"/datastore/image?image={image}", "PUT", file=("a.png", png(4))))
        assert status == 409
        assert "already" in sentence
    assert (server.studies / "new.png").read_bytes() == png(3)
    assert server.infer("new")[0] in (200, 422)


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA512", "MD5", ""])
def test_an_image_is_known_by_its_checksum(server: Server, algorithm: str) -> None:
    right = hashlib.new(algorithm or "SHA256", (server.studies / f"{PATIENT}.png").read_bytes()).hexdigest()
    address = f"/datastore/image?image={PATIENT}&check_sum={algorithm}{':' if algorithm else ''}"
    assert server.ask(address + right, "HEAD")[0] == 200
    assert server.ask(address + right[:-1], "HEAD")[0] == 404
    assert server.ask(address + "0" * len(right), "HEAD")[0] == 404


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("x.png", b"no pixels", "not an image"),
        ("x.png", b"", "empty"),
        ("x.dcm", b"\0" * 500, "damaged"),
        ("x.exe", png(), "must end with"),
        ("", b"", ""),
        ("x.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "must end with"),
        ("x.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "PostScript document"),
        ("x.nrrd", b"NRRD0004\ntype: double\ndimension: 3\nsizes: 9 9 90000\nencoding: gzip\n\n", "image.nrrd"),
    ],
)
def test_a_file_that_is_no_radiograph_is_not_stored(server: Server, file: str, content: bytes, words: str) -> None:
    before = everything(server)
    status, sentence = server.said(server.send("/datastore/image?image=bad", "PUT", file=(file, content)))
    assert status == (415 if words else 400)
    assert words in sentence
    if words:
        assert server.said(server.send("/session/", "PUT", files=(file, content)))[0] == 415
        assert server.said(server.send(f"{INFER}?output=json", "POST", file=(file, content)))[0] == 415
    assert everything(server) == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "JSON"),
        (b"[1]", "Markups"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 100_000, "JSON"),
        (markups().replace(b'"T7 TL"', b'"T99 TL"'), "T99"),
        (markups().replace(b"LPS", b"XYZ"), "LPS"),
        (markups().replace(b'"position": [0.0,', b'"position": [NaN,', 1), "position"),
    ],
)
def test_a_file_that_is_no_label_is_not_stored(server: Server, content: bytes, words: str) -> None:
    before = everything(server)
    answer = server.send(f"/datastore/label?image={PATIENT}&tag=final", "PUT", label=("a.mrk.json", content))
    status, sentence = server.said(answer)
    assert status == 400
    assert words in sentence
    assert everything(server) == before


def test_a_label_can_be_saved_read_noted_and_removed(server: Server) -> None:
    place = f"label={PATIENT}&tag=mine"
    answer = server.send(f"/datastore/label?image={PATIENT}&tag=mine", "PUT", label=("a.json", markups()), params="{}")
    assert json.loads(answer[1]) == {"image": PATIENT, "label": PATIENT, "version": 1}
    assert server.ask(f"/datastore/label?{place}") == (200, markups())
    assert server.ask(f"/datastore/label?image={PATIENT}&tag=mine", "HEAD")[0] == 200
    assert server.send(f"/datastore/label/info?{place}", "PUT", info='{"quality": 3}')[0] == 200
    assert json.loads(server.ask(f"/datastore/label/info?{place}")[1])["quality"] == 3
    assert server.ask(f"/datastore/label?id={PATIENT}&tag=mine", "DELETE")[0] == 200
    assert server.ask(f"/datastore/label?{place}")[0] == 404


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', "[" * 9000, '{"ts": 1}', "7" * 5000]
)
def test_metadata_must_be_valid_json(server: Server, text: str) -> None:
    answer = server.send(f"/datastore/image/info?image={PATIENT}", "PUT", info=text)
    assert server.said(answer)[0] == 400
    assert server.ask("/datastore/?output=all")[0] == 200


def test_metadata_is_bounded(server: Server) -> None:
    answers = [
        server.send(f"/datastore/image/info?image={PATIENT}", "PUT", info=json.dumps({f"key{n}": "x" * 25_000}))[0]
        for n in range(6)
    ]
    assert answers[0] == 200
    assert answers[-1] == 400


@pytest.mark.parametrize("empty", [markups(np.nan), b'{"markups": []}'])
def test_a_final_label_has_a_point(server: Server, empty: bytes) -> None:
    answer = server.send(f"/datastore/label?image={PATIENT}&tag=final", "PUT", label=("a.json", empty))
    assert server.said(answer) == (400, "a final label needs at least one point, this one has none")


def test_a_session_is_created_read_and_deleted(server: Server) -> None:
    status, body = server.send("/session/", "PUT", files=(f"{PATIENT}.png", png(5)))
    assert status == 200
    answer = json.loads(body)
    assert str(server.studies) not in json.dumps(answer)
    name = answer["session_id"]
    assert server.ask(f"/session/{name}?image=true") == (200, png(5))
    assert server.ask(f"{INFER}?session_id={name}&output=json", "POST")[0] in (200, 422)
    assert server.ask(f"/session/{name}", "DELETE")[0] == 200
    assert server.said(server.ask(f"/session/{name}"))[0] == 404
    many = server.send("/session/?uncompress=true", "PUT", files=("x.zip", b"PK"))
    assert server.said(many)[0] == 400


def test_a_file_that_lies_about_is_no_upload(server: Server) -> None:
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(png())
        file.flush()
        for place in (file.name, str(server.studies / f"{PATIENT}.png"), str(server.studies.parent / "secret.png")):
            assert server.said(server.ask(f"{INFER}?image={quote(place)}&output=json", "POST"))[0] == 404


def pieces(megabytes: int) -> Iterator[bytes]:
    """A body in pieces, made while it is sent."""
    yield b'--edge\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n'
    for _ in range(megabytes):
        yield b"\0" * 1_000_000
    yield b"\r\n--edge--\r\n"


@pytest.mark.parametrize("path", ["/datastore/image?image=huge", f"{INFER}?output=json", "/session/"])
def test_200_megabytes_are_refused_without_being_buffered(server: Server, path: str) -> None:
    before = everything(server)
    used = psutil.Process(server.process.pid).memory_info().rss
    length = {"Content-Length": str(sum(map(len, pieces(200))))}
    method = "POST" if "infer" in path else "PUT"
    kind = "multipart/form-data; boundary=edge"
    for headers in (length, {}):  # without a length, the body comes in chunks
        status, sentence = server.said(server.ask(path, method, pieces(200), kind, headers))
        assert status == 413
        assert re.search(r"at most [\d,]+ bytes", sentence)
    assert psutil.Process(server.process.pid).memory_info().rss - used < 60_000_000
    assert everything(server) == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", f"/datastore/label?image={PATIENT}", b"0" * 1_100_000),
        ("POST", "/activelearning/random", b'{"a": "' + b"0" * 1_100_000 + b'"}'),
        ("POST", "/auth/token", b"username=" + b"0" * 1_100_000),
    ],
)
def test_other_bodies_are_small(server: Server, method: str, path: str, body: bytes) -> None:
    assert server.said(server.ask(path, method, body, "application/json"))[0] == 413


def test_long_addresses_are_refused(server: Server) -> None:
    assert server.said(server.ask("/info/?" + "a" * 9000))[0] == 414


def test_pages_of_other_sites_change_and_read_nothing(server: Server) -> None:
    elsewhere = {"Origin": "https://elsewhere.example"}
    assert server.said(server.ask("/activelearning/random", "POST", headers=elsewhere))[0] == 403
    assert server.said(server.ask("/info/", headers={"Host": "elsewhere.example"}))[0] == 403
    own = {"Origin": server.url}
    assert server.ask("/activelearning/random", "POST", headers=own)[0] == 200


@pytest.mark.parametrize(
    ("origin", "allowed"), [("https://viewer.example", True), ("https://elsewhere.example", False), ("null", False)]
)
def test_answers_are_readable_for_configured_sites_only(server: Server, origin: str, allowed: bool) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    heads = []
    for request in (
        f"GET /info/ HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n",
        f"OPTIONS {INFER} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n"
        "Access-Control-Request-Method: POST\r\nConnection: close\r\n\r\n",
    ):
        with socket.create_connection((host, int(port)), 30) as connection:
            connection.sendall(request.encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        heads.append(answer.partition(b"\r\n\r\n")[0].lower().decode())
    for head in heads:
        assert (f"access-control-allow-origin: {origin}" in head) == allowed
        assert "access-control-allow-origin: *" not in head
    assert "access-control-expose-headers: x-image-facts, content-disposition" in heads[0]
    assert "x-content-type-options: nosniff" in heads[0]


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        ("/datastore/?output=everything", "GET", None),
        ("/logs/?lines=-1", "GET", None),
        ("/logs/?lines=1e9", "GET", None),
        (f"{INFER}?image={PATIENT}&output=dicom_seg", "POST", None),
        (INFER, "POST", None),
        ("/batch/infer/vertebra_landmarks?images=some", "POST", b"{}"),
        ("/batch/infer/vertebra_landmarks?run_sync=true", "POST", b'{"max_batch_size": "many"}'),
        ("/batch/infer/vertebra_landmarks?run_sync=true", "POST", b'{"label_tag": "../../x"}'),
        ("/batch/infer/vertebra_landmarks?run_sync=true", "POST", b'{"label_tag": 5}'),
        ("/batch/infer/vertebra_landmarks", "POST", b'{"images": ["/etc/passwd"]}'),
        ("/batch/infer/vertebra_landmarks", "POST", b"[1, 2"),
        ("/activelearning/random", "POST", b"[]"),
        ("/activelearning/random", "POST", b'{"strategy": "other"}'),
        ("/datastore/image", "GET", None),
    ],
)
def test_wrong_parameters_are_400(server: Server, path: str, method: str, body: bytes | None) -> None:
    before = everything(server)
    assert server.said(server.ask(path, method, body, "application/json" if body else ""))[0] == 400
    assert everything(server) == before


def test_the_log_names_no_patient(server: Server) -> None:
    server.infer(PATIENT)
    server.infer(f"{PATIENT}_unknown")
    server.ask("/activelearning/random", "POST", b'{"client_id": "Dr_Who"}', "application/json")
    server.send(f"/datastore/label?image={PATIENT}&tag=final", "PUT", label=("a.json", markups()))
    status, body = server.ask("/logs/?lines=1000")
    assert status == 200
    log = server.log.read_text(errors="replace")
    assert "Uvicorn running" in log
    for word in (PATIENT, "Dr_Who"):
        assert word not in log
        assert word not in body.decode()


def test_passwords_in_urls_are_masked() -> None:
    text = "conf = [['database', 'postgresql://ada:s:ecret@host:5432/name']]\nhttp://127.0.0.1:8000/info/ a@b"
    assert redact_passwords(text) == text.replace("s:ecret", "***")


def test_nothing_that_clients_sent_stays_when_the_server_ends(tmp_path: Path, start: Start) -> None:
    studies = tmp_path / "studies"
    studies.mkdir()
    with start(studies, "--access_log") as running:
        assert running.send("/session/", "PUT", files=(f"{PATIENT}.png", png()))[0] == 200
        running.ask(f"/datastore/image?image={PATIENT}")
        assert list((studies / ".uploads").rglob("image.png"))
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(30)
        assert not (studies / ".uploads").exists()
        log = running.log.read_text(errors="replace")
        assert '"GET /datastore/image HTTP/1.1" 404' in log
        assert PATIENT not in log
