"""Lists of images: states, order, search, pages and what each entry says."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event

from lib.server.active_learning.scored_versions import ScoredVersions
from lib.server.overview import image_list
from lib.server.overview.image_list import DOUBT, ImageList, Query, Sort, State
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.schema import images, labels
from lib.spine.labels.markups import write_markups
from lib.spine.schema import Spine

from ..store.conftest import Open

Label = Callable[[int], str]


def ids(store: StudiesDatastore, model: str = "1", **values: Any) -> list[str]:
    """Ids of a page."""
    return [entry["id"] for entry in ImageList(store.context).page(Query(**values), model)["images"]]


def folder_of(tmp_path: Path, *names: str) -> Path:
    """A folder with images of these names."""
    folder = tmp_path / "named"
    folder.mkdir()
    for name in names:
        (folder / f"{name}.png").write_bytes(b"no pixels")
    return folder


def at_times(store: StudiesDatastore, column: Any, **times: int) -> None:
    """Set a time of some images."""
    with store._database.writing() as connection:
        for image, time in times.items():
            at = images.c.store == store.context.key, images.c.id == image
            connection.execute(images.update().where(*at).values({column.name: time}))


def test_each_image_has_one_state_and_the_counts_say_how_many_have_it(
    tmp_path: Path, opened: Open, label: Label
) -> None:
    store = opened(folder_of(tmp_path, "a", "b", "c", "d", "e"))
    pages = ImageList(store.context)
    store.save_label("a", label(1), "final", {"user": "ada", "seconds": 7.5, "edits": 3})
    store.save_label("a", label(2), "original", {})
    store.save_label("b", label(1), "original", {})
    store.save_label("c", label(1), "draft", {})
    store.note_unreadable("d", "d.png: it is no image", store.file_state("d"))
    page = pages.page(Query(), "1")
    assert {entry["id"]: entry["state"] for entry in page["images"]} == {
        "a": "labelled",
        "b": "predicted",
        "c": "unlabelled",
        "d": "unreadable",
        "e": "unlabelled",
    }
    expected = {"all": 5, "unlabelled": 2, "predicted": 1, "labelled": 1, "unreadable": 1}
    assert (page["total"], page["counts"]) == (5, expected)
    for state, count in expected.items():
        some = pages.page(Query(state=State(state)), "1")
        assert some["total"] == len(some["images"]) == count
        assert state == "all" or {entry["state"] for entry in some["images"]} == {state}
    store.remove_label("a", "final")
    store.remove_label("b", "original")
    assert pages.page(Query(), "1")["counts"] == {**expected, "unlabelled": 3, "labelled": 0}
    (store.context.folder.path / "e.png").unlink()
    store.refresh()
    assert pages.page(Query(), "1")["counts"]["all"] == 4


def test_an_entry_says_who_has_labelled_it_and_what_is_not_known_is_none(
    studies: Path, opened: Open, label: Label, tmp_path: Path, ladder: np.ndarray
) -> None:
    store = opened(studies)
    write_markups(tmp_path / "bent.mrk.json", Spine.from_arrays(bent(ladder)))
    store.save_label("a", label(1), "final", {})
    store.save_label("a", str(tmp_path / "bent.mrk.json"), "final", {"user": "ada", "seconds": 7.5, "edits": 3})
    store.save_label(
        "b", str(tmp_path / "bent.mrk.json"), "original", {"user": "ada", "seconds": "long", "edits": True}
    )
    store.score_queries.set_scores(DOUBT, "1", {"b": 0.25})
    a, b, c = ImageList(store.context).page(Query(), "1")["images"]
    assert {**a, "added_at": 0, "labelled_at": 0} == {
        "id": "a",
        "file": "a.png",
        "state": "labelled",
        "user": "ada",
        "labelled_at": 0,
        "seconds": 7.5,
        "edits": 3,
        "version": 2,
        "doubt": None,
        "added_at": 0,
        "largest_angle_deg": 20.0,
    }
    assert a["labelled_at"] >= a["added_at"] > 1_700_000_000
    nothing = ("user", "labelled_at", "seconds", "edits", "version")
    assert [b[name] for name in nothing] == [c[name] for name in nothing] == [None] * 5
    assert (b["doubt"], b["largest_angle_deg"]) == (0.25, 20.0)
    assert (c["doubt"], c["largest_angle_deg"]) == (None, None)


def bent(ladder: np.ndarray) -> np.ndarray:
    """The ladder with T5 and L1 turned by 10 degrees to either side: one curve of 20 degrees."""
    points = ladder.copy()
    for vertebra, degrees in ((4, -10.0), (12, 10.0)):
        radians = np.radians(degrees)
        turn = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
        points[vertebra] = (points[vertebra] - points[vertebra, 0]) @ turn.T + points[vertebra, 0]
    return points


def test_names_are_sorted_and_found_in_letters_of_either_case(tmp_path: Path, opened: Open) -> None:
    store = opened(folder_of(tmp_path, "b_10%", "B_2", "Äpfel", "a_1", "שלום"))
    assert ids(store) == ["a_1", "b_10%", "B_2", "Äpfel", "שלום"]
    assert ids(store, descending=True) == ["שלום", "Äpfel", "B_2", "b_10%", "a_1"]
    assert ids(store, search="b_") == ids(store, search="B_") == ["b_10%", "B_2"]
    assert ids(store, search="äP") == ids(store, search="A\u0308pf") == ["Äpfel"]
    assert ids(store, search="%") == ["b_10%"]  # no wildcards
    assert ids(store, search="_") == ["a_1", "b_10%", "B_2"]
    assert [ids(store, search=text) for text in ("*", "\\", "'", "\0", "\ud800", "b__")] == [[]] * 6


def test_dates_and_labels_are_sorted_by_their_times_then_by_name(tmp_path: Path, opened: Open, label: Label) -> None:
    store = opened(folder_of(tmp_path, "a", "b", "c", "d"))
    at_times(store, images.c.added_at, a=30, b=10, c=30, d=20)
    assert ids(store, sort=Sort.DATE) == ["b", "d", "a", "c"]
    assert ids(store, sort=Sort.DATE, descending=True) == ["c", "a", "d", "b"]
    for image in ("d", "b"):
        store.save_label(image, label(1), "final", {})
    at_times(store, images.c.labelled_at, b=50, d=40)
    assert ids(store, sort=Sort.LABELLED, descending=True) == ["b", "d", "c", "a"]
    assert ids(store, sort=Sort.LABELLED, state=State.LABELLED) == ["d", "b"]


@pytest.mark.parametrize("most_sorted", [0, 1000], ids=["by scores", "sorted"])
@pytest.mark.parametrize("most_lookups", [0, 1000], ids=["by set", "one by one"])
def test_doubt_is_that_of_the_served_model_and_images_without_a_score_come_last(
    tmp_path: Path, opened: Open, label: Label, monkeypatch: pytest.MonkeyPatch, most_sorted: int, most_lookups: int
) -> None:
    monkeypatch.setattr(image_list, "MAX_SORTED", most_sorted)
    monkeypatch.setattr(image_list, "MAX_LOOKUPS", most_lookups)
    store = opened(folder_of(tmp_path, *"abcdefg"))
    store.score_queries.set_scores(DOUBT, "1", {"a": 1.0, "c": 3.0, "e": 2.0, "f": 5.0, "g": 9.0})
    store.score_queries.set_scores("anatomy", "1", {"b": 99.0})
    store.score_queries.set_scores(DOUBT, "2", {"a": 2.0, "b": 1.0})
    store.save_label("f", label(1), "final", {})
    store.save_label("e", label(1), "original", {})
    (store.context.folder.path / "g.png").unlink()
    store.refresh()
    by_doubt = {"sort": Sort.DOUBT, "descending": True}
    assert ids(store, **by_doubt) == ["f", "c", "e", "a", "b", "d"]
    assert ids(store, sort=Sort.DOUBT) == ["a", "e", "c", "f", "b", "d"]
    assert ids(store, **by_doubt, state=State.UNLABELLED) == ["c", "a", "b", "d"]
    assert ids(store, **by_doubt, state=State.PREDICTED) == ["e"]
    assert ids(store, **by_doubt, search="D") == ["d"]
    for size in (1, 2, 3):
        pages = [ids(store, **by_doubt, offset=offset, limit=size) for offset in range(0, 8, size)]
        assert list(itertools.chain(*pages)) == ["f", "c", "e", "a", "b", "d"]
    ScoredVersions(store.context).add("1")
    assert ids(store, "2", **by_doubt)[:2] == ["f", "c"]  # the scores of model 2 are not complete
    ScoredVersions(store.context).add("2")
    assert ids(store, "2", **by_doubt) == ["a", "b", "c", "d", "e", "f"]
    assert ids(store, "3", **by_doubt)[:2] == ["a", "b"]
    assert ids(store, "1", **by_doubt)[:2] == ["f", "c"]


@pytest.mark.parametrize("sort", Sort)
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("search", ["", "1", "none"])
def test_pages_have_every_image_once_and_the_total_is_right_on_each(
    tmp_path: Path, opened: Open, sort: Sort, descending: bool, search: str
) -> None:
    names = [f"n{number:02d}" for number in range(23)]
    store = opened(folder_of(tmp_path, *names))
    store.score_queries.set_scores(DOUBT, "1", {name: index % 5 for index, name in enumerate(names[4:])})
    expected = [name for name in names if search in name]
    pages = ImageList(store.context)
    query = Query(search=search, sort=sort, descending=descending, limit=5)
    answers = [pages.page(query._replace(offset=offset), "1") for offset in range(0, 30, 5)]
    assert {answer["total"] for answer in answers} == {len(expected)}
    assert sorted(entry["id"] for answer in answers for entry in answer["images"]) == expected
    assert max(len(answer["images"]) for answer in answers) <= 5


def test_counts_follow_other_processes_after_a_moment(
    studies: Path, opened: Open, label: Label, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = opened(studies), opened(studies)
    pages = ImageList(store.context)
    assert pages.page(Query(), "1")["counts"]["labelled"] == 0
    other.save_label("a", label(1), "final", {})
    now = image_list.time.monotonic()
    monkeypatch.setattr(image_list.time, "monotonic", lambda: now + image_list.COUNTS_LIFETIME_S)
    assert pages.page(Query(), "1")["counts"]["labelled"] == 1


def test_sqlite_reads_lists_from_indices_that_hold_all_they_need(studies: Path) -> None:
    store = StudiesDatastore(str(studies))
    store.score_queries.set_scores(DOUBT, "1", {"a": 1.0})
    asked: list[tuple[str, Any]] = []
    event.listen(store._database._engine, "before_cursor_execute", lambda *given: asked.append(given[2:4]))
    pages = ImageList(store.context)
    for sort, search in itertools.product((Sort.NAME, Sort.DATE, Sort.LABELLED), ("", "a")):
        for descending in (False, True):
            pages.page(Query(sort=sort, descending=descending, search=search), "1")
    with store._database.reading() as connection:
        of_images = [one for one in asked if "FROM vl_images" in one[0] and "JOIN" not in one[0]]
        assert len(of_images) >= 12
        for statement, values in of_images:
            plan = " ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values))
            assert "USING COVERING INDEX" in plan, (statement, plan)
            assert "SCAN" not in plan, (statement, plan)
            assert "TEMP B-TREE" not in plan, (statement, plan)
    store.close()


def test_what_the_metadata_of_old_labels_holds_is_no_reason_to_fail(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {})
    with store._database.writing() as connection:
        odd = json.dumps({"user": ["x"], "seconds": "1", "edits": None, "largest_angle_deg": {}, "ts": "today"})
        connection.execute(labels.update().where(labels.c.store == store.context.key).values(facts=odd))
    entry = ImageList(store.context).page(Query(), "1")["images"][0]
    assert [entry[name] for name in ("user", "seconds", "edits", "largest_angle_deg")] == [None] * 4
