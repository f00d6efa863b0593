from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lib.archive import plan as module
from lib.archive.output import LocalOutput
from lib.archive.plan import PLAN_FILE, check_options, check_source, make_plan, read_plan
from lib.archive.source.entries import Entry

OPTIONS = {"decoder": "map", "weights": "0123", "version": "1"}


class Listed:
    """An archive with these images."""

    root = "/archive"

    def __init__(self, names: Sequence[str], columns: tuple[str, ...] = ()) -> None:
        self.names, self.columns = names, columns

    def entries(self) -> Iterator[Entry]:
        """Each with its name in all columns."""
        for index, name in enumerate(self.names):
            yield Entry(index, name, (name,) * len(self.columns), None if name else "no image")


@pytest.fixture
def output(tmp_path: Path) -> LocalOutput:
    return LocalOutput(str(tmp_path / "results"))


def test_every_entry_is_in_one_part(output: LocalOutput, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PARTS_PER_GROUP", 2)
    names = [f"{number}.png" for number in range(16)] + [""]
    plan = make_plan(Listed(names, ("id",)), "archive", output, 3, OPTIONS)
    assert (plan.entries, plan.parts, plan.size_of(4), plan.size_of(5)) == (17, 6, 3, 2)
    found = list(plan.read_parts(output))
    assert [part.number for part in found] == list(range(6))
    entries = [entry for part in found for entry in part.entries]
    assert entries == list(Listed(names, ("id",)).entries())
    assert [part.number for part in plan.read_parts(output, {1, 5})] == [1, 5]
    assert read_plan(output) == plan


def test_parts_are_done_when_their_files_exist(output: LocalOutput) -> None:
    plan = make_plan(Listed(["a", "b", "c"]), "archive", output, 1, OPTIONS)
    for name in ("part-0000001.parquet", "part-0000009.parquet", ".part-0000002.parquet.tmp", "notes.txt"):
        output.write(f"parts/{name}", b"")
    assert plan.done(output) == {1}


def test_of_two_that_plan_at_once_both_take_the_plan_of_the_first(output: LocalOutput) -> None:
    class Slow(Listed):
        """While it lists, another process plans."""

        def entries(self) -> Iterator[Entry]:
            yield from super().entries()
            if read_plan(output) is None:
                self.first = make_plan(Listed(self.names), "archive", output, 2, OPTIONS)

    slow = Slow(["a", "b"])
    assert make_plan(slow, "archive", output, 2, OPTIONS) == slow.first
    output.remove(PLAN_FILE)
    with pytest.raises(ValueError, match="part size 2, this one 3"):
        make_plan(Slow(["a", "b"]), "archive", output, 3, OPTIONS)


def test_an_archive_that_has_changed_is_refused(output: LocalOutput) -> None:
    plan = make_plan(Listed(["a", "b"]), "archive", output, 2, OPTIONS)
    check_source(plan, Listed(["a", "b"]), "out")
    with pytest.raises(ValueError, match=r"not what was planned in out \(2 entries then, 3 now\).*--keep-plan"):
        check_source(plan, Listed(["a", "b", "c"]), "out")
    with pytest.raises(ValueError, match="entries or their order differ"):
        check_source(plan, Listed(["b", "a"]), "out")


def test_another_run_is_refused(output: LocalOutput) -> None:
    plan = make_plan(Listed(["a"]), "archive", output, 2, OPTIONS)
    check_options(plan, OPTIONS, None, "out")
    with pytest.raises(ValueError, match="the run in out has weights '0123', this one '4567'"):
        check_options(plan, {**OPTIONS, "weights": "4567"}, None, "out")
    with pytest.raises(ValueError, match="part size 2, this one 3"):
        check_options(plan, OPTIONS, 3, "out")


def test_an_empty_archive_is_refused(output: LocalOutput) -> None:
    with pytest.raises(ValueError, match="archive holds no image"):
        make_plan(Listed([]), "archive", output, 2, OPTIONS)


def test_parts_without_a_plan_are_not_taken_over(output: LocalOutput) -> None:
    output.write("parts/part-0000000.parquet", b"")
    with pytest.raises(ValueError, match=r"has parts of a run \(part-0000000.parquet\) but no plan.json"):
        make_plan(Listed(["a"]), "archive", output, 2, OPTIONS)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"{", "is damaged"), (b"[]", "is damaged"), (b'{"columns": []}', "is damaged"), (None, "has format 0")],
    ids=["cut", "list", "incomplete", "format"],
)
def test_a_damaged_plan_is_refused(output: LocalOutput, content: bytes | None, words: str) -> None:
    make_plan(Listed(["a"]), "archive", output, 2, OPTIONS)
    whole = output.read(PLAN_FILE)
    output.write(PLAN_FILE, whole.replace(b'"format": 1', b'"format": 0') if content is None else content)
    with pytest.raises(ValueError, match=words):
        read_plan(output)


def test_damaged_entries_are_refused(output: LocalOutput) -> None:
    plan = make_plan(Listed(["a"]), "archive", output, 2, OPTIONS)
    output.write(plan.entries_file, b"no table")
    with pytest.raises(ValueError, match="is damaged: begin in another output"):
        list(plan.read_parts(output))
