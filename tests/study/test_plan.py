"""The study plan: what it may say, in which sentence it is refused, and which images it draws."""

from __future__ import annotations

from typing import Any

import pytest

from lib.study.plan import StudyPlan, checked_plan, parse_plan, plan_text
from lib.study.plan_warnings import plan_warnings, reader_warnings

PEOPLE = {"readers": ["ada", "ben"], "adjudicators": ["cleo"]}


def test_a_plan_of_readers_alone_has_the_defaults() -> None:
    plan = parse_plan("readers: [ada]\n")
    assert (plan.readers, plan.adjudicators, plan.blind, plan.seed) == (["ada"], [], True, 1)
    assert (plan.second_reading.share, plan.repeat.share, plan.repeat.after_days, plan.hold_out.share) == (0, 0, 14, 0)
    assert all(plan.offers_model(kind) for kind in ("first", "second", "repeat"))


def test_a_plan_is_written_as_it_is_read() -> None:
    plan = checked_plan({**PEOPLE, "second_reading": {"share": 0.5}, "hold_out": {"images": ["Ä 1"]}, "seed": 7})
    assert parse_plan(plan_text(plan)) == plan
    assert plan.digest == parse_plan(plan_text(plan)).digest != checked_plan(PEOPLE).digest


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "study.yaml: a plan is a table that names at least its readers"),
        ("readers: [ada\nblind: true", "study.yaml, line 2: it is no YAML"),
        ("blind: true", "study.yaml: unknown settings [], missing settings ['readers']"),
        ("readers: []", "study.yaml.readers must be a list of names, each once whatever its capitals, got []"),
        (
            "readers: [' ada']",
            "study.yaml.readers must be a list of names, each once whatever its capitals, got [' ada']",
        ),
        *(
            (
                f"readers: {readers}",
                f"study.yaml.readers must be a list of names, each once whatever its capitals, got {readers}",
            )
            for readers in (["ada", "ada"], ["Ada", "ada"], ["Zo\u00eb", "Zoe\u0308"])
        ),
        ("readers: [ada]\nblind: true\nreaders: [ben]", "study.yaml, line 3: 'readers' stands there a second time"),
        ("{readers: [ada], repeat: {share: 0, share: 1}}", "study.yaml, line 1: 'share' stands there a second time"),
        ("{readers: [ada], colour: red}", "study.yaml: unknown settings ['colour'], missing settings []"),
        ("{readers: [ada], blind: 1}", "study.yaml.blind must be true or false, got 1"),
        ("{readers: [ada], repeat: {share: 2}}", "study.yaml.repeat.share must be a number from 0 to 1, got 2"),
        ("{readers: [ada], repeat: {days: 2}}", "study.yaml.repeat: unknown settings ['days'], missing settings []"),
        (
            "{readers: [ada], adjudicators: [Ada]}",
            "adjudicators of the study plan may not be readers, but 'Ada' is both",
        ),
        (
            "{readers: [ada], adjudicators: [cleo], second_reading: {share: 0.5}}",
            "second_reading of the study plan needs two readers at least",
        ),
        (
            "{readers: [ada, ben], second_reading: {share: 0.5}}",
            "second_reading of the study plan needs an adjudicator, who chooses the final labels",
        ),
    ],
)
def test_a_wrong_plan_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        parse_plan(text)
    assert str(error.value) == sentence


def drawn(**changes: Any) -> set[str]:
    plan = checked_plan({**PEOPLE, **changes})
    return {image for image in map(str, range(4000)) if plan.wants_second(image)}


def test_a_share_is_that_of_the_images_and_a_larger_one_keeps_those_of_a_smaller() -> None:
    quarter, half = (drawn(second_reading={"share": share}) for share in (0.25, 0.5))
    assert len(quarter) == pytest.approx(1000, abs=100)  # 3.7 standard deviations
    assert len(half) == pytest.approx(2000, abs=120)
    assert quarter < half
    assert drawn(second_reading={"share": 1.0}) == set(map(str, range(4000)))
    assert drawn(second_reading={"share": 0.0}) == set()


def test_the_draws_for_different_purposes_and_seeds_are_independent() -> None:
    plan = checked_plan({**PEOPLE, **{part: {"share": 0.5} for part in ("second_reading", "repeat", "hold_out")}})
    images = list(map(str, range(4000)))
    both = [image for image in images if plan.wants_second(image) and plan.wants_repeat(image)]
    held_out = [image for image in images if plan.wants_second(image) and plan.is_held_out(image)]
    other = drawn(second_reading={"share": 0.5}) & drawn(second_reading={"share": 0.5}, seed=2)
    for found in (both, held_out, other):
        assert len(found) == pytest.approx(1000, abs=110)


def test_named_images_are_held_out() -> None:
    plan = StudyPlan.model_validate({**PEOPLE, "hold_out": {"images": ["calibration 1"]}})
    assert plan.is_held_out("calibration 1")
    assert not plan.is_held_out("calibration 2")


@pytest.mark.parametrize(
    "name", ["Zo\u00eb", "Zoe\u0308.PNG", "Zo\u00eb.nii.gz", "C:\\images\\Zo\u00eb.dcm", "/data/Zo\u00eb.tif"]
)
def test_held_out_images_may_be_named_by_their_files(name: str) -> None:
    plan = checked_plan({**PEOPLE, "hold_out": {"images": [name]}})
    assert plan.is_held_out("Zo\u00eb")
    assert plan.is_held_out("Zoe\u0308")
    assert not plan.is_held_out("Zo")
    assert plan_warnings(plan, ["Zo\u00eb"]) == []


def test_a_plan_that_names_what_is_not_there_is_warned_of() -> None:
    images = ["P1.png", "p2", "P3", "P4", "P5"]
    plan = checked_plan({**PEOPLE, "hold_out": {"images": images}})
    (sentence,) = plan_warnings(plan, ["P1", "P2"])
    assert sentence.startswith(
        "hold_out of the study plan names 'p2', 'P3', 'P4' and 1 more, and the studies folder has no such image"
    )
    renamed, respelt = reader_warnings(plan, ["ada", "cleo", "", "zoe", "Ben"])[::-1]
    assert respelt.startswith(
        "'Ben' has made readings and is no reader of the study plan: the plan spells the name 'ben'"
    )
    assert renamed.startswith("'zoe' has made readings and is no reader of the study plan: the plan may name")
