"""What the server says, as values: read from JSON, checked, and frozen.

Whatever an answer holds, what comes out is of the stated kind, shape and range, or a ``ServerError`` of kind
``BAD_RESPONSE``, ``WRONG_APP`` or ``SCHEMA``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np

from ..spine.labels.markups import label_of
from ..spine.measurement.anatomy import KINDS, Violation
from ..spine.measurement.cobb import REGIONS, SIDES, Curve
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
from .provenance import UNKNOWN, Origin, parse_origin
from .radiograph import ImageInfo, parse_image_info

APP, MODEL = "Vertebra Landmarks", "vertebra_landmarks"
FINAL, PREDICTED = "final", "original"
"""Tags of labels: what a person submitted, and what the server itself predicted."""

UNLABELLED, HAS_PREDICTION, LABELLED = "unlabelled", "predicted", "labelled"
"""States of an image."""
STARTING, RUNNING, DONE, STOPPED, FAILED_TRAINING = "starting", "running", "done", "stopped", "failed"
INTERRUPTED = "interrupted"
"""States of a training; one that was interrupted can go on."""
ANONYMOUS = "anybody"
"""What a server without a login calls every user."""

_PLACES = {label_of(v, p): (i, POINTS.index(p)) for i, v in enumerate(VERTEBRAE) for p in POINTS}
_FARTHEST_PX = 1e6


@dataclass(frozen=True)
class ImageEntry:
    """One line of the list of images.

    Attributes:
        id: name at the server.
        status: ``UNLABELLED``, ``HAS_PREDICTION`` or ``LABELLED``.
        user: who labelled it, "" where nobody or nobody knows.
        when: seconds since 1970 of the label or prediction; ``None`` where there is none.
        file: name of the image file.
    """

    id: str
    status: str
    user: str
    when: Optional[float]
    file: str


@dataclass(frozen=True)
class LabelInfo:
    """What the server notes about a label.

    Attributes:
        user: who stored it, "" where nobody or nobody knows.
        when: seconds since 1970; ``None`` where that is not known.
        origin: where points that its user did not set come from.
    """

    user: str = ""
    when: Optional[float] = None
    origin: Origin = UNKNOWN

    def is_same_label(self, other: LabelInfo) -> bool:
        """Whether both are about the same storing; where a time is unknown that cannot be denied."""
        return None in (self.when, other.when) or (self.user, self.when) == (other.user, other.when)


NO_LABEL_INFO = LabelInfo()
"""Of a label of which nothing is known."""


@dataclass(frozen=True)
class Training:
    """How the newest training is getting on, or how it ended.

    Attributes:
        state: ``STARTING``, ``RUNNING``, ``DONE``, ``STOPPED``, ``INTERRUPTED`` or ``FAILED_TRAINING``.
        stage: what is being learnt, "" where that is not known yet.
        epoch: epochs that are done, of all stages together.
        total_epochs: of all stages; 0 where that is not known yet.
        percent: 0...100.
        loss: of the last epoch; ``None`` before the first.
        validation: mean corner error in pixels on the held-out images now, of what the stage learns; ``None`` where
            there are none.
        before: the same before the training.
        version_before: model that the training began with, "" where that is not known.
        version_after: model that it published, "" where it did not, or not yet.
        message: why it failed, or what else there is to know about its end; "" otherwise.
        seconds: since it began.
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
        """Whether there is more to come."""
        return self.state in (STARTING, RUNNING)


