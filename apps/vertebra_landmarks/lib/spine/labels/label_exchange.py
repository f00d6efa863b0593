"""Labelled films in tables and JSON, for other programs: CSV with a row per point or per curve, and JSON with both."""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Optional

import numpy as np

from ..imaging.image_frame import ImageFrame
from ..measurement.image_warnings import ImageWarning
from ..measurement.report import curves_of, sides_of
from ..schema import POINTS, SCHEMA_VERSION, VERTEBRAE, Spine
from .markups import label_of

LANDMARK_COLUMNS = ("image", "vertebra", "point", "x_px", "y_px", "score", "visible")
CURVE_COLUMNS = ("image", "curve", "upper_end", "lower_end", "apex", "side", "angle_deg", "region", "sides_of")
_NEEDED = LANDMARK_COLUMNS[:5]
_DELIMITERS = (",", ";", "\t")
_STATED_DELIMITER = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
"""First line by which a spreadsheet program is told the delimiter."""

PLACES = {label_of(v, p): (i, POINTS.index(p)) for i, v in enumerate(VERTEBRAE) for p in POINTS}
"""Vertebra and point of every name, such as "T7" for a center and "T7 TL" for a corner."""


@dataclass(frozen=True)
class LabelledFilm:
    """One film and its landmarks.

    Attributes:
        image: id, or name of the file.
        spine: points in stored pixels of the image.
        frame: the image that they belong to; ``None`` where a file says nothing about it.
        warnings: reasons to doubt what is measured.
    """

    image: str
    spine: Spine
    frame: Optional[ImageFrame] = None
    warnings: tuple[ImageWarning, ...] = ()

    @property
    def known_frame(self) -> ImageFrame:
        """The image that the points belong to.

        Raises:
            ValueError: nothing is known about it.
        """
        if self.frame is None:
            raise ValueError(f"image {self.image!r:.80}: its width and height are needed")
        return self.frame


Read = tuple[list[LabelledFilm], list[str]]
"""What a file holds, and a sentence for everything in it that cannot be used."""


class Points:
    """The points of one film while they are collected."""

    def __init__(self) -> None:
        self._xy = np.full((len(VERTEBRAE), len(POINTS), 2), math.nan)
        self._scores = np.ones(self._xy.shape[:2])
        self._visible = np.ones(self._xy.shape[:2], bool)

    def add(self, name: str, x: Any, y: Any, score: Any = 1.0, is_visible: bool = True) -> None:
        """Set a point.

        Raises:
            ValueError: the name is unknown or stood before, or a number is none.
        """
        if name not in PLACES:
            raise ValueError(f"{name!r:.40} is neither a vertebra like 'T7' nor a corner like 'T7 TL'")
        numbers = [_number(name, value) for value in (x, y, score)]
        if not 0.0 <= numbers[2] <= 1.0:
            raise ValueError(f"the score of {name} must lie in 0...1, got {score!r:.40}")
        if np.isfinite(self._xy[PLACES[name]]).any():
            raise ValueError(f"{name} stands twice")
        self._xy[PLACES[name]] = numbers[:2]
        self._scores[PLACES[name]] = numbers[2]
        self._visible[PLACES[name]] = is_visible

    @property
    def spine(self) -> Spine:
        """All of them."""
        return Spine.from_arrays(self._xy, self._scores, visible=self._visible)


def _number(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"x, y and score of {name} must be numbers, got {value!r:.40}")
    return number


def landmarks_csv(films: Iterable[LabelledFilm]) -> str:
    """A row per point, in stored pixels; points that are absent have none."""
    rows: list[tuple[object, ...]] = [LANDMARK_COLUMNS]
    for film in films:
        for vertebra, point, mark in film.spine.points():
            if mark is not None:
                numbers = repr(mark.x), repr(mark.y), repr(mark.score), int(mark.is_visible)
                rows.append((film.image, vertebra, point, *numbers))
    return _csv(rows)


def curves_csv(films: Iterable[LabelledFilm]) -> str:
    """A row per curve, from top to bottom; ``sides_of`` says whose sides they are.

    Raises:
        ValueError: nothing is known about an image.
    """
    rows: list[tuple[object, ...]] = [CURVE_COLUMNS]
    for film in films:
        frame = film.known_frame
        for number, curve in enumerate(curves_of(film.spine, frame), start=1):
            ends = curve.upper_end, curve.lower_end, curve.apex, curve.side
            rows.append((film.image, number, *ends, f"{curve.angle_deg:.2f}", curve.region, sides_of(frame)))
    return _csv(rows)


