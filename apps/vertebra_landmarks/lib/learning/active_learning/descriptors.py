"""Image descriptors: uncertainty, disagreement, anatomy and features of an image, for active learning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from ...image_io import Radiograph
from ...spine.geometry import center_distances, rotation, transform_points, translation
from ...spine.measurement.anatomy import violations
from ...spine.schema import VERTEBRAE
from ..codec import LandmarkCodec, mirror_maps
from ..data.image_views import sampling_matrix, view
from ..decoders import Decoder
from ..models.landmark_net import LandmarkNet, Maps
from ..prediction.predictor import LandmarkPredictor

_TURN_DEG, _SIZE = 5.0, 0.95  # of the view that is neither the image nor its mirror image
_MAX_DISTANCE = 1.0  # steps; a point that is off by more disagrees no more
_MIN_SCORE = 1e-3
_MIN_STEP = 1.0  # pixels of the input


@dataclass(frozen=True)
class ImageDescriptor:
    """What a network says about one image.

    Attributes:
        entropy: of the heatmaps, as shares of that of an even one; mean over the vertebrae, 0...1.
        disagreement: mean distance of the points from their mean over the image, its mirror image and the image
            turned and made a little smaller; in steps between vertebrae, at most 1.
        margin: by how much the log scores of the best plausible spine (MAP decoding) fall below the highest of each
            channel for itself, mean over the vertebrae, at least 0.
        violations: limits of anatomy that the points of each channel for itself break.
        features: ``(D,)`` means of the backbone's channels over the map.
        shape: ``(V, 2)`` centers of the best plausible spine, from their mean, in steps.
    """

    entropy: float
    disagreement: float
    margin: float
    violations: int
    features: np.ndarray
    shape: np.ndarray

    @property
    def uncertainty(self) -> float:
        """Entropy of the heatmaps plus disagreement between views of the image.

        Both lie in 0...1: an even heatmap counts as much as points that lie a whole vertebra apart.
        """
        return self.entropy + self.disagreement


def describe_images(
    network: LandmarkNet, codec: LandmarkCodec, decoder: Decoder, images: torch.Tensor
) -> list[ImageDescriptor]:
    """Describe some images by what a network says of them.

    Args:
        network: in evaluation mode, on the device of the images.
        codec: of the network, with one heatmap per vertebra.
        decoder: that finds plausible spines.
        images: ``(B, 1, H, W)`` in 0...1.

    Raises:
        ValueError: the network has a single heatmap for all vertebrae, so that nothing is known of each.
    """
    with torch.inference_mode():
        branches = network.backbone(images)
        fused = network.fusion(branches)
        maps = _ready(Maps(network.heatmap(fused), network.offset(fused), network.corner_offset(fused)))
        if maps.heatmap.shape[1] != len(VERTEBRAE):
            raise ValueError(
                f"choosing images needs {len(VERTEBRAE)} heatmaps, the network has {maps.heatmap.shape[1]}"
            )
        mirrored = mirror_maps(_ready(network(images.flip(-1))))
        matrix = turned_matrix(*images.shape[-2:])
        turned = _ready(network(moved(images, matrix)))
    plain = codec.decode(maps)
    points = plain.xy.double().numpy()  # (B, V, P, 2)
    back = transform_points(np.linalg.inv(matrix), codec.decode(turned).xy.double().numpy())
    views = np.stack([points, codec.decode(mirrored).xy.double().numpy(), back])
    features = torch.cat([branch.float().mean((2, 3)) for branch in branches], 1).cpu().numpy()
    entropies = _entropies(maps.heatmap)
    descriptors = []
    for number in range(len(images)):
        spine = decoder.decode(Maps(*(part[number : number + 1] for part in maps)))
        step = max(float(center_distances(spine.xy[:, 0]).mean()), _MIN_STEP)
        away = np.linalg.norm(views[:, number] - views[:, number].mean(0), axis=-1) / step
        highest, chosen = plain.scores[number].double().numpy(), spine.scores[:, 0]
        fall = np.log(np.maximum(highest, _MIN_SCORE)) - np.log(np.maximum(chosen, _MIN_SCORE))
        descriptors.append(
            ImageDescriptor(
                float(entropies[number]),
                float(np.minimum(away, _MAX_DISTANCE).mean()),
                float(np.maximum(fall, 0.0).mean()),
                len(violations(points[number])),
                features[number],
                (spine.xy[:, 0] - spine.xy[:, 0].mean(0)) / step,
            )
        )
    return descriptors


def describe_image(predictor: LandmarkPredictor, radiograph: Radiograph) -> ImageDescriptor:
    """Describe an image by the view that shows its spine best.

    Raises:
        UnreadableImageError: the image is too small, or all its pixels are equal.
        ValueError: the network has a single heatmap for all vertebrae.
    """
    image, shown = predictor.run_network(radiograph)
    pixels = view(image.radiograph.pixels, shown.matrix, predictor.config.input)[None].to(predictor.device)
    return describe_images(predictor.network, predictor.codec, predictor.decoders["map"], pixels)[0]


def _ready(maps: Maps) -> Maps:
    """On the CPU, the heatmap in 0...1."""
    maps = Maps(*(part.float().cpu() for part in maps))
    return maps._replace(heatmap=maps.heatmap.sigmoid())


def _entropies(heatmap: torch.Tensor) -> torch.Tensor:
    """``(B,)`` of heatmaps ``(B, V, h, w)``."""
    flat = heatmap.flatten(2) + 1e-9
    share = flat / flat.sum(-1, keepdim=True)
    return -(share * share.log()).sum(-1).mean(-1) / np.log(flat.shape[-1])


def turned_matrix(height: int, width: int) -> np.ndarray:
    """``(3, 3)`` from pixels of the image to pixels of its turned view."""
    x, y = (width - 1) / 2, (height - 1) / 2
    matrix: np.ndarray = translation(x, y) @ rotation(_TURN_DEG) @ np.diag([_SIZE, _SIZE, 1.0]) @ translation(-x, -y)
    return matrix


def moved(images: torch.Tensor, matrix: np.ndarray) -> torch.Tensor:
    """Images ``(B, C, H, W)`` as a matrix ``(3, 3)`` moves their pixels, in views of the same size."""
    size = images.shape[-2], images.shape[-1]
    theta = torch.from_numpy(sampling_matrix(np.linalg.inv(matrix), size, size)).to(images)
    grid = F.affine_grid(theta[None].expand(len(images), -1, -1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
