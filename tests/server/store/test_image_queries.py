"""Picks of the next image, and scores."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from harness.local_postgresql import OwnPostgresql
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.image_queries import predicted_by

Open = Callable[..., StudiesDatastore]
Label = Callable[[int], str]


def test_random_picks_deal_each_image_once_a_round_in_changing_order(studies: Path, opened: Open) -> None:
    store, other = opened(studies), opened(studies)
    rounds = [[(store, other)[turn % 2].pick_random() for turn in range(3)] for _ in range(20)]
    assert all(sorted(map(str, one)) == ["a", "b", "c"] for one in rounds)
    assert len({tuple(one) for one in rounds}) > 1


def test_a_new_image_waits_for_its_turn_like_the_others(studies: Path, opened: Open) -> None:
    firsts = Counter()
    store = opened(studies)
    for _ in range(30):
        store.pick_random()
    for _ in range(40):
        (studies / "new.png").write_bytes(b"x")
        store.refresh()
        firsts[store.pick_random()] += 1
        store.remove_image("new")
    assert firsts["new"] < 40  # it is not always the next


def test_picks_pass_over_the_labelled_and_the_excluded(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {})
    store.save_label("b", label(1), "original", {})
    assert store.pick_first() == "b"
    assert store.pick_first(exclude=["b"]) == "c"
    assert {store.pick_random() for _ in range(4)} == {"b", "c"}
    assert store.pick_random(exclude=["b", "c"]) is None
    store.remove_label("a", "final")
    assert store.pick_first() == "a"


def test_the_highest_open_score_is_picked(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    assert store.pick_by_score("x", "1") is None
    assert store.score_queries.set_scores("x", "1", {"a": 1.0, "b": 3.0, "c": 3.0, "unknown": 9.0}) == 3
    store.score_queries.set_scores("x", "2", {"a": 5.0})
    assert store.pick_by_score("x", "1") == "b"
    assert store.pick_by_score("x", "2") == "a"
    assert store.pick_by_score("y", "1") is None
    store.save_label("b", label(1), "final", {})
    assert store.pick_by_score("x", "1") == "c"
    assert store.pick_by_score("x", "1", exclude=["c"]) == "a"
    store.score_queries.set_scores("x", "1", {"a": 7.0, "b": 8.0})
    assert store.pick_by_score("x", "1") == "a"
    store.remove_label("b", "final")
    assert store.pick_by_score("x", "1") == "b"
    assert [(s["model_version"], s["value"]) for s in store.score_queries.scores_of("a")] == [("1", 7.0), ("2", 5.0)]


def test_scores_survive_a_restart_and_are_forgotten_by_version(studies: Path, opened: Open) -> None:
    opened(studies).score_queries.set_scores("x", "1", {"a": 1.0})
    store = opened(studies)
    store.score_queries.set_scores("x", "2", {"b": 1.0})
    assert store.score_queries.without_score("x", "1", 10) == ["b", "c"]
    assert store.score_queries.without_score("x", "1", 1, after="b") == ["c"]
    store.score_queries.delete_scores("x", keep=["2"])
    assert (store.pick_by_score("x", "1"), store.pick_by_score("x", "2")) == (None, "b")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_must_be_a_number(studies: Path, opened: Open, value: Any) -> None:
    with pytest.raises(ValueError, match="finite"):
        opened(studies).score_queries.set_scores("x", "1", {"a": value})


def test_unpredicted_are_open_images_that_a_model_has_not_predicted_as_they_are(
    studies: Path, opened: Open, label: Label
) -> None:
    store = opened(studies)
    file = (studies / "a.png").stat()
    size, mtime_ns = file.st_size, file.st_mtime_ns

    def ids(model: str, most: int = 9, after: str = "") -> list[str]:
        return [row.id for row in store.score_queries.unpredicted("original", model, most, after)]

    assert (ids("1 x"), ids("1 x", 2), ids("1 x", 2, "b")) == (["a", "b", "c"], ["a", "b"], ["c"])
    store.save_label("c", label(1), "final", {})
    store.save_label("b", label(1), "other", {"predicted_by": predicted_by("1 x", str(size), str(mtime_ns))})
    store.save_label("a", label(1), "original", {"predicted_by": predicted_by("1 x", str(size), str(mtime_ns))})
    assert (ids("1 x"), ids("1"), ids("x"), ids("2 x")) == (["b"], ["a", "b"], ["a", "b"], ["a", "b"])
    row = store.score_queries.unpredicted("original", "2 x", 1)[0]
    assert (row.size, row.mtime_ns) == (size, mtime_ns)
    assert json.loads(row.facts)["predicted_by"].startswith("1 x ")
    assert store.score_queries.unpredicted("original", "1 x", 1)[0].facts is None
    (studies / "a.png").write_bytes(b"other pixels")
    store.refresh()
    assert ids("1 x") == ["a", "b"]


def test_a_plan_for_any_values_knows_that_one_image_is_asked_for(studies: Path, opened: Open) -> None:
    """PostgreSQL keeps such plans, and sorts all scores where the limit might be any."""
    store = opened(studies)
    asked: list[str] = []
    for engine in {store._database._engine, store._database._lazy}:  # SQLite has one
        event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    for pick in (store.pick_random, store.pick_first, lambda: store.score_queries.pick_by_score("x", "1")):
        pick()
    assert sum("ORDER BY" in statement for statement in asked) == 3
    assert all(re.search(r"LIMIT 1\b", statement) for statement in asked if "ORDER BY" in statement)


def test_postgresql_sorts_no_scores_of_a_model_that_is_new_to_it(
    tmp_path: Path, postgresql: OwnPostgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", postgresql.password)
    names = [f"{number:04d}" for number in range(3000)]
    for name in names:
        (tmp_path / f"{name}.png").touch()
    store = StudiesDatastore(str(tmp_path), postgresql.url)
    store.score_queries.set_scores("x", "1", dict.fromkeys(names[:100], 1.0))
    with store._database.writing() as connection:
        connection.exec_driver_sql("ANALYZE")
    store.score_queries.set_scores("x", "2", dict.fromkeys(names, 1.0))
    asked: list[tuple[str, Any]] = []
    event.listen(store._database._engine, "before_cursor_execute", lambda *given: asked.append(given[2:4]))
    assert store.score_queries.pick_by_score("x", "2", names[:3]) == names[3]
    statement, values = asked[0]
    with store._database.reading() as connection:
        plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN ANALYZE {statement}", values))
    store.close()
    assert "vl_scores_best" in plan
    assert max(int(rows) for rows in re.findall(r"actual .*rows=([0-9]+)", plan)) == 4, plan
