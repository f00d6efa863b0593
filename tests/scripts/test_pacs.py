"""``scripts/pacs.py`` and ``scripts/labels.py`` on a PACS, as a user calls them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import labels
import pacs as script
from lib.server.pacs.reports import delivery

from ..server.pacs.conftest import Pacs, check_private, orthanc, radiograph, running_orthanc, strict  # noqa: F401
from ..server.pacs.conftest import pacs as server  # noqa: F401
from ..server.pacs.reports.conftest import examined

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    server: Pacs,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> Iterator[Call]:
    """Exit status, output and errors of a call, with the login in the environment; none has anything of a patient."""
    said: list[str] = []
    monkeypatch.setenv("VERTEBRA_DICOMWEB_USER", server.server.user)
    monkeypatch.setenv("VERTEBRA_DICOMWEB_PASSWORD", server.server.password)

    def run(*arguments: object, main: Callable[[], int] = script.main) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["pacs.py", *map(str, arguments)])
        monkeypatch.setattr(script, "install_log_redaction", lambda: None)  # it is for the whole process
        status = main()
        out, err = capsys.readouterr()
        said.extend((out, err))
        return status, out, err

    yield run
    assert said
    check_private(tmp_path.rglob("*"), *said, caplog.text)


def test_list_says_what_passes_and_why_others_do_not(server: Pacs, call: Call, tmp_path: Path) -> None:  # noqa: F811
    server.store(radiograph(0), radiograph(1), radiograph(2, ViewPosition="LL"), radiograph(3, Modality="CT"))
    status, out, err = call("list", server.proxy.url)
    assert (status, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines == [
        "instances filter modality body part view study series",
        "2 passes DX SPINE AP Whole spine AP Whole spine AP",
        "1 another view DX SPINE LL Whole spine AP Whole spine AP",
        "2 of 3 instances pass the filter.",
    ]
    (tmp_path / "filter.yaml").write_text("view: [LL]")
    assert (
        "1 of 3 instances pass"
        in call("list", server.proxy.url, "--conf", "dicomweb_filter", tmp_path / "filter.yaml")[1]
    )
    assert "... and 1 more rows" in call("list", server.proxy.url, "--rows", "1")[1]


def test_fetch_fills_the_cache_and_goes_on(server: Pacs, call: Call, tmp_path: Path) -> None:  # noqa: F811
    server.store(*(radiograph(number) for number in range(3)))
    work = "--conf", "dicomweb_folder", tmp_path / "work"
    assert call("fetch", server.proxy.url, *work, "--limit", 2)[1].endswith("2 fetched, 0 were there, 0 failed.\n")
    status, out, err = call("fetch", server.proxy.url, *work)
    assert (status, err) == (0, "")
    assert out.startswith("3 images without a label are wanted.\n")
    assert len(list((tmp_path / "work").rglob("*.dcm"))) == 3
    assert call("fetch", server.proxy.url, *work)[1].endswith("0 fetched, 3 were there, 0 failed.\n")
    assert call("export", server.proxy.url, tmp_path / "out", "--format", "csv", *work, main=labels.main)[:2] == (
        0,
        "0 labels exported\n",
    )


def test_fetch_stops_where_the_cache_is_full(
    server: Pacs,  # noqa: F811
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.store(*(radiograph(number, (600, 500)) for number in range(4)))
    work = "--conf", "dicomweb_folder", tmp_path / "work", "--conf", "dicomweb_cache_mb", "1"
    status, _, err = call("fetch", server.proxy.url, *work)
    assert (status, err) == (1, "The cache is full after 2 images; --conf dicomweb_cache_mb makes it larger.\n")


def test_failures_are_sentences(server: Pacs, call: Call, tmp_path: Path) -> None:  # noqa: F811
    server.proxy.status = 403
    for command in ("list", "fetch", "infer", "send"):
        status, _, err = call(command, server.proxy.url, "--conf", "dicomweb_folder", tmp_path / "work")
        assert (status, err.count("\n")) == (2, 1)
        assert "does not allow this login to read (403)" in err
    assert call("list", str(tmp_path))[2].endswith("must be an address like https://pacs.example/dicom-web\n")
    assert "--conf colour: unknown setting" in call("list", server.proxy.url, "--conf", "colour", "red")[2]


def test_a_night_without_a_server(
    server: Pacs,  # noqa: F811
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "FIRST_DELAY_S", 0.05)
    server.store(*(examined(number) for number in (2, 3)), radiograph(0))
    conf = "--conf", "dicomweb_folder", tmp_path / "work", "--conf", "dicomweb_send", "predictions"
    status, out, err = call("infer", server.proxy.url, *conf)
    assert (status, out) == (1, "2 of 3 images are predicted, 1 show no spine or cannot be read.\n")
    assert call("status", server.proxy.url, *conf)[:2] == (0, "0 objects are sent, 4 wait, 0 are refused.\n")
    server.proxy.store_status = 507
    status, out, err = call("send", server.proxy.url, *conf)
    assert (status, out.splitlines()[0]) == (2, "0 objects are sent, 4 wait, 0 are refused.")
    assert "has no room left (507)" in err
    server.proxy.store_status = 413
    time.sleep(delivery.delay_s(4))  # some may have been tried again
    status, out, err = call("send", server.proxy.url, *conf)
    assert (status, err, out.splitlines()[0]) == (1, "", "0 objects are sent, 0 wait, 4 are refused.")
    assert out.count("refuses it as too large (413)") == 5
    server.proxy.store_status = 0
    assert call("send", server.proxy.url, *conf)[0] == 1
    status, out, err = call("send", server.proxy.url, *conf, "--refused")
    assert (status, err) == (0, "")
    assert out == "4 refused objects are sent again.\n4 objects are sent, 0 wait, 0 are refused.\n"
    before = len(server.proxy.paths)
    assert call("infer", server.proxy.url, *conf)[1].startswith("2 of 2 images are predicted")
    assert call("send", server.proxy.url, *conf)[:2] == (0, "4 objects are sent, 0 wait, 0 are refused.\n")
    assert not [path for path in server.proxy.paths[before:] if path.endswith("/studies")]
    exported = "export", server.proxy.url, tmp_path / "out.csv", "--format", "csv", "--tag", "original"
    assert call(*exported, *conf[:3], main=labels.main)[:2] == (0, "2 labels exported\n")
    assert (tmp_path / "out.csv").stat().st_size > 1000
