"""``/landmarks``: labels as points in pixels, for clients that read no Markups files."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response
from monailabel.interfaces.exception import LabelNotFoundException

from ....spine.imaging.image_geometry import PIXELS
from ....spine.labels.markups import from_markups, parse_json, stated_geometry
from ...annotation.landmarks import EXAMPLE, SET_HERE, LandmarksBody, landmarks_response
from ...annotation.readings.gate import Gate
from ...annotation.readings.saving import Saved
from ...store.labels import CurrentLabel
from ...store.studies_folder import StudiesUnavailableError
from ..access_policy import requires
from ..auth import Role
from ..dependencies import CurrentGate, CurrentUser, Json, Service, ServiceDep
from ..errors import UNREADABLE, answer, bad_request
from ..validation import check_no_names, check_object
from .datastore import (
    RESERVED,
    BaseVersion,
    ImageDigest,
    ImageId,
    LabelTarget,
    Tag,
    gate_of_label,
    store_label,
    with_user,
)

router = APIRouter(tags=["Landmarks"])

Reading = Annotated[int | None, Query(ge=1, le=1_000, description="Number of a reading of the study", examples=[2])]
MissingOk = Annotated[bool, Query(description="Answer 204 instead of 404 where there is no such label")]

_BODY = LandmarksBody.model_validate(EXAMPLE)
_IMAGE, _TAG, _VERSION, _TS = "phantom_1", "final", 3, 1_800_000_000
_LABEL = CurrentLabel(_VERSION, b"", {**_BODY.metadata(_TS), "ts": _TS})
_POINTS = landmarks_response(_IMAGE, _TAG, _LABEL, _BODY.spine())
_SAVED = {"image": _IMAGE, "tag": _TAG, "version": _VERSION}


@router.get("/landmarks", openapi_extra=requires(Role.READER), summary="Points of a label", responses=answer(_POINTS))
async def landmarks(
    service: ServiceDep,
    gate: CurrentGate,
    image: ImageId,
    tag: Tag = "final",
    reading: Reading = None,
    missing_ok: MissingOk = False,
) -> Response:
    """The current label of an image and tag, with its version, who made it and where its points come from.

    Of a reading with ``reading``, its number, instead of the tag.
    """
    try:
        return Json(await service.label_pool.run(_landmarks, service, gate, image, tag, reading))
    except LabelNotFoundException:
        if not missing_ok:
            raise
        return Response(status_code=204)


def _landmarks(service: Service, gate: Gate, image: str, tag: str, number: int | None) -> dict[str, Any]:
    store = service.app.datastore()
    try:
        if number is None:
            seen = gate.tag(image, tag)
            if seen is None:
                raise LabelNotFoundException(f"image {image!r:.80} has no label {tag!r:.80}")
            tag, label = seen, store.read_label(image, seen)
        else:
            made = gate.readings(image).number(number)
            is_shown = made is not None and (gate.shows_labels(image) or gate.own(image) == made)
            if made is None or not is_shown or not made.is_submitted:
                raise LabelNotFoundException(f"image {image!r:.80} has no reading {number}")
            tag, label = made.tag, store.read_label_version(image, made.tag, made.version)
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
    gate: CurrentGate,
    user: CurrentUser,
    body: LandmarksBody,
    image: ImageId,
    tag: Tag = "final",
    base_version: BaseVersion = None,
    image_digest: ImageDigest = "",
    reading: Reading = None,
) -> Response:
    """Save points as the current label of an image and tag: the Markups file that the Slicer module would save.

    409 where the label has another version than ``base_version`` and other content, the sentence names who saved it;
    412 where the image's file is not that of ``image_digest``: it was replaced, or the server serves other studies.
    A request that is repeated changes nothing and gets the same answer. In a study with a plan, ``final`` is the
    reading that the user has under work, by its number as ``reading``; for an adjudicator, the final label.
    """
    try:
        check_object(body.info.model_dump(), "info")
        check_no_names(body.info.model_extra or {}, (*RESERVED, *SET_HERE), "info")
    except ValueError as error:
        raise bad_request(error) from error
    metadata = with_user(body.metadata(time.time()), user)
    await service.label_pool.run(_check_digest, service, image, image_digest)
    gate = gate_of_label(service, gate, user, metadata)
    target = LabelTarget(image, tag, base_version, reading)
    saved = await service.label_pool.run(_save, service, gate, target, body, metadata)
    of_reading = {} if saved.reading is None else {"reading": saved.reading}
    return Json({"image": image, "tag": saved.tag, "version": saved.version, **of_reading})


def _check_digest(service: Service, image: str, digest: str) -> None:
    if digest and service.app.datastore().image_digest(image) != digest:
        raise HTTPException(
            412,
            f"image {image!r:.80} is another file now than the one that these points were placed on. "
            "Nothing was saved; open it again.",
        )


def _save(service: Service, gate: Gate, target: LabelTarget, body: LandmarksBody, metadata: dict[str, Any]) -> Saved:
    header = service.app.image_header(target.image)
    try:
        content = body.markups(header.geometry)
    except ValueError as error:
        raise bad_request(error) from error
    return store_label(service, gate, target, content, header, metadata)
