"""``/infer``: the landmarks of one image."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, HTTPException, Query, Response, UploadFile

from ...spine.markups import SUFFIX
from ..infer_request import EXAMPLE, InferRequest
from .auth import Role
from .errors import bad_request
from .needs import needs
from .params import json_form, json_object
from .service import Asking, Json, Served, Service

router = APIRouter(tags=["Infer"])

MOST_PARAMS = 250_000
"""Characters of ``params``, which may carry the points that somebody has set."""
DECIDED = ("image", "model", "session", "file", "label", "description", "timeout")
"""What the request's address or the server decides, whatever ``params`` say."""


class Output(str, Enum):
    """What the answer is: numbers, a Markups file, or both."""

    JSON = "json"
    IMAGE = "image"
    ALL = "all"


@router.post("/infer/{model}", openapi_extra=needs(Role.READER, upload=True), summary="Landmarks of one image")
async def infer(
    served: Served,
    asking: Asking,
    model: str,
    image: Annotated[str, Query(description="Id of an image of the folder", examples=["phantom_1"])] = "",
    session_id: Annotated[str, Query(description="Or of a session, see /session/")] = "",
    params: Annotated[str, json_form(InferRequest, EXAMPLE)] = "{}",
    file: Annotated[UploadFile | None, File()] = None,
    output: Output = Output.ALL,
) -> Response:
    """Predict on an image of the folder, of a session, or on the file that comes with the request.

    ``params`` is a JSON object; ``save_label`` and ``label_tag`` keep the result as a label.
    """
    try:
        given = json_object(params, "params", MOST_PARAMS)
        request = {name: value for name, value in given.items() if name not in DECIDED}
        InferRequest.parse(request)
    except ValueError as error:
        raise bad_request(error) from error
    if not file and not image and not session_id:
        raise HTTPException(400, "name an image or a session, or send a file")
    if request.get("save_label") and asking.role < Role.ANNOTATOR:
        raise HTTPException(403, "save_label needs the role annotator")
    answer, markups = await served.inferring.run(_run, served, {**request, "model": model}, image, session_id, file)
    if output is Output.JSON:
        return Json(answer)
    name = f"landmarks{SUFFIX}"
    if output is Output.IMAGE:
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(markups, media_type="application/json", headers=disposition)
    return _both(json.dumps(answer, allow_nan=False).encode(), markups, name)


def _run(
    served: Service, request: dict[str, Any], image: str, session_id: str, file: UploadFile | None
) -> tuple[dict[str, Any], bytes]:
    """The answer and the content of the Markups file, which is removed."""
    with _source(served, image, session_id, file) as source:
        result = served.app.infer({**request, "image": source})
    markups = Path(result["file"])
    try:
        return result["params"], markups.read_bytes()
    finally:
        markups.unlink(missing_ok=True)


@contextmanager
def _source(served: Service, image: str, session_id: str, file: UploadFile | None) -> Iterator[Path | str]:
    """The image: a path if this server stored the file itself, else the id."""
    if file is not None:
        with served.uploads.stored(file.file, file.filename or "") as place:
            yield place
    elif session_id:
        yield served.sessions.get(session_id, touch=True).place
    else:
        yield image


def _both(answer: bytes, markups: bytes, name: str) -> Response:
    """Numbers and file as a form, as MONAI Label's clients read it."""
    edge = uuid.uuid4().hex
    parts = (("params", "", answer), ("image", f'; filename="{name}"', markups))
    body = b"".join(
        f'--{edge}\r\nContent-Disposition: form-data; name="{field}"{extra}\r\n'.encode()
        + b"Content-Type: application/json\r\n\r\n"
        + content
        + b"\r\n"
        for field, extra, content in parts
    )
    return Response(body + f"--{edge}--\r\n".encode(), media_type=f"multipart/form-data; boundary={edge}")
