"""``/health``: whether this server can work, for load balancers."""

from __future__ import annotations

import asyncio
import logging

from anyio import to_thread
from fastapi import APIRouter, HTTPException, Response
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ...store.schema import stores
from ...store.store_context import StoreContext
from ...store.studies_folder import StudiesUnavailableError
from ..access_policy import requires
from ..dependencies import Json, ServiceDep
from ..errors import NO_DATABASE, RETRY_AFTER_S, answer

logger = logging.getLogger(__name__)

router = APIRouter(tags=["App"])

CHECK_TIMEOUT_S = 5.0
"""A disk or database that has not answered by then does not answer."""
SLOW = "the studies folder or the database has not answered in time"


@router.get(
    "/health",
    openapi_extra=requires(None),
    summary="Whether this server can work",
    responses=answer({"status": "ok"}),
)
async def health(service: ServiceDep) -> Response:
    """200 where studies folder and database answer within seconds, else 503; needs no token and tells nothing else."""
    context: StoreContext = service.app.datastore().context
    try:
        checking = to_thread.run_sync(_problem, context, limiter=service.health_limiter, abandon_on_cancel=True)
        reason = await asyncio.wait_for(checking, CHECK_TIMEOUT_S)
    except asyncio.TimeoutError:
        reason = SLOW
    if reason is not None:
        logger.warning("This server reports that it cannot work: %s", reason)
        raise HTTPException(503, reason, headers={"Retry-After": RETRY_AFTER_S})
    return Json({"status": "ok"})


def _problem(context: StoreContext) -> str | None:
    """Why the server cannot work."""
    try:
        context.folder.check_available()
        with context.database.reading() as connection:
            connection.execute(select(stores.c.key).where(stores.c.key == context.key)).one()
    except StudiesUnavailableError as error:
        return str(error)
    except (DBAPIError, PoolTimeoutError):
        return NO_DATABASE
    return None
