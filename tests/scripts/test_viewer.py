"""``scripts/viewer.py`` as a user calls it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

import viewer as script

URL = "http://127.0.0.1:9/dicom-web"
Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Exit status and errors of a call that ends at once."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["viewer.py", *map(str, arguments)])
        return script.main(), capsys.readouterr().err

    return run


@pytest.fixture
def build(tmp_path: Path) -> Path:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "index.html").write_text("window.PUBLIC_URL = '/'; the viewer")
    return tmp_path / "dist"


def test_what_cannot_be_served_is_a_sentence(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("--dicomweb", "pacs.example") == (
        1,
        "'pacs.example' must be an address like https://pacs.example/dicom-web\n",
    )
    status, error = call("--dicomweb", "https://ada:secret@pacs.example/dicom-web")
    assert (status, "secret" in error) == (1, False)
    status, error = call("--dicomweb", URL, "--folder", tmp_path, "--port", 0)
    assert (status, error.count("\n")) == (1, 1)
    assert f"{tmp_path} has no build of OHIF" in error
    monkeypatch.setenv("VERTEBRA_DICOMWEB_USER", "ada")
    status, error = call("--dicomweb", URL, "--folder", tmp_path, "--port", 0)
    assert (status, "needs both a user and a password" in error) == (1, True)
    monkeypatch.delenv("VERTEBRA_DICOMWEB_USER")
    for token in ("short", "with spaces and more", "a" * 20 + "&b"):
        monkeypatch.setenv("VERTEBRA_VIEWER_TOKEN", token)
        status, error = call("--dicomweb", URL, "--folder", tmp_path, "--port", 0)
        assert (status, error) == (1, "VERTEBRA_VIEWER_TOKEN must have 16 or more letters, digits, _ and -\n")


def test_a_port_in_use_is_said_before_anything_is_downloaded(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, error = call("--dicomweb", URL, "--port", port)
    assert (status, error.partition(": ")[0]) == (1, f"the viewer cannot listen on 127.0.0.1 port {port}")
    assert call("--dicomweb", URL, "--port", 70_000)[0] == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.integration
def test_it_serves_though_the_pacs_is_down(build: Path) -> None:
    command = [sys.executable, script.__file__, "--dicomweb", URL, "--folder", str(build), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[-1]
            browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor())
            with pytest.raises(urllib.error.HTTPError, match="403"):
                browser.open(address.partition("?")[0], timeout=30)
            with browser.open(address, timeout=30) as answer:
                assert b"the viewer" in answer.read()
        finally:
            process.terminate()
            errors = process.communicate(timeout=30)[1]
    assert errors == "the PACS at 127.0.0.1:9 cannot be reached; it is tried again. The viewer starts nevertheless.\n"
