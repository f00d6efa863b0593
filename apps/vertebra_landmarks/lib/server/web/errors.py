"""Error responses: a status and ``{"detail": "a sentence"}``."""

from __future__ import annotations

import errno
import json
import logging
import secrets
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from monailabel.interfaces.exception import (
    ImageNotFoundException,
    LabelNotFoundException,
    MONAILabelError,
    MONAILabelException,
)
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException as StarletteHTTPException

from ...image_io import UnreadableImageError
from ...learning.validation import sentence
from ..annotation.readings.plan_file import PlanError
from ..store.datastore import ImagesFixedError
from ..store.label_sync import SaveRefusedError
from ..store.store_context import ImageUnavailableError
from ..store.studies_folder import UNAVAILABLE, StudiesUnavailableError

logger = logging.getLogger(__name__)

UNREADABLE = 415
MAX_DETAIL_LENGTH = 500
NO_DATABASE = "the server's database does not answer at the moment: try again in a few seconds"
BUSY_DATABASE = "the server's database is too busy: try again in a few seconds"
RETRY_AFTER_S = "5"
_DISK_FULL = ("disk is full", "No space left")
"""In the messages of SQLite and PostgreSQL."""


class ErrorBody(BaseModel):
    """Body of every error response."""

    detail: str


ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "model": ErrorBody}
    for status, description in {
        400: "A parameter is wrong",
        401: "No valid token came with the request",
        403: "The token's role does not suffice, or the request comes from a page of another site",
        404: "There is no such image, label, model, strategy or task",
        409: "Somebody else has saved a newer label, the study has no such reading, or there is such an image already",
        412: "The image is another file than the one that was seen",
        413: "The body is too large",
        415: "The image cannot be read",
        422: "The image shows no spine",
        503: "Too many requests wait already, the database or the PACS does not answer, or study.yaml is no plan",
    }.items()
}
"""The same for the API description."""


def answer(example: Any) -> dict[int | str, dict[str, Any]]:
    """The answer of a route by an example, for the API description."""
    return {200: {"description": "The answer", "content": {"application/json": {"example": example}}}}


def error_response(status: int, detail: object, headers: dict[str, str] | None = None) -> Response:
    """An error response; ASCII, since the sentence may quote any character of the request."""
    body = json.dumps({"detail": str(detail)[:MAX_DETAIL_LENGTH]})
    return Response(body, status, headers=headers, media_type="application/json")


def add_error_handlers(application: FastAPI) -> None:
    """Turn every exception into an error response."""
    application.exception_handler(StarletteHTTPException)(_http_error)
    application.exception_handler(RequestValidationError)(_validation_error)
    application.exception_handler(MONAILabelException)(_monai_label_error)
    application.exception_handler(UnreadableImageError)(_unreadable)
    application.exception_handler(ImageUnavailableError)(_unavailable)
    application.exception_handler(ImagesFixedError)(_images_fixed)
    application.exception_handler(SaveRefusedError)(_save_refused)
    application.exception_handler(PlanError)(_plan_damaged)
    application.exception_handler(DBAPIError)(_database_error)
    application.exception_handler(PoolTimeoutError)(_database_busy)
    application.exception_handler(StudiesUnavailableError)(_folder_unavailable)
    application.exception_handler(Exception)(_internal_error)


def _http_error(_: Request, error: StarletteHTTPException) -> Response:
    sentences = {404: "there is nothing at this address", 405: "this address does not support that method"}
    is_bare = error.detail in ("Not Found", "Method Not Allowed")
    detail = sentences[error.status_code] if is_bare else error.detail
    return error_response(error.status_code, detail, dict(error.headers or {}))


def _validation_error(_: Request, error: RequestValidationError) -> Response:
    """400 instead of FastAPI's 422, which here means that an image shows no spine."""
    return error_response(400, sentence(error.errors()[0]))


def _monai_label_error(request: Request, error: MONAILabelException) -> Response:
    if isinstance(error, (ImageNotFoundException, LabelNotFoundException)):
        return error_response(404, error.msg)
    if error.error == MONAILabelError.INVALID_INPUT:
        return error_response(400, error.msg)
    return _internal_error(request, error)


def _unreadable(_: Request, error: UnreadableImageError) -> Response:
    return error_response(UNREADABLE, error)


def _unavailable(_: Request, error: ImageUnavailableError) -> Response:
    return error_response(503, error, {"Retry-After": "10"})


def _images_fixed(_: Request, error: ImagesFixedError) -> Response:
    return error_response(409, error)


def _save_refused(_: Request, error: SaveRefusedError) -> Response:
    return error_response(409, error)


def _plan_damaged(_: Request, error: PlanError) -> Response:
    return error_response(503, error, {"Retry-After": "60"})


def _database_error(request: Request, error: DBAPIError) -> Response:
    if not (isinstance(error, (OperationalError, InterfaceError)) or error.connection_invalidated):
        return _internal_error(request, error)
    if any(message in str(error.orig) for message in _DISK_FULL):
        return _disk_full()
    logger.error("The database does not answer", exc_info=error)
    return error_response(503, NO_DATABASE, {"Retry-After": RETRY_AFTER_S})


def _database_busy(_: Request, error: PoolTimeoutError) -> Response:
    logger.error("No connection to the database was free in time", exc_info=error)
    return error_response(503, BUSY_DATABASE, {"Retry-After": RETRY_AFTER_S})


def _folder_unavailable(_: Request, error: StudiesUnavailableError) -> Response:
    logger.error("The studies folder cannot be used", exc_info=error)
    return error_response(503, error, {"Retry-After": RETRY_AFTER_S})


def _disk_full() -> Response:
    logger.error("The disk is full")
    return error_response(507, "the server's disk is full; nothing was changed")


def _why_unavailable(request: Request, error: OSError) -> StudiesUnavailableError | None:
    """Why a file could not be used, where that is because of the whole studies folder."""
    if error.errno in UNAVAILABLE:
        return StudiesUnavailableError(f"the studies folder cannot be used at the moment: {error.strerror}")
    try:
        request.app.state.service.app.datastore().context.folder.check_available()
    except StudiesUnavailableError as unavailable:
        return unavailable
    return None


def _internal_error(request: Request, error: Exception) -> Response:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _disk_full()
    unavailable = _why_unavailable(request, error) if isinstance(error, OSError) else None
    if unavailable is not None:
        return _folder_unavailable(request, unavailable)
    number = secrets.token_hex(4)
    logger.error("Error %s", number, exc_info=error)
    return error_response(500, f"the server failed; its log says where, under error {number}")


def bad_request(error: ValueError) -> HTTPException:
    """The error response to a wrong parameter."""
    return HTTPException(400, str(error))
