"""The progress report of a training is complete at every moment."""

from __future__ import annotations

import json
import math
import os
import threading
from pathlib import Path

import pytest

from lib.server.training.run_files import DONE, PROCESSES, RUNNING, TrainReport, read_report


def test_values_are_added_and_replaced(tmp_path: Path) -> None:
    report = TrainReport(tmp_path / "r.json")
    report.begin(epoch=0)
    report.update(epoch=1, loss=2.5)
    content = read_report(report.path)
    assert content == report.content
    assert (content["state"], content["epoch"], content["loss"]) == (RUNNING, 1, 2.5)
    assert os.getpid() in content[PROCESSES]
    assert content["elapsed_s"] >= 0
    assert "total_time" not in content


def test_the_end_has_a_state_and_a_duration(tmp_path: Path) -> None:
    report = TrainReport(tmp_path / "r.json")
    report.begin()
    report.end(DONE, best_epoch=3)
    content = read_report(report.path)
    assert (content["state"], content["best_epoch"], content["total_time"]) == (DONE, 3, "00:00:00")


def test_a_new_training_forgets_the_one_before(tmp_path: Path) -> None:
    report = TrainReport(tmp_path / "r.json")
    report.begin(loss=1.0)
    report.end(DONE)
    report.begin()
    assert set(read_report(report.path)) == {"state", PROCESSES, "start_ts", "elapsed_s"}


def test_stages_are_separate_and_the_newest_one_is_at_the_top(tmp_path: Path) -> None:
    report = TrainReport(tmp_path / "r.json")
    report.begin()
    report.update_stage("landmarks", {"before": {"corner_mean": 3.0}, "validation": None})
    report.update_stage("landmarks", {"validation": {"corner_mean": 2.0}}, epoch=1)
    first = {"before": {"corner_mean": 3.0}, "validation": {"corner_mean": 2.0}}
    content = read_report(report.path)
    assert content["stages"] == {"landmarks": first}
    assert (content["stage"], content["epoch"]) == ("landmarks", 1)
    assert {name: content[name] for name in first} == first
    report.update_stage("corners", {"before": {"corner_mean": 1.0}})
    content = read_report(report.path)
    assert content["stages"] == {"landmarks": first, "corners": {"before": {"corner_mean": 1.0}}}
    assert (content["stage"], content["epoch"]) == ("corners", 1)
    assert (content["before"], content["validation"]) == ({"corner_mean": 1.0}, None)


def test_what_json_lacks_is_null(tmp_path: Path) -> None:
    report = TrainReport(tmp_path / "r.json")
    report.begin(validation={"corner_mean": math.nan, "images": 1}, loss=math.inf)
    content = json.loads(report.path.read_text())
    assert content["validation"] == {"corner_mean": None, "images": 1}
    assert content["loss"] is None


@pytest.mark.parametrize("text", [None, "", '{"state": "run', "[1]", "\udcff"], ids=repr)
def test_a_file_that_is_no_report_is_none(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "r.json"
    if text is not None:
        path.write_bytes(text.encode(errors="surrogateescape"))
    assert read_report(path) == {}


def test_a_reader_never_sees_half_a_report(tmp_path: Path) -> None:
    report = TrainReport(tmp_path / "r.json")
    report.begin(text="x" * 100_000)
    done = threading.Event()

    def write() -> None:
        for number in range(200):
            report.update(number=number)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert read_report(report.path).get("state") == RUNNING
    writer.join()
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_another_process_may_have_the_last_word(tmp_path: Path) -> None:
    """The time since the beginning is not lost with that."""
    report = TrainReport(tmp_path / "r.json")
    report.begin(epoch=3)
    report.update(start_ts=report.content["start_ts"] - 100)
    other = TrainReport(report.path)
    other.load()
    other.end("stopped")
    content = read_report(report.path)
    assert (content["state"], content["epoch"]) == ("stopped", 3)
    assert content["elapsed_s"] >= 100
    nothing = TrainReport(tmp_path / "none.json")
    nothing.load()
    assert nothing.content == {}
