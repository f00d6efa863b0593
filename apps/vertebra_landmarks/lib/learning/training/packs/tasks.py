"""What a training from a pack learns: random batches of a network, some with their mirror images, and their loss."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from ...codec import mirror_maps
from ...models.corner_net import CornerNet, CornerOutput, mirrored_output
from ...models.devices import quick_precision
from ...models.landmark_net import LandmarkNet, Maps
from ..batches.patches import BatchPatches, mirrored_patches
from ..batches.random_draws import BatchRandom
from ..batches.views import BatchViews, mirrored_views
from ..criterion import LandmarkCriterion
from ..losses import corner_loss

_MIN_SCORE = 0.3  # of the heatmaps, from which the offsets of a cell count
Terms = dict[str, torch.Tensor]


class ImageSampler:
    """Draws images, each with its own chance.

    Args:
        weights: ``(N,)`` on the device, in proportion to the chances.
        random: source of the random numbers.
    """

    def __init__(self, weights: torch.Tensor, random: BatchRandom) -> None:
        self.weights, self.random = weights, random

    def __call__(self, count: int) -> torch.Tensor:
        """``(count,)`` indices."""
        return torch.multinomial(self.weights, count, replacement=True, generator=self.random.generator)


class Task(ABC):
    """Batches of one network and their loss.

    Attributes:
        network: what learns, on its device.
        random: source of all random numbers of the batches.
    """

    network: torch.nn.Module
    random: BatchRandom

    @abstractmethod
    def loss(self) -> tuple[torch.Tensor, Terms]:
        """Total loss of a new batch, and its terms."""


class MirroredTask(Task):
    """A task of which a share of each batch are mirror images of others, on which the network must agree.

    Args:
        network: on its device.
        sampler: of images.
        weight: ``(N,)`` by which the corners of each image count.
        batch: items of a step, mirror images included.
        mirrored: share of them that are mirror images of others.
        consistency: weight of the difference between both.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        sampler: ImageSampler,
        weight: torch.Tensor,
        batch: int,
        mirrored: float,
        consistency: float,
    ) -> None:
        self.network, self.sampler, self.weight = network, sampler, weight
        self.random = sampler.random
        self.twice = int(batch * mirrored)
        self.once, self.consistency = batch - self.twice, consistency


class LandmarkTask(MirroredTask):
    """The landmark network on random views; of some the mirror images too, on which it must agree.

    Args:
        criterion: of maps.
        views: of images; ``batch`` counts them, ``consistency`` weighs the difference between maps.
        network, sampler, weight, batch, mirrored, consistency: as for ``MirroredTask``.
    """

    def __init__(
        self,
        network: LandmarkNet,
        criterion: LandmarkCriterion,
        views: BatchViews,
        sampler: ImageSampler,
        weight: torch.Tensor,
        batch: int,
        mirrored: float,
        consistency: float,
    ) -> None:
        super().__init__(network, sampler, weight, batch, mirrored, consistency)
        self.criterion, self.views = criterion, views

    def loss(self) -> tuple[torch.Tensor, Terms]:
        """Total loss of a new batch, and its terms."""
        index = self.sampler(self.once)
        (images, label), weight = self.views(index), self.weight[index]
        if self.twice:
            other, other_label = mirrored_views(images[: self.twice], label[: self.twice])
            images, label = torch.cat([images, other]), torch.cat([label, other_label])
            weight = torch.cat([weight, weight[: self.twice]])
        with quick_precision(images.device):
            maps = self.network(images.contiguous(memory_format=torch.channels_last))
        maps = Maps(*(part.float() for part in maps))
        total, terms = self.criterion(maps, label, weight)
        if self.twice:
            terms["mirror"] = mirror_difference(maps, self.twice)
            total = total + self.consistency * terms["mirror"]
        return total, terms


def mirror_difference(maps: Maps, count: int) -> torch.Tensor:
    """Difference between the maps of the first ``count`` views and those of their mirror images, a scalar.

    The mirror images are the last of the batch. The sum over the heatmaps is per view and vertebra, as that of the
    focal loss is; offsets count where a vertebra is seen.
    """
    plain = Maps(*(part[:count] for part in maps))
    other = mirror_maps(Maps(*(part[-count:] for part in maps)))
    a, b = plain.heatmap.sigmoid(), other.heatmap.sigmoid()
    heat = (a - b).square().sum() / (2 * a.shape[0] * a.shape[1])
    seen = (torch.maximum(a, b).amax(1, keepdim=True) > _MIN_SCORE).float()
    number = seen.sum().clamp(min=1.0)
    offset = ((plain.offset - other.offset).abs().mean(1, keepdim=True) * seen).sum() / number
    corner = ((plain.corner_offset - other.corner_offset).abs().mean(1, keepdim=True) * seen).sum() / number
    return heat + 0.5 * (offset + corner)


class CornerTask(MirroredTask):
    """The corner network on random patches; of some spines the mirror images too, on which it must agree.

    Args:
        patches: of images; ``batch`` counts spines, ``consistency`` weighs the distance between corners.
        network, sampler, weight, batch, mirrored, consistency: as for ``MirroredTask``.
    """

    def __init__(
        self,
        network: CornerNet,
        patches: BatchPatches,
        sampler: ImageSampler,
        weight: torch.Tensor,
        batch: int,
        mirrored: float,
        consistency: float,
    ) -> None:
        super().__init__(network, sampler, weight, batch, mirrored, consistency)
        self.patches = patches

    def loss(self) -> tuple[torch.Tensor, Terms]:
        """Total loss of a new batch, and its terms."""
        index = self.sampler(self.once)
        batch = self.patches(index)
        batch = batch._replace(is_known=batch.is_known * self.weight[index][:, None])
        if self.twice:
            other = mirrored_patches(type(batch)(*(part[: self.twice] for part in batch)))
            batch = type(batch)(*(torch.cat(pair) for pair in zip(batch, other, strict=True)))
        with quick_precision(batch.patches.device):
            output = self.network(batch.patches, batch.is_there)
        total, terms = corner_loss(output, batch.target, batch.is_known)
        if self.twice:
            plain = CornerOutput(*(part[: self.twice] for part in output))
            last = CornerOutput(*(part[-self.twice :] for part in output))
            back = mirrored_output(last, batch.patches.shape[-1])
            known = batch.is_known[: self.twice]
            apart = (plain.corners - back.corners).abs().mean((-2, -1))
            terms["mirror"] = (apart * known).sum() / known.sum().clamp(min=1.0)
            total = total + self.consistency * terms["mirror"]
        return total, terms
