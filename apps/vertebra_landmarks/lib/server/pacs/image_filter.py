"""Which instances of a PACS are frontal radiographs of the spine; a site may set that in a YAML file.

A search of a PACS can be restricted to a modality and to dates. Everything else is decided here: wildcards, several
values and characters beyond ASCII are understood differently by different PACS.
"""

from __future__ import annotations

import datetime
import unicodedata
from collections.abc import Iterable
from dataclasses import field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from ...learning.validation import Expected, Flag, checked
from .instances import Instance

MAX_PATTERNS, MAX_PATTERN_LENGTH = 100, 64
_Pattern = Annotated[str, Field(strict=True, min_length=1, max_length=MAX_PATTERN_LENGTH)]
_Patterns = Annotated[
    tuple[_Pattern, ...],
    Field(max_length=MAX_PATTERNS),
    Expected(f"a list of up to {MAX_PATTERNS} texts of 1 to {MAX_PATTERN_LENGTH} characters"),
]
_Modalities = Annotated[
    tuple[Annotated[str, Field(strict=True, pattern=r"^[A-Z]{2,16}$")], ...],
    Field(min_length=1, max_length=MAX_PATTERNS),
    AfterValidator(lambda modalities: tuple(dict.fromkeys(modalities))),
    Expected("a list of modalities such as DX and CR"),
]
_Date = Annotated[datetime.date | None, Expected("a date like 2026-01-31")]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ImageFilter:
    """What a frontal radiograph of the spine looks like to a PACS; ``*`` and ``?`` are wildcards, case is ignored.

    An instance passes if its modality is one of ``modality``, its Body Part Examined matches ``body_part`` or a
    description matches ``description``, no description matches ``not_description``, its View Position matches ``view``
    or is empty, and its study is of the dates. An empty list of patterns is no condition.

    Attributes:
        modality: which are asked for, one by one.
        body_part: patterns of Body Part Examined.
        description: patterns of Study Description or Series Description.
        not_description: patterns that neither of them may match.
        view: patterns of View Position.
        without_view: whether an instance without View Position passes.
        from_date: first date of studies.
        to_date: last date of studies.
    """

    modality: _Modalities = ("DX", "CR")
    body_part: _Patterns = ("SPINE", "WHOLESPINE", "TSPINE", "LSPINE", "TLSPINE", "LSSPINE", "CTSPINE")
    description: _Patterns = ("*spine*", "*scolio*", "*skolio*", "*wirbels*", "*rachis*", "*columna*")
    not_description: _Patterns = ("*lateral*", "lat *", "* lat", "* lat *", "*seitlich*", "*profil*")
    view: _Patterns = ("AP", "PA")
    without_view: Flag = True
    from_date: _Date = None
    to_date: _Date = field(default=None)

    def why_not(self, instance: Instance) -> str | None:
        """Why an instance does not pass, without a value of it; ``None`` where it passes."""
        descriptions = instance.study_description, instance.series_description
        if instance.modality not in self.modality:
            return "another modality"
        if instance.is_for_processing:
            return "an image for processing"
        if not self._is_in_dates(instance.study_date):
            return "a study of another date"
        if (self.body_part or self.description) and not (
            _matches([instance.body_part], self.body_part) or _matches(descriptions, self.description)
        ):
            return "neither body part nor description match"
        if _matches(descriptions, self.not_description):
            return "a description that is left out"
        if self.view and not (_matches([instance.view], self.view) if instance.view else self.without_view):
            return "another view" if instance.view else "no view"
        return None

    def _is_in_dates(self, date: str) -> bool:
        if self.from_date is None and self.to_date is None:
            return True
        first = "" if self.from_date is None else self.from_date.strftime("%Y%m%d")
        last = "99999999" if self.to_date is None else self.to_date.strftime("%Y%m%d")
        return bool(date) and first <= date <= last


def read_filter(path: Path) -> ImageFilter:
    """Read the filter from a YAML file; what it does not name is as by default.

    Raises:
        ValueError: the file cannot be read, or a setting is wrong; the message names it and what was expected.
    """
    where = f"--conf dicomweb_filter {path.name}"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{where} cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8'}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f" in line {mark.line + 1}"
        raise ValueError(f"{where} is no YAML{place}") from error
    image_filter = checked(ImageFilter, {} if content is None else content, where, ": ")
    if image_filter.from_date and image_filter.to_date and image_filter.from_date > image_filter.to_date:
        raise ValueError(f"{where}: from_date must not be after to_date, got {image_filter.from_date}")
    return image_filter


def _matches(values: Iterable[str], patterns: Iterable[str]) -> bool:
    folded = [_folded(pattern) for pattern in patterns]
    return any(value and fnmatchcase(_folded(value), pattern) for value in values for pattern in folded)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
