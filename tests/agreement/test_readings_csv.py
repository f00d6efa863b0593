"""Tables of readings with a row per point."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from lib.agreement.readings_csv import read_readings_csv, readings_csv

from .simulated_readers import readings_of, true_corners

READINGS = [
    replace(one, mm_per_px=0.5, patient="p7", model_version="3", kind="repeat")
    for one in readings_of(true_corners(np.array([30.0, 40.0])), "Ada, MD", np.random.default_rng(1))
]
TEXT = readings_csv(READINGS)


def test_readings_come_back_as_they_went() -> None:
    found, problems = read_readings_csv(TEXT)
    assert problems == []
    assert len(found) == 2
    for one, other in zip(READINGS, found, strict=True):
        assert np.array_equal(one.upright_xy, other.upright_xy)
        assert (other.image, other.reader, other.number) == (one.image, "Ada, MD", 1)
        assert (other.mm_per_px, other.patient, other.model_version, other.kind) == (0.5, "p7", "3", "repeat")


def test_spreadsheets_of_other_countries_and_missing_centers_are_read() -> None:
    lines = [line for line in TEXT.replace('"Ada, MD"', "Ada").splitlines() if ",center," not in line]
    text = "\n".join(line.replace(",", ";").replace(".", ",") for line in lines)
    found, problems = read_readings_csv(text)
    assert problems == []
    assert found[0].upright_xy == pytest.approx(READINGS[0].upright_xy)
    assert found[0].largest_angle_deg == READINGS[0].largest_angle_deg


@pytest.mark.parametrize(
    ("old", "new", "count", "sentence"),
    [
        (",1,T1,center,", ",1st,T1,center,", 1, "reading must be a whole number such as 1, got '1st'"),
        ("image 000,", ",", 1, "every row names an image and a reader"),
        (",0.5,p7", ",-1,p7", -1, "mm_per_px must be a positive number of millimetres, got '-1'"),
        (",T1,TL,", ",C7,TL,", 1, "'C7 TL'.* is neither a vertebra"),
        (",T1,TL,", ",T1,TR,", 1, "T1 TR stands twice"),
    ],
)
def test_a_reading_that_cannot_be_used_is_named(old: str, new: str, count: int, sentence: str) -> None:
    _, problems = read_readings_csv(TEXT.replace(old, new, count))
    assert any(re.search(sentence, problem) for problem in problems), problems


def test_a_column_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match=r"needs the columns .*; reader is missing"):
        read_readings_csv(TEXT.replace("reader", "rater", 1))
    with pytest.raises(ValueError, match="needs the columns"):
        read_readings_csv("")
