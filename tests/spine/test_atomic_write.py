"""Writing files in one piece."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from lib.spine.atomic_write import atomic_write, check_writable


def test_the_new_content_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "none" / "a.txt") as temporary:
        temporary.write_text("new")


def test_a_name_of_the_greatest_length_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 251 + ".txt")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_file_that_can_be_written_leaves_no_trace_of_the_check(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    check_writable(path)
    assert list(tmp_path.iterdir()) == []
    path.write_text("old")
    check_writable(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_folder_of_a_file_to_write_is_made(tmp_path: Path) -> None:
    check_writable(tmp_path / "deep" / "er" / "a.txt")
    assert list((tmp_path / "deep" / "er").iterdir()) == []


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=f"{tmp_path.name} is a folder"):
        check_writable(tmp_path)


def test_a_file_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a file")
    with pytest.raises(OSError, match="a\\.txt"):
        check_writable(tmp_path / "a.txt" / "b.txt")


def test_a_folder_that_takes_no_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs this may write anywhere, so the system's refusal is made up."""

    def refuse(dir: Path) -> None:
        raise PermissionError(f"no file in {dir}")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(PermissionError, match="no file in"):
        check_writable(tmp_path / "a.txt")
