"""``/datastore``: images and labels of the studies folder."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, File, HTTPException, Query, Response, UploadFile
from fastapi.responses import StreamingResponse
from monailabel.utils.others.generic import file_checksum, get_mime_type

from ....spine.image_suffixes import image_stem
from ...annotation.readings.gate import Gate
from ...annotation.readings.plan_file import PlanError
from ...annotation.readings.saving import Saved, is_of_study
from ...annotation.readings.saving import save_label as save_label_of
from ...filenames import check_tag
from ...inference.response import side_info
from ...store.datastore import ImagesFixedError
from ...store.images import FINAL, REASON, STATED_SIDE, ImageHeader
from ...store.label_sync import labeller
from ...store.labels import ANGLE
from ..access_policy import requires
from ..auth import ANYBODY, Role, User
from ..dependencies import CurrentGate, CurrentUser, Json, Service, ServiceDep
from ..errors import bad_request
from ..file_responses import file_response, pixels_response
from ..uploads import check_readable, checked_label
from ..validation import MetadataForm, check_no_names, json_object

router = APIRouter(tags=["Datastore"])

RESERVED = ("strategy", "path", "name", "ts", "reading", STATED_SIDE, REASON, ANGLE)
"""Metadata keys that only the server sets."""
CHECKSUMS = ("SHA256", "SHA512", "MD5")
Version = Annotated[int, Query(ge=1, le=2**31 - 1, examples=[2])]
ImageId = Annotated[str, Query(description="Id of an image of the folder", examples=["phantom_1"])]
NewId = Annotated[str, Query(description="Id that a new image gets", examples=["phantom_1"])]
Tag = Annotated[str, Query(description="Tag of a label", examples=["final", "original"])]
CheckSum = Annotated[str, Query(description="Algorithm and digest of a file", examples=[f"SHA256:{'0' * 64}"])]
ImageDigest = Annotated[
    str,
    Query(
        description="`digest` of the image's facts as the client has seen them: points are saved for no other file",
        examples=["0" * 32],
    ),
]
BaseVersion = Annotated[
    int | None,
    Query(
        ge=0,
        le=2**31 - 1,
        description="Version of the label that the client has seen, 0 for none: no other one is replaced",
        examples=[2],
    ),
]
Side = Annotated[str, Query(description="The patient's side at the left of the image", examples=["left", "right", ""])]
READER, ANNOTATOR, ADMIN = requires(Role.READER), requires(Role.ANNOTATOR), requires(Role.ADMIN)


class Listing(str, Enum):
    """How much of the datastore to list."""

    STATS = "stats"
    TRAIN = "train"
    ALL = "all"


@router.get("/datastore/", openapi_extra=READER, summary="List images and labels, or count them")
def list_images(service: ServiceDep, gate: CurrentGate, output: Listing = Listing.STATS) -> Response:
    """Counts, pairs of image and label for training, or all metadata; as far as the user sees labels."""
    store = service.app.datastore()
    if gate.is_open:
        if output is Listing.ALL:  # streamed: with many images too large for memory
            return StreamingResponse(store.json_pieces(), media_type="application/json")
        return Json(store.datalist() if output is Listing.TRAIN else store.status())
    gate.prepare()
    if output is Listing.ALL:
        return StreamingResponse(store.json_pieces(gate.entry), media_type="application/json")
    return Json(store.datalist(gate.shows_labels) if output is Listing.TRAIN else gate.status(store.status()))


@router.put("/datastore/", openapi_extra=requires(Role.ANNOTATOR, upload=True), include_in_schema=False)
@router.put("/datastore/image", openapi_extra=requires(Role.ANNOTATOR, upload=True), summary="Add an image")
async def add_image(
    service: ServiceDep,
    user: CurrentUser,
    file: Annotated[UploadFile, File()],
    image: NewId = "",
    params: MetadataForm = "{}",
) -> Response:
    """Add a radiograph under a new id, by default the file name without its suffix."""
    return Json(
        {"image": await service.io_pool.run(_add_image, service, image, file, with_user(json_metadata(params), user))}
    )


def _add_image(service: Service, image: str, file: UploadFile, metadata: dict[str, Any]) -> str:
    with service.uploads.stored(file.file, file.filename or "") as path:
        check_readable(path)
        name = (file.filename or "").replace("\\", "/").rpartition("/")[2]
        image = image or image_stem(name)
        try:
            added: str = service.app.datastore().add_image(image, str(path), metadata)
        except (FileExistsError, ImagesFixedError) as error:
            raise HTTPException(409, str(error)) from error
        except ValueError as error:
            raise bad_request(error) from error
    return added


@router.delete("/datastore/", openapi_extra=ADMIN, include_in_schema=False)
@router.delete("/datastore/image", openapi_extra=ADMIN, summary="Remove an image and its labels")
async def remove_image(service: ServiceDep, id: ImageId) -> Response:
    """Remove an image from the folder, with its labels and all their versions."""
    await service.io_pool.run(_remove_image, service, id)
    return Json({})


def _remove_image(service: Service, image: str) -> None:
    service.app.datastore().remove_image(image)
    service.overview.thumbnails.forget(image)


@router.head("/datastore/image", openapi_extra=READER, summary="Whether an image exists")
async def check_image(service: ServiceDep, image: ImageId, check_sum: CheckSum = "") -> Response:
    """200 if it exists and matches ``check_sum`` (``SHA256:...``), else 404."""
    _check_image(service, image)
    if check_sum:
        path = await service.io_pool.run(_image_path, service, image)
        algorithm, _, digest = check_sum.rpartition(":")
        algorithm = algorithm or CHECKSUMS[0]
        if algorithm not in CHECKSUMS:
            raise HTTPException(400, f"check_sum must begin with one of {', '.join(CHECKSUMS)} and a colon")
        if await service.io_pool.run(file_checksum, path, algorithm) != f"{algorithm}:{digest}":
            raise HTTPException(404, "the checksum does not match the image")
    return Json({})


@router.get("/datastore/image", openapi_extra=READER, summary="Download an image")
def download_image(service: ServiceDep, image: ImageId) -> Response:
    """The image file as it is."""
    path = _image_path(service, image)
    return file_response(Path(path), get_mime_type(path))


@router.get("/datastore/image/pixels", openapi_extra=READER, summary="Download the pixels of an image")
async def image_pixels(service: ServiceDep, image: ImageId) -> Response:
    """A gzipped ``.npy`` file, ``(H, W)`` uint8 or uint16 with bright bone; ``X-Image-Facts`` holds the metadata."""
    return await service.io_pool.run(_pixels, service, image)


def _pixels(service: Service, image: str) -> Response:
    store = service.app.datastore()
    digest = store.image_digest(image)  # first: of a file that is replaced meanwhile, the digest must be the older one
    radiograph = service.app.read_image(image)
    return pixels_response(radiograph, service.uploads.folder, store.stated_side(image), digest)


@router.get("/datastore/image/info", openapi_extra=READER, summary="Metadata of an image")
def image_info(service: ServiceDep, gate: CurrentGate, image: ImageId) -> Response:
    """What annotators and the server have stored about the image."""
    _check_image(service, image)
    return Json(gate.image_info(image, service.app.datastore().get_image_info(image)))


@router.put("/datastore/image/info", openapi_extra=ANNOTATOR, summary="Update the metadata of an image")
async def update_image_info(
    service: ServiceDep, user: CurrentUser, image: ImageId, info: MetadataForm = "{}"
) -> Response:
    """Merge values into the metadata."""
    metadata = with_user(json_metadata(info), user, is_new=False)
    return Json(
        await service.label_pool.run(_update_or_400, service.app.datastore().update_image_info, image, metadata)
    )


@router.put("/datastore/image/side", openapi_extra=ANNOTATOR, summary="State the patient's side of an image")
async def state_side(service: ServiceDep, user: CurrentUser, image: ImageId, image_left_is: Side = "") -> Response:
    """State which side of the patient, ``left`` or ``right``, is at the left of the upright image; empty withdraws it.

    Only for images whose file does not state it: the file takes precedence.
    """
    return Json(await service.io_pool.run(_state_side, service, image, image_left_is or None, user))


def _state_side(service: Service, image: str, image_left_is: str | None, user: User) -> dict[str, Any]:
    radiograph, store = service.app.read_image(image), service.app.datastore()
    if image_left_is is not None and radiograph.image_left_is is not None:
        metadata = side_info(radiograph, None)
        raise HTTPException(
            409,
            f"the file itself states the side of image {image!r:.80} ({metadata['image_left_is_source']}): the left of "
            f"the image is the patient's {metadata['image_left_is']}",
        )
    try:
        store.state_side(image, image_left_is, user.name)
    except ValueError as error:
        raise bad_request(error) from error
    return {"image": image, **side_info(radiograph, store.stated_side(image))}


@router.put("/datastore/label", openapi_extra=ANNOTATOR, summary="Save a label")
async def save_label(
    service: ServiceDep,
    gate: CurrentGate,
    user: CurrentUser,
    image: ImageId,
    label: Annotated[UploadFile, File()],
    tag: Tag = "final",
    params: MetadataForm = "{}",
    base_version: BaseVersion = None,
) -> Response:
    """Save a Markups file of vertebra landmarks as the current label of an image and tag.

    409 where the label has another version than ``base_version`` and other content; the sentence names who saved it.
    In a study with a plan, ``final`` is the reading that the user has under work.
    """
    metadata = with_user(json_metadata(params), user)
    gate = gate_of_label(service, gate, user, metadata)
    target = LabelTarget(image, tag or "final", base_version)
    saved = await service.label_pool.run(_save_label, service, gate, target, label, metadata)
    return Json({"image": image, "label": image, "version": saved.version})


def _save_label(
    service: Service, gate: Gate, target: LabelTarget, label: UploadFile, metadata: dict[str, Any]
) -> Saved:
    header = service.app.image_header(target.image)
    return store_label(service, gate, target, label.file.read(), header, metadata)


def gate_of_label(service: Service, gate: Gate, user: User, metadata: Mapping[str, Any]) -> Gate:
    """What somebody sees who saves a label; without a login, its metadata may say who that is."""
    return service.study.gate(labeller(metadata) or gate.viewer.name) if user == ANYBODY else gate


class LabelTarget(NamedTuple):
    """Where a label is to be saved.

    Attributes:
        image: its id.
        tag: of the label.
        base_version: see ``Labels.save``.
        reading: number of the reading, where the client states it.
    """

    image: str
    tag: str
    base_version: int | None
    reading: int | None = None


def store_label(
    service: Service,
    gate: Gate,
    target: LabelTarget,
    content: bytes,
    header: ImageHeader,
    metadata: dict[str, Any],
) -> Saved:
    """Save the content of a Markups file as a label.

    Raises:
        HTTPException: 400, tag, content or metadata are wrong.
        SaveRefusedError: another version than ``base_version`` would be replaced, or the study plan has no such reading
            for the user.
    """
    image, tag, base_version, number = target
    try:
        judged_as = FINAL if number is not None or is_of_study(gate, tag) else tag
        checked = checked_label(content, header, check_tag(judged_as))
        store, study = service.app.datastore(), service.study
        saved = save_label_of(store, study, gate, image, check_tag(tag), checked, metadata, base_version, number)
    except PlanError:
        raise
    except ValueError as error:
        raise bad_request(error) from error
    service.app.on_save_label(image, image)
    return saved


@router.delete("/datastore/label", openapi_extra=ADMIN, summary="Remove a label")
async def remove_label(service: ServiceDep, gate: CurrentGate, id: ImageId, tag: Tag) -> Response:
    """Remove the current label; its versions stay. With it goes the reading that it is of."""
    seen, _ = await service.io_pool.run(_label, service, gate, id, tag)
    if gate.plan is not None:  # so that a reading under the label is known, and stays
        await service.io_pool.run(service.study.slots.adopt, id)
    await service.io_pool.run(service.app.datastore().remove_label, id, seen)
    return Json({})


@router.head("/datastore/label", openapi_extra=READER, summary="Whether a label exists")
def check_label(service: ServiceDep, gate: CurrentGate, image: ImageId, tag: Tag) -> Response:
    """200 if it exists, else 404."""
    _label(service, gate, image, tag)
    return Json({})


@router.get("/datastore/label", openapi_extra=READER, summary="Download a label")
def download_label(service: ServiceDep, gate: CurrentGate, label: ImageId, tag: Tag) -> Response:
    """The Markups file."""
    return file_response(Path(_label(service, gate, label, tag)[1]), "application/json")


@router.get("/datastore/label/versions", openapi_extra=READER, summary="List the versions of a label")
def label_versions(service: ServiceDep, gate: CurrentGate, label: ImageId, tag: Tag) -> Response:
    """Number, digest, metadata, and which one is current, oldest first; versions of a removed label stay."""
    _check_image(service, label)
    seen = gate.tag(label, tag)
    found = [] if seen is None else service.app.datastore().label_versions(label, seen)
    shown = [one for one in found if gate.shows_version(label, str(seen), one["info"])]
    return Json({"versions": shown})


@router.post("/datastore/label/restore", openapi_extra=ANNOTATOR, summary="Restore a version of a label")
async def restore_label(
    service: ServiceDep, gate: CurrentGate, user: CurrentUser, label: ImageId, tag: Tag, version: Version
) -> Response:
    """Save a copy of a version as the current label; nothing is lost."""
    return Json({"version": await service.label_pool.run(_restore_label, service, gate, label, tag, version, user)})


def _restore_label(service: Service, gate: Gate, label: str, tag: str, version: int, user: User) -> int:
    metadata: dict[str, Any] = {} if user == ANYBODY else {"user": user.name}
    store, seen = service.app.datastore(), gate.tag(label, tag)
    if seen is None:
        _check_image(service, label)
        raise _no_version(label, tag, version)
    try:
        found = store.read_label_version(label, seen, version)
        if not gate.shows_version(label, seen, found.metadata):
            raise _no_version(label, seen, version)
        if is_of_study(gate, seen):
            noted = {**found.metadata, **metadata, "restored": version}
            number = save_label_of(store, service.study, gate, label, seen, found.content, noted).version
        else:
            number = store.restore_label(label, seen, version, metadata)
    except (FileNotFoundError, ValueError) as error:
        raise HTTPException(409, f"version {version} of the label is missing or damaged on the disk") from error
    service.app.on_save_label(label, label)
    return number


def _no_version(label: str, tag: str, version: int) -> HTTPException:
    return HTTPException(404, f"image {label!r:.80} has no version {version} of label {tag!r:.80}")


@router.get("/datastore/label/info", openapi_extra=READER, summary="Metadata of a label")
def label_info(service: ServiceDep, gate: CurrentGate, label: ImageId, tag: Tag) -> Response:
    """What annotators and the server have stored about the label."""
    seen, _ = _label(service, gate, label, tag)
    return Json(service.app.datastore().get_label_info(label, seen))


@router.put("/datastore/label/info", openapi_extra=ANNOTATOR, summary="Update the metadata of a label")
async def update_label_info(
    service: ServiceDep, gate: CurrentGate, user: CurrentUser, label: ImageId, tag: Tag, info: MetadataForm = "{}"
) -> Response:
    """Merge values into the metadata."""
    update, metadata = service.app.datastore().update_label_info, with_user(json_metadata(info), user, is_new=False)
    seen = await service.label_pool.run(gate.tag, label, tag)
    if seen is None:
        raise _no_label(label, tag)
    return Json(await service.label_pool.run(_update_or_400, update, label, seen, metadata))


@router.put("/datastore/updatelabelinfo", openapi_extra=ANNOTATOR, include_in_schema=False)
async def update_label_info_legacy(
    service: ServiceDep, gate: CurrentGate, user: CurrentUser, label: ImageId, tag: Tag, params: MetadataForm = "{}"
) -> Response:
    """The former path, which MONAI Label's client still uses."""
    return await update_label_info(service, gate, user, label, tag, params)


