"""Ways to read the 85 landmarks off the network's maps, behind one interface."""

from __future__ import annotations

from ...spine.chain_prior import ChainPrior
from ...spine.fixed_landmarks import FixedLandmarks
from ..codec import LandmarkCodec
from ..config import MapConfig
from .base import DecodedSpine, Decoder
from .map import MapDecoder
from .parallel import ParallelDecoder
from .sequential import SequentialDecoder

DECODERS = ("map", "sequential", "parallel")
"""Names of all decoders, the default one first."""


def make_decoder(name: str, codec: LandmarkCodec, prior: ChainPrior, config: MapConfig) -> Decoder:
    """The decoder of that name.

    Args:
        name: one of ``DECODERS``.
        codec: of the network.
        prior: how centers follow each other, for MAP decoding.
        config: its weights.

    Raises:
        ValueError: there is none.
    """
    if name == "map":
        return MapDecoder(prior, config)
    if name == "sequential":
        return SequentialDecoder()
    if name == "parallel":
        return ParallelDecoder(codec)
    raise ValueError(f"decoder must be one of {', '.join(DECODERS)}, got {name!r}")


__all__ = ["DECODERS", "DecodedSpine", "Decoder", "FixedLandmarks", "make_decoder"]