@dataclass(frozen=True)
class ServerInfo:
    """The server as it is now.

    Attributes:
        app: name of the app, ``APP``.
        version: of the app.
        model: name of the model, "" where the server has none that works: then points are placed by hand.
        model_version: which weights, for people.
        schema_version: of the points, the same as this module's.
        strategies: ways to choose the next image.
        images: how many there are.
        labelled: how many of them have a final label.
        left: how many have none.
        user: name that the token stands for, ``ANONYMOUS`` without a login.
        roles: "reader", "annotator" or "admin".
        training: the newest one, ``None`` where there was none.
        train_settings: parameters of a training and their defaults.
        model_info: what the model was trained on, validation errors.
    """

    app: str
    version: str
    model: str
    model_version: str
    schema_version: int
    strategies: tuple[str, ...]
    images: int
    labelled: int
    left: int
    user: str = ANONYMOUS
    roles: tuple[str, ...] = ()
    training: Optional[Training] = None
    train_settings: Mapping[str, Any] = field(default_factory=dict)
    model_info: Mapping[str, Any] = field(default_factory=dict)

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
    """The landmarks that the server found in a film, and what it says about them.

    Attributes:
        spine: points in stored pixels, with scores, expected errors, and which of them the image shows.
        image: size and facts of the film that it looked at.
        curves: Cobb angles as the server measured them.
        origin: the model that found them, and what it says of the spine as a whole.
        anatomy: violated anatomical priors.
        decoder: how the points were found.
        seconds: that the server worked.
    """

    spine: Spine
    image: ImageInfo
    curves: tuple[Curve, ...]
    origin: Origin
    anatomy: tuple[Violation, ...]
    decoder: str
    seconds: float


def parse_server_info(info: Any, owner: Any) -> ServerInfo:
    """Read ``/info/`` and ``/auth/token/valid``.

    Raises:
        ServerError: WRONG_APP or SCHEMA, this module cannot work with the server; BAD_RESPONSE.
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
            f"Server and module mean different points (version {schema} and {SCHEMA_VERSION}). Update the {older} "
            "before you go on."
        )
        raise ServerError(SCHEMA, sentence)
    store = as_object(info.get("datastore"), "datastore")
    images, labelled = as_integer(store.get("total"), "total"), as_integer(store.get("completed"), "completed")
    trainers = as_object(info.get("trainers", {}), "trainers")
    settings = as_object(as_object(trainers.get(MODEL, {}), "trainer").get("config", {}), "config")
    return ServerInfo(
        app=app,
        version=as_string(info.get("version"), "version"),
        model=MODEL if MODEL in models else "",
        model_version=as_string(model.get("model_version", ""), "model_version"),
        schema_version=schema,
        strategies=tuple(as_object(info.get("strategies"), "strategies")),
        images=images,
        labelled=labelled,
        left=max(0, images - labelled),
        user=as_string(owner.get("username"), "username"),
        roles=tuple(as_string(role, "role") for role in as_list(owner.get("roles"), "roles")),
        training=training(info),
        train_settings=settings,
        model_info=as_object(model.get("model", {}), "facts of the model"),
    )


def training(info: Any) -> Optional[Training]:
    """How the newest training is getting on, by ``/info/``; ``None`` where there was none.

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
    """Read ``/datastore/?output=all``; sorted by name as people sort.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    objects = as_object(as_object(listed, "list of images").get("objects"), "objects")
    entries = [_image_entry(name, as_object(known, name)) for name, known in objects.items()]
    return tuple(sorted(entries, key=_by_name))


def _image_entry(name: str, known: dict[str, Any]) -> ImageEntry:
    image, labels = as_object(known.get("image"), "image"), as_object(known.get("labels"), "labels")
    status = LABELLED if FINAL in labels else HAS_PREDICTION if labels else UNLABELLED
    label = as_object(labels[FINAL if FINAL in labels else next(iter(labels))], "label") if labels else {}
    facts = as_object(label.get("info", {}), "facts of a label")
    return ImageEntry(
        id=name,
        status=status,
        user=_labeller(facts) if status == LABELLED else "",
        when=_when(facts),
        file=name + as_string(image.get("ext", ""), "ext"),
    )


def replace_entry(entries: tuple[ImageEntry, ...], entry: ImageEntry) -> tuple[ImageEntry, ...]:
    """The list with one line replaced, or put where it belongs."""
    if any(one.id == entry.id for one in entries):
        return tuple(entry if one.id == entry.id else one for one in entries)
    return tuple(sorted((*entries, entry), key=_by_name))


def parse_label_info(info: Any) -> LabelInfo:
    """Read ``/datastore/label/info``.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    facts = as_object(info, "facts of a label")
    return LabelInfo(_labeller(facts), _when(facts), parse_origin(facts))


