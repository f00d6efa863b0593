"""Rules that find labels at odds with anatomy, and the tables of the audits."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from lib.learning.data.label_audit import (
    COLUMNS,
    END_HEIGHT,
    NAMES,
    contradicted_names,
    findings,
    names_finding,
    read_doubted,
)
from lib.learning.prediction import level_names
from lib.spine.geometry import corners_of, with_centers


def flattened(ladder: np.ndarray, v: int, share: float) -> np.ndarray:
    """The spine with a body that has a share of its height."""
    corners = corners_of(ladder).copy()
    middle = corners[v, :, 1].mean()
    corners[v, :, 1] = middle + share * (corners[v, :, 1] - middle)
    return with_centers(corners)


def test_a_sound_label_has_no_finding(ladder: np.ndarray) -> None:
    assert findings(ladder) == []


@pytest.mark.parametrize(("v", "share", "is_found"), [(16, 0.45, True), (16, 0.55, False), (0, 0.55, True)])
def test_an_end_vertebra_drawn_in_a_disc_is_found(ladder: np.ndarray, v: int, share: float, is_found: bool) -> None:
    found = [one for one in findings(flattened(ladder, v, share)) if one.rule == END_HEIGHT]
    assert bool(found) is is_found
    assert all(one.vertebrae == ("L5" if v else "T1",) for one in found)


def test_a_doubled_body_is_found(ladder: np.ndarray) -> None:
    doubled = ladder.copy()
    doubled[8] = doubled[7] + (0, 1)
    assert {"step", "ratio"} <= {one.rule for one in findings(doubled)}


def test_absent_points_are_no_finding(ladder: np.ndarray) -> None:
    ladder[16] = np.nan
    assert findings(ladder) == []


def write(path: Path, columns: tuple[str, ...], *rows: tuple[object, ...]) -> Path:
    """A table."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([columns, *rows])
    return path


def test_names_count_only_where_the_model_did_not_train(tmp_path: Path) -> None:
    names = write(
        tmp_path / "names.csv",
        level_names.COLUMNS,
        ("a.jpg", 0, "yes", 17, 1, "9.0", "none", "1 2 3 4"),
        ("b.jpg", 1, "yes", 17, 1, "9.0", "none", "1 2 3 4"),
        ("c.jpg", 0, "yes", 17, 0, "9.0", "", "1 2 3 4"),
    )
    assert contradicted_names(names) == {"a.jpg": 1}


def test_another_table_is_refused(tmp_path: Path) -> None:
    table = write(tmp_path / "other.csv", ("filename", "fold"), ("a.jpg", 0))
    with pytest.raises(ValueError, match=r"other.csv is no table of audit_names"):
        contradicted_names(table)
    with pytest.raises(ValueError, match=r"other.csv must have the columns filename"):
        read_doubted(table)


def test_a_model_s_opinion_of_names_does_not_make_a_label_doubted(tmp_path: Path) -> None:
    names = names_finding(-1)
    assert names.sentence == "Ribs and sacrum ask for names 1 level further up."
    table = write(
        tmp_path / "audit.csv",
        COLUMNS,
        ("a.jpg", 0, "yes", "step", "T1-T2", "too close"),
        ("b.jpg", 0, "yes", names.rule, "T1-L5", names.sentence),
    )
    assert names.rule == NAMES
    assert read_doubted(table) == {"a.jpg"}
