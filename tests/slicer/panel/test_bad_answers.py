"""Servers that answer badly: the panel says so in words, and no point is lost."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from harness.fake_slicer.desktop import Desktop
from harness.local_server import OwnServer, own_server
from lib.spine.schema import POINTS, VERTEBRAE

from ..misbehaving import read_all, reply, serving

pytestmark = [pytest.mark.slicer, pytest.mark.integration]

T7, TL = VERTEBRAE.index("T7"), POINTS.index("TL")
JARGON = ("Traceback", "JSON", "Exception", "Errno", "<html>", "schema_version", "gzip", "0x", "Error:")
SILENCE_S = 1.0


class Relay:
    """Hands requests to a real server, but for those whose path holds a word: these get a bad answer.

    Attributes:
        word: of the paths; none is answered badly while it is "".
        answer: the bad one, made from what the real server says; ``None`` for no answer at all.
    """

    def __init__(self, url: str) -> None:
        self.word, self._real = "", (urlsplit(url).hostname or "", urlsplit(url).port or 0)
        self.answer = lambda real: real

    def __call__(self, connection: socket.socket) -> None:
        head, body = read_all(connection)
        path = head.split(b" ")[1].decode() if head else ""
        is_bad = bool(self.word) and self.word in path
        if is_bad and self.answer is None:
            connection.recv(1)  # until the client has had enough
            return
        with socket.create_connection(self._real) as server:
            server.sendall(head + body)
            pieces = []
            while piece := server.recv(1 << 16):
                pieces.append(piece)
        real = b"".join(pieces)
        connection.sendall(self.answer(real) if is_bad else real)


@pytest.fixture(scope="module")
def real(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    folder = tmp_path_factory.mktemp("bad_answers")
    (folder / "studies").mkdir()
    shutil.copy(phantoms / "phantom_000.png", folder / "studies")
    with own_server(folder / "studies", folder / "server.log", ("scoring", "false")) as running:
        yield running


@pytest.mark.parametrize(
    ("word", "answer", "said"),
    [
        ("/infer/", lambda real: reply(b"<html><h1>Welcome</h1></html>"), "sent a web page"),
        ("/infer/", lambda real: reply(b"{}", "401 Unauthorized"), "token"),
        ("/infer/", lambda real: reply(b'{"detail": "x"}', "500 Internal Server Error"), "server"),
        ("/pixels", lambda real: real[: len(real) // 2], "server|connection"),
        ("/info/", lambda real: re.sub(rb'"schema_version": ?"?[0-9.]+"?', b'"schema_version": 99', real), "version"),
        ("/infer/", None, "server"),
    ],
    ids=["HTML in place of JSON", "401", "500", "cut short", "another schema version", "silence"],
)
def test_a_bad_answer_is_said_in_words_and_points_stay(
    opened: Desktop, real: OwnServer, word: str, answer, said: str
) -> None:
    relay, ui = Relay(real.url), opened.ui
    ui.inferOnOpenCheckBox.checked = False
    with serving(relay) as url, contextlib.ExitStack() as stack:
        stack.callback(opened.controller.disconnect)
        ui.serverLineEdit.text = url
        ui.connectButton.click()
        opened.wait(lambda: opened.state.is_connected and opened.state.images)
        opened.controller.open_image("phantom_000")
        opened.wait(lambda: opened.state.current)
        opened.logic.editor.place(T7, TL, (300.25, 400.5))
        before = opened.logic.markups()
        relay.word, relay.answer = word, answer
        opened.controller._requests.client.connection._read_timeout_s = SILENCE_S if answer is None else 30.0
        if word == "/pixels":
            opened.controller.open_image("phantom_000")
        elif word == "/info/":
            ui.connectButton.click()
            ui.connectButton.click()
        else:
            ui.inferButton.click()
        opened.wait(lambda: opened.state.error, 120, "an error")
        opened.settle()
        text = ui.noticeLabel.text
        print(text)
        assert ui.noticeFrame.visible
        assert re.search(said, text, re.IGNORECASE), text
        assert text[0].isupper()
        assert text.endswith(".")
        assert not [one for one in JARGON if one in text], text
        assert opened.state.current.id == "phantom_000"
        assert opened.logic.markups() == before
        assert np.array_equal(opened.logic.editor.xy[T7, TL], (300.25, 400.5))
