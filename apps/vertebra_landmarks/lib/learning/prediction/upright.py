"""How an image is brought upright for the networks: as its file says, or as the spine in it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...image_io import Radiograph
from ...spine.geometry import transform_points
from ...spine.imaging.image_frame import ImageFrame
from ...spine.imaging.orientation import UPRIGHT, Orientation
from ...spine.measurement.image_warnings import ImageWarning, orientation_contradiction, orientation_warning
from ...spine.schema import Spine
from ..decoders import FixedLandmarks

QUARTER_TURNS = tuple(Orientation(turns) for turns in range(4))
MIN_SURE_SCORE = 0.5
"""Coarse score from which an image is upright as it is. Of 106 images and phantoms none on its head reaches 0.41 and
none on its side 0.07; of the upright ones 93 % do."""
MIN_TURNED_SCORE = 0.3
"""Coarse score from which another quarter turn shows a spine: upright ones have 0.38 and more."""
MIN_LEAD = 0.1
"""By which that score must exceed the one as stored or stated: upright images lead all others by 0.15 and more."""

NOT_STATED = "not stated"
FOUND = "found in the image"


@dataclass(frozen=True)
class UprightTurn:
    """How an image was brought upright, and why so.

    Attributes:
        orientation: of its stored raster.
        source: the tag or header that says so, ``FOUND`` or ``NOT_STATED``.
        warnings: what is to be doubted about that.
        is_stated: whether the file says so.
        tested: further turns in which the spine was looked for.
    """

    orientation: Orientation
    source: str
    warnings: tuple[ImageWarning, ...] = ()
    is_stated: bool = False
    tested: tuple[Orientation, ...] = ()

    def frame(self, radiograph: Radiograph) -> ImageFrame:
        """What measuring the image needs to know: sides are unknown where it was turned against its file's word."""
        keeps_sides = self.source != FOUND
        side = radiograph.image_left_is if keeps_sides else None
        return replace(radiograph.frame, orientation=self.orientation, image_left_is=side)


AS_STORED = UprightTurn(UPRIGHT, NOT_STATED)


def stated_turn(radiograph: Radiograph) -> UprightTurn:
    """What the file says, else as stored."""
    if radiograph.orientation is None:
        return AS_STORED
    return UprightTurn(radiograph.orientation, radiograph.orientation_source, is_stated=True)


def turns_to_test(score: float, min_spine_score: float) -> tuple[Orientation, ...]:
    """In which further turns to look for the spine after a coarse score: none, the half turn, or all quarter turns.

    Args:
        score: of the image as stated or stored.
        min_spine_score: below which an image shows no spine; on its side it shows none.
    """
    if score >= MIN_SURE_SCORE:
        return ()
    return QUARTER_TURNS[2:3] if score >= min_spine_score else QUARTER_TURNS[1:]


def chosen_turn(stated: UprightTurn, score: float, others: Mapping[Orientation, float]) -> UprightTurn:
    """How an image is brought upright in which the spine was looked for in several turns.

    What the file says is obeyed unless the image clearly shows the spine in another turn.

    Args:
        stated: what the file says, else as stored.
        score: mean center score of the image so.
        others: scores after further turns, at least one.
    """
    tested = tuple(others)
    best = max(others, key=lambda turn: others[turn])
    if others[best] < MIN_TURNED_SCORE or others[best] - score < MIN_LEAD:
        return replace(stated, tested=tested)
    orientation = stated.orientation.followed_by(best)
    if stated.is_stated:
        warning = orientation_contradiction(stated.source, orientation)
    else:
        warning = orientation_warning(orientation)
    return UprightTurn(orientation, FOUND, (warning,), tested=tested)


@dataclass(frozen=True, eq=False)
class UprightImage:
    """An image as the networks see it, and the way back to its stored pixels.

    Attributes:
        stored: as it lies in the file.
        turn: how it is brought upright.
    """

    stored: Radiograph
    turn: UprightTurn

    @cached_property
    def radiograph(self) -> Radiograph:
        """The upright one, with square pixels."""
        return self.stored.upright(self.turn.orientation)

    @property
    def frame(self) -> ImageFrame:
        """Of the stored raster."""
        return self.turn.frame(self.stored)

    @property
    def matrix(self) -> np.ndarray:
        """``(3, 3)`` from stored to upright pixels."""
        return self.stored.frame.matrix(self.turn.orientation)

    def fixed(self, fixed: FixedLandmarks) -> FixedLandmarks:
        """Points in upright pixels that are fixed in stored ones."""
        return fixed if self.radiograph is self.stored else fixed.moved(self.matrix)

    def spine(self, xy: np.ndarray, scores: np.ndarray, errors: np.ndarray | None, fixed: FixedLandmarks) -> Spine:
        """A spine in stored pixels, in which what lies off the image is not visible.

        Args:
            xy: ``(V, P, 2)`` upright pixels.
            scores: ``(V, P)`` confidences; those of free points that are not visible become 0, there is no evidence.
            errors: ``(V, P)`` expected errors in pixels, ``None`` where nobody has estimated them.
            fixed: points in stored pixels that stay exactly where they are.
        """
        placed = fixed.applied_to(transform_points(np.linalg.inv(self.matrix), xy))
        visible = Spine.from_arrays(placed).cut_to(self.stored.width, self.stored.height).visible
        return Spine.from_arrays(placed, np.where(visible | fixed.determined, scores, 0.0), errors, visible)
