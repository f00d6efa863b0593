"""Weight files: half-precision weights together with the configuration that made them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..spine.files import replacing
from ..spine.priors import DEFAULT_PRIOR, ChainPrior
from ..spine.schema import SCHEMA_VERSION
from .config import Config, ModelConfig, model_config_from_dict
from .network import LandmarkNet

MODEL = "model"
_CONFIG, _SCHEMA, _FACTS, _PRIOR = "config", "schema_version", "facts", "chain_prior"


@dataclass(frozen=True)
class Weights:
    """Content of a weight file.

    Attributes:
        state: the network's state dict.
        config: network, input and codec that it was trained with.
        facts: what is known about the training: fold, epoch, validation errors.
        prior: how centers follow each other in the spines that it was trained on.
    """

    state: dict[str, torch.Tensor]
    config: ModelConfig
    facts: dict[str, Any]
    prior: ChainPrior


def save_atomically(content: Mapping[str, Any], path: Path) -> None:
    """``torch.save`` that never leaves half a file behind.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        torch.save(dict(content), temporary)


def save_weights(
    path: Path,
    state: Mapping[str, torch.Tensor],
    config: Config,
    facts: Mapping[str, Any],
    prior: ChainPrior = DEFAULT_PRIOR,
) -> None:
    """Write a weight file; floating-point weights are stored in half precision.

    Raises:
        OSError: the file cannot be written.
    """
    half = {name: t.detach().cpu().half() if t.is_floating_point() else t.detach().cpu() for name, t in state.items()}
    content = {
        MODEL: half,
        _CONFIG: config.to_dict(),
        _SCHEMA: SCHEMA_VERSION,
        _FACTS: dict(facts),
        _PRIOR: prior.to_dict(),
    }
    save_atomically(content, path)


def load_weights(path: Path) -> Weights:
    """Read a weight file; nothing in it is executed.

    Raises:
        ValueError: the file is no weight file of this project, or of another landmark schema.
        OSError: the file cannot be read.
    """
    path = Path(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, LookupError) as error:
        raise ValueError(f"{path.name}: not a weight file of this project") from error
    if not isinstance(content, dict) or not {MODEL, _CONFIG, _SCHEMA, _FACTS} <= set(content):
        raise ValueError(f"{path.name}: not a weight file of this project")
    if content[_SCHEMA] != SCHEMA_VERSION:
        raise ValueError(f"{path.name}: made for landmark schema {content[_SCHEMA]}, this is schema {SCHEMA_VERSION}")
    if not (isinstance(content[_CONFIG], Mapping) and isinstance(content[_FACTS], Mapping)):
        raise ValueError(f"{path.name}: not a weight file of this project")
    try:
        prior = ChainPrior.from_dict(content[_PRIOR]) if _PRIOR in content else DEFAULT_PRIOR
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    return Weights(content[MODEL], model_config_from_dict(content[_CONFIG], path.name), content[_FACTS], prior)


def build_network(weights: Weights, path: Path) -> LandmarkNet:
    """The network of a weight file, in single precision and evaluation mode.

    Args:
        weights: content of the file.
        path: where they came from, for errors.

    Raises:
        ValueError: the weights do not fit the network that their configuration names, or are not finite.
    """
    network = LandmarkNet(weights.config.network)
    try:
        network.load_state_dict(weights.state)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{path.name}: the weights do not fit a {weights.config.network.preset} network") from error
    if not all(bool(value.isfinite().all()) for value in network.state_dict().values()):
        raise ValueError(f"{path.name}: some weights are not finite numbers")
    return network.float().eval()
