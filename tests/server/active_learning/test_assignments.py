"""Films that were just given to somebody."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from lib.server.active_learning import assignments
from lib.server.active_learning.assignments import GivenFilms


def first_of(*films: str) -> Callable[[Collection[str]], str | None]:
    return lambda passed_over: next((film for film in films if film not in passed_over), None)


def test_two_workers_give_each_film_once_and_then_the_one_given_longest_ago(tmp_path: Path) -> None:
    workers = [GivenFilms(tmp_path / "new"), GivenFilms(tmp_path / "new")]
    asked = [workers[turn % 2].give(first_of("a", "b", "c")) for turn in range(7)]
    assert asked == ["a", "b", "c", "a", "b", "c", "a"]


def test_films_that_were_labelled_since_are_passed_over(tmp_path: Path) -> None:
    films = GivenFilms(tmp_path)
    assert [films.give(first_of(*"abcd")) for _ in range(4)] == list("abcd")
    assert [films.give(first_of("d", "b")) for _ in range(4)] == ["b", "d", "b", "d"]


def test_few_questions_are_asked_where_most_films_are_labelled(tmp_path: Path) -> None:
    films, names, asked = GivenFilms(tmp_path), [f"film{number:03d}" for number in range(300)], []
    for _ in names:
        films.give(first_of(*names))

    def pick(passed_over: Collection[str]) -> str | None:
        asked.append(len(passed_over))
        return first_of("film299")(passed_over)

    assert films.give(pick) == "film299"
    assert len(asked) < 12
    asked.clear()
    assert films.give(pick) == "film299"
    assert len(asked) <= 12


def test_a_film_may_be_given_again_after_some_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films, now = GivenFilms(tmp_path, minutes=1), [1000.0]
    monkeypatch.setattr(assignments.time, "time", lambda: now[0])
    assert [films.give(first_of("a", "b")) for _ in range(2)] == ["a", "b"]
    now[0] = 1061.0
    assert films.give(first_of("a", "b")) == "a"


def test_nothing_is_given_where_there_is_nothing(tmp_path: Path) -> None:
    assert GivenFilms(tmp_path).give(first_of()) is None


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"a": null}', b"\xff"], ids=["empty", "list", "null", "bytes"])
def test_a_damaged_file_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / assignments.FILE).write_bytes(content)
    assert GivenFilms(tmp_path).give(first_of("a")) == "a"
