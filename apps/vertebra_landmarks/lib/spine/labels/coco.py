"""Labelled films as COCO keypoints (https://cocodataset.org/#format-data): one annotation of 85 keypoints per film.

Coordinates stay as they are here, with pixel centers at whole numbers. A point that is absent has visibility 0, one
that the image does not show 1, any other one 2; COCO has no place for scores.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Optional

import numpy as np

from ..imaging.image_frame import ImageFrame
from ..schema import VERTEBRAE, Spine
from .label_exchange import PLACES, LabelledFilm, Points, Read, json_object, listing

CATEGORY = "spine"
_ABSENT, _NOT_VISIBLE, _VISIBLE = _VISIBILITIES = (0, 1, 2)


def to_coco(films: Iterable[LabelledFilm]) -> str:
    """The content of a COCO file; each film needs its size.

    Raises:
        ValueError: nothing is known about an image.
    """
    names = list(PLACES)
    centers = [names.index(vertebra) + 1 for vertebra in VERTEBRAE]
    category = {
        "id": 1,
        "name": CATEGORY,
        "supercategory": CATEGORY,
        "keypoints": names,
        "skeleton": [list(pair) for pair in zip(centers, centers[1:])],
    }
    images, annotations = [], []
    for number, film in enumerate(films, start=1):
        frame = film.known_frame
        images.append({"id": number, "file_name": film.image, "width": frame.width, "height": frame.height})
        annotations.append({"id": number, "image_id": number, "category_id": 1, "iscrowd": 0, **_shape(film.spine)})
    content = {"images": images, "annotations": annotations, "categories": [category]}
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _shape(spine: Spine) -> dict[str, Any]:
    xy = spine.xy.reshape(-1, 2)
    there = np.isfinite(xy).all(-1)
    flat = np.where(there[:, None], xy, 0.0)
    flags = np.where(there, np.where(spine.visible.ravel(), _VISIBLE, _NOT_VISIBLE), _ABSENT)
    keypoints = [value for (x, y), flag in zip(flat.tolist(), flags.tolist()) for value in (x, y, flag)]
    low, high = (xy[there].min(0), xy[there].max(0)) if there.any() else (np.zeros(2), np.zeros(2))
    box = [*low.tolist(), *(high - low).tolist()]
    return {"keypoints": keypoints, "num_keypoints": int(there.sum()), "bbox": box, "area": box[2] * box[3]}


def from_coco(text: str) -> Read:
    """Read a COCO file whose keypoints are named as here, in any order.

    Raises:
        ValueError: it is no COCO file with such keypoints.
    """
    content = json_object(text)
    images, categories = _by_id(content, "images"), _by_id(content, "categories")
    films: list[LabelledFilm] = []
    problems = []
    taken = set()
    for number, annotation in enumerate(_objects(content, "annotations"), start=1):
        known = _named(images, annotation.get("image_id"))
        image = known.get("file_name")
        try:
            if not isinstance(image, str):
                raise ValueError(f"there is no image {annotation.get('image_id')!r:.40} with a file_name")
            if image in taken:
                raise ValueError("the image has a spine already")
            spine = _spine(annotation, _named(categories, annotation.get("category_id")).get("keypoints"))
            film = LabelledFilm(image, spine, _frame(known))
            taken.add(image)
            films.append(film)
        except ValueError as error:
            problems.append(f"annotation {number}, image {image!r:.80}: {error}")
    return films, problems


def _objects(content: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [known if isinstance(known, Mapping) else {} for known in listing(content, name)]


def _by_id(content: Mapping[str, Any], name: str) -> dict[object, Mapping[str, Any]]:
    return {known["id"]: known for known in _objects(content, name) if _is_id(known.get("id"))}


def _named(known: Mapping[object, Mapping[str, Any]], name: object) -> Mapping[str, Any]:
    return known.get(name, {}) if _is_id(name) else {}


def _is_id(name: object) -> bool:
    return isinstance(name, (int, str)) and not isinstance(name, bool)


def _frame(image: Mapping[str, Any]) -> Optional[ImageFrame]:
    width, height = _length(image, "width"), _length(image, "height")
    return None if width is None or height is None else ImageFrame(width, height)


def _length(image: Mapping[str, Any], name: str) -> Optional[int]:
    length = image.get(name)
    if length is None:
        return None
    if isinstance(length, bool) or not isinstance(length, (int, float)) or length != length // 1 or length <= 0:
        raise ValueError(f"its {name} must be a whole number of pixels, got {length!r:.40}")
    return int(length)


def _spine(annotation: Mapping[str, Any], names: object) -> Spine:
    keypoints = listing(annotation, "keypoints")
    if not isinstance(names, list) or len(keypoints) != 3 * len(names):
        raise ValueError("its keypoints must be x, y and visibility of every name that its category lists")
    points = Points()
    for name, x, y, visibility in zip(names, keypoints[::3], keypoints[1::3], keypoints[2::3]):
        if isinstance(visibility, bool) or visibility not in _VISIBILITIES:
            raise ValueError(f"the visibility of {name!r:.40} must be 0, 1 or 2, got {visibility!r:.40}")
        if visibility != _ABSENT:
            points.add(str(name), x, y, is_visible=visibility == _VISIBLE)
    return points.spine
