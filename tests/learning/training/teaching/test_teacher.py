"""What two predictions of a teacher teach, and how that is stored."""

import csv
from pathlib import Path

import numpy as np
import pytest

from lib.learning.codec import ABSENT, PRESENT, STATE, UNKNOWN, UNNAMED
from lib.learning.training.teaching.teacher import (
    ALL_POINTS,
    IMAGE_COLUMNS,
    IMAGES_FILE,
    POINT_COLUMNS,
    POINTS_FILE,
    TEACHER_FILE,
    TeacherPrediction,
    names_apart,
    point_rows,
    read_taught_labels,
    read_teacher,
    taught_label,
)
from lib.spine.schema import CENTER, POINTS, VERTEBRAE

C = POINTS.index(CENTER)
STEP = 40.0


def spine(first: float = 60.0, count: int = len(VERTEBRAE)) -> np.ndarray:
    """``(V, P, 2)`` straight down."""
    centers = np.stack([np.full(count, 150.0), first + STEP * np.arange(count)], 1)
    return centers[:, None] + np.array([(0, 0), (-26, -14), (26, -14), (-26, 14), (26, 14)])


def found(xy: np.ndarray, lead: float = 20.0, score: float = 0.8) -> TeacherPrediction:
    """A prediction."""
    return TeacherPrediction(xy, score, lead)


def test_predictions_that_agree_with_the_marks_teach_all_points_and_names() -> None:
    xy = spine()
    taught = taught_label(*(found(xy), found(xy + 2)), xy[1:, C], 0.25)
    assert taught.label is not None
    assert taught.reason == ""
    assert taught.is_named
    np.testing.assert_allclose(taught.label[5, :, :STATE], xy[5] + 1)
    assert (taught.label[1:, :, STATE] == PRESENT).all()
    assert (taught.label[0, :, STATE] == UNKNOWN).all()  # not marked


@pytest.mark.parametrize(("second", "lead"), [(spine(60.0 + STEP), 20.0), (spine(), 5.0)])
def test_names_that_differ_or_are_not_sure_are_not_taught(second: np.ndarray, lead: float) -> None:
    xy = spine()
    taught = taught_label(*(found(xy), found(second, lead)), xy[1:-1, C], 0.25)
    assert taught.label is not None
    assert not taught.is_named
    assert (taught.label[1:-1, :, STATE] == UNNAMED).all()
    assert (taught.label[[0, -1], :, STATE] == ABSENT).all()


def test_corners_on_which_the_predictions_differ_are_unknown() -> None:
    xy, second = spine(), spine()
    second[7, POINTS.index("TL"), 0] -= 0.2 * STEP
    taught = taught_label(*(found(xy), found(second)), xy[:, C], 0.25)
    assert taught.label is not None
    unknown = np.argwhere(taught.label[..., STATE] == UNKNOWN).tolist()
    assert unknown == [[7, POINTS.index("TL")]]


def test_a_skipped_body_is_placed_by_its_mark() -> None:
    marks = spine(count=18)[:, C] + np.array([3.0, -4.0])  # all marks off by as much
    xy = np.delete(spine(count=18), 9, axis=0)  # the model steps over one
    taught = taught_label(*(found(xy), found(xy)), marks, 0.25)
    assert taught.label is not None
    assert "marks are matched" in taught.reason
    assert (taught.label[:, C, STATE] == UNNAMED).all()
    assert (taught.label[:, :C, STATE] == UNKNOWN).all()
    np.testing.assert_allclose(taught.label[:, C, :STATE], spine(count=18)[1:, C], atol=1e-6)


@pytest.mark.parametrize(
    ("predictions", "marks", "reason"),
    [
        ((found(spine(), score=0.1), found(spine())), spine()[:, C], "no spine was found"),
        ((found(spine()), found(spine() + np.array([60.0, 0.0]))), spine()[:, C], "the predictions differ"),
        ((found(spine()), found(spine())), np.delete(spine()[:, C], 8, axis=0), "1 points lie where no body is marked"),
        ((found(spine()), found(spine())), spine(900.0)[:, C], "0 of 17 marks are matched"),
        ((found(spine()), found(spine())), spine()[:1, C], "the marks cannot be compared"),
    ],
)
def test_doubts_are_stated(
    predictions: tuple[TeacherPrediction, TeacherPrediction], marks: np.ndarray, reason: str
) -> None:
    taught = taught_label(*predictions, marks, 0.25)
    assert taught.reason.startswith(reason)
    assert not taught.is_named


def test_levels_between_two_predictions() -> None:
    centers = spine()[:, C]
    assert names_apart(centers, centers + 4.0) == (0, pytest.approx(4 * 2**0.5 / STEP))
    assert names_apart(centers, centers - np.array([0.0, STEP])) == (1, pytest.approx(0.0))
    assert names_apart(centers, centers + np.array([0.0, 2 * STEP])) == (-2, pytest.approx(0.0))


def test_labels_come_back_as_they_were_written(tmp_path: Path) -> None:
    xy = spine()
    taught = taught_label(*(found(xy), found(xy)), xy[1:, C], 0.25)
    assert taught.label is not None
    with (tmp_path / IMAGES_FILE).open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [
                IMAGE_COLUMNS,
                ("quads", "a.jpg", "", 16, ALL_POINTS, "", 1, 20, 0, "", ""),
                ("quads", "b.jpg", "", 16, *[""] * 7),
            ]
        )
    with (tmp_path / POINTS_FILE).open("w", newline="") as stream:
        csv.writer(stream).writerows([POINT_COLUMNS, *point_rows("quads", "a.jpg", taught.label)])
    kept = read_taught_labels(tmp_path)
    assert list(kept) == [("quads", "a.jpg")]
    label, what = kept["quads", "a.jpg"]
    assert what == ALL_POINTS
    np.testing.assert_allclose(label, taught.label, atol=0.006)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("T5", "TL", "nan", "2", "1"), "x and y must be finite numbers, got nan, 2"),
        (("T5", "TL", "1", "inf", "1"), "x and y must be finite numbers, got 1, inf"),
        (("T5", "TL", "1", "2", "7"), "the state must be one of .*, got 7"),
        (("T5", "TL", "1", "2", "nan"), "the state must be one of .*, got nan"),
        (("T5", "TL", "1", "two", "1"), "could not convert"),
        (("C7", "TL", "1", "2", "1"), "not in tuple"),
    ],
)
def test_rows_that_are_no_points_are_refused(tmp_path: Path, values: tuple[str, ...], message: str) -> None:
    (tmp_path / IMAGES_FILE).write_text("source,image,kept\nquads,a.jpg,points\n", encoding="utf-8")
    rows = [POINT_COLUMNS, ("quads", "a.jpg", "T5", "center", 1, 2, 1), ("quads", "a.jpg", *values)]
    with (tmp_path / POINTS_FILE).open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    with pytest.raises(ValueError, match=rf"^points\.csv: row 3, of a\.jpg, is no point: .*{message}"):
        read_taught_labels(tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_what_a_teacher_was_trained_on_is_a_json_object(tmp_path: Path, text: str) -> None:
    assert read_teacher(tmp_path) is None
    (tmp_path / TEACHER_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"^teacher\.json of "):
        read_teacher(tmp_path)
    (tmp_path / TEACHER_FILE).write_text('{"folds": [1]}', encoding="utf-8")
    assert read_teacher(tmp_path) == {"folds": [1]}
