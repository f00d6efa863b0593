"""The search in the list of images."""

from __future__ import annotations

import gc
import time

import pytest
from VertebraLandmarksLib.client.responses import LABELLED, UNLABELLED, ImageEntry
from VertebraLandmarksLib.workflow.actions.image_search import MAX_HITS, ImageSearch

pytestmark = pytest.mark.slicer


def entries(count: int) -> tuple[ImageEntry, ...]:
    return tuple(
        ImageEntry(f"Image{i:06d}", LABELLED if i % 10 == 0 else UNLABELLED, "Ada", None, "") for i in range(count)
    )


def found(search: ImageSearch, words: str, listed: tuple[ImageEntry, ...]) -> list[str]:
    search.start(listed, words)
    while not search.advance(0.01):
        pass
    return [entry.id for entry in search.hits]


def test_all_words_must_occur_in_name_status_or_user() -> None:
    search, listed = ImageSearch(), entries(30)
    assert found(search, "LABELLED ada 02", listed) == [f"Image0000{i}" for i in ("02", "20", *range(21, 30))][:11]
    assert found(search, "image000020 unlabelled", listed) == []
    assert found(search, "", listed) == [entry.id for entry in listed]
    assert found(search, "x", ()) == []


def test_the_first_hits_are_listed_and_all_are_counted() -> None:
    search, listed = ImageSearch(), entries(5000)
    assert found(search, "ada", listed) == [entry.id for entry in listed[:MAX_HITS]]
    assert search.count == 5000
    assert found(search, "", listed) == [entry.id for entry in listed[:MAX_HITS]]
    assert search.count == 5000


def test_an_image_that_changed_is_found_by_what_it_is_now() -> None:
    search, listed = ImageSearch(), entries(5)
    assert found(search, "eve", listed) == []
    changed = (*listed[:4], ImageEntry(listed[4].id, LABELLED, "Eve", None, ""))
    assert found(search, "eve", changed) == [listed[4].id]


def test_a_step_is_short_whatever_the_list() -> None:
    search = ImageSearch()
    gc.collect()
    gc.freeze()  # what other tests left behind
    search.start(entries(100_000), "nothing like it")
    steps, most = 0, 0.0
    while not search.is_done:
        begun = time.thread_time()
        search.advance(0.01)
        most, steps = max(most, time.thread_time() - begun), steps + 1
    gc.unfreeze()
    assert steps > 1
    assert most < 0.05, f"{1000 * most:.0f} ms"
