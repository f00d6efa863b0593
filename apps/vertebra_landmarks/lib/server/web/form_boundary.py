"""Form bodies under a wrong Content-Type: MONAI Label's client repeats that of an earlier request after a login."""

from __future__ import annotations

import re

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope

MAX_PEEKED = 200
"""Bytes of a body that are looked at: its first delimiter, and the begin of the first part's headers."""
_FIRST_PART = re.compile(rb"--([0-9A-Za-z'()+_,./:=?-]{1,70})\r\ncontent-disposition:\s*form-data\s*;", re.IGNORECASE)


async def with_own_boundary(scope: Scope, receive: Receive) -> Receive:
    """Let the Content-Type of a form name the boundary that its body has.

    Args:
        scope: of the request; its header is put right where the body begins like a form with another boundary.
        receive: what its body is read with.

    Returns:
        What the whole body is read with from here.
    """
    peeked: list[Message] = []
    begin = b""
    while len(begin) < MAX_PEEKED and (not peeked or peeked[-1].get("more_body", False)):
        peeked.append(await receive())
        begin += peeked[-1].get("body", b"")
    found = _FIRST_PART.match(begin)
    if found:
        _set_boundary(scope, found[1].decode("ascii"))
    remaining = iter(peeked)

    async def read() -> Message:
        message = next(remaining, None)
        return await receive() if message is None else message

    return read


def _set_boundary(scope: Scope, boundary: str) -> None:
    headers = MutableHeaders(scope=scope)
    named = headers.get("content-type", "").partition("boundary=")[2].strip('" ')
    if named != boundary:
        headers["content-type"] = f'multipart/form-data; boundary="{boundary}"'
