"""What is asked before a label is submitted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from lib.spine.labels.submission_warnings import submission_warnings


class Final(NamedTuple):
    """A label that is there already."""

    user: str
    timestamp: float | None


def test_a_whole_and_usual_spine_raises_no_question(ladder: np.ndarray) -> None:
    assert submission_warnings(ladder, None, "ada") == ()


def test_everything_that_is_missing_is_named(ladder: np.ndarray) -> None:
    ladder[[0, 16]] = np.nan
    ladder[6, [1, 2]] = np.nan
    (question,) = submission_warnings(ladder, None, "ada")
    assert question.kind == "incomplete"
    assert question.text == "T1 and L5 have no points. T7 lacks TL and TR. They will be stored as not visible."
    assert question.vertebrae == ("T1", "T7", "L5")


def test_a_missing_center_is_named_too(ladder: np.ndarray) -> None:
    ladder[3, 0] = np.nan
    assert submission_warnings(ladder, None, "")[0].text.startswith("T4 lacks center.")


def test_long_lists_are_cut(ladder: np.ndarray) -> None:
    ladder[:6, 1] = np.nan
    (question,) = submission_warnings(ladder, None, "ada")
    assert "3 more vertebrae lack points" in question.text
    assert question.vertebrae == ("T1", "T2", "T3", "T4", "T5", "T6")


def test_an_unusual_spine_is_asked_about_in_the_words_of_the_priors(ladder: np.ndarray) -> None:
    ladder[[5, 6]] = ladder[[6, 5]]
    (question,) = submission_warnings(ladder, None, "ada")
    assert question.kind == "implausible"
    assert "T7 does not lie below T6" in question.text
    assert {"T6", "T7"} <= set(question.vertebrae)


@pytest.mark.parametrize(
    ("labeller", "is_proposal", "said"),
    [
        ("ben", False, "ben labelled this image already. Yours will replace the label of 19"),
        ("ben", True, "ben labelled this image already. Points of the model will replace the label of 19"),
        ("ada", True, "You labelled this image already. Points of the model will replace the label of 19"),
        ("", True, "Somebody labelled this image already. Points of the model"),
        ("ada", False, None),
        ("", False, None),
    ],
)
def test_labels_of_others_and_points_of_the_model_are_asked_about(
    ladder: np.ndarray, labeller: str, is_proposal: bool, said: str | None
) -> None:
    questions = submission_warnings(ladder, Final(labeller, 1e6), "ada", is_proposal)
    assert [question.kind for question in questions] == ([] if said is None else ["replaces"])
    assert all(question.text.startswith(said or "-") for question in questions)


def test_a_label_that_is_not_there_is_not_replaced(ladder: np.ndarray) -> None:
    assert submission_warnings(ladder, None, "ada", is_proposal=True) == ()
