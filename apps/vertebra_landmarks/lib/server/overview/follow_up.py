"""Follow-up of one patient: all images by date, their curves, and what has changed at the same end vertebrae."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from monailabel.interfaces.exception import LabelNotFoundException
from sqlalchemy import Row

from ...image_io import read_radiograph
from ...spine.labels.markups import from_markups, parse_json
from ...spine.measurement.angle_interval import are_names_doubtful, corrected_half_widths
from ...spine.measurement.cobb import t1_tilt_deg
from ...spine.measurement.follow_up import Change, FollowedSpine, changes_of, measure_at_same_ends
from ...spine.measurement.measured_spine import corners_of_reader, measure
from ...spine.measurement.report import sides_of
from ...spine.overlay_geometry import format_curve
from ..annotation.landmarks import origin_of
from ..inference.image_reading import reading
from ..inference.response import with_stated_side
from ..store.datastore import StudiesDatastore
from ..store.images import FINAL, PREDICTED, StatedSide
from ..store.schema import LABELLED, OPEN
from .image_list import state_of
from .patients import siblings

logger = logging.getLogger(__name__)

MAX_IMAGES = 30
"""Images of one patient in an answer: the one that is asked for, and the newest of the others."""
MAX_CACHED = 500
"""Measured images in memory."""
BY_HEADER, BY_FILE = "header", "file"


TagOf = Callable[[str, str], "str | None"]


def _every(_: str, tag: str) -> str:
    return tag


@dataclass(frozen=True, eq=False)
class _Measured:
    """One image with points, as measured."""

    tag: str
    version: int
    spine: FollowedSpine
    values: dict[str, Any]


class FollowUps:
    """Follow-up of the patients of a studies folder.

    Args:
        store: the studies folder.
    """

    def __init__(self, store: StudiesDatastore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._cache: OrderedDict[tuple[object, ...], _Measured] = OrderedDict()

    def of(self, image: str, tag_of: TagOf = _every) -> dict[str, Any]:
        """The follow-up of the patient of an image.

        Args:
            image: id of an image of the folder.
            tag_of: the tag under which the label of an image and tag is seen; ``None`` where it is hidden.

        Returns:
            ``patient``, a digest, ``None`` where unknown; ``reference``, id of the earliest image with points, whose
            curves are followed, ``None`` where none has any; ``images``, a dict each, by date; ``changes``, as
            ``follow_up.Change`` with ``from`` and ``to`` for ``start`` and ``stop``; ``left_out``, how many images the
            patient has beyond ``MAX_IMAGES``; ``unread``, how many images of the folder may be of the patient, too.
        """
        found = siblings(self._store, image)
        rows = sorted(found.rows, key=lambda row: (row.id == image, *_time_of(row)))[-MAX_IMAGES:]
        rows.sort(key=_time_of)
        measured = {row.id: self._measured(row, tag_of) for row in rows}
        spines = [one.spine for one in measured.values() if one is not None]
        return {
            "patient": found.patient,
            "reference": spines[0].image if spines else None,
            "images": [_entry(row, measured[row.id], spines, tag_of) for row in rows],
            "changes": [_plain(change) for change in changes_of(spines)],
            "left_out": len(found.rows) - len(rows),
            "unread": found.unread,
        }

    def _measured(self, row: Row[Any], tag_of: TagOf) -> _Measured | None:
        """An image measured by its final label, else its stored prediction; ``None`` without either."""
        present = self._store.get_labels_by_image_id(row.id)
        seen = [tag_of(row.id, one) for one in (FINAL, PREDICTED)]
        tag = next((one for one in seen if one in present), None)
        if tag is None:
            return None
        try:
            label = self._store.read_label(row.id, tag)
            stated = self._store.stated_side(row.id)
            key = (row.id, row.size, row.mtime_ns, tag, label.version, stated)
            with self._lock:
                if key in self._cache:
                    self._cache.move_to_end(key)
                    return self._cache[key]
            with reading(self._store, row.id) as path:
                measured = _measure(row.id, path, label.content, label.metadata, tag, label.version, stated)
        except (OSError, ValueError, HTTPException, LabelNotFoundException) as error:
            logger.warning("An image could not be measured for a follow-up: %s", type(error).__name__)
            return None
        with self._lock:
            self._cache[key] = measured
            while len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        return measured


def _measure(
    image: str, path: Path, content: bytes, noted: Mapping[str, Any], tag: str, version: int, stated: StatedSide | None
) -> _Measured:
    """Measure an image.

    Args:
        image: id of the image.
        path: of its file.
        content: of the Markups file of its label.
        noted: metadata of the label.
        tag: of the label.
        version: of the label.
        stated: the patient's side as stated by a person.

    Raises:
        ValueError: the image cannot be read, or the label holds no landmarks.
    """
    radiograph = read_radiograph(path)
    spine, origin = from_markups(parse_json(content), radiograph.geometry, "label"), origin_of(noted)
    frame = with_stated_side(radiograph.frame, radiograph, stated).resolved(spine)
    upright = frame.upright(spine)
    measured = measure(spine, frame, origin)
    half_widths = corrected_half_widths(origin.half_widths, corners_of_reader(upright))
    followed = FollowedSpine(
        image,
        upright.visible_xy,
        None if are_names_doubtful(origin.names_right) else half_widths,
        frame.image_left_is,
    )
    values = {
        "curves": [
            {**asdict(curve), "open_ends": list(curve.open_ends), "text": format_curve(curve)}
            for curve in measured.curves
        ],
        "sides_of": sides_of(frame),
        "t1_tilt_deg": t1_tilt_deg(followed.xy),
    }
    return _Measured(tag, version, followed, values)


def _time_of(row: Row[Any]) -> tuple[str, int, str]:
    """Sort key of an image: its date, then the time of its file."""
    return _date_of(row)[0], row.mtime_ns, row.id


def _date_of(row: Row[Any]) -> tuple[str, str]:
    """Date of an image, ISO 8601, and where it is from."""
    if row.taken_on:
        return row.taken_on, BY_HEADER
    return datetime.fromtimestamp(row.mtime_ns / 1e9).date().isoformat(), BY_FILE


def _entry(row: Row[Any], measured: _Measured | None, spines: Sequence[FollowedSpine], tag_of: TagOf) -> dict[str, Any]:
    """One image of the answer."""
    state = row.state if row.state != LABELLED or tag_of(row.id, FINAL) == FINAL else OPEN
    is_predicted = row.is_predicted and tag_of(row.id, PREDICTED) is not None
    date, source = _date_of(row)
    same = () if measured is None else measure_at_same_ends(spines[0], measured.spine)
    values = {"curves": [], "sides_of": None, "t1_tilt_deg": None} if measured is None else measured.values
    return {
        "id": row.id,
        "date": date,
        "date_source": source,
        "state": state_of(state, is_predicted).value,
        "tag": None if measured is None else measured.tag,
        "version": None if measured is None else measured.version,
        **values,
        "same_ends": [asdict(one) for one in same],
    }


def _plain(change: Change) -> dict[str, Any]:
    values = asdict(change)
    return {"from": values.pop("start"), "to": values.pop("stop"), **values}
