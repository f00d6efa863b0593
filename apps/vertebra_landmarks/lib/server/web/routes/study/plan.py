"""``/study``: the plan of a study, its progress, and the next image of a reader."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response
from fastapi import Body as JsonBody
from pydantic import ConfigDict

from .....learning.validation import Text
from .....study.plan import StudyPlan, checked_plan
from .....study.slots import Reading
from ....annotation.bodies import Body, ShortText
from ....annotation.readings.gate import Gate
from ....annotation.readings.plan_file import PlanChangedError
from ....annotation.readings.study import version_of
from ...access_policy import requires
from ...auth import ANYBODY, Role, User
from ...dependencies import CurrentGate, CurrentUser, Json, Service, ServiceDep
from ...errors import answer, bad_request

router = APIRouter(tags=["Study"])

PlanVersion = Annotated[
    str | None,
    Query(
        max_length=64,
        description="Version of the plan that the client has seen, empty for none: no other one is replaced",
        examples=["2f1c8a90d4e7b653"],
    ),
]
_NOTHING = "There is nothing left to read for you"
_PLAN = {"readers": ["ada", "ben"], "adjudicators": ["cleo"], "second_reading": {"share": 0.5}}
PlanBody = Annotated[dict[str, Any], JsonBody(examples=[_PLAN])]
_READING = {"number": 2, "kind": "second", "blind": True, "model": True}


class NextBody(Body):
    """Who wants to read."""

    model_config = ConfigDict(json_schema_extra={"example": {"user": "ada"}})
    user: ShortText = ""
    """As entered; the name of a login counts more."""
    client: ShortText | None = None
    """Decides nothing; the client of ``/presence``."""
    strategy: Text | None = None
    """Of the choice of a new image; the default one if left out."""


class ReleaseBody(Body):
    """Who gives a reading back."""

    model_config = ConfigDict(json_schema_extra={"example": {"image": "phantom_1", "user": "ada"}})
    image: ShortText
    user: ShortText = ""
    """As entered; the name of a login counts more."""


def name_of(user: User, stated: str, gate: Gate) -> str:
    """Who sends a request: the name of the login, else the one in its body, else the one that its header states."""
    return user.name if user != ANYBODY else stated.strip() or gate.viewer.name


_STUDY = {
    "plan": StudyPlan.model_validate(_PLAN).model_dump(mode="json"),
    "version": StudyPlan.model_validate(_PLAN).digest,
    "progress": {
        "readers": [{"reader": "ada", "done": 12, "open": 1, "to_do": 27, "seconds_median": 74.5}],
        "images": 40,
        "read": 9,
        "to_adjudicate": 2,
        "final": 7,
    },
    "you": {"user": "ada", "is_reader": True, "is_adjudicator": False},
    "warnings": [],
}


@router.get(
    "/study", openapi_extra=requires(Role.READER), summary="Plan and progress of the study", responses=answer(_STUDY)
)
async def study(service: ServiceDep, gate: CurrentGate) -> Response:
    """``null`` as ``plan``, and "" as ``version``, without one. A blind reader sees the own ``seconds_median`` only.

    ``warnings`` has sentences on held-out images that are not there, and on readers whom the plan no longer names; the
    latter for those from whom nothing is hidden, and in the answer of ``PUT``.
    """
    return Json(await service.io_pool.run(_study, service, gate))


def _study(service: Service, gate: Gate, has_changed: bool = False) -> dict[str, Any]:
    plan, name = gate.plan, gate.viewer.name
    progress: dict[str, Any] | None = None
    if plan is not None:
        service.study.settle(plan)
        progress = service.study.progress.of(plan)
        if not gate.is_open and plan.blind:
            for one in progress["readers"]:
                one["seconds_median"] = one["seconds_median"] if one["reader"] == name else None
    you = {
        "user": name,
        "is_reader": plan is not None and name in plan.readers,
        "is_adjudicator": plan is not None and name in plan.adjudicators,
    }
    stated = None if plan is None else plan.model_dump(mode="json")
    warnings = [] if plan is None else service.study.warnings(plan, has_changed or gate.is_open)
    return {"plan": stated, "version": version_of(plan), "progress": progress, "you": you, "warnings": warnings}


DryRun = Annotated[bool, Query(description="Only say what the change would do; nothing is saved", examples=[False])]
_CHANGED = {**_STUDY, "effect": {"closes": 0, "opens": 3}}


@router.put(
    "/study", openapi_extra=requires(Role.ADMIN), summary="Set the plan of the study", responses=answer(_CHANGED)
)
async def set_plan(
    service: ServiceDep,
    gate: CurrentGate,
    user: CurrentUser,
    body: PlanBody,
    base_version: PlanVersion = None,
    dry_run: DryRun = False,
) -> Response:
    """Write ``study.yaml``. Readings that were made stay; what is to be read follows the new plan.

    ``effect`` has the numbers of read images that the change ``closes``, which shows them to everybody, and ``opens``.

    409 where the plan has another ``version`` than ``base_version``: somebody else has changed it meanwhile.
    """
    try:
        plan = checked_plan(body, "the plan")
    except ValueError as error:
        raise bad_request(error) from error
    try:
        if dry_run:
            effect = await service.io_pool.run(service.study.effect_of, plan)
        else:
            effect = await service.io_pool.run(service.study.change_plan, plan, base_version)
    except PlanChangedError as error:
        raise HTTPException(409, str(error)) from error
    changed = service.study.gate(name_of(user, "", gate))
    told = await service.io_pool.run(_study, service, changed, True)
    return Json({**told, "effect": effect._asdict()})


@router.post(
    "/study/next",
    openapi_extra=requires(Role.ANNOTATOR),
    summary="The next image of a reader",
    responses=answer({"image": "phantom_1", "reading": _READING}),
)
async def next_image(service: ServiceDep, gate: CurrentGate, user: CurrentUser, body: NextBody) -> Response:
    """What the reader has open, else a repeat that is due, else a second reading, else a new image by the strategy.

    An adjudicator gets the image whose readings differ most, with ``adjudicate``. Where nothing is left, ``image`` is
    ``null`` and ``sentence`` says so.
    """
    name = name_of(user, body.user, gate)
    return Json(await service.io_pool.run(next_of, service, name, body.strategy))


def next_of(service: Service, name: str, strategy: str | None) -> dict[str, Any]:
    """The next image of a reader or adjudicator.

    Args:
        service: everything that the routes use.
        name: of the user.
        strategy: of the choice of a new image.

    Raises:
        HTTPException: 404, there is no such strategy; 409, there is no plan, or the user has no part in it.
    """
    plan = service.study.plan()
    if plan is None:
        raise HTTPException(409, "the studies folder has no study plan: put study.yaml there, or use PUT /study")
    strategies = service.app._strategies
    strategy = strategy or next(iter(strategies))
    if strategy not in strategies:
        raise HTTPException(404, f"there is no strategy {strategy!r:.80}; use {', '.join(map(repr, strategies))}")
    if name not in (*plan.readers, *plan.adjudicators):
        who = f"{name!r:.80} is neither reader nor adjudicator" if name else "nobody is named as reader or adjudicator"
        raise HTTPException(409, f"{who} of the study plan")
    service.study.settle(plan)
    if name in plan.adjudicators:
        image = service.study.adjudications.next(plan, name)
        nothing = {"image": None, "sentence": "There is nothing left to adjudicate now."}
        return nothing if image is None else {"image": image, "adjudicate": True}

    def pick_new() -> str | None:
        sample = service.app.next_sample({"strategy": strategy})
        return sample["id"] if sample else None

    found = service.study.queue.next(plan, name, pick_new)
    if found is None:
        later = f"; repeats come {plan.repeat.after_days:g} days after the first reading" if plan.repeat.share else ""
        return {"image": None, "sentence": f"{_NOTHING} now{later}."}
    image_, reading = found
    return {"image": image_, "reading": reading_json(reading)}


def reading_json(reading: Reading) -> dict[str, Any]:
    """A reading under work as plain values."""
    return {
        "number": reading.number,
        "kind": reading.kind,
        "blind": reading.is_blind,
        "model": reading.uses_model,
    }


@router.post("/study/release", openapi_extra=requires(Role.ANNOTATOR), summary="Give a reading back unread")
async def release(service: ServiceDep, gate: CurrentGate, user: CurrentUser, body: ReleaseBody) -> Response:
    """Somebody else may read the image then; ``released`` says whether the user had it under work."""
    name = name_of(user, body.user, gate)
    released = await service.io_pool.run(service.study.slots.release, body.image, name)
    return Json({"image": body.image, "released": released})
