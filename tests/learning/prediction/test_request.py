"""What a request carries from one prediction to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from lib.learning.prediction.network_view import NetworkView
from lib.learning.prediction.request import MAX_WIDER_VIEWS, PredictionCache, PredictionRequest, SpineEstimate
from lib.learning.prediction.upright import AS_STORED


def counted(results: list[Any]) -> Callable[[], Any]:
    """Computes a new result at each call, and notes it."""

    def compute() -> Any:
        results.append(object())
        return results[-1]

    return compute


def test_each_stage_is_computed_once() -> None:
    cache, results = PredictionCache(), list[Any]()
    for _ in range(2):
        assert cache.best_view(counted(results)) is results[0]
        view = cache.wider_view(b"a", counted(results))
        assert view is results[1]
        assert cache.free_spine(view, "map", counted(results)) is results[2]
    assert cache.free_spine(view, "parallel", counted(results)) is results[3]
    assert len(results) == 4


def test_the_oldest_wider_view_goes_with_its_spines() -> None:
    cache, results = PredictionCache(), list[Any]()
    views = [cache.wider_view(bytes([number]), counted(results)) for number in range(MAX_WIDER_VIEWS)]
    for view in views:
        cache.free_spine(view, "map", counted(results))
    cache.wider_view(b"next", counted(results))
    count = len(results)
    for view in views[1:]:
        cache.free_spine(view, "map", counted(results))
    assert len(results) == count
    cache.free_spine(views[0], "map", counted(results))
    assert cache.wider_view(b"\0", counted(results)) is results[-1] is not views[0]
    assert len(results) == count + 2


def test_a_cache_may_begin_with_a_view() -> None:
    view = cast(NetworkView, object())
    cache, results = PredictionCache((AS_STORED, view)), list[SpineEstimate]()
    assert cache.best_view(counted(results)) == (AS_STORED, view)
    assert not results


def test_requests_share_no_landmarks() -> None:
    PredictionRequest().fixed.xy[:] = 1.0
    assert not PredictionRequest().fixed.mask.any()
