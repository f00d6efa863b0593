"""Portable file names."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.server.filenames import casefold_key, check_image_id, check_tag, is_inside


@pytest.mark.parametrize("name", ["image_1", "Müller 3", "scan.2026-01-01", "脊柱", "a" * 200, "console", "x (2)"])
def test_plain_names_pass_unchanged(name: str) -> None:
    assert check_image_id(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "..\\x", "C:x", "x:stream", ".hidden", " x", "x ", "x.",
        "a\0b", "a\nb", "a\x7fb", "a\u202eb", "\ud800", "a" * 201, "ü" * 101, "CON", "nul.txt", "com1", "LPT9.a",
        "a*", "a?", "COM¹", 'a"b', "a|b", "a<b",
    ],
)  # fmt: skip
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="image id"):
        check_image_id(name)


@pytest.mark.parametrize("tag", ["final", "original", "reader-2", "größe_3"])
def test_plain_tags_pass_unchanged(tag: str) -> None:
    assert check_tag(tag) == tag


@pytest.mark.parametrize(
    "tag",
    ["", ".", "..", "../../x", "a/b", "a\\b", "a.b", "a b", "con", "x\n", "a" * 65, "\U0001d49c" * 64],
)
def test_other_tags_are_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="label tag"):
        check_tag(tag)


def test_links_out_of_the_folder_are_outside(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "in").symlink_to(folder / "file")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to(folder / "loop")
    assert is_inside(folder / "file", folder)
    assert is_inside(folder / "in", folder)
    assert not is_inside(folder / "out", folder)
    assert not is_inside(folder / ".." / "secret", folder)
    assert not is_inside(folder, folder)
    assert not is_inside(tmp_path / "folder_2" / "x", folder)
    assert not is_inside(Path("a\0b"), folder)


def test_names_that_are_one_on_some_disks_fold_to_one() -> None:
    assert casefold_key("Image") == casefold_key("IMAGE") == "image"
    assert casefold_key("\u00c4") == casefold_key("a\u0308") == casefold_key("A\u0308")
    assert casefold_key("image") != casefold_key("image_")
