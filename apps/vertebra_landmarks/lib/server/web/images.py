"""``/datastore``: the images and labels of the studies folder."""

from __future__ import annotations

import tempfile
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, HTTPException, Query, Response, UploadFile
from fastapi.responses import StreamingResponse
from monailabel.utils.others.generic import file_checksum, get_mime_type

from ...spine.image_suffixes import image_stem
from ...spine.markups import SUFFIX
from ..label_check import checked_label
from ..names import check_tag
from ..stated_side import STATED_SIDE, side_facts
from ..store.images import REASON
from .auth import ANYBODY, Role, User
from .errors import bad_request
from .needs import needs
from .params import FactsForm, check_no_names, json_object
from .pixels import pixels_response
from .sending import file_response
from .service import Asking, Json, Served, Service
from .uploads import check_readable

router = APIRouter(tags=["Datastore"])

RESERVED = ("strategy", "path", "name", "ts", STATED_SIDE, REASON)
"""What the server itself notes about an image or a label."""
CHECKSUMS = ("SHA256", "SHA512", "MD5")
Version = Annotated[int, Query(ge=1, le=2**31 - 1, examples=[2])]
ImageId = Annotated[str, Query(description="Id of an image of the folder", examples=["phantom_1"])]
NewId = Annotated[str, Query(description="Id that a new image gets", examples=["phantom_1"])]
Tag = Annotated[str, Query(description="Tag of a label", examples=["final", "original"])]
CheckSum = Annotated[str, Query(description="Algorithm and digest of a file", examples=[f"SHA256:{'0' * 64}"])]
Side = Annotated[str, Query(description="The patient's side at the left of the image", examples=["left", "right", ""])]
READER, ANNOTATOR, ADMIN = needs(Role.READER), needs(Role.ANNOTATOR), needs(Role.ADMIN)


class Listing(str, Enum):
    """How much of the list of images is asked for."""

    STATS = "stats"
    TRAIN = "train"
    ALL = "all"


@router.get("/datastore/", openapi_extra=READER, summary="Images and labels, or how many there are")
def list_images(served: Served, output: Listing = Listing.STATS) -> Response:
    """Count, pairs for training, or everything that is known."""
    store = served.app.datastore()
    if output is Listing.ALL:  # with many images too much to hold at once
        return StreamingResponse(store.json_pieces(), media_type="application/json")
    return Json(store.datalist() if output is Listing.TRAIN else store.status())


@router.put("/datastore/", openapi_extra=needs(Role.ANNOTATOR, upload=True), include_in_schema=False)
@router.put("/datastore/image", openapi_extra=needs(Role.ANNOTATOR, upload=True), summary="Add an image")
async def add_image(
    served: Served,
    asking: Asking,
    file: Annotated[UploadFile, File()],
    image: NewId = "",
    params: FactsForm = "{}",
) -> Response:
    """Add a radiograph under a new id, by default the file's name without extension."""
    return Json({"image": await served.filing.run(_add_image, served, image, file, _facts(params, asking))})


def _add_image(served: Service, image: str, file: UploadFile, facts: dict[str, Any]) -> str:
    with served.uploads.stored(file.file, file.filename or "") as place:
        check_readable(place)
        name = (file.filename or "").replace("\\", "/").rpartition("/")[2]
        image = image or image_stem(name)
        try:
            added: str = served.app.datastore().add_image(image, str(place), facts)
        except FileExistsError as error:
            raise HTTPException(409, str(error)) from error
        except ValueError as error:
            raise bad_request(error) from error
    return added


@router.delete("/datastore/", openapi_extra=ADMIN, include_in_schema=False)
@router.delete("/datastore/image", openapi_extra=ADMIN, summary="Remove an image and its labels")
async def remove_image(served: Served, id: ImageId) -> Response:
    """Remove an image and its labels from the folder."""
    await served.filing.run(served.app.datastore().remove_image, id)
    return Json({})


