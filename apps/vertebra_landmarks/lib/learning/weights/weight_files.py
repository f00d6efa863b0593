"""Weight files: half-precision weights together with the configuration that made them."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ...spine.atomic_write import atomic_write
from ...spine.chain_prior import DEFAULT_PRIOR, ChainPrior
from ...spine.schema import SCHEMA_VERSION
from ..config import CornerConfig, ModelConfig, model_config_from_dict
from ..decoders import DEFAULT_DECODER
from ..models.corner_net import CornerNet
from ..models.landmark_net import LandmarkNet
from ..uncertainty.error_model import ErrorModel
from ..validation import checked

MODEL = "model"
_CONFIG, _SCHEMA, _FACTS, _PRIOR = "config", "schema_version", "facts", "chain_prior"
_NETWORK = "network"
"""In files of one network (``network_file``) only: which one it is."""
_REFINER, _ERRORS = "refiner", "errors"
ERRORS_MEASURED_ON = "errors_measured_on"
"""In the facts of a corner network: what the error model beside it was measured on.

``None`` where there is no error model; else ``data``, ``fold``, ``images`` (their number), ``decoder``, ``networks``
(their ``networks_digest``) and, where it comes from another file, ``copied_from``. Older files lack it.
"""
_DIGITS = 12


@dataclass(frozen=True)
class CornerWeights:
    """The corner network in a weight file.

    Attributes:
        state: its state dict.
        config: size of its patches, its width and depth.
        facts: what is known about its training.
        errors: how far off the prediction of both networks is; ``None`` where that was not measured. The facts tell
            on what it was, under ``ERRORS_MEASURED_ON``.
    """

    state: dict[str, torch.Tensor]
    config: CornerConfig
    facts: dict[str, Any]
    errors: ErrorModel | None = None

    @property
    def errors_decoder(self) -> str:
        """The decoder with which the errors were measured; the errors of others are unknown."""
        name: str = (self.facts.get(ERRORS_MEASURED_ON) or {}).get("decoder", DEFAULT_DECODER)
        return name


@dataclass(frozen=True)
class Weights:
    """Content of a weight file.

    Attributes:
        state: the network's state dict.
        config: network, input and codec that it was trained with.
        facts: what is known about the training: fold, epoch, validation errors.
        prior: how centers follow each other in the spines that it was trained on.
        refiner: the corner network; ``None`` where there is none.
    """

    state: dict[str, torch.Tensor]
    config: ModelConfig
    facts: dict[str, Any]
    prior: ChainPrior
    refiner: CornerWeights | None = None


def file_digest(path: Path, digits: int = _DIGITS) -> str:
    """A short name of a file's content: the first hexadecimal digits of its SHA-256.

    Raises:
        OSError: the file cannot be read.
    """
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:digits]


def networks_digest(weights: Weights) -> str:
    """A short name of the networks in a weight file, whatever else is in it.

    An error model is about the networks that it was measured on: where their digest is another one now, it is an
    estimate only.
    """
    digest = hashlib.sha256()
    for state in (weights.state, weights.refiner.state if weights.refiner is not None else {}):
        for name in sorted(state):
            digest.update(name.encode())
            digest.update(state[name].contiguous().numpy().tobytes())
    return digest.hexdigest()[:_DIGITS]


def save_atomically(content: Mapping[str, Any], path: Path) -> None:
    """``torch.save`` that never leaves half a file behind.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        torch.save(dict(content), temporary)


def save_weights(
    path: Path,
    state: Mapping[str, torch.Tensor],
    config: ModelConfig,
    facts: Mapping[str, Any],
    prior: ChainPrior = DEFAULT_PRIOR,
    refiner: CornerWeights | None = None,
) -> None:
    """Write a weight file; floating-point weights are stored in half precision.

    Raises:
        OSError: the file cannot be written.
    """
    content = {
        MODEL: half_precision(state),
        _CONFIG: asdict(config),
        _SCHEMA: SCHEMA_VERSION,
        _FACTS: dict(facts),
        _PRIOR: prior.to_dict(),
    }
    if refiner is not None:
        errors = None if refiner.errors is None else refiner.errors.to_dict()
        parts = {MODEL: half_precision(refiner.state), _CONFIG: asdict(refiner.config), _FACTS: dict(refiner.facts)}
        content[_REFINER] = {**parts, _ERRORS: errors}
    save_atomically(content, path)


def half_precision(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A copy of a state dict on the CPU, floating-point weights in half precision."""
    return {name: t.detach().cpu().half() if t.is_floating_point() else t.detach().cpu() for name, t in state.items()}


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
        is_single = isinstance(content, dict) and _NETWORK in content
        hint = ", but a single network, which scripts/join_networks.py puts into one" if is_single else ""
        raise ValueError(f"{path.name}: not a weight file of this project{hint}")
    if content[_SCHEMA] != SCHEMA_VERSION:
        raise ValueError(f"{path.name}: made for landmark schema {content[_SCHEMA]}, this is schema {SCHEMA_VERSION}")
    if not (isinstance(content[_CONFIG], Mapping) and isinstance(content[_FACTS], Mapping)):
        raise ValueError(f"{path.name}: not a weight file of this project")
    try:
        prior = ChainPrior.from_dict(content[_PRIOR]) if _PRIOR in content else DEFAULT_PRIOR
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    config = model_config_from_dict(content[_CONFIG], path.name)
    return Weights(content[MODEL], config, content[_FACTS], prior, _refiner(content.get(_REFINER), path.name))


def _refiner(content: object, where: str) -> CornerWeights | None:
    if content is None:
        return None
    if not isinstance(content, Mapping) or not {MODEL, _CONFIG, _FACTS} <= set(content):
        raise ValueError(f"{where}: its corner network is not one of this project")
    config = checked(CornerConfig, content[_CONFIG], f"{where}: refiner")
    errors = content.get(_ERRORS)
    try:
        model = None if errors is None else ErrorModel.from_dict(errors)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return CornerWeights(content[MODEL], config, content[_FACTS], model)


def build_network(weights: Weights, path: Path) -> LandmarkNet:
    """The network of a weight file, in single precision and evaluation mode.

    Args:
        weights: content of the file.
        path: where they came from, for errors.

    Raises:
        ValueError: the weights do not fit the network that their configuration names, or are not finite.
    """
    network = LandmarkNet(weights.config.network)
    _load(network, weights.state, path, f"a {weights.config.network.preset} network")
    return network.float().eval()


def build_corner_net(weights: CornerWeights, path: Path) -> CornerNet:
    """The corner network of a weight file, in single precision and evaluation mode.

    Args:
        weights: its part of the file.
        path: where they came from, for errors.

    Raises:
        ValueError: the weights do not fit their configuration, or are not finite.
    """
    refiner = CornerNet(weights.config)
    _load(refiner, weights.state, path, "their corner network")
    return refiner.float().eval()


def _load(network: torch.nn.Module, state: Mapping[str, torch.Tensor], path: Path, what: str) -> None:
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{path.name}: the weights do not fit {what}") from error
    if not all(bool(value.isfinite().all()) for value in network.state_dict().values()):
        raise ValueError(f"{path.name}: some weights are not finite numbers")
