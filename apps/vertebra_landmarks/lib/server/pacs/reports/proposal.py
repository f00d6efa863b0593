"""Cobb lines that a person has drawn or edited in a viewer, as a proposal beside the label."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from monailabel.interfaces.exception import LabelNotFoundException

from ....spine.imaging.image_geometry import ImageGeometry
from ....spine.labels.markups import LANDMARK_INDEX, from_markups, parse_json, to_markups
from ....spine.schema import Spine
from ....structured_report import CobbProposal, cobb_proposal
from ....structured_report.cobb_proposal import DrawnAngle
from ...store.datastore import StudiesDatastore
from ...store.images import FINAL

TAG = "proposal_ohif"
"""Tag of the label with the corners moved onto the lines. It never becomes ``final`` by itself."""
PREDICTED = "original"
VIEWER = "Cobb lines of a viewer"
_UNNAMED = {"unknown", "anonymous"}


@dataclass(frozen=True)
class Drawing:
    """Cobb lines that a person has drawn on an image.

    Attributes:
        angles: of the image.
        person: who has drawn them, "" where nobody is named.
        saved_at: when, digits of date and time.
        of: tag and number of the label version whose lines they were before; ``None`` of lines that are drawn anew.
    """

    angles: Collection[DrawnAngle]
    person: str
    saved_at: str
    of: tuple[str, int] | None = None


def propose(store: StudiesDatastore, image: str, geometry: ImageGeometry, drawing: Drawing) -> bool:
    """Save what the lines would change in a label; returns whether they would change anything.

    Lines that were those of a label version are compared with that one, whichever is current, and lines that are drawn
    anew with the label ``final`` or, without one, the prediction; without either there is nothing to change. An
    earlier proposal about the same version is replaced, withdrawn where the lines are as labelled again.

    Args:
        store: of the labels.
        image: id of the image.
        geometry: of the image.
        drawing: the lines.

    Raises:
        LabelNotFoundException: the label was removed.
    """
    tags = store.get_labels_by_image_id(image)
    of = drawing.of or next(
        ((one, store.read_label(image, one).version) for one in (FINAL, PREDICTED) if one in tags), None
    )
    if of is None:
        return False
    tag, version = of
    if tag not in tags:
        raise LabelNotFoundException(f"the label {tag!r} was removed")
    spine = from_markups(parse_json(store.label_version(image, tag, version), "the label"), geometry, "the label")
    proposal = cobb_proposal(drawing.angles, spine, geometry.pixel_aspect)
    earlier = store.read_label(image, TAG).metadata.get("proposal", {}) if TAG in tags else {}
    if _is_newer(earlier, tag, version, drawing.saved_at) or not (
        proposal.changes_label or _is_of(earlier, tag, version)
    ):
        return False
    content = json.dumps(to_markups(moved(spine, proposal), geometry), indent=1, allow_nan=False).encode()
    store.save_label_content(image, TAG, content, _metadata(drawing, proposal, tag, version))
    return proposal.changes_label


def _is_of(earlier: Mapping[str, Any], tag: str, version: int) -> bool:
    """Whether a proposal, by its metadata, is about a label version, and would change it."""
    return (earlier.get("of_tag"), earlier.get("of_version")) == (tag, version) and bool(earlier.get("moved"))


def _is_newer(earlier: Mapping[str, Any], tag: str, version: int, saved_at: str) -> bool:
    """Whether a proposal is about a later version of a label, or was drawn later on the same one."""
    if earlier.get("of_tag") != tag:
        return False
    return (int(earlier.get("of_version", 0)), str(earlier.get("drawn_at", ""))) > (version, saved_at)


def moved(spine: Spine, proposal: CobbProposal) -> Spine:
    """A spine with the corners where a proposal has them."""
    xy = spine.xy.copy()
    for curve in proposal.curves:
        for move in curve.moves:
            xy[LANDMARK_INDEX[move.name]] = move.x, move.y
    return spine.moved_to(xy)


def _metadata(drawing: Drawing, proposal: CobbProposal, tag: str, version: int) -> dict[str, Any]:
    """Whose proposal it is, of which label, and what it would change."""
    person = drawing.person.replace("^", " ").strip()
    is_named = not set(person.lower().split()) <= _UNNAMED
    return {
        "user": person if is_named else "",
        "client": VIEWER,
        "proposal": {
            "of_tag": tag,
            "of_version": version,
            "drawn_at": drawing.saved_at,
            "angles_deg": [
                {"upper_end": one.upper_end, "lower_end": one.lower_end, "angle_deg": round(one.angle_deg, 1)}
                for one in proposal.curves
            ],
            "moved": [move.name for one in proposal.curves for move in one.moves],
            "problems": list(proposal.problems),
        },
    }
