"""The web application of the viewer: static files of OHIF, its configuration, and the proxy of the PACS."""

from __future__ import annotations

import json
import mimetypes
import secrets
from pathlib import Path, PurePosixPath
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...web.request_guard import is_local_name
from ..client import PacsClient
from .dicomweb_proxy import PREFIX, DicomwebProxy
from .ohif_build import INDEX

TOKEN, COOKIE = "token", "vertebra_landmarks_viewer"
"""Name of the token in the first address, and begin of that of the cookie."""
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


def viewer_app(build: Path, client: PacsClient, url: str, token: str | None) -> ASGIApp:
    """The application.

    Args:
        build: folder with the static build of OHIF.
        client: of the PACS.
        url: of its DICOMweb service, without a slash at the end.
        token: what a browser has to bring, in the first address that it opens or in the cookie that it then gets;
            ``None`` lets everybody in.
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
    return _Guard(Starlette(routes=routes), token)


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
    """Answers browsers that have the token, and adds headers that keep the page to this server.

    Without a token, it answers under local names only: a page elsewhere can point its own name to this machine (DNS
    rebinding), and so reach the PACS with its login.
    """

    def __init__(self, application: ASGIApp, token: str | None) -> None:
        self._application, self._token = application, token

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

        answer = self._instead(HTTPConnection(scope)) if scope["type"] == "http" else None
        await (answer or self._application)(scope, receive, with_headers)

    def _instead(self, request: HTTPConnection) -> Response | None:
        """What is answered instead of the application; ``None`` where the browser may use it."""
        if self._token is None:
            is_local = is_local_name(request.headers.get("host", ""))
            return None if is_local else PlainTextResponse("the viewer answers under a local name only", 403)
        cookie = f"{COOKIE}_{request.url.port or 80}"  # browsers send cookies to all ports of a host
        if _is_same(request.query_params.get(TOKEN, ""), self._token):
            query = request.url.remove_query_params(TOKEN).query
            welcome = RedirectResponse(f"/{request.url.path.lstrip('/')}{'?' if query else ''}{query}", 303)
            welcome.set_cookie(cookie, self._token, httponly=True, samesite="strict")
            return welcome
        if _is_same(request.cookies.get(cookie, ""), self._token):
            return None
        return PlainTextResponse("open the address that scripts/viewer.py has printed: it has a token", 403)


def _is_same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode(), token.encode())
