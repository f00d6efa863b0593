"""The best chain against trying every chain."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from lib.learning.decoders.chain import Steps, best_chain

Given = tuple[np.ndarray, np.ndarray, Steps, np.ndarray, np.ndarray]


def scores(v: int, c: int, s: int, seed: int) -> Given:
    """Random scores, with a step between every two candidates in three of four cases."""
    random = np.random.default_rng(seed)
    way = Steps.of(random.uniform(size=(c, c)) < 0.75)
    change = np.abs(random.normal(size=(s, s))) * (1 - np.eye(s))
    e, p = way.before.shape
    return random.normal(size=(s, v, c)), change, way, random.normal(size=e), random.normal(size=(e, p))


def total(chain: tuple[int, ...], states: tuple[int, ...], given: Given) -> float:
    """Sum of the scores of one chain, term by term; minus infinity where it takes a step that there is none for."""
    unary, change, way, pair, triple = given
    number = {(int(a), int(b)): i for i, (a, b) in enumerate(zip(way.begin, way.end, strict=True))}
    if any(step not in number for step in itertools.pairwise(chain)):
        return -np.inf
    taken = [number[step] for step in itertools.pairwise(chain)]
    twos = [triple[b, way.before[b].tolist().index(a)] for a, b in itertools.pairwise(taken)]
    return float(
        sum(unary[s, v, c] for v, (s, c) in enumerate(zip(states, chain, strict=True)))
        - sum(change[a, b] for a, b in itertools.pairwise(states))
        + pair[taken].sum()
        + sum(twos)
    )


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("v", "c", "s"), [(3, 5, 1), (4, 4, 2), (4, 3, 3), (5, 4, 1), (6, 3, 1)])
def test_no_chain_is_better(v: int, c: int, s: int, seed: int) -> None:
    given = scores(v, c, s, seed)
    every = itertools.product(itertools.product(range(c), repeat=v), itertools.product(range(s), repeat=v))
    best = max(every, key=lambda one: total(*one, given))
    found = best_chain(*given)
    assert found.total == pytest.approx(total(*best, given))
    if np.isfinite(found.total):
        assert (tuple(found.candidates), tuple(found.states)) == best


def test_a_chain_that_no_steps_allow_scores_minus_infinity() -> None:
    way = Steps.of(np.eye(4, k=1, dtype=bool))  # 0 to 1 to 2 to 3, and no further
    found = best_chain(np.zeros((2, 5, 4)), np.zeros((2, 2)), way, np.zeros(3), np.zeros(way.before.shape))
    assert found.total == -np.inf
    assert len(found.candidates) == len(found.states) == 5
    none = Steps.of(np.zeros((4, 4), bool))
    assert best_chain(np.zeros((1, 3, 4)), np.zeros((1, 1)), none, np.zeros(0), np.zeros((0, 1))).total == -np.inf


def test_a_change_of_state_happens_once_where_scores_change() -> None:
    """Five places in the first state, five in the second: one change is paid, not more."""
    way = Steps.of(np.eye(10, k=1, dtype=bool))
    unary = np.zeros((2, 10, 10))
    unary[0, :5], unary[1, 5:] = 1.0, 1.0
    unary[1, 2] = 2.5  # not worth two changes
    change = 1.0 - np.eye(2)
    found = best_chain(unary, change, way, np.zeros(9), np.zeros(way.before.shape))
    assert found.states.tolist() == [0] * 5 + [1] * 5
    assert found.total == pytest.approx(9.0)


@pytest.mark.parametrize("part", [1, 3, 4])
def test_shapes_that_do_not_fit_are_named(part: int) -> None:
    given = list(scores(4, 3, 2, 0))
    given[part] = given[part][..., :-1]
    with pytest.raises(ValueError, match=r"shapes do not fit \d+ steps: unary"):
        best_chain(*given)  # type: ignore[arg-type]


def test_a_whole_spine_takes_milliseconds() -> None:
    centers = np.arange(45)
    near = (centers > centers[:, None]) & (centers < centers[:, None] + 10)
    random, way = np.random.default_rng(0), Steps.of(near)
    given = (random.normal(size=(5, 17, 45)), np.ones((5, 5)), way, np.zeros(len(way.end)), np.zeros(way.before.shape))
    begin = time.process_time()
    for _ in range(5):
        best_chain(*given)
    assert (time.process_time() - begin) / 5 < 0.05  # 4 ms on a free core
