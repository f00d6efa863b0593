"""Validation by pydantic, with errors in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import Field, Strict, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

T = TypeVar("T")

_EXPECTED, _RAISED, _MISSING = "expected", "value_error", "missing"
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden", "invalid_key")
_KEY = "[key]"
"""What pydantic appends to the place of a name that is wrong itself."""
_TABLE = ("dataclass_type", "model_type", "model_attributes_type", "dict_type")
_MAX_SHOWN = 80


@dataclass(frozen=True)
class Expected:
    """Metadata of an ``Annotated`` type: what a value must be, in the words of an error.

    It stands behind the checks that it speaks for: whichever of them fails, the sentence is the same.

    Attributes:
        words: after "must be".
        holds: a check that pydantic does not know.
    """

    words: str
    holds: Callable[[Any], bool] = lambda _: True

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        """The schema of the type, with another error."""
        return core_schema.no_info_wrap_validator_function(self._checked, handler(source))

    def _checked(self, value: Any, check: Callable[[Any], Any]) -> Any:
        try:
            if self.holds(valid := check(value)):
                return valid
        except (ValidationError, OverflowError):
            pass
        raise PydanticCustomError(_EXPECTED, "must be {words}", {"words": self.words})


@dataclass(frozen=True)
class Between:
    """Metadata of ``int`` or ``float``: both limits, which are allowed, and the error that names them."""

    minimum: float
    maximum: float

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        """The schema of the number within its limits."""
        words = f"a {'whole ' if source is int else ''}number from {self.minimum} to {self.maximum}"
        limits: Any = {**handler(source), "ge": self.minimum, "le": self.maximum, "strict": True}
        return Expected(words).__get_pydantic_core_schema__(source, lambda _: limits)


_Finite = Field(strict=True, allow_inf_nan=False)
Flag = Annotated[bool, Strict(), Expected("true or false")]
Text = Annotated[str, Strict(), Expected("text")]
Number = Annotated[float, _Finite]
Positive = Annotated[Number, Field(gt=0), Expected("a positive number")]
PositiveInt = Annotated[int, Field(strict=True, gt=0), Expected("a positive whole number")]
NotNegative = Annotated[Number, Field(ge=0), Expected("zero or more")]
NotNegativeInt = Annotated[int, Field(strict=True, ge=0), Expected("a whole number, zero or more")]
Probability = Annotated[Number, Field(ge=0, le=1), Expected("a probability in 0...1")]
_PositiveNumber = Annotated[Number, Field(gt=0)]
Range = Annotated[
    tuple[_PositiveNumber, _PositiveNumber],
    Expected("two positive numbers, the smaller first", lambda value: value[0] <= value[1]),
]


def checked(kind: type[T], values: object, where: str = "", separator: str = ".") -> T:
    """A value of a pydantic model or dataclass.

    Args:
        kind: the class.
        values: a table of its fields.
        where: what they came from, which comes first in errors; "" if nothing needs to be said.
        separator: between that and the name of a field.

    Raises:
        ValueError: the values are not as the class needs them; in a sentence.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise ValueError(_sentence(error.errors(include_url=False), where, separator)) from error


def _sentence(errors: Sequence[Mapping[str, Any]], where: str, separator: str) -> str:
    """The first error; unknown and missing names go before others, and are reported together."""
    names = [error for error in errors if error["type"] in (_MISSING, *_UNKNOWN)]
    if not names:
        return sentence(errors[0], where, separator)
    parent = names[0]["loc"][:-1]
    siblings = [error for error in names if error["loc"][:-1] == parent]
    unknown = sorted({_name(error["loc"][-1:]) for error in siblings if error["type"] != _MISSING})
    missing = sorted(_name(error["loc"][-1:]) for error in siblings if error["type"] == _MISSING)
    return f"{_location(parent, where, separator)}: unknown settings {unknown}, missing settings {missing}"


def sentence(error: Mapping[str, Any], where: str = "", separator: str = ".") -> str:
    """One of pydantic's errors in a sentence that names the value, what it must be and what it is.

    Args:
        error: an item of pydantic's ``errors()``.
        where: what the values came from.
        separator: between that and the name of a field.
    """
    if error["type"] == _RAISED:  # by our own code, which names the value itself
        return str(error["ctx"]["error"])
    name, got = _location(error["loc"], where, separator), f"{error['input']!r:.{_MAX_SHOWN}}"
    if error["type"] == _MISSING:
        return f"{name} is missing"
    if error["type"] in _UNKNOWN:
        return f"{name} is not known"
    if error["type"] in _TABLE:
        return f"{name} must be a table of settings, got {got}"
    return f"{name} {error['msg']}, got {got}" if error["type"] == _EXPECTED else f"{name}: {error['msg']}, got {got}"


def _name(parts: Sequence[object]) -> str:
    return ".".join(str(part) for part in parts if part != _KEY)


def _location(parts: Sequence[object], where: str, separator: str) -> str:
    return separator.join(part for part in (where, _name(parts)) if part)
