"""The publish gate."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lib.server.training.publish_gate import ALWAYS, GATE, NEVER, decide

OLD = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
UNSEEN = [False] * 5


@pytest.mark.parametrize(
    ("change", "publish", "is_passed", "is_published"),
    [
        pytest.param(-0.01, GATE, True, True, id="better"),
        pytest.param(0.0, GATE, True, True, id="equal"),
        pytest.param(0.01, GATE, False, False, id="worse"),
        pytest.param(0.01, ALWAYS, False, True, id="worse-and-wanted"),
        pytest.param(-0.01, NEVER, True, False, id="better-and-not-wanted"),
    ],
)
def test_the_gate_lets_through_what_did_not_get_worse(
    change: float, publish: str, is_passed: bool, is_published: bool
) -> None:
    gate = decide(OLD, OLD + change, UNSEEN, publish)
    assert (gate.is_passed, gate.is_published, gate.films) == (is_passed, is_published, 5)
    assert (gate.before, gate.after) == pytest.approx((0.3, 0.3 + change))
    assert gate.films_better == (5 if change < 0 else 0)
    assert not gate.is_weak
    asked = {(False, True): "it was asked to publish in any case.", (True, False): "asked to publish nothing."}
    assert gate.why.endswith(asked.get((is_passed, is_published), " after."))
    assert gate.to_dict()["unit"] == "steps"


def test_the_mean_decides_and_not_the_number_of_images() -> None:
    after = OLD + np.array([-0.01, -0.01, -0.01, -0.01, 0.5])
    gate = decide(OLD, after, UNSEEN, GATE)
    assert (gate.films_better, gate.is_passed) == (4, False)


def test_without_held_out_images_a_model_that_is_worse_on_training_images_is_held_back() -> None:
    better = decide(OLD, OLD - 0.05, [False] * 5, GATE, are_held_out=False)
    assert (better.is_passed, better.is_published, better.is_weak) == (True, True, True)
    assert better.why == (
        "No labelled image is held out; the error on 5 training images did not grow: mean 0.3000 steps before, 0.2500 "
        "after; images that it was trained on are a weak check."
    )
    broken = decide(OLD, OLD + 5, [True] * 5, GATE, are_held_out=False)
    assert (broken.is_passed, broken.is_published) == (False, False)
    assert "the error on 5 training images grew" in broken.why
    assert "earlier version" not in broken.why


@pytest.mark.parametrize("are_held_out", [True, False])
def test_what_was_not_measured_at_all_does_not_pass(are_held_out: bool) -> None:
    gate = decide(np.zeros(0), np.zeros(0), [], GATE, are_held_out=are_held_out)
    assert (gate.before, gate.after, gate.films, gate.is_passed, gate.is_published) == (None, None, 0, False, False)
    assert gate.is_weak


def test_few_images_and_earlier_training_images_are_a_weak_check() -> None:
    few = decide(OLD[:1], OLD[:1], [False], GATE)
    assert few.is_weak
    assert few.why == (
        "The error on 1 held-out image did not grow: mean 0.1000 steps before, 0.1000 after; so few images are a weak "
        "check."
    )
    seen = decide(OLD, OLD, [True, False, False, False, False], GATE)
    assert (seen.seen, seen.is_weak) == (1, True)
    assert "was trained on 1 of them" in seen.why


def test_images_that_the_served_model_cannot_predict_do_not_count() -> None:
    before, after = OLD + np.array([math.nan, 0, 0, 0, 0]), OLD + np.array([math.nan, 0, 0, 0, 0])
    gate = decide(before, after, [True, False, False, False, False], GATE)
    assert (gate.films, gate.seen, gate.before) == (4, 0, pytest.approx(0.35))


def test_a_trained_model_that_says_nothing_does_not_pass() -> None:
    assert not decide(OLD, OLD + np.array([math.nan, 0, 0, 0, 0]), UNSEEN, GATE).is_published


def test_unmeasurable_images_do_not_pass_the_gate() -> None:
    before = np.array([np.nan, np.nan, np.nan, 0.2])
    gate = decide(before, np.array([np.nan, np.nan, np.nan, 0.1]), [False] * 4, GATE)
    assert not gate.is_published
    assert gate.why == "Only 1 of 4 held-out images could be measured."
    gate = decide(np.full(8, np.nan), np.full(8, np.nan), [False] * 8, GATE)
    assert not gate.is_published
    assert gate.why == "Only 0 of 8 held-out images could be measured."
    assert decide(np.full(8, np.nan), np.full(8, np.nan), [False] * 8, ALWAYS).is_published


def test_networks_that_all_did_worse_by_their_own_measure_are_published_on_demand_alone() -> None:
    gate = decide(OLD, OLD - 0.01, UNSEEN, GATE, all_worse=True)
    assert (gate.is_passed, gate.is_published) == (False, False)
    assert "did not grow" in gate.why
    assert "yet every network did worse by its own measure" in gate.why
    assert decide(OLD, OLD - 0.01, UNSEEN, ALWAYS, all_worse=True).is_published
