"""What a request gets that cannot be answered: a status and ``{"detail": "a sentence"}``."""

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
from starlette.exceptions import HTTPException as StarletteHTTPException

from ...learning.image_io import UnreadableImageError
from ...learning.validation import sentence

logger = logging.getLogger(__name__)

UNREADABLE = 415
LONGEST_DETAIL = 500
_FULL = ("disk is full", "No space left")
"""What SQLite and PostgreSQL say then."""


class Problem(BaseModel):
    """Body of every answer that is an error."""

    detail: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "model": Problem}
    for status, words in {
        400: "A parameter is wrong",
        401: "No valid token came with the request",
        403: "The token's role does not suffice, or the request comes from the page of another site",
        404: "There is no such image, label, model, strategy or task",
        413: "The body is too large",
        415: "The image cannot be read",
        422: "The image shows no spine",
        503: "Too many requests wait already, or the database does not answer",
    }.items()
}
"""The same errors for the description of the interface."""


def problem(status: int, detail: object, headers: dict[str, str] | None = None) -> Response:
    """The answer; ASCII, since a sentence may quote any character that a client sent."""
    body = json.dumps({"detail": str(detail)[:LONGEST_DETAIL]})
    return Response(body, status, headers=headers, media_type="application/json")


def add_error_handlers(service: FastAPI) -> None:
    """Have the application answer every error that way."""
    service.exception_handler(StarletteHTTPException)(_stated)
    service.exception_handler(RequestValidationError)(_malformed)
    service.exception_handler(MONAILabelException)(_of_monai_label)
    service.exception_handler(UnreadableImageError)(_unreadable)
    service.exception_handler(DBAPIError)(_of_database)
    service.exception_handler(Exception)(_unforeseen)


def _stated(_: Request, error: StarletteHTTPException) -> Response:
    sentence = {404: "there is nothing at this address", 405: "this address does not know that method"}
    is_bare = error.detail in ("Not Found", "Method Not Allowed")
    detail = sentence[error.status_code] if is_bare else error.detail
    return problem(error.status_code, detail, dict(error.headers or {}))


def _malformed(_: Request, error: RequestValidationError) -> Response:
    """422 is FastAPI's word for it, but here it means that an image shows no spine."""
    return problem(400, sentence(error.errors()[0]))


def _of_monai_label(request: Request, error: MONAILabelException) -> Response:
    if isinstance(error, (ImageNotFoundException, LabelNotFoundException)):
        return problem(404, error.msg)
    return problem(400, error.msg) if error.error == MONAILabelError.INVALID_INPUT else _unforeseen(request, error)


def _unreadable(_: Request, error: UnreadableImageError) -> Response:
    return problem(UNREADABLE, error)


def _of_database(request: Request, error: DBAPIError) -> Response:
    if not isinstance(error, (OperationalError, InterfaceError)):
        return _unforeseen(request, error)
    if any(words in str(error.orig) for words in _FULL):
        return _of_full_disk()
    logger.error("The database does not answer", exc_info=error)
    return problem(503, "the server's database does not answer; nothing was changed", {"Retry-After": "10"})


def _of_full_disk() -> Response:
    logger.error("The disk is full")
    return problem(507, "the server's disk is full; nothing was changed")


def _unforeseen(_: Request, error: Exception) -> Response:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _of_full_disk()
    number = secrets.token_hex(4)
    logger.error("Error %s", number, exc_info=error)
    return problem(500, f"the server failed; its log says where, under error {number}")


def bad_request(error: ValueError) -> HTTPException:
    """The answer to a parameter that is wrong."""
    return HTTPException(400, str(error))
