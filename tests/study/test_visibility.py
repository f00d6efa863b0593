"""The rule by which a study is blind."""

from __future__ import annotations

from typing import Any

import pytest

from lib.study.plan import DAY_S, checked_plan
from lib.study.slots import Adjudication, ImageReadings, Reading
from lib.study.visibility import (
    Viewer,
    may_change,
    own_reading,
    part_of,
    reading_state,
    sees_labels,
    sees_model,
    viewer_of,
)

NOW = 1_800_000_000.0
PLAN: dict[str, Any] = {"readers": ["ada", "ben"], "adjudicators": ["cleo"], "second_reading": {"share": 1.0}}
TWICE, OPEN = checked_plan(PLAN), checked_plan({**PLAN, "blind": False})
AGAIN = checked_plan({**PLAN, "second_reading": {"share": 0.0}, "repeat": {"share": 1.0}})
ADA, BEN = (Viewer(name, False, name) for name in ("ada", "ben"))
CLEO, NOBODY = Viewer("cleo", True), Viewer("", False)


def reading(number: int, reader: str, kind: str = "first", days_ago: float = 0.0, is_submitted: bool = True) -> Reading:
    return Reading(number, kind, reader, is_submitted, NOW - days_ago * DAY_S, f"reading-{number}", 1)


def image(*readings: Reading, chosen: bool = False) -> ImageReadings:
    return ImageReadings("x", readings, Adjudication("cleo", 1) if chosen else None)


FIRST, SECOND = reading(1, "ada"), reading(2, "ben", "second")


@pytest.mark.parametrize(
    ("name", "has_login", "expected"),
    [
        ("ada", True, ADA),
        ("ada", False, ADA),
        ("cleo", True, CLEO),
        ("cleo", False, CLEO),
        ("root", True, Viewer("root", True)),
        ("root", False, Viewer("root", False)),
        ("", False, NOBODY),
    ],
)
def test_who_somebody_is_in_a_study(name: str, has_login: bool, expected: Viewer) -> None:
    assert viewer_of(TWICE, name, has_login) == expected
    assert viewer_of(None, name, has_login).sees_all


@pytest.mark.parametrize(
    ("plan", "present", "seen_by"),
    [
        (TWICE, image(FIRST), (CLEO,)),
        (TWICE, image(FIRST, SECOND), (CLEO,)),
        (TWICE, image(FIRST, SECOND, chosen=True), (ADA, BEN, CLEO, NOBODY)),
        (OPEN, image(FIRST), (ADA, BEN, CLEO, NOBODY)),
        (AGAIN, image(FIRST), (BEN, CLEO)),  # whoever reads it once more sees not even the own reading
        (AGAIN, image(FIRST, reading(2, "ada", "repeat", is_submitted=False)), (BEN, CLEO)),
        (AGAIN, image(FIRST, reading(2, "ada", "repeat")), (ADA, BEN, CLEO, NOBODY)),
    ],
)
def test_who_sees_the_labels_of_an_image(plan: Any, present: ImageReadings, seen_by: tuple[Viewer, ...]) -> None:
    everybody = (ADA, BEN, CLEO, NOBODY)
    assert tuple(one for one in everybody if sees_labels(plan, one, present)) == seen_by


@pytest.mark.parametrize(
    ("plan", "present", "viewer", "own", "may"),
    [
        (TWICE, image(), ADA, None, False),
        (TWICE, image(reading(1, "ada", is_submitted=False)), ADA, 1, False),
        (TWICE, image(FIRST), ADA, 1, True),
        (TWICE, image(FIRST), BEN, None, False),
        (TWICE, image(FIRST), NOBODY, None, False),
        (TWICE, image(FIRST, SECOND), BEN, 2, True),
        (TWICE, image(FIRST, SECOND, chosen=True), BEN, 2, False),
        (AGAIN, image(reading(1, "ada", days_ago=0.9)), ADA, 1, True),
        (AGAIN, image(reading(1, "ada", days_ago=1.1)), ADA, None, False),
        (AGAIN, image(reading(1, "ada", days_ago=20), reading(2, "ada", "repeat", is_submitted=False)), ADA, 2, False),
        (AGAIN, image(reading(1, "ada", days_ago=20), reading(2, "ada", "repeat")), ADA, 2, False),
        (OPEN, image(FIRST), ADA, 1, True),
    ],
)
def test_which_reading_somebody_works_on(
    plan: Any, present: ImageReadings, viewer: Viewer, own: int | None, may: bool
) -> None:
    found = own_reading(plan, viewer, present, NOW)
    assert (found.number if found else None) == own
    changed = may_change(plan, viewer, present, NOW)
    assert changed == (found if may else None)


