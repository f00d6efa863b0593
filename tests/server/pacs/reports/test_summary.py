"""The sentence about the PACS that clients show."""

from __future__ import annotations

from typing import Any

import pytest

from lib.server.pacs.reports.summary import with_summary


@pytest.mark.parametrize(
    ("status", "summary", "is_failing"),
    [
        ({"waiting": 1, "sent": 4, "refused": 0}, "PACS: 1 result to send, 4 sent", False),
        ({"sending": "sending", "sent": 1200, "refused": 2}, "PACS: 0 results to send, 1,200 sent, 2 refused", True),
        (
            {"sending": "paused", "waiting": 3, "last_error": "It needs a login."},
            "Nothing is sent to the PACS now: It needs a login. 3 results to send, 0 sent.",
            True,
        ),
        (
            {"sending": "retrying", "waiting": 3, "last_error": None},
            "The PACS does not take results now; they are sent again. 3 results to send, 0 sent.",
            True,
        ),
        (
            {"state": "unavailable", "message": "It is down.", "waiting": 2},
            "The PACS does not answer: It is down. 2 results to send, 0 sent.",
            True,
        ),
    ],
)
def test_the_state_is_a_sentence(status: dict[str, Any], summary: str, is_failing: bool) -> None:
    told = with_summary({"state": "idle", "sending": "idle", **status})
    assert (told["summary"], told["is_failing"]) == (summary, is_failing)
    assert told["sending"] == status.get("sending", "idle")