def _when(facts: dict[str, Any]) -> Optional[float]:
    when = facts.get("ts")
    return None if when is None else as_number(when, "ts", 0, 1e12)


def _by_name(entry: ImageEntry) -> tuple[str, str]:
    return entry.id.casefold(), entry.id


def _labeller(facts: dict[str, Any]) -> str:
    """Name of the login; without one, what the person said."""
    user = facts.get("user")
    said = facts.get("annotator")
    return next((name for name in (user, said) if isinstance(name, str) and name not in ("", ANONYMOUS)), "")


def answer(content: Any) -> Prediction:
    """Read the answer to an inference.

    Raises:
        ServerError: SCHEMA or BAD_RESPONSE.
    """
    content = as_object(content, "answer")
    if content.get("schema_version") != SCHEMA_VERSION:
        sentence = "Server and module mean different points. Install module and server of the same version."
        raise ServerError(SCHEMA, sentence, f"schema_version is {content.get('schema_version')!r:.40}")
    cobb = as_object(content.get("cobb"), "cobb")
    return Prediction(
        spine=_spine(content.get("landmarks")),
        image=parse_image_info(content.get("image")),
        curves=tuple(_curve(as_object(one, "curve")) for one in as_list(cobb.get("curves"), "curves")),
        origin=parse_origin(content),
        anatomy=_violations(content.get("anatomy")),
        decoder=as_string(content.get("decoder"), "decoder"),
        seconds=as_number(as_object(content.get("timings"), "timings").get("total"), "seconds", 0),
    )


def _spine(landmarks: Any) -> Spine:
    shape = (len(VERTEBRAE), len(POINTS))
    xy, scores, errors = np.full((*shape, 2), np.nan), np.zeros(shape), np.full(shape, np.nan)
    visible = np.ones(shape, bool)
    for one in as_list(landmarks, "landmarks"):
        landmark = as_object(one, "landmark")
        name = as_string(landmark.get("name"), "name of a landmark")
        place = _PLACES.get(name)
        if place is None or np.isfinite(xy[place]).any():
            raise bad_response(f"landmark {name!r:.40} is unknown or stands twice")
        xy[place] = [as_number(landmark.get(axis), name, -_FARTHEST_PX, _FARTHEST_PX) for axis in ("x", "y")]
        scores[place] = as_number(landmark.get("score"), name, 0, 1)
        error = optional_number(landmark.get("error_px"), name, 0)
        errors[place] = np.nan if error is None else error
        visible[place] = as_bool(landmark.get("visible", True), name)
    return Spine.from_arrays(xy, scores, errors, visible)


def _curve(content: dict[str, Any]) -> Curve:
    return Curve(
        upper_end=as_choice(content.get("upper_end"), VERTEBRAE, "upper_end"),
        lower_end=as_choice(content.get("lower_end"), VERTEBRAE, "lower_end"),
        apex=as_string(content.get("apex"), "apex"),
        region=as_choice(content.get("region"), REGIONS, "region"),
        side=as_choice(content.get("side"), SIDES, "side"),
        angle_deg=as_number(content.get("angle_deg"), "angle_deg", 0, 360),
        apical_deviation_px=optional_number(content.get("apical_deviation_px"), "apical_deviation_px"),
        half_width_deg=optional_number(content.get("half_width_deg"), "half_width_deg", 0),
        open_ends=tuple(
            as_choice(v, VERTEBRAE, "open_ends") for v in as_list(content.get("open_ends", []), "open_ends")
        ),
    )


def _violations(content: Any) -> tuple[Violation, ...]:
    by_vertebra = as_object(content, "anatomy")
    found = (as_object(one, "violation") for ones in by_vertebra.values() for one in as_list(ones, "violations"))
    return tuple(
        Violation(
            kind=as_choice(one.get("kind"), KINDS, "kind"),
            vertebrae=tuple(
                as_choice(name, VERTEBRAE, "vertebra") for name in as_list(one.get("vertebrae"), "vertebrae")
            ),
            value=as_number(one.get("value"), "value"),
            low=optional_number(one.get("low"), "low"),
            high=optional_number(one.get("high"), "high"),
            message=as_string(one.get("message"), "message"),
        )
        for one in found
    )
