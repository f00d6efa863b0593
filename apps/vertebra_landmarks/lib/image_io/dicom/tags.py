"""Values of DICOM tags in which malformed ones count as absent."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pydicom
from pydicom.errors import BytesLengthException

TAG_ERRORS = (TypeError, ValueError, struct.error, NotImplementedError, BytesLengthException, AttributeError, KeyError)


def value_of(tags: pydicom.Dataset, name: str) -> object:
    """The value of a tag; ``None`` where it is absent or malformed."""
    try:
        return tags.get(name)
    except TAG_ERRORS:
        return None


def numbers_of(tags: pydicom.Dataset, name: str) -> list[float]:
    """Values of a tag that holds numbers; none where one is malformed or not finite."""
    try:
        value = tags.get(name)
        is_list = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
        values = [float(v) for v in (value if is_list else [] if value is None else [value])]
    except TAG_ERRORS:
        return []
    return values if all(abs(v) < float("inf") for v in values) else []


def sizes_of(tags: pydicom.Dataset, name: str) -> list[float]:
    """The same for a tag that holds positive numbers."""
    values = numbers_of(tags, name)
    return values if all(v > 0 for v in values) else []


def integer_of(tags: pydicom.Dataset, name: str) -> int | None:
    """The one whole number of a tag."""
    values = numbers_of(tags, name)
    return int(values[0]) if len(values) == 1 and values[0] == int(values[0]) else None


def words_of(tags: pydicom.Dataset, name: str) -> list[str]:
    """Values of a tag that holds code words, in capitals."""
    value = value_of(tags, name)
    values = [value] if isinstance(value, str) else value if isinstance(value, Sequence) else ()
    return [str(word).strip().upper() for word in values]


def word_of(tags: pydicom.Dataset, name: str) -> str:
    """The one code word of a tag; empty where it holds none or several."""
    words = words_of(tags, name)
    return words[0] if len(words) == 1 else ""
