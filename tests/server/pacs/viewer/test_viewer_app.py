"""What the viewer serves and hands on, and what not."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lib.server.pacs import client as client_module
from lib.server.pacs.client import PacsClient
from lib.server.pacs.settings import PacsSettings
from lib.server.pacs.viewer import dicomweb_proxy
from lib.server.pacs.viewer.dicomweb_proxy import literal_query, replaced
from lib.server.pacs.viewer.viewer_app import COOKIE, viewer_app
from lib.structured_report import cobb_lines_report, to_bytes

from ....structured_report.subjects import FRAME, phantom, subject
from ..conftest import SECRETS, check_private
from .conftest import Archive, Viewer, served

STORE = "/dicom-web/studies"


@pytest.mark.parametrize("path", ["/", "/viewer?StudyInstanceUIDs=1.2.3", "/segmentation/1.2.3/", "/local"])
def test_unknown_paths_are_views_of_the_page(viewer: Viewer, path: str) -> None:
    status, headers, body = viewer.ask(path)
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"the viewer" in body
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"
    assert "default-src 'self'" in headers["content-security-policy"]


def test_files_are_served_and_missing_ones_are_not_the_page(viewer: Viewer) -> None:
    assert viewer.ask("/app.bundle.js")[::2] == (200, b"bundle")
    for missing in ("/ort/ort.js", "/other.wasm", "/app.bundle.js.map"):
        assert viewer.ask(missing)[0] == 404
    assert viewer.ask("/", "POST", b"x")[0] == 405


def test_the_configuration_is_ours_and_names_no_other_server(viewer: Viewer) -> None:
    status, headers, body = viewer.ask("/app-config.js")
    assert (status, headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    config = json.loads(body.decode().removeprefix("window.config = ").rstrip().rstrip(";"))
    (source,) = config["dataSources"]
    assert {source["configuration"][root] for root in ("qidoRoot", "wadoRoot", "wadoUriRoot")} == {"/dicom-web"}
    assert b"http" not in body
    assert b"demo.example" not in body


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/x/../../secret.txt", "/..\\secret.txt", "/link.txt"],
)
def test_nothing_outside_of_the_build_is_served(viewer: Viewer, path: str) -> None:
    status, _, body = viewer.ask(path)
    assert b"secret" not in body
    assert status in (404, 200)


@pytest.mark.parametrize("path", ["/", "/dicom-web/studies", "/app-config.js"])
def test_other_names_than_local_ones_are_refused(viewer: Viewer, archive: Archive, path: str) -> None:
    status, headers, body = viewer.ask(path, Host="rebound.example")
    assert (status, body) == (403, b"the viewer answers under a local name only")
    assert "content-security-policy" in headers
    assert archive.asked == []
    for name in ("localhost:3000", "127.0.0.1", "[::1]:3000", "viewer.local"):
        assert viewer.ask(path, Host=name)[0] == 200


def test_requests_are_handed_on_with_the_login_and_nothing_else_of_the_browser(
    viewer: Viewer, archive: Archive
) -> None:
    sent = {"Accept": "application/dicom+json", "Cookie": "a=b", "Authorization": "Bearer stolen", "X_Other": "1"}
    path = "/dicom-web/studies?includefield=00081030%2C00080060&PatientName=M%C3%BC%2A&StudyDescription=a%20b"
    assert viewer.ask(path, **sent)[0] == 200
    ((method, target, headers, _),) = archive.asked
    assert (method, target) == (
        "GET",
        "/rs/studies?includefield=00081030,00080060&PatientName=M%C3%BC*&StudyDescription=a%20b",
    )
    assert headers["authorization"] == "Basic " + base64.b64encode(b"ada:pass:word").decode()
    assert headers["accept"] == "application/dicom+json"
    assert not {"cookie", "x-other"} & set(headers)


def test_addresses_in_metadata_lead_back_to_the_viewer(viewer: Viewer) -> None:
    status, headers, body = viewer.ask("/dicom-web/studies/1.2/metadata")
    assert (status, headers["content-type"], headers["cache-control"]) == (200, "application/dicom+json", "no-store")
    expected = {
        "BulkDataURI": f"{viewer.url}/dicom-web/studies/1.2/bulk/1",
        "other": "http://elsewhere.example/rs/1",
    }
    assert json.loads(body) == [expected] * 1_000


@pytest.mark.parametrize("size", range(1, 12))
def test_a_text_is_replaced_wherever_chunks_end(size: int) -> None:
    text = b"ababc-abc-ab-abcabc"
    chunks = (text[start : start + size] for start in range(0, len(text), size))
    assert b"".join(replaced(chunks, b"abc", b"X")) == b"abX-X-ab-XX"


def test_other_characters_stay_encoded() -> None:
    assert literal_query("a=%2c%2A%26%3D%2525&b=%5C") == "a=,*%26%3D%2525&b=%5C"


def test_bodies_are_streamed(viewer: Viewer, archive: Archive) -> None:
    connection = viewer.connection()
    connection.request("GET", "/dicom-web/studies/slow")
    answer = connection.getresponse()
    assert answer.read(5) == b"first"  # while the archive still waits
    archive.release.set()
    assert answer.read() == b"second"
    connection.close()


def stored(*contents: bytes) -> tuple[bytes, str]:
    """Body and content type of a request to store."""
    parts = [b"--x\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n" for content in contents]
    return b"".join(parts) + b"--x--", 'multipart/related; type="application/dicom"; boundary=x'


@pytest.fixture(scope="module")
def report() -> bytes:
    """A structured report."""
    return to_bytes(cobb_lines_report(subject(1), FRAME))


def test_reports_are_stored(viewer: Viewer, archive: Archive, report: bytes) -> None:
    body, kind = stored(report, report)
    sent = {"Content_Type": kind, "Origin": viewer.url}
    assert viewer.ask(STORE, "POST", body, **sent)[0] == 200
    ((method, target, headers, received),) = archive.asked
    assert (method, target, headers["content-type"], received) == ("POST", "/rs/studies", kind, body)


def test_nothing_but_reports_is_stored(viewer: Viewer, archive: Archive, report: bytes) -> None:
    image = to_bytes(phantom(1)[0])
    for contents in ((image,), (report, image), (image, report), (b"no file",), (report[:200],), ()):
        body, kind = stored(*contents)
        status, _, said = viewer.ask(STORE, "POST", body, Content_Type=kind)
        assert (status, said) == (403, b"the viewer stores structured reports only"), contents
    assert viewer.ask(STORE, "POST", stored(report)[0][:-5], Content_Type=kind)[0] == 403
    assert archive.asked == []


@pytest.fixture
def locked(archive: Archive, build: Path, tmp_path: Path) -> Iterator[Viewer]:
    """A viewer that asks for a token."""
    client = PacsClient(PacsSettings(archive.url, tmp_path))
    with contextlib.closing(client), served(viewer_app(build, client, archive.url, "the-right-token")) as address:
        yield Viewer(address)


def test_without_the_token_nothing_is_answered(locked: Viewer, archive: Archive) -> None:
    cookie = f"{COOKIE}_{urlsplit(locked.url).port}"
    for path in ("/", "/app-config.js", "/app.bundle.js", "/dicom-web/studies", "/?token=", "/?token=wrong"):
        for headers in ({}, {"Cookie": f"{cookie}=wrong"}, {"Cookie": f"{COOKIE}_1=the-right-token"}):
            status, _, body = locked.ask(path, **headers)
            assert (status, b"open the address that scripts/viewer.py has printed" in body) == (403, True)
    assert archive.asked == []


def test_the_first_address_opens_the_viewer_for_a_browser(locked: Viewer, archive: Archive) -> None:
    status, headers, _ = locked.ask("/viewer?StudyInstanceUIDs=1.2&token=the-right-token&x=%20")
    assert (status, headers["location"]) == (303, "/viewer?StudyInstanceUIDs=1.2&x=+")
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=strict"} <= set(attributes)
    assert locked.ask("//elsewhere.example/?token=the-right-token")[1]["location"] == "/elsewhere.example/"
    assert locked.ask("/", Cookie=cookie, Host="viewer.example")[0] == 403  # another port
    assert locked.ask("/", Cookie=cookie)[0] == 200
    assert locked.ask("/dicom-web/studies", Cookie=cookie)[0] == 200
    assert "cookie" not in archive.asked[0][2]


def test_pages_of_other_sites_store_nothing(viewer: Viewer, archive: Archive) -> None:
    for origin in ("http://evil.example", "null", viewer.url.replace("127.0.0.1", "localhost")):
        assert viewer.ask(STORE, "POST", b"x", Origin=origin)[0] == 403
    assert archive.asked == []


def test_too_large_bodies_are_refused(viewer: Viewer, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomweb_proxy, "MAX_STORED_BYTES", 1_000)
    status, _, body = viewer.ask(STORE, "POST", b"x" * 1_001)
    assert (status, body) == (413, b"at most 1,000 bytes can be stored at once")
    assert viewer.ask(STORE, "POST", b"x" * 1_000)[0] == 403
    assert archive.asked == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/dicom-web/../system"),
        ("GET", "/dicom-web/studies/../../system"),
        ("GET", "/dicom-web/studies/%2e%2e/%2e%2e/system"),
        ("GET", "/dicom-web/studies/1%3Fx"),
        ("GET", "/dicom-web/system"),
        ("GET", "/dicom-web/servers"),
        ("POST", "/dicom-web/servers/other/stow"),
        ("POST", "/dicom-web/studies/1.2/series"),
        ("DELETE", "/dicom-web/studies/1.2"),
        ("PUT", "/dicom-web/studies"),
    ],
)
def test_nothing_but_dicomweb_is_handed_on(viewer: Viewer, archive: Archive, method: str, path: str) -> None:
    assert viewer.ask(path, method, b"" if method == "POST" else None)[0] in (404, 405)
    assert archive.asked == []


@pytest.mark.parametrize(
    ("status", "expected", "sentence"),
    [
        (401, 502, "refuses the login (401): check VERTEBRA_DICOMWEB_USER"),
        (403, 502, "does not allow this login"),
        (404, 404, "inside"),
        (500, 500, "inside"),
    ],
)
def test_failures_of_the_archive_are_told(
    viewer: Viewer, archive: Archive, monkeypatch: pytest.MonkeyPatch, status: int, expected: int, sentence: str
) -> None:
    monkeypatch.setattr(client_module.Retry, "get_backoff_time", lambda self: 0.0)
    archive.status = status
    found, headers, body = viewer.ask("/dicom-web/studies")
    assert found == expected
    assert sentence in body.decode()
    assert "www-authenticate" not in headers  # the browser does not ask for a login


def test_an_archive_that_is_down_is_told(build: Path, tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/rs"
    with served(viewer_app(build, PacsClient(PacsSettings(url, tmp_path)), url, None)) as address:
        status, _, body = Viewer(address).ask("/dicom-web/studies")
        assert (status, body) == (502, b"the PACS at 127.0.0.1:9 cannot be reached; it is tried again")
        assert Viewer(address).ask("/")[0] == 200


def test_an_answer_that_is_cut_short_is_not_taken_for_whole(viewer: Viewer) -> None:
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        viewer.ask("/dicom-web/studies/cut")


def test_nothing_of_a_patient_is_logged(
    viewer: Viewer, archive: Archive, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    said = b""
    for path in (f"?PatientID={SECRETS[0]}&PatientName={SECRETS[1]}", f"/2.25.{'1' * 30}/metadata", "/cut"):
        for status in (200, 401, 404, 500):
            archive.status = status
            with contextlib.suppress(http.client.HTTPException):
                said += viewer.ask(f"/dicom-web/studies{path}")[2]
    assert b"the PACS at" in said
    check_private([path for path in tmp_path.rglob("*") if path.name != "secret.txt"], said.decode(), caplog.text)
