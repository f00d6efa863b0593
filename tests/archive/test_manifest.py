from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.archive.results.schema import entry_schema
from lib.archive.source.entries import Entry, location
from lib.archive.source.manifest import Manifest

from .tables import write_csv


def test_a_table_names_images_and_keeps_its_other_columns(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "list.csv", ("id", "Path", "site"), ("a1", "x/1.png", "Köln"), ("a2", "/abs/2.png", ""))
    manifest = Manifest(str(path))
    assert manifest.columns == ("id", "site")
    assert manifest.root == str(tmp_path)
    assert list(manifest.entries()) == [
        Entry(0, "x/1.png", ("a1", "Köln")),
        Entry(1, "/abs/2.png", ("a2", "")),
    ]


@pytest.mark.parametrize(
    "text", ["id;image\n1;a,b.png\n", "\ufeffid\timage\r\n1\ta,b.png\r\n"], ids=["semicolon", "tab"]
)
def test_tables_of_spreadsheet_programs_are_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode())
    assert list(Manifest(str(path)).entries()) == [Entry(0, "a,b.png", ("1",))]


def test_parquet_is_read_with_its_columns_as_text(tmp_path: Path) -> None:
    table = pa.table({"number": [7, None], "file": ["a.png", None]})
    pq.write_table(table, tmp_path / "list.parquet")
    first, second = Manifest(str(tmp_path / "list.parquet")).entries()
    assert first == Entry(0, "a.png", ("7",))
    assert second == Entry(1, "", (None,), "row 2 names no image")


def test_rows_that_cannot_be_used_are_entries_with_a_defect(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "list.csv", ("image", "id"), ("a.png", 1), ("", 2), ("b.png",), ("c.png", 3, 4))
    assert [entry.defect for entry in Manifest(str(path)).entries()] == [
        None,
        "row 2 names no image",
        "row 3 has 1 cells, expected 2",
        "row 4 has 3 cells, expected 2",
    ]


@pytest.mark.parametrize(
    ("header", "column", "words"),
    [
        (("scan", "id"), None, "there is no column called image, path, file, filename, url or source; its columns are"),
        (("image", "id"), "scan", "there is no column 'scan'; its columns are image, id"),
        (("image", "id", "id"), None, "the column 'id' occurs twice"),
    ],
)
def test_a_table_without_a_column_of_images_is_refused(
    tmp_path: Path, header: tuple[str, ...], column: str | None, words: str
) -> None:
    path = write_csv(tmp_path / "list.csv", header)
    with pytest.raises(ValueError, match=words):
        Manifest(str(path), column)


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.parquet").write_text("image\na.png\n")
    with pytest.raises(ValueError, match="is no Parquet file"):
        Manifest(str(tmp_path / "list.parquet"))


def test_a_cell_without_end_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text('image\na.png\n"' + "x" * 200_000)
    with pytest.raises(ValueError, match=r"list\.csv, line 3: field larger"):
        list(Manifest(str(tmp_path / "list.csv")).entries())


def test_a_column_may_not_have_the_name_of_a_result() -> None:
    with pytest.raises(ValueError, match="the manifest's column 'warnings' has the name of a column of the results"):
        entry_schema(("id", "warnings"))


@pytest.mark.parametrize(
    ("root", "source", "expected"),
    [
        ("/data", "a/b.png", str(Path("/data/a/b.png"))),
        ("/data", "s3://bucket/b.png", "s3://bucket/b.png"),
        ("s3://bucket/folder/", "a/b.png", "s3://bucket/folder/a/b.png"),
        ("https://host/list", "https://other/b.png?key=1", "https://other/b.png?key=1"),
    ],
)
def test_relative_sources_start_from_the_root(root: str, source: str, expected: str) -> None:
    assert location(root, source) == expected
