"""``/readings``: the readings of an image beside each other, and the choice of its final label."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Response
from pydantic import ConfigDict, Field

from .....learning.validation import Expected
from .....study.plan import StudyPlan
from .....study.visibility import Part
from ....annotation.bodies import Body, ShortText
from ....annotation.readings.gate import Gate
from ...access_policy import requires
from ...auth import Role
from ...dependencies import CurrentGate, CurrentUser, Json, Service, ServiceDep
from ...errors import answer, bad_request
from ..datastore import BaseVersion, ImageId, _check_image
from .plan import name_of, reading_json

router = APIRouter(tags=["Study"])

MAX_QUEUE = 1_000
_NO_PLAN = "the studies folder has no study plan, so there is nothing to adjudicate"
_Number = Annotated[int, Field(strict=True, ge=1, le=1_000)]


class AdjudicateBody(Body):
    """The choice of an adjudicator."""

    model_config = ConfigDict(json_schema_extra={"example": {"take": 2, "user": "cleo", "versions": {"1": 1, "2": 3}}})
    take: Annotated[_Number | Literal["mean"], Expected('the number of a reading, or "mean"')]
    """Whose points become the final label."""
    user: ShortText = ""
    """As entered; the name of a login counts more."""
    versions: dict[int, Annotated[int, Field(strict=True, ge=1)]] | None = None
    """Versions of the readings as seen, by number; nothing is saved where one was changed meanwhile."""


_VERTEBRA = {"vertebra": "T7", "center_px": 3.2, "corners_px": 4.1, "tilt_deg": 1.5, "is_missing": False}
_READINGS = {
    "image": "phantom_1",
    "readings": [{"number": 1, "kind": "first", "reader": "ada", "blind": True, "version": 1, "seconds": 74.5}],
    "differences": [_VERTEBRA],
    "angle_difference_deg": 2.3,
    "names_shift": 0,
    "mean": {"landmarks": [], "measured": None, "sentence": ""},
    "final": None,
    "you": {"may_save": True, "model": True, "reading": None},
}


@router.get(
    "/readings",
    openapi_extra=requires(Role.READER),
    summary="The readings of an image, and how they differ",
    responses=answer(_READINGS),
)
async def readings(service: ServiceDep, gate: CurrentGate, image: ImageId) -> Response:
    """Points and measurements of each reading; differences of the first two by different readers, largest first.

    From whom the readings are hidden sees the own one under work only. ``mean`` is that of these two as it would be
    saved, or the sentence that says why there is none; ``you`` is what the user may do with the image: save points,
    begin with those of the model, and which reading it is.
    """
    return Json(await service.io_pool.run(_readings, service, gate, image))


def _readings(service: Service, gate: Gate, image: str) -> dict[str, Any]:
    _check_image(service, image)
    present = gate.readings(image)
    own = gate.own(image)
    if gate.shows_labels(image):
        shown = tuple(one for one in present.readings if one.is_submitted)
    else:
        shown = () if own is None else (own,)
    try:
        found = service.study.comparisons.answer(present, shown)
    except (OSError, ValueError) as error:
        raise HTTPException(409, "a reading is missing or damaged on the disk") from error
    final = service.study.comparisons.final(present) if gate.shows_labels(image) else None
    return {**found, "final": final, "you": _part(gate.part(image))}


def _part(part: Part) -> dict[str, Any]:
    own = part.reading
    reading = None if own is None else {**reading_json(own), "submitted": own.is_submitted}
    return {"may_save": part.may_save, "model": part.offers_model, "reading": reading}


_QUEUED = {"image": "phantom_1", "readings": [{"number": 1, "reader": "ada", "version": 1}], "adjudicator": None}


@router.get(
    "/readings/queue",
    openapi_extra=requires(Role.READER),
    summary="Images to adjudicate",
    responses=answer({"total": 1, "images": [_QUEUED]}),
)
async def queue(service: ServiceDep, gate: CurrentGate) -> Response:
    """Those whose readings differ most first, at most 1,000; empty for whoever does not see readings."""
    return Json(await service.io_pool.run(_queue, service, gate))


def _queue(service: Service, gate: Gate) -> dict[str, Any]:
    if gate.plan is None or not gate.is_open:
        return {"total": 0, "images": []}
    service.study.settle(gate.plan)
    found, taken = service.study.adjudications.queue(gate.plan), service.study.queue.in_adjudication()
    listed = [
        {
            "image": one.image,
            "readings": [{"number": of.number, "reader": of.reader, "version": of.version} for of in one.independent],
            "adjudicator": taken[one.image].reader if one.image in taken else None,
        }
        for one in found[:MAX_QUEUE]
    ]
    return {"total": len(found), "images": listed}


@router.post(
    "/readings/adjudicate",
    openapi_extra=requires(Role.ANNOTATOR),
    summary="Choose the final label of an image",
    responses=answer({"image": "phantom_1", "tag": "final", "version": 1}),
)
async def adjudicate(
    service: ServiceDep,
    gate: CurrentGate,
    user: CurrentUser,
    body: AdjudicateBody,
    image: ImageId,
    base_version: BaseVersion = None,
) -> Response:
    """Make one reading, or the mean of two, the label ``final``; points of one's own go by ``PUT /landmarks``.

    409 where a reading, or the final label, is not as the adjudicator has seen it.
    """
    name = name_of(user, body.user, gate)
    plan = gate.plan
    if plan is None:
        raise HTTPException(409, _NO_PLAN)
    if name not in plan.adjudicators:
        raise HTTPException(403, "the final label is chosen by an adjudicator of the study plan")
    version = await service.io_pool.run(_adjudicate, service, plan, image, body, name, base_version)
    return Json({"image": image, "tag": "final", "version": version})


def _adjudicate(
    service: Service, plan: StudyPlan, image: str, body: AdjudicateBody, name: str, base_version: int | None
) -> int:
    _check_image(service, image)
    try:
        version = service.study.adjudications.take(plan, image, body.take, name, body.versions, base_version)
    except ValueError as error:
        raise bad_request(error) from error
    except OSError as error:
        raise HTTPException(409, "a reading is missing or damaged on the disk") from error
    service.app.on_save_label(image, image)
    return version
