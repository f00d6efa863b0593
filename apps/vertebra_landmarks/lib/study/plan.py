"""The study plan, ``study.yaml``: who reads, how often, blind or not, and what is never learnt from."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Hashable
from functools import cached_property
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from ..learning.validation import Between, Expected, Flag, NotNegative, Text, checked
from ..spine.image_suffixes import image_stem

PLAN_FILE = "study.yaml"
"""Name of the plan in the studies folder."""
FIRST, SECOND, REPEAT = "first", "second", "repeat"
Kind = Literal["first", "second", "repeat"]
"""Of a reading: the first of an image, that of another reader, or again by the reader of the first."""
MAX_NAME_CHARACTERS, MAX_NAMES, MAX_HELD_OUT, MAX_SEED = 200, 1_000, 100_000, 2**31 - 1
MAX_PLAN_CHARACTERS = 1_000_000
DAY_S = 86_400.0
_DIGITS = 16
_NAMES = "a list of names, each once whatever its capitals"


def image_key(image: str) -> str:
    """What images are compared by: their id, however its accents are written."""
    return unicodedata.normalize("NFC", image)


def named_images(name: str) -> set[str]:
    """Keys of the images that a name in a plan may mean: it is an id, or a file with or without its folders."""
    return {image_key(name), image_key(image_stem(name.replace("\\", "/").rsplit("/", 1)[-1]))}


def person_key(name: str) -> str:
    """What people are told apart by: their names, however capitals and accents are written."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _is_name(value: str) -> bool:
    return 0 < len(value) <= MAX_NAME_CHARACTERS and value == value.strip() and value.isprintable()


def _at_most(count: int) -> BeforeValidator:
    def check(value: Any) -> Any:
        if isinstance(value, list) and len(value) > count:
            raise PydanticCustomError("expected", "must have {count} entries at most", {"count": count})
        return value

    return BeforeValidator(check)


_Name = Annotated[str, Field(strict=True), Expected(f"a name of 1 to {MAX_NAME_CHARACTERS} characters", _is_name)]
_Names = Annotated[
    list[_Name],
    _at_most(MAX_NAMES),
    Expected(_NAMES, lambda names: len(set(map(person_key, names))) == len(names)),
]
_Share = Annotated[float, Between(0, 1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class SecondReading(_Part):
    """Images that two different readers read."""

    share: _Share = 0.0
    """Of the images."""


class Repeat(_Part):
    """Images that the reader of the first reading reads once more."""

    share: _Share = 0.0
    """Of the images."""
    after_days: NotNegative = 14.0
    """From the first reading to the repeat."""


class OfferedModel(_Part):
    """Whether the model's points are offered, by kind of reading."""

    first: Flag = True
    second: Flag = True
    repeat: Flag = True


class HoldOut(_Part):
    """Images for agreement only: no model learns from them, or from other images of their patients."""

    share: _Share = 0.0
    """Of the images."""
    images: Annotated[list[Text], _at_most(MAX_HELD_OUT)] = Field(default_factory=list)
    """Ids of further ones; names of their files mean the same."""


class StudyPlan(_Part):
    """Who reads which images, how often, and what they may see.

    Shares are those of images by a hash of the id and the seed: which images they are does not change when others come
    or go, and a larger share keeps those of a smaller one.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "readers": ["ada", "ben"],
                "adjudicators": ["cleo"],
                "second_reading": {"share": 0.5},
                "repeat": {"share": 0.1, "after_days": 14},
                "blind": True,
                "model": {"first": True, "second": True, "repeat": True},
                "hold_out": {"share": 0.1, "images": []},
                "seed": 1,
            }
        }
    )
    readers: Annotated[_Names, Expected(_NAMES, bool)]
    """User names, those of the login where there is one."""
    adjudicators: _Names = Field(default_factory=list)
    """Who choose the final label of an image with two readings."""
    second_reading: SecondReading = SecondReading()
    repeat: Repeat = Repeat()
    blind: Flag = True
    """Whether nothing of other readings reaches a reader before the image is closed."""
    model: OfferedModel = OfferedModel()
    hold_out: HoldOut = HoldOut()
    seed: Annotated[int, Between(0, MAX_SEED)] = 1

    @model_validator(mode="after")
    def _check(self) -> StudyPlan:
        readers = set(map(person_key, self.readers))
        both = sorted(name for name in self.adjudicators if person_key(name) in readers)
        if both:
            raise ValueError(f"adjudicators of the study plan may not be readers, but {both[0]!r} is both")
        if self.second_reading.share and len(self.readers) < 2:
            raise ValueError("second_reading of the study plan needs two readers at least")
        if self.second_reading.share and not self.adjudicators:
            raise ValueError("second_reading of the study plan needs an adjudicator, who chooses the final labels")
        return self

    def wants_second(self, image: str) -> bool:
        """Whether two readers read an image.

        Args:
            image: its id.
        """
        return self._draw(SECOND, image) < self.second_reading.share

    def wants_repeat(self, image: str) -> bool:
        """Whether the reader of the first reading reads an image once more."""
        return self._draw(REPEAT, image) < self.repeat.share

    def is_held_out(self, image: str) -> bool:
        """Whether an image is held out, itself: no model learns from its patient."""
        return image_key(image) in self._held_out or self._draw("hold_out", image) < self.hold_out.share

    @cached_property
    def _held_out(self) -> frozenset[str]:
        return frozenset(key for name in self.hold_out.images for key in named_images(name))

    def offers_model(self, kind: str) -> bool:
        """Whether a reading of a kind may begin with the model's points."""
        return bool(getattr(self.model, kind))

    def _draw(self, purpose: str, image: str) -> float:
        """A number in 0...1 that belongs to an image, below 1."""
        digest = hashlib.sha256(f"{self.seed}\0{purpose}\0{image}".encode(errors="surrogatepass")).digest()
        return int.from_bytes(digest[:6], "big") / 2**48

    @property
    def digest(self) -> str:
        """What changes with the plan."""
        return hashlib.sha256(self.model_dump_json().encode(errors="replace")).hexdigest()[:_DIGITS]


class _RepeatedKeyError(yaml.MarkedYAMLError):
    """A table has a key twice."""


class _Loader(yaml.SafeLoader):
    """Refuses what YAML forbids and the library accepts: a key that is there twice, of which it takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A table.

        Raises:
            _RepeatedKeyError: it has a key twice.
        """
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"{key.value!r:.80} stands there a second time"
                    raise _RepeatedKeyError(problem=problem, problem_mark=key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def checked_plan(values: object, where: str = "") -> StudyPlan:
    """A plan from plain values.

    Args:
        values: as JSON or YAML have them.
        where: they came from, for the error.

    Raises:
        ValueError: they are no plan; a sentence that names what is wrong.
    """
    return checked(StudyPlan, values, where)


def parse_plan(text: str, where: str = PLAN_FILE) -> StudyPlan:
    """A plan from the text of ``study.yaml``.

    Raises:
        ValueError: it is no plan; a sentence that names what is wrong.
    """
    if len(text) > MAX_PLAN_CHARACTERS:
        raise ValueError(f"{where}: a plan has {MAX_PLAN_CHARACTERS:,} characters at most")
    try:
        values = yaml.load(text, _Loader)  # a safe one
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        reason = error.problem if isinstance(error, _RepeatedKeyError) else "it is no YAML"
        raise ValueError(f"{where}{line}: {reason}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{where}: a plan is a table that names at least its readers")
    return checked_plan(values, where)


def plan_text(plan: StudyPlan) -> str:
    """A plan as the text of ``study.yaml``."""
    return yaml.safe_dump(plan.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
