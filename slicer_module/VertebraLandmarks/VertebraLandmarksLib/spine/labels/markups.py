"""Slicer Markups files (``.mrk.json``): two point lists per spine, ``centers`` and ``corners``.

Positions are LPS millimetres, where Slicer's own reader shows the pixel (``ImageGeometry``). Absent and invisible
points keep their control point with ``positionStatus`` "undefined", so that there are always 17 and 68; invisible
ones keep their position, too. The file states the geometry that it was written with, and is read with the same one
even if the image changes; files saved by Slicer itself state none and are read with the image's.
Format: the schema "markups-schema-v1.0.3" of 3D Slicer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ..atomic_write import atomic_write
from ..imaging.image_geometry import PIXELS, ImageGeometry
from ..schema import CENTER, CORNERS, POINTS, SCHEMA_VERSION, VERTEBRAE, Landmark, Spine

MARKUPS_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
SUFFIX = ".mrk.json"

LISTS = {"centers": (CENTER,), "corners": CORNERS}
"""Name of each point list and the points of a vertebra that it holds."""

_DEFINED, _UNDEFINED = "defined", "undefined"
_ORIENTATION = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0]
_COLORS = {"centers": [0.4, 1.0, 0.4], "corners": [1.0, 0.85, 0.3]}


def label_of(vertebra: str, point: str) -> str:
    """The label of a control point: ``T7`` for a center, ``T7 TL`` for a corner."""
    return vertebra if point == CENTER else f"{vertebra} {point}"


LANDMARK_INDEX = {label_of(v, p): (i, POINTS.index(p)) for i, v in enumerate(VERTEBRAE) for p in POINTS}
"""Indices of vertebra and point by control point label."""

_OURS, _GEOMETRY = "vertebraLandmarks", "geometry"


def _control_point(number: int, label: str, landmark: Optional[Landmark], geometry: ImageGeometry) -> dict[str, Any]:
    position = [0.0, 0.0, 0.0]
    if landmark is not None:
        position = geometry.to_physical(np.array([landmark.x, landmark.y])).tolist()
    return {
        "id": str(number),
        "label": label,
        "description": "" if landmark is None else _description(landmark),
        "associatedNodeID": "",
        "position": position,
        "orientation": _ORIENTATION,
        "selected": True,
        "locked": False,
        "visibility": True,
        "positionStatus": _DEFINED if landmark is not None and landmark.is_visible else _UNDEFINED,
    }


def to_markups(spine: Spine, geometry: ImageGeometry = PIXELS) -> dict[str, Any]:
    """A spine as the content of a Markups file.

    Args:
        spine: points in stored pixels.
        geometry: where Slicer's reader places the pixels of the image.

    Returns:
        A dict to be written as JSON.
    """
    markups = []
    for list_name, points in LISTS.items():
        controls = [
            _control_point(number, label_of(vertebra, point), landmark, geometry)
            for number, (vertebra, point, landmark) in enumerate(
                (entry for entry in spine.points() if entry[1] in points), start=1
            )
        ]
        markups.append(
            {
                "type": "Fiducial",
                "name": list_name,
                "coordinateSystem": "LPS",
                "coordinateUnits": "mm",
                "locked": False,
                "fixedNumberOfControlPoints": True,
                "labelFormat": "%N-%d",
                "lastUsedControlPointNumber": len(controls),
                "controlPoints": controls,
                "measurements": [],
                "display": {
                    "visibility": True,
                    "color": _COLORS[list_name],
                    "selectedColor": _COLORS[list_name],
                    "glyphType": "Circle2D" if list_name == "centers" else "CrossDot2D",
                    "glyphScale": 1.5,
                    "useGlyphScale": True,
                    "textScale": 2.0,
                    "pointLabelsVisibility": list_name == "centers",
                    "sliceProjection": True,
                },
            }
        )
    ours = {"schemaVersion": SCHEMA_VERSION, _GEOMETRY: geometry.as_dict()}
    return {"@schema": MARKUPS_SCHEMA, _OURS: ours, "markups": markups}


def from_markups(content: object, geometry: ImageGeometry = PIXELS, where: str = "markups") -> Spine:
    """Read a spine from the content of a Markups file.

    Args:
        content: what ``json.load`` returned; lists and labels may have any order.
        geometry: where Slicer's reader places the pixels of the image that the points belong to; used where the
            content does not state its geometry.
        where: file name for error messages.

    Returns:
        The spine in stored pixels. A point that the file lacks or that has an undefined position is absent; in a
        file of this project, an undefined point that has a position is present but not visible.

    Raises:
        ValueError: the content is not a Markups file, a label is unknown or occurs twice, a position is not three
            numbers, or the coordinate system is neither LPS nor RAS.
    """
    if not isinstance(content, dict) or not isinstance(content.get("markups"), list):
        raise ValueError(f"{where}: expected a Slicer Markups file with a list 'markups'")
    is_ours, geometry = isinstance(content.get(_OURS), dict), _geometry_of(content, geometry, where)
    xy = np.full((len(VERTEBRAE), len(POINTS), 2), math.nan)
    visible = np.ones(xy.shape[:2], bool)
    scores, errors = np.ones(xy.shape[:2]), np.full(xy.shape[:2], math.nan)
    labels = set()
    for markup in content["markups"]:
        sign = _lps_sign(markup, where)
        controls = markup.get("controlPoints")
        if not isinstance(controls, list):
            raise ValueError(f"{where}: expected a list 'controlPoints', got {controls!r:.80}")
        for control in controls:
            label = control.get("label") if isinstance(control, dict) else None
            if not isinstance(label, str) or label not in LANDMARK_INDEX:
                raise ValueError(f"{where}: label {label!r} is neither a vertebra like 'T7' nor a corner like 'T7 TL'")
            if label in labels:
                raise ValueError(f"{where}: label {label!r} stands twice")
            labels.add(label)
            index = LANDMARK_INDEX[label]
            visible[index] = control.get("positionStatus", _DEFINED) == _DEFINED
            if not visible[index] and not (is_ours and _has_position(control)):
                continue
            position = _position(control.get("position"), f"{where}: position of {label!r}")
            xy[index] = geometry.to_pixels(position * sign)
            scores[index], errors[index] = _estimates(control.get("description"))
    return Spine.from_arrays(xy, scores, errors, visible)


def write_markups(path: Path, spine: Spine, geometry: ImageGeometry = PIXELS) -> None:
    """Write a ``.mrk.json`` file atomically.

    Args:
        path: file to write.
        spine: points in stored pixels.
        geometry: where Slicer's reader places the pixels of the image.

    Raises:
        OSError: the file cannot be written.
    """
    text = json.dumps(to_markups(spine, geometry), indent=1, allow_nan=False)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_markups(path: Path, geometry: ImageGeometry = PIXELS) -> Spine:
    """Read a ``.mrk.json`` file.

    Args:
        path: file written by this project or saved by Slicer.
        geometry: as for ``from_markups``.

    Raises:
        ValueError: the file is not a Markups file of vertebra landmarks.
        OSError: the file cannot be read.
    """
    path = Path(path)
    return from_markups(parse_json(path.read_bytes(), path.name), geometry, path.name)


def parse_json(content: bytes, where: str = "markups") -> Any:
    """Parse the bytes of a Markups file for ``from_markups``: UTF-8, with or without a byte order mark.

    Raises:
        ValueError: they are not JSON.
    """
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: expected JSON, {error}") from error


def is_before_0_8(content: object) -> bool:
    """Whether a Markups file was written by this project before 0.8, which did not state the geometry."""
    ours = content.get(_OURS) if isinstance(content, dict) else None
    return isinstance(ours, dict) and _GEOMETRY not in ours


def with_undefined(content: dict[str, Any], labels: Collection[str]) -> dict[str, Any]:
    """A copy of a Markups file with some points undefined.

    Args:
        content: of a file that ``from_markups`` can read.
        labels: of the control points, such as "T7" and "T7 TL".
    """
    markups = [
        {
            **markup,
            "controlPoints": [
                {**control, "positionStatus": _UNDEFINED} if control["label"] in labels else control
                for control in markup["controlPoints"]
            ],
        }
        for markup in content["markups"]
    ]
    return {**content, "markups": markups}


def stated_geometry(content: object, where: str) -> Optional[ImageGeometry]:
    """The geometry that a file states; ``None`` where it states none.

    Raises:
        ValueError: the stated geometry is invalid.
    """
    ours = content.get(_OURS) if isinstance(content, dict) else None
    if not isinstance(ours, dict) or _GEOMETRY not in ours:
        return None
    return ImageGeometry.parse(ours[_GEOMETRY], f"{where}: {_GEOMETRY}")


def _geometry_of(content: dict[str, Any], image: ImageGeometry, where: str) -> ImageGeometry:
    """The stated geometry; else that of versions before 0.8, or the image's in a file saved by Slicer."""
    ours = content.get(_OURS)
    if not isinstance(ours, dict):
        return image
    return stated_geometry(content, where) or image.before_0_8


