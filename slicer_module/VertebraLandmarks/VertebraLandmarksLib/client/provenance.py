"""Where points that nobody set come from: which model, and what it said of them besides where they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Optional

import numpy as np

from ..spine.imaging.orientation import Orientation
from ..spine.measurement.image_warnings import MEASURED_CODES, ImageWarning
from ..spine.schema import VERTEBRAE
from .json_fields import as_number, as_object, as_string, optional_number
from .radiograph import orientation_in, warnings_in


@dataclass(frozen=True)
class Origin:
    """What a model said of a whole spine.

    Attributes:
        model_version: of the model, "" where nobody knows.
        names_right: chance that all names are right, 0...1; ``None`` where the model does not tell.
        tilt_half_widths: from T1 to L5 in degrees, each vertebra's part in the interval of an angle
            (``cobb.interval_half_width``), ``None`` where it has none; empty where the model does not tell.
        orientation: how it turned the stored raster to see the spine upright; ``None`` where that is not known.
        warnings: what it doubts about the image as a whole, wherever points are; those about its points are not kept.
    """

    model_version: str = ""
    names_right: Optional[float] = None
    tilt_half_widths: tuple[Optional[float], ...] = ()
    orientation: Optional[Orientation] = None
    warnings: tuple[ImageWarning, ...] = ()

    @property
    def half_widths(self) -> Optional[np.ndarray]:
        """``(V,)`` degrees, NaN where a vertebra has none; ``None`` where the model does not tell."""
        return np.array(self.tilt_half_widths, dtype=float) if self.tilt_half_widths else None

    def shifted(self, by: int) -> Origin:
        """The same after a person gave every vertebra the name ``by`` below: of those names the model said nothing."""
        widths: list[Optional[float]] = [None] * len(self.tilt_half_widths)
        for v, width in enumerate(self.tilt_half_widths):
            if 0 <= v + by < len(widths):
                widths[v + by] = width
        return replace(self, names_right=None, tilt_half_widths=tuple(widths))

    def as_dict(self) -> dict[str, Any]:
        """As JSON, for ``parse_origin``."""
        widths = dict(zip(VERTEBRAE, self.tilt_half_widths)) or None
        return {
            "model_version": self.model_version,
            "names_right": self.names_right,
            "tilt_half_widths_deg": widths,
            "orientation": None if self.orientation is None else self.orientation.as_dict(),
            "warnings": [warning.as_dict() for warning in self.warnings],
        }


UNKNOWN = Origin()
"""Of points that no model found, or nobody knows which."""


def parse_origin(facts: Any) -> Origin:
    """Read what is said beside points, in an answer, in the facts of a label or in a draft; other entries may be there.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    facts = as_object(facts, "facts")
    widths = facts.get("tilt_half_widths_deg")
    by_vertebra = {} if widths is None else as_object(widths, "tilt_half_widths_deg")
    right = facts.get("names_right")
    return Origin(
        model_version=as_string(facts.get("model_version") or "", "model_version"),
        names_right=None if right is None else as_number(right, "names_right", 0, 1),
        tilt_half_widths=tuple(optional_number(by_vertebra.get(v), v, 0) for v in VERTEBRAE) if by_vertebra else (),
        orientation=orientation_in(facts),
        warnings=tuple(one for one in warnings_in(facts) if one.code not in MEASURED_CODES),
    )
