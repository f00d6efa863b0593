"""Endings of names of image files."""

from __future__ import annotations

import pytest

from lib.spine.image_suffixes import IMAGE_SUFFIXES, image_stem, image_suffix


@pytest.mark.parametrize(
    ("name", "stem", "suffix"),
    [
        ("film.png", "film", ".png"),
        ("film.JPeG", "film", ".jpeg"),
        ("a.b.dcm", "a.b", ".dcm"),
        ("film.nii", "film", ".nii"),
        ("film.NII.gz", "film", ".nii.gz"),
        ("film.gz", "film.gz", ""),
        ("film.txt", "film.txt", ""),
        ("film", "film", ""),
        ("png", "png", ""),
        (".png", ".png", ".png"),
        ("", "", ""),
        ("f\u0130lm.png", "f\u0130lm", ".png"),  # a letter that is longer in lower case
    ],
)
def test_a_name_is_a_stem_and_the_suffix_of_an_image(name: str, stem: str, suffix: str) -> None:
    assert (image_stem(name), image_suffix(name)) == (stem, suffix)


def test_suffixes_are_in_lower_case_and_begin_with_a_dot() -> None:
    assert len(set(IMAGE_SUFFIXES)) == len(IMAGE_SUFFIXES)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in IMAGE_SUFFIXES)
