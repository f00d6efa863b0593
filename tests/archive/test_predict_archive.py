"""``scripts/predict_archive.py`` and ``scripts/collect.py`` as a user calls them, with a toy network."""

from __future__ import annotations

import contextlib
import errno
import functools
import http.server
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest

from lib.archive import backoff
from lib.archive.execution import isolated, part_worker
from lib.archive.output import LocalOutput
from lib.archive.results.record import ImageRecord
from lib.archive.results.tables import TABLES
from lib.archive.source.folders import LocalFolder
from lib.image_io import Radiograph, UnreadableImageError
from lib.learning.prediction.predictor import LandmarkPredictor, NoSpineError
from lib.learning.prediction.request import PredictionRequest
from lib.learning.prediction.result import Prediction
from lib.learning.weights.weight_files import file_digest

from ..server.pacs.conftest import SECRET_ID, SECRET_NAME, radiograph
from ..server.pacs.strict_pacs import StrictPacs, as_file, strict_pacs
from .conftest import Run
from .tables import sorted_lines, table, write_csv

pytestmark = pytest.mark.integration

Collect = Callable[[object], Path]
GOOD = ["0.png", "1.png", "2.png", "3.png", "4.png", "deep/0.png"]
ALL = sorted([*GOOD, "black.png", "text.png"])


