"""``/landmarks``: labels as points in pixels, for clients that read no Markups files."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, HTTPException, Response

from ....spine.imaging.image_geometry import PIXELS
from ....spine.labels.markups import from_markups, parse_json, stated_geometry
from ...annotation.landmarks import EXAMPLE, SET_HERE, LandmarksBody, landmarks_response
from ...store.labels import CurrentLabel
from ...store.studies_folder import StudiesUnavailableError
from ..access_policy import requires
from ..auth import Role
from ..dependencies import CurrentUser, Json, Service, ServiceDep
from ..errors import UNREADABLE, answer, bad_request
from ..validation import check_no_names, check_object
from .datastore import RESERVED, BaseVersion, ImageDigest, ImageId, Tag, store_label, with_user

router = APIRouter(tags=["Landmarks"])

_BODY = LandmarksBody.model_validate(EXAMPLE)
_IMAGE, _TAG, _VERSION, _TS = "phantom_1", "final", 3, 1_800_000_000
_LABEL = CurrentLabel(_VERSION, b"", {**_BODY.metadata(_TS), "ts": _TS})
_POINTS = landmarks_response(_IMAGE, _TAG, _LABEL, _BODY.spine())
_SAVED = {"image": _IMAGE, "tag": _TAG, "version": _VERSION}


@router.get("/landmarks", openapi_extra=requires(Role.READER), summary="Points of a label", responses=answer(_POINTS))
async def landmarks(service: ServiceDep, image: ImageId, tag: Tag = "final") -> Response:
    """The current label of an image and tag, with its version, who made it and where its points come from."""
    return Json(await service.label_pool.run(_landmarks, service, image, tag))


def _landmarks(service: Service, image: str, tag: str) -> dict[str, Any]:
    try:
        label = service.app.datastore().read_label(image, tag)
    except StudiesUnavailableError:
        raise
    except (OSError, ValueError) as error:
        raise HTTPException(409, "the label is missing or damaged on the disk") from error
    try:
        content = parse_json(label.content)
        geometry = PIXELS if stated_geometry(content, "label") else service.app.image_header(image).geometry
        spine = from_markups(content, geometry, "label")
    except ValueError as error:
        raise HTTPException(UNREADABLE, f"the label holds no vertebra landmarks: {error}") from error
    return landmarks_response(image, tag, label, spine)


@router.put(
    "/landmarks", openapi_extra=requires(Role.ANNOTATOR), summary="Save points as a label", responses=answer(_SAVED)
)
async def save_landmarks(
    service: ServiceDep,
    user: CurrentUser,
    body: LandmarksBody,
    image: ImageId,
    tag: Tag = "final",
    base_version: BaseVersion = None,
    image_digest: ImageDigest = "",
) -> Response:
    """Save points as the current label of an image and tag: the Markups file that the Slicer module would save.

    409 where the label has another version than ``base_version`` and other content, the sentence names who saved it;
    412 where the image's file is not that of ``image_digest``: it was replaced, or the server serves other studies.
    A request that is repeated changes nothing and gets the same answer.
    """
    try:
        check_object(body.info.model_dump(), "info")
        check_no_names(body.info.model_extra or {}, (*RESERVED, *SET_HERE), "info")
    except ValueError as error:
        raise bad_request(error) from error
    metadata = with_user(body.metadata(time.time()), user)
    await service.label_pool.run(_check_digest, service, image, image_digest)
    version = await service.label_pool.run(_save, service, image, tag, body, metadata, base_version)
    return Json({"image": image, "tag": tag, "version": version})


def _check_digest(service: Service, image: str, digest: str) -> None:
    if digest and service.app.datastore().image_digest(image) != digest:
        raise HTTPException(
            412,
            f"image {image!r:.80} is another file now than the one that these points were placed on. "
            "Nothing was saved; open it again.",
        )


def _save(
    service: Service, image: str, tag: str, body: LandmarksBody, metadata: dict[str, Any], base_version: int | None
) -> int:
    header = service.app.image_header(image)
    try:
        content = body.markups(header.geometry)
    except ValueError as error:
        raise bad_request(error) from error
    return store_label(service, image, tag, content, header, metadata, base_version)
