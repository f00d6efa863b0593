"""The parameters of an inference."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lib.learning.decoders import DECODERS, DEFAULT_DECODER
from lib.server.inference.infer_request import InferRequest

FIXED = {"T12": {"center": [100.25, 0.1 + 0.2]}, "T7": {"TL": [7, 8]}}


@pytest.mark.parametrize(
    "request_",
    [{}, {"image": "a.png", "model": "vertebra_landmarks", "device": "cpu", "label_tag": "final"},
     {"decoder": None, "min_score": None, "fixed": None}, {"fixed": "null"}, {"fixed": "{}"}, InferRequest.defaults()],
    ids=["nothing", "of MONAI Label", "null", "null as text", "an empty table as text", "the defaults"],
)  # fmt: skip
def test_defaults(request_: dict[str, Any]) -> None:
    asked = InferRequest.parse(request_)
    assert asked.decoder == "map" == DEFAULT_DECODER
    assert asked.min_score == 0.0
    assert not asked.fixed.mask.any()


def test_the_defaults_are_plain_values_of_their_own() -> None:
    """MONAI Label shows them as the configuration of the task, where a client may change them."""
    InferRequest.defaults()["fixed"]["T1"] = {"center": [1, 2]}
    assert json.loads(json.dumps(InferRequest.defaults())) == {"decoder": "map", "min_score": 0.0, "fixed": {}}


@pytest.mark.parametrize("decoder", DECODERS)
def test_every_decoder_can_be_asked_for(decoder: str) -> None:
    assert InferRequest.parse({"decoder": decoder}).decoder == decoder


@pytest.mark.parametrize("decoder", ["best", "MAP", " map", "", "map,sequential", 0, 1.5, True, ["map"], {"map": 1}])
def test_an_unknown_decoder_is_refused(decoder: object) -> None:
    with pytest.raises(ValueError, match=r"^decoder must be one of map, sequential, parallel, got ") as caught:
        InferRequest.parse({"decoder": decoder})
    assert repr(decoder) in str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (1, 1), (0.25, 0.25), ("0.25", 0.25), (" 1e-3 ", 0.001), ("1", 1), (np.float64(0.5), 0.5)],
)
def test_scores_may_be_numbers_or_their_text(value: object, expected: float) -> None:
    found = InferRequest.parse({"min_score": value}).min_score
    assert found == expected
    assert isinstance(found, float)


@pytest.mark.parametrize(
    "value",
    [-0.001, 1.001, 2, -1, float("nan"), float("inf"), "nan", "-inf", "half", "", "0,5", "0.5.1", True, False, [0.5],
     {}, 10**400, "9" * 5000, 1j],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_what_is_no_share_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^min_score must be a number in 0\.\.\.1, got ") as caught:
        InferRequest.parse({"min_score": value})
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("fixed", [FIXED, json.dumps(FIXED)], ids=["table", "text"])
def test_fixed_points_as_a_table_and_as_text(fixed: object) -> None:
    asked = InferRequest.parse({"fixed": fixed})
    assert np.argwhere(asked.fixed.mask).tolist() == [[6, 1], [11, 0]]
    assert asked.fixed.xy[11, 0].tolist() == [100.25, 0.1 + 0.2]
    assert asked.fixed.xy[6, 1].tolist() == [7, 8]


@pytest.mark.parametrize("text", ["", "{", "T12", "{'T12': 1}", "\x00", '{"T12": }', "[" * 99_999])
def test_text_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^fixed must be JSON, got ") as caught:
        InferRequest.parse({"fixed": text})
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("fixed", [[], "[]", "7", '"T12"', 7, True, "true", b"{}"])
def test_what_is_no_table_is_refused(fixed: object) -> None:
    with pytest.raises(ValueError, match=r"^fixed must be a table such as "):
        InferRequest.parse({"fixed": fixed})


@pytest.mark.parametrize(
    ("fixed", "words"),
    [
        ({"T13": {}}, "'T13' is not one of"),
        ('{"T12": {"middle": [1, 2]}}', "T12 'middle' is not one of"),
        ('{"T12": null}', "T12 must be a table"),
        ('{"T12": {"center": [NaN, 2]}}', r"T12 center must be \[x, y\]"),
        ('{"T12": {"center": [1e999, 2]}}', r"T12 center must be \[x, y\]"),
        (f'{{"T12": {{"TL": [1{400 * "0"}, 2]}}}}', r"T12 TL must be \[x, y\]"),
    ],
)
def test_what_is_wrong_with_a_fixed_point_is_named(fixed: object, words: str) -> None:
    with pytest.raises(ValueError, match=f"^fixed: {words}"):
        InferRequest.parse({"fixed": fixed})


def test_a_text_that_is_too_long_is_refused_and_not_cut() -> None:
    """Cut short, this would be a table of nothing."""
    with pytest.raises(ValueError, match=r"^fixed must have at most 100,000 characters, got 100,003"):
        InferRequest.parse({"fixed": "{}" + 100_000 * " " + "x"})
    assert not InferRequest.parse({"fixed": "{}" + 99_998 * " "}).fixed.mask.any()


def test_the_first_fault_of_several_is_told_and_the_request_stays_as_it_is() -> None:
    request = {"decoder": "best", "min_score": 7, "fixed": None}
    before = dict(request)
    with pytest.raises(ValueError, match=r"^decoder"):
        InferRequest.parse(request)
    assert request == before
