"""STOW-RS: storing one instance, and what the answer of the PACS means."""

from __future__ import annotations

import secrets
from enum import Enum
from typing import Any, NamedTuple

from ..client import PacsClient, PacsError
from ..instances import InstanceUids

_REFUSING = frozenset((400, 406, 410, 411, 413, 415, 422))
"""Statuses that the same instance would get again."""
_NOT_ALLOWED = {
    401: "refuses the login",
    403: "does not allow this login to store",
    404: "stores nothing at this address",
    405: "stores nothing at this address",
    501: "stores nothing at this address",
}
_FULL = 507
_DUPLICATE, _OUT_OF_RESOURCES = 0x0111, range(0xA700, 0xA800)
_REASONS = {
    0x0122: "it does not store instances of this kind",
    0x0124: "this login may not store it",
    0xA900: "it says that the instance does not fit its kind",
    0xC122: "it does not store this transfer syntax",
}
"""What failure reasons of PS3.18 mean."""
_REFERENCED, _FAILED, _UID, _REASON = "00081199", "00081198", "00081155", "00081197"


class Outcome(Enum):
    """What became of an instance."""

    STORED = "stored"
    REFUSED = "refused"
    """Another attempt would fail as well."""
    FAILED = "failed"
    """Another attempt may succeed."""


class Stored(NamedTuple):
    """The outcome, and a sentence that says why where it was not stored."""

    outcome: Outcome
    sentence: str = ""


class NotAllowedError(PacsError):
    """The PACS lets this login store nothing."""


def store(client: PacsClient, content: bytes, uids: InstanceUids, host: str) -> Stored:
    """Store an instance; one that is there already counts as stored.

    Args:
        client: of the PACS.
        content: a DICOM file.
        uids: of the instance.
        host: of the PACS, as named in sentences.

    Raises:
        NotAllowedError: the PACS stores nothing for this login, or at this address.
        PacsError: the PACS cannot be reached.
    """
    boundary = secrets.token_hex(16)
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = head + content + f"\r\n--{boundary}--\r\n".encode()
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    status, answer = client.post("studies", body, kind)
    if status in _NOT_ALLOWED:
        raise NotAllowedError(f"the PACS at {host} {_NOT_ALLOWED[status]} ({status}); nothing is sent until it does")
    if status in _REFUSING:
        reason = "as too large " if status == 413 else ""
        return Stored(Outcome.REFUSED, f"the PACS at {host} refuses it {reason}({status})")
    if status == _FULL:
        return Stored(Outcome.FAILED, f"the PACS at {host} has no room left ({status})")
    if status in (200, 202, 409):
        verdict = _verdict(answer, uids.instance, host)
        if verdict is not None:
            return verdict
        if client.is_there(uids):
            return Stored(Outcome.STORED)
        if status == 409:
            return Stored(Outcome.REFUSED, f"the PACS at {host} refuses it ({status})")
        return Stored(Outcome.FAILED, f"the PACS at {host} does not say that it has stored it")
    return Stored(Outcome.FAILED, f"the PACS at {host} failed ({status}); it is tried again")


def _verdict(answer: Any, instance: str, host: str) -> Stored | None:
    """What the answer says of an instance; ``None`` where it says nothing."""
    if not isinstance(answer, dict):
        return None
    if any(_first(item, _UID) == instance for item in _items(answer, _REFERENCED)):
        return Stored(Outcome.STORED)
    for item in _items(answer, _FAILED):
        reason = _first(item, _REASON)
        if _first(item, _UID) != instance or not isinstance(reason, int):
            continue
        if reason == _DUPLICATE:
            return Stored(Outcome.STORED)
        if reason in _OUT_OF_RESOURCES:
            return Stored(Outcome.FAILED, f"the PACS at {host} has no room left ({reason:04X}H)")
        if reason == 0x0110:
            return Stored(Outcome.FAILED, f"the PACS at {host} failed to process it ({reason:04X}H)")
        sentence = _REASONS.get(reason & 0xFF00 if reason >> 8 == 0xA9 else reason, "it gives no reason")
        return Stored(Outcome.REFUSED, f"the PACS at {host} refuses it: {sentence} ({reason:04X}H)")
    return None


def _items(answer: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    values = answer[tag].get("Value") if isinstance(answer.get(tag), dict) else None
    return [item for item in values if isinstance(item, dict)] if isinstance(values, list) else []


def _first(item: dict[str, Any], tag: str) -> Any:
    values = item[tag].get("Value") if isinstance(item.get(tag), dict) else None
    return values[0] if isinstance(values, list) and values else None
