"""Which image is blamed when processes die; a process that dies leaves the note as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.archive.execution.attempts import ATTEMPTS, MAX_UNEXPLAINED_DEATHS, DyingWorkersError, PartAttempts
from lib.archive.output import LocalOutput


@pytest.fixture
def output(tmp_path: Path) -> LocalOutput:
    return LocalOutput(str(tmp_path))


def test_a_part_that_ends_leaves_no_note(output: LocalOutput) -> None:
    attempts = PartAttempts(output, 3)
    assert not attempts.is_careful
    attempts.begin(7)
    assert len(output.names(ATTEMPTS)) == 1
    attempts.end()
    assert output.names(ATTEMPTS) == set()
    assert not PartAttempts(output, 3).is_careful


def test_the_image_at_work_is_a_suspect_from_the_second_death_on(output: LocalOutput) -> None:
    PartAttempts(output, 3).begin(7)  # and dies, perhaps over another image that was read ahead
    second = PartAttempts(output, 3)
    assert second.is_careful
    assert not second.is_suspect(7)
    second.begin(6)
    second.begin(7)  # and dies
    third = PartAttempts(output, 3)
    assert third.is_suspect(7)
    assert not third.is_suspect(6)
    third.begin(7)
    third.begin(8)  # and dies
    fourth = PartAttempts(output, 3)
    assert fourth.is_suspect(7)
    assert fourth.is_suspect(8)
    assert not PartAttempts(output, 4).is_careful


def test_processes_that_die_before_any_image_end_the_run(output: LocalOutput) -> None:
    for _ in range(MAX_UNEXPLAINED_DEATHS + 1):
        PartAttempts(output, 3)
    with pytest.raises(DyingWorkersError, match="died before they came to an image of part 3"):
        PartAttempts(output, 3)


def test_progress_makes_up_for_unexplained_deaths(output: LocalOutput) -> None:
    for _ in range(3 * MAX_UNEXPLAINED_DEATHS):
        PartAttempts(output, 3)
        PartAttempts(output, 3).begin(7)


def test_a_damaged_note_means_care(output: LocalOutput) -> None:
    PartAttempts(output, 3)
    (name,) = output.names(ATTEMPTS)
    output.write(f"{ATTEMPTS}/{name}", b"{")
    assert PartAttempts(output, 3).is_careful
