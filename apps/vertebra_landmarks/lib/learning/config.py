"""The tunables of the app as validated, immutable values, read from ``model.yaml``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from ..spine.schema import VERTEBRAE

APP_DIR = Path(__file__).resolve().parents[2]
DEFAULT_CONFIG_FILE = APP_DIR / "model.yaml"
DEFAULT_WEIGHTS_FILE = APP_DIR / "model" / "vertebra_landmarks.pt"


def _check(condition: bool, name: str, expected: str, got: object) -> None:
    if not condition:
        raise ValueError(f"{name} must be {expected}, got {got}")


def _check_probability(name: str, value: float) -> None:
    _check(0.0 <= value <= 1.0, name, "a probability in 0...1", value)


def _check_range(name: str, value: tuple[float, float]) -> None:
    _check(0.0 < value[0] <= value[1] < math.inf, name, "two positive numbers, the smaller first", value)


def _check_positive(section: object, *names: str) -> None:
    for name in names:
        value = getattr(section, name)
        _check(math.isfinite(value) and value > 0, name, "positive", value)


def _check_not_negative(section: object, *names: str) -> None:
    for name in names:
        value = getattr(section, name)
        _check(math.isfinite(value) and value >= 0, name, "zero or more", value)


def _check_ranges(section: Any) -> None:
    """Probabilities, pairs of a range, and numbers that must not be negative, told apart by name and kind."""
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if field.name.endswith("probability"):
            _check_probability(field.name, value)
        elif isinstance(value, tuple):
            _check_range(field.name, value)
        else:
            _check_not_negative(section, field.name)


@dataclass(frozen=True)
class NetworkConfig:
    """Which network; ``preset`` is a key of ``hrnet.PRESETS``, ``context_layers`` those of ``context.Context``.

    The defaults are what the weight files mean that were written before a setting came up.
    """

    preset: str
    head_channels: int
    context_layers: int = 0
    squeeze_excitation: bool = False
    heatmap_channels: int = len(VERTEBRAE)

    def __post_init__(self) -> None:
        _check_positive(self, "head_channels")
        _check_not_negative(self, "context_layers")
        channels, every = self.heatmap_channels, len(VERTEBRAE)
        _check(channels in (1, every), "heatmap_channels", f"1 or {every}", channels)


@dataclass(frozen=True)
class InputConfig:
    """Size of the network's input in pixels; multiples of 32."""

    height: int
    width: int

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            value = getattr(self, name)
            _check(value > 0 and value % 32 == 0, f"input.{name}", "a positive multiple of 32", value)


@dataclass(frozen=True)
class CodecConfig:
    """How landmarks become maps and maps landmarks."""

    sigma_cells: float
    offset_radius_cells: int

    def __post_init__(self) -> None:
        _check_positive(self, "sigma_cells")
        _check_not_negative(self, "offset_radius_cells")


@dataclass(frozen=True)
class LossConfig:
    """Exponents and weights of the criterion's terms."""

    alpha: float
    beta: float
    heatmap_weight: float
    unnamed_weight: float
    offset_weight: float
    corner_weight: float
    anatomy_weight: float
    anatomy_hinge: float
    anatomy_sharpness: float

    def __post_init__(self) -> None:
        _check_not_negative(self, *(field.name for field in dataclasses.fields(self)))
        _check_positive(self, "anatomy_sharpness")
        _check(self.alpha >= 1, "alpha", "at least 1, below which its gradient is not finite", self.alpha)


@dataclass(frozen=True)
class AugmentationConfig:
    """Ranges of the random changes made to training images."""

    near_span: tuple[float, float]
    far_probability: float
    far_span: tuple[float, float]
    whole_probability: float
    cut_probability: float
    deep_cut_probability: float
    background_probability: float
    rotation_deg: float
    shift: float
    stretch: float
    flip_probability: float
    gamma: tuple[float, float]
    contrast: tuple[float, float]
    brightness: float
    noise_std: float
    blur_sigma: float
    local_contrast_probability: float
    invert_probability: float
    occlusion_probability: float

    def __post_init__(self) -> None:
        _check_ranges(self)
        _check(0.0 <= self.stretch < 1.0, "stretch", "in 0...1", self.stretch)


