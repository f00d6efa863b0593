"""Reading JSON that may hold anything: each function gives a value of the kind it names, or says what is wrong."""

from __future__ import annotations

import json
from typing import Any, NoReturn, Optional

from .errors import BAD_RESPONSE, ServerError

_LARGEST = 1e9


def bad_response(detail: str) -> ServerError:
    """The error for an answer that is not what was asked for; ``detail`` is for a maintainer."""
    sentence = (
        "The answer of the server makes no sense to this module. Check that the address is that of a Vertebra "
        "Landmarks server, and that module and server are of the same version."
    )
    return ServerError(BAD_RESPONSE, sentence, detail)


def parse_json(body: bytes) -> Any:
    """The content of a JSON text without NaN and infinities.

    Raises:
        ServerError: BAD_RESPONSE, it is none, such as the HTML page of another server.
    """
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        if body.lstrip()[:1] == b"<":
            sentence = (
                "A web page came instead of an answer: at this address is another server, or a login page is in "
                "between. Check the server's address."
            )
            raise ServerError(BAD_RESPONSE, sentence, repr(body[:80])) from error
        raise bad_response(f"no JSON: {body[:80]!r}") from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def as_object(value: Any, where: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ServerError: BAD_RESPONSE, as all others here.
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
    """True or false."""
    if not isinstance(value, bool):
        raise bad_response(f"{where} must be true or false, got {value!r:.80}")
    return value


def as_number(value: Any, where: str, low: float = -_LARGEST, high: float = _LARGEST) -> float:
    """A finite number between limits."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise bad_response(f"{where} must be a number from {low:g} to {high:g}, got {value!r:.80}")
    return float(value)


def as_integer(value: Any, where: str, low: int = 0) -> int:
    """A whole number from ``low`` up."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= _LARGEST:
        raise bad_response(f"{where} must be an integer from {low} up, got {value!r:.80}")
    return value


def optional_number(value: Any, where: str, low: float = -_LARGEST, high: float = _LARGEST) -> Optional[float]:
    """A finite number between limits, or ``None``."""
    return None if value is None else as_number(value, where, low, high)


def as_numbers(value: Any, count: int, where: str, low: float = -_LARGEST, high: float = _LARGEST) -> tuple[float, ...]:
    """So many finite numbers."""
    found = as_list(value, where)
    if len(found) != count:
        raise bad_response(f"{where} must hold {count} numbers, got {len(found)}")
    return tuple(as_number(one, where, low, high) for one in found)


def as_choice(value: Any, choices: tuple[str, ...], where: str) -> str:
    """One of some words."""
    if not isinstance(value, str) or value not in choices:
        raise bad_response(f"{where} must be one of {', '.join(choices)}, got {value!r:.80}")
    return value


def optional_choice(value: Any, choices: tuple[str, ...], where: str) -> Optional[str]:
    """One of some words, or ``None``."""
    return None if value is None else as_choice(value, choices, where)
