"""From the images of a pack to what a network learns: how often each is drawn, and by how much it counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from ...codec import LandmarkCodec
from ...config import Config, CornerConfig, NetworkConfig
from ...models.corner_net import CornerNet
from ...models.devices import NetworkT, on_device
from ...models.landmark_net import LandmarkNet
from ...weights.network_file import CORNERS, LANDMARKS, NetworkFile
from ...weights.provenance import differences
from ..batches.image_bank import ImageBank
from ..batches.patches import BatchPatches, corner_rows
from ..batches.random_draws import BatchRandom
from ..batches.views import BatchViews
from ..criterion import LandmarkCriterion
from .tasks import CornerTask, ImageSampler, LandmarkTask, Task
from .training_pack import BOXED, GENERATED, KINDS, LABELLED, PHANTOM, SPINELESS, STRIP, PackedImage

SHARES = {
    LANDMARKS: {LABELLED: 0.5, BOXED: 0.17, STRIP: 0.03, GENERATED: 0.17, PHANTOM: 0.07, SPINELESS: 0.06},
    CORNERS: {LABELLED: 0.74, BOXED: 0.09, STRIP: 0.02, GENERATED: 0.1, PHANTOM: 0.05, SPINELESS: 0.0},
}
"""How often images of each kind are drawn, in proportion."""
TAUGHT_WEIGHT = 0.4
"""By which corners that a model has placed count, for either network."""
MIRRORED = 0.25
"""Share of a batch that are mirror images of others in it."""
CONSISTENCY = {LANDMARKS: 1.0, CORNERS: 0.25}
"""Weight of the difference between the outputs for an image and for its mirror image."""


class Initial(NamedTuple):
    """A network to begin with.

    Attributes:
        name: of its file, for errors.
        network: of the kind that is trained.
    """

    name: str
    network: NetworkFile


def build_task(
    network: str,
    images: Sequence[PackedImage],
    config: Config,
    initial: Initial | None,
    device: torch.device,
    batch: int,
    seed: int,
) -> Task:
    """A network and what it learns from.

    Args:
        network: ``LANDMARKS`` or ``CORNERS``.
        images: that may be learnt from.
        config: all tunables.
        initial: network to begin with; ``None`` for random weights.
        device: where to train.
        batch: views or spines of a step.
        seed: of all that is random.

    Raises:
        ValueError: the network to begin with has other settings, or there is no image to learn from.
    """
    torch.manual_seed(seed)
    random = BatchRandom(device, seed)
    build = _landmark_task if network == LANDMARKS else _corner_task
    return build(images, config, initial, device, batch, random)


def _landmark_task(
    images: Sequence[PackedImage],
    config: Config,
    initial: Initial | None,
    device: torch.device,
    batch: int,
    random: BatchRandom,
) -> LandmarkTask:
    network = _started(LandmarkNet(config.network), initial, config.network, device)
    weights = chances(images, SHARES[LANDMARKS], np.ones(len(images), bool))
    labels = torch.from_numpy(np.stack([image.label for image in images]))
    bank = ImageBank([image.pixels for image in images], device)
    views = BatchViews(bank, labels, config.input, config.augmentation, random)
    criterion = LandmarkCriterion(LandmarkCodec(config.codec), config.loss)
    sampler = ImageSampler(weights.to(device), random)
    counts = _corner_counts(images, device)
    return LandmarkTask(network, criterion, views, sampler, counts, batch, MIRRORED, CONSISTENCY[LANDMARKS])


def _corner_task(
    images: Sequence[PackedImage],
    config: Config,
    initial: Initial | None,
    device: torch.device,
    batch: int,
    random: BatchRandom,
) -> CornerTask:
    network = _started(CornerNet(config.refiner), initial, config.refiner, device)
    rows, taught = (np.stack(part) for part in zip(*(corner_rows(image.label) for image in images), strict=True))
    weights = chances(images, SHARES[CORNERS], rows.sum(1) >= 2)
    corners = torch.from_numpy(np.stack([image.label[:, 1:, :2] for image in images]))
    bank = ImageBank([image.pixels for image in images], device)
    ranges = config.refiner_augmentation
    patches = BatchPatches(
        bank, corners, torch.from_numpy(rows), torch.from_numpy(taught), config.refiner, ranges, random
    )
    sampler = ImageSampler(weights.to(device), random)
    counts = _corner_counts(images, device)
    return CornerTask(network, patches, sampler, counts, batch, MIRRORED, CONSISTENCY[CORNERS])


def _corner_counts(images: Sequence[PackedImage], device: torch.device) -> torch.Tensor:
    """``(N,)`` by which the corners of each image count."""
    return torch.tensor([TAUGHT_WEIGHT if image.is_taught else 1.0 for image in images], device=device)


def _started(
    network: NetworkT, initial: Initial | None, config: NetworkConfig | CornerConfig, device: torch.device
) -> NetworkT:
    """A network on its device, with the weights of ``initial`` if there is one.

    Raises:
        ValueError: its weights do not fit; the message says which settings differ.
    """
    if initial is not None:
        name, begun = initial
        stored = begun.model_settings(name).network if begun.network == LANDMARKS else begun.corner_settings(name)
        try:
            network.load_state_dict(begun.state)
        except RuntimeError as error:
            differing = differences(dataclasses.asdict(stored), dataclasses.asdict(config)) or "shapes of its weights"
            raise ValueError(
                f"{name} has a network of other settings than those of this training: {differing}"
            ) from error
    return on_device(network.float(), device)


def chances(images: Sequence[PackedImage], shares: Mapping[str, float], may_be_drawn: np.ndarray) -> torch.Tensor:
    """How often every image is drawn.

    Args:
        images: N of them.
        shares: of each kind, divided evenly among its images.
        may_be_drawn: ``(N,)`` bool.

    Returns:
        ``(N,)``, in proportion to the chances.

    Raises:
        ValueError: no image can be drawn.
    """
    kinds = np.array([image.kind for image in images])
    weights = np.zeros(len(images))
    for kind in KINDS:
        those = (kinds == kind) & may_be_drawn
        weights[those] = shares[kind] / max(1, those.sum())
    if not weights.any():
        raise ValueError("the pack has no image to learn from")
    return torch.from_numpy(weights)
