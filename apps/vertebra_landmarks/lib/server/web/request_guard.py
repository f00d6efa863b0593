"""Request guard: authentication, origin checks, and limits of size, time and number, before the application.

The body is not read before the token is checked, and never as a whole: it is counted while it streams.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import time
import urllib.parse
from collections.abc import Iterable
from contextlib import AsyncExitStack

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..log_privacy import redacted_traceback
from .access_policy import PUBLIC, AccessPolicy, policy_of
from .auth import ANYBODY, Login, Role, User, unauthorized
from .errors import error_response

logger = logging.getLogger(__name__)

SMALL_BODY_BYTES = 1_000_000
FORM_OVERHEAD = 100_000
"""Overhead of a form around its file, in bytes."""
MAX_URL_LENGTH = 8_000
MAX_REQUESTS = 256
MAX_LARGE_BODIES = 8
"""Concurrent bodies above ``SMALL_BODY_BYTES`` or of unknown size."""
UPLOAD_QUEUE_TIMEOUT_S = 60.0
"""For a large body to be admitted."""
READ_TIMEOUT_S, BODY_TIMEOUT_S, SEND_TIMEOUT_S = 30.0, 600.0, 60.0
"""For the next chunk of a body, for a whole body, and for a client to accept a chunk of the response."""
MAX_DRAIN_BYTES, DRAIN_TIMEOUT_S = 1_000_000_000, 60.0
"""Limits for draining a body that is too large; many clients read no response before they have sent all."""
MAX_PEEKED = 200
"""Bytes of a body to inspect: its first delimiter and the start of the first part's headers."""

_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_BODILESS = frozenset({"GET", "HEAD", "DELETE"})
"""Methods whose bodies are ignored, whatever the headers announce."""
_FIRST_PART = re.compile(rb"--([0-9A-Za-z'()+_,./:=?-]{1,70})\r\ncontent-disposition:\s*form-data\s*;", re.IGNORECASE)


