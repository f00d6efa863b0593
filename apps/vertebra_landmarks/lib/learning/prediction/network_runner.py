"""The landmark network at work: from a radiograph to the view that shows its spine best."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from ...image_io import Radiograph, UnreadableImageError
from ..codec import LandmarkCodec, mirror_maps
from ..config import InputConfig, PredictionConfig
from ..data.image_views import fitting_matrix, spine_view, view
from ..decoders import Decoder, FixedLandmarks
from ..models.devices import quick_precision
from ..models.landmark_net import LandmarkNet, Maps
from .network_view import NetworkView
from .request import PredictionCache
from .spine_checks import is_second_spine, within
from .timer import Timer
from .upright import FOUND, UprightImage, UprightTurn, chosen_turn, stated_turn, turns_to_test

_SCORE_SLACK = 0.05  # by which the coarse view may score higher than the fine one and still not replace it
_MAX_WIDER_STEPS = 2  # the second where the first wider view leaves out fixed points that were in view before
_GRID = 32  # cells along the longer side of the image, to which a wider view's fixed points are rounded


@dataclass(frozen=True)
class NetworkRunner:
    """The landmark network at work on one image.

    Attributes:
        network: in evaluation mode, on its device.
        codec: of the network.
        decoder: that finds the spine in a coarse view.
        size: of the network's input.
        limits: which views are asked for, and what counts as a spine.
        device: where to compute.
        timer: of the prediction.
    """

    network: LandmarkNet
    codec: LandmarkCodec
    decoder: Decoder
    size: InputConfig
    limits: PredictionConfig
    device: torch.device
    timer: Timer

    def run(self, radiograph: Radiograph, cache: PredictionCache) -> tuple[UprightImage, NetworkView]:
        """The upright image, and the view that shows its spine best.

        Raises:
            UnreadableImageError: the image is too small, or all its pixels are equal.
        """
        turn, view = cache.best_view(lambda: self._upright_best_view(radiograph))
        return UprightImage(radiograph, turn), view

    def view_covering(
        self, fixed: FixedLandmarks, image: UprightImage, view: NetworkView, cache: PredictionCache
    ) -> NetworkView:
        """The view, or a wider one where fixed points, in upright pixels, lie outside of it.

        A wider view depends on where these points are about, so that it is the same again for those that follow, and
        on nothing that was asked before. For points beside the image it is chosen to show the nearest pixel.
        """
        upright = image.radiograph
        size = np.array([upright.width, upright.height])
        inside, outside_view = FixedLandmarks(np.clip(fixed.xy, 0, size - 1)), np.zeros(fixed.mask.shape, bool)
        for _ in range(_MAX_WIDER_STEPS):
            hidden = fixed.mask & ~outside_view & ~view.covers(inside, self.size)
            if not hidden.any():
                break
            outside_view |= hidden
            grid = size.max() / _GRID
            positions = np.clip(np.round(inside.only(outside_view).xy / grid) * grid, 0, size - 1)
            view = cache.wider_view(positions.tobytes(), partial(self._wider_view, upright, FixedLandmarks(positions)))
        return view

    def _wider_view(self, upright: Radiograph, nearby: FixedLandmarks) -> NetworkView:
        return self.best_view(upright, self.coarse_view(upright), nearby)

    def _upright_best_view(self, radiograph: Radiograph) -> tuple[UprightTurn, NetworkView]:
        _check_image(radiograph, self.limits)
        turn, coarse = self._upright_view(radiograph)
        upright = radiograph.upright(turn.orientation)
        return turn, self.best_view(upright, coarse, FixedLandmarks.none())

    def _upright_view(self, radiograph: Radiograph) -> tuple[UprightTurn, NetworkView]:
        """How an image is brought upright, and the coarse view of it so.

        Where its score is low, the spine is looked for after further turns as well.
        """
        turn = stated_turn(radiograph)
        coarse = self.coarse_view(radiograph.upright(turn.orientation))
        others = {
            further: self.coarse_view(radiograph.upright(turn.orientation.followed_by(further)))
            for further in turns_to_test(coarse.score, self.limits.min_spine_score)
        }
        if not others:
            return turn, coarse
        chosen = chosen_turn(turn, coarse.score, {further: other.score for further, other in others.items()})
        if chosen.source == FOUND:
            coarse = max(others.values(), key=lambda other: other.score)
        return chosen, coarse

    def coarse_view(self, upright: Radiograph) -> NetworkView:
        """The whole upright image, once and from few of its pixels where a fine view follows."""
        matrix = fitting_matrix(upright.height, upright.width, self.size)
        return self.show(upright, matrix, is_coarse=self.limits.second_look)

    def best_view(self, upright: Radiograph, coarse: NetworkView, fixed: FixedLandmarks) -> NetworkView:
        """The spine enlarged where the coarse view shows it, or the whole image where that shows it better.

        Of an image that shows two spines, the view is restricted to one.

        Args:
            upright: the image.
            coarse: of the whole image.
            fixed: points of the spine, in upright pixels.
        """
        centers = coarse.decode(self.decoder, fixed).xy[:, 0]
        has_second = is_second_spine(coarse.maps, coarse.cells_of(centers))
        if has_second:
            coarse = self._restricted(coarse, centers)
            centers = coarse.decode(self.decoder, fixed).xy[:, 0]
        self.timer.lap("decode")
        if not self.limits.second_look:
            return coarse
        span, margin = self.limits.second_look_span, self.limits.second_look_margin
        views = [self.show(upright, spine_view(centers, span, margin, self.size))]
        if views[0].score < max(coarse.score - _SCORE_SLACK, self.limits.min_spine_score):
            views.append(self.show(upright, coarse.matrix))
        if has_second:
            views = [self._restricted(fine, centers) for fine in views]
        return max(views, key=lambda fine: fine.score)

    def show(self, upright: Radiograph, matrix: np.ndarray, is_coarse: bool = False) -> NetworkView:
        """Run the network on what a matrix ``(3, 3)`` shows of an upright image; coarse is quicker and less exact."""
        image = view(upright.pixels, matrix, self.size, is_coarse)[None].to(self.device)
        self.timer.lap("prepare")
        maps = self.maps(image)
        if self.limits.mirror and not is_coarse and self._score(maps) < self.limits.mirror_below:
            mirrored = mirror_maps(self.maps(image.flip(-1)))
            maps = Maps(*((a + b) / 2 for a, b in zip(maps, mirrored, strict=True)))
        self.timer.lap("forward")
        result = NetworkView(maps, matrix, self._score(maps))
        self.timer.lap("decode")
        return result

    def maps(self, image: torch.Tensor) -> Maps:
        """Maps of one image ``(1, 1, H, W)``, on the CPU, heatmap in 0...1."""
        with torch.inference_mode(), quick_precision(self.device):
            output = self.network(image.to(memory_format=torch.channels_last))
        maps = Maps(*(m.float().cpu() for m in output))
        return maps._replace(heatmap=maps.heatmap.sigmoid())

    def _restricted(self, whole: NetworkView, centers: np.ndarray) -> NetworkView:
        """The view of nothing but the spine with centers ``(V, 2)``, upright pixels."""
        cells = whole.cells_of(centers)
        return replace(whole, score=self._score(within(whole.maps, cells)), cells=cells)

    def _score(self, maps: Maps) -> float:
        return float(self.codec.decode(maps).scores.mean())


def _check_image(radiograph: Radiograph, limits: PredictionConfig) -> None:
    height, width = radiograph.height, radiograph.width
    if min(height, width) < limits.min_shorter_side or max(height, width) < limits.min_longer_side:
        raise UnreadableImageError(
            f"the image has {width} x {height} pixels; at least {limits.min_shorter_side} on the shorter and "
            f"{limits.min_longer_side} on the longer side are needed"
        )
    if radiograph.pixels.min() == radiograph.pixels.max():
        raise UnreadableImageError("all pixels of the image have the same value: there is nothing to see")
