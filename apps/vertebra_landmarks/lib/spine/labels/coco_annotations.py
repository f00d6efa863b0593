"""The annotations of one image in a COCO file, as several programs write them, to a spine.

Either one annotation is the whole spine, with keypoints that have names (in any order) or, where none has a name that
is known, the 68 corners or the 85 points from T1 to L5; or every annotation is a vertebra, whose level is the name of
its category, with keypoints named like corners, or with four points in any order as keypoints or as a polygon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from ..schema import CENTER, CORNERS, POINTS, VERTEBRAE, Spine
from .corner_order import order_corners
from .label_exchange import SpineBuilder, list_of
from .landmark_names import NameMap
from .markups import LANDMARK_INDEX, label_of

ABSENT, NOT_VISIBLE, VISIBLE = _VISIBILITIES = (0, 1, 2)
_CORNER_COUNT = len(VERTEBRAE) * len(CORNERS)
_FOUR = len(CORNERS)
Part = tuple[Mapping[str, Any], Mapping[str, Any]]
"""An annotation and its category, empty where there is none of that id."""
Point = tuple[float, float, int]
"""x, y and visibility."""


def is_left_out(category: Mapping[str, Any], names: NameMap) -> bool:
    """Whether annotations of a category are to be passed over."""
    return names.is_left_out(str(category.get("name")))


def spine_of(parts: Sequence[Part], names: NameMap) -> Spine:
    """The spine of the annotations of one image.

    Raises:
        ValueError: they are not the spine of one image in one of the known ways.
    """
    levels = [None if not category else names.level(str(category.get("name"))) for _, category in parts]
    if levels == [None]:
        return _whole_spine(*parts[0], names)
    if None in levels:
        wholes = [_is_whole(annotation, category, names) for annotation, category in parts]
        if any(wholes):
            raise ValueError("the image has a spine already: one annotation of a whole spine is allowed")
        annotation, category = parts[levels.index(None)]
        raise ValueError(_unknown_category(annotation, category))
    builder, unordered = SpineBuilder(), np.full((len(VERTEBRAE), _FOUR, 2), np.nan)
    visible = np.ones(len(VERTEBRAE), bool)
    seen: set[str] = set()
    for (annotation, category), level in zip(parts, levels):
        if level is None or level in seen:
            raise ValueError(f"{level} stands twice")
        seen.add(level)
        points = _named_points(annotation, category, names)
        if points is None:
            v = VERTEBRAE.index(level)
            unordered[v], visible[v] = _four_points(annotation, level)
            continue
        for point, (x, y, visibility) in points.items():
            if visibility != ABSENT:
                builder.add(label_of(level, point), x, y, is_visible=visibility == VISIBLE)
    _add_corners(builder, order_corners(unordered), visible)
    return builder.spine


def _add_corners(builder: SpineBuilder, corners: np.ndarray, visible: np.ndarray) -> None:
    for v in np.flatnonzero(np.isfinite(corners).all((-2, -1))):
        for corner, (x, y) in zip(CORNERS, corners[v].tolist()):
            builder.add(label_of(VERTEBRAE[v], corner), x, y, is_visible=bool(visible[v]))


def _is_whole(annotation: Mapping[str, Any], category: Mapping[str, Any], names: NameMap) -> bool:
    listed = category.get("keypoints")
    count = len(_keypoints(annotation))
    known = isinstance(listed, list) and any(names.landmark(str(name)) for name in listed)
    return count > len(POINTS) or (known and count == len(listed or ()))


def _unknown_category(annotation: Mapping[str, Any], category: Mapping[str, Any]) -> str:
    if not category:
        return f"there is no category {annotation.get('category_id')!r:.40}"
    return (
        f"the category {category.get('name')!r:.40} is no level T1 to L5; a name map (--map) says which level a "
        "category is, or leaves it out"
    )


def _whole_spine(annotation: Mapping[str, Any], category: Mapping[str, Any], names: NameMap) -> Spine:
    listed = category.get("keypoints")
    points = _keypoints(annotation)
    is_listed = isinstance(listed, list) and len(listed) == len(points)
    if not category or (listed is not None and not is_listed):
        raise ValueError("its keypoints must be x, y and visibility of every name that its category lists")
    spelt = [str(name) for name in listed] if isinstance(listed, list) else []
    known = [names.landmark(name) for name in spelt]
    if not any(known):
        return _spine_in_order(points, annotation, category)
    builder = SpineBuilder()
    for name, landmark, (x, y, visibility) in zip(spelt, known, points):
        if not names.is_left_out(name) and visibility != ABSENT:
            builder.add(landmark or name, x, y, is_visible=visibility == VISIBLE)
    return builder.spine


def _spine_in_order(points: Sequence[Point], annotation: Mapping[str, Any], category: Mapping[str, Any]) -> Spine:
    """A spine of keypoints without known names: the corners, or all points in the order of the schema."""
    builder = SpineBuilder()
    if len(points) == len(LANDMARK_INDEX):
        for name, (x, y, visibility) in zip(LANDMARK_INDEX, points):
            if visibility != ABSENT:
                builder.add(name, x, y, is_visible=visibility == VISIBLE)
        return builder.spine
    if len(points) != _CORNER_COUNT:
        if not points or len(points) <= len(POINTS):
            raise ValueError(_unknown_category(annotation, category))
        raise ValueError(
            f"its {len(points)} keypoints have no names like 'T7' or 'T7 TL'; without names {_CORNER_COUNT} corners or "
            f"{len(LANDMARK_INDEX)} points from T1 to L5 were expected"
        )
    quadrilaterals = np.full((len(VERTEBRAE), _FOUR, 2), np.nan)
    visible = np.ones(len(VERTEBRAE), bool)
    for v, level in enumerate(VERTEBRAE):
        body = points[_FOUR * v : _FOUR * (v + 1)]
        if any(visibility != ABSENT for *_, visibility in body):
            quadrilaterals[v], visible[v] = _four(body, level)
    _add_corners(builder, order_corners(quadrilaterals), visible)
    return builder.spine


def _named_points(
    annotation: Mapping[str, Any], category: Mapping[str, Any], names: NameMap
) -> Optional[dict[str, Point]]:
    """The keypoints of a vertebra by the names of points; ``None`` where they have no such names."""
    listed, points = category.get("keypoints"), _keypoints(annotation)
    if not points or not isinstance(listed, list) or len(listed) != len(points):
        return None
    found = [names.point(str(name)) for name in listed]
    if None in found or len(set(found)) < len(found) or not set(CORNERS) & set(found):
        return None
    return {name: point for name, point in zip(found, points) if name is not None}


def _four_points(annotation: Mapping[str, Any], level: str) -> tuple[np.ndarray, bool]:
    points = _keypoints(annotation)
    polygon = annotation.get("segmentation")
    if not points and isinstance(polygon, list) and len(polygon) == 1 and isinstance(polygon[0], list):
        flat = polygon[0]
        points = [(x, y, VISIBLE) for x, y in zip(flat[::2], flat[1::2])]
        points = points[:-1] if len(points) == _FOUR + 1 and points[0] == points[-1] else points
    return _four(points, level)


def _four(points: Sequence[Point], level: str) -> tuple[np.ndarray, bool]:
    """``(4, 2)`` points of a body in any order, and whether the image shows all of them."""
    placed = [point for point in points if point[2] != ABSENT]
    if len(placed) != _FOUR or len(points) != _FOUR:
        raise ValueError(
            f"{level} has {len(placed)} points; four corners as keypoints or as a polygon were expected (a box says "
            f"nothing of tilts), or keypoints with the names {CENTER}, {', '.join(CORNERS)}"
        )
    try:
        xy = np.array([[float(x), float(y)] for x, y, _ in placed])
    except (TypeError, ValueError) as error:
        raise ValueError(f"x and y of {level} must be numbers: {error}") from error
    if not np.isfinite(xy).all():
        raise ValueError(f"x and y of {level} must be finite numbers")
    return xy, all(visibility == VISIBLE for *_, visibility in placed)


def _keypoints(annotation: Mapping[str, Any]) -> list[Point]:
    if annotation.get("keypoints") is None:
        return []
    flat = list_of(annotation, "keypoints")
    if len(flat) % 3:
        raise ValueError("its keypoints must be x, y and visibility of every name that its category lists")
    for place, visibility in enumerate(flat[2::3], start=1):
        if isinstance(visibility, bool) or not isinstance(visibility, (int, float)) or visibility not in _VISIBILITIES:
            raise ValueError(f"the visibility of keypoint {place} must be 0, 1 or 2, got {visibility!r:.40}")
    return list(zip(flat[::3], flat[1::3], (int(visibility) for visibility in flat[2::3])))
