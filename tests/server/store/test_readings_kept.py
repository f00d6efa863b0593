"""No reading is lost, shown or called blind through removals, imports and changes of the plan."""

from __future__ import annotations

from typing import Any

import pytest

from lib.server.annotation.readings.listing import readings as listed
from lib.server.annotation.readings.study import Study
from lib.server.store.schema import study_plans
from lib.study.plan import checked_plan, plan_text

from .study_store import ONCE, TWICE, Clock, both_read, markups, next_of, planned, rows, store_of, study_of, submit


def test_versions_of_a_removed_reading_are_hidden_from_whoever_reads_in_its_place(study: Study) -> None:
    planned(study, TWICE)
    submit(study, "ada", "a")
    store = store_of(study)
    store.remove_label("a", "reading-1")
    assert submit(study, "ben", "a") == ("reading-1", 2)
    made = [one["info"] for one in store.label_versions("a", "reading-1")]
    gate = study.gate("ben")
    assert gate.tag("a", "reading-1") == "reading-1"
    assert [gate.shows_version("a", "reading-1", info) for info in made] == [False, True]
    assert [study.gate("cleo").shows_version("a", "reading-1", info) for info in made] == [True, True]
    predicted = [{"model_version": "1"}, {"model_version": "1", "user": "ada"}]  # with points that she has fixed
    assert [gate.shows_version("a", "original", info) for info in predicted] == [True, False]


def test_an_adjudicated_label_that_is_removed_leaves_the_reading_that_it_has_replaced(study: Study) -> None:
    planned(study, ONCE)
    assert submit(study, "ada", "a", markups(0.0)) == ("final", 1)
    plan, store = both_read(study, "b"), store_of(study)
    submit(study, "ben", "a", markups(2.0))
    assert study.adjudications.take(plan, "a", 2, "cleo") == 2
    store.remove_label("a", "final")
    planned(study, {**TWICE, "seed": 2})  # and whatever is no reading is dropped
    assert rows(study, "a") == [(1, "first", "ada", True), (2, "second", "ben", True)]
    assert [image.image for image in study.queue.to_adjudicate(plan)] == ["a", "b"]
    label = store.read_label("a", "final")
    assert (label.version, label.content, label.metadata["user"]) == (3, markups(0.0), "ada")
    assert submit(study, "ada", "a", markups(1.0), base_version=3) == ("final", 4)
    store.remove_label("a", "final")  # the reading itself
    planned(study, TWICE)
    assert rows(study, "a") == [(2, "second", "ben", True)]
    assert store.get_labels_by_image_id("a") == {"reading-2": "a"}


def test_a_first_reading_that_was_removed_is_read_again(study: Study) -> None:
    both_read(study)
    store_of(study).remove_label("a", "reading-1")
    assert next_of(study, "ben") == ("b", 1, "first")
    assert next_of(study, "dan") == ("a", 1, "first")


def test_where_one_reading_is_wanted_a_second_one_that_is_left_is_final(study: Study) -> None:
    both_read(study)
    store_of(study).remove_label("a", "reading-1")
    planned(study, ONCE)
    assert store_of(study).read_label("a", "final").content == markups(2.0)
    assert next_of(study, "dan") == ("b", 1, "first")


def test_a_plan_that_is_reduced_for_a_moment_takes_no_second_reading_away(study: Study) -> None:
    twice, store = planned(study, TWICE), store_of(study)
    submit(study, "ada", "a", markups(0.0))
    assert study.effect_of(checked_plan(ONCE)) == (1, 0)
    assert store.get_labeled_images() == []
    assert study.change_plan(checked_plan(ONCE)) == (1, 0)
    assert study.gate("ben").tag("a", "final") == "final"
    (store.context.folder.path / "study.yaml").write_text(plan_text(twice))  # by hand: hidden before anything settles
    assert study.gate("ben").tag("a", "final") is None
    planned(study, TWICE)
    assert store.get_labels_by_image_id("a") == {"reading-1": "a"}
    assert next_of(study, "ben") == ("a", 2, "second")
    submit(study, "ben", "a", markups(2.0))
    study.adjudications.take(twice, "a", 2, "cleo")
    for values in (ONCE, TWICE):
        planned(study, values)
    assert store.read_label("a", "final").content == markups(2.0)  # somebody has chosen it


ALONE: dict[str, Any] = {"readers": ["ada"], "adjudicators": ["cleo"]}
JUDGE: dict[str, Any] = {**TWICE, "readers": ["ada", "dan"], "adjudicators": ["ben"]}


