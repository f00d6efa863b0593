"""What a prediction is asked for: decoder, fixed landmarks, and the cache of earlier predictions on the same image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from ..decoders import DEFAULT_DECODER, DecodedSpine, FixedLandmarks
from .network_view import NetworkView
from .refinement import RefinedSpine
from .upright import UprightTurn

MAX_WIDER_VIEWS = 2


class SpineEstimate(NamedTuple):
    """A spine in pixels of the upright image.

    Attributes:
        decoded: with the fixed points in their places.
        refined: ``None`` where there is no corner network, or nothing to refine.
    """

    decoded: DecodedSpine
    refined: RefinedSpine | None


class PredictionCache:
    """Stage results of one image and one predictor that do not depend on corrections, computed when first needed."""

    def __init__(self, best: tuple[UprightTurn, NetworkView] | None = None) -> None:
        self._best = best
        self._wider: dict[bytes, NetworkView] = {}
        self._spines: dict[tuple[NetworkView, str], SpineEstimate] = {}

    def best_view(self, compute: Callable[[], tuple[UprightTurn, NetworkView]]) -> tuple[UprightTurn, NetworkView]:
        """How the image is brought upright, and the view that shows its spine best."""
        if self._best is None:
            self._best = compute()
        return self._best

    def wider_view(self, positions: bytes, compute: Callable[[], NetworkView]) -> NetworkView:
        """The view for fixed points at positions beside the best view; the newest ``MAX_WIDER_VIEWS`` are kept."""
        view = self._wider.get(positions)
        if view is None:
            for oldest in list(self._wider)[: 1 - MAX_WIDER_VIEWS]:
                dropped = self._wider.pop(oldest, None)
                self._spines = {key: spine for key, spine in self._spines.items() if key[0] is not dropped}
            view = self._wider[positions] = compute()
        return view

    def free_spine(self, view: NetworkView, decoder: str, compute: Callable[[], SpineEstimate]) -> SpineEstimate:
        """What a decoder finds in a view without fixed points."""
        spine = self._spines.get((view, decoder))
        if spine is None:
            spine = self._spines[view, decoder] = compute()
        return spine


@dataclass(frozen=True, eq=False)
class PredictionRequest:
    """Everything but the image that a prediction depends on.

    Attributes:
        decoder: one of ``DECODERS``.
        fixed: points that must stay, in stored pixels; where there are any, there is a spine.
        cache: of this image and the same predictor, filled by this prediction; ``None`` where none follows.
        requires_spine: whether an image that shows no spine is refused.
    """

    decoder: str = DEFAULT_DECODER
    fixed: FixedLandmarks = field(default_factory=FixedLandmarks.none)
    cache: PredictionCache | None = None
    requires_spine: bool = True
