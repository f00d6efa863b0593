"""Slots, adjudications and old labels of a study on both databases, with several servers on one folder."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lib.server.annotation.readings.adjudication import NotReadError, ReadingChangedError
from lib.server.annotation.readings.listing import readings as listed
from lib.server.annotation.readings.plan_file import PlanChangedError, PlanError
from lib.server.annotation.readings.slot_store import NoSlotError
from lib.server.annotation.readings.study import Study, excluded_from_training
from lib.server.store.label_sync import LabelConflictError, LabelSync
from lib.server.store.schema import OPEN, images, labels
from lib.study.plan import DAY_S, checked_plan

from .conftest import Open
from .study_store import (
    ONCE,
    TWICE,
    Clock,
    both_read,
    markups,
    next_of,
    planned,
    rows,
    store_of,
    study_of,
    submit,
)


def test_a_plan_is_not_replaced_by_somebody_who_has_not_seen_it(study: Study) -> None:
    plans = [checked_plan({**ONCE, "seed": seed}) for seed in range(4)]
    study.change_plan(plans[0], "")
    study.change_plan(plans[1], plans[0].digest)
    for stale in ("", plans[0].digest):
        with pytest.raises(PlanChangedError, match="was changed meanwhile, and nothing was saved"):
            study.change_plan(plans[2], stale)
    assert study.plan() == plans[1]
    study.change_plan(plans[1], plans[0].digest)  # the same again: its answer was lost
    study.change_plan(plans[3])
    assert study.plan() == plans[3]


def test_work_comes_in_the_order_of_the_plan(study: Study) -> None:
    planned(study, TWICE)
    assert next_of(study, "ada") == ("a", 1, "first")
    assert next_of(study, "ada") == ("a", 1, "first")  # what is open comes first
    assert next_of(study, "ben") == ("b", 1, "first")
    assert submit(study, "ada", "a") == ("reading-1", 1)
    assert next_of(study, "ada") == ("c", 1, "first")
    assert submit(study, "ben", "b") == ("reading-1", 1)
    assert next_of(study, "ben") == ("a", 2, "second")
    assert submit(study, "ben", "a") == ("reading-2", 1)
    assert next_of(study, "ben") is None
    assert next_of(study, "dan") == ("b", 2, "second")
    assert rows(study, "a") == [(1, "first", "ada", True), (2, "second", "ben", True)]
    assert store_of(study).get_labeled_images() == []


def test_what_is_read_once_is_final(study: Study) -> None:
    planned(study, ONCE)
    assert next_of(study, "ada") == ("a", 1, "first")
    assert submit(study, "ada", "a") == ("final", 1)
    assert submit(study, "ada", "a", 1, base_version=1) == ("final", 2)  # corrected
    with pytest.raises(LabelConflictError):
        submit(study, "ada", "a", 2, base_version=1)
    with pytest.raises(NoSlotError, match="'ben' has no reading of image 'a' to save"):
        submit(study, "ben", "a")
    assert store_of(study).get_labeled_images() == ["a"]
    assert rows(study, "a") == [(1, "first", "ada", True)]


def test_two_servers_give_no_reading_twice(opened: Open, studies: Path) -> None:
    """Six readers at two servers read everything that the plan wants, all at once."""
    for number in range(12):
        (studies / f"more_{number}.png").write_bytes(b"no pixels")
    readers = ["ada", "ben", "dan", "eve", "fay", "gus"]
    servers = [study_of(opened(studies)) for _ in range(2)]
    planned(servers[0], {**TWICE, "readers": readers, "second_reading": {"share": 0.5}})
    given: list[tuple[str, str, int]] = []

    def work(k: int) -> None:
        server, reader = servers[k % 2], readers[k]
        while (found := next_of(server, reader)) is not None:
            given.append((found[0], reader, found[1]))
            submit(server, reader, found[0], k)

    with ThreadPoolExecutor(len(readers)) as pool:
        list(pool.map(work, range(len(readers))))
    work(0), work(1)  # what was open at others when somebody stopped
    plan = servers[0].plan()
    assert plan is not None
    wanted = {image: 1 + plan.wants_second(image) for image in store_of(servers[0]).list_images()}
    assert set(wanted.values()) == {1, 2}
    assert Counter(image for image, _, _ in given) == wanted
    assert max(Counter((image, reader) for image, reader, _ in given).values()) == 1
    assert {(image, number) for image, _, number in given} == {
        (image, number + 1) for image, count in wanted.items() for number in range(count)
    }
    assert all(one.is_submitted for image in wanted for one in servers[1].slots.of(image).readings)


def test_a_reading_without_a_sign_is_given_away_and_one_over_lunch_is_not(study: Study, clock: Clock) -> None:
    planned(study, TWICE)
    assert next_of(study, "ada") == ("a", 1, "first")
    assert next_of(study, "ben") == ("b", 1, "first")
    for _ in range(180):  # an hour
        clock.now += 20
        study.slots.note_alive("a", "ada")
    assert next_of(study, "dan") == ("b", 1, "first")  # whose client gave no sign for 20 minutes
    assert next_of(study, "ada") == ("a", 1, "first")
    clock.now += 181
    assert next_of(study, "ben") == ("a", 1, "first")
    with pytest.raises(NoSlotError):
        submit(study, "ada", "a")
    clock.now += 1201
    assert submit(study, "ada", "a") == ("reading-1", 1)  # nobody has taken it: the work is not lost
    assert rows(study, "a") == [(1, "first", "ada", True)]


def test_clocks_that_go_wrong_do_not_hold_an_image_for_ever(study: Study, clock: Clock) -> None:
    planned(study, ONCE)
    clock.now += 10 * DAY_S
    assert next_of(study, "ada") == ("a", 1, "first")
    clock.now -= 10 * DAY_S
    assert next_of(study, "ben") == ("a", 1, "first")


def test_what_is_given_back_goes_to_others_first(study: Study) -> None:
    planned(study, ONCE)
    assert next_of(study, "ada") == ("a", 1, "first")
    assert not study.slots.release("a", "ben")
    assert study.slots.release("a", "ada")
    assert rows(study, "a") == []
    assert next_of(study, "ben") == ("a", 1, "first")


def test_a_second_reading_that_is_given_back_comes_again_when_nothing_else_is_left(study: Study) -> None:
    planned(study, TWICE)
    submit(study, "ada", "a")
    submit(study, "ada", "b")
    assert next_of(study, "ben") == ("a", 2, "second")
    study.slots.release("a", "ben")
    assert next_of(study, "ben") == ("b", 2, "second")
    submit(study, "ben", "b")
    assert next_of(study, "ben") == ("c", 1, "first")
    submit(study, "ben", "c")
    assert next_of(study, "ben") == ("a", 2, "second")


def test_a_repeat_comes_to_the_same_reader_after_its_days(study: Study, clock: Clock) -> None:
    planned(study, {**ONCE, "repeat": {"share": 1.0, "after_days": 14}})
    assert next_of(study, "ada") == ("a", 1, "first")
    assert submit(study, "ada", "a") == ("final", 1)
    clock.now += 13.9 * DAY_S
    assert next_of(study, "ada") == ("b", 1, "first")
    assert study.slots.release("b", "ada")
    clock.now += 0.2 * DAY_S
    assert next_of(study, "ben") == ("b", 1, "first")
    assert next_of(study, "ada") == ("a", 2, "repeat")
    assert submit(study, "ada", "a", 5) == ("reading-2", 1)
    assert next_of(study, "ada") == ("c", 1, "first")
    assert store_of(study).get_label_info("a", "final")["version"] == 1  # repeats never change it
    with pytest.raises(NoSlotError):
        submit(study, "ada", "a", 6)


def test_labels_of_before_are_first_readings(study: Study) -> None:
    store = store_of(study)
    store.save_label_content("a", "final", b"{}", {"annotator": "ada", "seconds": 30})
    store.save_label_content("b", "final", b"{}", {"user": "zoe"})
    files = {path: path.read_bytes() for path in store.context.folder.path.rglob("*.json")}
    planned(study, ONCE)
    assert rows(study, "a") == [(1, "first", "ada", True)]
    assert [next_of(study, reader) for reader in ("ada", "ben")] == [("c", 1, "first"), None]
    planned(study, TWICE)
    assert next_of(study, "ben") == ("a", 2, "second")
    assert next_of(study, "dan") == ("b", 2, "second")
    assert submit(study, "ben", "a") == ("reading-2", 1)
    assert {path: path.read_bytes() for path in files} == files
    assert [image.image for image in study.queue.to_adjudicate(checked_plan(TWICE))] == ["a"]
    assert excluded_from_training(store, ["a", "b"]) == {"a", "b"}


def test_a_label_that_comes_without_a_request_counts_at_once(study: Study) -> None:
    planned(study, TWICE)
    store_of(study).save_label_content("a", "final", b"{}", {"user": "zoe"})  # of an import
    planned(study, ONCE)
    with pytest.raises(NoSlotError):
        submit(study, "ada", "a")
    planned(study, TWICE)
    assert submit(study, "ada", "a") == ("reading-2", 1)
    assert rows(study, "a") == [(1, "first", "zoe", True), (2, "second", "ada", True)]


def test_readings_are_found_again_where_the_database_is_lost(opened: Open, studies: Path, database: str | None) -> None:
    if database is not None:
        pytest.skip("the folder's own database is lost")
    study = study_of(store := opened(studies))
    planned(study, TWICE)
    for reader in ("ada", "ben"):
        submit(study, reader, "a", reader)
    store.close()
    for file in (studies / ".vertebra_landmarks").glob("store.sqlite3*"):
        file.unlink()
    again = study_of(opened(studies))
    found = again.slots.of("a")
    assert [(one.number, one.kind, one.tag) for one in found.readings] == [
        (1, "first", "reading-1"),
        (2, "second", "reading-2"),
    ]


def test_an_adjudicator_takes_one_reading_or_the_mean(study: Study) -> None:
    plan, store = both_read(study), store_of(study)
    with pytest.raises(NotReadError):
        study.adjudications.take(plan, "b", 1, "cleo")
    with pytest.raises(ValueError, match=r"take must be 'mean' of two readings, or the number of one \(1, 2\), got 3"):
        study.adjudications.take(plan, "a", 3, "cleo")
    assert study.adjudications.take(plan, "a", 2, "cleo", {1: 1, 2: 1}, base_version=0) == 1
    assert store.read_label("a", "final").content == markups(2.0)
    facts = store.get_label_info("a", "final")
    used = [{"number": 1, "reader": "ada", "version": 1}, {"number": 2, "reader": "ben", "version": 1}]
    assert facts["adjudicated"] == {"how": 2, "readings": used, "by": "cleo"}
    assert (facts["user"], "seconds" in facts) == ("cleo", False)
    assert study.adjudications.take(plan, "a", "mean", "cleo", base_version=1) == 2
    mean = {one.number: one for one in listed(store)}[0]
    assert mean.spine["T3"].center is not None
    assert mean.spine["T3"].center.x == 81.0
    assert study.queue.to_adjudicate(plan) == []
    with pytest.raises(NoSlotError):
        submit(study, "ada", "a")
    assert excluded_from_training(store, ["a"]) == set()


def test_a_reading_that_was_changed_is_looked_at_again(study: Study) -> None:
    plan = both_read(study)
    submit(study, "ben", "a", markups(7.0), base_version=1)
    with pytest.raises(ReadingChangedError):
        study.adjudications.take(plan, "a", 2, "cleo", {1: 1, 2: 1})
    assert store_of(study).get_labeled_images() == []
    assert study.adjudications.take(plan, "a", 2, "cleo", {1: 1, 2: 2}) == 1


def test_a_reading_changed_while_the_choice_is_saved_stops_it(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, store = both_read(study), store_of(study)
    save = store.save_label_content

    def save_late(*arguments: Any, **options: Any) -> int:
        monkeypatch.setattr(store, "save_label_content", save)
        submit(study, "ada", "a", markups(9.0))
        return save(*arguments, **options)

    monkeypatch.setattr(store, "save_label_content", save_late)
    with pytest.raises(ReadingChangedError):
        study.adjudications.take(plan, "a", 1, "cleo")
    assert store.get_labels_by_image_id("a") == {"reading-1": "a", "reading-2": "a"}
    assert not list((store.context.folder.path / ".vertebra_landmarks" / "versions" / "final").rglob("*.json"))


def test_adjudicators_get_different_images_the_largest_difference_first(study: Study, clock: Clock) -> None:
    for image, move in (("a", 1.0), ("b", 7.0)):
        both_read(study, image, move)
    plan = planned(study, {**TWICE, "adjudicators": ["cleo", "dora"]})
    assert [study.adjudications.next(plan, name) for name in ("cleo", "dora", "cleo")] == ["b", "a", "b"]
    clock.now += 1201
    assert study.adjudications.next(plan, "dora") == "b"
    assert study.adjudications.take(plan, "b", 1, "dora") == 1
    assert [study.adjudications.next(plan, name) for name in ("cleo", "dora")] == ["a", None]


def test_the_plan_changes_in_the_middle(study: Study) -> None:
    planned(study, TWICE)
    submit(study, "ada", "a")
    submit(study, "ada", "b")
    submit(study, "ben", "b")
    assert next_of(study, "dan") == ("a", 2, "second")
    planned(study, {**ONCE, "readers": ["ada", "ben"]})  # without dan, and each image once
    assert rows(study, "a") == [(1, "first", "ada", True)]
    store = store_of(study)
    assert store.get_labels_by_image_id("a") == {"final": "a", "reading-1": "a"}
    assert store.get_label_info("a", "final")["user"] == "ada"
    assert [one.image for one in study.queue.to_adjudicate(checked_plan(ONCE))] == ["b"]  # was read twice all the same
    with pytest.raises(NoSlotError, match="'dan' is no reader of the study plan"):
        submit(study, "dan", "c")


def test_images_and_labels_that_go_take_their_readings_along(study: Study) -> None:
    plan, store = both_read(study), store_of(study)
    study.adjudications.take(plan, "a", 1, "cleo")
    store.remove_label("a", "final")
    assert [one.image for one in study.queue.to_adjudicate(plan)] == ["a"]
    store.remove_label("a", "reading-2")
    assert rows(study, "a") == [(1, "first", "ada", True)]
    assert len(store.label_versions("a", "reading-2")) == 1  # its versions stay
    file = store.context.folder.path / "a.png"
    kept = file.rename(file.with_suffix(".away"))
    store.refresh()
    assert next_of(study, "ben") == ("b", 1, "first")
    assert study.slots.of("a").readings == ()
    kept.rename(file)
    store.refresh()
    assert rows(study, "a") == [(1, "first", "ada", True)]
    store.remove_image("a")
    assert study.slots.of("a").readings == ()


def test_what_a_release_before_readings_has_removed_is_no_reading(study: Study) -> None:
    plan, store = both_read(study), store_of(study)
    study.adjudications.take(plan, "a", 1, "cleo")
    with store.context.database.writing() as connection:  # as that release does, which knows no readings
        connection.execute(labels.update().where(labels.c.tag == "final").values(is_current=False))
        connection.execute(images.update().where(images.c.id == "a").values(state=OPEN))
    (store.context.folder.path / "labels" / "final" / "a.mrk.json").unlink()
    planned(study, {**TWICE, "seed": 2})
    assert [one.image for one in study.queue.to_adjudicate(plan)] == ["a"]
    assert rows(study, "a") == [(1, "first", "ada", True), (2, "second", "ben", True)]


def test_another_image_of_the_same_name_begins_anew(study: Study, tmp_path: Path) -> None:
    both_read(study)
    store = store_of(study)
    (store.context.folder.path / "a.png").unlink()
    store.refresh()
    (tmp_path / "other.png").write_bytes(b"other pixels")
    store.add_image("a", str(tmp_path / "other.png"), {})
    assert rows(study, "a") == []


def test_a_reading_is_there_when_its_writer_dies_and_not_before(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(study, TWICE)

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:  # before the commit
        patched.setattr(type(study.slots.rows), "submit", die)
        with pytest.raises(KeyboardInterrupt):
            submit(study, "ada", "a")
    assert (rows(study, "a"), store_of(study).get_labels_by_image_id("a")) == ([], {})
    with monkeypatch.context() as patched:  # after it
        patched.setattr(LabelSync, "write_current", die)
        with pytest.raises(KeyboardInterrupt):
            submit(study, "ada", "a", 3)
    assert rows(study, "a") == [(1, "first", "ada", True)]
    assert json.loads(store_of(study).read_label("a", "reading-1").content) == {"value": 3}


def test_held_out_images_are_never_learnt_from(study: Study) -> None:
    planned(study, {**ONCE, "hold_out": {"images": ["a"]}})
    for image in "ab":
        submit(study, "ada", image, markups(0))
    assert excluded_from_training(store_of(study), ["a", "b", "c"]) == {"a"}
    assert [(one.image, one.is_final, one.is_held_out) for one in listed(store_of(study))] == [
        ("a", True, True),
        ("b", True, False),
    ]


def test_all_readings_are_listed_with_their_points(study: Study, clock: Clock) -> None:
    plan, store = both_read(study), store_of(study)
    study.adjudications.take(plan, "a", "mean", "cleo")
    store.save_label_content("b", "final", markups(4), {"user": "zoe", "seconds": 12.5, "model_version": "3"})
    found = list(listed(store))
    assert [(one.image, one.number, one.kind, one.reader, one.is_final, one.how) for one in found] == [
        ("a", 1, "first", "ada", False, None),
        ("a", 2, "second", "ben", False, None),
        ("a", 0, "adjudication", "cleo", True, "mean"),
        ("b", 1, "first", "zoe", False, None),  # the plan wants a second one
    ]
    assert [one.spine["T1"].center.x for one in found if one.spine["T1"].center] == [80, 82, 81, 84]
    assert (found[0].seconds, found[0].submitted_at, found[0].is_blind) == (60, clock.now, True)
    assert (found[3].seconds, found[3].model_version, found[3].is_blind) == (12.5, "3", False)
    assert len(list(listed(store, with_adjudicated=False))) == 3
    (store.context.folder.path / "study.yaml").unlink()
    assert [one.is_final for one in listed(store)] == [False, False, True, True]


def test_progress_counts_what_is_done_and_left(study: Study) -> None:
    plan = both_read(study)
    next_of(study, "ada")
    progress = study.progress.of(plan)
    assert progress["readers"] == [
        {"reader": "ada", "done": 1, "open": 1, "to_do": 1, "seconds_median": 60.0},
        {"reader": "ben", "done": 1, "open": 0, "to_do": 1, "seconds_median": 60.0},
        {"reader": "dan", "done": 0, "open": 0, "to_do": 1, "seconds_median": None},
    ]
    assert {name: progress[name] for name in ("images", "read", "to_adjudicate", "final")} == {
        "images": 3,
        "read": 1,
        "to_adjudicate": 1,
        "final": 0,
    }
    study.adjudications.take(plan, "a", 1, "cleo")
    assert (study.progress.of(plan)["final"], study.progress.of(plan)["to_adjudicate"]) == (1, 0)


def test_without_a_plan_everything_is_as_before(study: Study) -> None:
    planned(study, TWICE)
    submit(study, "ada", "a")
    assert store_of(study).pick_first() == "b"
    (store_of(study).context.folder.path / "study.yaml").unlink()
    assert store_of(study).pick_first() == "a"
    assert study.gate("ben").tag("a", "reading-1") == "reading-1"


def test_a_damaged_plan_hides_everything(study: Study) -> None:
    planned(study, TWICE)
    (store_of(study).context.folder.path / "study.yaml").write_text("readers: [ada")
    with pytest.raises(PlanError, match=r"study.yaml in the studies folder is no study plan: study.yaml, line 1"):
        study.gate("ben")
    with pytest.raises(PlanError):
        excluded_from_training(store_of(study), ["a"])


def test_a_plan_is_no_image_that_is_not_served(study: Study) -> None:
    planned(study, TWICE)
    store_of(study).refresh()
    assert store_of(study).status()["not_served"] == []