@router.head("/datastore/image", openapi_extra=READER, summary="Whether an image exists")
async def check_image(served: Served, image: ImageId, check_sum: CheckSum = "") -> Response:
    """200 if it does, and is the file that ``check_sum`` (``SHA256:...``) describes."""
    path = _image_path(served, image)
    if check_sum:
        algorithm, _, digest = check_sum.rpartition(":")
        algorithm = algorithm or CHECKSUMS[0]
        if algorithm not in CHECKSUMS:
            raise HTTPException(400, f"check_sum must begin with one of {', '.join(CHECKSUMS)} and a colon")
        if await served.filing.run(file_checksum, path, algorithm) != f"{algorithm}:{digest}":
            raise HTTPException(404, "the image is another one")
    return Json({})


@router.get("/datastore/image", openapi_extra=READER, summary="Download an image")
def download_image(served: Served, image: ImageId) -> Response:
    """The file as it lies in the folder."""
    path = _image_path(served, image)
    return file_response(Path(path), get_mime_type(path))


@router.get("/datastore/image/pixels", openapi_extra=READER, summary="The pixels of an image")
async def image_pixels(served: Served, image: ImageId) -> Response:
    """A gzipped ``.npy`` file, ``(H, W)`` of 8 or 16 bits with bright bone; the facts are in ``X-Image-Facts``."""
    return await served.filing.run(_pixels, served, image)


def _pixels(served: Service, image: str) -> Response:
    radiograph = served.app.read_image(image)
    stated = served.app.datastore().stated_side(image)
    return pixels_response(radiograph, served.uploads.folder, stated)


@router.get("/datastore/image/info", openapi_extra=READER, summary="Facts about an image")
def image_facts(served: Served, image: ImageId) -> Response:
    """What is noted about it."""
    _image_path(served, image)
    return Json(served.app.datastore().get_image_info(image))


@router.put("/datastore/image/info", openapi_extra=ANNOTATOR, summary="Note facts about an image")
async def note_image_facts(served: Served, asking: Asking, image: ImageId, info: FactsForm = "{}") -> Response:
    """Add to what is noted about it."""
    facts = _facts(info, asking, begun=False)
    return Json(await served.filing.run(_noting, served.app.datastore().update_image_info, image, facts))


@router.put("/datastore/image/side", openapi_extra=ANNOTATOR, summary="State the patient's side of an image")
async def state_side(served: Served, asking: Asking, image: ImageId, image_left_is: Side = "") -> Response:
    """Say which side of the patient, ``left`` or ``right``, is at the left of the upright image; empty takes it back.

    Only of an image whose file does not say it: that counts first.
    """
    return Json(await served.filing.run(_state_side, served, image, image_left_is or None, asking))


def _state_side(served: Service, image: str, image_left_is: str | None, user: User) -> dict[str, Any]:
    radiograph, store = served.app.read_image(image), served.app.datastore()
    if image_left_is is not None and radiograph.image_left_is is not None:
        facts = side_facts(radiograph, None)
        raise HTTPException(
            409,
            f"the file itself states the side of image {image!r:.80} ({facts['image_left_is_source']}): the left of "
            f"the image is the patient's {facts['image_left_is']}",
        )
    try:
        store.state_side(image, image_left_is, user.name)
    except ValueError as error:
        raise bad_request(error) from error
    return {"image": image, **side_facts(radiograph, store.stated_side(image))}


@router.put("/datastore/label", openapi_extra=ANNOTATOR, summary="Save a label")
async def save_label(
    served: Served,
    asking: Asking,
    image: ImageId,
    label: Annotated[UploadFile, File()],
    tag: Tag = "final",
    params: FactsForm = "{}",
) -> Response:
    """Keep a Markups file of vertebra landmarks as the label of an image, in place of one with the same tag."""
    facts = _facts(params, asking)
    saved = await served.filing.run(_save_label, served, image, tag or "final", label, facts)
    return Json({"image": image, "label": saved})


def _save_label(served: Service, image: str, tag: str, label: UploadFile, facts: dict[str, Any]) -> str:
    radiograph = served.app.read_image(image)
    with tempfile.TemporaryDirectory(dir=served.uploads.folder) as folder:
        place = Path(folder) / f"label{SUFFIX}"
        try:
            place.write_bytes(checked_label(label.file.read(), radiograph, check_tag(tag)))
            saved: str = served.app.datastore().save_label(image, str(place), tag, facts)
        except ValueError as error:
            raise bad_request(error) from error
    served.app.on_save_label(image, saved)
    return saved


