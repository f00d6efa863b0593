"""The body of ``POST /measure``, checked, as the measurement takes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field

from ...learning.validation import Between, Expected, Flag, Probability
from ...spine.imaging.image_frame import ImageFrame
from ...spine.imaging.pixel_aspect import MAX_ASPECT
from ...spine.schema import POINTS, VERTEBRAE, Spine
from .bodies import FEW, Body, ErrorPx, OrientationBody, OriginBody, PointName, Position, ShortText, Side, VertebraName

MAX_SIDE_PX = 1_000_000
MAX_TIMESTAMP = 1_000_000_000_000
_Points = Annotated[dict[VertebraName, Annotated[dict[PointName, Position], FEW]], FEW]
_Scores = Annotated[dict[VertebraName, Annotated[dict[PointName, Probability], FEW]], FEW]
_Errors = Annotated[dict[VertebraName, Annotated[dict[PointName, ErrorPx], FEW]], FEW]
_EXAMPLE_ROWS = (("T5", 0, 8), ("T6", 6, 4), ("T7", 8, 0), ("T8", 6, -4), ("T9", 0, -8))
EXAMPLE: dict[str, Any] = {
    "points": {
        name: {
            "center": [200 + shift, 100 + 40 * row],
            "TL": [180 + shift, 85 + 40 * row],
            "TR": [220 + shift, 85 + 40 * row + tilt],
            "BL": [180 + shift, 115 + 40 * row],
            "BR": [220 + shift, 115 + 40 * row + tilt],
        }
        for row, (name, shift, tilt) in enumerate(_EXAMPLE_ROWS)
    },
    "scores": {"T7": {"center": 0.93}},
    "errors_px": {"T7": {"TL": 4.1}},
    "image": {"width": 400, "height": 800, "image_left_is": "right"},
}


class ImageBody(Body):
    """The image that the points belong to."""

    width: Annotated[int, Between(1, MAX_SIDE_PX)]
    """Columns of the stored raster."""
    height: Annotated[int, Between(1, MAX_SIDE_PX)]
    """Rows of the stored raster."""
    image_left_is: Side | None = None
    """The patient's side at the left of the upright image."""
    pixel_aspect: Annotated[float, Between(1 / MAX_ASPECT, MAX_ASPECT)] = 1.0
    """Width over height of a stored pixel in the patient, as the information about the image states it."""


class SubmittedBody(Body):
    """The submitted label that would be replaced."""

    user: ShortText = ""
    """Who submitted it, "" where unknown."""
    ts: Annotated[
        float | None,
        Field(strict=True, allow_inf_nan=False, ge=0, le=MAX_TIMESTAMP),
        Expected("seconds since 1970, or null"),
    ] = None
    """When, in seconds since 1970."""

    @property
    def timestamp(self) -> float | None:
        """When, in seconds since 1970; ``None`` where unknown."""
        return self.ts


class MeasureRequest(Body):
    """Points of one spine, and what else their measurement depends on."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})
    points: _Points
    """Visible points by vertebra and point, in stored pixels."""
    hidden: _Points = Field(default_factory=dict)
    """Assumed positions of points that are not visible, as a prediction has them off the image."""
    scores: _Scores = Field(default_factory=dict)
    """Confidences of predicted points; 1 for all others."""
    errors_px: _Errors = Field(default_factory=dict)
    """Expected errors of predicted points; a point without error and with a score of 1 was placed by a person."""
    image: ImageBody
    orientation: OrientationBody | None = None
    """How the image is turned upright; ``null`` where unknown, and the points decide."""
    origin: OriginBody = OriginBody()
    label: SubmittedBody | None = None
    """The submitted label of the image; ``null`` without one."""
    user: ShortText = ""
    """Who would submit."""
    is_proposal: Flag = False
    """Whether some of the points are a model's that no user has submitted."""

    def spine(self) -> Spine:
        """The points in stored pixels."""
        shape = (len(VERTEBRAE), len(POINTS))
        xy, visible = np.full((*shape, 2), math.nan), np.zeros(shape, bool)
        scores, errors = np.ones(shape), np.full(shape, math.nan)
        for array, values in ((xy, self.hidden), (xy, self.points), (scores, self.scores), (errors, self.errors_px)):
            _fill(array, values)
        _fill(visible, {vertebra: dict.fromkeys(points, True) for vertebra, points in self.points.items()})
        return Spine.from_arrays(xy, scores, errors, visible)

    def frame(self) -> ImageFrame:
        """The image that the points belong to."""
        orientation = None if self.orientation is None else self.orientation.orientation()
        image = self.image
        return ImageFrame(image.width, image.height, orientation, image.image_left_is, image.pixel_aspect)


_ROWS = {name: row for row, name in enumerate(VERTEBRAE)}
_COLUMNS = {name: column for column, name in enumerate(POINTS)}


def _fill(array: np.ndarray, values: Mapping[str, Mapping[str, object]]) -> None:
    """Set the entries of ``(V, P, ...)`` that a table by vertebra and point holds."""
    for vertebra, points in values.items():
        for point, value in points.items():
            array[_ROWS[vertebra], _COLUMNS[point]] = value