@dataclass(frozen=True)
class ScheduleConfig:
    """How long and how fast a network learns."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warmup_epochs: float
    ema_decay: float
    gradient_clip: float
    validate_every: int
    seed: int

    def __post_init__(self) -> None:
        _check_positive(self, "epochs", "batch_size", "learning_rate", "gradient_clip", "validate_every")
        _check_not_negative(self, "weight_decay", "warmup_epochs", "seed")
        _check(0.0 <= self.ema_decay < 1.0, "ema_decay", "in 0...1, 1 excluded", self.ema_decay)


@dataclass(frozen=True)
class TrainingConfig(ScheduleConfig):
    """Schedule and data of a training run of the landmark network."""

    cache_longest: int
    boxed: int
    phantoms: int
    spineless: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive(self, "cache_longest")
        _check_not_negative(self, "boxed", "phantoms", "spineless")


@dataclass(frozen=True)
class RefinerConfig:
    """The second network: the size of its patches in pixels, and ``step``, the pixels between two vertebrae there."""

    height: int
    width: int
    step: float
    channels: int
    context_layers: int

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            value = getattr(self, name)
            _check(value > 0 and value % 8 == 0, f"refiner.{name}", "a positive multiple of 8", value)
        _check_positive(self, "step", "channels")
        _check(self.channels % 4 == 0, "refiner.channels", "a multiple of 4", self.channels)
        _check_not_negative(self, "context_layers")


@dataclass(frozen=True)
class PatchAugmentationConfig:
    """Ranges of the random changes made to patches in training; lengths are steps between vertebrae."""

    place_noise: tuple[float, float]
    drift: float
    scale_noise: float
    turn_noise_deg: float
    stretch: float
    shear: float
    flip_probability: float
    coarse_probability: float
    local_contrast_probability: float
    gamma: tuple[float, float]
    noise_std: float
    invert_probability: float
    occlusion_probability: float

    def __post_init__(self) -> None:
        _check_ranges(self)
        _check(self.place_noise[1] < 0.5, "place_noise", "below half a step", self.place_noise)


@dataclass(frozen=True)
class PredictionConfig:
    """How the network is asked, and what is accepted as an image and as a spine."""

    mirror: bool
    second_look: bool
    second_look_span: float
    second_look_margin: float
    refinement: bool
    refinement_rounds: int
    refinement_turn_deg: float
    refinement_reach: float
    refinement_tilt_prior: float
    propagation: bool
    min_spine_score: float
    min_shorter_side: int
    min_longer_side: int

    def __post_init__(self) -> None:
        _check_probability("min_spine_score", self.min_spine_score)
        _check_probability("refinement_tilt_prior", self.refinement_tilt_prior)
        _check(0 <= self.refinement_turn_deg <= 45, "refinement_turn_deg", "in 0...45", self.refinement_turn_deg)
        _check(0 < self.second_look_span <= 1, "second_look_span", "in 0...1, 0 excluded", self.second_look_span)
        _check_positive(
            self, "second_look_margin", "refinement_rounds", "refinement_reach", "min_shorter_side", "min_longer_side"
        )


@dataclass(frozen=True)
class MapConfig:
    """How MAP decoding weighs what the network says and what is usual."""

    min_candidate_score: float
    max_candidates: int
    max_beyond: int
    score_floor: float
    explain_weight: float
    prior_weight: float
    prior_cap: float
    noise_cells: float
    shift_penalty: float
    unasked_shift_penalty: float
    change_penalty: float
    skip_penalty: float
    limit_penalty: float

    def __post_init__(self) -> None:
        _check_probability("min_candidate_score", self.min_candidate_score)
        _check_positive(self, "max_candidates", "score_floor", "prior_cap")
        _check_not_negative(
            self,
            "max_beyond",
            "explain_weight",
            "prior_weight",
            "noise_cells",
            "shift_penalty",
            "unasked_shift_penalty",
            "change_penalty",
            "skip_penalty",
            "limit_penalty",
        )


@dataclass(frozen=True)
class ModelConfig:
    """What has to be known to use trained weights."""

    network: NetworkConfig
    input: InputConfig
    codec: CodecConfig


@dataclass(frozen=True)
class Config(ModelConfig):
    """All tunables."""

    loss: LossConfig
    augmentation: AugmentationConfig
    training: TrainingConfig
    refiner: RefinerConfig
    refiner_augmentation: PatchAugmentationConfig
    refiner_training: ScheduleConfig
    prediction: PredictionConfig
    map: MapConfig

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, the inverse of ``config_from_dict``."""
        return dataclasses.asdict(self)


