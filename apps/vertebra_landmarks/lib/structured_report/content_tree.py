"""Content tree of any structured report as plain items; what is missing or malformed counts as absent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from ..image_io.dicom.tags import numbers_of, value_of

MAX_ITEMS, MAX_DEPTH = 20_000, 12
"""Largest trees that are read; ours have about 800 items in 5 levels."""
MAX_TEXT = 1_000_000
"""Longest text that is read, in characters."""


@dataclass(frozen=True)
class Item:
    """One content item.

    Attributes:
        value_type: such as "TEXT", "NUM" or "CONTAINER"; "" where not stated.
        name: code value and scheme of its concept, both "" where it has none.
        dataset: the item itself.
        children: the items below it.
    """

    value_type: str
    name: tuple[str, str]
    dataset: Dataset = field(repr=False)
    children: tuple[Item, ...] = field(default=(), repr=False)

    def is_named(self, code: Code) -> bool:
        """Whether its concept is this one."""
        return self.name == (code.value, code.scheme_designator)

    def named(self, code: Code) -> Item | None:
        """The first of the items below it with this concept."""
        return next(self.all_named(code), None)

    def all_named(self, code: Code) -> Iterator[Item]:
        """The items directly below it with this concept."""
        return (child for child in self.children if child.is_named(code))

    def all_of_type(self, value_type: str) -> Iterator[Item]:
        """The items directly below it of a value type."""
        return (child for child in self.children if child.value_type == value_type)

    @property
    def text(self) -> str:
        """Of a TEXT, PNAME or UIDREF; "" without one."""
        keyword = {"PNAME": "PersonName", "UIDREF": "UID"}.get(self.value_type, "TextValue")
        return text_of(self.dataset, keyword)

    @property
    def code(self) -> tuple[str, str]:
        """Value and scheme of a CODE, both "" without one."""
        return code_of(self.dataset, "ConceptCodeSequence")

    @property
    def number(self) -> float | int | None:
        """Of a NUM: a whole number where it states no floating point value; ``None`` without one."""
        measured = first_of(self.dataset, "MeasuredValueSequence")
        if measured is None:
            return None
        exact, decimal = numbers_of(measured, "FloatingPointValue"), numbers_of(measured, "NumericValue")
        if len(exact) == 1:
            return exact[0]
        if len(decimal) != 1:
            return None
        return int(decimal[0]) if decimal[0] == int(decimal[0]) else decimal[0]

    @property
    def graphic(self) -> np.ndarray:
        """``(N, 2)`` Graphic Data of an SCOORD, float32; ``(0, 2)`` without any."""
        numbers = np.array(numbers_of(self.dataset, "GraphicData"), np.float32)
        return numbers.reshape(-1, 2) if len(numbers) % 2 == 0 else np.empty((0, 2), np.float32)

    @property
    def referenced_uid(self) -> str:
        """SOP Instance UID of an IMAGE or COMPOSITE, "" without one."""
        reference = first_of(self.dataset, "ReferencedSOPSequence")
        return "" if reference is None else text_of(reference, "ReferencedSOPInstanceUID")


def read_tree(dataset: Dataset) -> Item:
    """The content tree of a report.

    Raises:
        ValueError: it has too many items or levels.
    """
    return _item(dataset, [MAX_ITEMS], MAX_DEPTH)


def _item(dataset: Dataset, budget: list[int], depth: int) -> Item:
    budget[0] -= 1
    if budget[0] < 0 or depth < 0:
        raise ValueError(f"a content tree may have {MAX_ITEMS:,} items in {MAX_DEPTH} levels")
    children = tuple(_item(child, budget, depth - 1) for child in items_of(dataset, "ContentSequence"))
    value_type = text_of(dataset, "ValueType")
    return Item(value_type, code_of(dataset, "ConceptNameCodeSequence"), dataset, children)


def items_of(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; empty where it is absent or malformed."""
    value = value_of(dataset, keyword)
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        return []
    return [item for item in value if isinstance(item, Dataset)]


def first_of(dataset: Dataset, keyword: str) -> Dataset | None:
    """The first item of a sequence, ``None`` without one."""
    items = items_of(dataset, keyword)
    return items[0] if items else None


def text_of(dataset: Dataset, keyword: str) -> str:
    """The text of an attribute; "" where it is absent, malformed or too long."""
    value = value_of(dataset, keyword)
    text = "" if value is None or isinstance(value, bytes) else str(value)
    return text if len(text) <= MAX_TEXT else ""


def code_of(dataset: Dataset, keyword: str) -> tuple[str, str]:
    """Value and scheme of the code in a sequence, both "" without one."""
    item = first_of(dataset, keyword)
    if item is None:
        return "", ""
    return text_of(item, "CodeValue") or text_of(item, "LongCodeValue"), text_of(item, "CodingSchemeDesignator")
