"""The tunables of the app as validated, immutable values, read from ``model.yaml``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from ..spine.schema import VERTEBRAE
from .validation import (
    Expected,
    Flag,
    NotNegative,
    NotNegativeInt,
    Number,
    Positive,
    PositiveInt,
    Probability,
    Range,
    Text,
    checked,
)

APP_DIR = Path(__file__).resolve().parents[2]
DEFAULT_CONFIG_FILE = APP_DIR / "model.yaml"
DEFAULT_WEIGHTS_FILE = APP_DIR / "model" / "vertebra_landmarks.pt"

_CLOSED = ConfigDict(extra="forbid")


_HeatmapChannels = Annotated[
    int, Field(strict=True), Expected(f"1 or {len(VERTEBRAE)}", lambda value: value in (1, len(VERTEBRAE)))
]
_MultipleOf8 = Annotated[int, Field(strict=True, gt=0, multiple_of=8), Expected("a positive multiple of 8")]
_MultipleOf32 = Annotated[int, Field(strict=True, gt=0, multiple_of=32), Expected("a positive multiple of 32")]
_BelowOne = Annotated[Number, Field(ge=0, lt=1), Expected("in 0...1, 1 excluded")]


@dataclass(frozen=True, config=_CLOSED)
class NetworkConfig:
    """Which network; ``preset`` is a key of ``hrnet.PRESETS``, ``context_layers`` those of ``attention.Context``.

    The defaults are what the weight files mean that were written before a setting came up.
    """

    preset: Text
    head_channels: PositiveInt
    context_layers: NotNegativeInt = 0
    squeeze_excitation: Flag = False
    heatmap_channels: _HeatmapChannels = len(VERTEBRAE)


@dataclass(frozen=True, config=_CLOSED)
class InputConfig:
    """Size of the network's input in pixels; multiples of 32."""

    height: _MultipleOf32
    width: _MultipleOf32


@dataclass(frozen=True, config=_CLOSED)
class CodecConfig:
    """How landmarks become maps and maps landmarks."""

    sigma_cells: Positive
    offset_radius_cells: NotNegativeInt


@dataclass(frozen=True, config=_CLOSED)
class LossConfig:
    """Exponents and weights of the criterion's terms."""

    alpha: Annotated[Number, Field(ge=1), Expected("at least 1, below which its gradient is not finite")]
    beta: NotNegative
    heatmap_weight: NotNegative
    unnamed_weight: NotNegative
    offset_weight: NotNegative
    corner_weight: NotNegative
    anatomy_weight: NotNegative
    anatomy_hinge: NotNegative
    anatomy_sharpness: Positive


@dataclass(frozen=True, config=_CLOSED)
class AugmentationConfig:
    """Ranges of the random changes made to training images."""

    near_span: Range
    far_probability: Probability
    far_span: Range
    whole_probability: Probability
    cut_probability: Probability
    deep_cut_probability: Probability
    background_probability: Probability
    rotation_deg: NotNegative
    shift: NotNegative
    stretch: _BelowOne
    flip_probability: Probability
    gamma: Range
    contrast: Range
    brightness: NotNegative
    noise_std: NotNegative
    blur_sigma: NotNegative
    local_contrast_probability: Probability
    invert_probability: Probability
    occlusion_probability: Probability


@dataclass(frozen=True, config=_CLOSED)
class ScheduleConfig:
    """How long and how fast a network learns."""

    epochs: PositiveInt
    batch_size: PositiveInt
    learning_rate: Positive
    weight_decay: NotNegative
    warmup_epochs: NotNegative
    ema_decay: _BelowOne
    gradient_clip: Positive
    validate_every: PositiveInt
    seed: NotNegativeInt


@dataclass(frozen=True, config=_CLOSED)
class TrainingConfig(ScheduleConfig):
    """Schedule and data of a training run of the landmark network."""

    cache_longest: PositiveInt
    boxed: NotNegativeInt
    phantoms: NotNegativeInt
    spineless: NotNegativeInt


@dataclass(frozen=True, config=_CLOSED)
class CornerConfig:
    """The second network: the size of its patches in pixels, and ``step``, the pixels between two vertebrae there."""

    height: _MultipleOf8
    width: _MultipleOf8
    step: Positive
    channels: Annotated[int, Field(strict=True, gt=0, multiple_of=4), Expected("a positive multiple of 4")]
    context_layers: NotNegativeInt


