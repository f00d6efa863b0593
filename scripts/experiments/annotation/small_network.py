"""A landmark network so small that one core trains it in seconds: what simulated rounds of annotation learn with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lib.learning.active_learning import ImageDescriptor, describe_images
from lib.learning.codec import STATE, LandmarkCodec, mirror_maps
from lib.learning.config import InputConfig, load_config
from lib.learning.data.image_views import sampling_matrix
from lib.learning.decoders import make_decoder
from lib.learning.models.devices import on_device
from lib.learning.models.hrnet import basic_block, conv_norm
from lib.learning.models.landmark_net import HEATMAP_BIAS, Fusion, LandmarkNet, Maps, head
from lib.learning.training.losses import masked_l1_loss, penalty_reduced_focal_loss
from lib.spine.atomic_write import atomic_write
from lib.spine.chain_prior import DEFAULT_PRIOR
from lib.spine.geometry import center_distances, mirrored_order, rotation, translation
from lib.spine.schema import CORNERS, VERTEBRAE

INPUT = InputConfig(height=192, width=64)
"""Size of the images that it sees, pixels."""

_WIDTHS = (16, 24, 40, 64)
"""Channels at 1/4, 1/8, 1/16 and 1/32 of the size."""
_HEAD_CHANNELS = 24
_BATCH, _LOOKED_AT = 8, 64
_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 1e-2
_WARMUP = 0.1  # share of the steps
_GRADIENT_CLIP = 10.0
_TURN_DEG, _SIZE, _SHIFT = 8.0, (0.85, 1.08), 0.04
_GAMMA, _NOISE = (0.65, 1.5), 0.04
MIRRORED = [0, *(1 + index for index in mirrored_order(CORNERS))]
"""Places of the points of a vertebra in a mirror image."""


class SmallBackbone(nn.Module):
    """One residual block at each of four sizes, each half as large as the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(1, _WIDTHS[0], 3, stride=2), conv_norm(_WIDTHS[0], _WIDTHS[0], 3, stride=2))
        self.levels = nn.ModuleList(
            nn.Sequential(conv_norm(before, width, 3, stride=1 + (stage > 0)), basic_block(width))
            for stage, (before, width) in enumerate(zip((_WIDTHS[0], *_WIDTHS), _WIDTHS, strict=False))
        )

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """``(B, 1, H, W)`` to features at strides 4, 8, 16 and 32."""
        branches = [self.stem(image)]
        for level in self.levels:
            branches.append(level(branches[-1]))
        return branches[1:]


class SmallLandmarkNet(LandmarkNet):
    """The landmark network with a plain, narrow backbone instead of HRNet."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.add_module("backbone", SmallBackbone())
        self.fusion = Fusion(_WIDTHS, _HEAD_CHANNELS)
        self.heatmap = head(_HEAD_CHANNELS, len(VERTEBRAE), 1)
        self.offset = head(_HEAD_CHANNELS, 2, 1)
        self.corner_offset = head(_HEAD_CHANNELS, 2 * len(CORNERS), 7)
        for layers in (self.heatmap, self.offset, self.corner_offset):
            nn.init.normal_(layers[-1].get_parameter("weight"), std=0.001)
        nn.init.constant_(self.heatmap[-1].get_parameter("bias"), HEATMAP_BIAS)


@dataclass(frozen=True)
class LabelledImages:
    """Images as the network sees them.

    Attributes:
        images: ``(N, 1, H, W)`` in 0...1.
        labels: ``(N, V, P, 3)`` x, y in pixels of the images and state.
    """

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, which: list[int]) -> LabelledImages:
        return LabelledImages(self.images[which], self.labels[which])


class NetworkLearner:
    """Learns from some images of a pool by gradient descent, from what was learnt before, and is tried on others.

    Args:
        start: weights to begin with.
        pool: images to learn from.
        held_out: images to be tried on.
        steps: of the first learning and of every other.
    """

    def __init__(
        self, start: SmallLandmarkNet, pool: LabelledImages, held_out: LabelledImages, steps: tuple[int, int]
    ) -> None:
        config = load_config()
        self._codec = LandmarkCodec(config.codec)
        self._decoder = make_decoder("map", self._codec, DEFAULT_PRIOR, config.map)
        self._start, self._pool, self._held_out, self._steps = start, pool, held_out, steps

    def learn(self, chosen: Sequence[int], before: SmallLandmarkNet | None, seed: int) -> SmallLandmarkNet:
        """The network after some images of the pool."""
        steps = self._steps[before is not None]
        return train(self._pool[list(chosen)], self._codec, steps, seed, (before or self._start).state_dict())

    def keep(self, network: SmallLandmarkNet, path: Path) -> None:
        """Write what was learnt."""
        save(path, network)

    def taken_up(self, path: Path, chosen: Sequence[int]) -> SmallLandmarkNet:
        """What was learnt from some images before."""
        return load(path)

    def errors(self, network: SmallLandmarkNet) -> np.ndarray:
        """``(N, V, K)`` of the held-out images, see ``corner_errors``."""
        return corner_errors(network, self._codec, self._held_out)

    def opinions(self, network: SmallLandmarkNet) -> list[ImageDescriptor]:
        """About all images of the pool."""
        images = self._pool.images.split(_LOOKED_AT)
        return [opinion for some in images for opinion in describe_images(network, self._codec, self._decoder, some)]


def save(path: Path, network: SmallLandmarkNet) -> None:
    """Write weights.

    Raises:
        OSError: they cannot be written.
    """
    with atomic_write(path) as temporary:
        torch.save(network.state_dict(), temporary)


def load(path: Path) -> SmallLandmarkNet:
    """The network of such a file.

    Raises:
        OSError: it cannot be read.
    """
    network = SmallLandmarkNet()
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def train(
    data: LabelledImages, codec: LandmarkCodec, steps: int, seed: int, start: Mapping[str, torch.Tensor] | None = None
) -> SmallLandmarkNet:
    """A network that has seen ``steps`` batches of randomly moved images, from given or random weights."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    network = SmallLandmarkNet()
    if start is not None:
        network.load_state_dict(start)
    on_device(network.train(), torch.device("cpu"))
    optimizer = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, steps + 1, pct_start=_WARMUP)
    order: list[int] = []
    for _ in range(steps):
        while len(order) < _BATCH:
            order += random.permutation(len(data)).tolist()
        batch, order = data[order[:_BATCH]], order[_BATCH:]
        images, labels = varied(batch, random)
        loss = _loss(network(images.contiguous(memory_format=torch.channels_last)), labels, codec)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), _GRADIENT_CLIP)
        optimizer.step()
        schedule.step()
    return network.eval()


