"""Labels of phantoms, saved through the API as another client would."""

from __future__ import annotations

import json
from urllib.parse import quote

from lib.phantoms import random_spec, render_phantom
from lib.spine.labels.markups import label_of

from ..serving import Server
from .conftest import SIZE


def save_truth(server: Server, image: str, seed: int, user: str = "ada", seconds: float = 75.0, edits: int = 4) -> None:
    """Save where the points of a phantom are as its final label."""
    spine = render_phantom(random_spec(seed, *SIZE)).spine
    landmarks = [
        {"name": label_of(v, p), "x": mark.x, "y": mark.y, "score": 1.0, "error_px": None, "visible": mark.is_visible}
        for v, p, mark in spine.points()
        if mark is not None
    ]
    body = {
        "landmarks": landmarks,
        "touched": [one["name"] for one in landmarks],
        "info": {"user": user, "seconds": seconds, "edits": edits},
        "origin": {},
    }
    path = f"/landmarks?image={quote(image, safe='')}&tag=final"
    status, answer = server.ask(path, "PUT", json.dumps(body).encode(), "application/json")
    assert status == 200, answer
