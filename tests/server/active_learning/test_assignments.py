"""Films that were just given to somebody."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lib.server.active_learning import assignments as assignments_module
from lib.server.active_learning.assignments import Assignments
from lib.server.store.schema import assignments
from lib.server.store.store_context import StoreContext

from ..store.conftest import Open, database, opened, postgresql  # noqa: F401


@pytest.fixture
def context(tmp_path: Path, opened: Open) -> StoreContext:  # noqa: F811
    return opened(tmp_path / "studies").context


@pytest.fixture
def holdings(tmp_path: Path, opened: Open) -> list[StoreContext]:  # noqa: F811
    """The same folder, as four processes open it."""
    return [opened(tmp_path / "studies").context for _ in range(4)]


def first_of(*lent: str) -> Callable[[Collection[str]], str | None]:
    return lambda passed_over: next((image_name for image_name in lent if image_name not in passed_over), None)


def test_two_workers_give_each_film_once_and_then_the_one_given_longest_ago(context: StoreContext) -> None:
    workers = [Assignments(context), Assignments(context)]
    asked = [workers[turn % 2].assign(first_of("a", "b", "c")) for turn in range(7)]
    assert asked == ["a", "b", "c", "a", "b", "c", "a"]


def test_films_that_were_labelled_since_are_passed_over(context: StoreContext) -> None:
    lent = Assignments(context)
    assert [lent.assign(first_of(*"abcd")) for _ in range(4)] == list("abcd")
    assert [lent.assign(first_of("d", "b")) for _ in range(4)] == ["b", "d", "b", "d"]


def test_few_questions_are_asked_where_most_films_are_labelled(context: StoreContext) -> None:
    lent, names, asked = Assignments(context), [f"film{number:03d}" for number in range(300)], []
    for _ in names:
        lent.assign(first_of(*names))

    def pick(passed_over: Collection[str]) -> str | None:
        asked.append(len(passed_over))
        return first_of("film299")(passed_over)

    assert lent.assign(pick) == "film299"
    assert len(asked) < 12
    asked.clear()
    assert lent.assign(pick) == "film299"
    assert len(asked) <= 12


def test_a_film_may_be_given_again_after_some_minutes(context: StoreContext, monkeypatch: pytest.MonkeyPatch) -> None:
    lent, now = Assignments(context, minutes=1), [1000.0]
    monkeypatch.setattr(assignments_module.time, "time", lambda: now[0])
    assert [lent.assign(first_of("a", "b")) for _ in range(2)] == ["a", "b"]
    now[0] = 1061.0
    assert lent.assign(first_of("a", "b")) == "a"


def test_nothing_is_given_where_there_is_nothing(context: StoreContext) -> None:
    assert Assignments(context).assign(first_of()) is None


def test_an_image_is_given_to_one_of_many_who_ask_at_once(holdings: list[StoreContext]) -> None:
    names, workers = [f"film{number}" for number in range(24)], [Assignments(context) for context in holdings]
    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(lambda turn: workers[turn % 4].assign(first_of(*names)), range(24)))
    assert sorted(map(str, asked)) == sorted(names)


def test_an_image_that_another_process_takes_meanwhile_is_left_to_it(context: StoreContext) -> None:
    mine, other = Assignments(context), Assignments(context)

    def pick(passed_over: Collection[str]) -> str | None:
        image = first_of("a", "b")(passed_over)
        if not passed_over:
            assert other.assign(first_of("a")) == "a"
        return image

    assert mine.assign(pick) == "b"


def test_a_clock_that_was_wrong_does_not_hold_an_image_back_for_long(
    context: StoreContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, now = Assignments(context, minutes=1), [5000.0]
    monkeypatch.setattr(assignments_module.time, "time", lambda: now[0])
    assert images.assign(first_of("a", "b")) == "a"
    for second, image in enumerate(("a", "b", "a"), 1000):
        now[0] = second
        assert images.assign(first_of("a", "b")) == image


def test_what_is_labelled_or_was_given_long_ago_leaves_no_row(
    context: StoreContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, now = Assignments(context, minutes=1), [1000.0]
    monkeypatch.setattr(assignments_module.time, "time", lambda: now[0])
    for _ in range(3):
        images.assign(first_of("a", "b", "c"))
        now[0] += 1
    assert images.assign(first_of("c")) == "c"  # a and b are labelled
    now[0] += 61
    assert images.assign(first_of("d")) == "d"
    with context.database.reading() as connection:
        rows = connection.execute(assignments.select().where(assignments.c.store == context.key))
        assert rows.one().image == "d"
