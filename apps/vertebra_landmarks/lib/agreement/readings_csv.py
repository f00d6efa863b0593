"""Readings in a table with a row per point: as of ``landmarks_csv``, with columns for the reader and the reading."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping

import numpy as np

from ..spine.geometry import with_centers
from ..spine.labels.label_exchange import read_landmarks_csv
from ..spine.schema import CORNERS, POINTS, VERTEBRAE, Spine
from .paired_readings import StudyReading

COLUMNS = ("image", "reader", "reading", "vertebra", "point", "x_px", "y_px")
OPTIONAL_COLUMNS = ("mm_per_px", "patient", "model_version", "kind")
"""The same in all rows of a reading; ``visible`` is read, too."""
_DELIMITERS = ",;\t"
_CORNERS = slice(-len(CORNERS), None)

Row = Mapping[str, str | None]


def read_readings_csv(text: str) -> tuple[list[StudyReading], list[str]]:
    """Read a table of readings; points are those of upright images.

    Columns are separated by commas, semicolons or tabs; numbers may have a decimal comma except in the first case.
    Centers that are not listed are the means of the corners.

    Args:
        text: ``COLUMNS`` in any order, and those of ``OPTIONAL_COLUMNS`` that there are; ``reading`` is a whole number
            that orders the readings of an image by the same reader.

    Returns:
        The readings, and a sentence for each that cannot be used.

    Raises:
        ValueError: a column is missing, or the table cannot be read.
    """
    begin = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=begin.count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows.fieldnames = names = [name.strip() for name in rows.fieldnames or []]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise ValueError(f"the table needs the columns {', '.join(COLUMNS)}; {missing[0]} is missing")
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, delimiter=delimiter, extrasaction="ignore")
    writer.writeheader()
    facts: dict[str, Row] = {}
    try:
        for row in rows:
            image, reader, reading = (_text(row, name) for name in COLUMNS[:3])
            key = f"{image} by {reader}, reading {reading}"
            facts.setdefault(key, row)
            writer.writerow({**row, "image": key})
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num}: {error}") from error
    labels, problems = read_landmarks_csv(stream.getvalue())
    found = []
    for label in labels:
        try:
            found.append(_reading(facts[label.image], label.spine))
        except ValueError as error:
            problems.append(f"image {label.image!r:.80}: {error}")
    return found, problems


def _text(row: Row, name: str) -> str:
    return (row.get(name) or "").strip()


def _reading(row: Row, spine: Spine) -> StudyReading:
    """A reading of its first row.

    Raises:
        ValueError: the row cannot be used.
    """
    image, reader, reading = (_text(row, name) for name in COLUMNS[:3])
    if not (image and reader):
        raise ValueError("every row names an image and a reader")
    try:
        number = int(reading)
    except ValueError as error:
        raise ValueError(f"reading must be a whole number such as 1, got {reading!r:.40}") from error
    xy = spine.visible_xy
    xy = np.where(np.isfinite(xy), xy, with_centers(xy[:, _CORNERS]))
    return StudyReading(
        image,
        reader,
        number,
        Spine.from_arrays(xy),
        xy,
        _size(_text(row, "mm_per_px")),
        _text(row, "patient"),
        _text(row, "model_version"),
        _text(row, "kind"),
    )


def _size(text: str) -> float | None:
    if not text:
        return None
    try:
        size = float(text.replace(",", "."))
    except ValueError:
        size = math.nan
    if not (math.isfinite(size) and size > 0):
        raise ValueError(f"mm_per_px must be a positive number of millimetres, got {text!r:.40}")
    return size


def readings_csv(readings: Iterable[StudyReading]) -> str:
    """The table that ``read_readings_csv`` reads.

    Args:
        readings: in the order of the rows.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow((*COLUMNS, *OPTIONAL_COLUMNS))
    for one in readings:
        mm_per_px = "" if one.mm_per_px is None else repr(one.mm_per_px)
        facts = mm_per_px, one.patient, one.model_version, one.kind
        for v, p in np.argwhere(np.isfinite(one.upright_xy).all(-1)).tolist():
            x, y = one.upright_xy[v, p].tolist()
            writer.writerow((one.image, one.reader, one.number, VERTEBRAE[v], POINTS[p], repr(x), repr(y), *facts))
    return stream.getvalue()
