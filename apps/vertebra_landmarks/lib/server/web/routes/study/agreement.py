"""``/study/agreement``: how well the readings of a study agree."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from ...access_policy import requires
from ...auth import Role
from ...dependencies import CurrentGate, Json, Service, ServiceDep
from ...errors import answer

router = APIRouter(tags=["Study"])

HIDDEN = "the agreement of a study is shown to its adjudicators, and to users of the login who do not read"
_ROW = {
    "comparison": "inter-reader",
    "first": "ada",
    "second": "ben",
    "angle": "largest",
    "images": 20,
    "bias_deg": 0.4,
}
_ANSWER = {
    "sentence": "",
    "readers": ["ada", "ben"],
    "images": 40,
    "tables": {"angles": [_ROW]},
    "plots": [{**_ROW, "title": "ada - ben", "points": [["phantom_1", 31.2, 30.1]]}],
    "methods": "METHODS ...",
    "results": "ada - ben (inter-reader, 20 images): bias 0.4° ...",
    "problems": [],
    "left_out": 0,
}
Unaided = Annotated[bool, Query(description="Leave out readings that began with a model's points")]


@router.get(
    "/study/agreement",
    openapi_extra=requires(Role.READER),
    summary="How well the readings agree",
    responses=answer(_ANSWER),
)
async def study_agreement(service: ServiceDep, gate: CurrentGate, unaided: Unaided = False) -> Response:
    """Tables, plots and a methods paragraph of all submitted readings, as ``scripts/agreement.py`` writes them.

    ``sentence`` says why where there are none: nothing was read twice, or with ``hidden``, the user may not see them.
    """
    if not gate.is_open:
        return Json({"sentence": HIDDEN, "hidden": True, "problems": [], "left_out": 0})
    return await service.agreement_pool.run(_agreement, service, unaided)


def _agreement(service: Service, is_unaided: bool) -> Response:
    return Json(service.agreement.of(is_unaided))  # its megabytes are written on the worker thread, too
