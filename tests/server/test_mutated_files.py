"""Damaged files sent to a server: a reason for each, never another image. ``MUTATED_FILES=2000`` sends so many."""

from __future__ import annotations

import gzip
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ..image_io.mutations import CANARY, write_mutations, write_sound_files
from ..serving import Server, Start

COUNT = int(os.environ.get("MUTATED_FILES", "60"))
MAX_CANARY_SHARE = 0.01

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def begin(server: Server, name: str, content: bytes) -> tuple[int, bytes]:
    """Send a file as a session."""
    return server.send("/session/", "PUT", files=(name, content))


def pixels_of(answer: bytes) -> np.ndarray:
    """Pixels of a session, which the client of the standard library does not unpack."""
    pixels: np.ndarray = np.load(io.BytesIO(gzip.decompress(answer)))
    return pixels


def canary() -> bytes:
    """An image of one rare value, which is read before every other file."""
    stream = io.BytesIO()
    Image.fromarray(np.full((80, 56), CANARY, np.uint16)).save(stream, "PNG")
    return stream.getvalue()


def check_refusal(server: Server, answer: tuple[int, bytes], allowed: tuple[int, ...]) -> None:
    status, sentence = server.said(answer)
    assert status in allowed, (status, sentence)
    assert len(sentence) > 15


def test_damaged_files_get_a_reason_and_show_no_other_image(start: Start, tmp_path: Path) -> None:
    studies, sound, damaged = tmp_path / "studies", tmp_path / "sound", tmp_path / "damaged"
    for folder in (studies, sound, damaged):
        folder.mkdir()
    files = write_mutations(damaged, write_sound_files(sound), COUNT, seed=7)
    rare = canary()
    read = 0
    with start(studies) as server:
        for path in files:
            status, answer = begin(server, "canary.png", rare)
            assert status == 200
            canary_session = json.loads(answer)["session_id"]
            assert (pixels_of(server.ask(f"/session/{canary_session}?pixels=true")[1]) == CANARY).all()
            status, answer = begin(server, path.name, path.read_bytes())
            if status == 200:
                session = json.loads(answer)["session_id"]
                status, answer = server.ask(f"/session/{session}?pixels=true")
                assert status == 200, (path.name, answer)
                assert (pixels_of(answer) == CANARY).mean() <= MAX_CANARY_SHARE, path.name
                read += 1
                inferred = server.ask(f"/infer/vertebra_landmarks?session_id={session}&output=json", "POST")
                if inferred[0] != 200:
                    check_refusal(server, inferred, (415, 422))
                server.ask(f"/session/{session}", "DELETE")
            else:
                check_refusal(server, (status, answer), (413, 415))
            server.ask(f"/session/{canary_session}", "DELETE")
        assert server.process.poll() is None
    assert 0 < read < COUNT
    print(f"{COUNT} damaged files: {read} read, {COUNT - read} refused")
