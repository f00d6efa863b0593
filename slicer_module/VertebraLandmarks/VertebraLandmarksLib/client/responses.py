"""Responses of the server as validated, frozen values.

Invalid content raises a ``ServerError`` of kind ``BAD_RESPONSE``, ``WRONG_APP`` or ``SCHEMA``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from ..spine.labels.markups import label_of
from ..spine.measurement.origin import UNKNOWN, Origin
from ..spine.schema import POINTS, SCHEMA_VERSION, VERTEBRAE, Spine
from .errors import SCHEMA, WRONG_APP, ServerError
from .json_fields import (
    as_bool,
    as_choice,
    as_integer,
    as_list,
    as_number,
    as_object,
    as_string,
    bad_response,
    optional_number,
)
from .provenance import parse_origin
from .radiograph import ImageInfo, parse_image_info

APP, MODEL = "Vertebra Landmarks", "vertebra_landmarks"
FINAL, PREDICTED = "final", "original"
"""Tags of labels: submitted by a user, and predicted by the server."""

UNLABELLED, HAS_PREDICTION, READ, LABELLED = "unlabelled", "predicted", "read", "labelled"
"""States of an image; ``READ`` has readings of a study, and no final label that the user may see."""
_READING_PREFIX = "reading-"
"""Of the tags of readings."""
STARTING, RUNNING, DONE, STOPPED, FAILED_TRAINING = "starting", "running", "done", "stopped", "failed"
INTERRUPTED = "interrupted"
"""States of a training; an interrupted one can be resumed."""
ANONYMOUS = "anybody"
"""User name on a server without login."""

_INDICES = {label_of(v, p): (i, POINTS.index(p)) for i, v in enumerate(VERTEBRAE) for p in POINTS}
MAX_COORDINATE_PX = 1e6


@dataclass(frozen=True)
class ImageEntry:
    """Row of the list of images.

    Attributes:
        id: name on the server.
        status: ``UNLABELLED``, ``HAS_PREDICTION``, ``READ`` or ``LABELLED``.
        user: who labelled it, "" where nobody did or that is unknown.
        timestamp: of the label or prediction, seconds since 1970; ``None`` without one.
        file: name of the image file.
    """

    id: str
    status: str
    user: str
    timestamp: Optional[float]
    file: str


@dataclass(frozen=True)
class LabelInfo:
    """Information about a label.

    Attributes:
        user: who stored it, "" where unknown.
        timestamp: seconds since 1970; ``None`` where unknown.
        origin: provenance of the points that the user did not set.
        touched: names of the points that the user set or hid, such as "T7" and "T7 TL".
        version: number of the label's version; ``None`` where unknown, as on servers before 0.10.
    """

    user: str = ""
    timestamp: Optional[float] = None
    origin: Origin = UNKNOWN
    touched: tuple[str, ...] = ()
    version: Optional[int] = None

    def is_same_label(self, other: LabelInfo) -> bool:
        """Whether both describe the same version of a label; an unknown time counts as equal."""
        if None not in (self.version, other.version):
            return self.version == other.version
        return None in (self.timestamp, other.timestamp) or (self.user, self.timestamp) == (other.user, other.timestamp)


NO_LABEL_INFO = LabelInfo()
"""Of a label without any information."""


@dataclass(frozen=True)
class Training:
    """Progress or outcome of the newest training.

    Attributes:
        state: ``STARTING``, ``RUNNING``, ``DONE``, ``STOPPED``, ``INTERRUPTED`` or ``FAILED_TRAINING``.
        stage: network being trained, "" where unknown yet.
        epoch: completed epochs of all stages together.
        total_epochs: of all stages; 0 where unknown yet.
        percent: 0...100.
        loss: of the last epoch; ``None`` before the first.
        validation: mean corner error of the stage on the held-out images in pixels; ``None`` without any.
        before: the same before training.
        version_before: model version that training started from, "" where unknown.
        version_after: published model version, "" where none was, or not yet.
        message: why it failed, or a remark about its outcome; "" otherwise.
        seconds: elapsed.
    """

    state: str
    stage: str = ""
    epoch: int = 0
    total_epochs: int = 0
    percent: float = 0.0
    loss: Optional[float] = None
    validation: Optional[float] = None
    before: Optional[float] = None
    version_before: str = ""
    version_after: str = ""
    message: str = ""
    seconds: Optional[float] = None

    @property
    def is_ongoing(self) -> bool:
        """Whether it is starting or running."""
        return self.state in (STARTING, RUNNING)


@dataclass(frozen=True)
class ServerInfo:
    """State of the server.

    Attributes:
        app: name of the app, ``APP``.
        version: of the app.
        model: name of the model, "" where the server has no usable one.
        model_version: of the weights, for display.
        schema_version: of the landmarks; equal to this module's.
        strategies: for choosing the next image.
        images: their number.
        labelled: number of images with a final label.
        unlabelled: number of images without one.
        user: name of the token's owner, ``ANONYMOUS`` without login.
        roles: "reader", "annotator" or "admin".
        training: the newest one, ``None`` without any.
        pacs: a sentence about the PACS that the images come from, "" where they are in a folder.
    """

    app: str
    version: str
    model: str
    model_version: str
    schema_version: int
    strategies: tuple[str, ...]
    images: int
    labelled: int
    unlabelled: int
    user: str = ANONYMOUS
    roles: tuple[str, ...] = ()
    training: Optional[Training] = None
    pacs: str = ""

    @property
    def may_label(self) -> bool:
        """Whether the user may save labels and add images."""
        return bool({"annotator", "admin"} & set(self.roles))

    @property
    def may_train(self) -> bool:
        """Whether the user may start and stop a training."""
        return "admin" in self.roles


@dataclass(frozen=True, eq=False)
class Prediction:
    """Landmarks predicted for an image.

    Attributes:
        spine: points in stored pixels, with scores, expected errors and visibility.
        image: information about the image.
        origin: provenance of the points.
    """

    spine: Spine
    image: ImageInfo
    origin: Origin


def parse_server_info(info: Any, owner: Any) -> ServerInfo:
    """Parse ``/info/`` and ``/auth/token/valid``.

    Raises:
        ServerError: WRONG_APP or SCHEMA, the server is incompatible with this module; BAD_RESPONSE.
    """
    info, owner = as_object(info, "info"), as_object(owner, "owner of the token")
    app, models = as_string(info.get("name"), "name of the app"), as_object(info.get("models"), "models")
    if app != APP:
        sentence = (
            f"This MONAI Label server runs the app “{app:.80}”, not “{APP}”. Connect to another server, or start this "
            "one with the app Vertebra Landmarks."
        )
        raise ServerError(WRONG_APP, sentence)
    model = as_object(models.get(MODEL, {}), "model")
    schema = as_integer(model.get("schema_version", SCHEMA_VERSION), "schema_version")
    if schema != SCHEMA_VERSION:
        older = "server" if schema < SCHEMA_VERSION else "module"
        sentence = (
            f"Server and module use different landmark schemas (version {schema} and {SCHEMA_VERSION}). Update the "
            f"{older} first."
        )
        raise ServerError(SCHEMA, sentence)
    store = as_object(info.get("datastore"), "datastore")
    images, labelled = as_integer(store.get("total"), "total"), as_integer(store.get("completed"), "completed")
    return ServerInfo(
        app=app,
        version=as_string(info.get("version"), "version"),
        model=MODEL if MODEL in models else "",
        model_version=as_string(model.get("model_version", ""), "model_version"),
        schema_version=schema,
        strategies=tuple(as_object(info.get("strategies"), "strategies")),
        images=images,
        labelled=labelled,
        unlabelled=max(0, images - labelled),
        user=as_string(owner.get("username"), "username"),
        roles=tuple(as_string(role, "role") for role in as_list(owner.get("roles"), "roles")),
        training=parse_training(info),
        pacs=as_string(as_object(info.get("pacs", {}), "pacs").get("summary", ""), "summary of the PACS"),
    )


def parse_training(info: Any) -> Optional[Training]:
    """Parse the newest training in ``/info/``; ``None`` without any.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    stats = as_object(
        as_object(as_object(info, "info").get("train_stats", {}), "train_stats").get(MODEL, {}), "training"
    )
    if not stats:
        return None
    states = (STARTING, RUNNING, DONE, STOPPED, INTERRUPTED, FAILED_TRAINING)
    return Training(
        state=as_choice(stats.get("state"), states, "state of the training"),
        stage=as_string(stats.get("stage", ""), "stage"),
        epoch=as_integer(stats.get("epoch", 0), "epoch"),
        total_epochs=as_integer(stats.get("total_epochs", 0), "total_epochs"),
        percent=as_number(stats.get("percent", 0), "percent", 0, 100),
        loss=optional_number(stats.get("loss"), "loss"),
        validation=_corner_error(stats.get("validation")),
        before=_corner_error(stats.get("before")),
        version_before=as_string(stats.get("version_before") or "", "version_before"),
        version_after=as_string(stats.get("version_after") or "", "version_after"),
        message=as_string(stats.get("error") or stats.get("message") or "", "message of the training"),
        seconds=optional_number(stats.get("elapsed_s"), "elapsed_s"),
    )


