"""The web application in the place of MONAI Label's own, which is left with starting and stopping.

Only what stands in the routes beside this file is reachable: MONAI Label's proxy, viewer, slide inference, reload and
change of weights are not.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from monailabel.interfaces.app import MONAILabelApp
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from ..config import ServerConfig
from .auth import configured_login
from .dependencies import MEGABYTE, Json, Service, make_service
from .errors import PROBLEMS, add_error_handlers
from .pixel_responses import FACTS
from .request_guard import Guard
from .routes import datastore, infer, info, models, session, tasks

logger = logging.getLogger(__name__)

ROUTERS = (models.router, info.router, infer.router, datastore.router, session.router, tasks.router)


def make_application(service: Service) -> ASGIApp:
    """The routes with their errors, and the guard before them.

    Raises:
        ValueError: the login is not configured as it must be.
    """
    config, app = service.config, service.app
    api = FastAPI(
        title=app.name,
        version=app.version,
        description=app.description,
        docs_url="/",
        redoc_url="/docs",
        default_response_class=Json,
        responses=PROBLEMS,
        dependencies=[Depends(HTTPBearer(auto_error=False, description="see --conf tokens"))],
    )
    api.state.service = service
    api.state.login = configured_login(config.tokens)
    for router in ROUTERS:
        api.include_router(router)
    add_error_handlers(api)
    pages = [page for page in api.routes if isinstance(page, Route) and not isinstance(page, APIRoute)]
    routes = [*pages, *(route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute))]
    guard = Guard(api, routes, api.state.login, config.max_upload_mb * MEGABYTE, config.cors_origins)
    if not config.cors_origins:
        return guard
    return CORSMiddleware(
        guard,
        allow_origins=config.cors_origins,
        allow_methods=("GET", "HEAD", "POST", "PUT", "DELETE"),
        allow_headers=("Authorization", "Content-Type"),
        expose_headers=(FACTS, "Content-Disposition"),
    )


def serve(app: MONAILabelApp, config: ServerConfig, ends: Sequence[Callable[[], None]] = ()) -> Service:
    """Answer all requests to the running server, and clean up when it ends.

    Args:
        app: MONAI Label's app.
        config: settings of the server.
        ends: what else is to be called at the end; quick.

    Raises:
        ValueError: the login is not configured as it must be.
    """
    from monailabel.app import app as upstream  # the running server; elsewhere this import would make one

    service = make_service(app, config)
    try:
        upstream.middleware_stack = make_application(service)
    except ValueError:
        service.close()
        raise
    service.board.start()
    if threading.current_thread() is threading.main_thread():
        loop = asyncio.get_running_loop()
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):  # the last exists on Windows
            number = getattr(signal, name, None)
            if number is not None:
                signal.signal(number, _cleaning_up([service.close, *ends], loop, signal.getsignal(number)))
    return service


def _cleaning_up(ends: Sequence[Callable[[], None]], loop: asyncio.AbstractEventLoop, before: Any) -> Any:
    """The web server's own handler of a signal, and then the end of what else there is.

    MONAI Label has no hook for the end, and the web server ends the process by the signal itself.
    """

    def handle(number: int, frame: Any) -> None:
        for end in ends:
            loop.call_soon_threadsafe(end)
        if callable(before):
            before(number, frame)

    return handle
