"""Scores and orders of images, from descriptors made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lib.learning.active_learning import STRATEGIES, ImageDescriptor
from lib.learning.active_learning.anatomy import anatomy_score
from lib.learning.active_learning.balanced import balanced_order
from lib.learning.active_learning.diverse import diverse_order
from lib.learning.active_learning.embedding import distances, embedding, nearest
from lib.learning.active_learning.informative import informative_order

NOTHING = np.empty((0, 1))


def descriptor(entropy: float = 0.1, margin: float = 0.0, violations: int = 0, place: float = 0.0) -> ImageDescriptor:
    shape = np.stack([np.full(17, place), np.arange(17.0)], 1)
    return ImageDescriptor(entropy, 0.2, margin, violations, np.array([place, 1.0]), shape)


def test_scores_by_hand() -> None:
    assert descriptor(entropy=0.3).uncertainty == pytest.approx(0.5)
    assert anatomy_score(descriptor(margin=0.5, violations=17)) == pytest.approx(1.5)


def test_the_most_uncertain_image_and_the_least_plausible_one_come_first() -> None:
    pool = [descriptor(), descriptor(entropy=0.9), descriptor(margin=2.0), descriptor(violations=4)]
    assert STRATEGIES["uncertainty"].choose(pool, [], 1) == [1]
    assert STRATEGIES["anatomy"].choose(pool, [], 2) == [2, 3]


def test_diverse_takes_the_farthest_image_and_then_the_farthest_from_that() -> None:
    line = np.array([[0.0], [1.0], [4.0], [10.0]])
    assert diverse_order(line, np.ones(4), np.array([[0.0]]), 4) == [3, 2, 1, 0]
    assert diverse_order(line, np.array([1.0, 9.0, 1.0, 0.5]), np.array([[0.0]]), 1) == [1]  # the weight counts


def test_informative_takes_the_middle_of_the_crowd_before_the_outlier_and_no_twins() -> None:
    line = np.array([[4.9], [5.0], [5.1], [9.0]])
    assert informative_order(line, np.ones(4), np.array([[0.0]]), 2) == [2, 3]
    assert informative_order(line, np.array([50.0, 1.0, 1.0, 1.0]), np.array([[0.0]]), 1) == [2]  # no weight counts
    assert informative_order(line, np.ones(4), np.array([[5.0]]), 1) == [3]  # the crowd is known


def test_informative_leaves_the_least_variance_of_all_choices() -> None:
    """The first choice against the variance that is left after each, by the textbook's formula."""
    random = np.random.default_rng(0)
    pool, labelled = random.normal(size=(6, 2)), random.normal(size=(3, 2))

    def left(known: np.ndarray) -> float:
        everything = np.concatenate([pool, labelled])
        width = np.median(((everything[:, None] - everything) ** 2).sum(-1))
        alike = [np.exp(-((pool[:, None] - other) ** 2).sum(-1) / width) for other in (pool, known)]
        beside = np.exp(-((known[:, None] - known) ** 2).sum(-1) / width) + 0.3 * np.eye(len(known))
        return float(np.trace(alike[0] - alike[1] @ np.linalg.inv(beside) @ alike[1].T))

    after = [left(np.concatenate([labelled, pool[place : place + 1]])) for place in range(6)]
    assert informative_order(pool, np.ones(6), labelled, 1) == [int(np.argmin(after))]


def test_rare_kinds_count_for_more_than_their_number() -> None:
    """After m labels a kind of equal images has the variance v = 0.3 / (m + 0.3); the next takes v² / (v + 0.3) of it.

    That is 0.769, 0.100, 0.0395, 0.0211, 0.0132, 0.0090, 0.0065, ... for each image, which counts 100 to 25 by
    number, and 10 to 5 by the square root of it.
    """
    kinds = np.repeat([0.0, 10.0], [100, 25])[:, None]
    orders = [order(kinds, np.ones(125), kinds[:0], 9) for order in (informative_order, balanced_order)]
    assert ["".join("fr"[place >= 100] for place in order) for order in orders] == ["frffrffrf", "frfrffrfr"]
    assert balanced_order(kinds, np.ones(125), kinds[-1:], 1)[0] < 100  # the rare kind is known
    unsure = np.where(kinds[:, 0] > 0, 0.6, 0.4)  # 2.25 when squared, which is more than 10 to 5
    assert balanced_order(kinds, unsure, kinds[:0], 1)[0] >= 100


@pytest.mark.parametrize(
    "order", [diverse_order, informative_order, balanced_order], ids=["diverse", "informative", "balanced"]
)
def test_nothing_is_chosen_twice_and_no_label_is_needed(order) -> None:  # type: ignore[no-untyped-def]
    same = np.zeros((5, 3))
    assert sorted(order(same, np.ones(5), np.empty((0, 3)), 9)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_chooses_as_many_as_asked_and_none_of_an_empty_pool(strategy: str) -> None:
    pool = [descriptor(place=float(place)) for place in range(5)]
    chosen = STRATEGIES[strategy].choose(pool, [descriptor()], 3)
    assert len(set(chosen)) == 3
    assert set(chosen) <= set(range(5))
    assert STRATEGIES[strategy].choose([], [descriptor()], 3) == []


def test_diverse_looks_away_from_labelled_images() -> None:
    pool = [descriptor(place=0.0), descriptor(place=1.0)]
    assert STRATEGIES["diverse"].choose(pool, [descriptor(place=0.0)], 1) == [1]
    assert STRATEGIES["diverse"].choose(pool, [descriptor(place=1.0)], 1) == [0]


def test_looks_and_shape_have_the_same_weight() -> None:
    places = embedding([descriptor(place=float(place)) for place in (0, 1, 5)])
    looks, shape = places[:, :2], places[:, 2:]
    assert (looks**2).sum(1).mean() == pytest.approx(1.0)
    assert (shape**2).sum(1).mean() == pytest.approx(1.0)
    np.testing.assert_allclose(distances(looks, looks), distances(shape, shape), atol=1e-6)


def test_without_labels_every_image_is_far() -> None:
    line = np.array([[0.0], [3.0]])
    assert (nearest(line, NOTHING) >= 3).all()
    np.testing.assert_allclose(nearest(line, np.array([[1.0]])), [1, 2])
