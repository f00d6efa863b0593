"""Assembly of the web application, which replaces MONAI Label's; that one only starts and stops the server.

Only the routes beside this file are reachable: MONAI Label's proxy, viewer, slide inference, reload and change of
weights are not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

import psutil
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from monailabel.interfaces.app import MONAILabelApp
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from ..config import ServerConfig
from .auth import configured_login
from .dependencies import MEGABYTE, STATED_USER, Json, Service, make_service
from .errors import ERROR_RESPONSES, add_error_handlers
from .file_responses import FACTS
from .request_guard import RequestGuard
from .routes import (
    datastore,
    health,
    infer,
    info,
    landmarks,
    measure,
    overview,
    page,
    presence,
    report,
    session,
    tasks,
)
from .routes.study import agreement, plan, readings

logger = logging.getLogger(__name__)

ROUTERS = (
    page.router,
    health.router,
    info.router,
    infer.router,
    measure.router,
    landmarks.router,
    presence.router,
    datastore.router,
    overview.router,
    report.router,
    session.router,
    tasks.router,
    plan.router,
    agreement.router,
    readings.router,
)


def make_application(service: Service) -> ASGIApp:
    """The routes with their error handlers, behind the guard and, if configured, CORS.

    Raises:
        ValueError: the login is misconfigured.
    """
    config, app = service.config, service.app
    api = FastAPI(
        title=app.name,
        version=app.version,
        description=app.description,
        docs_url=None,
        redoc_url=None,
        default_response_class=Json,
        responses=ERROR_RESPONSES,
        dependencies=[Depends(HTTPBearer(auto_error=False, description="see --conf tokens"))],
    )
    api.state.service = service
    api.state.login = configured_login(config.tokens)
    for router in ROUTERS:
        api.include_router(router)
    page.describe_by_examples(api)
    add_error_handlers(api)
    pages = [page for page in api.routes if isinstance(page, Route) and not isinstance(page, APIRoute)]
    routes = [*pages, *(route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute))]
    guard = RequestGuard(api, routes, api.state.login, config.max_upload_mb * MEGABYTE, config.cors_origins)
    if not config.cors_origins:
        return guard
    return CORSMiddleware(
        guard,
        allow_origins=config.cors_origins,
        allow_methods=("GET", "HEAD", "POST", "PUT", "DELETE"),
        allow_headers=("Authorization", "Content-Type", STATED_USER),
        expose_headers=(FACTS, "Content-Disposition"),
    )


def serve(app: MONAILabelApp, config: ServerConfig, shutdown_hooks: Sequence[Callable[[], None]] = ()) -> Service:
    """Replace the running server's web application, and clean up when the server ends.

    Args:
        app: MONAI Label's app.
        config: settings of the server.
        shutdown_hooks: called when the server ends; quick.

    Raises:
        ValueError: the login is misconfigured.
    """
    from monailabel.app import app as upstream  # the running server; any other import would create one

    service = make_service(app, config)
    try:
        upstream.middleware_stack = make_application(service)
    except ValueError:
        service.close()
        raise
    send_at_once()
    service.task_registry.start()
    if threading.current_thread() is threading.main_thread():
        loop = asyncio.get_running_loop()
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):  # the last exists on Windows
            number = getattr(signal, name, None)
            if number is not None:
                handler = _shutdown_handler([service.close, *shutdown_hooks], loop, signal.getsignal(number))
                signal.signal(number, handler)
    return service


def send_at_once() -> None:
    """Let no answer wait for the client's acknowledgement of its head, 40 ms on Linux.

    asyncio sees to that by itself, but not for the socket that uvicorn's ``--workers`` share, since that states no
    protocol; connections inherit the option from it.
    """
    with contextlib.suppress(psutil.Error, OSError):
        for one in psutil.Process().net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.fd >= 0:
                with socket.socket(fileno=os.dup(one.fd)) as listening:
                    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _shutdown_handler(hooks: Sequence[Callable[[], None]], loop: asyncio.AbstractEventLoop, original: Any) -> Any:
    """A signal handler that runs the hooks, then the web server's own handler.

    MONAI Label has no shutdown hook, and the web server ends the process by the signal itself.
    """

    def handle(number: int, frame: Any) -> None:
        for hook in hooks:
            loop.call_soon_threadsafe(hook)
        if callable(original):
            original(number, frame)

    return handle
