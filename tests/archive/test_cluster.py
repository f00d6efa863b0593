"""Workers and drivers that are killed: each image stands in the results once, and who kills workers is named."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from distributed import LocalCluster, Worker

from lib.archive.execution import cluster, job
from lib.archive.output import open_output

from .conftest import Run
from .tables import table, write_csv
from .test_predict_archive import GOOD, check_tables

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "predict_archive.py"
KILLER, KILLER_INDEX = "killer.png", 12
"""The image is in the third of the parts."""
TIMES, PART_SIZE = 5, 5
"""How often each image is listed, and how many are in a part."""
ENTRIES = TIMES * len(GOOD) + 1
PARTS = -(-ENTRIES // PART_SIZE)
WORKERS = int(os.environ.get("ARCHIVE_WORKERS", "1"))
_HOOK = f"""
import os, signal, sys

def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith({KILLER!r}):
        with open(os.environ["DEATHS"], "a") as deaths:
            deaths.write(f"{{os.getpid()}}\\n")
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
"""
posix_only = pytest.mark.skipif(os.name != "posix", reason="SIGKILL")


@pytest.fixture
def deaths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that lists the processes which have died, as they do in processes of this test that open the killer."""
    folder = tmp_path / "hook"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_HOOK)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ["PYTHONPATH"]]))
    monkeypatch.setenv("DEATHS", str(tmp_path / "deaths"))
    return tmp_path / "deaths"


@pytest.fixture
def scheduler() -> Iterator[LocalCluster]:
    """A scheduler that somebody else has started, with a worker that is a thread of this process."""
    with LocalCluster(1, threads_per_worker=2, processes=False, protocol="tcp://", dashboard_address=None) as cluster:
        yield cluster


@pytest.mark.usefixtures("torch_as_before")
def test_the_workers_of_a_scheduler_give_the_tables_of_predict(
    run: Run,
    collected: Callable[[object], Path],
    images: Path,
    predicted: Path,
    scheduler: LocalCluster,
    tmp_path: Path,
) -> None:
    output = tmp_path / "out"
    assert run(images, "--output", output, "--part-size", 1, "--cluster", scheduler.scheduler_address) == 1
    check_tables(collected(output), predicted)
    (tmp_path / "scheduler.json").write_text(json.dumps(scheduler.scheduler.identity(), skipkeys=True))
    (output / "parts" / "part-0000003.parquet").unlink()
    assert run(images, "--output", output, "--cluster", tmp_path / "scheduler.json") == 1
    assert len(list((output / "parts").iterdir())) == 8


