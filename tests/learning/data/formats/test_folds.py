"""Folds by patient, and the table that keeps them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lib.learning.data.formats.data_set import DataImage, DataSet
from lib.learning.data.formats.folds import FOLDS, deal, read_folds, with_folds, write_folds


def data_set(patients: dict[str, str]) -> DataSet:
    """Images by name, each of a patient."""
    points = np.zeros((17, 5, 2))
    images = [
        DataImage(Path(name), name, points, None, patient, file_digest=f"{name} digest")
        for name, patient in patients.items()
    ]
    return DataSet("spines", tuple(images))


PATIENTS = {f"{number}{when}": f"patient {number}" for number in range(13) for when in ("a", "b")[: 1 + number % 2]}


def fold_of(data: DataSet) -> dict[str, int]:
    """Folds by name."""
    return {image.name: image.fold for image in data.images}


def test_folds_keep_patients_together_and_are_of_nearly_equal_size() -> None:
    data = with_folds(data_set(PATIENTS))
    of_patient = {image.patient: image.fold for image in data.images}
    assert all(image.fold == of_patient[image.patient] for image in data.images)
    sizes = Counter(fold_of(data).values())
    assert set(sizes) == set(range(FOLDS))
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_folds_depend_on_patients_alone() -> None:
    forwards = fold_of(with_folds(data_set(PATIENTS)))
    assert forwards == fold_of(with_folds(data_set(dict(reversed(PATIENTS.items())))))


def test_a_table_keeps_folds_while_data_grow(tmp_path: Path) -> None:
    """New images of known patients join them; the folds of others do not move."""
    before = with_folds(data_set(PATIENTS))
    write_folds(tmp_path / "folds.csv", before)
    grown = {"new a": "patient 3", **PATIENTS, **{f"new {number}": f"new {number}" for number in range(9)}}
    after = with_folds(data_set(grown), read_folds(tmp_path / "folds.csv"))
    assert {name: fold for name, fold in fold_of(after).items() if name in PATIENTS} == fold_of(before)
    assert fold_of(after)["new a"] == fold_of(before)["3a"]
    sizes = Counter(fold_of(after).values())
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_images_that_come_back_have_their_folds(tmp_path: Path) -> None:
    path = tmp_path / "folds.csv"
    before = with_folds(data_set(PATIENTS))
    write_folds(path, before)
    some = {name: patient for name, patient in PATIENTS.items() if patient != "patient 5"}
    write_folds(path, with_folds(data_set(some), read_folds(path)))
    assert len(path.read_text().splitlines()) == 1 + len(PATIENTS)
    assert fold_of(with_folds(data_set(PATIENTS), read_folds(path))) == fold_of(before)


def test_a_table_names_no_patient_and_knows_renamed_images(tmp_path: Path) -> None:
    before = with_folds(data_set(PATIENTS))
    write_folds(tmp_path / "folds.csv", before)
    text = (tmp_path / "folds.csv").read_text()
    assert text.splitlines()[0] == "image,digest,patient,fold"
    assert "patient " not in text
    renamed = text.replace("\n", "\nold_")
    (tmp_path / "folds.csv").write_text(renamed.removesuffix("old_"))
    assert fold_of(with_folds(data_set(PATIENTS), read_folds(tmp_path / "folds.csv"))) == fold_of(before)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image\na\n", "fold is missing"),
        ("image,fold\na,5\n", "line 2 has fold '5'; 0 to 4 were expected"),
        ("image,fold\na,0\na,1\n", "line 3 has 'a' in a second fold"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"mine.csv: .*{words}"):
        read_folds(tmp_path / "mine.csv")


def test_a_table_that_parts_a_patient_is_refused() -> None:
    with pytest.raises(ValueError, match="1a in fold 0 and 1b in fold 1, which are of one patient"):
        with_folds(data_set(PATIENTS), {"1a": 0, "1b": 1})


def test_one_fold_is_none() -> None:
    with pytest.raises(ValueError, match="at least 2, got 1"):
        deal([1, 2], 1)
