"""What a client may ask of a training: the parameters of ``POST /train/vertebra_landmarks``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ...learning.data.labelled_items import check_pattern
from ...learning.models.devices import choose_device
from ..models import MAX_VERSIONS, MIN_VERSIONS
from .publish_gate import ALWAYS, GATE, NEVER

MOST_EPOCHS, MOST_PER_BATCH, MOST_LEARNING_RATE, MOST_HELD_OUT = 1000, 64, 0.1, 0.5
MOST_REHEARSED, MOST_PHANTOMS, MOST_VERSIONS = 0.9, 500, 1000

_ALSO_CALLED = {"epochs": "max_epochs", "train_batch_size": "batch_size"}
"""Other customary names of parameters."""
_ADDED_BY_MONAI_LABEL = {"model": None, "client_id": None, "gpus": "all", "local_rank": 0, "multi_gpu": None}
"""Names that its own requests carry, with the one value that means something here; ``None`` leaves it open."""
_OF_OTHER_APPS = frozenset(
    {
        "name",
        "dataset",
        "dataloader",
        "early_stop_patience",
        "val_batch_size",
        "tracking",
        "tracking_uri",
        "tracking_experiment_name",
    }
)
"""Names that clients of other MONAI Label apps are used to; they decide nothing here."""


@dataclass(frozen=True)
class TrainRequest:
    """Parameters of a training; the defaults suit some tens of labelled images and two processor cores.

    Attributes:
        max_epochs: how often every image is seen whose label is new since the served version.
        batch_size: images per step.
        learning_rate: of the network that finds the vertebrae, at its highest, after the first epoch; it falls to 0.
        corner_learning_rate: the same of the second network. It takes over the manner in which corners were set on a
            few films within some steps, and does worse on others for it.
        val_split: share of the patients to check on, 0 for none; who these are is fixed by the patients themselves.
        device: auto, cpu or cuda.
        pretrained: go on from the weights that are served, instead of from random ones.
        seed: of all that is random.
        rehearsal: share of each batch that shows what the model knows already: labels that it has learnt before, and
            phantoms; 0 for none of them, then old and new labels are treated alike.
        phantoms: generated radiographs among those that are rehearsed.
        patient_pattern: regular expression that finds the patient in an image id, see ``patients.check_pattern``; ""
            for the usual rule.
        publish: "gate" to serve the result where the error on the held-out images did not grow, "always" or "never".
        keep_versions: of the model on the disk; the oldest go first.
        resume: go on with the training that was interrupted, with its own parameters and labels.

    Raises:
        ValueError: a value has the wrong type or is out of range.
    """

    max_epochs: int = 10
    batch_size: int = 4
    learning_rate: float = 3e-5
    corner_learning_rate: float = 1e-6
    val_split: float = 0.2
    device: str = "auto"
    pretrained: bool = True
    seed: int = 0
    rehearsal: float = 0.5
    phantoms: int = 24
    patient_pattern: str = ""
    publish: str = GATE
    keep_versions: int = MAX_VERSIONS
    resume: bool = False

    def __post_init__(self) -> None:
        _check_integer("max_epochs", self.max_epochs, 1, MOST_EPOCHS)
        _check_integer("batch_size", self.batch_size, 1, MOST_PER_BATCH)
        _check_integer("seed", self.seed, 0, 2**32 - 1)
        for name in ("learning_rate", "corner_learning_rate"):
            _check_number(name, getattr(self, name), MOST_LEARNING_RATE)
            if getattr(self, name) == 0:
                raise ValueError(f"{name} must be above 0")
        _check_number("val_split", self.val_split, MOST_HELD_OUT)
        _check_number("rehearsal", self.rehearsal, MOST_REHEARSED)
        _check_integer("phantoms", self.phantoms, 0, MOST_PHANTOMS)
        _check_integer("keep_versions", self.keep_versions, MIN_VERSIONS, MOST_VERSIONS)
        for name in ("pretrained", "resume"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, got {getattr(self, name)!r:.80}")
        if self.publish not in (GATE, ALWAYS, NEVER):
            raise ValueError(f"publish must be {GATE}, {ALWAYS} or {NEVER}, got {self.publish!r:.80}")
        if not isinstance(self.patient_pattern, str):
            raise ValueError(f"patient_pattern must be a regular expression, got {self.patient_pattern!r:.80}")
        try:
            check_pattern(self.patient_pattern)
        except ValueError as error:
            raise ValueError(f"patient_pattern: {error}") from error
        if not isinstance(self.device, str):
            raise ValueError(f"device must be auto, cpu or cuda, got {self.device!r:.80}")
        choose_device(self.device)


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
    return TrainRequest(**{"device": device, **{name: values[name] for name in names if name in values}})


def _check_integer(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}, got {value!r:.80}")


def _check_number(name: str, value: object, most: float) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{name} must be a number from 0 to {most:g}, got {value!r:.80}")