def json_metadata(text: str) -> dict[str, Any]:
    """Metadata from a form field.

    Raises:
        HTTPException: 400, it is no JSON object, or names what only the server sets.
    """
    try:
        metadata = json_object(text, "params")
        check_no_names(metadata, RESERVED, "params")
    except ValueError as error:
        raise bad_request(error) from error
    return metadata


def with_user(metadata: dict[str, Any], user: User, is_new: bool = True) -> dict[str, Any]:
    """Metadata with the user: the name of the login, else the one that a request states.

    Args:
        metadata: of the request.
        user: who sent it.
        is_new: of a new image or label; otherwise an anonymous request does not replace the name of a user.
    """
    if user != ANYBODY:
        return {**metadata, "user": user.name}
    named = metadata.pop("user", "")
    if isinstance(named, str) and named.strip():
        return {**metadata, "user": named}
    return {**metadata, "user": user.name} if is_new else metadata


def _update_or_400(update: Any, *arguments: Any) -> None:
    try:
        update(*arguments)
    except ValueError as error:
        raise bad_request(error) from error


def _image_path(service: Service, image: str) -> str:
    path: str = service.app.datastore().get_image_uri(image)
    if not path:
        raise _no_image(image)
    return path


def _check_image(service: Service, image: str) -> None:
    if not service.app.datastore().has_image(image):
        raise _no_image(image)


def _no_image(image: str) -> HTTPException:
    return HTTPException(404, f"there is no image {image!r:.80} in the studies folder")


def _label(service: Service, gate: Gate, image: str, tag: str) -> tuple[str, str]:
    """Tag and path of a label as the user sees it."""
    seen = gate.tag(image, tag)
    path: str = "" if seen is None else service.app.datastore().get_label_uri(image, seen)
    if seen is None or not path:
        raise _no_label(image, tag)
    return seen, path


def _no_label(image: str, tag: str) -> HTTPException:
    return HTTPException(404, f"image {image!r:.80} has no label {tag!r:.80}")