def _csv(rows: Iterable[Iterable[object]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def read_landmarks_csv(text: str) -> Read:
    """Read a table with a row per point, as ``landmarks_csv`` and ``scripts/predict.py`` write them.

    Columns are separated by commas, semicolons or tabs; but for the first, numbers may have a decimal comma. A film
    with a row that cannot be used is left out as a whole: half a label would teach wrongly.

    Raises:
        ValueError: a column is missing.
    """
    stated = _STATED_DELIMITER.match(text)
    stream = io.StringIO(text[stated.end() :] if stated else text, newline="")
    header = stream.readline()
    delimiter = stated[1] if stated else max(_DELIMITERS, key=header.count)
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise ValueError(f"the table needs the columns {', '.join(_NEEDED)}; {missing[0]} is missing")
    rows = csv.DictReader(stream, names, delimiter=delimiter)
    films: dict[str, Points] = {}
    problems: dict[str, str] = {}
    lines_before = 2 if stated else 1
    try:
        for row in rows:
            image = row["image"] or ""
            try:
                _add_row(films.setdefault(image, Points()), row, delimiter)
            except ValueError as error:
                problems.setdefault(image, f"line {lines_before + rows.line_num}, image {image!r:.80}: {error}")
    except csv.Error as error:
        raise ValueError(f"line {lines_before + rows.line_num}: {error}") from error
    whole = [LabelledFilm(image, points.spine) for image, points in films.items() if image not in problems]
    return whole, list(problems.values())


def _add_row(points: Points, row: Mapping[str, Optional[str]], delimiter: str) -> None:
    """Set the point of a row.

    Raises:
        ValueError: the row cannot be used.
    """
    name = label_of(row["vertebra"] or "", row["point"] or "")
    x, y, score = (_decimal(row.get(column), delimiter) for column in ("x_px", "y_px", "score"))
    visible = row.get("visible") or "1"
    if visible not in ("0", "1"):
        raise ValueError(f"visible of {name} must be 1 or 0, got {visible!r:.40}")
    points.add(name, x, y, score or 1.0, visible == "1")


def _decimal(value: Optional[str], delimiter: str) -> Optional[str]:
    """A number with a decimal point; the comma in its place is possible where it separates no columns."""
    if value is None or delimiter == "," or "." in value:
        return value
    return value.replace(",", ".", 1)


def films_json(films: Iterable[LabelledFilm]) -> str:
    """Landmarks, curves and warnings of every film, and whose sides those of the curves are.

    Raises:
        ValueError: nothing is known about an image.
    """
    images = []
    for film in films:
        points = [
            {
                "name": label_of(vertebra, point),
                "x": mark.x,
                "y": mark.y,
                "score": mark.score,
                "visible": mark.is_visible,
            }
            for vertebra, point, mark in film.spine.points()
            if mark is not None
        ]
        frame = film.known_frame
        curves = [asdict(curve) for curve in curves_of(film.spine, frame)]
        warnings = [warning.as_dict() for warning in film.warnings]
        images.append(
            {
                "image": film.image,
                "landmarks": points,
                "curves": curves,
                "sides_of": sides_of(frame),
                "warnings": warnings,
            }
        )
    return json.dumps({"schema_version": SCHEMA_VERSION, "images": images}, indent=1, allow_nan=False) + "\n"


def read_films_json(text: str) -> Read:
    """Read what ``films_json`` writes; curves follow from the landmarks and are passed over.

    Raises:
        ValueError: it is no JSON of that shape, or of another version of the landmarks.
    """
    content = json_object(text)
    if content.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"schema_version must be {SCHEMA_VERSION}, got {content.get('schema_version')!r:.40}")
    films, problems = [], []
    for number, known in enumerate(listing(content, "images"), start=1):
        image = known.get("image") if isinstance(known, Mapping) else None
        try:
            if not isinstance(image, str):
                raise ValueError("an image is named by a text 'image'")
            points = Points()
            for mark in listing(known, "landmarks"):
                mark = mark if isinstance(mark, Mapping) else {}
                name, is_visible = str(mark.get("name")), mark.get("visible", True)
                if not isinstance(is_visible, bool):
                    raise ValueError(f"visible of {name:.40} must be true or false, got {is_visible!r:.40}")
                points.add(name, mark.get("x"), mark.get("y"), mark.get("score", 1.0), is_visible)
            films.append(LabelledFilm(image, points.spine))
        except ValueError as error:
            problems.append(f"entry {number}, image {image!r:.80}: {error}")
    return films, problems


def json_object(text: str) -> dict[str, Any]:
    """The object that a text holds.

    Raises:
        ValueError: it is no JSON object.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the file must be JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError("the file must hold a JSON object")
    return content


def listing(content: Mapping[str, Any], name: str) -> list[Any]:
    """A list of an object.

    Raises:
        ValueError: it has none of that name.
    """
    found = content.get(name)
    if not isinstance(found, list):
        raise ValueError(f"expected a list {name!r}, got {found!r:.40}")
    return found


_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_PEEKED = 1000  # bytes


def decode_text(content: bytes) -> str:
    """The text of a file, without its byte order mark.

    A file without a mark is UTF-16 where every other byte of its begin is 0, else UTF-8 where it can be, else
    Windows-1252.

    Raises:
        ValueError: it is no text in any of these.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding)
    begin = content[:_PEEKED]
    if 0 in begin:
        return content.decode("utf-16-le" if begin[1::2].count(0) >= begin[::2].count(0) else "utf-16-be")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252")


MAX_OUTSIDE = 0.5
"""Share of a label's points that may lie outside the image; with more it is the label of another one."""


def fit_to_image(spine: Spine, width: int, height: int) -> Spine:
    """A label as it is kept and learnt from: what lies off the image is not visible.

    Args:
        spine: points in stored pixels, as they were placed.
        width: of the image in pixels.
        height: of the image in pixels.

    Raises:
        ValueError: most of the points that count as visible lie outside the image.
    """
    placed = spine.visible_xy[spine.visible]
    outside = ((placed < -0.5) | (placed > np.array([width, height]) - 0.5)).any(-1)
    if outside.sum() > MAX_OUTSIDE * len(placed):
        raise ValueError(
            f"{outside.sum()} of {len(placed)} points lie outside the image of {width} x {height} pixels (x from 0 to "
            f"{width - 1}, y from 0 to {height - 1} were expected): the label belongs to another image"
        )
    return spine.cut_to(width, height)