def _lps_sign(markup: object, where: str) -> np.ndarray:
    system = markup.get("coordinateSystem", "LPS") if isinstance(markup, dict) else None
    if system == "LPS":
        return np.array([1.0, 1.0, 1.0])
    if system == "RAS":
        return np.array([-1.0, -1.0, 1.0])
    raise ValueError(f"{where}: coordinateSystem must be LPS or RAS, got {system!r}")


def _has_position(control: dict[str, Any]) -> bool:
    """Whether an undefined point has a position; (0, 0, 0) counts as none."""
    try:
        return bool(_position(control.get("position"), "").any())
    except ValueError:
        return False


def _position(value: Any, what: str) -> np.ndarray:
    try:
        x, y, z = (float(v) for v in value if isinstance(v, (int, float)))
    except (TypeError, ValueError, OverflowError):
        x = y = z = math.nan
    if len(value if isinstance(value, list) else ()) != 3 or not all(math.isfinite(v) for v in (x, y, z)):
        raise ValueError(f"{what} must be three numbers, got {value!r:.80}")
    return np.array([x, y, z])


def _description(landmark: Landmark) -> str:
    parts = [f"score={landmark.score:.6g}"]
    if landmark.error is not None:
        parts.append(f"error_px={landmark.error:.6g}")
    return " ".join(parts)


def _estimates(description: object) -> tuple[float, float]:
    """Score and expected error of a control point; 1 and NaN where its description (free text) states none."""
    values = {}
    for part in str(description or "").split():
        name, _, number = part.partition("=")
        try:
            values[name] = float(number)
        except ValueError:
            continue
    score, error = values.get("score", 1.0), values.get("error_px", math.nan)
    return score if 0.0 <= score <= 1.0 else 1.0, error if 0.0 <= error < math.inf else math.nan
