"""What a run relies on, of a folder and of an object store alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.archive import backoff
from lib.archive.output import LocalOutput, Output, open_output


@pytest.fixture(params=["folder", "s3"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Output:
    """An empty output."""
    place = tmp_path / "results" if request.param == "folder" else request.getfixturevalue("bucket")
    return open_output(str(place))


def test_files_are_written_replaced_listed_and_removed(output: Output) -> None:
    assert output.names("parts") == set()
    output.write("parts/a", b"1")
    output.write("parts/a", b"2")
    output.write("parts/b", b"3")
    assert output.names("parts") == {"a", "b"}
    assert output.read("parts/a") == b"2"
    for _ in range(2):
        output.remove("parts/a")
    assert output.names("parts") == {"b"}
    with pytest.raises(FileNotFoundError):
        output.read("parts/a")


def test_a_file_is_created_once(output: Output) -> None:
    output.create("plan", b"first")
    with pytest.raises(FileExistsError):
        output.create("plan", b"second")
    assert output.read("plan") == b"first"


def test_local_files_are_copied_there_and_back(output: Output, tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(b"content")
    output.put("there", tmp_path / "here")
    output.get("there", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"content"


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = LocalOutput(str(tmp_path))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        output.write("parts/a", b"1")
    assert output.names("parts") == set()


def test_one_run_at_a_time_writes_to_a_folder(tmp_path: Path) -> None:
    first, second = LocalOutput(str(tmp_path)), LocalOutput(str(tmp_path))
    with first.lock("run"):
        with pytest.raises(BlockingIOError, match="another run is writing to"), second.lock("run"):
            pass
        with second.lock("shard-0-of-2"):
            pass
    with second.lock("run"):
        pass


def test_what_fails_for_a_moment_is_repeated_with_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(backoff.time, "sleep", pauses.append)
    failures = [ConnectionError("reset"), TimeoutError("slow")]

    def action() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert backoff.with_retries(action) == "done"
    assert pauses == [backoff.FIRST_PAUSE_S, 2 * backoff.FIRST_PAUSE_S]


class _Refusal(Exception):
    """As HTTP clients have them."""

    def __init__(self, status: int) -> None:
        self.status = status


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (FileNotFoundError("none"), 1),
        (OSError(28, "No space left on device"), 1),
        (_Refusal(410), 1),
        (_Refusal(429), backoff.MAX_TRIES),
        (_Refusal(503), backoff.MAX_TRIES),
    ],
    ids=["missing", "full", "gone", "too many requests", "unavailable"],
)
def test_only_what_may_pass_is_repeated(error: Exception, tries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff.time, "sleep", lambda _: None)
    calls: list[int] = []

    def action() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        backoff.with_retries(action)
    assert len(calls) == tries
