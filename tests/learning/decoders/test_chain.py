"""The best chain against trying every chain."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from lib.learning.decoders.chain import best_chain


def total(chain: tuple[int, ...], unary: np.ndarray, pair: np.ndarray, triple: np.ndarray) -> float:
    """Sum of the scores of one chain, term by term."""
    return float(
        sum(unary[v, c] for v, c in enumerate(chain))
        + sum(pair[a, b] for a, b in itertools.pairwise(chain))
        + sum(triple[a, b, c] for a, b, c in zip(chain, chain[1:], chain[2:], strict=False))
    )


def scores(v: int, c: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random scores."""
    random = np.random.default_rng(seed)
    return random.normal(size=(v, c)), random.normal(size=(c, c)), random.normal(size=(c, c, c))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("v", "c"), [(3, 1), (3, 5), (4, 4), (5, 4), (6, 3), (7, 3)])
def test_no_chain_is_better(v: int, c: int, seed: int) -> None:
    given = scores(v, c, seed)
    best = max(itertools.product(range(c), repeat=v), key=lambda chain: total(chain, *given))
    chain, value = best_chain(*given)
    assert tuple(chain) == best
    assert value == pytest.approx(total(best, *given))


def test_single_precision_finds_the_same_chain() -> None:
    unary, pair, triple = scores(6, 4, 0)
    np.testing.assert_array_equal(
        best_chain(unary, pair, triple.astype(np.float32))[0], best_chain(unary, pair, triple)[0]
    )


@pytest.mark.parametrize("shapes", [((2, 3), (3, 3), (3, 3, 3)), ((4, 3), (2, 3), (3, 3, 3)), ((4, 3), (3, 3), (3, 3))])
def test_shapes_that_do_not_fit_are_named(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match=r"shapes do not fit: unary"):
        best_chain(*(np.zeros(shape) for shape in shapes))


def test_a_whole_spine_takes_milliseconds() -> None:
    given = scores(17, 45, 0)
    begin = time.process_time()
    for _ in range(5):
        best_chain(*given)
    assert (time.process_time() - begin) / 5 < 0.05  # 4 ms on a free core
