"""``/``, ``/browser`` and ``/docs``: the browser page and the description of the API, from files of this machine alone.

Everything here is public: pages hold no data, and sign in before they ask for any.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from ..access_policy import requires

router = APIRouter(include_in_schema=False)

BROWSER = Path(__file__).parents[4] / "browser"
"""The files of the page."""
EXAMPLES = BROWSER / "api_docs" / "examples.json"
"""Of answers and parts of paths in the description of the API, where the routes themselves state none."""
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "worker-src 'self'",
        "font-src 'self'",
        "frame-src 'self' blob:",
        "object-src 'none'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Of every HTML page: it runs scripts of this server only, none of them inline, and reaches no other host."""
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""By suffix of the file. Other files are not served; nor does it matter which types the system knows."""
PUBLIC = requires(None)
_METHODS = ["GET", "HEAD"]


class PageFiles(StaticFiles):
    """Files of a folder with the headers of the page; browsers ask each time whether a file has changed."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """The response with a file, or 304 where the client has it.

        Raises:
            HTTPException: 404, it is of no type that is served.
        """
        suffix = Path(full_path).suffix
        if suffix not in MEDIA_TYPES:
            raise HTTPException(404)
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        if response.status_code == status_code:
            response.headers["Content-Type"] = MEDIA_TYPES[suffix]
        if suffix in (".html", ".svg"):
            response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response


def _swagger_ui() -> Path:
    """Folder of Swagger UI's files; the package itself need not be imported for them."""
    package = importlib.util.find_spec("fastapi_offline")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("fastapi-offline is not installed, see requirements.txt")
    return Path(package.origin).parent / "static"


_PAGE, _SWAGGER_UI = PageFiles(directory=BROWSER), PageFiles(directory=_swagger_ui())


@router.api_route("/", methods=_METHODS, openapi_extra=PUBLIC)
async def page(request: Request) -> Response:
    """The browser page."""
    return await _PAGE.get_response("index.html", request.scope)


@router.api_route("/browser/{path:path}", methods=_METHODS, openapi_extra=PUBLIC)
async def page_file(request: Request, path: str) -> Response:
    """A file of the browser page."""
    return await _PAGE.get_response(path, request.scope)


@router.api_route("/docs", methods=_METHODS, openapi_extra=PUBLIC)
async def api_docs(request: Request) -> Response:
    """The description of the API."""
    return await _PAGE.get_response("api_docs/index.html", request.scope)


@router.api_route("/docs/assets/{path:path}", methods=_METHODS, openapi_extra=PUBLIC)
async def api_docs_file(request: Request, path: str) -> Response:
    """A file of Swagger UI."""
    return await _SWAGGER_UI.get_response(path, request.scope)


def describe_by_examples(api: FastAPI) -> None:
    """Complete the description of an API by ``EXAMPLES`` when it is asked for."""
    build = api.openapi

    def described() -> dict[str, Any]:
        if api.openapi_schema is None:
            _add_examples(build()["paths"], json.loads(EXAMPLES.read_text(encoding="utf-8")))
        return build()

    api.openapi = described  # type: ignore[method-assign]


def _add_examples(paths: Mapping[str, Any], examples: Mapping[str, Any]) -> None:
    for path, operations in paths.items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    parameter["example"] = examples["parameters"][parameter["name"]]
            example = examples["operations"].get(f"{method.upper()} {path}")
            if example is not None:
                kind = example.get("type", "application/json")
                shown = {"example": example["answer"]} if "answer" in example else {}
                operation["responses"]["200"]["content"] = {kind: {"schema": {}, **shown}}
