"""``/measure``: what points of a spine amount to, while they are corrected."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ...annotation.measure_request import EXAMPLE, MeasureRequest
from ...annotation.measure_response import measure_response
from ..access_policy import requires
from ..auth import Role
from ..dependencies import Json
from ..errors import answer

router = APIRouter(tags=["Measure"])


_ANSWER = answer(measure_response(MeasureRequest.model_validate(EXAMPLE)))


@router.post(
    "/measure",
    openapi_extra=requires(Role.READER),
    summary="Curves, doubts and warnings of points",
    responses=_ANSWER,
)
def measure(request: MeasureRequest) -> Response:
    """Cobb angles with their intervals and lines, colors of the vertebrae, and what to check; no image is needed.

    All positions are pixels of the image file, with pixel centers at whole numbers. Curves are listed from top to
    bottom; their sides are the patient's where ``image_left_is`` states them. ``submission_warnings`` are to be
    confirmed before these points are saved as a final label.
    """
    return Json(measure_response(request))