def _corner_error(figures: Any) -> Optional[float]:
    return (
        None if figures is None else optional_number(as_object(figures, "validation").get("corner_mean"), "corner_mean")
    )


def parse_image_list(listed: Any) -> tuple[ImageEntry, ...]:
    """Parse ``/datastore/?output=all``; sorted by name, ignoring case.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    objects = as_object(as_object(listed, "list of images").get("objects"), "objects")
    entries = [_image_entry(name, as_object(known, name)) for name, known in objects.items()]
    return tuple(sorted(entries, key=_by_name))


def _image_entry(name: str, known: dict[str, Any]) -> ImageEntry:
    image, labels = as_object(known.get("image"), "image"), as_object(known.get("labels"), "labels")
    read = [tag for tag in labels if tag.startswith(_READING_PREFIX)]
    status = LABELLED if FINAL in labels else READ if read else HAS_PREDICTION if labels else UNLABELLED
    shown = FINAL if FINAL in labels else next(iter(read or labels), "")
    label = as_object(labels[shown], "label") if shown else {}
    info = as_object(label.get("info", {}), "info of a label")
    return ImageEntry(
        id=name,
        status=status,
        user=_labeller(info) if status == LABELLED else "",
        timestamp=_timestamp(info),
        file=name + as_string(image.get("ext", ""), "ext"),
    )


def replace_entry(entries: tuple[ImageEntry, ...], entry: ImageEntry) -> tuple[ImageEntry, ...]:
    """The list with one entry replaced, or inserted in order."""
    if any(one.id == entry.id for one in entries):
        return tuple(entry if one.id == entry.id else one for one in entries)
    return tuple(sorted((*entries, entry), key=_by_name))


def parse_label_info(info: Any) -> LabelInfo:
    """Parse ``/datastore/label/info``.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    info = as_object(info, "label information")
    version, listed = info.get("version"), as_list(info.get("touched_points") or [], "touched_points")
    return LabelInfo(
        user=_labeller(info),
        timestamp=_timestamp(info),
        origin=parse_origin(info),
        touched=tuple(name for name in _INDICES if name in listed),
        version=None if version is None else as_integer(version, "version", 1),
    )


