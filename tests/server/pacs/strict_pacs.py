"""A small DICOMweb server in memory that follows the standard to the letter and offers nothing besides it.

Values of queries are decoded, pages are cut after matching, results have the required attributes and those asked for,
and without ``transfer-syntax`` an instance is sent as Explicit VR Little Endian, as PS3.18 says.
"""

from __future__ import annotations

import base64
import contextlib
import io
import random
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from email.parser import BytesParser
from email.policy import HTTP
from fnmatch import fnmatchcase
from typing import Any

import pydicom
import uvicorn
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from harness.ports import free_port

MAX_RESULTS = 100
"""Of one answer; the standard allows a server to return fewer than asked for."""
REQUIRED = (
    "SOPClassUID", "SOPInstanceUID", "InstanceNumber", "Rows", "Columns", "BitsAllocated", "Modality",
    "SeriesInstanceUID", "SeriesNumber", "StudyDate", "StudyTime", "AccessionNumber", "PatientName", "PatientID",
    "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID",
)  # fmt: skip
KEYS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "Modality", "StudyDate", "PatientID")
OPTIONAL_KEYS = ("limit", "offset", "includefield", "fuzzymatching")


class StrictPacs:
    """The server, on a port of its own.

    Attributes:
        url: of its DICOMweb service.
        user: who may log in.
        password: of that user.
        ignores_fields: whether ``includefield`` has no effect, as the standard allows.
        ignores_pages: whether ``limit`` and ``offset`` have no effect, and results come in another order each time.
        sends_single_parts: whether an instance comes as it is, not as a part of a multipart message.
        hides: an instance that searches do not find.
        answers_store: how the next instances are answered: by status, and failure reason or ``None``.
        asked: paths of all requests.
    """

    def __init__(self) -> None:
        self.user, self.password = "reader", secrets.token_hex(8)
        self.ignores_fields = self.ignores_pages = self.sends_single_parts = False
        self.hides = ""
        self.answers_store: list[tuple[int, int | None]] = []
        self.asked: list[str] = []
        self._files: dict[str, bytes] = {}
        self._headers: dict[str, Dataset] = {}
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}/rs"
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to answer."""
        instance = "/rs/studies/{study}/series/{series}/instances/{instance}"
        routes = [
            Route("/rs/instances", self._search),
            Route("/rs/studies", self._store, methods=["POST"]),
            Route(instance, self._retrieve),
            Route(f"{instance}/metadata", self._metadata),
        ]
        config = uvicorn.Config(Starlette(routes=routes), "127.0.0.1", self._port, log_level="critical")
        self._server = uvicorn.Server(config)
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        """Refuse connections, keeping what is stored."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = self._server.force_exit = True
            self._thread.join(10)
            self._server = None

    def store(self, content: bytes) -> None:
        """Store a DICOM file."""
        header = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
        self._files.setdefault(str(header.SOPInstanceUID), content)
        self._headers.setdefault(str(header.SOPInstanceUID), header)

    def remove(self, instance_uid: str) -> None:
        """Remove an instance."""
        del self._files[instance_uid], self._headers[instance_uid]

    def _refusal(self, request: Request) -> Response | None:
        self.asked.append(str(request.url.path))
        login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if request.headers.get("Authorization") not in (f"Basic {login}", f"Bearer {self.password}"):
            return Response(status_code=401, headers={"WWW-Authenticate": "Basic"})
        return None

    async def _search(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        query = request.query_params
        unknown = [key for key in query if key not in (*KEYS, *OPTIONAL_KEYS)]
        if unknown or "application/dicom+json" not in request.headers.get("Accept", "application/dicom+json"):
            return Response(f"unknown key {unknown}", 400)
        filters = {key: query[key] for key in KEYS if key in query}
        found = [header for _, header in sorted(self._headers.items()) if _matches(header, filters)]
        found = [header for header in found if header.SOPInstanceUID != self.hides]
        offset, limit = int(query.get("offset", 0)), min(int(query.get("limit", MAX_RESULTS)), MAX_RESULTS)
        if self.ignores_pages:
            offset, limit = 0, len(found)
            random.shuffle(found)
        page = found[offset : offset + limit]
        warnings = []
        if len(found) > offset + limit:
            warnings.append('299 {SERVICE}: "There are additional results that can be requested"')
        fields = [name for value in query.getlist("includefield") for name in value.split(",")]
        if fields and self.ignores_fields:
            warnings.append('299 {SERVICE}: "includefield is not supported"')
            fields = []
        headers = {"Warning": ", ".join(warnings)} if warnings else {}
        if not page:
            return Response(status_code=204, headers=headers)
        results = [_attributes(header, fields) for header in page]
        return JSONResponse(results, headers=headers, media_type="application/dicom+json")

    async def _metadata(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        header = self._headers.get(request.path_params["instance"])
        if header is None:
            return Response(status_code=404)
        return JSONResponse([header.to_json_dict()], media_type="application/dicom+json")

    async def _retrieve(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        content = self._files.get(request.path_params["instance"])
        uids = (request.path_params["study"], request.path_params["series"])
        if content is None:
            return Response(status_code=404)
        header = self._headers[request.path_params["instance"]]
        if uids != (header.StudyInstanceUID, header.SeriesInstanceUID):
            return Response(status_code=404)
        stored = str(header.file_meta.TransferSyntaxUID)
        accept = request.headers.get("Accept", "")
        wanted = accept.partition("transfer-syntax=")[2].strip('"') or str(ExplicitVRLittleEndian)
        if 'multipart/related; type="application/dicom"' not in accept or wanted not in ("*", stored):
            if wanted != ExplicitVRLittleEndian:
                return Response(status_code=406)
            dataset = pydicom.dcmread(io.BytesIO(content))
            dataset.decompress()
            content = as_file(dataset)
        head = f'Content-Type: application/dicom; transfer-syntax="{stored}"'
        if self.sends_single_parts:
            return Response(content, media_type="application/dicom")
        body = f"--=_edge\r\n{head}\r\n\r\n".encode() + content + b"\r\n--=_edge--"
        return Response(body, media_type='multipart/related; type="application/dicom"; boundary="=_edge"')

    async def _store(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
        message = BytesParser(policy=HTTP).parsebytes(head + await request.body())
        stored, failed, status = [], [], 200
        for part in message.iter_parts():
            content = part.get_payload(decode=True)
            header = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
            if "StudyInstanceUID" not in header:
                return Response(status_code=400)
            status, reason = self.answers_store.pop(0) if self.answers_store else (200, None)
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
            if reason is not None:
                item.FailureReason = reason
                failed.append(item)
                continue
            self.store(content)
            stored.append(item)
        answer = Dataset()
        if stored:
            answer.ReferencedSOPSequence = stored
        if failed:
            answer.FailedSOPSequence = failed
        return JSONResponse(answer.to_json_dict(), status, media_type="application/dicom+json")


def as_file(dataset: Dataset) -> bytes:
    """A dataset as a DICOM file."""
    stream = io.BytesIO()
    dataset.save_as(stream, write_like_original=False)
    return stream.getvalue()


def _matches(header: Dataset, filters: Mapping[str, str]) -> bool:
    return all(_matches_value(str(header.get(key, "")), wanted) for key, wanted in filters.items())


def _matches_value(value: str, wanted: str) -> bool:
    first, dash, last = wanted.partition("-")
    if dash and (first + last).isdigit():
        return (first or "0") <= value <= (last or "9")
    return fnmatchcase(value, wanted)


def _attributes(header: Dataset, fields: list[str]) -> dict[str, Any]:
    found = Dataset()
    for name in (*REQUIRED, *fields):
        keyword = name if not name.isalnum() or not name.isdigit() else keyword_for_tag(name)
        tag = tag_for_keyword(keyword)
        if tag is not None and tag in header:
            found[tag] = header[tag]
        elif tag is not None:
            setattr(found, keyword, None)  # a supported attribute without a value is returned empty
    return found.to_json_dict()


@contextlib.contextmanager
def strict_pacs() -> Iterator[StrictPacs]:
    """Run an empty one for the time of the block."""
    pacs = StrictPacs()
    pacs.start()
    try:
        yield pacs
    finally:
        pacs.stop()
