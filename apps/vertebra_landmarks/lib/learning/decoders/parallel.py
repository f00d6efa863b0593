"""Parallel decoding: each channel for itself."""

from __future__ import annotations

from ...spine.fixed_landmarks import FixedLandmarks
from ..codec import LandmarkCodec
from .base import CenterEstimate, Decoder, with_fixed_centers
from .candidates import Fields


class ParallelDecoder(Decoder):
    """What ``LandmarkCodec.decode`` reads off: the highest cell of each channel, without regard to the others.

    Args:
        codec: of the network.
    """

    def __init__(self, codec: LandmarkCodec) -> None:
        self.codec = codec

    def choose(self, fields: Fields, fixed: FixedLandmarks) -> CenterEstimate:
        """Choose 17 centers; fixed ones, in cells, are kept."""
        decoded = self.codec.decode(fields.maps)
        cells = ((decoded.xy[0].double() + 0.5) / self.codec.stride - 0.5).cpu().numpy()
        return with_fixed_centers(
            fields, CenterEstimate(cells[:, 0], cells[:, 1:], decoded.scores[0].double().cpu().numpy()), fixed
        )
