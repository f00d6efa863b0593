"""What a route needs of a request, written beside the route and read by the guard before the body is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import Route

from .auth import Role


@dataclass(frozen=True)
class Needs:
    """The lowest role, ``None`` for nobody in particular, and whether the body carries an image."""

    role: Role | None
    upload: bool = False


PUBLIC = Needs(None)
_ROLE, _UPLOAD = "x-role", "x-upload"


def needs(role: Role | None, upload: bool = False) -> dict[str, Any]:
    """The needs as ``openapi_extra`` of a route, so that the description of the interface shows them too."""
    return {_ROLE: role.name.lower() if role else None, _UPLOAD: upload}


def needs_of(route: Route) -> Needs:
    """What was written beside a route; without a word, the highest role.

    The pages that describe the interface, which are FastAPI's own, name nobody and need no token.
    """
    if not isinstance(route, APIRoute):
        return PUBLIC
    extra = route.openapi_extra or {}
    role = extra.get(_ROLE, Role.ADMIN.name)
    return Needs(Role[role.upper()] if role else None, bool(extra.get(_UPLOAD)))
