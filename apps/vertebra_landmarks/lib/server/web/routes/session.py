"""``/session``: upload an image once for many requests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, HTTPException, Response, UploadFile
from fastapi.responses import FileResponse
from monailabel.utils.others.generic import get_mime_type

from ....image_io import read_radiograph
from ..access_policy import requires
from ..auth import Role
from ..dependencies import Json, Service, ServiceDep
from ..file_responses import pixels_response

router = APIRouter(prefix="/session", tags=["Session"])


@router.put("/", openapi_extra=requires(Role.READER, upload=True), summary="Create a session with an image")
async def create_session(
    service: ServiceDep, files: Annotated[list[UploadFile], File()], uncompress: bool = False, expiry: int = 0
) -> Response:
    """Store one radiograph for ``expiry`` seconds after its last use, limited by the server's maximum."""
    if uncompress or len(files) != 1:
        raise HTTPException(400, "a session holds one radiograph; archives and several files are not taken")
    session = await service.io_pool.run(service.sessions.add, files[0].file, files[0].filename or "", expiry)
    return Json({"session_id": session.name, "session_info": session.to_dict()})


@router.get("/{session_id}", openapi_extra=requires(Role.READER), summary="Read a session")
async def read_session(
    service: ServiceDep, session_id: str, update_ts: bool = False, image: bool = False, pixels: bool = False
) -> Response:
    """Metadata of a session, its image, or the pixels of that (see ``/datastore/image/pixels``)."""
    session = await service.io_pool.run(service.sessions.get, session_id, touch=update_ts)
    if pixels:
        return await service.io_pool.run(_pixels, service, session.path)
    if image:
        return FileResponse(session.path, media_type=get_mime_type(str(session.path)), filename=session.path.name)
    return Json(session.to_dict())


def _pixels(service: Service, path: Path) -> Response:
    return pixels_response(read_radiograph(path), service.uploads.folder)


@router.delete("/{session_id}", openapi_extra=requires(Role.READER), summary="Delete a session")
def delete_session(service: ServiceDep, session_id: str) -> Response:
    """Delete the session with its image."""
    return Json(service.sessions.remove(session_id).to_dict())
