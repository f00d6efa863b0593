"""The phantom radiograph of a spec with its exact landmarks.

A phantom is made like a film: absorbers are summed along the rays, the dose behind them falls exponentially and is
blurred by scatter and focus, grains of noise fall on it, and the logarithm is windowed to 8 bits. The landmarks come
from the same vertebrae that are drawn, so they are exact by construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..spine.schema import Spine
from .absorption import absorption_of, column_of
from .column import COUNT, FIRST
from .exposure import develop, expose, overlay
from .placement import Placement
from .spec import PhantomSpec


@dataclass(frozen=True)
class Phantom:
    """A rendered phantom.

    Args:
        pixels: ``(H, W)`` uint8, bone bright.
        spine: the exact landmarks in pixels of ``pixels``.
    """

    pixels: np.ndarray
    spine: Spine


def render_phantom(spec: PhantomSpec) -> Phantom:
    """Render the radiograph a spec describes; the same spec gives the same phantom."""
    column = column_of(spec)
    place = Placement.fit(spec, column)
    corners = place.to_px(column.corners[FIRST : FIRST + COUNT].reshape(-1, 2)).reshape(COUNT, 4, 2)
    spine = Spine.from_arrays(np.concatenate([corners.mean(axis=1, keepdims=True), corners], axis=1))
    exposed = expose(spec, absorption_of(spec, column, place))
    gray = develop(spec, exposed)
    gray = overlay(spec, gray, corners)
    return Phantom(np.round(gray * 255).astype(np.uint8), spine)
