"""What is kept of a label that a client sends: it must be one of the image."""

from __future__ import annotations

import json

from monailabel.interfaces.datastore import DefaultLabelTag

from ...image_io import Radiograph
from ...spine.imaging.image_geometry import DENSITY, ImageGeometry
from ...spine.labels.label_exchange import fit_to_image
from ...spine.labels.markups import (
    SUFFIX,
    from_markups,
    is_before_0_8,
    label_of,
    parse_json,
    stated_geometry,
    with_undefined,
)
from ...spine.schema import Spine

_NAME = f"label{SUFFIX}"


def checked_label(content: bytes, radiograph: Radiograph, tag: str) -> bytes:
    """The Markups file to keep: byte for byte what was sent, unless it has points that the image does not show.

    Those become undefined, and everything else in the file stays.

    Args:
        content: of the file that was sent.
        radiograph: the image that it is to be the label of.
        tag: of the label.

    Raises:
        ValueError: it is no Markups file of vertebra landmarks, a final label without a point, the label of another
            image, or nobody can say which pixels its positions mean.
    """
    markups = parse_json(content, _NAME)
    if is_before_0_8(markups) and radiograph.geometry.source == DENSITY:
        raise ValueError(
            "the label was saved by a Slicer module before 0.8, which took 1 mm for a pixel of this image, while "
            f"Slicer takes {radiograph.geometry.spacing[0]:g} mm from its density: update the module and save it again"
        )
    _check_geometry(stated_geometry(markups, _NAME), radiograph.geometry)
    spine = from_markups(markups, radiograph.geometry, _NAME)
    if tag == DefaultLabelTag.FINAL.value and not spine.visible.any():
        raise ValueError("a final label needs one point at least, this one has none")
    hidden = _visible(spine) - _visible(fit_to_image(spine, radiograph.width, radiograph.height))
    return json.dumps(with_undefined(markups, hidden), indent=1).encode() if hidden else content


def _check_geometry(stated: ImageGeometry | None, image: ImageGeometry) -> None:
    """Raise where a label was written for an image that lies elsewhere in Slicer's scene."""
    if stated is not None and not stated.is_close(image):
        raise ValueError(
            f"the label was written for another image: with spacing {_listed(stated.spacing)} mm and origin "
            f"{_listed(stated.origin)} mm, while this one has {_listed(image.spacing)} and {_listed(image.origin)}, or "
            "with other directions"
        )


def _listed(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{number:.6g}" for number in numbers)


def _visible(spine: Spine) -> set[str]:
    return {label_of(v, p) for v, p, mark in spine.points() if mark is not None and mark.is_visible}
