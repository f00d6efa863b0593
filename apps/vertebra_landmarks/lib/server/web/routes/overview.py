"""``/images`` and ``/statistics``: the study at a glance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response

from ...overview.image_list import MAX_LIMIT, Sort, State
from ...overview.image_list import Query as ListQuery
from ..access_policy import requires
from ..auth import Role
from ..dependencies import Json, ServiceDep
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
            "opened_by": ["ben"],
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

Search = Annotated[str, Query(max_length=MAX_SEARCH_LENGTH, description="Part of the id", examples=["phantom"])]
Offset = Annotated[int, Query(ge=0, le=MAX_OFFSET)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]


@router.get(
    "/images",
    openapi_extra={**_READER, **_answer(_LIST_EXAMPLE)},
    summary="List images: search, filter, sort, page",
)
def list_images(
    service: ServiceDep,
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
    is not known is null.
    """
    query = ListQuery(search, state, sort, descending, offset, limit)
    page = service.overview.images.page(query, service.app.inference.task.model_key)
    users = service.presence.users([entry["id"] for entry in page["images"]])
    return Json({**page, "images": [{**entry, "opened_by": users.get(entry["id"], [])} for entry in page["images"]]})


@router.get(
    "/images/thumbnail",
    openapi_extra={**_READER, "responses": {"200": {"content": {"image/jpeg": {}}}}},
    response_class=Response,
    summary="A small image",
)
async def thumbnail(service: ServiceDep, request: Request, image: ImageId) -> Response:
    """A JPEG of at most 120 x 240 pixels, upright as the file states."""
    thumbnails = service.overview.thumbnails
    if not await service.io_pool.run(service.app.datastore().get_image_uri, image):
        raise HTTPException(404, f"there is no image {image!r:.80} in the studies folder")
    key = await service.io_pool.run(thumbnails.key, image)
    headers = {"ETag": f'"{key}"', "Cache-Control": f"private, max-age={THUMBNAIL_LIFETIME_S}"}
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
async def statistics(service: ServiceDep) -> Response:
    """Of the current labels ``final``, at most the 20,000 newest.

    Days are those of the server's time zone. ``unmeasured`` counts labels of earlier releases whose angles later
    requests will have measured.
    """
    return Json(await service.io_pool.run(service.overview.statistics.summary))
