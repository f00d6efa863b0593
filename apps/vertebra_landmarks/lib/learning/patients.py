"""Which patient a film is of, so that all films of one patient stay together."""

from __future__ import annotations

import re
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from ..spine.image_suffixes import DICOM_SUFFIXES

DEFAULT_PATTERN = r"(.*?\d.*?)(?:[ _.-]+[A-Za-z]{1,8})*"
"""Of an image id the part up to trailing words: ``P12_pre`` and ``P12_post`` are of ``P12``.

Numbers at the end do not count as words: in ``film_1`` and ``film_2`` they tell patients apart more often than films of
one. An id without a digit is a patient of its own.
"""
MOST_PATTERN = 200
_NOBODY = frozenset({"", "0", "anon", "anonym", "anonymous", "anonymized", "anonymised", "none", "unknown"})
"""What stands in the place of a patient's id where it was removed."""


def check_pattern(pattern: str) -> str:
    """The pattern, if ids can be compared by it.

    Args:
        pattern: regular expression for a whole image id, whose first group is the patient; "" for the usual rule.

    Raises:
        ValueError: it is no regular expression, has no group, or is too long.
    """
    if len(pattern) > MOST_PATTERN:
        raise ValueError(f"a pattern has at most {MOST_PATTERN} characters, got {len(pattern)}")
    try:
        groups = re.compile(pattern).groups
    except (re.error, OverflowError) as error:
        raise ValueError(f"{pattern!r:.80} is no regular expression: {error}") from error
    if pattern and not groups:
        raise ValueError(f"a pattern marks the patient by a group, such as ([^_]+)_.*, got {pattern!r:.80}")
    return pattern


def patient_of(image_id: str, image: Path, pattern: str = "") -> str:
    """What tells a patient from others.

    Args:
        image_id: name of the image.
        image: its file. A DICOM file tells the patient itself, unless a pattern is given.
        pattern: see ``check_pattern``; an id that it does not fit is a patient of its own.
    """
    told = "" if pattern else _told_by_file(image)
    if told:
        return told
    found = re.fullmatch(pattern or DEFAULT_PATTERN, image_id)
    return (found.group(1) if found else None) or image_id


def _told_by_file(image: Path) -> str:
    if not image.name.lower().endswith(DICOM_SUFFIXES):
        return ""
    try:
        header = pydicom.dcmread(image, stop_before_pixels=True, specific_tags=["PatientID"])
    except (InvalidDicomError, OSError, ValueError, AttributeError):
        return ""  # who reads the pixels says what is wrong
    told = str(header.get("PatientID", "") or "").strip()
    return "" if told.lower() in _NOBODY else told