def _timestamp(info: dict[str, Any]) -> Optional[float]:
    when = info.get("ts")
    return None if when is None else as_number(when, "ts", 0, 1e12)


def _by_name(entry: ImageEntry) -> tuple[str, str]:
    return entry.id.casefold(), entry.id


def _labeller(info: dict[str, Any]) -> str:
    """Name of the login; without one, the name that the annotator entered."""
    user = info.get("user")
    said = info.get("annotator")
    return next((name for name in (user, said) if isinstance(name, str) and name not in ("", ANONYMOUS)), "")


def parse_prediction(content: Any) -> Prediction:
    """Parse the response to an inference request.

    Raises:
        ServerError: SCHEMA or BAD_RESPONSE.
    """
    content = as_object(content, "answer")
    if content.get("schema_version") != SCHEMA_VERSION:
        sentence = "Server and module use different landmark schemas. Install the same version of both."
        raise ServerError(SCHEMA, sentence, f"schema_version is {content.get('schema_version')!r:.40}")
    return Prediction(
        spine=parse_spine(content.get("landmarks")),
        image=parse_image_info(content.get("image")),
        origin=parse_origin(content),
    )


def parse_spine(landmarks: Any) -> Spine:
    """Parse a list of landmarks in stored pixels; absent ones are left out.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    shape = (len(VERTEBRAE), len(POINTS))
    xy, scores, errors = np.full((*shape, 2), np.nan), np.zeros(shape), np.full(shape, np.nan)
    visible = np.ones(shape, bool)
    for one in as_list(landmarks, "landmarks"):
        landmark = as_object(one, "landmark")
        name = as_string(landmark.get("name"), "name of a landmark")
        index = _INDICES.get(name)
        if index is None or np.isfinite(xy[index]).any():
            raise bad_response(f"landmark {name!r:.40} is unknown or given twice")
        xy[index] = [as_number(landmark.get(axis), name, -MAX_COORDINATE_PX, MAX_COORDINATE_PX) for axis in ("x", "y")]
        scores[index] = as_number(landmark.get("score"), name, 0, 1)
        error = optional_number(landmark.get("error_px"), name, 0)
        errors[index] = np.nan if error is None else error
        visible[index] = as_bool(landmark.get("visible", True), name)
    return Spine.from_arrays(xy, scores, errors, visible)
