"""The parameters of an inference, checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic.dataclasses import dataclass

from ...learning.decoders import DECODERS, DEFAULT_DECODER, FixedLandmarks
from ...learning.validation import Expected, Flag, Text, checked

MAX_FIXED_CHARACTERS = 100_000
EXAMPLE = {
    "decoder": "map",
    "min_score": 0.1,
    "fixed": {"T12": {"center": [412.5, 980.0]}, "L1": {"TL": [388.0, 1012]}},
}


def _fixed(values: object) -> FixedLandmarks:
    if isinstance(values, str):
        if len(values) > MAX_FIXED_CHARACTERS:
            raise ValueError(f"fixed must have at most {MAX_FIXED_CHARACTERS:,} characters, got {len(values):,}")
        try:
            values = json.loads(values)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"fixed must be JSON, got {values!r:.80}") from error
    return FixedLandmarks.parse({} if values is None else values)


@dataclass(frozen=True, eq=False, config=ConfigDict(use_attribute_docstrings=True))
class InferRequest:
    """What a client may ask of an inference."""

    decoder: Annotated[
        str,
        Field(strict=True, json_schema_extra={"enum": list(DECODERS)}),
        Expected(f"one of {', '.join(DECODERS)}", lambda value: value in DECODERS),
    ] = DEFAULT_DECODER
    """How maps become landmarks."""
    min_score: Annotated[
        float,
        Field(ge=0, le=1, allow_inf_nan=False),
        BeforeValidator(lambda value: None if isinstance(value, bool) else value),
        Expected("a number in 0...1"),
    ] = 0.0
    """Landmarks with a lower score are marked as not visible; none is dropped."""
    fixed: Annotated[FixedLandmarks, PlainValidator(_fixed), WithJsonSchema({"type": ["object", "string"]})] = Field(
        default_factory=FixedLandmarks.none
    )
    """Points that must stay, in pixels of the image, by vertebra and point; also as JSON text."""
    save_label: Flag | None = None
    """Whether the result is kept as a label; needs the role annotator."""
    label_tag: Text | None = None
    """Tag of that label, "original" if left out."""

    @staticmethod
    def defaults() -> dict[str, Any]:
        """What holds where a client says nothing."""
        return {"decoder": DEFAULT_DECODER, "min_score": 0.0, "fixed": {}}

    @classmethod
    def parse(cls, request: Mapping[str, Any]) -> InferRequest:
        """Read the parameters; others, such as MONAI Label's own, are not looked at.

        Args:
            request: ``fixed`` may be a table or, since form fields know none, JSON text of one; ``null`` stands for
                the default everywhere.

        Raises:
            ValueError: a parameter is not as expected; the message names it.
        """
        names = [field.name for field in fields(cls)]
        return checked(cls, {name: request[name] for name in names if request.get(name) is not None})
