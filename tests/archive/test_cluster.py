"""Workers and drivers that are killed: each image stands in the results once, and who kills workers is named."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from distributed import LocalCluster

from lib.archive.execution import job
from lib.archive.output import LocalOutput

from .conftest import Run
from .tables import table, write_csv
from .test_predict_archive import GOOD, check_tables

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "predict_archive.py"
KILLER = "killer.png"
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


@posix_only
def test_a_cluster_gives_the_tables_of_predict_and_sets_aside_what_kills_its_workers(
    run: Run, collected: Callable[[object], Path], images: Path, predicted: Path, deaths: Path, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (images / KILLER).write_bytes((images / "0.png").read_bytes())
    manifest = write_csv(images / "list.csv", ("image",), ("0.png",), (KILLER,), *[(name,) for name in GOOD[1:]])
    output = tmp_path / "out"
    try:
        assert run(manifest, "--output", output, "--part-size", 4, "--cluster", "local:1", "--dashboard") == 1
    finally:
        (images / KILLER).unlink()
        manifest.unlink()
    died = deaths.read_text().split()
    assert len(died) == len(set(died)) == 3, died  # two workers, and a process of its own
    said = capfd.readouterr().err
    reason = "set aside: its process died over it, and so did one of its own (SIGKILL)"
    assert f"{KILLER}: {reason}" in said
    assert re.search(r"Dashboard: http://127\.0\.0\.1:\d+/status", said)
    rows = table(collected(output), "images.csv")
    assert [(row["source"], row["refused"]) for row in rows if row["refused"]] == [(KILLER, reason)]
    (tmp_path / "collected" / "refused.csv").write_bytes((predicted / "refused.csv").read_bytes())
    check_tables(tmp_path / "collected", predicted)
    assert list((output / "attempts").iterdir()) == []


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
    (tmp_path / "scheduler.json").write_text(json.dumps(scheduler.scheduler.identity()))
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
def driver(images: Path, weights: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run on a local cluster, over an archive that lists each image ten times."""
    manifest = write_csv(images / "long.csv", ("image",), *[(name,) for name in GOOD * 10])
    fixed = ["--weights", str(weights), "--device", "cpu", "--output", str(tmp_path / "out"), "--part-size", "5"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(manifest), *fixed, "--cluster", "local:1"], stdout=log, stderr=log
        )
    yield process
    process.kill()
    process.wait()
    manifest.unlink()


@posix_only
def test_a_killed_driver_takes_its_workers_along_and_the_next_run_does_the_rest(
    driver: subprocess.Popen[bytes], run: Run, images: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    deadline = time.monotonic() + 900
    while len(LocalOutput(str(output)).names("parts")) < 2:
        assert driver.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    family = psutil.Process(driver.pid).children(recursive=True)
    assert family
    listening = {
        connection.laddr.ip
        for process in (psutil.Process(driver.pid), *family)
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    driver.kill()
    driver.wait()
    assert psutil.wait_procs(family, 120)[1] == []
    before = {path.name: path.stat().st_mtime_ns for path in (output / "parts").glob("*.parquet")}
    assert 2 <= len(before) < 12
    assert run(images / "long.csv", "--output", output) == 0
    after = {path.name: path.stat().st_mtime_ns for path in (output / "parts").glob("*.parquet")}
    assert len(after) == 12
    assert {name: after[name] for name in before} == before
    assert pq.read_table(output / "parts", columns=["index"])["index"].to_pylist() == list(range(60))
