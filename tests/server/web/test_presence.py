"""``/presence`` on two workers that share a SQLite database."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from ...serving import Server, Start

pytestmark = pytest.mark.integration

ADA, BEN = "the-token-of-ada-xxxx", "the-token-of-ben-xxxx"
ONE, TWO = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """Two workers, one image, two readers."""
    place = tmp_path_factory.mktemp("place")
    (place / "studies").mkdir()
    Image.fromarray(np.zeros((60, 40), np.uint8)).save(place / "studies" / "a.png")
    (place / "tokens.txt").write_text(f"ada reader {ADA}\nben reader {BEN}\n")
    conf = ("--conf", "tokens", str(place / "tokens.txt"))
    with start(place / "studies", "--workers", "2", *conf) as running:
        yield running


def note(server: Server, token: str, client: str, body: object, image: str = "a") -> tuple[int, Any]:
    """Status and answer of one sign."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    content = json.dumps(body).encode()
    path = f"/presence?image={image}&client={client}"
    status, answer = server.ask(path, "PUT", content, "application/json", headers)
    return status, json.loads(answer)


def test_everybody_sees_the_others_whichever_worker_answers(server: Server) -> None:
    for edits in range(8):  # the workers take turns
        status, answer = note(server, ADA, ONE, {"user": "somebody else", "edits": edits})
        assert status == 200
        assert edits == 0 or [other["user"] for other in answer["others"]] == ["ben"]
        (other,) = note(server, BEN, TWO, {"edits": 1})[1]["others"]
        assert (other["user"], other["edits"]) == ("ada", edits)
        assert 0 <= other["seconds_ago"] <= 30
    headers = {"Authorization": f"Bearer {ADA}"}
    assert server.ask(f"/presence?image=a&client={ONE}", "DELETE", headers=headers) == (200, b"{}")
    assert note(server, BEN, TWO, {})[1] == {"others": []}


@pytest.mark.parametrize(
    ("token", "client", "body", "image", "status"),
    [
        ("", ONE, {}, "a", 401),
        (ADA, ONE, {}, "none", 404),
        (ADA, ONE, {}, "..%2fa", 404),
        (ADA, "one", {}, "a", 400),
        (ADA, ONE, {"edits": -1}, "a", 400),
        (ADA, ONE, {"edits": 10**30}, "a", 400),
        (ADA, ONE, {"user": "x" * 201}, "a", 400),
        (ADA, ONE, {"user": "\0"}, "a", 400),
        (ADA, ONE, {"users": "x"}, "a", 400),
        (ADA, ONE, [], "a", 400),
    ],
)
def test_wrong_signs_are_refused(server: Server, token: str, client: str, body: Any, image: str, status: int) -> None:
    found, answer = note(server, token, client, body, image)
    assert found == status
    assert set(answer) == {"detail"}
