"""What every request passes before the application sees it: who asks, from where, and how much they send.

The body is not read before the token is checked, and never as a whole: it is counted while it streams.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
import urllib.parse
from collections.abc import Iterable
from contextlib import AsyncExitStack

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..log_privacy import outline
from .access_policy import PUBLIC, Needs, needs_of
from .auth import ANYBODY, Login, Role, User, unauthorized
from .errors import problem
from .form_boundary import with_own_boundary

logger = logging.getLogger(__name__)

SMALL_BODY = 1_000_000
FORM_OVERHEAD = 100_000
"""Bytes of a form around the file that it carries."""
LONGEST_ADDRESS = 8_000
MOST_REQUESTS = 256
MOST_LARGE_BODIES = 8
"""Bodies above ``SMALL_BODY``, or of unknown size, that are on the way or on the disk at once."""
PATIENCE_S = 60.0
"""Time that a large body waits for its turn."""
PAUSE_S, BODY_S, SEND_S = 30.0, 600.0, 60.0
"""Longest pause within a body, longest time for a whole one, and longest time for a client to take a piece."""
DRAINED_BYTES, DRAINED_S = 1_000_000_000, 60.0
"""What is read and forgotten of a body that is too large, since many clients read no answer before they sent all."""

_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_BODILESS = frozenset({"GET", "HEAD", "DELETE"})
"""Methods of whose requests no body is read, whatever their headers announce."""


class Guard:
    """The outermost layer of the web application.

    Args:
        service: the application behind it.
        routes: its routes, which say what they need.
        login: how users are known; ``None`` lets everybody do everything.
        largest_upload: bytes of the largest file.
        origins: web sites whose pages may call.
    """

    def __init__(
        self,
        service: ASGIApp,
        routes: Iterable[Route],
        login: Login | None,
        largest_upload: int,
        origins: Iterable[str],
    ) -> None:
        self._service, self._routes, self._login = service, list(routes), login
        self._largest_upload, self._origins = largest_upload, frozenset(origins)
        self._open, self._warned = 0, False
        self._large_bodies = asyncio.Semaphore(MOST_LARGE_BODIES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        if scope["type"] != "http":
            return
        sender = Sender(send)
        self._open += 1
        try:
            async with AsyncExitStack() as stack:
                body = await self._admit(scope, receive, sender, stack)
                await self._service(scope, body, sender)
        except HTTPException as error:
            await problem(error.status_code, error.detail, dict(error.headers or {}))(scope, receive, sender)
        except Exception as error:
            if sender.status is None or sender.status < 500:  # else it was answered and logged
                logger.error("An answer was cut short\n%s", outline(error))
            if sender.status is None:
                await problem(500, "the server failed; its log says where")(scope, receive, sender)
        finally:
            self._open -= 1

    async def _admit(self, scope: Scope, receive: Receive, sender: Sender, stack: AsyncExitStack) -> Receive:
        """See that the request may pass.

        Args:
            scope: of the request.
            receive: what its body comes from.
            sender: what it is answered with; told to close the connection where the body is not read to its end.
            stack: what ends with the request.

        Returns:
            What to read its body with.

        Raises:
            HTTPException: it may not.
        """
        if self._open > MOST_REQUESTS:
            raise HTTPException(503, "the server has too many requests at once", headers={"Retry-After": "5"})
        if len(scope["path"]) + len(scope["query_string"]) > LONGEST_ADDRESS:
            raise HTTPException(414, f"the address may have {LONGEST_ADDRESS} characters at most")
        headers = Headers(scope=scope)
        needs = self._needs(scope)
        self._check_place(scope, headers)
        length = headers.get("content-length", "")
        announced, is_chunked = int(length) if length.isdecimal() else 0, "transfer-encoding" in headers
        if scope["method"] in _BODILESS:
            sender.is_last = announced > 0 or is_chunked
        scope.setdefault("state", {})["user"] = await self._user(headers, needs)
        if scope["method"] in _BODILESS:
            return NoBody(receive)
        limit = self._largest_upload + FORM_OVERHEAD if needs.upload else SMALL_BODY
        body = Body(receive, limit)
        if announced > limit:
            if headers.get("expect", "").lower() != "100-continue":
                await body.drain()
            raise body.too_large()
        if needs.upload and (announced > SMALL_BODY or is_chunked):
            try:
                await asyncio.wait_for(self._large_bodies.acquire(), PATIENCE_S)
            except asyncio.TimeoutError as error:
                raise HTTPException(503, "too many uploads at once", headers={"Retry-After": "30"}) from error
            stack.callback(self._large_bodies.release)
        return await with_own_boundary(scope, body) if needs.upload else body

    def _needs(self, scope: Scope) -> Needs:
        for route in self._routes:
            if route.matches(scope)[0] == Match.FULL:
                return needs_of(route)
        return Needs(Role.READER)

    def _check_place(self, scope: Scope, headers: Headers) -> None:
        """Pages of other sites, which a browser on this network may show, neither change nor read anything here."""
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

    async def _user(self, headers: Headers, needs: Needs) -> User:
        if self._login is None:
            return ANYBODY
        if needs == PUBLIC:
            return User("", Role.READER)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthorized("this server wants a token: Authorization: Bearer ...")
        user = await self._login.user(token.strip())
        if needs.role is not None and user.role < needs.role:
            raise HTTPException(
                403, f"this needs the role {needs.role.name.lower()}, yours is {user.role.name.lower()}"
            )
        return user


def is_local_name(host: str) -> bool:
    """Whether a Host header holds an IP address or a name that nobody can register on the internet.

    A web page elsewhere can let its own name point to this machine, and so reach a server that asks for no token.
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
    except ValueError:  # a socket of this machine has a name instead
        return True


