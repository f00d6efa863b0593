"""The web application of the viewer: static files of OHIF, its configuration, and the proxy of the PACS."""

from __future__ import annotations

import json
import mimetypes
from pathlib import Path, PurePosixPath
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...web.request_guard import is_local_name
from ..client import PacsClient
from .dicomweb_proxy import PREFIX, DicomwebProxy
from .ohif_build import INDEX

_SOURCE = "@ohif/extension-default.dataSourcesModule.dicomweb"
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",  # both are needed for shared memory
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' data: blob:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "frame-ancestors 'none'",
        )
    ),
}

for _kind, _suffix in (("text/javascript", ".js"), ("text/javascript", ".mjs"), ("application/wasm", ".wasm")):
    mimetypes.add_type(_kind, _suffix)  # Windows may say otherwise, and browsers refuse that


def viewer_app(build: Path, client: PacsClient, url: str) -> ASGIApp:
    """The application.

    Args:
        build: folder with the static build of OHIF.
        client: of the PACS.
        url: of its DICOMweb service, without a slash at the end.
    """
    config = config_script()

    def configuration(_: Request) -> Response:
        return Response(config, media_type="text/javascript")

    proxy = DicomwebProxy(client, url)
    routes = [
        Route("/app-config.js", configuration),
        Route(f"{PREFIX}/{{path:path}}", proxy.answer, methods=["GET", "POST"]),
        Mount("/", _Build(directory=build)),
    ]
    return _Guard(Starlette(routes=routes))


def config_script() -> str:
    """The configuration of OHIF, a script: the PACS under the same address is its only source of data."""
    source = {
        "friendlyName": "PACS",
        "name": "PACS",
        "qidoRoot": PREFIX,
        "wadoRoot": PREFIX,
        "wadoUriRoot": PREFIX,
        "qidoSupportsIncludeField": False,
        "supportsReject": False,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "enableStudyLazyLoad": True,
        "supportsFuzzyMatching": False,
        "supportsWildcard": True,
        "omitQuotationForMultipartRequest": True,
        "dicomUploadEnabled": False,
        "bulkDataURI": {"enabled": True},
    }
    config: dict[str, Any] = {
        "routerBasename": None,
        "extensions": [],
        "modes": [],
        "customizationService": {},
        "showStudyList": True,
        "maxNumberOfWebWorkers": 2,
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": True,
        "strictZSpacingForVolumeViewport": True,
        "maxNumRequests": {"interaction": 10, "thumbnail": 5, "prefetch": 5},
        "investigationalUseDialog": {"option": "configure", "days": 30},
        "defaultDataSourceName": "dicomweb",
        "dataSources": [{"namespace": _SOURCE, "sourceName": "dicomweb", "configuration": source}],
    }
    return f"window.config = {json.dumps(config, indent=2)};\n"


class _Build(StaticFiles):
    """The files of the build; other paths are views of its first page."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            return await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or PurePosixPath(path).suffix[1:2].isalpha():  # such as .js, but not 1.2.3
                raise
            return await super().get_response(INDEX, scope)


class _Guard:
    """Answers under local names only, and adds headers that keep the page to this server.

    A page elsewhere can point its own name to this machine (DNS rebinding), and so reach the PACS with its login.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "lifespan"):
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers["Cache-Control"] = "no-store" if scope["path"].startswith(f"{PREFIX}/") else "no-cache"
            await send(message)

        if scope["type"] == "http" and not is_local_name(Headers(scope=scope).get("host", "")):
            refusal = PlainTextResponse("the viewer answers under its IP address or a local name only", 403)
            await refusal(scope, receive, with_headers)
            return
        await self._application(scope, receive, with_headers)
