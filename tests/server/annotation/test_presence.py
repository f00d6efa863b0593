"""Who has an image open: noted, renewed, forgotten, and known to every process."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.server.annotation.presence import EXPIRY_S, MAX_CLIENTS, Presence, Present

from ..store.conftest import Open, database, opened, postgresql, studies  # noqa: F401


class Clock:
    """Seconds since 1970 as a test wants them."""

    def __init__(self) -> None:
        self.time = 1e9

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_others_are_named_and_oneself_is_not(studies: Path, opened: Open, clock: Clock) -> None:  # noqa: F811
    first, second = (Presence(opened(studies).context, clock) for _ in range(2))
    assert first.note("a", "one", "Ada", 0) == []
    clock.time += 10
    assert second.note("a", "two", "Бен <b>", 3) == [Present("Ada", 10, 0)]
    assert first.note("a", "one", "Ada", 5) == [Present("Бен <b>", 0, 3)]
    assert second.note("a", "two", "Бен <b>", 3) == [Present("Ada", 0, 5)]
    assert first.note("b", "one", "Ada", 0) == []
    assert second.users(["a", "b", "c"]) == {"a": ["Ada", "Бен <b>"], "b": ["Ada"]}
    first.leave("a", "one")
    assert second.note("a", "two", "Бен <b>", 3) == []
    assert second.users(["a"]) == {"a": ["Бен <b>"]}
    assert second.users([]) == {}


def test_a_client_that_gives_no_sign_is_forgotten(studies: Path, opened: Open, clock: Clock) -> None:  # noqa: F811
    presence = Presence(opened(studies).context, clock)
    presence.note("a", "one", "Ada", 0)
    clock.time += EXPIRY_S
    assert presence.note("a", "two", "Ben", 0) == [Present("Ada", EXPIRY_S, 0)]
    clock.time += 1
    assert presence.users(["a"]) == {"a": ["Ben"]}
    assert presence.note("a", "two", "Ben", 0) == []


def test_no_more_than_a_limit_are_noted(studies: Path, opened: Open, clock: Clock) -> None:  # noqa: F811
    presence = Presence(opened(studies).context, clock)
    for number in range(MAX_CLIENTS + 5):
        presence.note("a", str(number), str(number), 0)
    others = presence.note("a", "0", "renamed", 1)
    assert len(others) == MAX_CLIENTS - 1
    assert len(presence.note("a", "late", "late", 0)) == MAX_CLIENTS
    assert "renamed" in presence.users(["a"])["a"]


def test_studies_that_share_a_database_do_not_share_their_clients(
    studies: Path,  # noqa: F811
    opened: Open,  # noqa: F811
    tmp_path: Path,
    clock: Clock,
    database: str | None,  # noqa: F811
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    first, second = (Presence(opened(folder).context, clock) for folder in (studies, other))
    first.note("a", "one", "Ada", 0)
    assert second.note("a", "two", "Ben", 0) == []
    assert (first.users(["a"]), second.users(["a"])) == ({"a": ["Ada"]}, {"a": ["Ben"]})
