"""Sequential decoding: T1 first, then each center inside a rectangle below the one before."""

from __future__ import annotations

import numpy as np

from ...spine.fixed_landmarks import FixedLandmarks
from ...spine.geometry import center_distances
from ..codec import peaks
from .base import CenterEstimate, Decoder, with_fixed_centers
from .candidates import Fields

_HALF_WIDTH, _FROM, _TO = 1.0, 0.3, 1.65
"""The rectangle of the published figure, in steps: half its width, and how far below the center it begins and ends."""
_MIN_SCORE = 0.05
_STEP_CHANGE = (0.7, 1.4)


class SequentialDecoder(Decoder):
    """The highest cell of each channel inside the feasible rectangle that the center above it places.

    The first step is the median one of parallel decoding, each further one the last step made. Where no cell of the
    rectangle answers, the spine is taken to go on as it did: straight on, by the same step.

    Reference:
        Yang et al., Artificial Intelligence in Medicine 159 (2025) 103011, sequential anatomy-aided inference; the
        fallback is this project's.
    """

    def choose(self, fields: Fields, fixed: FixedLandmarks) -> CenterEstimate:
        """Choose 17 centers; fixed ones, in cells, are kept, and the next ones follow them."""
        v, _, w = fields.heatmap.shape
        best, cells = (values[0].cpu().numpy() for values in peaks(fields.maps.heatmap))
        starts = fields.centers_at(np.stack([cells % w, cells // w], -1))
        step = max(1.0, float(np.median(center_distances(starts))))
        direction = np.array([0.0, 1.0])
        centers, scores = np.empty((v, 2)), np.empty(v)
        for i in range(v):
            if np.isfinite(fixed.centers[i]).all():
                centers[i], scores[i] = fixed.centers[i], 1.0
            elif i == 0:
                centers[i], scores[i] = starts[i], best[i]
            else:
                centers[i], scores[i] = self._next(fields, i, centers[i - 1], step, direction)
            if i:
                move = centers[i] - centers[i - 1]
                length = float(np.linalg.norm(move))
                if length > 0:
                    direction = move / length
                    step = float(np.clip(length, _STEP_CHANGE[0] * step, _STEP_CHANGE[1] * step))
        return with_fixed_centers(fields, CenterEstimate(centers, fields.corners_at(centers), scores), fixed)

    @staticmethod
    def _next(
        fields: Fields, channel: int, above: np.ndarray, step: float, direction: np.ndarray
    ) -> tuple[np.ndarray, float]:
        h, w = fields.heatmap.shape[1:]
        left, right = int(np.ceil(above[0] - _HALF_WIDTH * step)), int(np.floor(above[0] + _HALF_WIDTH * step)) + 1
        top, bottom = int(np.ceil(above[1] + _FROM * step)), int(np.floor(above[1] + _TO * step)) + 1
        left, top = max(0, left), max(0, top)
        window = fields.heatmap[channel, top : min(h, max(0, bottom)), left : min(w, max(0, right))]
        if window.size and window.max() >= _MIN_SCORE:
            y, x = np.unravel_index(window.argmax(), window.shape)
            return fields.centers_at(np.array([[left + x, top + y]]))[0], float(window.max())
        onward = above + step * direction
        x, y = fields.cells_of(onward[None])[0]
        return onward, float(fields.heatmap[channel, y, x])
