"""``/info``, ``/model``, ``/logs`` and ``/auth``: the app, its model versions, its log, and login."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Form, HTTPException, Query, Request, Response
from fastapi.responses import PlainTextResponse
from monailabel.config import settings

from ...log_privacy import redact_passwords
from ...models import ModelStore
from ..access_policy import requires
from ..auth import Login, Role, unauthorized
from ..dependencies import CurrentGate, CurrentUser, Json, Service, ServiceDep
from ..errors import bad_request
from ..file_responses import file_response
from ..validation import VersionParams

router = APIRouter(tags=["App"])

MAX_LOG_LINES, MAX_LOG_BYTES = 1_000, 500_000

Params = Annotated[VersionParams | None, Body()]


@router.get("/info/", openapi_extra=requires(Role.READER), summary="App, models, strategies, and number of images")
def info(service: ServiceDep, gate: CurrentGate) -> Response:
    """Everything that a client needs at the start."""
    return Json(gate.info(service.app.info()))


# The routes of fixed paths come before /model/{model}, which matches them, too.
@router.get("/model/versions", openapi_extra=requires(Role.READER), summary="List the model versions")
async def versions(service: ServiceDep) -> Response:
    """Metadata of every version, without image ids, and the served version."""
    return Json(await service.io_pool.run(_list_versions, service.app.models))


@router.post("/model/rollback", openapi_extra=requires(Role.ADMIN), summary="Serve an earlier version again")
async def roll_back(service: ServiceDep, params: Params = None) -> Response:
    """Serve the parent of the served version, or the given ``version``."""
    number = params.version if params else None
    return Json(await service.io_pool.run(_change_version, service.app.models, service.app.models.roll_back, number))


@router.post("/model/publish", openapi_extra=requires(Role.ADMIN), summary="Serve a version")
async def publish(service: ServiceDep, params: Params = None) -> Response:
    """Serve the given ``version``, such as one that the publish gate has held back."""
    if params is None or params.version is None:
        raise HTTPException(400, "the body must name a version")
    return Json(
        await service.io_pool.run(_change_version, service.app.models, service.app.models.serve, params.version)
    )


def _change_version(models: ModelStore, change: Callable[[int | None], object], number: int | None) -> dict[str, Any]:
    try:
        change(number)
    except ValueError as error:
        raise bad_request(error) from error
    return _list_versions(models)


def _list_versions(models: ModelStore) -> dict[str, Any]:
    return {"served": models.served_number, "versions": [version.summary() for version in models.versions()]}


@router.get("/model/info/{model}", openapi_extra=requires(Role.ADMIN), summary="Checksum of a model's weights")
async def model_info(service: ServiceDep, model: str) -> Response:
    """Checksum and modification time of the weight file."""
    _weights(service, model)
    return Json(await service.io_pool.run(service.app.model_info, model))


@router.get("/model/{model}", openapi_extra=requires(Role.ADMIN), summary="Download a model's weights")
def model_file(service: ServiceDep, model: str) -> Response:
    """The weight file."""
    path = _weights(service, model)
    return file_response(path, "application/octet-stream", f"{model}{path.suffix}")


def _weights(service: Service, model: str) -> Path:
    path = service.app.model_file(model)
    if not path:
        raise HTTPException(404, f"there is no model {model!r:.80}")
    return Path(path)


@router.get("/logs/", openapi_extra=requires(Role.ADMIN), summary="The end of the log")
def logs(lines: Annotated[int, Query(ge=1, le=MAX_LOG_LINES)] = 300) -> Response:
    """Plain text, with passwords in URLs masked: MONAI Label logs the command line."""
    path = Path(settings.MONAI_LABEL_APP_DIR) / "logs" / "app.log"
    if not path.is_file():
        raise HTTPException(404, "there is no log")
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MAX_LOG_BYTES))
        text = file.read(MAX_LOG_BYTES).decode(errors="replace")
    return PlainTextResponse(redact_passwords("\n".join(text.splitlines()[-lines:])))


def _login(request: Request) -> Login | None:
    login: Login | None = request.app.state.login
    return login


@router.get("/auth/", openapi_extra=requires(None), summary="Whether a login is required")
async def auth(request: Request) -> dict[str, Any]:
    """What MONAI Label's clients ask before they show their login."""
    is_realm = settings.MONAI_LABEL_AUTH_ENABLE
    return {
        "enabled": _login(request) is not None,
        "client_id": settings.MONAI_LABEL_AUTH_CLIENT_ID if is_realm else "",
        "realm": settings.MONAI_LABEL_AUTH_REALM_URI if is_realm else "",
    }


@router.post("/auth/token", openapi_extra=requires(None), summary="Get a token for a name and a password")
async def token(request: Request, username: Annotated[str, Form()], password: Annotated[str, Form()]) -> dict[str, Any]:
    """With a token file, the token is the password."""
    login = _login(request)
    if login is None:
        raise HTTPException(404, "this server has no login")
    if not username or not password:
        raise unauthorized("name and password must not be empty")
    return {"access_token": await login.token_for(username, password), "token_type": "bearer"}


@router.get("/auth/token/valid", openapi_extra=requires(Role.READER), summary="Owner of a token")
async def token_owner(user: CurrentUser) -> dict[str, Any]:
    """Name and role of the user."""
    return {"username": user.name, "roles": [user.role.name.lower()]}
