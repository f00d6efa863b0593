"""``scripts/audit_labels.py``: its table, and what it says of folders that it cannot read."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import pytest

import audit_labels
from lib.learning.prediction import level_names


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Call the command in this process."""
    monkeypatch.setattr(sys, "argv", ["audit_labels.py", *map(str, arguments)])
    return audit_labels.main()


def test_the_table_names_rule_and_vertebrae(
    folders: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One label has its L5 in a disc; the names of another are contradicted."""
    table, points = folders.data / "landmarks_repaired.csv", []
    with table.open(newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    for row in rows:
        if row[1:4] in (["fits.png", "L5", "BL"], ["fits.png", "L5", "BR"]):
            row[5] = str(float(row[5]) - 8)
        points.append(row)
    with table.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *points])
    names = tmp_path / "names.csv"
    with names.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([level_names.COLUMNS, ("moved.png", 1, "yes", 17, -1, "8.0", "none", "0")])
    output = tmp_path / "audit.csv"
    assert run(monkeypatch, "--data", folders.data, "--names", names, "--output", output) == 0
    with output.open(newline="", encoding="utf-8") as stream:
        found = {(row["filename"], row["rule"]): row["vertebrae"] for row in csv.DictReader(stream)}
    assert found[("fits.png", "end_height")] == "L5"
    assert found[("moved.png", "names")] == "T1-L5"
    assert {name for name, _ in found} == {"fits.png", "moved.png"}
    assert capsys.readouterr().out.startswith("2 of 6 labels have a finding, 2 of the clean")


def test_a_missing_folder_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--data", tmp_path / "none", "--output", tmp_path / "audit.csv") == 1
    assert capsys.readouterr().err.startswith("audit_labels: ")
