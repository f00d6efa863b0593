"""Labels as COCO keypoints (https://cocodataset.org/#format-data), written as one annotation of 85 keypoints per image.

Pixel centers are at whole numbers, as elsewhere in the project. Visibility is 0 of absent points, 1 of points that the
image does not show, else 2; COCO has no field for scores. What other programs write is read as well, see
``coco_annotations``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Optional

import numpy as np

from ..imaging.image_frame import ImageFrame
from ..schema import VERTEBRAE, Spine
from .coco_annotations import ABSENT, NOT_VISIBLE, VISIBLE, is_left_out, spine_of
from .label_exchange import LabelledImage, ReadResult, json_object, list_of
from .landmark_names import NameMap
from .markups import LANDMARK_INDEX

CATEGORY = "spine"
PATIENT_FIELDS = ("patient", "patient_id")
"""Fields of an image that name its patient."""
_DEFAULT_NAMES = NameMap()


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
    flags = np.where(is_present, np.where(spine.visible.ravel(), VISIBLE, NOT_VISIBLE), ABSENT)
    keypoints = [value for (x, y), flag in zip(flat.tolist(), flags.tolist()) for value in (x, y, flag)]
    low, high = (xy[is_present].min(0), xy[is_present].max(0)) if is_present.any() else (np.zeros(2), np.zeros(2))
    box = [*low.tolist(), *(high - low).tolist()]
    return {"keypoints": keypoints, "num_keypoints": int(is_present.sum()), "bbox": box, "area": box[2] * box[3]}


def from_coco(text: str, names: NameMap = _DEFAULT_NAMES) -> ReadResult:
    """Read the labels of a COCO file; see ``coco_annotations`` for what an annotation may be.

    An image with an annotation that cannot be used is left out as a whole, since an incomplete label would mislead a
    training.

    Args:
        text: of the file.
        names: what its names of categories and keypoints stand for.

    Raises:
        ValueError: it is not a COCO file.
    """
    content = json_object(text)
    images, categories = _by_id(content, "images"), _by_id(content, "categories")
    problems: list[tuple[int, str]] = []
    of_image: dict[object, list[tuple[int, Mapping[str, Any]]]] = {}
    for number, annotation in enumerate(_objects(content, "annotations"), start=1):
        key = annotation.get("image_id")
        if not isinstance(_lookup(images, key).get("file_name"), str):
            sentence = f"annotation {number}, image None: there is no image {key!r:.40} with a file_name"
            problems.append((number, sentence))
        elif not is_left_out(_category(categories, annotation), names):
            of_image.setdefault(key, []).append((number, annotation))
    labels: list[LabelledImage] = []
    seen: set[str] = set()
    for key, members in of_image.items():
        entry = images[key]
        image = entry["file_name"]
        try:
            if image in seen:
                raise ValueError("the file has an earlier image of that name")
            seen.add(image)
            frame = _frame(entry)
            parts = [(annotation, _category(categories, annotation)) for _, annotation in members]
            labels.append(LabelledImage(image, spine_of(parts, names), frame, patient=_patient(entry)))
        except ValueError as error:
            numbers = f"annotation {members[0][0]}"
            if len(members) > 1:
                numbers = f"{len(members)} annotations from number {members[0][0]} on"
            problems.append((members[0][0], f"{numbers}, image {image!r:.80}: {error}"))
    return labels, [sentence for _, sentence in sorted(problems)]


def _patient(image: Mapping[str, Any]) -> str:
    stated = (image.get(name) for name in PATIENT_FIELDS)
    return next((str(value) for value in stated if isinstance(value, (str, int)) and str(value).strip()), "")


def _category(categories: Mapping[object, Mapping[str, Any]], annotation: Mapping[str, Any]) -> Mapping[str, Any]:
    return _lookup(categories, annotation.get("category_id"))


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