def parts(output: Path) -> dict[str, int]:
    """Names of the parts, and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in (output / "parts").iterdir()}


def check_tables(folder: Path, predicted: Path) -> None:
    """Compare tables with those of ``predict.py``, points by 0.01 px and the rest by words."""
    for name in TABLES:
        if name != "landmarks.csv":
            assert sorted_lines(folder, name) == sorted_lines(predicted, name), name
    points, expected = (
        {(row["image"], row["vertebra"], row["point"]): (float(row["x_px"]), float(row["y_px"])) for row in rows}
        for rows in (table(folder, "landmarks.csv"), table(predicted, "landmarks.csv"))
    )
    assert points.keys() == expected.keys()
    assert len(points) == 85 * len(GOOD)
    np.testing.assert_allclose(list(points.values()), [expected[key] for key in points], atol=0.01)


def test_a_folder_gives_the_tables_of_predict(
    run: Run, collected: Collect, images: Path, predicted: Path, tmp_path: Path, weights: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    output = tmp_path / "out"
    assert run(images, "--output", output, "--part-size", 3) == 1
    said = capsys.readouterr()
    assert "6 of 8 images done" in said.out
    assert "text.png: not an image in a known format" in said.err
    check_tables(collected(output), predicted)
    rows = table(tmp_path / "collected", "images.csv")
    assert [(int(row["index"]), row["source"]) for row in rows] == list(enumerate(ALL))
    assert {row["model_digest"] for row in rows} == {file_digest(weights)}
    summary = json.loads((tmp_path / "collected" / "summary.json").read_text())
    assert summary["images"] == {"planned": 8, "done": 8, "with_landmarks": 6, "refused": 2, "with_warnings": 6}
    assert (tmp_path / "collected" / "summary.png").stat().st_size > 1000


def test_a_run_that_is_done_does_nothing_again(run: Run, images: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert run(images, "--output", output, "--part-size", 3) == 1
    before = parts(output)
    (output / "parts" / "part-0000001.parquet").unlink()
    assert run(images, "--output", output, "--allow-refused") == 0
    after = parts(output)
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] != before[name]] == ["part-0000001.parquet"]
    assert run(images, "--output", output) == 1  # as those that were refused before
    assert parts(output) == after


def test_shares_do_each_part_once(run: Run, collected: Collect, images: Path, predicted: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert run(images, "--output", output, "--part-size", 2, "--plan-only") == 0
    assert not (output / "parts").exists()
    for share, names in (("1/3", {"part-0000001.parquet"}), ("0/3", {f"part-000000{n}.parquet" for n in (0, 1, 3)})):
        run(images, "--output", output, "--shard", share, "--keep-plan")
        assert parts(output).keys() == names
    run(images, "--output", output, "--shard", "2/3", "--keep-plan")
    check_tables(collected(output), predicted)


def test_a_manifest_keeps_its_rows_and_columns(run: Run, collected: Collect, images: Path, tmp_path: Path) -> None:
    """Also of an image that is listed twice, of one that is missing, and of a row without an image."""
    rows = [("0.png", "p1"), ("deep/0.png", "p2"), ("0.png", "p3"), ("gone.png", "p4"), ("", "p5")]
    shutil.copytree(images, tmp_path / "archive")
    manifest = write_csv(tmp_path / "archive" / "list.csv", ("image", "patient"), *rows)
    output = tmp_path / "out"
    assert run(manifest, "--output", output, "--part-size", 2) == 1
    found = table(collected(output), "images.csv")
    assert [(row["image"], row["patient"], row["refused"]) for row in found] == [
        ("0.png#0", "p1", ""),
        ("deep/0.png", "p2", ""),
        ("0.png#2", "p3", ""),
        ("gone.png", "p4", "there is no such file"),
        ("", "p5", "row 5 names no image"),
    ]
    counts = Counter(row["image"] for row in table(tmp_path / "collected", "landmarks.csv"))
    assert counts == {"0.png#0": 85, "deep/0.png": 85, "0.png#2": 85}
    part = pq.read_table(output / "parts")
    assert part["patient"].to_pylist() == ["p1", "p2", "p3", "p4", "p5"]
    assert part.schema.metadata[b"vertebra_landmarks.schema"] == b"1"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow such names")
def test_a_name_that_is_no_text_is_an_entry_with_a_defect(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(b"")
    (entry,) = LocalFolder(tmp_path, None).entries()
    assert (entry.source, entry.defect) == ("caf\\udce9.png", "the file's name is no UTF-8: rename it")


def test_another_run_in_the_output_is_refused(
    run: Run, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(images, tmp_path / "archive")
    output = tmp_path / "out"
    run(tmp_path / "archive", "--output", output)
    before = parts(output)
    capsys.readouterr()
    assert run(tmp_path / "archive", "--output", output, "--decoder", "parallel") == 2
    assert "has decoder 'map', this one 'parallel'" in capsys.readouterr().err
    (tmp_path / "archive" / "1.png").unlink()
    assert run(tmp_path / "archive", "--output", output) == 2
    assert "(8 entries then, 7 now)" in capsys.readouterr().err
    assert run(tmp_path / "archive", "--output", output, "--keep-plan") == 1
    assert parts(output) == before
    with LocalOutput(str(output)).lock("run"):
        assert run(tmp_path / "archive", "--output", output) == 2
    assert "another run is writing to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{here}/none"], "none: there is no such file or folder"),
        (["{here}"], "holds no image"),
        (["{here}", "--shard", "2/2"], "--shard must be I/N with I from 0 to N - 1, got '2/2'"),
        (["{here}", "--part-size", "0"], "--part-size must be from 1 to 1000, got 0"),
        (["{here}", "--batch-size", "257"], "--batch-size must be from 1 to 256, got 257"),
        (["{here}", "--keep-plan"], "--keep-plan: there is no plan in"),
        (["{images}", "--cluster", "local:none"], "--cluster local:N needs the number of processes"),
        (["{images}", "--cluster", "host:1"], "--cluster must be local:N, tcp://host:port or the JSON file"),
        (["{images}", "--cluster", "{here}/none.json"], "there is no such file of a scheduler"),
        (["dicomweb:ftp://host"], "must be an address like"),
    ],
)
def test_bad_arguments_are_refused_with_a_sentence(
    run: Run, images: Path, tmp_path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [argument.format(here=tmp_path, images=images) for argument in arguments]
    assert run(*filled, "--output", tmp_path / "out") == 2
    assert words in capsys.readouterr().err


def test_a_full_disk_ends_the_run_with_a_sentence_and_the_next_one_goes_on(
    run: Run, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    write = LocalOutput.write

    def full(self: LocalOutput, name: str, content: bytes) -> None:
        if name.endswith("2.parquet"):
            raise OSError(errno.ENOSPC, "No space left on device", name)
        write(self, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(LocalOutput, "write", full)
        assert run(images, "--output", output, "--part-size", 2) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert "part-0000002.parquet" not in parts(output)
    assert list((output / "attempts").iterdir()) == []
    run(images, "--output", output)
    assert len(parts(output)) == 4


def test_an_image_that_was_killed_over_is_tried_in_a_process_of_its_own(
    run: Run, collected: Collect, images: Path, predicted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here something else has killed the process, so that the image is as good as any other."""
    output, tried = tmp_path / "out", []

    def here(command: list[str], **options: str) -> subprocess.CompletedProcess[str]:
        tried.append(json.loads(options["input"])["source"])
        answer = io.StringIO()
        with monkeypatch.context() as patch, contextlib.redirect_stdout(answer):
            patch.setattr("sys.stdin", io.StringIO(options["input"]))
            status = isolated.main()
        return subprocess.CompletedProcess(command, status, answer.getvalue())

    run(images, "--output", output, "--part-size", 3, "--plan-only")
    LocalOutput(str(output)).write("attempts/part-0000000.json", b'{"unexplained": 1, "at": 1, "suspects": []}')
    monkeypatch.setattr(isolated.subprocess, "run", here)
    assert run(images, "--output", output) == 1
    assert tried == ["1.png"]
    check_tables(collected(output), predicted)


