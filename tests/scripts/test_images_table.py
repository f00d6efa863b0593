"""``scripts/labels.py export --format images`` as a user calls it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

import labels as script
from _images_table import COLUMNS
from harness.phantom_dicom import Examination, phantom_dx

from .study_folder import read_by_two

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Exit status, output and errors of a call."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["labels.py", *map(str, arguments)])
        status = script.main()
        return (status, *capsys.readouterr())

    return run


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def studies(tmp_path: Path, ladder: np.ndarray) -> Path:
    """Readings of three images, one of which has become a DICOM file."""
    folder = tmp_path / "studies"
    read_by_two(folder, ladder)
    (folder / "two.png").unlink()
    header = phantom_dx(np.zeros((300, 100), np.uint8), Examination(patient_id="P7"))
    pydicom.dcmwrite(folder / "two.dcm", header)
    return folder


def test_a_row_per_image_and_reading(studies: Path, tmp_path: Path, call: Call) -> None:
    status, said, errors = call("export", studies, tmp_path / "table.csv", "--format", "images")
    assert (status, errors) == (0, "")
    assert said == "7 readings of 3 images exported, with the data dictionary table.columns.csv\n"
    rows = {(row["image"], row["reading"]): row for row in table(tmp_path / "table.csv")}
    assert sorted(rows) == [("one", "0"), ("one", "1"), ("one", "2"), *((n, k) for n in ("three", "two") for k in "12")]
    first = rows["one", "1"]
    assert (first["reader"], first["kind"], first["model_version"], first["blind"]) == ("ada", "first", "7", "1")
    assert (first["seconds"], first["edits"], first["client"]) == ("100.0", "0", "browser")
    assert (first["upper_end"], first["lower_end"], first["side"], first["angle_deg"]) == ("T1", "L5", "right", "20.0")
    assert (first["vertebrae"], first["curves"], first["t1_tilt_deg"]) == ("17", "1", "-10.0")
    assert float(first["interval_low_deg"]) < 20 < float(first["interval_high_deg"])
    chosen = rows["one", "0"]
    assert (chosen["kind"], chosen["chosen"], chosen["reader"], chosen["final"]) == ("adjudication", "2", "cleo", "1")
    assert chosen["angle_deg"] == rows["one", "2"]["angle_deg"] == "21.0"
    assert {row["held_out"] for (image, _), row in rows.items() if image == "three"} == {"1"}
    assert len({row["patient"] for row in rows.values()}) == 3
    assert "P7" not in (tmp_path / "table.csv").read_text()


def test_the_dictionary_describes_every_column(studies: Path, tmp_path: Path, call: Call) -> None:
    call("export", studies, tmp_path / "table.csv", "--format", "images", "--header", "age", "date", "sex")
    described = [row["name"] for row in table(tmp_path / "table.columns.csv")]
    rows = table(tmp_path / "table.csv")
    assert described == list(rows[0]) == [*(column.name for column in COLUMNS), "age_years", "sex", "date"]
    assert all(row["unit"] and row["meaning"] for row in table(tmp_path / "table.columns.csv"))
    stated = {row["image"]: (row["age_years"], row["sex"], row["date"]) for row in rows}
    assert stated == {"one": ("", "", ""), "two": ("16.0", "F", "2026-11-30"), "three": ("", "", "")}


def test_the_header_is_for_this_table_only(studies: Path, tmp_path: Path, call: Call) -> None:
    status, _, errors = call("export", studies, tmp_path / "table.csv", "--format", "csv", "--header", "sex")
    assert (status, errors) == (1, "--header needs --format images\n")