@router.delete("/datastore/label", openapi_extra=ADMIN, summary="Remove a label")
async def remove_label(served: Served, id: ImageId, tag: Tag) -> Response:
    """Remove the label of an image."""
    _label_path(served, id, tag)
    await served.filing.run(served.app.datastore().remove_label, id, tag)
    return Json({})


@router.head("/datastore/label", openapi_extra=READER, summary="Whether a label exists")
def check_label(served: Served, image: ImageId, tag: Tag) -> Response:
    """200 if it does."""
    _label_path(served, image, tag)
    return Json({})


@router.get("/datastore/label", openapi_extra=READER, summary="Download a label")
def download_label(served: Served, label: ImageId, tag: Tag) -> Response:
    """The Markups file."""
    return file_response(Path(_label_path(served, label, tag)), "application/json")


@router.get("/datastore/label/versions", openapi_extra=READER, summary="All versions of a label")
def label_versions(served: Served, label: ImageId, tag: Tag) -> Response:
    """Oldest first: number, digest, what is noted, and which one is current; versions of a removed label stay."""
    _image_path(served, label)
    return Json({"versions": served.app.datastore().label_versions(label, tag)})


@router.post("/datastore/label/restore", openapi_extra=ANNOTATOR, summary="Restore a version of a label")
async def restore_label(served: Served, asking: Asking, label: ImageId, tag: Tag, version: Version) -> Response:
    """Save a version once more as the newest; nothing is lost."""
    return Json({"version": await served.filing.run(_restore_label, served, label, tag, version, asking)})


def _restore_label(served: Service, label: str, tag: str, version: int, user: User) -> int:
    facts = {} if user == ANYBODY else {"user": user.name}
    try:
        number: int = served.app.datastore().restore_label(label, tag, version, facts)
    except (FileNotFoundError, ValueError) as error:
        raise HTTPException(409, f"version {version} of the label is missing or damaged on the disk") from error
    served.app.on_save_label(label, label)
    return number


@router.get("/datastore/label/info", openapi_extra=READER, summary="Facts about a label")
def label_facts(served: Served, label: ImageId, tag: Tag) -> Response:
    """What is noted about it."""
    _label_path(served, label, tag)
    return Json(served.app.datastore().get_label_info(label, tag))


@router.put("/datastore/label/info", openapi_extra=ANNOTATOR, summary="Note facts about a label")
async def note_label_facts(
    served: Served, asking: Asking, label: ImageId, tag: Tag, info: FactsForm = "{}"
) -> Response:
    """Add to what is noted about it."""
    facts = _facts(info, asking, begun=False)
    return Json(await served.filing.run(_noting, served.app.datastore().update_label_info, label, tag, facts))


@router.put("/datastore/updatelabelinfo", openapi_extra=ANNOTATOR, include_in_schema=False)
async def note_label_facts_by_the_old_name(
    served: Served, asking: Asking, label: ImageId, tag: Tag, params: FactsForm = "{}"
) -> Response:
    """What MONAI Label's client still calls."""
    return await note_label_facts(served, asking, label, tag, params)


def _facts(text: str, user: User, begun: bool = True) -> dict[str, Any]:
    """What a client notes, and who it is: the name of the login, else what it says itself.

    Args:
        text: JSON of the request.
        user: who sent that.
        begun: the facts are the first about something; else nobody's name takes the place of one that is there.
    """
    try:
        facts = json_object(text, "params")
        check_no_names(facts, RESERVED, "params")
    except ValueError as error:
        raise bad_request(error) from error
    if user != ANYBODY:
        return {**facts, "user": user.name}
    named = facts.pop("user", "")
    if isinstance(named, str) and named.strip():
        return {**facts, "user": named}
    return {**facts, "user": user.name} if begun else facts


def _noting(update: Any, *arguments: Any) -> None:
    try:
        update(*arguments)
    except ValueError as error:
        raise bad_request(error) from error


def _image_path(served: Service, image: str) -> str:
    path: str = served.app.datastore().get_image_uri(image)
    if not path:
        raise HTTPException(404, f"there is no image {image!r:.80} in the studies folder")
    return path


def _label_path(served: Service, image: str, tag: str) -> str:
    path: str = served.app.datastore().get_label_uri(image, tag)
    if not path:
        raise HTTPException(404, f"image {image!r:.80} has no label {tag!r:.80}")
    return path
