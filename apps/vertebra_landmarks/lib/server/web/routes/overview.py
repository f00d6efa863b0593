"""``/images``, ``/statistics`` and ``/follow_up``: the study at a glance, and one patient in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response

from ...annotation.readings.gate import Gate
from ...overview.blind_list import blind_page
from ...overview.image_list import MAX_LIMIT, Sort, State
from ...overview.image_list import Query as ListQuery
from ..access_policy import requires
from ..auth import Role
from ..dependencies import CurrentGate, Json, Service, ServiceDep
from .datastore import ImageId

router = APIRouter(tags=["Overview"])

MAX_SEARCH_LENGTH = 200
MAX_OFFSET = 2**31 - 1
THUMBNAIL_LIFETIME_S = 300
"""For which a browser shows a thumbnail without asking again."""
_READER = requires(Role.READER)


def _answer(example: Mapping[str, Any]) -> dict[str, Any]:
    """Part of ``openapi_extra``: an example of the answer."""
    return {"responses": {"200": {"content": {"application/json": {"example": example}}}}}


_LIST_EXAMPLE = {
    "total": 1,
    "counts": {"all": 2, "unlabelled": 0, "predicted": 1, "labelled": 1, "unreadable": 0},
    "images": [
        {
            "id": "phantom_1",
            "file": "phantom_1.png",
            "state": "labelled",
            "user": "ada",
            "labelled_at": 1780000000,
            "seconds": 74.5,
            "edits": 9,
            "version": 2,
            "doubt": 0.31,
            "added_at": 1779990000,
            "largest_angle_deg": 36.6,
            "opened_by": ["bob"],
        }
    ],
}
_STATISTICS_EXAMPLE = {
    "labels_by_day": [{"day": "2026-11-30", "user": "ada", "count": 12}],
    "seconds": [{"ts": 1780000000, "seconds": 74.5, "edits": 9, "user": "ada"}],
    "largest_angle_deg": [36.6],
    "readers": [{"user": "ada", "labels": 12, "median_seconds": 74.5}],
    "labels": 12,
    "unmeasured": 0,
}
_FOLLOWED = {"upper_end": "T5", "lower_end": "T12", "angle_deg": 36.6, "half_width_deg": 2.1}
_FOLLOW_UP_EXAMPLE = {
    "patient": "6ab8c8d9c1f1f0a5b1d9f4a2c3e4d5f6",
    "reference": "P12_pre",
    "images": [
        {
            "id": "P12_pre",
            "date": "2025-05-06",
            "date_source": "header",
            "state": "labelled",
            "tag": "final",
            "version": 1,
            "curves": [{**_FOLLOWED, "apex": "T8", "side": "right", "region": "thoracic", "open_ends": []}],
            "sides_of": "patient",
            "t1_tilt_deg": -2.4,
            "same_ends": [_FOLLOWED],
        }
    ],
    "changes": [
        {
            "from": "P12_pre",
            "to": "P12_post",
            "upper_end": "T5",
            "lower_end": "T12",
            "change_deg": -11.2,
            "within_error": False,
        }
    ],
    "left_out": 0,
    "unread": 0,
}

Search = Annotated[str, Query(max_length=MAX_SEARCH_LENGTH, description="Part of the id", examples=["phantom"])]
Offset = Annotated[int, Query(ge=0, le=MAX_OFFSET)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]


async def _check_exists(service: Service, image: str) -> None:
    if not await service.io_pool.run(service.app.datastore().has_image, image):
        raise HTTPException(404, f"there is no image {image!r:.80} in the studies folder")


@router.get(
    "/images",
    openapi_extra={**_READER, **_answer(_LIST_EXAMPLE)},
    summary="List images: search, filter, sort, page",
)
def list_images(
    service: ServiceDep,
    gate: CurrentGate,
    search: Search = "",
    state: State = State.ALL,
    sort: Sort = Sort.NAME,
    descending: bool = False,
    offset: Offset = 0,
    limit: Limit = 200,
) -> Response:
    """A page of the images with their state, label and doubt, and the numbers of all images by state.

    ``doubt`` is how unsure the served model is of an image, in no unit; ``largest_angle_deg`` is of the label, else of
    the stored prediction; ``opened_by`` are the users who have the image open now. Times are seconds since 1970; what
    is not known is null. In a study with a plan, ``reading`` says how far an image is for the user: "to read", "yours,
    open", "read", "to adjudicate" or "final"; labels that are hidden from the user are as if they were not there.
    """
    query = ListQuery(search, state, sort, descending, offset, limit)
    model_key, listed = service.app.inference.task.model_key, service.overview.images
    if gate.is_open:
        page = listed.page(query, model_key)
    else:
        gate.prepare()
        context = service.app.datastore().context
        page = blind_page(context, query, gate, lambda keys: listed.describe(keys, model_key))
    names = [entry["id"] for entry in page["images"]]
    users, states = service.presence.users(names), gate.states(names)
    for entry in page["images"]:
        image = entry["id"]
        entry["opened_by"] = users.get(image, []) if gate.shows_labels(image) else []
        if image in states:
            entry["reading"] = states[image]
    return Json(page)


@router.get(
    "/images/thumbnail",
    openapi_extra={**_READER, "responses": {"200": {"content": {"image/jpeg": {}}}}},
    response_class=Response,
    summary="A small image",
)
async def thumbnail(service: ServiceDep, request: Request, image: ImageId) -> Response:
    """A JPEG of at most 120 x 240 pixels, upright as the file states."""
    thumbnails = service.overview.thumbnails
    await _check_exists(service, image)
    key = await service.io_pool.run(thumbnails.key, image)
    headers = {"ETag": f'"{key}"', "Cache-Control": f"private, max-age={THUMBNAIL_LIFETIME_S}", "Vary": "Authorization"}
    if f'"{key}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    content = await service.io_pool.run(thumbnails.cached, key)
    if content is None:
        content = await service.thumbnail_pool.run(thumbnails.make, image, key)
    return Response(content, media_type="image/jpeg", headers=headers)


@router.get(
    "/statistics",
    openapi_extra={**_READER, **_answer(_STATISTICS_EXAMPLE)},
    summary="Labels by day and annotator, time per image, and largest angles",
)
async def statistics(service: ServiceDep, gate: CurrentGate) -> Response:
    """Of the current labels ``final``, at most the 20,000 newest.

    Days are those of the server's time zone. ``unmeasured`` counts labels of earlier releases whose angles later
    requests will have measured. Labels that are hidden from the user do not count.
    """
    return Json(await service.io_pool.run(_statistics, service, gate))


def _statistics(service: Service, gate: Gate) -> dict[str, Any]:
    gate.prepare()
    return service.overview.statistics.summary(None if gate.is_open else gate.shows_labels)


@router.get(
    "/follow_up",
    openapi_extra={**_READER, **_answer(_FOLLOW_UP_EXAMPLE)},
    summary="All images of a patient by date, and the change of each curve",
)
async def follow_up(service: ServiceDep, gate: CurrentGate, image: ImageId) -> Response:
    """Images of one patient, each with its own curves, and those of the earliest one at the same end vertebrae.

    Images are of one patient by PatientID of DICOM files, else by their names, as training takes them; ``patient`` is a
    digest. Without a date in the header, that of the file counts. Points are of the label ``final``, else of the stored
    prediction. ``within_error`` says that a change is no larger than its error. ``unread`` counts images of the folder
    whose headers later requests will have read.
    """
    await _check_exists(service, image)
    return Json(await service.report_pool.run(service.overview.follow_ups.of, image, gate.tag))
