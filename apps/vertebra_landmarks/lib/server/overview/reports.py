"""Content of reports: the final label of an image, else its stored prediction, else a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ...image_io import Radiograph
from ...image_io.dicom.study import read_study_tags
from ...report import ReportContent
from ...spine.labels.markups import from_markups, parse_json
from ...spine.schema import Spine
from ..active_learning.prelabel_worker import is_of_person
from ..annotation.landmarks import origin_of
from ..inference.response import MODEL_VERSION, with_stated_side
from ..store.datastore import StudiesDatastore
from ..store.images import FINAL, saved_at_of
from ..store.label_sync import labeller
from .image_list import text_or_none

SUBMITTED = "submitted"
"""Metadata key of labels that a person has submitted, with or without changes."""


def label_report(
    store: StudiesDatastore, image: str, tags: Sequence[str], radiograph: Radiograph
) -> ReportContent | None:
    """The report of a stored label.

    Args:
        store: the studies folder.
        image: id of the image.
        tags: of the label; the first that the image has is taken.
        radiograph: the image.

    Returns:
        Its content; ``None`` where the image has none.

    Raises:
        ValueError: the label holds no landmarks, or is damaged on the disk.
        OSError: its file is missing.
    """
    present = store.get_labels_by_image_id(image)
    used = next((one for one in tags if one in present), None)
    if used is None:
        return None
    label = store.read_label(image, used)
    spine = from_markups(parse_json(label.content), radiograph.geometry, "label")
    return version_report(store, image, used, radiograph, spine, label.metadata)


def version_report(
    store: StudiesDatastore, image: str, tag: str, radiograph: Radiograph, spine: Spine, noted: Mapping[str, Any]
) -> ReportContent:
    """The report of a label version.

    Args:
        store: the studies folder.
        image: id of the image.
        tag: of the label.
        radiograph: the image.
        spine: points in stored pixels.
        noted: metadata of the version.
    """
    is_confirmed = tag == FINAL and (is_of_person(noted) or SUBMITTED in noted)
    return _content(store, image, radiograph, spine, noted, is_confirmed)


def prediction_report(
    store: StudiesDatastore, image: str, radiograph: Radiograph, markups: bytes, response: Mapping[str, Any]
) -> ReportContent:
    """The report of a prediction that was made for it.

    Args:
        store: the studies folder.
        image: id of the image.
        radiograph: the image.
        markups: content of the predicted Markups file.
        response: of the inference.
    """
    spine = from_markups(parse_json(markups), radiograph.geometry, "prediction")
    return _content(store, image, radiograph, spine, response, is_confirmed=False)


def _content(
    store: StudiesDatastore,
    image: str,
    radiograph: Radiograph,
    spine: Spine,
    noted: Mapping[str, Any],
    is_confirmed: bool,
) -> ReportContent:
    """Content of a report.

    Args:
        store: the studies folder.
        image: id of the image.
        radiograph: the image.
        spine: points in stored pixels.
        noted: metadata of the label, or response of the inference.
        is_confirmed: by a person.
    """
    origin = origin_of(noted)
    tags = read_study_tags(Path(store.get_image_uri(image)))
    confirmed_on = datetime.fromtimestamp(saved_at_of(noted)).date().isoformat() if is_confirmed else ""
    model = text_or_none(noted.get(MODEL_VERSION))
    return ReportContent(
        image,
        radiograph,
        spine,
        with_stated_side(radiograph.frame, radiograph, store.stated_side(image)),
        origin,
        model=f"version {model}" if model else "",
        model_digest=text_or_none(noted.get("model_digest")) or "",
        is_confirmed=is_confirmed,
        confirmed_by=labeller(noted) if is_confirmed else "",
        confirmed_on=confirmed_on,
        taken_on="" if tags is None else tags.taken_on,
    )
