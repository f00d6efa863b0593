"""From one radiograph to one spine: the path that scripts and server share."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..spine.geometry import transform_points
from ..spine.schema import POINTS, Spine
from .codec import LandmarkCodec, mirror_maps
from .config import load_config
from .network import Maps, on_device
from .reading import Radiograph, UnreadableImageError
from .transforms import IMAGE, MATRIX, prediction_transforms
from .weights import build_network, load_weights

DECODER = "parallel"


class NoSpineError(ValueError):
    """The image is readable but shows no spine; the message says how sure that is."""


@dataclass(frozen=True)
class Prediction:
    """Landmarks of one image.

    Attributes:
        spine: all 85 points in pixels of the original image.
        spine_score: mean center score, the evidence that there is a spine at all.
        seconds: duration of each stage by name.
    """

    spine: Spine
    spine_score: float
    seconds: dict[str, float]


class LandmarkPredictor:
    """A trained network, ready to predict; safe to call from several threads.

    The network, its input size and its codec are as it was trained; what counts as an image and as a spine is taken
    from the app's present configuration.

    Args:
        weights: weight file.
        device: where to compute.

    Raises:
        ValueError: the file is no weight file of this project.
        OSError: the file cannot be read.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        content = load_weights(weights)
        self.config = content.config
        self.facts = content.facts
        self.limits = load_config().prediction
        self.device = device
        self.network = on_device(build_network(content, weights), device)
        self.codec = LandmarkCodec(self.config.codec)
        self._prepare = prediction_transforms(self.config)

    def predict(self, radiograph: Radiograph) -> Prediction:
        """Find the landmarks of an image that shows a spine.

        Args:
            radiograph: one image.

        Raises:
            UnreadableImageError: the image is too small, or all its pixels are equal.
            NoSpineError: it shows no spine.
        """
        prediction = self.locate(radiograph)
        if prediction.spine_score < self.limits.min_spine_score:
            raise NoSpineError(
                f"no spine was found: the mean score of the 17 centers is {prediction.spine_score:.2f}, "
                f"at least {self.limits.min_spine_score:.2f} is expected of a radiograph that shows T1 to L5"
            )
        return prediction

    def locate(self, radiograph: Radiograph) -> Prediction:
        """The most likely landmarks, however unlikely that the image shows a spine.

        Args:
            radiograph: one image.

        Raises:
            UnreadableImageError: the image is too small, or all its pixels are equal.
        """
        self._check(radiograph)
        begin = time.perf_counter()
        data = self._prepare({IMAGE: radiograph})
        prepared = time.perf_counter()
        with torch.inference_mode():
            maps = self._maps(data[IMAGE][None].to(self.device))
        computed = time.perf_counter()
        decoded = self.codec.decode(maps)
        back = np.linalg.inv(data[MATRIX].numpy())
        xy = transform_points(back, decoded.xy[0].double().numpy())
        centers = decoded.scores[0].double().numpy()
        spine = Spine.from_arrays(xy, np.repeat(centers[:, None], len(POINTS), 1))
        done = time.perf_counter()
        seconds = {"prepare": prepared - begin, "forward": computed - prepared, "decode": done - computed}
        return Prediction(spine, float(centers.mean()), seconds)

    def _maps(self, image: torch.Tensor) -> Maps:
        """Maps of one image ``(1, 1, H, W)``, on the CPU, heatmap in 0...1."""
        if self.limits.mirror:
            image = torch.cat([image, image.flip(-1)])
        maps = Maps(*(m.float().cpu() for m in self.network(image.to(memory_format=torch.channels_last))))
        maps = maps._replace(heatmap=maps.heatmap.sigmoid())
        if not self.limits.mirror:
            return maps
        plain, mirrored = Maps(*(m[:1] for m in maps)), mirror_maps(Maps(*(m[1:] for m in maps)))
        return Maps(*((a + b) / 2 for a, b in zip(plain, mirrored, strict=True)))

    def _check(self, radiograph: Radiograph) -> None:
        height, width = radiograph.height, radiograph.width
        if min(height, width) < self.limits.min_shorter_side or max(height, width) < self.limits.min_longer_side:
            raise UnreadableImageError(
                f"the image has {width} x {height} pixels; at least {self.limits.min_shorter_side} on the shorter and "
                f"{self.limits.min_longer_side} on the longer side are needed"
            )
        if radiograph.pixels.min() == radiograph.pixels.max():
            raise UnreadableImageError("all pixels of the image have the same value: there is nothing to see")