def test_retry_does_only_what_another_try_may_help(
    run: Run, collected: Collect, images: Path, predicted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    predict = part_worker.PartWorker._predict_batch
    asked: list[int] = []

    def fails_once(self: part_worker.PartWorker, images: list[Radiograph]) -> list[ImageRecord]:
        asked.append(len(images))
        if images and sum(asked) == 1:
            return [ImageRecord("RuntimeError: out of memory", is_final=False)]
        return predict(self, images)

    monkeypatch.setattr(part_worker.PartWorker, "_predict_batch", fails_once)
    assert run(images, "--output", output, "--part-size", 4) == 1
    before = parts(output)
    assert run(images, "--output", output) == 1
    assert parts(output) == before
    assert sum(asked) == 7  # without text.png
    assert run(images, "--output", output, "--retry") == 1
    assert sum(asked) == 8
    check_tables(collected(output), predicted)


def test_batches_give_the_rows_of_single_images_also_where_one_fails(
    run: Run, collected: Collect, images: Path, predicted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, where images go through the networks together."""
    together, sizes = LandmarkPredictor._predict_together, []

    def predict_batch(
        self: LandmarkPredictor, radiographs: list[Radiograph], request: PredictionRequest
    ) -> list[Prediction | UnreadableImageError | NoSpineError]:
        sizes.append(len(radiographs))
        if len(sizes) == 1:
            raise RuntimeError("out of memory")
        return together(self, radiographs, request)

    monkeypatch.setattr(LandmarkPredictor, "predict_batch", predict_batch)
    output = tmp_path / "out"
    assert run(images, "--output", output, "--batch-size", 3) == 1
    assert sizes == [3, 1, 1, 1, 3, 1]  # text.png is no image
    check_tables(collected(output), predicted)


class _Busy(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; ``busy.png`` is there from the third request on, ``down.png`` and ``secret.png`` never."""

    asked: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        """Answer."""
        name = self.path.rpartition("/")[2].partition("?")[0]
        self.asked[name] += 1
        status = {"down.png": 503, "secret.png": 403}.get(name, 0)
        if name == "busy.png" and self.asked[name] < 3:
            status = 503
        if status:
            self.send_error(status)
            return
        self.path = self.path.replace("busy.png", "0.png")
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def web(images: Path) -> Iterator[str]:
    """The address of the images."""
    _Busy.asked.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Busy, directory=str(images)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_urls_are_fetched_with_retries_and_what_stays_away_is_named(
    run: Run, collected: Collect, web: str, predicted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "FIRST_PAUSE_S", 0.001)
    names = ["busy.png", "deep/0.png?signature=1", "text.png?signature=2", "none.png", "secret.png", "down.png"]
    manifest = write_csv(tmp_path / "list.csv", ("url",), *[(f"{web}/{name}",) for name in names])
    output = tmp_path / "out"
    assert run(manifest, "--output", output) == 1
    found = {row["source"].rpartition("/")[2]: row["refused"] for row in table(collected(output), "images.csv")}
    assert found["busy.png"] == found["0.png?signature=1"] == ""
    assert (
        found["text.png?signature=2"]
        == "not an image in a known format, expected PNG, JPEG, TIFF, BMP, DICOM, NRRD or NIfTI"
    )
    assert found["none.png"] == "there is no such file"
    assert found["secret.png"].startswith("cannot be fetched (403")
    assert found["down.png"].startswith("cannot be fetched (503")
    assert _Busy.asked["down.png"] == backoff.MAX_TRIES
    assert _Busy.asked["secret.png"] == _Busy.asked["none.png"] == 1
    points, expected = (
        [(row["x_px"], row["y_px"]) for row in table(folder, "landmarks.csv") if row["image"].endswith(name)]
        for folder, name in ((tmp_path / "collected", "busy.png"), (predicted, "0.png"))
    )
    assert points == expected[:85]


def test_s3_is_read_and_written(
    run: Run, collected: Collect, images: Path, predicted: Path, bucket: str, tmp_path: Path
) -> None:
    import s3fs

    store, source = s3fs.S3FileSystem(), f"{bucket.rpartition('/')[0]}/archive"
    store.put(str(images), source, recursive=True)
    assert run(source, "--output", bucket, "--part-size", 3, "--shard", "0/2") in (0, 1)
    assert len(store.find(f"{bucket}/parts")) == 2
    assert run(source, "--output", bucket) == 1
    assert len(store.find(f"{bucket}/parts")) == 3
    assert store.find(f"{bucket}/attempts") == []
    check_tables(collected(bucket), predicted)


@pytest.fixture
def pacs(monkeypatch: pytest.MonkeyPatch) -> Iterator[StrictPacs]:
    """A PACS with three images and one of another view."""
    with strict_pacs() as server:
        for number in range(3):
            server.store(as_file(radiograph(number, (400, 200))))
        server.store(as_file(radiograph(9, ViewPosition="LL")))
        monkeypatch.setenv("VERTEBRA_DICOMWEB_USER", server.user)
        monkeypatch.setenv("VERTEBRA_DICOMWEB_PASSWORD", server.password)
        yield server


def test_images_of_a_pacs_are_fetched_and_nobody_is_named(
    run: Run, collected: Collect, pacs: StrictPacs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    output = tmp_path / "out"
    assert run(f"dicomweb:{pacs.url}", "--output", output) == 0
    rows = table(collected(output), "images.csv")
    assert len(rows) == 3
    assert all(re.fullmatch(r"studies/[\d.]+/series/[\d.]+/instances/[\d.]+", row["source"]) for row in rows)
    assert list(temporary.iterdir()) == []
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (SECRET_ID, SECRET_NAME.partition("^")[0], pacs.password):
        assert secret.encode() not in written


def test_collect_names_what_is_missing_or_not_as_planned(
    run: Run, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import collect

    def status(place: Path) -> int:
        monkeypatch.setattr(sys, "argv", ["collect.py", str(place), "--tables", str(tmp_path / "tables")])
        return collect.main()

    output = tmp_path / "out"
    assert status(tmp_path) == 2
    assert "has no plan.json" in capsys.readouterr().err
    run(images, "--output", output, "--part-size", 4)
    first, second = sorted((output / "parts").iterdir())
    content = second.read_bytes()
    second.unlink()
    assert status(output) == 1
    assert "1 parts are missing, the first is parts/part-0000001.parquet" in capsys.readouterr().err
    second.write_bytes(first.read_bytes())
    assert status(output) == 2
    assert "has not the entries of the plan" in capsys.readouterr().err
    second.write_bytes(content[: len(content) // 2])
    assert status(output) == 2
    assert "parts/part-0000001.parquet is damaged" in capsys.readouterr().err


def test_a_process_with_another_model_is_refused(weights: Path, tmp_path: Path) -> None:
    from lib.archive.execution.job import Job, ModelMismatchError

    job = Job(str(tmp_path), str(tmp_path), weights, file_digest(weights))
    job.check_process()
    with pytest.raises(ModelMismatchError, match=r"toy\.pt of this process are \w{12}, the run has 000000000000"):
        replace(job, digest="0" * 12).check_process()
    with pytest.raises(ModelMismatchError, match=r"the run 0\.0\.1"):
        replace(job, version="0.0.1").check_process()
