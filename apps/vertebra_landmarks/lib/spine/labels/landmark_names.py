"""Names of vertebrae and points as other programs write them, and a table of the names that a user gives."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from typing import Optional

from ..schema import CENTER, VERTEBRAE
from .markups import LANDMARK_INDEX, label_of

LEFT_OUT = ""
"""What a name stands for that is to be passed over."""
_LEVEL = re.compile(r"(TH|T|D|L)[\s_.-]*0*([0-9]{1,2})(?![0-9])", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s_./:-]+")
_POINTS = {
    CENTER: ("C", "CENTER", "CENTRE", "CENTROID", "MIDDLE"),
    "TL": ("TL", "UL", "TOPLEFT", "UPPERLEFT"),
    "TR": ("TR", "UR", "TOPRIGHT", "UPPERRIGHT"),
    "BL": ("BL", "LL", "BOTTOMLEFT", "LOWERLEFT"),
    "BR": ("BR", "LR", "BOTTOMRIGHT", "LOWERRIGHT"),
}
_POINT_OF = {spelling: point for point, spellings in _POINTS.items() for spelling in spellings}
_COLUMNS = 2


class NameMap:
    """What names of another program stand for; usual spellings need no table.

    ``Th1``, ``T01`` and ``D1`` are T1; ``top left``, ``upper_left`` and ``UL`` are TL. Left is image left.

    Args:
        table: a level ("T7"), a landmark ("T7 TL"), a point ("TL") or ``LEFT_OUT`` by the other program's name.

    Raises:
        ValueError: an entry is none of these.
    """

    def __init__(self, table: Optional[Mapping[str, str]] = None) -> None:
        self._table = dict(table or {})
        for theirs, ours in self._table.items():
            if ours not in LANDMARK_INDEX and ours not in _POINTS and ours != LEFT_OUT:
                raise ValueError(
                    f"the name map gives {theirs!r:.40} as {ours!r:.40}: a level like 'T7', a landmark like 'T7 TL', a "
                    "point like 'TL', or nothing for names to leave out, was expected"
                )

    @classmethod
    def parse(cls, text: str) -> NameMap:
        """Read a JSON object of their names to ours, or a table with two columns: theirs, ours.

        Raises:
            ValueError: it is neither, gives a name twice, or an entry is no name of ours.
        """
        if text.lstrip().startswith("{"):
            try:
                table = json.loads(text)
            except ValueError as error:
                raise ValueError(f"the name map is no JSON: {error}") from error
            if not all(isinstance(ours, str) for ours in table.values()):
                raise ValueError("the name map must give texts for names")
            return cls(table)
        header = text.partition("\n")[0]
        delimiter = max((",", ";", "\t"), key=header.count)
        table = {}
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            cells = [cell.strip() for cell in row]
            if not any(cells) or [cell.lower() for cell in cells] == ["theirs", "ours"]:
                continue
            if len(cells) != _COLUMNS or cells[0] in table:
                raise ValueError(
                    f"the name map needs one row 'theirs, ours' for every name, got {', '.join(row)!r:.80}"
                )
            table[cells[0]] = cells[1]
        return cls(table)

    def is_left_out(self, name: str) -> bool:
        """Whether a name is to be passed over."""
        return self._table.get(name) == LEFT_OUT

    def level(self, name: str) -> Optional[str]:
        """The vertebra of a name; ``None`` where it names none, or one of its points."""
        found = _level(self._table.get(name, name))
        return found[0] if found is not None and not found[1] else None

    def point(self, name: str) -> Optional[str]:
        """``CENTER`` or the corner of a name without a level; ``None`` where it is neither."""
        name = self._table.get(name, name)
        return name if name in _POINTS else _POINT_OF.get(_SEPARATORS.sub("", name).upper())

    def landmark(self, name: str) -> Optional[str]:
        """A name as in ``LANDMARK_INDEX``, such as "T7" for a center; ``None`` where it is none."""
        found = _level(self._table.get(name, name))
        if found is None:
            return None
        vertebra, rest = found
        point = self.point(rest) if rest else CENTER
        return None if point is None else label_of(vertebra, point)


def _level(name: str) -> Optional[tuple[str, str]]:
    """The vertebra that a name begins with, and what comes behind it, if there is one."""
    match = _LEVEL.match(name.strip())
    if match is None:
        return None
    vertebra = f"{'L' if match[1].upper() == 'L' else 'T'}{int(match[2])}"
    return (vertebra, _SEPARATORS.sub("", name.strip()[match.end() :])) if vertebra in VERTEBRAE else None
