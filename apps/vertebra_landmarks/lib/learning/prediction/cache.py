"""What was seen of a film and found in it, kept while a person corrects it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ...spine.geometry import transform_points
from ...spine.measurement.image_warnings import ImageWarning, second_spine_warning
from ..config import InputConfig
from ..decoders import DecodedSpine, FixedLandmarks
from ..models.hrnet import STRIDE
from ..models.landmark_net import Maps
from .refinement import RefinedSpine
from .upright import AS_STORED, UprightTurn

MOST_WIDER = 2


@dataclass(frozen=True)
class Look:
    """What the network says about one view.

    Attributes:
        maps: of one image, on the CPU, heatmap in 0...1.
        matrix: ``(3, 3)`` from pixels of the upright image to pixels of the network's input.
        score: mean of the highest scores of the channels.
        cells: ``(h, w)`` of the spine that this is about, where the image shows a second one; the score is theirs.
    """

    maps: Maps
    matrix: np.ndarray
    score: float
    cells: np.ndarray | None = None

    @property
    def has_second_spine(self) -> bool:
        """Whether the image shows a spine beside the one that this is about."""
        return self.cells is not None

    def shows(self, points: FixedLandmarks, size: InputConfig) -> np.ndarray:
        """``(V, P)`` which fixed points, in pixels of the upright image, lie in the view of that size.

        Those on another spine do not.
        """
        x, y = np.moveaxis(transform_points(self.matrix, points.xy), -1, 0)
        shown: np.ndarray = (x >= -0.5) & (x < size.width - 0.5) & (y >= -0.5) & (y < size.height - 0.5)
        if self.cells is not None:
            column, row = (np.where(shown, (place + 0.5) // STRIDE, 0).astype(int) for place in (x, y))
            shown &= self.cells[row, column]
        return shown


class FoundSpine(NamedTuple):
    """A spine in pixels of the upright image.

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
        look: at the upright film.
        turn: how the film was brought upright.
        found: by decoder, as far as it was asked for.
        wider: by where the points about are that were fixed beside that look: looks for their sake, the oldest first.
    """

    look: Look
    turn: UprightTurn = AS_STORED
    found: dict[str, FoundSpine] = field(default_factory=dict)
    wider: dict[bytes, SeenFilm] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[ImageWarning, ...]:
        """What the whole film gave reason to doubt."""
        second = (second_spine_warning(),) if self.look.has_second_spine else ()
        return (*self.turn.warnings, *second)

    def keep_wider(self, place: bytes, seen: SeenFilm) -> None:
        """Remember a look for the sake of fixed points; only a few are."""
        for oldest in list(self.wider)[: 1 - MOST_WIDER]:
            self.wider.pop(oldest, None)
        self.wider[place] = seen
