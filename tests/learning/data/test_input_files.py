"""Which images a command line means, and what their results are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.learning.data.input_files import OVERLAY_SUFFIX, find_images

DICOM = b"\0" * 128 + b"DICM"


def touch(folder: Path, *names: str, content: bytes = b"x") -> None:
    """Write small files, with their folders."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def names(paths: list[Path], excluded: Path | None = None) -> list[str]:
    """Names of what is found."""
    return [image.name for image in find_images(paths, excluded)]


def stems(paths: list[Path]) -> list[str]:
    """Stems of what is found."""
    return [image.stem for image in find_images(paths)]


def test_a_named_file_stands_for_itself_whatever_it_is(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "notes.txt", ".hidden.png", f"b{OVERLAY_SUFFIX}")
    paths = [tmp_path / n for n in ("notes.txt", "a.png", ".hidden.png", f"b{OVERLAY_SUFFIX}")]
    found = find_images(paths)
    assert [i.path for i in found] == paths
    assert [i.name for i in found] == ["notes.txt", "a.png", ".hidden.png", f"b{OVERLAY_SUFFIX}"]
    assert [i.stem for i in found] == ["notes.txt", "a", ".hidden", "b.overlay"]


def test_folders_are_searched_with_their_subfolders_in_order_of_name(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a.JPG", "c/d/e.tiff", "c/a.nii.gz", "z.dcm", "readme.md", "data.csv")
    assert names([tmp_path]) == ["a.JPG", "b.png", "c/a.nii.gz", "c/d/e.tiff", "z.dcm"]
    assert stems([tmp_path]) == ["a", "b", "a_2", "e", "z"]


@pytest.mark.parametrize(
    "name", ["a.png", "a.jpg", "a.jpeg", "a.tif", "a.tiff", "a.bmp", "a.dcm", "a.nrrd", "a.nii", "a.nii.gz"]
)
def test_every_format_is_found_whatever_its_case(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name.upper())
    assert stems([tmp_path]) == ["A"]


def test_hidden_files_and_folders_and_overlays_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", ".b.png", ".cache/c.png", "d/.e/f.png", f"a{OVERLAY_SUFFIX}")
    assert names([tmp_path]) == ["a.png"]


def test_a_hidden_folder_that_is_named_is_searched(tmp_path: Path) -> None:
    touch(tmp_path, ".cache/c.png")
    assert names([tmp_path / ".cache"]) == ["c.png"]


def test_dicom_files_without_extension_are_found(tmp_path: Path) -> None:
    touch(tmp_path, "IM0001", "series/IM0002", content=DICOM)
    touch(tmp_path, "README")
    touch(tmp_path, "1.2.840.5", "DICOMDIR", content=DICOM)
    assert names([tmp_path]) == ["1.2.840.5", "IM0001", "series/IM0002"]
    assert stems([tmp_path]) == ["1.2.840.5", "IM0001", "IM0002"]


def test_the_output_folder_inside_the_input_folder_is_not_searched(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "results/a.png", "results/deep/b.png", "results2/c.png")
    assert names([tmp_path], tmp_path / "results") == ["a.png", "results2/c.png"]
    assert names([tmp_path], tmp_path / "elsewhere") == [
        "a.png",
        "results/a.png",
        "results/deep/b.png",
        "results2/c.png",
    ]


def test_results_beside_the_images_do_not_hide_them(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", f"a{OVERLAY_SUFFIX}")
    assert names([tmp_path], tmp_path) == ["a.png"]


def test_an_output_folder_around_the_input_folder_does_not_hide_it(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png")
    assert names([tmp_path / "images"], tmp_path) == ["a.png"]


def test_a_named_file_in_the_output_folder_is_taken(tmp_path: Path) -> None:
    touch(tmp_path, "results/a.png")
    assert names([tmp_path / "results" / "a.png"], tmp_path / "results") == ["a.png"]


def test_a_file_that_is_met_twice_counts_once(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    paths = [tmp_path / "b.png", tmp_path, tmp_path / "." / "b.png", tmp_path / "link.png"]
    assert names(paths) == ["b.png", "a.png", "link.png"]


def test_equal_stems_in_several_folders_stay_distinct(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.png", "two/a.png", "three/a.png")
    found = find_images([tmp_path])
    assert [i.name for i in found] == ["one/a.png", "three/a.png", "two/a.png"]
    assert [i.stem for i in found] == ["a", "a_2", "a_3"]


def test_equal_names_from_several_folders_get_their_folders(tmp_path: Path) -> None:
    touch(tmp_path, "1/x/a.png", "2/x/a.png", "3/x/a.png")
    found = [tmp_path / n / "x" / "a.png" for n in "123"]
    assert names(found) == ["a.png", "x/a.png", "3/x/a.png"]
    assert names([tmp_path / n for n in "123"]) == ["x/a.png", "2/x/a.png", "3/x/a.png"]


def test_names_stay_distinct_where_folders_repeat(tmp_path: Path) -> None:
    touch(tmp_path, "s/a.png", "s/s/a.png", "s/s/s/a.png")
    found = [tmp_path / "s" / "a.png", tmp_path / "s" / "s" / "a.png", tmp_path / "s" / "s" / "s" / "a.png"]
    assert len(set(names(found))) == 3
    assert len(set(stems(found))) == 3


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a.png", "a.jpg", "a_2.png"], ["a", "a_3", "a_2"]),
        (["a_2.png", "a.png", "a.jpg"], ["a_2", "a", "a_3"]),
        (["a.png", "a.jpg", "a.bmp"], ["a", "a_2", "a_3"]),
        (["A.png", "a.jpg", "a_2.bmp"], ["A", "a_3", "a_2"]),
        (["a.png", "a.jpg", "A_2.bmp"], ["a", "a_3", "A_2"]),
        (["a_2.png", "a_2.jpg", "a.png"], ["a_2", "a_2_2", "a"]),
        (["scan.v1.png", "scan.v2.png"], ["scan.v1", "scan.v2"]),
        (["a.nii.gz", "a.nii"], ["a", "a_2"]),
    ],
    ids=lambda value: "+".join(value),
)
def test_stems_are_distinct_even_on_disks_that_ignore_case(
    tmp_path: Path, files: list[str], expected: list[str]
) -> None:
    touch(tmp_path, *files)
    assert stems([tmp_path / f for f in files]) == expected


def test_a_missing_file_is_kept_to_be_reported(tmp_path: Path) -> None:
    assert names([tmp_path / "none.png"]) == ["none.png"]


def test_a_folder_without_images_adds_none(tmp_path: Path) -> None:
    touch(tmp_path, "empty/readme.md", "a.png")
    assert names([tmp_path / "empty", tmp_path / "a.png"]) == ["a.png"]


def test_no_paths_no_images() -> None:
    assert find_images([]) == []
