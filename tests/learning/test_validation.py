"""Checked values and the sentences about wrong ones."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from lib.learning.validation import Between, Expected, Flag, Positive, PositiveInt, Probability, Range, Text, checked


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Inner:
    """Inside another."""

    share: Probability
    span: Range


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Outer:
    """One field of each kind."""

    inner: Inner
    length: Positive = 1.0
    count: PositiveInt = 1
    is_on: Flag = True
    name: Text = ""
    level: Annotated[int, Between(0, 2**32)] = 0
    part: Annotated[float, Between(0, 0.5)] = 0.0
    word: Annotated[str, Field(strict=True, pattern="^(a|b)$"), Expected("a or b")] = "a"


GOOD = {"inner": {"share": 0.5, "span": [1, 2]}}


def test_a_table_becomes_a_value_of_plain_types() -> None:
    value = checked(Outer, {**GOOD, "length": 3, "part": 0})
    assert value == Outer(Inner(0.5, (1.0, 2.0)), 3.0, part=0.0)
    assert [type(value.length), type(value.part), type(value.inner.span)] == [float, float, tuple]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("length", 0, "a.yaml.length must be a positive number, got 0"),
        ("length", float("inf"), "a.yaml.length must be a positive number, got inf"),
        ("length", True, "a.yaml.length must be a positive number, got True"),
        ("length", 10**400, "a.yaml.length must be a positive number, got 1000"),
        ("count", 1.0, "a.yaml.count must be a positive whole number, got 1.0"),
        ("count", "1", "a.yaml.count must be a positive whole number, got '1'"),
        ("is_on", 1, "a.yaml.is_on must be true or false, got 1"),
        ("is_on", "true", "a.yaml.is_on must be true or false, got 'true'"),
        ("name", 5, "a.yaml.name must be text, got 5"),
        ("level", 2**32 + 1, "a.yaml.level must be a whole number from 0 to 4294967296, got 4294967297"),
        ("part", 0.6, "a.yaml.part must be a number from 0 to 0.5, got 0.6"),
        ("part", float("nan"), "a.yaml.part must be a number from 0 to 0.5, got nan"),
        ("word", "c", "a.yaml.word must be a or b, got 'c'"),
        ("word", "a\n", "a.yaml.word must be a or b, got 'a\\n'"),
        ("inner", None, "a.yaml.inner must be a table of settings, got None"),
        ("inner", {"share": 2, "span": [1, 2]}, "a.yaml.inner.share must be a probability in 0...1, got 2"),
        (
            "inner",
            {"share": 1, "span": [2, 1]},
            "a.yaml.inner.span must be two positive numbers, the smaller first",
        ),
        ("inner", {"share": 1, "span": [1]}, "a.yaml.inner.span must be two positive numbers, the smaller first"),
        (
            "inner",
            {"shares": 1, "span": [1, 2]},
            "a.yaml.inner: unknown settings ['shares'], missing settings ['share']",
        ),
        ("colour", 1, "a.yaml: unknown settings ['colour'], missing settings []"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_must_be(name: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=r"^a\.yaml") as caught:
        checked(Outer, {**GOOD, name: value}, "a.yaml")
    assert str(caught.value).startswith(said)
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


def test_names_go_before_values_and_are_told_together() -> None:
    with pytest.raises(ValueError, match=r"^--conf: unknown settings \['x', 'y'\], missing settings \['inner'\]$"):
        checked(Outer, {"length": -1, "x": 1, "y": 2}, "--conf", " ")
    with pytest.raises(ValueError, match=r"^--conf length must be"):
        checked(Outer, {**GOOD, "length": -1}, "--conf", " ")
    with pytest.raises(ValueError, match=r"^length must be"):
        checked(Outer, {**GOOD, "length": -1})
