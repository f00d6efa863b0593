"""``/infer``: landmarks of one image."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, HTTPException, Query, Response, UploadFile

from ....spine.labels.markups import SUFFIX
from ...annotation.readings.gate import Gate
from ...annotation.readings.saving import is_of_study
from ...inference.infer_request import EXAMPLE, InferRequest
from ..access_policy import requires
from ..auth import Role
from ..dependencies import CurrentGate, CurrentUser, Json, Service, ServiceDep
from ..errors import bad_request
from ..validation import json_form, json_object

router = APIRouter(tags=["Infer"])

MAX_PARAMS_LENGTH = 250_000
"""Characters of ``params``, which may hold fixed landmarks."""
RESERVED_PARAMS = ("image", "model", "session", "file", "label", "description", "timeout")
"""Keys that the URL or the server sets; they are ignored in ``params``."""


class Output(str, Enum):
    """Format of the response: numbers, a Markups file, or both."""

    JSON = "json"
    IMAGE = "image"
    ALL = "all"


@router.post("/infer/{model}", openapi_extra=requires(Role.READER, upload=True), summary="Landmarks of one image")
async def infer(
    service: ServiceDep,
    gate: CurrentGate,
    user: CurrentUser,
    model: str,
    image: Annotated[str, Query(description="Id of an image of the folder", examples=["phantom_1"])] = "",
    session_id: Annotated[str, Query(description="Or of a session, see /session/")] = "",
    params: Annotated[str, json_form(InferRequest, EXAMPLE)] = "{}",
    file: Annotated[UploadFile | None, File()] = None,
    output: Output = Output.ALL,
) -> Response:
    """Predict on an image of the folder, of a session, or on the uploaded file.

    ``params`` is a JSON object; ``save_label`` and ``label_tag`` store the result as a label. 409 in a study whose plan
    offers no model for the reading of the image.
    """
    try:
        values = json_object(params, "params", MAX_PARAMS_LENGTH)
        request = {name: value for name, value in values.items() if name not in RESERVED_PARAMS}
        InferRequest.parse(request)
    except ValueError as error:
        raise bad_request(error) from error
    if not file and not image and not session_id:
        raise HTTPException(400, "name an image or a session, or send a file")
    if request.get("save_label") and user.role < Role.ANNOTATOR:
        raise HTTPException(403, "save_label requires the role annotator")
    if image and not file and not session_id:
        await service.io_pool.run(_check_study, gate, image, request)
    answer, markups = await service.inference_pool.run(
        _run, service, {**request, "model": model}, image, session_id, file
    )
    if output is Output.JSON:
        return Json(answer)
    name = f"landmarks{SUFFIX}"
    if output is Output.IMAGE:
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(markups, media_type="application/json", headers=disposition)
    return _multipart_response(json.dumps(answer, allow_nan=False).encode(), markups, name)


def _check_study(gate: Gate, image: str, request: dict[str, Any]) -> None:
    """Raise where the plan of a study keeps the model's points from the user, or its labels from the model."""
    if not gate.shows_model(image):
        raise HTTPException(409, "the study plan offers no points of the model in this reading")
    if request.get("save_label") and is_of_study(gate, str(request.get("label_tag") or "")):
        raise HTTPException(400, "label_tag: labels of this tag are readings of the study, which people save")


def _run(
    service: Service, request: dict[str, Any], image: str, session_id: str, file: UploadFile | None
) -> tuple[dict[str, Any], bytes]:
    """The response and the content of the Markups file, which is deleted."""
    with _source(service, image, session_id, file) as source:
        result = service.app.infer({**request, "image": source})
    markups = Path(result["file"])
    try:
        return result["params"], markups.read_bytes()
    finally:
        markups.unlink(missing_ok=True)


@contextmanager
def _source(service: Service, image: str, session_id: str, file: UploadFile | None) -> Iterator[Path | str]:
    """The image: its path if this server stored the upload itself, else its id."""
    if file is not None:
        with service.uploads.stored(file.file, file.filename or "") as path:
            yield path
    elif session_id:
        yield service.sessions.get(session_id, touch=True).path
    else:
        yield image


def _multipart_response(answer: bytes, markups: bytes, name: str) -> Response:
    """Numbers and file as a multipart form, the format that MONAI Label's clients expect."""
    boundary = uuid.uuid4().hex
    parts = (("params", "", answer), ("image", f'; filename="{name}"', markups))
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"{extra}\r\n'.encode()
        + b"Content-Type: application/json\r\n\r\n"
        + content
        + b"\r\n"
        for field, extra, content in parts
    )
    return Response(body + f"--{boundary}--\r\n".encode(), media_type=f"multipart/form-data; boundary={boundary}")
