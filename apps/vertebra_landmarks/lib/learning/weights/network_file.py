"""A single trained network in a file of its own, on its way into a weight file, and means of several."""

from __future__ import annotations

import dataclasses
import math
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import torch

from ..config import CornerConfig, ModelConfig, model_config_from_dict
from ..validation import checked
from .provenance import INIT, MODEL_FOLDS, TrainedOn, init_facts, trained_on
from .weight_files import Weights, half_precision, save_atomically

LANDMARKS, CORNERS = "landmarks", "corners"
NETWORKS = (LANDMARKS, CORNERS)
MEAN_OF = "mean_of"
"""In facts: the networks that a mean is made of, each with its share and what it was trained from."""


@dataclass(frozen=True, eq=False)
class NetworkFile:
    """One network.

    Attributes:
        network: one of ``NETWORKS``.
        state: its state dict.
        config: settings of its training, as ``Config.to_dict`` gives them; those of the network at least.
        facts: what is known about the training.
    """

    network: str
    state: Mapping[str, torch.Tensor]
    config: Mapping[str, Any]
    facts: Mapping[str, Any]

    def model_settings(self, name: str) -> ModelConfig:
        """What has to be known to use a landmark network.

        Args:
            name: of the file, for errors.

        Raises:
            ValueError: a setting is unknown, missing, of the wrong type or out of range.
        """
        return model_config_from_dict(self.config, name)

    def corner_settings(self, name: str) -> CornerConfig:
        """What has to be known to use a corner network; as ``model_settings``."""
        return checked(CornerConfig, self.config.get("refiner", {}), f"{name}: refiner")

    def is_like(self, other: NetworkFile, name: str) -> bool:
        """Whether another network of the same kind has the same settings and shapes.

        Args:
            other: network.
            name: of the files, for errors.

        Raises:
            ValueError: a setting is unknown, missing, of the wrong type or out of range.
        """
        if self.network == LANDMARKS:
            is_same = self.model_settings(name) == other.model_settings(name)
        else:
            is_same = self.corner_settings(name) == other.corner_settings(name)
        return is_same and _shapes(self) == _shapes(other)


Part = tuple[str, NetworkFile, float]
"""Name of a network, the network, and its weight in a mean."""


def save_network(path: Path, network: NetworkFile) -> None:
    """Write a network; floating-point weights are stored in half precision.

    Raises:
        OSError: the file cannot be written.
    """
    content = {**vars(network), "state": half_precision(network.state)}
    save_atomically({"model" if name == "state" else name: value for name, value in content.items()}, path)


def load_network(path: Path) -> NetworkFile:
    """Read a network; nothing in it is executed.

    Raises:
        ValueError: it is no file of ``save_network``.
        OSError: it cannot be read.
    """
    message = f"{path.name}: not a network that scripts/train_from_pack.py has written"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, LookupError) as error:
        raise ValueError(message) from error
    if not isinstance(content, Mapping) or content.get("network") not in NETWORKS:
        raise ValueError(message)
    if not all(isinstance(content.get(name), Mapping) for name in ("model", "config", "facts")):
        raise ValueError(message)
    return NetworkFile(content["network"], content["model"], content["config"], content["facts"])


def network_of(weights: Weights, network: str, name: str) -> NetworkFile:
    """A network of a weight file by itself.

    Args:
        weights: content of the file.
        network: one of ``NETWORKS``.
        name: of the file, for errors.

    Raises:
        ValueError: the file holds no corner network, and that is what is asked for.
    """
    if network == LANDMARKS:
        return NetworkFile(network, weights.state, dataclasses.asdict(weights.config), weights.facts)
    if weights.refiner is None:
        raise ValueError(f"{name} holds no corner network")
    config = {"refiner": dataclasses.asdict(weights.refiner.config)}
    return NetworkFile(network, weights.refiner.state, config, weights.refiner.facts)


def mean_network(parts: Sequence[Part]) -> NetworkFile:
    """The weighted mean of networks; a single one stays as it is.

    Weights and statistics are averaged; counters, settings and facts are those of the last network. Its facts state the
    images that any of the networks was trained on, as if it had begun with the others, and the folds known to any model
    that has named something for one of them.

    Args:
        parts: at least one.

    Raises:
        ValueError: the networks are of several kinds, settings or shapes, or the weights are no positive numbers.
    """
    name, last, _ = parts[-1]
    for other, network, weight in parts:
        if network.network != last.network:
            raise ValueError(f"{other} holds a network for {network.network}, {name} one for {last.network}")
        if not (math.isfinite(weight) and weight > 0):
            raise ValueError(f"the weight of {other} must be a positive number, got {weight}")
        if not network.is_like(last, other):
            raise ValueError(f"{other} and {name} have networks of different settings, which have no mean")
    if len(parts) == 1:
        return last
    total = sum(weight for _, _, weight in parts)
    state = {
        key: torch.stack([network.state[key].float() * (weight / total) for _, network, weight in parts]).sum(0)
        if value.is_floating_point()
        else value
        for key, value in last.state.items()
    }
    shares = [
        {"share": weight / total, **{name: network.facts.get(name, "") for name in ("pack", "names")}}
        for _, network, weight in parts
    ]
    seen = reduce(TrainedOn.__or__, (trained_on(network.facts) for _, network, _ in parts))
    before = last.facts.get(INIT)
    digest = str(before.get("digest", "")) if isinstance(before, Mapping) else ""
    facts = {**last.facts, MEAN_OF: shares, INIT: init_facts(digest, seen), **_model_folds(parts)}
    return dataclasses.replace(last, state=state, facts=facts)


def _model_folds(parts: Sequence[Part]) -> dict[str, list[int] | None]:
    """The fact of all folds known to models that have named something for networks; ``None`` if one is unknown."""
    found = [network.facts[MODEL_FOLDS] for _, network, _ in parts if MODEL_FOLDS in network.facts]
    if not found:
        return {}
    return {MODEL_FOLDS: None if None in found else sorted(frozenset[int]().union(*found))}


def _shapes(network: NetworkFile) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in network.state.items()}
