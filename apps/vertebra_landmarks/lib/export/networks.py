"""The two networks of a weight file as plain functions of one tensor, and a predictor that calls other ones."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import nn

from ..learning.models.corner_net import CachedTokens, CornerNet, CornerOutput
from ..learning.models.landmark_net import LandmarkNet, Maps
from ..learning.prediction.predictor import LandmarkPredictor
from ..spine.schema import VERTEBRAE

LANDMARK, CORNER = "landmark_network", "corner_network"
INPUT = {LANDMARK: "image", CORNER: "patches"}
"""Name of each network's input."""

NetworkFunction = Callable[[np.ndarray], Sequence[np.ndarray]]
"""A float32 batch to the outputs of a network, in the order of ``ExportableNetwork.outputs``."""


class ExportableNetwork(NamedTuple):
    """A network and what its files say about it.

    Attributes:
        name: ``LANDMARK`` or ``CORNER``.
        module: takes one tensor and returns a tuple of tensors; in single precision and evaluation mode.
        shape: of one item of a batch.
        outputs: names.
    """

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    outputs: tuple[str, ...]

    def example(self, batch: int = 2) -> torch.Tensor:
        """A batch of noise, always the same."""
        return torch.rand(batch, *self.shape, generator=torch.Generator().manual_seed(0))

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """The network itself, in single precision even where predictions use bfloat16; see ``NetworkFunction``."""
        image = torch.from_numpy(batch).to(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            return [output.numpy() for output in self.module(image)]


class _LandmarkFunction(nn.Module):
    """Maps as a tuple; the heatmap as scores in 0...1."""

    def __init__(self, network: LandmarkNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        maps: Maps = self.network(image)
        return maps.heatmap.sigmoid(), maps.offset, maps.corner_offset


class _CornerFunction(nn.Module):
    """Corners and logarithms of their expected errors as a tuple."""

    def __init__(self, network: CornerNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        output, _ = self.network.among(patches)
        return output.corners, output.log_errors


def exportable_networks(predictor: LandmarkPredictor) -> list[ExportableNetwork]:
    """The landmark network and, where there is one, the corner network of a predictor on the CPU."""
    size = predictor.config.input
    maps = ("heatmap", "offset", "corner_offset")
    networks = [
        ExportableNetwork(LANDMARK, _LandmarkFunction(predictor.network).eval(), (1, size.height, size.width), maps)
    ]
    if predictor.refinement is not None:
        patch = predictor.refinement.config
        module = _CornerFunction(predictor.refinement.network).eval()
        shape = (len(VERTEBRAE), patch.height, patch.width)
        networks.append(ExportableNetwork(CORNER, module, shape, ("corners", "log_errors")))
    return networks


class _LandmarkStandIn:
    """Called like ``LandmarkNet``."""

    def __init__(self, function: NetworkFunction) -> None:
        self._function = function

    def __call__(self, image: torch.Tensor) -> Maps:
        heatmap, offset, corner_offset = map(torch.from_numpy, self._function(image.contiguous().numpy()))
        return Maps(heatmap.double().logit().float(), offset, corner_offset)


class _CornerStandIn:
    """Called like ``CornerNet.among`` of all vertebrae; an exported network keeps no tokens."""

    def __init__(self, function: NetworkFunction) -> None:
        self._function = function

    def among(self, patches: torch.Tensor, cached: CachedTokens | None = None) -> tuple[CornerOutput, torch.Tensor]:
        """Corners of all vertebrae, and tokens without channels.

        Raises:
            ValueError: tokens are given: corrections need the network itself.
        """
        if cached is not None:
            raise ValueError("an exported corner network sees all vertebrae at once; it corrects no prediction")
        output = CornerOutput(*map(torch.from_numpy, self._function(patches.contiguous().numpy())))
        return output, torch.empty(*patches.shape[:2], 0)


def with_functions(predictor: LandmarkPredictor, functions: dict[str, NetworkFunction]) -> LandmarkPredictor:
    """A predictor that does all but the networks as another one does, for images without fixed landmarks.

    Args:
        predictor: on the CPU.
        functions: by name, one for each network that the predictor has.
    """
    other = copy.copy(predictor)
    other.network = cast(LandmarkNet, _LandmarkStandIn(functions[LANDMARK]))  # called alike
    if other.refinement is not None:
        other.refinement = replace(other.refinement, network=cast(CornerNet, _CornerStandIn(functions[CORNER])))
    return other
