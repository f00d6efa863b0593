"""Parser of the provenance of points that no user set (``Origin``)."""

from __future__ import annotations

from typing import Any

from ..spine.measurement.image_warnings import MEASURED_CODES
from ..spine.measurement.origin import Origin
from ..spine.schema import VERTEBRAE
from .json_fields import as_number, as_object, as_string, optional_number
from .radiograph import orientation_in, warnings_in


def parse_origin(content: Any) -> Origin:
    """Parse the provenance in a prediction, label information or draft; other entries are ignored.

    Raises:
        ServerError: BAD_RESPONSE.
    """
    fields = as_object(content, "origin")
    widths = fields.get("tilt_half_widths_deg")
    by_vertebra = {} if widths is None else as_object(widths, "tilt_half_widths_deg")
    right = fields.get("names_right")
    return Origin(
        model_version=as_string(fields.get("model_version") or "", "model_version"),
        names_right=None if right is None else as_number(right, "names_right", 0, 1),
        tilt_half_widths=tuple(optional_number(by_vertebra.get(v), v, 0) for v in VERTEBRAE) if by_vertebra else (),
        orientation=orientation_in(fields),
        warnings=tuple(one for one in warnings_in(fields) if one.code not in MEASURED_CODES),
    )
