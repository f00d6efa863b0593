"""The state of the PACS as a sentence, which the browser page and the Slicer module show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .delivery import PAUSED, RETRYING

_REASONS = {
    PAUSED: "Nothing is sent to the PACS now",
    RETRYING: "The PACS does not take results now; they are sent again",
}


def with_summary(status: Mapping[str, Any]) -> dict[str, Any]:
    """The status of a PACS with ``summary``, a sentence, and ``is_failing``, whether it needs attention.

    Args:
        status: of the watcher and of the outbox.
    """
    summary, is_failing = _summary(status)
    return {**status, "summary": summary, "is_failing": is_failing}


def _summary(status: Mapping[str, Any]) -> tuple[str, bool]:
    waiting, sent, refused = (int(status.get(name, 0)) for name in ("waiting", "sent", "refused"))
    counts = f"{waiting:,} result{'' if waiting == 1 else 's'} to send, {sent:,} sent"
    counts += f", {refused:,} refused" if refused else ""
    if status.get("state") == "unavailable":
        return f"The PACS does not answer: {status.get('message') or 'the log says why'} {counts}.", True
    if status.get("sending") in _REASONS:
        error = status.get("last_error")
        return f"{_REASONS[status['sending']]}{f': {error}' if error else '.'} {counts}.", True
    return f"PACS: {counts}", refused > 0