def test_the_model_is_offered_by_kind_of_reading() -> None:
    plan = checked_plan({**PLAN, "model": {"first": True, "second": False}})
    begun = image(reading(1, "ada", is_submitted=False))
    assert [sees_model(plan, one, begun) for one in (ADA, BEN, CLEO, NOBODY)] == [True, False, True, False]
    assert [sees_model(plan, one, image(FIRST)) for one in (ADA, BEN, CLEO, NOBODY)] == [True, False, True, False]
    assert sees_model(plan, BEN, image(FIRST, SECOND, chosen=True))
    assert not sees_model(checked_plan({**PLAN, "blind": False, "model": {"second": False}}), BEN, image(FIRST))


@pytest.mark.parametrize(
    ("plan", "present", "states"),
    [
        (TWICE, image(), ("to read", "to read", "to read", "to read")),
        (TWICE, image(reading(1, "ada", is_submitted=False)), ("yours, open", "to read", "to read", "to read")),
        (TWICE, image(FIRST), ("read", "to read", "read", "to read")),
        (TWICE, image(FIRST, SECOND), ("read", "read", "to adjudicate", "to read")),
        (TWICE, image(FIRST, SECOND, chosen=True), ("final", "final", "final", "final")),
        (AGAIN, image(FIRST), ("read", "final", "final", "to read")),
        (AGAIN, image(reading(1, "ada", days_ago=15)), ("to read", "final", "final", "to read")),
    ],
)
def test_how_far_an_image_is_for_whom(plan: Any, present: ImageReadings, states: tuple[str, ...]) -> None:
    viewers = (ADA, BEN, CLEO, NOBODY)
    assert tuple(reading_state(plan, one, present, NOW) for one in viewers) == states


@pytest.mark.parametrize(
    ("plan", "present", "may_save"),
    [
        (TWICE, image(), (True, True, False, False)),
        (TWICE, image(reading(1, "ada", is_submitted=False)), (True, True, False, False)),
        (TWICE, image(FIRST), (True, True, False, False)),
        (TWICE, image(FIRST, SECOND), (True, True, True, False)),
        (TWICE, image(FIRST, SECOND, chosen=True), (False, False, True, False)),
        (AGAIN, image(FIRST), (True, False, True, False)),
        (AGAIN, image(reading(1, "ada", days_ago=5)), (False, False, True, False)),
        (AGAIN, image(reading(1, "ada", days_ago=15)), (True, False, True, False)),
        (OPEN, image(reading(1, "ada", is_submitted=False)), (True, False, False, False)),
    ],
)
def test_who_may_save_points(plan: Any, present: ImageReadings, may_save: tuple[bool, ...]) -> None:
    viewers = (ADA, BEN, CLEO, NOBODY)
    parts = [part_of(plan, one, present, NOW) for one in viewers]
    assert tuple(part.may_save for part in parts) == may_save
    assert [part.reading for part in parts] == [own_reading(plan, one, present, NOW) for one in viewers]


def test_what_a_second_reader_is_told_is_the_same_before_and_after_the_first_reading() -> None:
    begun, made = image(reading(1, "ada", is_submitted=False)), image(FIRST)
    assert part_of(TWICE, BEN, image(), NOW) == part_of(TWICE, BEN, begun, NOW) == part_of(TWICE, BEN, made, NOW)