def _loss(maps: Maps, labels: torch.Tensor, codec: LandmarkCodec) -> torch.Tensor:
    targets = codec.encode(labels, (maps.heatmap.shape[2] * codec.stride, maps.heatmap.shape[3] * codec.stride))
    ideal = targets.maps
    return (
        penalty_reduced_focal_loss(maps.heatmap, ideal.heatmap, targets.heatmap_weight)
        + masked_l1_loss(maps.offset, ideal.offset, targets.offset_weight)
        + masked_l1_loss(maps.corner_offset, ideal.corner_offset, targets.corner_weight)
    )


def corner_errors(network: LandmarkNet, codec: LandmarkCodec, data: LabelledImages) -> np.ndarray:
    """Distances of all corners from their labels, in steps between the labelled vertebrae.

    Every channel is read for itself, off the mean of the maps of an image and its mirror image.

    Returns:
        ``(N, V, K)``.
    """
    with torch.inference_mode():
        plain, mirrored = network(data.images), mirror_maps(network(data.images.flip(-1)))
    heatmap = (plain.heatmap.sigmoid() + mirrored.heatmap.sigmoid()) / 2
    offset, corner_offset = (plain.offset + mirrored.offset) / 2, (plain.corner_offset + mirrored.corner_offset) / 2
    found = codec.decode(Maps(heatmap, offset, corner_offset)).xy.double().numpy()
    labelled = data.labels[..., :STATE].double().numpy()
    away: np.ndarray = np.linalg.norm(found - labelled, axis=-1)[:, :, 1:]
    step = np.array([center_distances(spine[:, 0]).mean() for spine in labelled])
    return away / step[:, None, None]


def varied(data: LabelledImages, random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Images ``(B, 1, H, W)`` turned, moved, mirrored and of other contrast, and their labels ``(B, V, P, 3)``."""
    count, (height, width) = len(data), data.images.shape[-2:]
    matrices = np.stack([_random_matrix(random, height, width) for _ in range(count)])
    back = torch.from_numpy(sampling_matrix(np.linalg.inv(matrices), (height, width), (height, width))).float()
    grid = F.affine_grid(back, [count, 1, height, width], align_corners=False)
    images = F.grid_sample(data.images, grid, align_corners=False)
    low, high = np.log(_GAMMA)
    gamma = np.exp(random.uniform(low, high, (count, 1, 1, 1)))
    noise = random.uniform(0, _NOISE, (count, 1, 1, 1)) * random.standard_normal(images.shape)
    images = images ** torch.from_numpy(gamma).float() + torch.from_numpy(noise).float()
    move = torch.from_numpy(matrices).float()
    labels = data.labels.clone()
    labels[..., :STATE] = (
        torch.einsum("bij,bvpj->bvpi", move[:, :2, :2], labels[..., :STATE]) + move[:, None, None, :2, 2]
    )
    is_mirrored = torch.from_numpy(np.linalg.det(matrices[:, :2, :2]) < 0)
    labels[is_mirrored] = labels[is_mirrored][:, :, MIRRORED]
    return images, labels


def _random_matrix(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    middle = np.array([width - 1, height - 1]) / 2
    size = random.uniform(*_SIZE) * np.array([random.choice([-1, 1]) * random.uniform(0.92, 1.08), 1.0])
    shift = random.uniform(-_SHIFT, _SHIFT, 2) * (width, height)
    turn = rotation(random.uniform(-_TURN_DEG, _TURN_DEG))
    matrix: np.ndarray = translation(*(middle + shift)) @ turn @ np.diag([*size, 1.0]) @ translation(*-middle)
    return matrix