T = TypeVar("T")


def _convert(value: object, kind: object, where: str) -> Any:
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise ValueError(f"{where} is too large a number") from error
    if kind is str and isinstance(value, str):
        return value
    if kind == tuple[float, float] and isinstance(value, (list, tuple)) and len(value) == 2:
        return tuple(_convert(item, float, where) for item in value)
    raise ValueError(f"{where} must be {getattr(kind, '__name__', kind)}, got {value!r}")


def _section(kind: type[T], values: object, where: str, is_stored: bool = False) -> T:
    if not isinstance(values, Mapping):
        raise ValueError(f"{where} must be a table of settings, got {values!r}")
    hints = get_type_hints(kind)
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]  # T is a dataclass
    may_lack = {field.name for field in fields if is_stored and field.default is not dataclasses.MISSING}
    unknown, missing = sorted(set(values) - set(hints), key=str), sorted(set(hints) - set(values) - may_lack)
    if unknown or missing:
        raise ValueError(f"{where}: unknown settings {unknown}, missing settings {missing}")
    arguments = {
        name: _section(hint, values[name], f"{where}.{name}", is_stored)
        if isinstance(hint, type) and dataclasses.is_dataclass(hint)
        else _convert(values[name], hint, f"{where}.{name}")
        for name, hint in hints.items()
        if name in values
    }
    return kind(**arguments)


def config_from_dict(values: Mapping[str, Any], where: str = "configuration") -> Config:
    """Build a validated configuration.

    Args:
        values: nested settings as in ``model.yaml``.
        where: what the settings came from, named in errors.

    Raises:
        ValueError: a setting is unknown, missing, of the wrong type or out of range.
    """
    return _section(Config, values, where)


def model_config_from_dict(values: Mapping[str, Any], where: str) -> ModelConfig:
    """The part of a stored configuration that using the weights needs; other settings may have come and gone.

    A setting of that part with a default may be missing: the file is older than the setting.

    Args:
        values: nested settings as in ``model.yaml``.
        where: what the settings came from, named in errors.

    Raises:
        ValueError: a setting of that part is unknown, missing, of the wrong type or out of range.
    """
    names = get_type_hints(ModelConfig)
    part = {name: value for name, value in values.items() if name in names}
    return _section(ModelConfig, part, where, is_stored=True)


def refiner_config_from_dict(values: object, where: str) -> RefinerConfig:
    """The stored configuration of a second network.

    Args:
        values: its settings.
        where: what they came from, named in errors.

    Raises:
        ValueError: a setting is unknown, missing, of the wrong type or out of range.
    """
    return _section(RefinerConfig, values, where, is_stored=True)


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
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name} is not valid YAML: {error}") from error
    for name, text in (overrides or {}).items():
        section, _, key = name.partition(".")
        settings = values.get(section) if isinstance(values, dict) else None
        if not isinstance(settings, dict) or key not in settings:
            raise ValueError(f"{path.name} has no setting {name!r}")
        try:
            settings[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"setting {name!r}: {text!r} is not a valid value") from error
    return config_from_dict(values, path.name)
