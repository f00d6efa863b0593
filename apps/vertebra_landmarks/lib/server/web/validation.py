"""Validation of JSON from clients: bounded, without non-finite numbers, and as its model describes it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar

from fastapi import Form
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from ...learning.validation import Expected, Flag, Text
from ..training.train_request import TrainRequest

MAX_BYTES = 30_000
"""Of one set of parameters; a task gets them on a command line."""
_MAX_DEPTH = 8


def json_form(kind: Any, example: Mapping[str, Any]) -> Any:
    """A field of a form that holds a JSON object, described by a type that has no pydantic classes inside."""
    schema = {**TypeAdapter(kind).json_schema(), "example": dict(example)}
    described = {"contentMediaType": "application/json", "contentSchema": schema, "example": json.dumps(dict(example))}
    return Form(json_schema_extra=described)


def json_object(text: str, what: str, max_length: int = MAX_BYTES) -> dict[str, Any]:
    """The object that a form field holds; an empty field is an empty object.

    Args:
        text: the field.
        what: its name, for errors.
        max_length: of the text.

    Raises:
        ValueError: it is no JSON object, or not one that ``check_object`` accepts.
    """
    if len(text) > max_length:
        raise ValueError(f"{what} may have {max_length:,} characters at most")
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} must be JSON") from error
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be a JSON object, got {text!r:.80}")
    return check_object(value, what, max_length)


def check_object(value: Mapping[str, Any], what: str, max_length: int = MAX_BYTES) -> dict[str, Any]:
    """An object that is small, not deep, and holds nothing that cannot be written again.

    Raises:
        ValueError: it is not.
    """
    if not _is_shallow(value, _MAX_DEPTH):
        raise ValueError(f"{what} may be nested {_MAX_DEPTH} times at most")
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} must hold whole characters only") from error
    except ValueError as error:
        raise ValueError(f"{what} must hold finite numbers only") from error
    if len(text) > max_length:
        raise ValueError(f"{what} may have {max_length:,} characters at most")
    return dict(value)


def _is_shallow(value: Any, depth: int) -> bool:
    members = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return depth > 0 and all(_is_shallow(member, depth - 1) for member in members)


def check_no_names(params: Mapping[str, Any], names: Collection[str], what: str) -> None:
    """Make sure that none of the names is among the parameters.

    Raises:
        ValueError: one does.
    """
    reserved = sorted(set(params) & set(names))
    if reserved:
        raise ValueError(f"{what} must not name {reserved[0]!r}")


MetadataForm = Annotated[str, json_form(dict[str, Any], {"user": "reader-2", "seconds": 140, "edits": 6})]
"""Metadata of an image or a label."""


class Params(BaseModel):
    """A JSON object that a client sends along; names that it does not list are passed on to the app.

    It is no larger and no deeper than ``check_object`` allows. ``null`` stands for a value that is left out.
    """

    model_config = ConfigDict(extra="allow", strict=True, use_attribute_docstrings=True)
    reserved: ClassVar[tuple[str, ...]] = ()
    """Names that stand in the address of the request."""

    @model_validator(mode="before")
    @classmethod
    def _check(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            check_object(values, "the body")
            check_no_names(values, cls.reserved, "the body")
        return values


def sent(params: Params | None) -> dict[str, Any]:
    """What the client has sent, and nothing of what it has left out."""
    return params.model_dump(exclude_unset=True) if params is not None else {}


_Count = Annotated[int, Field(strict=True), Expected("a whole number")]


class NextImageParams(Params):
    """Of the choice of the next image."""

    model_config = ConfigDict(json_schema_extra={"example": {"client_id": "reader-2"}})
    reserved = ("strategy",)
    client_id: Text | None = None
    """Who works, for what is noted about the image; the user of the login if left out."""
    label_tag: Text | None = None
    """Decides nothing; MONAI Label's clients send it."""


class BatchParams(Params):
    """Of the prediction of many images; the parameters of an inference may be added."""

    model_config = ConfigDict(json_schema_extra={"example": {"label_tag": "original", "save_label": True}})
    reserved = ("model", "images")
    label_tag: Text | None = None
    """Tag of the labels that are kept, "original" if left out."""
    save_label: Flag | None = None
    """Whether the results are kept as labels."""
    device: Text | None = None
    """Decides nothing; MONAI Label's clients send it, and the names below."""
    multi_gpu: Flag | None = None
    gpus: Text | None = None
    logging: Text | None = None
    max_workers: _Count | None = None
    max_batch_size: _Count | None = None
    client_id: Text | None = None


class TrainParams(Params):
    """Of a training, see ``train_request``, which checks them."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        """That of the request, which may hold other names, too."""
        example = {"max_epochs": 10, "val_split": 0.2, "publish": "gate"}
        own = TypeAdapter(TrainRequest).json_schema()
        return {**handler(schema), **own, "additionalProperties": True, "example": example}


class ScoringParams(Params):
    """Of a scoring method."""

    model_config = ConfigDict(json_schema_extra={"example": {}})
    reserved = ("method",)


class VersionParams(Params):
    """Names a version of the model."""

    model_config = ConfigDict(json_schema_extra={"example": {"version": 3}})
    version: _Count | None = None
    """Number of the version."""
