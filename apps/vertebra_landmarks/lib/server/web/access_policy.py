"""Access policy of a route: declared beside the route, enforced by the guard before the body is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import Route

from .auth import Role


@dataclass(frozen=True)
class AccessPolicy:
    """The minimum role, ``None`` for public routes, and whether the body carries a file."""

    role: Role | None
    upload: bool = False


PUBLIC = AccessPolicy(None)
_ROLE, _UPLOAD = "x-role", "x-upload"


def requires(role: Role | None, upload: bool = False) -> dict[str, Any]:
    """The policy as ``openapi_extra`` of a route, so that the API description shows it."""
    return {_ROLE: role.name.lower() if role else None, _UPLOAD: upload}


def policy_of(route: Route) -> AccessPolicy:
    """The policy of a route; the highest role where none is declared.

    FastAPI's own pages, which describe the API, are public.
    """
    if not isinstance(route, APIRoute):
        return PUBLIC
    extra = route.openapi_extra or {}
    role = extra.get(_ROLE, Role.ADMIN.name)
    return AccessPolicy(Role[role.upper()] if role else None, bool(extra.get(_UPLOAD)))
