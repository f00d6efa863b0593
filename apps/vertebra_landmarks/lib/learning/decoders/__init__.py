"""Ways to read the 85 landmarks off the network's maps, behind one interface."""

from __future__ import annotations

from collections.abc import Callable

from ...spine.chain_prior import ChainPrior
from ...spine.fixed_landmarks import FixedLandmarks
from ..codec import LandmarkCodec
from ..config import MapConfig
from .base import DecodedSpine, Decoder
from .map import MapDecoder
from .parallel import ParallelDecoder
from .sequential import SequentialDecoder

DECODERS: dict[str, Callable[[LandmarkCodec, ChainPrior, MapConfig], Decoder]] = {
    "map": lambda codec, prior, config: MapDecoder(prior, config),
    "sequential": lambda codec, prior, config: SequentialDecoder(),
    "parallel": lambda codec, prior, config: ParallelDecoder(codec),
}
"""All decoders by name: each is made from the network's codec, how centers follow each other, and ``map`` settings."""

DEFAULT_DECODER = "map"


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
    if name not in DECODERS:
        raise ValueError(f"decoder must be one of {', '.join(DECODERS)}, got {name!r}")
    return DECODERS[name](codec, prior, config)


__all__ = ["DECODERS", "DEFAULT_DECODER", "DecodedSpine", "Decoder", "FixedLandmarks", "make_decoder"]
