"""What servers of one folder share, so that none does again what another has done, nor goes by a clock of its own."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from harness.local_postgresql import OwnPostgresql
from lib.image_io import read_radiograph
from lib.server.inference import image_reading
from lib.server.inference.image_reading import ReadableImages, header_of
from lib.server.store import images as images_module
from lib.server.store.database import Clock, Database
from lib.server.store.folder_scan import FolderScan
from lib.server.store.images import ImageHeader
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.imaging.image_geometry import PIXELS
from lib.spine.imaging.orientation import Orientation

from .conftest import Open, wait_until


def save_image(path: Path, size: tuple[int, int]) -> ImageHeader:
    Image.new("L", size, 7).save(path)
    return header_of(read_radiograph(path))


def test_what_one_server_has_read_of_an_image_all_know_until_the_file_changes(studies: Path, opened: Open) -> None:
    header = save_image(studies / "a.png", (40, 60))
    first, second = opened(studies), opened(studies)
    assert second.header("a") is None
    first.note_header("a", header, first.file_state("a"))
    assert second.header("a") == header
    assert (header.width, header.height) == (40, 60)
    turned = ImageFrame(40, 60, Orientation(1, is_mirrored=True), "left", 0.8)
    known = replace(header, frame=turned, mm_per_px=(0.2, 0.25))
    first.note_header("a", known, first.file_state("a"))
    assert second.header("a") == known
    save_image(studies / "a.png", (41, 60))
    assert second.header("a") is None


def test_a_header_that_cannot_be_read_counts_as_none() -> None:
    header = ImageHeader.parse('[1, 2, 40, 60, {"spacing": [1, 1]}]', (1, 2))
    assert header is None
    assert ImageHeader.parse("[]", (1, 2)) is None
    for frame in ([], [{"width": 40, "height": 60, "orientation": None, "image_left_is": None}, None]):
        noted = json.dumps([1, 2, 40, 60, PIXELS.as_dict(), *frame])
        assert ImageHeader.parse(noted, (1, 2)) is None, "an earlier release did not look at the shape of pixels"


def test_only_one_server_tries_whether_an_image_is_readable(
    studies: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(studies / "a.png", (40, 60))
    first, second = opened(studies), opened(studies)
    assert ReadableImages().is_readable(first, "a")
    monkeypatch.setattr(image_reading, "read_radiograph", lambda _: pytest.fail("it was read again"))
    assert ReadableImages().is_readable(second, "a")


def test_the_digest_of_a_file_is_calculated_once(studies: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store, calculated, digest = opened(studies), [], images_module.file_digest
    monkeypatch.setattr(
        images_module, "file_digest", lambda path, digits: (calculated.append(path), digest(path, digits))[1]
    )
    before = [store.image_digest("a") for _ in range(3)]
    assert (len(set(before)), len(calculated)) == (1, 1)
    (studies / "a.png").write_bytes(b"other pixels")
    assert store.image_digest("a") != before[0]
    assert len(calculated) == 2


def test_a_scan_that_another_server_has_just_made_is_not_repeated(studies: Path, opened: Open) -> None:
    first = opened(studies)
    scan: FolderScan = first._scan
    (studies / "d.png").write_bytes(b"x")
    scan.run(unless_within_s=3600)
    assert first.list_images() == ["a", "b", "c"]
    scan.run(unless_within_s=0)
    assert first.list_images() == ["a", "b", "c", "d"]


def test_a_share_is_scanned_as_often_as_asked_for(studies: Path, opened: Open) -> None:
    store = opened(studies, auto_reload=True, rescan_s=0.2)
    store._watcher._observer.unschedule_all()  # the share reports nothing
    (studies / "d.png").write_bytes(b"x")
    wait_until(lambda: "d" in store.list_images())


def test_a_clock_that_cannot_be_asked_goes_on() -> None:
    answers = iter([5000.0, DBAPIError("x", {}, Exception("away")), 7000.0])

    def ask() -> float:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    clock = Clock(ask, interval_s=0)
    assert 5000 <= clock.now() < 5060
    assert 5000 <= clock.now() < 5060
    assert 7000 <= clock.now() < 7060
    with pytest.raises(DBAPIError):
        Clock(lambda: (_ for _ in ()).throw(DBAPIError("x", {}, Exception("away")))).now()  # type: ignore[arg-type]


def test_the_clock_is_that_of_the_database(
    postgresql: OwnPostgresql, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGPASSWORD", postgresql.password)
    database, real = Database(postgresql.url, tmp_path / "unused"), time.time()
    monkeypatch.setattr(time, "time", lambda: 12.0)  # this machine's is wrong
    assert abs(database.now() - real) < 600
    database.close()


def test_a_database_that_was_restarted_is_found_again(
    postgresql: OwnPostgresql, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGPASSWORD", postgresql.password)
    database, other = (Database(postgresql.url, tmp_path / "unused") for _ in range(2))
    for durable in (True, False):
        with database.writing(durable):
            pass
    mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = user"
    with other.reading() as connection:
        connection.execute(text(mine))
    failures = 0
    for durable in (True, False, True, False):
        try:
            with database.writing(durable) as connection:
                connection.execute(text("SELECT 1"))
        except OperationalError:
            failures += 1
    assert failures <= 2  # one for each pool; then all its connections are made anew
    with database.writing() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    database.close()
    other.close()


def test_locks_of_a_machine_that_died_end_soon(
    postgresql: OwnPostgresql, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGPASSWORD", postgresql.password)
    database = Database(postgresql.url, tmp_path / "unused")
    for durable in (True, False):
        with database.writing(durable) as connection:
            idle, interval, count = (
                int(connection.execute(text(f"SHOW tcp_keepalives_{name}")).scalar_one())
                for name in ("idle", "interval", "count")
            )
            assert idle + interval * count <= 30
    database.close()
