"""What is asked before a label is submitted."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLandmarksLib.answers import HAS_PREDICTION, LABELLED, ImageEntry
from VertebraLandmarksLib.questions import questions_about

pytestmark = pytest.mark.slicer


def test_a_whole_and_usual_spine_raises_no_question(ladder: np.ndarray) -> None:
    assert questions_about(ladder, None, "ada") == ()


def test_everything_that_is_missing_is_named(ladder: np.ndarray) -> None:
    ladder[[0, 16]] = np.nan
    ladder[6, [1, 2]] = np.nan
    (question,) = questions_about(ladder, None, "ada")
    assert question.kind == "incomplete"
    assert question.text == "T1 and L5 have no points. T7 lacks TL and TR. They will be stored as not visible."
    assert question.vertebrae == ("T1", "T7", "L5")


def test_a_missing_center_is_named_too(ladder: np.ndarray) -> None:
    ladder[3, 0] = np.nan
    assert questions_about(ladder, None, "")[0].text.startswith("T4 lacks center.")


def test_long_lists_are_cut(ladder: np.ndarray) -> None:
    ladder[:6, 1] = np.nan
    (question,) = questions_about(ladder, None, "ada")
    assert "3 more vertebrae lack points" in question.text
    assert question.vertebrae == ("T1", "T2", "T3", "T4", "T5", "T6")


def test_an_unusual_spine_is_asked_about_in_the_words_of_the_priors(ladder: np.ndarray) -> None:
    ladder[[5, 6]] = ladder[[6, 5]]
    (question,) = questions_about(ladder, None, "ada")
    assert question.kind == "implausible"
    assert "T7 does not lie below T6" in question.text
    assert {"T6", "T7"} <= set(question.vertebrae)


@pytest.mark.parametrize(
    ("status", "labeller", "asked"),
    [(LABELLED, "ben", True), (LABELLED, "ada", False), (LABELLED, "", False), (HAS_PREDICTION, "", False)],
)
def test_only_the_label_of_somebody_else_is_asked_about(
    ladder: np.ndarray, status: str, labeller: str, asked: bool
) -> None:
    questions = questions_about(ladder, ImageEntry("a", status, labeller, 0.0, "a.png"), "ada")
    assert [question.kind for question in questions] == (["replaces"] if asked else [])
    assert all("ben" in question.text for question in questions)
