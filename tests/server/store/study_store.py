"""A study of a folder whose images nobody reads, and what its people do."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from lib.server.annotation.readings.study import Study
from lib.server.store.datastore import StudiesDatastore
from lib.spine.imaging.image_geometry import PIXELS
from lib.spine.labels.markups import to_markups
from lib.spine.schema import Spine
from lib.study.plan import StudyPlan, checked_plan
from lib.study.visibility import viewer_of

ONCE: dict[str, Any] = {"readers": ["ada", "ben", "dan"], "adjudicators": ["cleo"]}
TWICE = {**ONCE, "second_reading": {"share": 1.0}}


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self, _: object) -> float:
        return self.now


def study_of(store: StudiesDatastore, clock: Clock | None = None) -> Study:
    """The study of a folder, whose images nobody reads."""

    def read_image(_: str) -> Any:
        raise AssertionError("no image is needed")

    return Study(store, read_image, has_login=True, now=clock)


def planned(study: Study, values: dict[str, Any]) -> StudyPlan:
    plan = checked_plan(values)
    study.change_plan(plan)
    return plan


def store_of(study: Study) -> StudiesDatastore:
    store: StudiesDatastore = study._store
    return store


def next_of(study: Study, reader: str) -> tuple[str, int, str] | None:
    plan = study.plan()
    assert plan is not None
    found = study.queue.next(plan, reader, store_of(study).pick_first)
    return None if found is None else (found[0], found[1].number, found[1].kind)


def submit(study: Study, reader: str, image: str, value: Any = 0, **options: Any) -> tuple[str, int]:
    """Save a label as a reading; its tag and version."""
    plan = study.plan()
    assert plan is not None
    content = value if isinstance(value, bytes) else json.dumps({"value": value}).encode()
    reading, version = study.slots.submit(
        plan, viewer_of(plan, reader, True), image, content, {"user": reader, "seconds": 60}, **options
    )
    return reading.tag, version


def rows(study: Study, image: str) -> list[tuple[int, str, str, bool]]:
    return [(one.number, one.kind, one.reader, one.is_submitted) for one in study.slots.of(image).readings]


def both_read(study: Study, image: str = "a", move: float = 2.0) -> StudyPlan:
    """Two readings of an image, which differ by some pixels."""
    plan = planned(study, TWICE)
    for reader, by in (("ada", 0.0), ("ben", move)):
        submit(study, reader, image, markups(by))
    return plan


def markups(by: float) -> bytes:
    rows_ = np.arange(17)[:, None, None] * np.array([0.0, 16])
    xy = np.array([80 + by, 20]) + rows_ + np.array([[0, 0], [-10, -6], [10, -6], [-10, 6], [10, 6]])
    return json.dumps(to_markups(Spine.from_arrays(xy), PIXELS)).encode()
