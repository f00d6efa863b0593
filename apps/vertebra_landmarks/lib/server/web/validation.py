"""JSON that clients send along: bounded, without numbers that JSON does not know, and of the expected kinds."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

MOST_BYTES = 30_000
"""Of one set of parameters; a task gets them on a command line."""
_DEEPEST = 8


def json_object(text: str, what: str, most: int = MOST_BYTES) -> dict[str, Any]:
    """The object that a form field holds; an empty field is an empty object.

    Args:
        text: the field.
        what: its name, for errors.
        most: characters that it may have.

    Raises:
        ValueError: it is no JSON object, or not one that ``check_object`` accepts.
    """
    if len(text) > most:
        raise ValueError(f"{what} may have {most:,} characters at most")
    try:
        value = json.loads(text or "{}", parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} must be JSON") from error
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be a JSON object, got {text!r:.80}")
    return check_object(value, what, most)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def check_object(value: Mapping[str, Any], what: str, most: int = MOST_BYTES) -> dict[str, Any]:
    """An object that is small, not deep, and holds nothing that cannot be written again.

    Raises:
        ValueError: it is not.
    """
    _check(value, what, _DEEPEST)
    if len(json.dumps(value)) > most:
        raise ValueError(f"{what} may have {most:,} characters at most")
    return dict(value)


def _check(value: Any, what: str, depth: int) -> None:
    if depth == 0:
        raise ValueError(f"{what} may be nested {_DEEPEST} times at most")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{what} must hold finite numbers only")
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{what} must hold whole characters only")
    if isinstance(value, Mapping):
        for name, member in value.items():
            _check(name, what, depth)
            _check(member, what, depth - 1)
    elif isinstance(value, list):
        for member in value:
            _check(member, what, depth - 1)


def check_no_names(params: Mapping[str, Any], names: Collection[str], what: str) -> None:
    """See that none of the names stands among the parameters.

    Raises:
        ValueError: one does.
    """
    found = sorted(set(params) & set(names))
    if found:
        raise ValueError(f"{what} must not name {found[0]!r}")


def check_kinds(params: Mapping[str, Any], kinds: Mapping[str, type | tuple[type, ...]], what: str) -> None:
    """See that the parameters which have an expected kind are of it; a number may be whole.

    Raises:
        ValueError: one is not.
    """
    for name, kind in kinds.items():
        value = params.get(name)
        if value is None:
            continue
        is_truth = isinstance(value, bool)
        fits = isinstance(value, kind) and (not is_truth or kind is bool)
        if not fits and not (kind is float and isinstance(value, int) and not is_truth):
            wanted = kind.__name__ if isinstance(kind, type) else " or ".join(one.__name__ for one in kind)
            raise ValueError(f"{what}: {name!r} must be of kind {wanted}, got {value!r:.80}")
