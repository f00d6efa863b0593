"""The parameters of an inference, checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...learning.decoders import DECODERS, DEFAULT_DECODER, FixedLandmarks

_MOST_CHARACTERS = 100_000


@dataclass(frozen=True, eq=False)
class InferRequest:
    """What a client may ask of an inference.

    Attributes:
        decoder: one of ``DECODERS``.
        min_score: landmarks with a lower score are marked as not visible; none is dropped.
        fixed: points that must stay, in pixels of the image.
    """

    decoder: str
    min_score: float
    fixed: FixedLandmarks

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
        given = {name: value for name, value in request.items() if value is not None}
        values = {**cls.defaults(), **given}
        decoder, fixed = values["decoder"], values["fixed"]
        if not isinstance(decoder, str) or decoder not in DECODERS:
            raise ValueError(f"decoder must be one of {', '.join(DECODERS)}, got {decoder!r:.80}")
        if isinstance(fixed, str):
            if len(fixed) > _MOST_CHARACTERS:
                raise ValueError(f"fixed must have at most {_MOST_CHARACTERS:,} characters, got {len(fixed):,}")
            try:
                fixed = json.loads(fixed)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"fixed must be JSON, got {fixed!r:.80}") from error
        fixed = FixedLandmarks.parse({} if fixed is None else fixed)
        return cls(decoder, _share(values["min_score"], "min_score"), fixed)


def _share(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{name} must be a number in 0...1, got {value!r:.80}")
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be a number in 0...1, got {value!r:.80}") from error
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{name} must be a number in 0...1, got {value!r:.80}")
    return number
