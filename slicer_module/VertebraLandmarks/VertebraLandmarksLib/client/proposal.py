"""Corners that lie on Cobb lines which somebody has edited in a viewer of the PACS: a proposal, never a label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from ..spine.labels.markups import LANDMARK_INDEX
from .json_fields import as_bool, as_integer, as_list, as_number, as_object, as_string
from .responses import MAX_COORDINATE_PX

PROPOSED = "proposal_ohif"
"""Tag of the label that holds the proposal."""


@dataclass(frozen=True)
class ProposedCorner:
    """A corner that would move.

    Attributes:
        name: such as "T5 TL".
        v: index of the vertebra.
        p: index of the point.
        x: where it would be, in stored pixels.
        y: likewise.
    """

    name: str
    v: int
    p: int
    x: float
    y: float


@dataclass(frozen=True)
class Proposal:
    """What a person has edited in a viewer.

    Attributes:
        user: who, "" where unknown.
        timestamp: when the server has found it, seconds since 1970; ``None`` where unknown.
        tag: of the label whose lines were edited.
        version: its number.
        corners: that would move; none where the lines are as labelled.
    """

    user: str
    timestamp: Optional[float]
    tag: str
    version: int
    corners: tuple[ProposedCorner, ...]


def parse_proposal(label: Any) -> Optional[Proposal]:
    """Parse ``GET /landmarks`` of the tag ``PROPOSED``; ``None`` where it does not say what it is about.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    label = as_object(label, "proposal")
    info = as_object(label.get("info", {}), "information about the proposal")
    if info.get("proposal") is None:
        return None
    about = as_object(info["proposal"], "proposal")
    moved = {as_string(name, "moved") for name in as_list(about.get("moved", []), "moved")}
    when = info.get("ts")
    return Proposal(
        user=as_string(info.get("user") or "", "user"),
        timestamp=None if when is None else as_number(when, "ts", 0, 1e12),
        tag=as_string(about.get("of_tag"), "of_tag"),
        version=as_integer(about.get("of_version"), "of_version", 1),
        corners=tuple(
            corner
            for corner in map(_corner, as_list(label.get("landmarks"), "landmarks"))
            if corner is not None and corner.name in moved
        ),
    )


def _corner(landmark: Any) -> Optional[ProposedCorner]:
    landmark = as_object(landmark, "landmark")
    name = as_string(landmark.get("name"), "name of a landmark")
    if name not in LANDMARK_INDEX or not as_bool(landmark.get("visible", True), "visible"):
        return None
    x, y = (as_number(landmark.get(axis), name, -MAX_COORDINATE_PX, MAX_COORDINATE_PX) for axis in ("x", "y"))
    return ProposedCorner(name, *LANDMARK_INDEX[name], x, y)
