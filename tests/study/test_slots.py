"""Who may read which image, when, and when an image is closed."""

from __future__ import annotations

from typing import Any

import pytest

from lib.study.plan import DAY_S, checked_plan
from lib.study.slots import (
    Adjudication,
    ImageReadings,
    Reading,
    Slot,
    awaits,
    is_closed,
    is_to_adjudicate,
    possible_slot,
    repeat_reader,
)

NOW = 1_800_000_000.0
ONCE = checked_plan({"readers": ["ada", "ben"]})
TWICE = checked_plan({"readers": ["ada", "ben", "dan"], "adjudicators": ["cleo"], "second_reading": {"share": 1.0}})
AGAIN = checked_plan({"readers": ["ada", "ben"], "repeat": {"share": 1.0, "after_days": 14}})
BOTH = checked_plan(
    {
        "readers": ["ada", "ben"],
        "adjudicators": ["cleo"],
        "second_reading": {"share": 1.0},
        "repeat": {"share": 1.0, "after_days": 14},
    }
)


def made(number: int, reader: str, kind: str = "first", days_ago: float = 0, **others: Any) -> Reading:
    return Reading(number, kind, reader, True, NOW - days_ago * DAY_S, f"reading-{number}", 1, **others)


def begun(number: int, reader: str, kind: str = "first") -> Reading:
    return Reading(number, kind, reader, False, NOW, f"reading-{number}")


def image(*readings: Reading, chosen: bool = False) -> ImageReadings:
    return ImageReadings("x", readings, Adjudication("cleo", 1) if chosen else None)


FIRST, SECOND = made(1, "ada"), made(2, "ben", "second")


@pytest.mark.parametrize(
    ("plan", "present", "slots"),
    [
        (ONCE, image(), {"ada": Slot(1, "first"), "ben": Slot(1, "first"), "eve": None, "cleo": None}),
        (ONCE, image(begun(1, "ada")), {"ada": None, "ben": None}),
        (ONCE, image(FIRST), {"ada": None, "ben": None}),
        (TWICE, image(begun(1, "ada")), {"ada": None, "ben": None}),
        (TWICE, image(FIRST), {"ada": None, "ben": Slot(2, "second"), "dan": Slot(2, "second"), "cleo": None}),
        (TWICE, image(FIRST, begun(2, "ben", "second")), {"ada": None, "ben": None, "dan": None}),
        (TWICE, image(FIRST, SECOND), {"ada": None, "ben": None, "dan": None}),
        (TWICE, image(FIRST, chosen=True), {"ben": None}),
        (AGAIN, image(FIRST), {"ada": None, "ben": None}),
        (AGAIN, image(made(1, "ada", days_ago=13.9)), {"ada": None}),
        (AGAIN, image(made(1, "ada", days_ago=14)), {"ada": Slot(2, "repeat"), "ben": None}),
        (AGAIN, image(made(1, "ada", days_ago=14), begun(2, "ada", "repeat")), {"ada": None}),
        (AGAIN, image(made(1, "ada", days_ago=14), made(2, "ada", "repeat")), {"ada": None}),
        (AGAIN, image(made(1, "eve", days_ago=14)), {"ada": None, "eve": None}),
        (BOTH, image(made(1, "ada", days_ago=14)), {"ada": Slot(3, "repeat"), "ben": Slot(2, "second")}),
        (BOTH, image(made(1, "ada", days_ago=14), SECOND, chosen=True), {"ada": Slot(3, "repeat"), "ben": None}),
        (TWICE, image(FIRST, made(2, "ada", "repeat")), {"ben": Slot(3, "second")}),
        (TWICE, image(SECOND), {"ada": Slot(1, "first"), "ben": None, "dan": Slot(1, "first")}),  # a first was removed
        (TWICE, image(begun(2, "ben", "second")), {"ada": Slot(1, "first"), "ben": None}),
        (ONCE, image(SECOND), {"ada": None, "ben": None}),
        (ONCE, image(begun(2, "ben", "second")), {"ada": None}),
        (AGAIN, image(made(2, "ada", "repeat")), {"ada": None, "ben": Slot(1, "first")}),
        (TWICE, image(made(1, "eve")), {"ada": Slot(2, "second"), "eve": None}),
    ],
)
def test_who_may_begin_what(plan: Any, present: ImageReadings, slots: dict[str, Slot | None]) -> None:
    assert {reader: possible_slot(plan, present, reader, NOW) for reader in slots} == slots


@pytest.mark.parametrize(
    ("plan", "present", "closed", "to_adjudicate"),
    [
        (ONCE, image(), False, False),
        (ONCE, image(begun(1, "ada")), False, False),
        (ONCE, image(FIRST), True, False),
        (ONCE, image(FIRST, SECOND), False, True),  # of a plan before, which wanted both
        (ONCE, image(FIRST, begun(2, "ben", "second")), False, False),
        (TWICE, image(FIRST), False, False),
        (TWICE, image(FIRST, SECOND), False, True),
        (TWICE, image(FIRST, SECOND, chosen=True), True, False),
        (TWICE, image(FIRST, made(3, "ada", "repeat")), False, False),
        (AGAIN, image(FIRST), True, False),
    ],
)
def test_when_an_image_is_closed(plan: Any, present: ImageReadings, closed: bool, to_adjudicate: bool) -> None:
    assert (is_closed(plan, present), is_to_adjudicate(plan, present)) == (closed, to_adjudicate)


@pytest.mark.parametrize(
    ("plan", "present", "kinds"),
    [
        (ONCE, image(), {"ada": ("first",), None: ("first",)}),
        (ONCE, image(FIRST), {"ada": (), "ben": (), None: ()}),
        (TWICE, image(), {"ada": ("first", "second"), None: ("first", "second")}),
        (TWICE, image(FIRST), {"ada": ("first",), "ben": ("second",), None: ("first", "second")}),
        (TWICE, image(FIRST, SECOND), {"ada": ("first",), "ben": ("second",), "dan": ("second",)}),
        (TWICE, image(FIRST, SECOND, chosen=True), {"ada": (), "ben": (), "dan": (), None: ()}),
        (AGAIN, image(FIRST), {"ada": ("repeat",), "ben": (), None: ("repeat",)}),
        (BOTH, image(FIRST), {"ada": ("first", "repeat"), "ben": ("second",)}),
    ],
)
def test_what_is_awaited_of_whom(plan: Any, present: ImageReadings, kinds: dict[str | None, tuple[str, ...]]) -> None:
    assert {reader: awaits(plan, present, reader) for reader in kinds} == kinds


def test_a_repeat_is_dropped_with_its_reader() -> None:
    assert repeat_reader(AGAIN, image(FIRST)) == "ada"
    assert repeat_reader(checked_plan({"readers": ["ben"], "repeat": {"share": 1.0}}), image(FIRST)) is None