class NoBody:
    """The body of a request that has none; what a client announces or sends nevertheless is not waited for.

    Args:
        receive: says when the client is gone.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_read = False

    async def __call__(self) -> Message:
        """An empty body, and then the news that the client is gone."""
        if not self._is_read:
            self._is_read = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while (message := await self._receive())["type"] != "http.disconnect":
            pass
        return message


class Body:
    """The body of a request, counted and timed while it is read.

    Args:
        receive: where it comes from.
        limit: bytes that it may have.
    """

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._bytes = 0
        self._ended = False
        self._deadline: float | None = None

    async def __call__(self) -> Message:
        """The next piece.

        Raises:
            HTTPException: 408, it takes too long; 413, there are too many.
        """
        if self._ended:  # what follows is only the news that the client is gone
            return await self._receive()
        self._deadline = self._deadline or time.monotonic() + BODY_S
        try:
            message = await asyncio.wait_for(self._receive(), min(PAUSE_S, max(0.0, self._deadline - time.monotonic())))
        except asyncio.TimeoutError as error:
            raise HTTPException(408, "the body of the request did not arrive in time") from error
        self._bytes += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        if self._bytes > self._limit:
            await self.drain()
            raise self.too_large()
        return message

    async def drain(self) -> None:
        """Read the rest and forget it, up to a limit."""
        end = time.monotonic() + DRAINED_S
        while not self._ended and self._bytes < DRAINED_BYTES and time.monotonic() < end:
            try:
                message = await asyncio.wait_for(self._receive(), PAUSE_S)
            except asyncio.TimeoutError:
                return
            self._bytes += len(message.get("body", b""))
            self._ended = not message.get("more_body", False)

    def too_large(self) -> HTTPException:
        """The answer to a body above the limit."""
        return HTTPException(413, f"the body may have {self._limit:,} bytes at most")


class Sender:
    """Sends an answer with the headers that all have, and gives up on a client that does not take it.

    Attributes:
        status: of the answer; ``None`` before it is sent.
        is_last: whether the connection is closed afterwards, since what follows on it may be a body that nobody read.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None
        self.is_last = False

    async def __call__(self, message: Message) -> None:
        """Send one piece.

        Raises:
            asyncio.TimeoutError: the client does not take it.
        """
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if self.is_last:
                headers["Connection"] = "close"
        await asyncio.wait_for(self._send(message), SEND_S)


def user_of(request: Request) -> User:
    """The user that the guard let pass."""
    user: User = request.state.user
    return user
