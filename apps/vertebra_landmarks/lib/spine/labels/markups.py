"""Slicer Markups files (``.mrk.json``): two point lists per spine, ``centers`` and ``corners``.

Positions are LPS millimetres, those at which Slicer's own reader shows the pixel (``ImageGeometry``). A point that is
absent or not visible keeps its row with ``positionStatus`` "undefined", so that 17 and 68 control points are always
there; one that is not visible keeps its position, too. The file says which geometry it was written with, so that it is
read with the same one whatever becomes of the image; files of Slicer's own say nothing and are read with the image's.
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


_PLACES = {label_of(v, p): (i, POINTS.index(p)) for i, v in enumerate(VERTEBRAE) for p in POINTS}


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
                (place for place in spine.points() if place[1] in points), start=1
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
        content: what ``json.load`` returned; lists, labels and their order are as Slicer saved them.
        geometry: where Slicer's reader places the pixels of the image that the points belong to; used where the
            content does not say with which geometry it was written.
        where: name of the file, for errors.

    Returns:
        The spine in stored pixels. A label that the file lacks is an absent point, and so is one whose position is
        undefined; in a file of this project that has a position all the same, it is a point that is not visible.

    Raises:
        ValueError: the content is no Markups file, a label is unknown or stands twice, a position is no number, or
            the coordinate system is neither LPS nor RAS.
    """
    if not isinstance(content, dict) or not isinstance(content.get("markups"), list):
        raise ValueError(f"{where}: expected a Slicer Markups file with a list 'markups'")
    is_ours, geometry = isinstance(content.get(_OURS), dict), _geometry_of(content, geometry, where)
    xy = np.full((len(VERTEBRAE), len(POINTS), 2), math.nan)
    visible = np.ones(xy.shape[:2], bool)
    scores, errors = np.ones(xy.shape[:2]), np.full(xy.shape[:2], math.nan)
    seen = set()
    for markup in content["markups"]:
        sign = _lps_sign(markup, where)
        controls = markup.get("controlPoints")
        if not isinstance(controls, list):
            raise ValueError(f"{where}: expected a list 'controlPoints', got {controls!r:.80}")
        for control in controls:
            label = control.get("label") if isinstance(control, dict) else None
            if not isinstance(label, str) or label not in _PLACES:
                raise ValueError(f"{where}: label {label!r} is neither a vertebra like 'T7' nor a corner like 'T7 TL'")
            if label in seen:
                raise ValueError(f"{where}: label {label!r} stands twice")
            seen.add(label)
            visible[_PLACES[label]] = control.get("positionStatus", _DEFINED) == _DEFINED
            if not visible[_PLACES[label]] and not (is_ours and _has_position(control)):
                continue
            position = _position(control.get("position"), f"{where}: position of {label!r}")
            xy[_PLACES[label]] = geometry.to_pixels(position * sign)
            scores[_PLACES[label]], errors[_PLACES[label]] = _estimates(control.get("description"))
    return Spine.from_arrays(xy, scores, errors, visible)


def write_markups(path: Path, spine: Spine, geometry: ImageGeometry = PIXELS) -> None:
    """Write a ``.mrk.json`` file; a reader sees the old file or the whole new one, never a part.

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
        ValueError: the file is no JSON or no Markups file of vertebra landmarks.
        OSError: the file cannot be read.
    """
    path = Path(path)
    return from_markups(parse_json(path.read_bytes(), path.name), geometry, path.name)


def parse_json(content: bytes, where: str = "markups") -> Any:
    """What a Markups file holds, for ``from_markups``: UTF-8, with or without a byte order mark.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: expected JSON, {error}") from error


def is_before_0_8(content: object) -> bool:
    """Whether a Markups file was written by this project before 0.8, which did not say with which geometry."""
    ours = content.get(_OURS) if isinstance(content, dict) else None
    return isinstance(ours, dict) and _GEOMETRY not in ours


def with_undefined(content: dict[str, Any], labels: Collection[str]) -> dict[str, Any]:
    """A Markups file in which some points are undefined, and everything else is as it was.

    Args:
        content: that ``from_markups`` can read.
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
    """The geometry that a file says it was written with; ``None`` where it says nothing.

    Raises:
        ValueError: what it says is none.
    """
    ours = content.get(_OURS) if isinstance(content, dict) else None
    if not isinstance(ours, dict) or _GEOMETRY not in ours:
        return None
    return ImageGeometry.parse(ours[_GEOMETRY], f"{where}: {_GEOMETRY}")


def _geometry_of(content: dict[str, Any], image: ImageGeometry, where: str) -> ImageGeometry:
    """The geometry that a file was written with: it says so, or is from before 0.8, or was saved by Slicer itself."""
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
    """Whether an undefined point has a position: (0, 0, 0) stands for none."""
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
    """Score and expected error of a control point; 1 and NaN where its description, which is free text, has none."""
    values = {}
    for part in str(description or "").split():
        name, _, number = part.partition("=")
        try:
            values[name] = float(number)
        except ValueError:
            continue
    score, error = values.get("score", 1.0), values.get("error_px", math.nan)
    return score if 0.0 <= score <= 1.0 else 1.0, error if 0.0 <= error < math.inf else math.nan
