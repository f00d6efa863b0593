"""People of a study over HTTP: readers and an adjudicator, each with a token or with a stated name."""

from __future__ import annotations

import json
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.spine.labels.markups import label_of
from lib.spine.schema import Spine

if TYPE_CHECKING:
    from ...serving import Server

ROLES = {"ada": "annotator", "ben": "annotator", "cleo": "annotator", "rita": "reader", "root": "admin"}


def token_of(name: str) -> str:
    return f"the-token-of-{name}-0123"


TOKENS = "".join(f"{name} {role} {token_of(name)}\n" for name, role in ROLES.items())


@dataclass(frozen=True)
class Person:
    """One user of a server."""

    server: Server
    name: str
    has_login: bool = True

    def ask(self, path: str, method: str = "GET", body: Any = None) -> tuple[int, bytes]:
        """Status and body of an answer."""
        headers = {"Authorization": f"Bearer {token_of(self.name)}"}
        if not self.has_login:
            headers = {"X-User": urllib.parse.quote(self.name)} if self.name else {}
        content = None if body is None else json.dumps(body).encode()
        return self.server.ask(path, method, content, "application/json" if body is not None else "", headers)

    def get(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """The content of an answer that is no error."""
        status, content = self.ask(path, method, body)
        assert status == 200, (self.name, path, content)
        return json.loads(content)

    def refused(self, path: str, method: str = "GET", body: Any = None) -> tuple[int, str]:
        """Status and sentence of an answer that is an error."""
        return self.server.said(self.ask(path, method, body))

    def next(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.get("/study/next", "POST", {})
        return answer

    def submit(self, image: str, xy: np.ndarray, query: str = "", **info: Any) -> dict[str, Any]:
        """Save points as the reading under work, or as the final label of an adjudicator."""
        answer: dict[str, Any] = self.get(f"/landmarks?image={image}{query}", "PUT", points_body(xy, **info))
        return answer

    def xy(self, image: str, reading: int | None = None) -> np.ndarray:
        """``(17, 5, 2)`` points of the final label, or of a reading."""
        answer = self.get(f"/landmarks?image={image}" + ("" if reading is None else f"&reading={reading}"))
        return points_of(answer["landmarks"])


def points_body(xy: np.ndarray, score: float = 1.0, **info: Any) -> dict[str, Any]:
    """The body that saves points."""
    listed = [
        {"name": label_of(v, p), "x": one.x, "y": one.y, "score": score}
        for v, p, one in Spine.from_arrays(xy).points()
        if one is not None
    ]
    return {"landmarks": listed, "info": info}


def points_of(landmarks: list[dict[str, Any]]) -> np.ndarray:
    """``(17, 5, 2)`` points of an answer."""
    at = {label_of(v, p): k for k, (v, p, _) in enumerate(Spine.from_arrays(np.zeros((17, 5, 2))).points())}
    xy = np.full((85, 2), np.nan)
    for one in landmarks:
        xy[at[one["name"]]] = one["x"], one["y"]
    return xy.reshape(17, 5, 2)
