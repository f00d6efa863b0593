"""Typed values of DICOM tags; malformed ones count as absent."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pydicom
from pydicom.errors import BytesLengthException

from ...spine.measurement.image_warnings import CONTRADICTION, ImageWarning

TAG_ERRORS = (TypeError, ValueError, struct.error, NotImplementedError, BytesLengthException, AttributeError, KeyError)


def value_of(tags: pydicom.Dataset, name: str) -> object:
    """The value of a tag; ``None`` where it is absent or malformed."""
    try:
        return tags.get(name)
    except TAG_ERRORS:
        return None


def numbers_of(tags: pydicom.Dataset, name: str) -> list[float]:
    """The numbers of a tag; empty where one is malformed or not finite."""
    try:
        value = tags.get(name)
        is_list = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
        values = [float(v) for v in (value if is_list else [] if value is None else [value])]
    except TAG_ERRORS:
        return []
    return values if all(abs(v) < float("inf") for v in values) else []


def sizes_of(tags: pydicom.Dataset, name: str) -> list[float]:
    """The numbers of a tag; empty where one is not positive."""
    values = numbers_of(tags, name)
    return values if all(v > 0 for v in values) else []


def integer_of(tags: pydicom.Dataset, name: str) -> int | None:
    """The whole number of a tag; ``None`` where it holds none or several."""
    values = numbers_of(tags, name)
    return int(values[0]) if len(values) == 1 and values[0] == int(values[0]) else None


def codes_of(tags: pydicom.Dataset, name: str) -> list[str]:
    """The code strings of a tag, in capitals."""
    value = value_of(tags, name)
    values = [value] if isinstance(value, str) else value if isinstance(value, Sequence) else ()
    return [str(code).strip().upper() for code in values]


def code_of(tags: pydicom.Dataset, name: str) -> str:
    """The code string of a tag; empty where it holds none or several."""
    codes = codes_of(tags, name)
    return codes[0] if len(codes) == 1 else ""


def contradiction(sentence: str) -> ImageWarning:
    """The warning that tags contradict each other or the pixels; the sentence begins with the name of a tag."""
    return ImageWarning(CONTRADICTION, f"DICOM tag {sentence}")
