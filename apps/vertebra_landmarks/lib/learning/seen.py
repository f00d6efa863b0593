"""What was seen of a film and found in it, kept while a person corrects it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..spine.geometry import transform_points
from .config import InputConfig
from .decoders import DecodedSpine, FixedLandmarks
from .network import Maps
from .refinement import RefinedSpine


@dataclass(frozen=True)
class Look:
    """What the network says about one view.

    Attributes:
        maps: of one image, on the CPU, heatmap in 0...1.
        matrix: ``(3, 3)`` from pixels of the image to pixels of the network's input.
        score: mean of the highest scores of the channels.
    """

    maps: Maps
    matrix: np.ndarray
    score: float

    def shows(self, fixed: FixedLandmarks, size: InputConfig) -> bool:
        """Whether all fixed points, in pixels of the image, lie in the view of that size."""
        x, y = transform_points(self.matrix, fixed.xy[fixed.mask]).T
        return bool(((x >= 0) & (x < size.width) & (y >= 0) & (y < size.height)).all())


class FoundSpine(NamedTuple):
    """A spine in pixels of the image.

    Attributes:
        decoded: with the fixed points in their places.
        refined: ``None`` where there is no second network, or nothing to refine.
    """

    decoded: DecodedSpine
    refined: RefinedSpine | None


@dataclass(frozen=True)
class SeenFilm:
    """The look at a film that shows its spine best, and what every decoder found in it without fixed points.

    Attributes:
        look: at the film.
        found: by decoder, as far as it was asked for.
    """

    look: Look
    found: dict[str, FoundSpine] = field(default_factory=dict)