@dataclass(frozen=True, config=_CLOSED)
class PatchAugmentationConfig:
    """Ranges of the random changes made to patches in training; lengths are steps between vertebrae."""

    place_noise: Annotated[
        Range, Expected("two positive numbers, the smaller first, below half a step", lambda value: value[1] < 0.5)
    ]
    drift: NotNegative
    scale_noise: NotNegative
    turn_noise_deg: NotNegative
    stretch: NotNegative
    shear: NotNegative
    flip_probability: Probability
    coarse_probability: Probability
    local_contrast_probability: Probability
    gamma: Range
    noise_std: NotNegative
    invert_probability: Probability
    occlusion_probability: Probability


@dataclass(frozen=True, config=_CLOSED)
class PredictionConfig:
    """How the network is asked, and what is accepted as an image and as a spine."""

    mirror: Flag
    mirror_below: Probability
    second_look: Flag
    second_look_span: Annotated[Number, Field(gt=0, le=1), Expected("in 0...1, 0 excluded")]
    second_look_margin: Positive
    refinement: Flag
    refinement_rounds: PositiveInt
    refinement_turn_deg: Annotated[Number, Field(ge=0, le=45), Expected("in 0...45")]
    refinement_reach: Positive
    refinement_tilt_error_deg: Positive
    propagation: Flag
    min_spine_score: Probability
    min_shorter_side: PositiveInt
    min_longer_side: PositiveInt


@dataclass(frozen=True, config=_CLOSED)
class MapConfig:
    """How MAP decoding weighs what the network says and what is usual."""

    min_candidate_score: Probability
    max_candidates: PositiveInt
    max_beyond: NotNegativeInt
    score_floor: Positive
    explain_weight: NotNegative
    prior_weight: NotNegative
    prior_cap: Positive
    noise_cells: NotNegative
    shift_penalty: NotNegative
    unasked_shift_penalty: NotNegative
    change_penalty: NotNegative
    skip_penalty: NotNegative
    limit_penalty: NotNegative


@dataclass(frozen=True, config=_CLOSED)
class ModelConfig:
    """What has to be known to use trained weights."""

    network: NetworkConfig
    input: InputConfig
    codec: CodecConfig


@dataclass(frozen=True, config=_CLOSED)
class Config(ModelConfig):
    """All tunables."""

    loss: LossConfig
    augmentation: AugmentationConfig
    training: TrainingConfig
    refiner: CornerConfig
    refiner_augmentation: PatchAugmentationConfig
    refiner_training: ScheduleConfig
    prediction: PredictionConfig
    map: MapConfig

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, the inverse of ``config_from_dict``."""
        return dataclasses.asdict(self)


def config_from_dict(values: Mapping[str, Any], where: str = "configuration") -> Config:
    """Build a validated configuration.

    Args:
        values: nested settings as in ``model.yaml``.
        where: what the settings came from, named in errors.

    Raises:
        ValueError: a setting is unknown, missing, of the wrong type or out of range.
    """
    config = checked(Config, values, where)
    for name, settings in config.to_dict().items():  # those with a default may be missing in stored settings only
        if missing := sorted(set(settings) - set(values[name])):
            raise ValueError(f"{where}.{name}: unknown settings [], missing settings {missing}")
    return config


def model_config_from_dict(values: Mapping[str, Any], where: str) -> ModelConfig:
    """The part of a stored configuration that using the weights needs; other settings may have come and gone.

    A setting of that part with a default may be missing: the file is older than the setting.

    Args:
        values: nested settings as in ``model.yaml``.
        where: what the settings came from, named in errors.

    Raises:
        ValueError: a setting of that part is unknown, missing, of the wrong type or out of range.
    """
    names = [field.name for field in dataclasses.fields(ModelConfig)]
    return checked(ModelConfig, {name: values[name] for name in names if name in values}, where)


class _Loader(yaml.SafeLoader):
    """Reads ``1e-4`` as a number, as Python does: YAML 1.1 wants ``1.0e-4`` and takes it for a text otherwise."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def load_config(path: Path = DEFAULT_CONFIG_FILE, overrides: Mapping[str, str] | None = None) -> Config:
    """Read the configuration file.

    Args:
        path: a YAML file with the layout of ``model.yaml``.
        overrides: dotted names with YAML values that replace those of the file, ``{"training.epochs": "3"}``.

    Raises:
        ValueError: the file is no YAML, or a setting is unknown, missing, of the wrong type or out of range.
        OSError: the file cannot be read.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name} is not valid YAML: {error}") from error
    for name, text in (overrides or {}).items():
        section, _, key = name.partition(".")
        settings = values.get(section) if isinstance(values, dict) else None
        if not isinstance(settings, dict) or key not in settings:
            raise ValueError(f"{path.name} has no setting {name!r}")
        try:
            settings[key] = yaml.load(text, _Loader)
        except yaml.YAMLError as error:
            raise ValueError(f"setting {name!r}: {text!r} is not a valid value") from error
    return config_from_dict(values, path.name)
