"""JSON that clients send along, and how the description of the interface shows it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lib.server.web.app import ROUTERS
from lib.server.web.errors import add_error_handlers
from lib.server.web.validation import BatchParams, NextImageParams, ScoringParams, VersionParams, json_object, sent

DEEP: Any = "leaf"
for _ in range(8):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "params must be JSON"),
        ("[" * 100_000, "params may have 30,000 characters at most"),
        ("[" * 20_000, "params must be JSON"),
        ("[]", "params must be a JSON object, got '[]'"),
        ("null", "params must be a JSON object, got 'null'"),
        ('{"a": NaN}', "params must hold finite numbers only"),
        ('{"a": [1e999]}', "params must hold finite numbers only"),
        ('{"a": "\\ud800"}', "params must hold whole characters only"),
        ('{"\\udfff": 1}', "params must hold whole characters only"),
        (json.dumps({"a": DEEP}), "params may be nested 8 times at most"),
    ],
    ids=lambda value: value[:20],
)
def test_json_that_cannot_be_taken_is_refused_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^params ") as caught:
        json_object(text, "params")
    assert str(caught.value) == said


def test_an_object_is_taken_as_it_is() -> None:
    assert json_object("", "params") == {}
    value = {"a": [1, 2.5, None, True, "\u00e9\U0001f9b4"], "b": {"c": {}}}
    assert json_object(json.dumps(value), "params") == value
    assert json_object(json.dumps({"a": DEEP[0][0]}), "params") == {"a": DEEP[0][0]}


def service() -> TestClient:
    """Routes that answer with what they were sent."""
    api = FastAPI()
    add_error_handlers(api)
    for model in (BatchParams, NextImageParams, ScoringParams, VersionParams):

        def route(params: model | None = None) -> dict[str, Any]:  # type: ignore[valid-type]
            return sent(params)

        route.__annotations__["params"] = model | None
        api.post(f"/{model.__name__}")(route)
    return TestClient(api)


@pytest.mark.parametrize(
    ("model", "body", "said"),
    [
        ("BatchParams", {"save_label": "yes"}, "body.save_label must be true or false, got 'yes'"),
        ("BatchParams", {"label_tag": 5}, "body.label_tag must be text, got 5"),
        ("BatchParams", {"max_workers": True}, "body.max_workers must be a whole number, got True"),
        ("BatchParams", {"max_workers": 1.0}, "body.max_workers must be a whole number, got 1.0"),
        ("BatchParams", {"images": []}, "the body must not name 'images'"),
        ("NextImageParams", {"strategy": "first"}, "the body must not name 'strategy'"),
        ("ScoringParams", {"method": "x"}, "the body must not name 'method'"),
        ("VersionParams", {"version": "3"}, "body.version must be a whole number, got '3'"),
        ("VersionParams", {"other": DEEP}, "the body may be nested 8 times at most"),
        ("VersionParams", {"other": "x" * 40_000}, "the body may have 30,000 characters at most"),
        ("VersionParams", [1], "body must be a table of settings, got [1]"),
    ],
)
def test_a_body_that_is_not_as_described_is_400_with_a_sentence(model: str, body: Any, said: str) -> None:
    answer = service().post(f"/{model}", json=body)
    assert (answer.status_code, answer.json()) == (400, {"detail": said})


@pytest.mark.parametrize("text", ['{"other": NaN}', '{"other": "\\ud800"}'])
def test_a_body_of_what_cannot_be_written_again_is_400(text: str) -> None:
    answer = service().post("/VersionParams", content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("the body must hold")


@pytest.mark.parametrize("body", [None, {}, {"label_tag": None}, {"label_tag": "mine", "decoder": "map", "fixed": {}}])
def test_a_body_is_passed_on_as_it_was_sent(body: Any) -> None:
    assert service().post("/BatchParams", json=body).json() == (body or {})


def described() -> dict[str, Any]:
    api = FastAPI()
    for router in ROUTERS:
        api.include_router(router)
    return api.openapi()


def test_the_interface_describes_bodies_with_fields_and_examples() -> None:
    schemas = described()["components"]["schemas"]
    assert schemas["VersionParams"]["example"] == {"version": 3}
    assert schemas["BatchParams"]["example"]
    epochs = schemas["TrainParams"]["properties"]["max_epochs"]
    assert (epochs["minimum"], epochs["maximum"], epochs["default"]) == (1, 1000, 10)
    assert "served version" in epochs["description"]
    params = schemas["Body_infer_infer__model__post"]["properties"]["params"]
    assert params["contentMediaType"] == "application/json"
    assert set(params["contentSchema"]["properties"]) == {"decoder", "min_score", "fixed", "save_label", "label_tag"}
    assert params["contentSchema"]["example"]["fixed"]["T12"] == {"center": [412.5, 980.0]}


def test_the_interface_shows_no_body_without_fields_or_passing_on() -> None:
    for path, methods in described()["paths"].items():
        for method, route in methods.items():
            for media in route.get("requestBody", {}).get("content", {}).values():
                assert media["schema"] != {}, (method, path)
                if (method, path) != ("put", "/study"):  # a plan as study.yaml has it, checked by lib/study
                    assert "$ref" in json.dumps(media["schema"]), (method, path)


def test_every_parameter_of_the_datastore_has_a_description_or_a_choice() -> None:
    for path, methods in described()["paths"].items():
        if path.startswith("/datastore/"):
            for route in methods.values():
                for parameter in route.get("parameters", []):
                    schema = parameter["schema"]
                    assert "examples" in schema or "$ref" in schema or "enum" in schema, (path, parameter["name"])
