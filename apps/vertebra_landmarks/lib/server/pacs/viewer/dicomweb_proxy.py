"""Hands requests of a browser on to the DICOMweb service of a PACS, with the login, which the browser never sees."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from typing import IO, Any

import requests
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from ..client import PacsClient, PacsError

PREFIX = "/dicom-web"
MAX_STORED_BYTES = 200_000_000
"""Largest body of a request; reports have less than 1 MB."""
_IN_MEMORY_BYTES, _CHUNK_BYTES = 1 << 20, 1 << 18
_STORE = re.compile(r"/studies(?:/[0-9.]+)?")
_READ = re.compile(r"/(?:studies|series|instances|bulkdata)(?:/[\w.,/-]*)?", re.ASCII)
_REQUEST_HEADERS = ("accept", "content-type")
_ANSWER_HEADERS = ("content-type", "content-length", "retry-after")
_LITERAL = {"%2C": ",", "%2A": "*"}
_ENCODED = re.compile("|".join(_LITERAL), re.IGNORECASE)


class DicomwebProxy:
    """Answers requests below ``PREFIX``: searches, retrieval, and storage of instances; nothing else.

    Args:
        client: of the PACS.
        url: of its DICOMweb service, without a slash at the end.
    """

    def __init__(self, client: PacsClient, url: str) -> None:
        self._client, self._url = client, url

    async def answer(self, request: Request) -> Response:
        """Answer one request as the PACS does, or with a sentence that says why it does not."""
        path = request.scope["path"].removeprefix(PREFIX)
        is_store = request.method == "POST"
        if ".." in path.split("/") or not (_STORE if is_store else _READ).fullmatch(path):
            return PlainTextResponse("only searches, retrieval and storage by DICOMweb are handed on", 404)
        origin = request.headers.get("origin")
        if is_store and origin is not None and origin != _origin_of(request):
            return PlainTextResponse("pages of other web sites may not store instances", 403)
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as body:
            if is_store and not await _is_received(request, body):
                return PlainTextResponse(f"at most {MAX_STORED_BYTES:,} bytes can be stored at once", 413)
            try:
                answer = await run_in_threadpool(self._send, request, path, body if is_store else None)
            except PacsError as error:
                return PlainTextResponse(str(error), 502)
        return self._response(answer, _origin_of(request))

    def _send(self, request: Request, path: str, body: IO[bytes] | None) -> requests.Response:
        query = literal_query(request.url.query)
        headers = {name: request.headers[name] for name in _REQUEST_HEADERS if name in request.headers}
        if body is not None:
            body.seek(0)
        return self._client.forward(request.method, f"{path}?{query}" if query else path, headers, body)

    def _response(self, answer: requests.Response, origin: str) -> Response:
        headers = {name: answer.headers[name] for name in _ANSWER_HEADERS if name in answer.headers}
        chunks: Iterator[bytes] = answer.iter_content(_CHUNK_BYTES)
        if "json" in headers.get("content-type", ""):
            headers.pop("content-length", None)
            chunks = replaced(chunks, f'"{self._url}/'.encode(), f'"{origin}{PREFIX}/'.encode())
        return StreamingResponse(_closing(answer, chunks), answer.status_code, headers)


def literal_query(query: str) -> str:
    """A query with commas and asterisks as they are, since not every PACS decodes them."""
    return _ENCODED.sub(lambda match: _LITERAL[match[0].upper()], query)


def replaced(chunks: Iterator[bytes], old: bytes, new: bytes) -> Iterator[bytes]:
    """A stream with every ``old`` replaced, also where it is spread over two chunks."""
    rest = b""
    for chunk in chunks:
        *complete, last = (rest + chunk).split(old)
        yield b"".join(part + new for part in complete) + last[: max(len(last) - len(old) + 1, 0)]
        rest = last[max(len(last) - len(old) + 1, 0) :]
    yield rest


def _closing(answer: requests.Response, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The body; an error closes the connection, so that no part is taken for the whole."""
    with answer:
        try:
            yield from chunks
        except (requests.RequestException, OSError):  # whose messages have addresses with UIDs
            raise PacsError("an answer of the PACS was cut short") from None


def _origin_of(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', '')}"


async def _is_received(request: Request, body: Any) -> bool:
    """Receive the body of a request; returns whether it is small enough."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_STORED_BYTES:
            return False
        await run_in_threadpool(body.write, chunk)
    return True
