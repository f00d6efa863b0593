"""Labels as COCO keypoints (https://cocodataset.org/#format-data): one annotation of 85 keypoints per image.

Pixel centers are at whole numbers, as elsewhere in the project. Visibility is 0 of absent points, 1 of points that the
image does not show, else 2; COCO has no field for scores.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Optional

import numpy as np

from ..imaging.image_frame import ImageFrame
from ..schema import VERTEBRAE, Spine
from .label_exchange import LabelledImage, ReadResult, SpineBuilder, json_object, list_of
from .markups import LANDMARK_INDEX

CATEGORY = "spine"
_ABSENT, _NOT_VISIBLE, _VISIBLE = _VISIBILITIES = (0, 1, 2)


def to_coco(labels: Iterable[LabelledImage]) -> str:
    """The content of a COCO file.

    Raises:
        ValueError: the size of an image is not known.
    """
    names = list(LANDMARK_INDEX)
    centers = [names.index(vertebra) + 1 for vertebra in VERTEBRAE]
    category = {
        "id": 1,
        "name": CATEGORY,
        "supercategory": CATEGORY,
        "keypoints": names,
        "skeleton": [list(pair) for pair in zip(centers, centers[1:])],
    }
    images, annotations = [], []
    for number, labelled in enumerate(labels, start=1):
        frame = labelled.required_frame
        images.append({"id": number, "file_name": labelled.image, "width": frame.width, "height": frame.height})
        annotations.append({"id": number, "image_id": number, "category_id": 1, "iscrowd": 0, **_shape(labelled.spine)})
    content = {"images": images, "annotations": annotations, "categories": [category]}
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _shape(spine: Spine) -> dict[str, Any]:
    xy = spine.xy.reshape(-1, 2)
    is_present = np.isfinite(xy).all(-1)
    flat = np.where(is_present[:, None], xy, 0.0)
    flags = np.where(is_present, np.where(spine.visible.ravel(), _VISIBLE, _NOT_VISIBLE), _ABSENT)
    keypoints = [value for (x, y), flag in zip(flat.tolist(), flags.tolist()) for value in (x, y, flag)]
    low, high = (xy[is_present].min(0), xy[is_present].max(0)) if is_present.any() else (np.zeros(2), np.zeros(2))
    box = [*low.tolist(), *(high - low).tolist()]
    return {"keypoints": keypoints, "num_keypoints": int(is_present.sum()), "bbox": box, "area": box[2] * box[3]}


def from_coco(text: str) -> ReadResult:
    """Read a COCO file whose keypoints have the names of this project, in any order.

    Raises:
        ValueError: it is not a COCO file with such keypoints.
    """
    content = json_object(text)
    images, categories = _by_id(content, "images"), _by_id(content, "categories")
    labels: list[LabelledImage] = []
    problems = []
    labelled = set()
    for number, annotation in enumerate(_objects(content, "annotations"), start=1):
        entry = _lookup(images, annotation.get("image_id"))
        image = entry.get("file_name")
        try:
            if not isinstance(image, str):
                raise ValueError(f"there is no image {annotation.get('image_id')!r:.40} with a file_name")
            if image in labelled:
                raise ValueError("the image has a spine already")
            spine = _spine(annotation, _lookup(categories, annotation.get("category_id")).get("keypoints"))
            labels.append(LabelledImage(image, spine, _frame(entry)))
            labelled.add(image)
        except ValueError as error:
            problems.append(f"annotation {number}, image {image!r:.80}: {error}")
    return labels, problems


def _objects(content: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [entry if isinstance(entry, Mapping) else {} for entry in list_of(content, name)]


def _by_id(content: Mapping[str, Any], name: str) -> dict[object, Mapping[str, Any]]:
    return {entry["id"]: entry for entry in _objects(content, name) if _is_id(entry.get("id"))}


def _lookup(by_id: Mapping[object, Mapping[str, Any]], key: object) -> Mapping[str, Any]:
    return by_id.get(key, {}) if _is_id(key) else {}


def _is_id(value: object) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


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
    keypoints = list_of(annotation, "keypoints")
    if not isinstance(names, list) or len(keypoints) != 3 * len(names):
        raise ValueError("its keypoints must be x, y and visibility of every name that its category lists")
    builder = SpineBuilder()
    for name, x, y, visibility in zip(names, keypoints[::3], keypoints[1::3], keypoints[2::3]):
        if isinstance(visibility, bool) or visibility not in _VISIBILITIES:
            raise ValueError(f"the visibility of {name!r:.40} must be 0, 1 or 2, got {visibility!r:.40}")
        if visibility != _ABSENT:
            builder.add(str(name), x, y, is_visible=visibility == _VISIBLE)
    return builder.spine
