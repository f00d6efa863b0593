"""MONAI Label's own client: all of its methods, in any order, with a login and without."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from monailabel.client import MONAILabelClient
from monailabel.client.client import MONAILabelClientException
from PIL import Image

from lib.phantoms import random_spec, render_phantom
from lib.server.web.request_guard import with_repaired_boundary
from lib.spine.labels.markups import write_markups
from lib.spine.schema import Spine

if TYPE_CHECKING:
    from ..serving import Start

MODEL = "vertebra_landmarks"
NAME, TOKEN = "ada", "the-token-of-an-admin"
MAX_ANSWER_S = 25.0
"""Less than the pause that the server grants a body."""
LARGE = 1_200_000
"""Bytes of an upload, more than requests without a file may have."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, ladder_label: Spine) -> Path:
    """A radiograph as a large file, and a label of it."""
    place = tmp_path_factory.mktemp("client")
    pixels = render_phantom(random_spec(3, 320, 160)).pixels
    Image.fromarray(pixels).save(place / "large.png")
    padding = LARGE - (place / "large.png").stat().st_size
    with (place / "large.png").open("ab") as stream:
        stream.write(bytes(padding))
    write_markups(place / "label.mrk.json", ladder_label)
    return place


@pytest.fixture(scope="module")
def ladder_label() -> Spine:
    """A spine that lies on a radiograph of 160 x 320 pixels."""
    rows, places = np.arange(17)[:, None, None], np.array([[0, 0], [-10, -6], [10, -6], [-10, 6], [10, 6]])
    return Spine.from_arrays(np.array([50, 20]) + rows * np.array([0, 16]) + places)


@pytest.fixture(scope="module", params=["open", "login"])
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, files: Path, start: Start
) -> Iterator[MONAILabelClient]:
    """A client of a server with one image, logged in where the server asks for that."""
    studies = tmp_path_factory.mktemp("studies")
    Image.fromarray(render_phantom(random_spec(4, 320, 160)).pixels).save(studies / "first.png")
    users = studies.parent / f"{studies.name}_users"
    users.write_text(f"{NAME} admin {TOKEN}\n")
    login = ["--conf", "tokens", str(users)] if request.param == "login" else []
    with start(studies, *login) as running:
        found = MONAILabelClient(running.url, tmpdir=str(files), client_id="test")
        assert found.auth_enabled() == (request.param == "login")
        if request.param == "login":
            found.update_auth(found.auth_token(NAME, TOKEN))
        assert found.auth_valid_token()
        yield found


def uploads(client: MONAILabelClient, files: Path) -> dict[str, Callable[[], Any]]:
    """Requests with a body, after which the client repeats its headers."""
    large, label = str(files / "large.png"), str(files / "label.mrk.json")
    return {
        "infer a file": lambda: client.infer(MODEL, "", {}, file=large),
        "save a label": lambda: client.save_label("first", label, tag="final"),
        "begin a session": lambda: client.create_session(large),
        "next image": lambda: client.next_sample("random", {}),
    }


@pytest.mark.integration
@pytest.mark.parametrize("before", ["infer a file", "save a label", "begin a session", "next image"])
def test_every_method_answers_after_every_upload(client: MONAILabelClient, files: Path, before: str) -> None:
    upload = uploads(client, files)

    def ask(method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        upload[before]()
        begin = time.monotonic()
        answer = method(*arguments, **options)
        assert time.monotonic() - begin < MAX_ANSWER_S, method
        return answer

    assert ask(client.info)["name"] == "Vertebra Landmarks"
    assert "first" in ask(client.datastore)["objects"]
    for other in uploads(client, files).values():
        assert ask(other) is not None
    session = client.create_session(str(files / "large.png"))["session_id"]
    assert ask(client.get_session, session)["name"] == session
    result, answer = ask(client.infer, MODEL, "", {}, session_id=session)
    assert len(answer["landmarks"]) == 85
    assert json.loads(Path(result).read_bytes())["markups"]
    assert ask(client.remove_session, session)["name"] == session
    added = ask(client.upload_image, str(files / "large.png"), before.replace(" ", "_"))
    assert added == {"image": before.replace(" ", "_")}
    client.save_label("first", str(files / "label.mrk.json"), tag="final")
    downloaded = Path(ask(client.download_label, "first", "final"))
    assert downloaded.read_bytes() == (files / "label.mrk.json").read_bytes()
    assert ask(client.train_status, check_if_running=True) is False
    assert ask(client.auth_valid_token)
    ask(client.train_stop)
    with pytest.raises(MONAILabelClientException, match="404"):  # none has run
        ask(client.train_status)
    with pytest.raises(MONAILabelClientException, match="at least 2 images"):
        ask(client.train_start, MODEL, {})
    with pytest.raises(MONAILabelClientException, match=r"40[14]"):  # there is no whole slide here
        ask(client.wsi_infer, MODEL, "first")


@pytest.mark.integration
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("announced", ["Content-Length: 5000000", "Content-Length: 7", "Transfer-Encoding: chunked"])
def test_a_body_that_no_method_needs_is_not_waited_for(client: MONAILabelClient, method: str, announced: str) -> None:
    host, port = client.get_server_url().removeprefix("http://").split(":")
    path = "/info/" if method != "DELETE" else "/session/none"
    token = f"Authorization: Bearer {TOKEN}\r\n"
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{token}{announced}\r\n\r\n"
    with socket.create_connection((host, int(port)), MAX_ANSWER_S) as connection:
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))  # until the server closes the connection
    status = answer.split(b" ")[1]
    assert status == {"GET": b"200", "HEAD": b"405", "DELETE": b"404"}[method]
    assert b"connection: close" in answer.lower()


FORM = "multipart/form-data; boundary="
PART = b"--a1\r\nContent-Disposition: form-data;"


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("application/json", PART + b' name="x"\r\n\r\n', f'{FORM}"a1"'),
        (f"{FORM}b", PART.lower(), f'{FORM}"a1"'),
        (f"{FORM}a1", PART, f"{FORM}a1"),
        ("application/json", b'{"a": 1}', "application/json"),
        ("application/json", b"", "application/json"),
    ],
)
def test_a_form_is_read_with_its_own_boundary(kind: str, body: bytes, expected: str) -> None:
    scope: dict[str, Any] = {"type": "http", "headers": [(b"content-type", kind.encode())]}
    pieces = [body[:3], body[3:]]

    async def receive() -> Any:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def read_all() -> bytes:
        read, content, more = await with_repaired_boundary(scope, receive), b"", True
        while more:
            message = await read()
            content, more = content + message["body"], message["more_body"]
        return content

    assert asyncio.run(read_all()) == body
    assert dict(scope["headers"])[b"content-type"].decode() == expected
