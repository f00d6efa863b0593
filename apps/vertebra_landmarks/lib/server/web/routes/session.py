"""``/session``: send an image once, ask about it often."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, HTTPException, Response, UploadFile
from fastapi.responses import FileResponse
from monailabel.utils.others.generic import get_mime_type

from ....image_io import read_radiograph
from ..access_policy import needs
from ..auth import Role
from ..dependencies import Json, Served, Service
from ..pixel_responses import pixels_response

router = APIRouter(prefix="/session", tags=["Session"])


@router.put("/", openapi_extra=needs(Role.READER, upload=True), summary="Begin a session with an image")
async def begin(
    served: Served, files: Annotated[list[UploadFile], File()], uncompress: bool = False, expiry: int = 0
) -> Response:
    """Keep one radiograph for ``expiry`` seconds after its last use, at most for as long as the server allows."""
    if uncompress or len(files) != 1:
        raise HTTPException(400, "a session holds one radiograph; archives and several files are not taken")
    session = await served.filing.run(served.sessions.add, files[0].file, files[0].filename or "", expiry)
    return Json({"session_id": session.name, "session_info": session.to_dict()})


@router.get("/{session_id}", openapi_extra=needs(Role.READER), summary="A session")
async def look(
    served: Served, session_id: str, update_ts: bool = False, image: bool = False, pixels: bool = False
) -> Response:
    """Facts about a session, its image, or the pixels of that (see ``/datastore/image/pixels``)."""
    session = await served.filing.run(served.sessions.get, session_id, touch=update_ts)
    if pixels:
        return await served.filing.run(_pixels, served, session.place)
    if image:
        return FileResponse(session.place, media_type=get_mime_type(str(session.place)), filename=session.place.name)
    return Json(session.to_dict())


def _pixels(served: Service, place: Path) -> Response:
    return pixels_response(read_radiograph(place), served.uploads.folder)


@router.delete("/{session_id}", openapi_extra=needs(Role.READER), summary="End a session")
def end(served: Served, session_id: str) -> Response:
    """Forget the image."""
    return Json(served.sessions.remove(session_id).to_dict())
