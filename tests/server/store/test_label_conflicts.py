"""Labels that are saved on a base version: of several writers one wins, and the others are told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lib.server.store.datastore import StudiesDatastore
from lib.server.store.label_sync import LabelConflictError

Open = Callable[..., StudiesDatastore]
WRITERS = 8


def content(number: int) -> bytes:
    return json.dumps({"number": number}).encode()


def files(studies: Path) -> list[str]:
    """Files of versions."""
    return sorted(path.name for path in (studies / ".vertebra_landmarks" / "versions").rglob("*.json"))


def test_of_writers_at_once_one_wins(studies: Path, opened: Open) -> None:
    stores = [opened(studies) for _ in range(2)]
    assert stores[0].save_label_content("a", "final", content(0), {"user": "zoe"}, 0) == 1

    def save(number: int) -> int | str:
        store = stores[number % 2]
        try:
            return store.save_label_content("a", "final", content(number), {"user": str(number)}, 1)
        except LabelConflictError as error:
            return str(error)

    with ThreadPoolExecutor(WRITERS) as pool:
        answers = list(pool.map(save, range(1, WRITERS + 1)))
    (winner,) = [number for number, answer in enumerate(answers, 1) if answer == 2]
    refused = [answer for answer in answers if answer != 2]
    words = (
        rf"image 'a' has a newer label 'final', version 2, saved by {winner} on \d{{4}}-\d\d-\d\d at \d\d:\d\d UTC: .*"
    )
    assert len(refused) == WRITERS - 1
    assert all(re.fullmatch(words, str(answer)) for answer in refused), refused
    label = stores[0].read_label("a", "final")
    assert (label.version, label.content, label.metadata["user"]) == (2, content(winner), str(winner))
    assert len(files(studies)) == 2


def test_the_transaction_that_saves_decides(studies: Path, opened: Open) -> None:
    """A writer without a lock, as on a share that knows none, has read the state before another one's save."""
    store = opened(studies)
    store.save_label_content("a", "final", content(1), {"user": "ada"})
    state = store._labels._sync.state("a", "final")
    store.save_label_content("a", "final", content(2), {"user": "ben"})
    before = files(studies)
    with pytest.raises(LabelConflictError, match="version 2, saved by ben"):
        store._labels._sync.add_version(state, content(3), {}, None, base_version=1)
    assert files(studies) == before
    assert store.read_label("a", "final").content == content(2)
    number, _ = store._labels._sync.add_version(state, content(2), {}, None, base_version=1)
    assert number == 3  # what is replaced has the same content


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({}, "saved on"),
        ({"user": "anybody", "annotator": "Ada"}, "saved by Ada on"),
        ({"user": "", "annotator": 5}, "saved on"),
        ({"user": "x" * 500}, f"saved by {'x' * 80} on"),
    ],
)
def test_the_sentence_names_who_saved(studies: Path, opened: Open, metadata: dict[str, object], words: str) -> None:
    store = opened(studies)
    store.save_label_content("a", "final", content(1), metadata)
    with pytest.raises(LabelConflictError, match=f"version 1, {words}"):
        store.save_label_content("a", "final", content(2), {}, 0)


def test_a_repeated_save_is_known_by_content_and_user(studies: Path, opened: Open) -> None:
    store = opened(studies)
    assert store.save_label_content("a", "final", content(1), {"annotator": "ada", "user": "anybody"}, 0) == 1
    assert store.save_label_content("a", "final", content(1), {"annotator": "ada", "user": "anybody"}, 0) == 1
    assert store.save_label_content("a", "final", content(1), {"annotator": "ben", "user": "anybody"}, 0) == 2
    assert [entry["version"] for entry in store.label_versions("a", "final")] == [1, 2]


def test_a_label_is_read_with_what_others_have_changed(studies: Path, opened: Open) -> None:
    store = opened(studies)
    store.save_label_content("a", "final", content(1), {"user": "ada"})
    (studies / "labels" / "final" / "a.mrk.json").write_bytes(content(12))
    label = store.read_label("a", "final")
    assert (label.version, label.content) == (2, content(12))
    with pytest.raises(LabelConflictError):
        store.save_label_content("a", "final", content(3), {"user": "ada"}, 1)
    (studies / "labels" / "final" / "a.mrk.json").write_bytes(content(123))
    with pytest.raises(LabelConflictError):  # also where nobody has read the change
        store.save_label_content("a", "final", content(3), {"user": "ada"}, 2)
