"""Hands requests of a browser on to the DICOMweb service of a PACS, with the login, which the browser never sees."""

from __future__ import annotations

import re
from collections.abc import Iterator

import requests
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from ....structured_report.read import SR_CLASSES
from ..client import PacsClient, PacsError
from ..part10 import parts_of, sop_class

PREFIX = "/dicom-web"
MAX_STORED_BYTES = 32_000_000
"""Largest body of a request; reports have less than 1 MB."""
_CHUNK_BYTES = 1 << 18
_STORE = re.compile(r"/studies(?:/[0-9.]+)?")
_READ = re.compile(r"/(?:studies|series|instances|bulkdata)(?:/[\w.,/-]*)?", re.ASCII)
_REQUEST_HEADERS = ("accept", "content-type")
_ANSWER_HEADERS = ("content-type", "content-length", "retry-after")
_LITERAL = {"%2C": ",", "%2A": "*"}
_ENCODED = re.compile("|".join(_LITERAL), re.IGNORECASE)


class DicomwebProxy:
    """Answers requests below ``PREFIX``: searches, retrieval, and storage of structured reports; nothing else.

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
        if is_store and origin is not None and origin.partition("://")[2] != request.headers.get("host", ""):
            return PlainTextResponse("pages of other web sites may not store instances", 403)
        body = await _received(request) if is_store else None
        if is_store and body is None:
            return PlainTextResponse(f"at most {MAX_STORED_BYTES:,} bytes can be stored at once", 413)
        if body is not None and not await run_in_threadpool(_has_reports_only, body, request.headers):
            return PlainTextResponse("the viewer stores structured reports only", 403)
        try:
            answer = await run_in_threadpool(self._send, request, path, body)
        except PacsError as error:
            return PlainTextResponse(str(error), 502)
        return self._response(answer, _origin_of(request))

    def _send(self, request: Request, path: str, body: bytes | None) -> requests.Response:
        query = literal_query(request.url.query)
        headers = {name: request.headers[name] for name in _REQUEST_HEADERS if name in request.headers}
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


async def _received(request: Request) -> bytes | None:
    """The body of a request; ``None`` where it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_STORED_BYTES:
            return None
    return bytes(body)


def _has_reports_only(body: bytes, headers: Headers) -> bool:
    """Whether a body has structured reports, and nothing else."""
    try:
        parts = list(parts_of(body, headers.get("content-type", "")))
        return all(sop_class(part) in SR_CLASSES for part in parts)
    except ValueError:
        return False
