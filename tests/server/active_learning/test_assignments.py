"""Short-lived assignments of images."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lib.server.active_learning.assignments import Assignments
from lib.server.store.schema import assignments
from lib.server.store.store_context import StoreContext

from ..store.conftest import Open, database, opened, postgresql  # noqa: F401


@pytest.fixture
def context(tmp_path: Path, opened: Open) -> StoreContext:  # noqa: F811
    return opened(tmp_path / "studies").context


@pytest.fixture
def contexts(tmp_path: Path, opened: Open) -> list[StoreContext]:  # noqa: F811
    """The same folder, as four processes open it."""
    return [opened(tmp_path / "studies").context for _ in range(4)]


def first_of(*names: str) -> Callable[[Collection[str]], str | None]:
    return lambda excluded: next((name for name in names if name not in excluded), None)


def test_two_workers_assign_each_image_once_and_then_the_oldest_assignment(context: StoreContext) -> None:
    workers = [Assignments(context), Assignments(context)]
    picked = [workers[turn % 2].assign(first_of("a", "b", "c")) for turn in range(7)]
    assert picked == ["a", "b", "c", "a", "b", "c", "a"]


def test_labelled_images_are_excluded(context: StoreContext) -> None:
    assignments_ = Assignments(context)
    assert [assignments_.assign(first_of(*"abcd")) for _ in range(4)] == list("abcd")
    assert [assignments_.assign(first_of("d", "b")) for _ in range(4)] == ["b", "d", "b", "d"]


def test_few_picks_are_needed_where_most_images_are_labelled(context: StoreContext) -> None:
    assignments_, names, picked = Assignments(context), [f"image{number:03d}" for number in range(300)], []
    for _ in names:
        assignments_.assign(first_of(*names))

    def pick(excluded: Collection[str]) -> str | None:
        picked.append(len(excluded))
        return first_of("image299")(excluded)

    assert assignments_.assign(pick) == "image299"
    assert len(picked) < 12
    picked.clear()
    assert assignments_.assign(pick) == "image299"
    assert len(picked) <= 12


def test_an_assignment_expires(context: StoreContext, monkeypatch: pytest.MonkeyPatch) -> None:
    assignments_, now = Assignments(context, timeout_s=60), [1000.0]
    monkeypatch.setattr(context.database, "now", lambda: now[0])
    assert [assignments_.assign(first_of("a", "b")) for _ in range(2)] == ["a", "b"]
    now[0] = 1061.0
    assert assignments_.assign(first_of("a", "b")) == "a"


def test_nothing_is_assigned_where_there_is_nothing(context: StoreContext) -> None:
    assert Assignments(context).assign(first_of()) is None


def test_concurrent_requests_get_different_images(contexts: list[StoreContext]) -> None:
    names, workers = [f"image{number}" for number in range(24)], [Assignments(context) for context in contexts]
    with ThreadPoolExecutor(8) as pool:
        picked = list(pool.map(lambda turn: workers[turn % 4].assign(first_of(*names)), range(24)))
    assert sorted(map(str, picked)) == sorted(names)


def test_an_image_that_another_process_takes_meanwhile_is_left_to_it(context: StoreContext) -> None:
    mine, other = Assignments(context), Assignments(context)

    def pick(excluded: Collection[str]) -> str | None:
        image = first_of("a", "b")(excluded)
        if not excluded:
            assert other.assign(first_of("a")) == "a"
        return image

    assert mine.assign(pick) == "b"


def test_a_wrong_clock_does_not_block_an_image_for_long(context: StoreContext, monkeypatch: pytest.MonkeyPatch) -> None:
    images, now = Assignments(context, timeout_s=60), [5000.0]
    monkeypatch.setattr(context.database, "now", lambda: now[0])
    assert images.assign(first_of("a", "b")) == "a"
    for second, image in enumerate(("a", "b", "a"), 1000):
        now[0] = second
        assert images.assign(first_of("a", "b")) == image


def test_labelled_images_and_expired_assignments_leave_no_row(
    context: StoreContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, now = Assignments(context, timeout_s=60), [1000.0]
    monkeypatch.setattr(context.database, "now", lambda: now[0])
    for _ in range(3):
        images.assign(first_of("a", "b", "c"))
        now[0] += 1
    assert images.assign(first_of("c")) == "c"  # a and b are labelled
    now[0] += 61
    assert images.assign(first_of("d")) == "d"
    with context.database.reading() as connection:
        rows = connection.execute(assignments.select().where(assignments.c.store == context.key))
        assert rows.one().image == "d"
