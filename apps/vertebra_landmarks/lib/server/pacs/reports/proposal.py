"""Cobb lines that a person has drawn or edited in a viewer, as a proposal beside the label."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

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


def propose(
    store: StudiesDatastore, image: str, geometry: ImageGeometry, angles: Collection[DrawnAngle], person: str
) -> bool:
    """Save what the lines would change in the label of an image; returns whether they would change anything.

    The label ``final`` is looked at, without one the prediction; without either there is nothing to change.

    Args:
        store: of the labels.
        image: id of the image.
        geometry: of the image.
        angles: drawn on the image.
        person: who has drawn them, "" where nobody is named.
    """
    tags = store.get_labels_by_image_id(image)
    tag = next((one for one in (FINAL, PREDICTED) if one in tags), None)
    if tag is None:
        return False
    label = store.read_label(image, tag)
    spine = from_markups(parse_json(label.content, "the label"), geometry, "the label")
    proposal = cobb_proposal(angles, spine)
    if not proposal.changes_label:
        return False
    content = json.dumps(to_markups(moved(spine, proposal), geometry), indent=1, allow_nan=False).encode()
    store.save_label_content(image, TAG, content, _metadata(person, proposal, tag, label.version))
    return True


def moved(spine: Spine, proposal: CobbProposal) -> Spine:
    """A spine with the corners where a proposal has them."""
    xy = spine.xy.copy()
    for curve in proposal.curves:
        for move in curve.moves:
            xy[LANDMARK_INDEX[move.name]] = move.x, move.y
    return spine.moved_to(xy)


def _metadata(person: str, proposal: CobbProposal, tag: str, version: int) -> dict[str, Any]:
    """Whose proposal it is, of which label, and what it would change."""
    person = person.replace("^", " ").strip()
    is_named = not set(person.lower().split()) <= _UNNAMED
    return {
        "user": person if is_named else "",
        "client": VIEWER,
        "proposal": {
            "of_tag": tag,
            "of_version": version,
            "angles_deg": [
                {"upper_end": one.upper_end, "lower_end": one.lower_end, "angle_deg": round(one.angle_deg, 1)}
                for one in proposal.curves
            ],
            "moved": [move.name for one in proposal.curves for move in one.moves],
            "problems": list(proposal.problems),
        },
    }
