"""Statistics of labels: counts, times and angles, also of labels that earlier releases have saved."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from lib.image_io import read_radiograph
from lib.server.inference.image_reading import header_of
from lib.server.overview import statistics
from lib.server.overview.statistics import LabelStatistics
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.labels import largest_angle_of
from lib.server.store.schema import images, labels
from lib.spine.geometry import transform_points
from lib.spine.imaging.orientation import Orientation
from lib.spine.labels.markups import write_markups
from lib.spine.measurement.report import curves_of
from lib.spine.schema import Spine

from ...oblong import FILES, FRAME, oblong, square
from ..store.conftest import Open

Label = Callable[[int], str]
DAY_S = 86_400


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A time zone an hour or two before UTC."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def note(store: StudiesDatastore, image: str, **facts: Any) -> None:
    """Change the metadata of the current label as no client can; ``None`` deletes."""
    label = store.context.database
    query = select(labels.c.key, labels.c.facts).where(labels.c.store == store.context.key, labels.c.is_current)
    with label.writing() as connection:
        for row in connection.execute(query).all():
            known = json.loads(row.facts)
            if known["name"] == f"{image}.mrk.json":
                merged = {name: value for name, value in {**known, **facts}.items() if value is not None}
                connection.execute(labels.update().where(labels.c.key == row.key).values(facts=json.dumps(merged)))


@pytest.mark.usefixtures("in_berlin")
def test_labels_are_counted_by_local_day_and_annotator(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    evening = 1_780_000_000 // DAY_S * DAY_S - 600  # ten minutes before midnight, UTC
    for image, user, ts in (("a", "ada", evening), ("b", "ada", evening + 60), ("c", "bob", evening - DAY_S)):
        store.save_label(image, label(1), "final", {"user": user, "seconds": 10.0 if image == "a" else 30, "edits": 2})
        note(store, image, ts=ts)
    store.save_label("c", label(2), "original", {"user": "eve"})
    found = LabelStatistics(store.context).summary()
    day, day_before = (time.strftime("%Y-%m-%d", time.localtime(evening - back)) for back in (0, DAY_S))
    assert day == time.strftime("%Y-%m-%d", time.gmtime(evening + 3600))  # the next day there
    assert found["labels_by_day"] == [
        {"day": day_before, "user": "bob", "count": 1},
        {"day": day, "user": "ada", "count": 2},
    ]
    assert found["readers"] == [
        {"user": "ada", "labels": 2, "median_seconds": 20.0},
        {"user": "bob", "labels": 1, "median_seconds": 30},
    ]
    assert [(one["ts"], one["seconds"], one["edits"], one["user"]) for one in found["seconds"]] == [
        (evening - DAY_S, 30, 2, "bob"),
        (evening, 10.0, 2, "ada"),
        (evening + 60, 30, 2, "ada"),
    ]
    assert (found["labels"], found["unmeasured"], found["largest_angle_deg"]) == (3, 0, [])


def test_angles_of_labels_without_one_are_measured_for_a_while_and_noted(
    studies: Path, opened: Open, label: Label, tmp_path: Path, ladder: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(studies)
    file = tmp_path / "straight.mrk.json"
    write_markups(file, Spine.from_arrays(ladder))
    store.save_label("a", str(file), "final", {})
    store.save_label("b", str(file), "final", {})
    store.save_label("c", label(1), "final", {})  # no points
    assert LabelStatistics(store.context).summary()["largest_angle_deg"] == [0.0, 0.0]
    for image in "abc":
        note(store, image, largest_angle_deg=None)
    waiting = LabelStatistics(store.context, timeout_s=-1.0).summary()
    assert (waiting["largest_angle_deg"], waiting["unmeasured"]) == ([], 3)
    measured = LabelStatistics(store.context).summary()
    assert (measured["largest_angle_deg"], measured["unmeasured"]) == ([0.0, 0.0], 0)
    monkeypatch.setattr(statistics, "largest_angle_of", lambda _: pytest.fail("measured again"))
    assert LabelStatistics(store.context).summary() == measured
    assert store.get_label_info("a", "final")["largest_angle_deg"] == 0.0


def test_angles_that_were_measured_in_pixels_that_are_not_square_are_measured_again(
    studies: Path, opened: Open, label: Label, tmp_path: Path
) -> None:
    """As releases before 0.15 have noted them; those of square pixels stay."""
    one, true = oblong(1.25), max(curve.angle_deg for curve in curves_of(square().spine, FRAME))
    path = FILES["NRRD"](studies, one).rename(studies / "oblong.nrrd")
    store, radiograph = opened(studies), read_radiograph(path)
    store.note_header("oblong", header_of(radiograph), store.file_state("oblong"))
    write_markups(tmp_path / "oblong.mrk.json", one.spine, radiograph.geometry)
    store.save_label("oblong", str(tmp_path / "oblong.mrk.json"), "final", {})
    store.save_label("a", label(1), "final", {})
    saved = store.get_label_info("oblong", "final")["largest_angle_deg"]
    assert saved == pytest.approx(true, abs=0.06)
    store.save_label("oblong", str(tmp_path / "oblong.mrk.json"), "original", {})
    for tag in ("final", "original"):
        store.update_label_info("oblong", tag, {"largest_angle_deg": 31.0})
    note(store, "a", largest_angle_deg=12.0)
    with store.context.database.writing() as connection:
        noted = connection.execute(select(images.c.header).where(images.c.id == "oblong")).scalar_one()
        older = noted.replace(', "pixel_aspect": 1.25', "")
        assert older != noted
        connection.execute(images.update().where(images.c.id == "oblong").values(header=older))
    assert store.header("oblong") is None  # so that the image is read again
    store.note_header("oblong", header_of(radiograph), store.file_state("oblong"))
    assert store.get_label_info("oblong", "original")["largest_angle_deg"] == saved
    assert sorted(LabelStatistics(store.context).summary()["largest_angle_deg"]) == [12.0, saved]
    assert store.get_label_info("oblong", "final")["largest_angle_deg"] == saved


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_the_largest_angle_is_that_of_the_upright_image(
    ladder: np.ndarray, tmp_path: Path, turns: int, mirrored: bool
) -> None:
    bent = ladder.copy()
    bent[..., 0] += 40 * np.sin(np.arange(len(bent)) / 5)[:, None]
    bent[:, 1:, 1] += np.array([-1, 1, -1, 1]) * 2 * np.cos(np.arange(len(bent)) / 5)[:, None]
    write_markups(tmp_path / "upright.mrk.json", Spine.from_arrays(bent))
    expected = largest_angle_of((tmp_path / "upright.mrk.json").read_bytes())
    assert expected is not None
    assert 5 < expected < 60
    to_stored = np.linalg.inv(Orientation(turns, mirrored).matrix(500, 900))
    write_markups(tmp_path / "stored.mrk.json", Spine.from_arrays(transform_points(to_stored, bent)))
    assert largest_angle_of((tmp_path / "stored.mrk.json").read_bytes()) == expected


def test_labels_of_missing_images_and_odd_metadata_do_not_count(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    for image in "abc":
        store.save_label(image, label(1), "final", {"user": "ada", "seconds": 5})
    (studies / "a.png").unlink()
    store.refresh()
    note(store, "b", user=["x"], seconds="long", edits=True, ts=1e300)
    found = LabelStatistics(store.context).summary()
    assert sum(one["count"] for one in found["labels_by_day"]) == found["labels"] == 2
    assert [one["user"] for one in found["seconds"]] == ["ada"]
    assert {one["user"]: one["median_seconds"] for one in found["readers"]} == {"ada": 5, "": None}


def test_lists_are_bounded_and_of_the_newest_labels(
    studies: Path, opened: Open, label: Label, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MAX_LABELS", "MAX_TIMED", "MAX_READERS"):
        monkeypatch.setattr(statistics, name, 2 if name == "MAX_LABELS" else 1)
    store = opened(studies)
    for number, image in enumerate("abc"):
        store.save_label(image, label(1), "final", {"user": image, "seconds": 1})
        with store.context.database.writing() as connection:
            at = images.c.store == store.context.key, images.c.id == image
            connection.execute(images.update().where(*at).values(labelled_at=100 + number))
        note(store, image, ts=100 + number)
    found = LabelStatistics(store.context).summary()
    assert found["labels"] == 3
    assert [one["user"] for one in found["labels_by_day"]] == ["b", "c"]
    assert [one["user"] for one in found["seconds"]] == ["c"]
    assert len(found["readers"]) == 1