@pytest.mark.parametrize(
    ("between", "is_blind"),
    [(TWICE | {"seed": 4}, True), (TWICE | {"blind": False}, False), (ONCE, False), (ALONE, False), (JUDGE, False)],
)
def test_a_reading_is_blind_only_if_the_image_was_never_shown_to_its_reader(
    study: Study, clock: Clock, between: dict[str, Any], is_blind: bool
) -> None:
    planned(study, TWICE)
    submit(study, "ada", "a")
    for values in (between, TWICE):
        clock.now += 60
        planned(study, values)
    assert next_of(study, "ben") == ("a", 2, "second")
    assert study.slots.of("a").readings[1].is_blind == is_blind
    clock.now += 60
    submit(study, "ben", "a")
    first, second = study.slots.of("a").readings
    assert (first.is_blind, second.is_blind) == (True, is_blind)
    noted = store_of(study).get_label_info("a", "reading-2")["reading"]
    assert noted == {"number": 2, "kind": "second", "blind": is_blind}


def test_a_reading_that_was_unblinded_while_it_was_made_or_before_a_correction_is_not_blind(
    study: Study, clock: Clock
) -> None:
    planned(study, TWICE)
    for image in ("a", "b"):
        submit(study, "ada", image)
    submit(study, "ben", "b")
    assert study.slots.of("b").readings[1].is_blind
    assert next_of(study, "ben") == ("a", 2, "second")
    for is_blind in (False, True):
        clock.now += 60
        planned(study, {**TWICE, "blind": is_blind})
    for image in ("a", "b"):
        submit(study, "ben", image, 1)
    assert [study.slots.of(image).readings[1].is_blind for image in ("a", "b")] == [False, False]


def test_labels_of_before_a_plan_were_shown_and_a_study_of_before_plans_were_noted_stays_blind(
    study: Study, clock: Clock
) -> None:
    store = store_of(study)
    store.save_label_content("a", "final", b"{}", {"user": "zoe"})
    planned(study, TWICE)
    submit(study, "ada", "b")
    for image in ("a", "b"):
        submit(study, "ben", image)
    assert [study.slots.of(image).readings[1].is_blind for image in ("a", "b")] == [False, True]
    with store.context.database.writing() as connection:  # as a release before has left it
        connection.execute(study_plans.delete())
    clock.now += 60
    later = study_of(store, clock)
    planned(later, {**TWICE, "seed": 3})
    submit(later, "ada", "c")
    submit(later, "ben", "c")
    submit(later, "ben", "b", 5)
    assert [later.slots.of(image).readings[1].is_blind for image in "bc"] == [True, True]


@pytest.mark.parametrize(("plan", "tag"), [(TWICE, "final"), (ONCE, "final"), (TWICE, "reading-1")])
def test_a_label_that_is_imported_during_a_reading_does_not_stop_it(study: Study, plan: Any, tag: str) -> None:
    planned(study, plan)
    assert next_of(study, "ada") == ("a", 1, "first")
    store_of(study).save_label_content("a", tag, markups(5.0), {"user": "zoe"})
    made, version = submit(study, "ada", "a", markups(0.0), base_version=0)
    assert (made != tag, version) == (True, 1)
    assert rows(study, "a") == [(1, "first", "ada", True), (2, "second", "zoe", True)]
    found = {one.reader: one.spine["T1"].center for one in listed(store_of(study)) if one.number}
    assert {reader: center.x for reader, center in found.items() if center} == {"ada": 80, "zoe": 85}
    assert store_of(study).read_label("a", tag).content == markups(5.0)


def test_a_label_saved_past_the_plan_over_a_reading_is_the_final_one_in_every_list(study: Study) -> None:
    planned(study, ONCE)
    submit(study, "ada", "a", markups(0.0))
    submit(study, "ada", "b", markups(0.0))
    store = store_of(study)
    store.save_label_content("a", "final", markups(5.0), {"user": "zoe"})
    store.save_label_content("b", "final", markups(6.0), {"user": "ada"})  # without a plan, or by an edit of the file
    wanted = [("a", 1, "ada", 1, False), ("a", 0, "zoe", 2, True), ("b", 1, "ada", 2, True)]
    for _ in range(2):  # before and after rows are written
        assert [(one.image, one.number, one.reader, one.version, one.is_final) for one in listed(store)] == wanted
        planned(study, {**ONCE, "seed": 7})
    store.save_label_content("a", "final", markups(7.0), {"user": "eve"})
    wanted[1] = ("a", 0, "eve", 3, True)
    for _ in range(2):
        assert [(one.image, one.number, one.reader, one.version, one.is_final) for one in listed(store)] == wanted
        planned(study, ONCE)
    study.slots.adopt("a")
    store.remove_label("a", "final")
    assert [(one.image, one.reader, one.version) for one in listed(store)] == [("a", "ada", 4), ("b", "ada", 2)]
