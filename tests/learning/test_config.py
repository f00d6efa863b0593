"""The configuration: what is read, and what is refused by name."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from lib.learning.config import (
    DEFAULT_CONFIG_FILE,
    Config,
    InputConfig,
    NetworkConfig,
    config_from_dict,
    load_config,
    model_config_from_dict,
)


@pytest.fixture
def values() -> dict[str, Any]:
    """The settings of ``model.yaml`` as plain values."""
    loaded: dict[str, Any] = yaml.safe_load(DEFAULT_CONFIG_FILE.read_text(encoding="utf-8"))
    return loaded


def test_model_yaml_loads(values: dict[str, Any]) -> None:
    config = load_config()
    assert config.input == InputConfig(values["input"]["height"], values["input"]["width"])
    assert config.codec.sigma_cells == values["codec"]["sigma_cells"]
    assert config.augmentation.near_span == tuple(values["augmentation"]["near_span"])


def test_values_survive_a_round_trip(values: dict[str, Any]) -> None:
    config = config_from_dict(values)
    assert config_from_dict(config.to_dict()) == config
    assert config_from_dict(yaml.safe_load(yaml.safe_dump(values))) == config
    assert config.to_dict()["loss"]["alpha"] == values["loss"]["alpha"]


def test_whole_numbers_stand_for_floats_but_not_the_reverse(values: dict[str, Any]) -> None:
    values["loss"]["alpha"] = 3
    alpha = config_from_dict(values).loss.alpha
    assert (alpha, type(alpha)) == (3.0, float)
    values["training"]["epochs"] = 3.0
    with pytest.raises(ValueError, match=r"training\.epochs must be a positive whole number, got 3\.0"):
        config_from_dict(values)


@pytest.mark.parametrize("section", [field.name for field in dataclasses.fields(Config)])
def test_unknown_and_missing_settings_are_named(values: dict[str, Any], section: str) -> None:
    extra = copy.deepcopy(values)
    extra[section]["colour"] = 1
    with pytest.raises(ValueError, match=rf"mine\.yaml\.{section}: unknown settings \['colour'\]"):
        config_from_dict(extra, "mine.yaml")
    name = next(iter(values[section]))
    del values[section][name]
    with pytest.raises(ValueError, match=rf"{section}: unknown settings \[\], missing settings \['{name}'\]"):
        config_from_dict(values)


def test_unknown_and_missing_sections_are_named(values: dict[str, Any]) -> None:
    del values["loss"]
    values["losses"] = {}
    with pytest.raises(ValueError, match=r"unknown settings \['losses'\], missing settings \['loss'\]"):
        config_from_dict(values)


def test_unknown_settings_of_mixed_types_are_named(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="unknown settings"):
        config_from_dict({**values, 1: 2, "colour": 3})  # type: ignore[dict-item]


WRONG_TYPES = {
    "text for int": ("training.epochs", "many"),
    "truth for int": ("training.epochs", True),
    "null for int": ("training.seed", None),
    "text for float": ("training.learning_rate", "1e-3"),
    "truth for float": ("loss.alpha", False),
    "number for text": ("network.preset", 18),
    "number for truth": ("network.squeeze_excitation", 0),
    "number for range": ("augmentation.near_span", 1.0),
    "range of three": ("augmentation.near_span", [0.5, 1.0, 2.0]),
    "range of texts": ("augmentation.gamma", ["a", "b"]),
    "list for section": ("input", [512, 256]),
    "null for section": ("codec", None),
    "beyond floats": ("training.learning_rate", 10**400),
}


@pytest.mark.parametrize(("name", "value"), WRONG_TYPES.values(), ids=WRONG_TYPES.keys())
def test_a_wrong_type_is_refused_by_name(values: dict[str, Any], name: str, value: object) -> None:
    section, _, key = name.partition(".")
    target = values[section] if key else values
    target[key or section] = value
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        config_from_dict(values)


OUT_OF_RANGE = [
    ("network.head_channels", 0, "positive"),
    ("network.context_layers", -1, "zero or more"),
    ("network.heatmap_channels", 0, "1 or 17, got 0"),
    ("network.heatmap_channels", 2, "1 or 17"),
    ("network.heatmap_channels", 18, "1 or 17"),
    ("input.height", 500, "positive multiple of 32, got 500"),
    ("input.height", 0, "positive multiple of 32"),
    ("input.width", -32, "positive multiple of 32"),
    ("codec.sigma_cells", 0.0, "positive"),
    ("codec.sigma_cells", float("nan"), "positive"),
    ("codec.offset_radius_cells", -1, "zero or more"),
    ("loss.alpha", -1.0, "at least 1"),
    ("loss.corner_weight", -0.5, "zero or more"),
    ("loss.unnamed_weight", -0.5, "zero or more"),
    ("loss.anatomy_weight", float("inf"), "zero or more"),
    ("loss.anatomy_hinge", -0.1, "zero or more"),
    ("loss.anatomy_sharpness", 0.0, "positive"),
    ("augmentation.near_span", [1.2, 0.8], "the smaller first"),
    ("augmentation.far_span", [0.0, 0.8], "two positive numbers"),
    ("augmentation.gamma", [-1.0, 0.8], "two positive numbers"),
    ("augmentation.far_probability", 1.1, "a probability"),
    ("augmentation.whole_probability", 1.5, "a probability"),
    ("augmentation.cut_probability", -0.1, "a probability"),
    ("augmentation.background_probability", 2.0, "a probability"),
    ("augmentation.flip_probability", -0.1, "a probability"),
    ("augmentation.rotation_deg", -1.0, "zero or more"),
    ("augmentation.shift", -0.1, "zero or more"),
    ("augmentation.stretch", 1.0, r"in 0\.\.\.1"),
    ("augmentation.noise_std", -0.1, "zero or more"),
    ("training.epochs", 0, "positive"),
    ("training.batch_size", -1, "positive"),
    ("training.learning_rate", 0.0, "positive"),
    ("training.gradient_clip", 0.0, "positive"),
    ("training.cache_longest", 0, "positive"),
    ("training.validate_every", 0, "positive"),
    ("training.weight_decay", -1.0, "zero or more"),
    ("training.boxed", -1, "zero or more"),
    ("training.phantoms", -1, "zero or more"),
    ("training.seed", -1, "zero or more"),
    ("training.ema_decay", 1.0, "1 excluded"),
    ("prediction.min_spine_score", 1.5, "a probability"),
    ("prediction.min_shorter_side", 0, "positive"),
    ("prediction.min_longer_side", 0, "positive"),
]


@pytest.mark.parametrize(("name", "value", "text"), OUT_OF_RANGE, ids=[f"{n}={v}" for n, v, _ in OUT_OF_RANGE])
def test_a_value_out_of_range_is_refused_by_name(values: dict[str, Any], name: str, value: object, text: str) -> None:
    section, _, key = name.partition(".")
    values[section][key] = value
    with pytest.raises(ValueError, match=f"{key} must be .*{text}"):
        config_from_dict(values)


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "+.1e-3", "1.0e-4", "0.0001"])
def test_numbers_are_written_as_in_python(text: str, tmp_path: Path) -> None:
    assert load_config(overrides={"training.learning_rate": text}).training.learning_rate == pytest.approx(1e-4)
    content = DEFAULT_CONFIG_FILE.read_text(encoding="utf-8").replace("learning_rate: 1.0e-3", f"learning_rate: {text}")
    (tmp_path / "own.yaml").write_text(content, encoding="utf-8")
    assert load_config(tmp_path / "own.yaml").training.learning_rate == pytest.approx(1e-4)


def test_overrides_replace_values_of_the_file() -> None:
    config = load_config(overrides={"training.epochs": "3", "augmentation.gamma": "[0.5, 2]", "loss.alpha": "1"})
    assert (config.training.epochs, config.augmentation.gamma, config.loss.alpha) == (3, (0.5, 2.0), 1.0)
    assert config.input == load_config().input


@pytest.mark.parametrize("name", ["training.epoch", "train.epochs", "training", "epochs", "training.epochs.x", ""])
def test_an_override_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"model.yaml has no setting '{name}'"):
        load_config(overrides={name: "1"})


@pytest.mark.parametrize("text", ["many", "", "-1", "["])
def test_an_override_with_a_wrong_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="epochs"):
        load_config(overrides={"training.epochs": text})


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a: [", "is not valid YAML"),
        (b"", "must be a table"),
        (b"- 1", "must be a table"),
        (b"network: 5", "missing"),
        (b"\xff\xfe\xfa", "utf-8|YAML"),
    ],
    ids=["broken", "empty", "list", "incomplete", "binary"],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=text):
        load_config(path)


@pytest.mark.parametrize("content", ["network: abc", "network: 5", "network:", "- 1", ""])
def test_an_override_of_a_file_with_a_wrong_section_is_a_value_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"mine\.yaml"):
        load_config(path, {"network.a": "1"})


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_config(tmp_path / "none.yaml")


LATER_SETTINGS = {"context_layers": 0, "squeeze_excitation": False, "heatmap_channels": 17}


@pytest.mark.parametrize("name", LATER_SETTINGS)
def test_model_yaml_must_name_every_setting(values: dict[str, Any], name: str) -> None:
    del values["network"][name]
    with pytest.raises(ValueError, match=rf"network: unknown settings \[\], missing settings \['{name}'\]"):
        config_from_dict(values)


def test_stored_settings_may_be_older_than_the_settings_with_defaults(values: dict[str, Any]) -> None:
    """The first weight files hold nothing but preset and head channels."""
    values["network"] = {"preset": "w18", "head_channels": 48}
    network = model_config_from_dict(values, "a.pt").network
    assert network == NetworkConfig("w18", 48, **LATER_SETTINGS)  # type: ignore[arg-type]
    values["network"]["context_layers"] = 3
    assert model_config_from_dict(values, "a.pt").network.context_layers == 3


@pytest.mark.parametrize(
    "name", ["network.preset", "network.head_channels", "input.width", "codec.sigma_cells", "codec"]
)
def test_stored_settings_without_a_default_may_not_be_missing(values: dict[str, Any], name: str) -> None:
    section, _, key = name.partition(".")
    del (values[section] if key else values)[key or section]
    with pytest.raises(ValueError, match=rf"a\.pt.*missing settings \['{key or section}'\]"):
        model_config_from_dict(values, "a.pt")


def test_stored_settings_of_the_future_are_refused(values: dict[str, Any]) -> None:
    values["network"]["colour"] = 1
    with pytest.raises(ValueError, match=r"a\.pt\.network: unknown settings \['colour'\]"):
        model_config_from_dict(values, "a.pt")
