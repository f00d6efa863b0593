"""``/model/versions``: which versions of the model there are, and which one is served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Response

from ..models import ModelStore
from .auth import Role
from .errors import bad_request
from .needs import needs
from .params import VersionParams
from .service import Json, Served

router = APIRouter(tags=["App"])

Params = Annotated[VersionParams | None, Body()]


@router.get("/model/versions", openapi_extra=needs(Role.READER), summary="Versions of the model")
async def versions(served: Served) -> Response:
    """What is known about every version, without what names an image, and which one is served."""
    return Json(await served.filing.run(_told, served.app.models))


@router.post("/model/rollback", openapi_extra=needs(Role.ADMIN), summary="Serve an earlier version again")
async def roll_back(served: Served, params: Params = None) -> Response:
    """The one that the served version was trained from, or the one with the given ``version``."""
    number = params.version if params else None
    return Json(await served.filing.run(_changed, served.app.models, served.app.models.roll_back, number))


@router.post("/model/publish", openapi_extra=needs(Role.ADMIN), summary="Serve a version")
async def publish(served: Served, params: Params = None) -> Response:
    """Such as one that the gate has held back."""
    if params is None or params.version is None:
        raise HTTPException(400, "the body must name a version")
    return Json(await served.filing.run(_changed, served.app.models, served.app.models.serve, params.version))


def _changed(models: ModelStore, change: Callable[[int | None], object], number: int | None) -> dict[str, Any]:
    try:
        change(number)
    except ValueError as error:
        raise bad_request(error) from error
    return _told(models)


def _told(models: ModelStore) -> dict[str, Any]:
    return {"served": models.served_number, "versions": [version.summary() for version in models.versions()]}
