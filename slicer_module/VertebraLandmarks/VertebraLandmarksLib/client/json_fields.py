"""Validation of untrusted JSON: each function returns a value of its type, or raises ``ServerError``."""

from __future__ import annotations

import json
from typing import Any, NoReturn, Optional

from .errors import BAD_RESPONSE, ServerError

_MAX_NUMBER = 1e9


def bad_response(detail: str) -> ServerError:
    """The error for a response of unexpected content; ``detail`` is for maintainers."""
    sentence = (
        "This module cannot read the server's response. Check that the address is that of a Vertebra Landmarks "
        "server, and that module and server have the same version."
    )
    return ServerError(BAD_RESPONSE, sentence, detail)


def parse_json(body: bytes) -> Any:
    """Parse strict JSON, without NaN and infinities.

    Raises:
        ServerError: BAD_RESPONSE, it is not JSON, such as the HTML page of another server.
    """
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        if body.lstrip()[:1] == b"<":
            sentence = (
                "The server sent a web page: this is the address of another server, or a login page is in between. "
                "Check the server's address."
            )
            raise ServerError(BAD_RESPONSE, sentence, repr(body[:80])) from error
        raise bad_response(f"not JSON: {body[:80]!r}") from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def as_object(value: Any, where: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ServerError: BAD_RESPONSE; so do all functions below.
    """
    if not isinstance(value, dict):
        raise bad_response(f"{where} must be an object, got {value!r:.80}")
    return value


def as_list(value: Any, where: str) -> list[Any]:
    """A JSON array."""
    if not isinstance(value, list):
        raise bad_response(f"{where} must be a list, got {value!r:.80}")
    return value


def as_string(value: Any, where: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise bad_response(f"{where} must be a string, got {value!r:.80}")
    return value


def as_bool(value: Any, where: str) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        raise bad_response(f"{where} must be true or false, got {value!r:.80}")
    return value


def as_number(value: Any, where: str, low: float = -_MAX_NUMBER, high: float = _MAX_NUMBER) -> float:
    """A finite number from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise bad_response(f"{where} must be a number from {low:g} to {high:g}, got {value!r:.80}")
    return float(value)


def as_integer(value: Any, where: str, low: int = 0) -> int:
    """An integer from ``low`` up."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= _MAX_NUMBER:
        raise bad_response(f"{where} must be an integer from {low} up, got {value!r:.80}")
    return value


def optional_number(value: Any, where: str, low: float = -_MAX_NUMBER, high: float = _MAX_NUMBER) -> Optional[float]:
    """A finite number from ``low`` to ``high``, or ``None``."""
    return None if value is None else as_number(value, where, low, high)


def as_numbers(
    value: Any, count: int, where: str, low: float = -_MAX_NUMBER, high: float = _MAX_NUMBER
) -> tuple[float, ...]:
    """``count`` finite numbers."""
    found = as_list(value, where)
    if len(found) != count:
        raise bad_response(f"{where} must hold {count} numbers, got {len(found)}")
    return tuple(as_number(one, where, low, high) for one in found)


def as_choice(value: Any, choices: tuple[str, ...], where: str) -> str:
    """One of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        raise bad_response(f"{where} must be one of {', '.join(choices)}, got {value!r:.80}")
    return value


def optional_choice(value: Any, choices: tuple[str, ...], where: str) -> Optional[str]:
    """One of ``choices``, or ``None``."""
    return None if value is None else as_choice(value, choices, where)
