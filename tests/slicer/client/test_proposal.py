"""What the server says of lines that somebody has edited in a viewer."""

from __future__ import annotations

from typing import Any

import pytest
from VertebraLandmarksLib.client.errors import BAD_RESPONSE, ServerError
from VertebraLandmarksLib.client.proposal import Proposal, ProposedCorner, parse_proposal

pytestmark = pytest.mark.slicer

POINTS = [
    {"name": "T5 TL", "x": 1.5, "y": 2.5, "visible": True},
    {"name": "T5 TR", "x": 3, "y": 4, "visible": False},
    {"name": "T6", "x": 5, "y": 6, "visible": True},
]
ABOUT = {"of_tag": "final", "of_version": 3, "moved": ["T5 TL", "T5 TR", "L9 TL"]}


def label(**about: Any) -> dict[str, Any]:
    return {
        "tag": "proposal_ohif",
        "landmarks": POINTS,
        "info": {"user": "Eve", "ts": 7, "proposal": {**ABOUT, **about}},
    }


def test_the_corners_that_move_and_can_be_seen_are_read() -> None:
    assert parse_proposal(label()) == Proposal("Eve", 7, "final", 3, (ProposedCorner("T5 TL", 4, 1, 1.5, 2.5),))
    assert parse_proposal(label(moved=[])).corners == ()
    assert parse_proposal({"landmarks": POINTS, "info": {"user": "Eve"}}) is None


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"info": []},
        label(of_tag=1),
        label(of_version=0),
        label(moved="T5 TL"),
        {**label(), "landmarks": [{"x": 1}]},
    ],
)
def test_what_is_malformed_is_a_sentence(answer: Any) -> None:
    with pytest.raises(ServerError) as caught:
        parse_proposal(answer)
    assert caught.value.kind == BAD_RESPONSE