class RequestGuard:
    """ASGI middleware around the web application.

    Args:
        application: the application.
        routes: its routes, with their access policies.
        login: authenticates users; ``None`` grants everybody everything.
        max_upload: bytes of the largest file.
        origins: web sites whose pages may call.
    """

    def __init__(
        self,
        application: ASGIApp,
        routes: Iterable[Route],
        login: Login | None,
        max_upload: int,
        origins: Iterable[str],
    ) -> None:
        self._application, self._routes, self._login = application, list(routes), login
        self._max_upload, self._origins = max_upload, frozenset(origins)
        self._active, self._warned = 0, False
        self._large_bodies = asyncio.Semaphore(MAX_LARGE_BODIES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        if scope["type"] != "http":
            return
        response = GuardedResponse(send)
        self._active += 1
        try:
            async with AsyncExitStack() as stack:
                body = await self._admit(scope, receive, response, stack)
                await self._application(scope, body, response)
        except HTTPException as error:
            await error_response(error.status_code, error.detail, dict(error.headers or {}))(scope, receive, response)
        except Exception as error:
            if response.status is None or response.status < 500:  # else it was logged with the error response
                logger.error("A response was cut short\n%s", redacted_traceback(error))
            if response.status is None:
                await error_response(500, "the server failed; its log says where")(scope, receive, response)
        finally:
            self._active -= 1

    async def _admit(self, scope: Scope, receive: Receive, response: GuardedResponse, stack: AsyncExitStack) -> Receive:
        """Admit a request.

        Args:
            scope: of the request.
            receive: reads its body.
            response: to close the connection where the body is not read to its end.
            stack: releases what the request holds.

        Returns:
            Reads the guarded body.

        Raises:
            HTTPException: it is rejected.
        """
        if self._active > MAX_REQUESTS:
            raise HTTPException(503, "the server has too many requests at once", headers={"Retry-After": "5"})
        if len(scope["path"]) + len(scope["query_string"]) > MAX_URL_LENGTH:
            raise HTTPException(414, f"the address may have at most {MAX_URL_LENGTH} characters")
        headers = Headers(scope=scope)
        policy = self._policy(scope)
        self._check_origin(scope, headers)
        length = headers.get("content-length", "")
        announced, is_chunked = int(length) if length.isdecimal() else 0, "transfer-encoding" in headers
        if scope["method"] in _BODILESS:
            response.is_last = announced > 0 or is_chunked
        scope.setdefault("state", {})["user"] = await self._user(headers, policy)
        if scope["method"] in _BODILESS:
            return EmptyBody(receive)
        limit = self._max_upload + FORM_OVERHEAD if policy.upload else SMALL_BODY_BYTES
        body = GuardedBody(receive, limit)
        if announced > limit:
            if headers.get("expect", "").lower() != "100-continue":
                await body.drain()
            raise body.too_large()
        if policy.upload and (announced > SMALL_BODY_BYTES or is_chunked):
            try:
                await asyncio.wait_for(self._large_bodies.acquire(), UPLOAD_QUEUE_TIMEOUT_S)
            except asyncio.TimeoutError as error:
                raise HTTPException(503, "too many uploads at once", headers={"Retry-After": "30"}) from error
            stack.callback(self._large_bodies.release)
        return await with_repaired_boundary(scope, body) if policy.upload else body

    def _policy(self, scope: Scope) -> AccessPolicy:
        for route in self._routes:
            if route.matches(scope)[0] == Match.FULL:
                return policy_of(route)
        return AccessPolicy(Role.READER)

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """Reject calls by pages of other web sites, which a browser on this network may show."""
        host = headers.get("host", "")
        origin = headers.get("origin")
        if (
            origin is not None
            and scope["method"] in _CHANGING
            and origin not in self._origins
            and origin.partition("://")[2].lower() != host.lower()
        ):
            raise HTTPException(403, "pages of other web sites may not call this server; see --conf cors_origins")
        if self._login is None and not is_local_name(host):
            raise HTTPException(
                403, "without a login this server answers under its IP address or a local name only; see --conf tokens"
            )
        if self._login is None and not self._warned and not _is_this_machine(scope):
            self._warned = True
            logger.warning("There is no login, and requests come from other machines; see --conf tokens")

    async def _user(self, headers: Headers, policy: AccessPolicy) -> User:
        if self._login is None:
            return ANYBODY
        if policy == PUBLIC:
            return User("", Role.READER)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthorized("this server needs a token: Authorization: Bearer ...")
        user = await self._login.user(token.strip())
        if policy.role is not None and user.role < policy.role:
            raise HTTPException(
                403, f"this needs the role {policy.role.name.lower()}, yours is {user.role.name.lower()}"
            )
        return user


def is_local_name(host: str) -> bool:
    """Whether a Host header is an IP address, or a name that cannot be registered on the internet.

    A page elsewhere can point its own name to this machine (DNS rebinding), and so reach a server without a login.
    """
    try:
        name = urllib.parse.urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith((".local", ".localhost", ".internal"))
    return True


def _is_this_machine(scope: Scope) -> bool:
    client = scope.get("client")
    try:
        return client is None or ipaddress.ip_address(client[0]).is_loopback
    except ValueError:  # a Unix socket
        return True


class EmptyBody:
    """The empty body of a request; what a client announces or sends nevertheless is not awaited.

    Args:
        receive: reports when the client disconnects.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_read = False

    async def __call__(self) -> Message:
        """An empty body, then the disconnection of the client."""
        if not self._is_read:
            self._is_read = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while (message := await self._receive())["type"] != "http.disconnect":
            pass
        return message


class GuardedBody:
    """The body of a request, limited in size and time while it is read.

    Args:
        receive: reads it.
        limit: maximum number of bytes.
    """

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._bytes = 0
        self._ended = False
        self._deadline: float | None = None

    async def __call__(self) -> Message:
        """The next chunk.

        Raises:
            HTTPException: 408, it takes too long; 413, it is too large.
        """
        if self._ended:  # only the disconnection follows
            return await self._receive()
        self._deadline = self._deadline or time.monotonic() + BODY_TIMEOUT_S
        try:
            message = await asyncio.wait_for(
                self._receive(), min(READ_TIMEOUT_S, max(0.0, self._deadline - time.monotonic()))
            )
        except asyncio.TimeoutError as error:
            raise HTTPException(408, "the body of the request did not arrive in time") from error
        self._bytes += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        if self._bytes > self._limit:
            await self.drain()
            raise self.too_large()
        return message

    async def drain(self) -> None:
        """Read and discard the rest, up to a limit."""
        end = time.monotonic() + DRAIN_TIMEOUT_S
        while not self._ended and self._bytes < MAX_DRAIN_BYTES and time.monotonic() < end:
            try:
                message = await asyncio.wait_for(self._receive(), READ_TIMEOUT_S)
            except asyncio.TimeoutError:
                return
            self._bytes += len(message.get("body", b""))
            self._ended = not message.get("more_body", False)

    def too_large(self) -> HTTPException:
        """The error response to a body above the limit."""
        return HTTPException(413, f"the body may have at most {self._limit:,} bytes")


class GuardedResponse:
    """Sends a response with common security headers, and gives up on clients that do not accept it.

    Attributes:
        status: of the response; ``None`` before it is sent.
        is_last: whether to close the connection afterwards, since an unread body may follow on it.
    """

    def __init__(self, send: Send) -> None:
        self._send, self._begin = send, time.perf_counter()
        self.status: int | None = None
        self.is_last = False

    async def __call__(self, message: Message) -> None:
        """Send one message.

        Raises:
            asyncio.TimeoutError: the client does not accept it.
        """
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers["Server-Timing"] = f"app;dur={1000 * (time.perf_counter() - self._begin):.1f}"
            if self.is_last:
                headers["Connection"] = "close"
        await asyncio.wait_for(self._send(message), SEND_TIMEOUT_S)


async def with_repaired_boundary(scope: Scope, receive: Receive) -> Receive:
    """Correct the boundary in a form's Content-Type to that of its body.

    MONAI Label's client repeats the Content-Type of an earlier request after a login.

    Args:
        scope: of the request, whose header is corrected.
        receive: reads its body.

    Returns:
        Reads the whole body from here.
    """
    peeked: list[Message] = []
    begin = b""
    while len(begin) < MAX_PEEKED and (not peeked or peeked[-1].get("more_body", False)):
        peeked.append(await receive())
        begin += peeked[-1].get("body", b"")
    first_part = _FIRST_PART.match(begin)
    if first_part:
        _set_boundary(scope, first_part[1].decode("ascii"))
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


def user_of(request: Request) -> User:
    """The user that the guard has authenticated."""
    user: User = request.state.user
    return user
