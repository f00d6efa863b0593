"""Parameters of ``POST /train/vertebra_landmarks``, validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from ...learning.data.labelled_items import check_pattern
from ...learning.models.devices import choose_device
from ...learning.validation import Between, Expected, Flag, checked
from ..models import MAX_VERSIONS as DEFAULT_KEPT_VERSIONS
from ..models import MIN_VERSIONS
from .publish_gate import ALWAYS, GATE, NEVER

MAX_EPOCHS, MAX_BATCH_SIZE, MAX_LEARNING_RATE, MAX_HELD_OUT = 1000, 64, 0.1, 0.5
MAX_PROCESSES, MAX_REHEARSED, MAX_PHANTOMS, MAX_KEPT_VERSIONS, MAX_SEED = 64, 0.9, 500, 1000, 2**32 - 1

_ALSO_CALLED = {"epochs": "max_epochs", "train_batch_size": "batch_size"}
"""Other customary names of parameters."""
_ADDED_BY_MONAI_LABEL = {"model": None, "client_id": None, "gpus": "all", "local_rank": 0, "multi_gpu": None}
"""Names that its own requests carry, with the one value that means something here; ``None`` leaves it open."""
_OF_OTHER_APPS = frozenset(
    {"name", "dataset", "dataloader", "early_stop_patience", "val_batch_size"}
    | {"tracking", "tracking_uri", "tracking_experiment_name"}
)
"""Names that clients of other MONAI Label apps are used to; they decide nothing here."""


def _usable_device(name: str) -> str:
    choose_device(name)
    return name


def _usable_pattern(pattern: str) -> str:
    try:
        return check_pattern(pattern)
    except ValueError as error:
        raise ValueError(f"patient_pattern: {error}") from error


_LearningRate = Annotated[
    float,
    Field(strict=True, gt=0, le=MAX_LEARNING_RATE),
    Expected(f"a number above 0, {MAX_LEARNING_RATE:g} at most"),
]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class TrainRequest:
    """Parameters of a training; the defaults suit some tens of labelled images and two processor cores."""

    max_epochs: Annotated[int, Between(1, MAX_EPOCHS)] = 10
    """How often every image is seen whose label is new since the served version."""
    batch_size: Annotated[int, Between(1, MAX_BATCH_SIZE)] = 4
    """Images per step."""
    learning_rate: _LearningRate = 3e-5
    """Of the network that finds the vertebrae, at its highest, after the first epoch; it falls to 0."""
    corner_learning_rate: _LearningRate = 1e-6
    """The same of the second network. It takes over the manner in which corners were set on a few images within some
    steps, and does worse on others for it."""
    val_split: Annotated[float, Between(0, MAX_HELD_OUT)] = 0.2
    """Share of the patients to check on, 0 for none; who these are is fixed by the patients themselves."""
    device: Annotated[str, Field(strict=True), Expected("auto, cpu or cuda"), AfterValidator(_usable_device)] = "auto"
    """auto, cpu or cuda."""
    processes: Annotated[int, Between(0, MAX_PROCESSES)] = 0
    """Processes that share every batch, each on a CUDA device of its own; 0 for one per CUDA device, or a single one
    without CUDA."""
    pretrained: Flag = True
    """Go on from the weights that are served, instead of from random ones."""
    seed: Annotated[int, Between(0, MAX_SEED)] = 0
    """Of all that is random."""
    rehearsal: Annotated[float, Between(0, MAX_REHEARSED)] = 0.5
    """Share of each batch that shows what the model knows already: labels that it has learnt before, and phantoms; 0
    for none of them, then old and new labels are treated alike."""
    phantoms: Annotated[int, Between(0, MAX_PHANTOMS)] = 24
    """Generated radiographs among those that are rehearsed."""
    patient_pattern: Annotated[
        str, Field(strict=True), Expected("a regular expression"), AfterValidator(_usable_pattern)
    ] = ""
    """Regular expression that finds the patient in an image id, see ``labelled_items.check_pattern``; "" for the usual
    rule."""
    publish: Annotated[
        str, Field(strict=True, pattern=f"^({GATE}|{ALWAYS}|{NEVER})$"), Expected(f"{GATE}, {ALWAYS} or {NEVER}")
    ] = GATE
    """"gate" to serve the result where the error on the held-out images did not grow, "always" or "never"."""
    keep_versions: Annotated[int, Between(MIN_VERSIONS, MAX_KEPT_VERSIONS)] = DEFAULT_KEPT_VERSIONS
    """Of the model on the disk; the oldest go first."""
    resume: Flag = False
    """Go on with the training that was interrupted, with its own parameters and labels."""


def read_request(values: Mapping[str, Any], device: str = "auto") -> TrainRequest:
    """The parameters of a request.

    Args:
        values: as sent; what is left out has its default.
        device: the default of that name.

    Raises:
        ValueError: a name is unknown, or a value has the wrong type or is out of range; the message is a sentence.
    """
    names = [field.name for field in fields(TrainRequest)]
    values = {_ALSO_CALLED.get(name, name): value for name, value in values.items() if name not in _OF_OTHER_APPS}
    for name, value in values.items():
        if name not in names and name not in _ADDED_BY_MONAI_LABEL:
            raise ValueError(f"unknown parameter {name!r:.80}; known are {', '.join(names)}")
        expected = _ADDED_BY_MONAI_LABEL.get(name)
        if expected is not None and value != expected:
            raise ValueError(f"{name} must be {expected!r} or left out, got {value!r:.80}")
    return checked(TrainRequest, {"device": device, **{name: values[name] for name in names if name in values}})
