"""Information about a label as content items: numbers where they are numbers, else text; and back, type for type."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydicom.sr.coding import Code

from . import codes
from .content_items import sr
from .content_tree import Item
from .label_version import json_of

_MAX_INTEGER = 10**15
"""Whole numbers below this fit into a decimal string."""
_KEYS = {code.value: key for key, code in codes.INFO.items()}


def text_of(value: Any) -> str:
    """A JSON value as text: a plain string as it is, everything else (and what looks like it) as JSON.

    Raises:
        ValueError: JSON has no such value.
    """
    if isinstance(value, str) and value == value.strip() and value.isprintable() and not _is_json(value):
        return value
    return json_of(value)


def value_of(text: str) -> Any:
    """The value of which ``text_of`` made this text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return not text
    return True


def info_items(info: Mapping[str, Any]) -> Iterator[sr.ContentItem]:
    """One content item for each entry.

    Raises:
        ValueError: a value is not one that JSON has.
    """
    for key, value in info.items():
        code = codes.INFO.get(key)
        if code is None:
            yield text_item(codes.PRIVATE["info"], text_of({key: value}))
        elif _is_number(value):
            yield number_item(code, value, codes.SECOND if key in ("seconds", "ts") else codes.NO_UNITS)
        else:
            yield text_item(code, text_of(value))


def read_info(items: Iterable[Item]) -> dict[str, Any]:
    """The information in the items of a container; items of other concepts are left out."""
    info: dict[str, Any] = {}
    for item in items:
        value = item.number if item.value_type == "NUM" else value_of(item.text)
        if item.is_named(codes.PRIVATE["info"]):
            info.update(value if isinstance(value, dict) else {})
        elif item.name[1] == codes.SCHEME and item.name[0] in _KEYS:
            info[_KEYS[item.name[0]]] = value
    return info


def text_item(name: Code, text: str) -> sr.TextContentItem:
    """A text that a container contains."""
    return sr.TextContentItem(name, text, sr.RelationshipTypeValues.CONTAINS)


def number_item(name: Code, value: float, unit: Code) -> sr.NumContentItem:
    """A number that a container contains; a ``float`` keeps all its digits, an ``int`` comes back as one."""
    return sr.NumContentItem(name, value, unit, relationship_type=sr.RelationshipTypeValues.CONTAINS)


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return abs(value) < 1e300  # not infinite, not NaN, and with an exponent that a decimal string has room for
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX_INTEGER
