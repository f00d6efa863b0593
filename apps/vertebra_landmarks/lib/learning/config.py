"""The tunables of the app as validated, immutable values, read from ``model.yaml``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

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


@dataclass(frozen=True)
class NetworkConfig:
    """Which network; ``preset`` is a key of ``hrnet.PRESETS``."""

    preset: str
    head_channels: int

    def __post_init__(self) -> None:
        _check_positive(self, "head_channels")


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
    offset_weight: float
    corner_weight: float

    def __post_init__(self) -> None:
        _check_not_negative(self, *(field.name for field in dataclasses.fields(self)))


@dataclass(frozen=True)
class AugmentationConfig:
    """Ranges of the random changes made to training images."""

    scale: tuple[float, float]
    wide_probability: float
    wide_scale: tuple[float, float]
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
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("probability"):
                _check_probability(field.name, value)
            elif isinstance(value, tuple):
                _check_range(field.name, value)
        _check_not_negative(self, "rotation_deg", "shift", "brightness", "noise_std", "blur_sigma")
        _check(0.0 <= self.stretch < 1.0, "stretch", "in 0...1", self.stretch)


@dataclass(frozen=True)
class TrainingConfig:
    """Schedule and data of a training run."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warmup_epochs: float
    ema_decay: float
    gradient_clip: float
    cache_longest: int
    validate_every: int
    phantoms: int
    spineless: int
    seed: int

    def __post_init__(self) -> None:
        _check_positive(
            self, "epochs", "batch_size", "learning_rate", "gradient_clip", "cache_longest", "validate_every"
        )
        _check_not_negative(self, "weight_decay", "warmup_epochs", "phantoms", "spineless", "seed")
        _check(0.0 <= self.ema_decay < 1.0, "ema_decay", "in 0...1, 1 excluded", self.ema_decay)


@dataclass(frozen=True)
class PredictionConfig:
    """How the network is asked, and what is accepted as an image and as a spine."""

    mirror: bool
    min_spine_score: float
    min_shorter_side: int
    min_longer_side: int

    def __post_init__(self) -> None:
        _check_probability("min_spine_score", self.min_spine_score)
        _check_positive(self, "min_shorter_side", "min_longer_side")


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
    prediction: PredictionConfig

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


def _section(kind: type[T], values: object, where: str) -> T:
    if not isinstance(values, Mapping):
        raise ValueError(f"{where} must be a table of settings, got {values!r}")
    hints = get_type_hints(kind)
    unknown, missing = sorted(set(values) - set(hints), key=str), sorted(set(hints) - set(values))
    if unknown or missing:
        raise ValueError(f"{where}: unknown settings {unknown}, missing settings {missing}")
    arguments = {
        name: _section(hint, values[name], f"{where}.{name}")
        if isinstance(hint, type) and dataclasses.is_dataclass(hint)
        else _convert(values[name], hint, f"{where}.{name}")
        for name, hint in hints.items()
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

    Args:
        values: nested settings as in ``model.yaml``.
        where: what the settings came from, named in errors.

    Raises:
        ValueError: a setting of that part is unknown, missing, of the wrong type or out of range.
    """
    names = get_type_hints(ModelConfig)
    return _section(ModelConfig, {name: value for name, value in values.items() if name in names}, where)


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