@pytest.mark.usefixtures("torch_as_before")
def test_workers_with_another_model_are_refused(
    run: Run, images: Path, scheduler: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(job, "file_digest", lambda _: "0" * 12)  # as the worker sees its weight file
    output = tmp_path / "out"
    assert run(images, "--output", output, "--cluster", scheduler.scheduler_address) == 2
    assert "of this process are 000000000000, the run has" in capsys.readouterr().err
    assert not (output / "parts").exists()


@pytest.fixture
def archive_url(images: Path, bucket: str, tmp_path: Path) -> str:
    """A manifest on an S3 server that lists each image several times, and among them one that kills who opens it."""
    import s3fs

    store, folder = s3fs.S3FileSystem(), bucket.rpartition("/")[0]
    store.put(str(images), f"{folder}/archive", recursive=True)
    store.put(str(images / "0.png"), f"{folder}/archive/{KILLER}")
    names = GOOD * TIMES
    names.insert(KILLER_INDEX, KILLER)
    store.put(str(write_csv(tmp_path / "long.csv", ("image",), *[(name,) for name in names])), f"{folder}/archive/")
    return f"{folder}/archive/long.csv"


@pytest.fixture
def driver(
    archive_url: str, bucket: str, weights: Path, deaths: Path, tmp_path: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A run on a local cluster that reads and writes on an S3 server, killed when two workers have died."""
    fixed = ["--weights", str(weights), "--device", "cpu", "--output", bucket, "--part-size", str(PART_SIZE)]
    command = [sys.executable, str(SCRIPT), archive_url, *fixed, "--cluster", f"local:{WORKERS}"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    deadline = time.monotonic() + 900
    try:
        while not deaths.exists() or len(deaths.read_text().split()) < 2:
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def part_contents(place: str) -> dict[str, bytes]:
    """The parts of a run by name."""
    output = open_output(place)
    return {name: output.read(f"parts/{name}") for name in output.names("parts")}


@posix_only
def test_killed_workers_and_a_killed_driver_leave_each_image_once_on_an_object_store(
    driver: subprocess.Popen[bytes], run: Run, archive_url: str, bucket: str, deaths: Path, predicted: Path,
    collected: Callable[[object], Path], capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The image that kills is set aside and named; the driver takes its workers along, and the next run does the rest.

    ``ARCHIVE_WORKERS`` sets the number of workers.
    """
    family = psutil.Process(driver.pid).children(recursive=True)
    driver.kill()
    driver.wait()
    assert psutil.wait_procs(family, 120)[1] == []
    before = part_contents(bucket)
    assert 2 <= len(before) < PARTS
    assert run(archive_url, "--output", bucket) == 1
    died = deaths.read_text().split()
    assert len(died) == len(set(died)) == 3, died  # two workers, and a process of its own
    reason = "set aside: its process died over it, and so did one of its own (SIGKILL)"
    assert f"{KILLER}: {reason}" in capfd.readouterr().err
    after = part_contents(bucket)
    assert len(after) == PARTS
    assert {name: after[name] for name in before} == before  # with the seconds that they took, so not done again
    assert open_output(bucket).names("attempts") == set()
    tables = collected(bucket)
    rows = table(tables, "images.csv")
    assert [int(row["index"]) for row in rows] == list(range(ENTRIES))
    assert [(row["source"], row["refused"]) for row in rows if row["refused"]] == [(KILLER, reason)]
    expected: dict[str, list[tuple[str, str]]] = {}
    for row in table(predicted, "landmarks.csv"):
        expected.setdefault(row["image"], []).append((row["x_px"], row["y_px"]))
    found: dict[str, list[tuple[str, str]]] = {}
    for row in table(tables, "landmarks.csv"):
        found.setdefault(row["image"], []).append((row["x_px"], row["y_px"]))
    assert len(found) == ENTRIES - 1
    for name, points in found.items():
        np.testing.assert_allclose(
            np.array(points, float), np.array(expected[name.partition("#")[0]], float), atol=0.01
        )


def listening() -> set[tuple[str, int]]:
    """Addresses at which this process listens."""
    connections = psutil.Process().net_connections()
    return {tuple(one.laddr) for one in connections if one.status == psutil.CONN_LISTEN}


@pytest.mark.usefixtures("torch_as_before")
def test_a_local_cluster_serves_no_page_unless_a_dashboard_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Dask needs listens on the loopback address with TLS; the worker is a thread of this process here."""

    def here(*arguments: object, worker_class: type[Worker], **options: object) -> Worker:
        return worker_class(*arguments, **options)

    monkeypatch.setattr(cluster, "Nanny", here)
    links: list[str] = []
    before = listening()
    with cluster.cluster_client("local:1", False, links.append) as client:
        client.wait_for_workers(1, timeout=60)
        addresses = listening() - before
        assert len(addresses) == 2, addresses  # the scheduler and its worker
        for address in addresses:
            assert address[0] == "127.0.0.1"
            with socket.create_connection(address, 10) as connection, contextlib.suppress(ConnectionError):
                connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
                assert b"HTTP" not in connection.recv(100)
    assert links == []
    with cluster.cluster_client("local:1", True, links.append):
        (link,) = links
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/status", link)
        assert len(listening() - before) >= 2
        with urllib.request.urlopen(link.replace("/status", "/health"), timeout=10) as answer:
            assert answer.read() == b"ok"
