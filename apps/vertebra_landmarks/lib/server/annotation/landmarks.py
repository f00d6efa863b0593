"""Labels as landmarks for clients without a Markups reader: the body of ``PUT /landmarks``, and the answer to ``GET``.

Both are made of what the Slicer module reads and writes: the Markups file of the label, and its metadata.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...learning.validation import Between, Expected, Flag, Probability
from ...spine.imaging.image_geometry import ImageGeometry
from ...spine.labels.markups import LANDMARK_INDEX, label_of, to_markups
from ...spine.measurement.origin import UNKNOWN, Origin
from ...spine.schema import POINTS, VERTEBRAE, Spine
from ..store.label_sync import labeller
from ..store.labels import CurrentLabel
from .bodies import FEW, Body, Coordinate, ErrorPx, LandmarkName, OriginBody, ShortText, Side

MAX_EDITS, MAX_SECONDS = 1_000_000, 1_000_000_000
CLIENT = "browser"
"""Names the page in the metadata of its labels."""
TOUCHED = "touched_points"
"""Metadata of a label: names of the points that a person has set or hidden; ``touched`` is their number."""
_ORIGIN = tuple(OriginBody.model_fields)
SET_HERE = ("annotator", "submitted", "touched", TOUCHED, "client", *_ORIGIN)
"""Metadata that follows from the rest of the body, and may not stand in its ``info``."""
EXAMPLE: dict[str, Any] = {
    "landmarks": [
        {"name": "T7", "x": 412.5, "y": 640.0},
        {"name": "T7 TL", "x": 388.0, "y": 622.25, "score": 0.91, "error_px": 3.2},
    ],
    "touched": ["T7"],
    "info": {"user": "Ada", "seconds": 140.5, "edits": 6},
    "origin": {"model_version": "2", "names_right": 0.97},
}


class LandmarkBody(Body):
    """One point; absent ones are left out."""

    name: LandmarkName
    x: Coordinate
    y: Coordinate
    score: Probability = 1.0
    """Confidence; 1 for a point placed by a person."""
    error_px: ErrorPx | None = None
    """Expected error of a predicted point."""
    visible: Flag = True
    """Whether the image shows it."""


class InfoBody(BaseModel):
    """Who worked on the points, and how; other names are kept with the label."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True, frozen=True)
    user: ShortText = ""
    """Who works, as entered; the name of a login counts more."""
    begun_by: ShortText = ""
    """Who worked on the points before."""
    seconds: Annotated[
        float,
        Field(strict=True, allow_inf_nan=False, ge=0, le=MAX_SECONDS),
        Expected(f"a number of seconds from 0 to {MAX_SECONDS:,}"),
    ] = 0.0
    """Working time."""
    edits: Annotated[int, Between(0, MAX_EDITS)] = 0
    image_left_is: Side | None = None
    """The patient's side at the left of the upright image, as the annotator states it."""


class LandmarksBody(Body):
    """A label to save."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})
    landmarks: Annotated[list[LandmarkBody], FEW]
    """All points of the label, in pixels of the image file."""
    touched: Annotated[list[LandmarkName], FEW] = Field(default_factory=list)
    """Points that a person has set, or marked as not visible."""
    info: InfoBody = InfoBody()
    origin: OriginBody = OriginBody()

    def markups(self, geometry: ImageGeometry) -> bytes:
        """Content of the Markups file, as the Slicer module writes it.

        Args:
            geometry: of the image.

        Raises:
            ValueError: a point stands twice.
        """
        return json.dumps(to_markups(self.spine(), geometry), indent=1, allow_nan=False).encode()

    def spine(self) -> Spine:
        """The points in stored pixels.

        Raises:
            ValueError: a point stands twice.
        """
        shape = (len(VERTEBRAE), len(POINTS))
        xy, visible = np.full((*shape, 2), math.nan), np.zeros(shape, bool)
        scores, errors = np.ones(shape), np.full(shape, math.nan)
        for one in self.landmarks:
            at = LANDMARK_INDEX[one.name]
            if np.isfinite(xy[at]).all():
                raise ValueError(f"landmarks: {one.name} stands twice")
            xy[at], visible[at], scores[at] = (one.x, one.y), one.visible, one.score
            errors[at] = math.nan if one.error_px is None else one.error_px
        return Spine.from_arrays(xy, scores, errors, visible)

    def metadata(self, now: float) -> dict[str, Any]:
        """Metadata of the label, under the names of the Slicer module.

        Args:
            now: seconds since 1970.
        """
        touched = sorted(set(self.touched), key=lambda name: LANDMARK_INDEX[name])
        info = self.info.model_dump(exclude={"user", "image_left_is"})
        side = self.info.image_left_is
        return {
            **info,
            "user": self.info.user,
            "annotator": self.info.user,
            "submitted": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            "seconds": round(self.info.seconds, 1),
            "touched": len(touched),
            TOUCHED: touched,
            **({} if side is None else {"image_left_is": side}),
            **self.origin.origin().as_dict(),
            "client": CLIENT,
        }


def landmarks_response(image: str, tag: str, label: CurrentLabel, spine: Spine) -> dict[str, Any]:
    """A label as plain values.

    Args:
        image: id of the image.
        tag: of the label.
        label: version and metadata.
        spine: its points in stored pixels.
    """
    info = label.metadata
    listed = info.get(TOUCHED)
    touched = set(filter(_is_text, listed)) if isinstance(listed, list) else set()
    return {
        "image": image,
        "tag": tag,
        "version": label.version,
        "landmarks": [
            {
                "name": label_of(vertebra, point),
                "x": landmark.x,
                "y": landmark.y,
                "score": landmark.score,
                "error_px": landmark.error,
                "visible": landmark.is_visible,
            }
            for vertebra, point, landmark in spine.points()
            if landmark is not None
        ],
        "touched": [name for name in LANDMARK_INDEX if name in touched],
        "info": {
            **{name: value for name, value in info.items() if name not in (*_ORIGIN, TOUCHED)},
            "user": labeller(info),
        },
        "origin": origin_of(info).as_dict(),
    }


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def origin_of(metadata: Mapping[str, Any]) -> Origin:
    """Where the points of a label come from; nothing of it where its client has noted something else under these names.

    Args:
        metadata: of the label, or the response of the inference.
    """
    values = {name: metadata[name] for name in _ORIGIN if name in metadata}
    orientation = values.get("orientation")
    if isinstance(orientation, Mapping):
        values["orientation"] = {name: value for name, value in orientation.items() if name != "source"}
    try:
        return OriginBody.model_validate(values).origin()
    except ValidationError:
        return UNKNOWN
