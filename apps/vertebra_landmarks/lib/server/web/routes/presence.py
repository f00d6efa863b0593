"""``/presence``: who else has an image open."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import ConfigDict

from ....learning.validation import Between
from ...annotation.bodies import Body, ShortText
from ...annotation.presence import Present
from ...annotation.readings.gate import Gate
from ..access_policy import requires
from ..auth import Role
from ..dependencies import CurrentGate, CurrentUser, Json, Service, ServiceDep
from ..errors import answer
from .datastore import ImageId
from .study.plan import name_of

router = APIRouter(tags=["Presence"])

MAX_EDITS = 1_000_000
READER = requires(Role.READER)
Client = Annotated[
    UUID,
    Query(description="Identifies the open page of a client", examples=["5e0ab5c4-3bb5-4b5c-9d9c-1f2a2f3b4c5d"]),
]


class PresenceBody(Body):
    """Who works there."""

    model_config = ConfigDict(json_schema_extra={"example": {"user": "Ada", "edits": 3}})
    user: ShortText = ""
    """As entered; the name of a login counts more."""
    edits: Annotated[int, Between(0, MAX_EDITS)] = 0
    """Edits that are not saved yet."""


_OTHERS = {"others": [Present("Ben", 7, 2)._asdict()]}


@router.put("/presence", openapi_extra=READER, summary="Note that an image is open", responses=answer(_OTHERS))
async def note_presence(
    service: ServiceDep, gate: CurrentGate, user: CurrentUser, body: PresenceBody, image: ImageId, client: Client
) -> Response:
    """To be repeated every 20 seconds; after 60 without a sign a client is forgotten. The answer names the others.

    In a study with a plan, it also keeps what the user reads or adjudicates from being given to somebody else.
    """
    name = name_of(user, body.user, gate)
    gate = service.study.gate(name)
    others = await service.label_pool.run(_note, service, gate, image, str(client), body.edits)
    return Json({"others": [other._asdict() for other in others]})


def _note(service: Service, gate: Gate, image: str, client: str, edits: int) -> list[Present]:
    if not service.app.datastore().has_image(image):
        raise HTTPException(404, f"there is no image {image!r:.80} in the studies folder")
    name = gate.viewer.name
    others = service.presence.note(image, client, name, edits)
    if gate.plan is not None and name in (*gate.plan.readers, *gate.plan.adjudicators):
        service.study.slots.note_alive(image, name)
    return others if gate.shows_labels(image) else []


@router.delete("/presence", openapi_extra=READER, summary="Note that an image was closed")
async def end_presence(service: ServiceDep, image: ImageId, client: Client) -> Response:
    """Forget that a client has an image open."""
    await service.label_pool.run(service.presence.leave, image, str(client))
    return Json({})
