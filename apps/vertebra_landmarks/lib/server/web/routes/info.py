"""``/info``, ``/model``, ``/logs`` and ``/auth``: facts about the server and its users."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Query, Request, Response
from fastapi.responses import PlainTextResponse
from monailabel.config import settings

from ...log_privacy import without_passwords
from ..access_policy import needs
from ..auth import Login, Role, unauthorized
from ..dependencies import Asking, Json, Served, Service
from ..file_responses import file_response

router = APIRouter(tags=["App"])

MOST_LOG_LINES, MOST_LOG_BYTES = 1_000, 500_000


@router.get("/info/", openapi_extra=needs(Role.READER), summary="App, models, strategies, and how many images")
def info(served: Served) -> Response:
    """All that a client needs to know to begin."""
    return Json(served.app.info())


@router.get("/model/info/{model}", openapi_extra=needs(Role.ADMIN), summary="Checksum of a model's weights")
async def model_info(served: Served, model: str) -> Response:
    """Checksum and time of the weight file."""
    _weights(served, model)
    return Json(await served.filing.run(served.app.model_info, model))


@router.get("/model/{model}", openapi_extra=needs(Role.ADMIN), summary="Download a model's weights")
def model_file(served: Served, model: str) -> Response:
    """The weight file."""
    path = _weights(served, model)
    return file_response(path, "application/octet-stream", f"{model}{path.suffix}")


def _weights(served: Service, model: str) -> Path:
    path = served.app.model_file(model)
    if not path:
        raise HTTPException(404, f"there is no model {model!r:.80}")
    return Path(path)


@router.get("/logs/", openapi_extra=needs(Role.ADMIN), summary="The end of the log")
def logs(lines: Annotated[int, Query(ge=1, le=MOST_LOG_LINES)] = 300) -> Response:
    """Plain text, without passwords of URLs: MONAI Label notes the command line."""
    path = Path(settings.MONAI_LABEL_APP_DIR) / "logs" / "app.log"
    if not path.is_file():
        raise HTTPException(404, "there is no log")
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MOST_LOG_BYTES))
        text = file.read(MOST_LOG_BYTES).decode(errors="replace")
    return PlainTextResponse(without_passwords("\n".join(text.splitlines()[-lines:])))


def _login(request: Request) -> Login | None:
    login: Login | None = request.app.state.login
    return login


@router.get("/auth/", openapi_extra=needs(None), summary="Whether a login is needed")
async def auth(request: Request) -> dict[str, Any]:
    """As MONAI Label's clients ask before they show their login."""
    is_realm = settings.MONAI_LABEL_AUTH_ENABLE
    return {
        "enabled": _login(request) is not None,
        "client_id": settings.MONAI_LABEL_AUTH_CLIENT_ID if is_realm else "",
        "realm": settings.MONAI_LABEL_AUTH_REALM_URI if is_realm else "",
    }


@router.post("/auth/token", openapi_extra=needs(None), summary="A token for a name and a password")
async def token(request: Request, username: Annotated[str, Form()], password: Annotated[str, Form()]) -> dict[str, Any]:
    """With tokens of a file, the token is the password."""
    login = _login(request)
    if login is None:
        raise HTTPException(404, "this server has no login")
    if not username or not password:
        raise unauthorized("name and password must not be empty")
    return {"access_token": await login.token_for(username, password), "token_type": "bearer"}


@router.get("/auth/token/valid", openapi_extra=needs(Role.READER), summary="Whose token it is")
async def token_owner(asking: Asking) -> dict[str, Any]:
    """Name and role of the user."""
    return {"username": asking.name, "roles": [asking.role.name.lower()]}
