"""Labelled films in tables and JSON, for other programs: CSV with a row per point or per curve, and JSON with both."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Optional

import numpy as np

from .curves import Curve, measure_curves
from .markups import label_of
from .schema import POINTS, SCHEMA_VERSION, VERTEBRAE, Spine

LANDMARK_COLUMNS = ("image", "vertebra", "point", "x_px", "y_px", "score")
CURVE_COLUMNS = ("image", "curve", "upper_end", "lower_end", "apex", "side", "angle_deg", "region")
_NEEDED = LANDMARK_COLUMNS[:5]

PLACES = {label_of(v, p): (i, POINTS.index(p)) for i, v in enumerate(VERTEBRAE) for p in POINTS}
"""Vertebra and point of every name, such as "T7" for a center and "T7 TL" for a corner."""


@dataclass(frozen=True)
class LabelledFilm:
    """One film and its landmarks.

    Attributes:
        image: id, or name of the file.
        spine: points in pixels of the image.
        width: of the image in pixels, where it is known.
        height: of the image in pixels, where it is known.
    """

    image: str
    spine: Spine
    width: Optional[int] = None
    height: Optional[int] = None


Read = tuple[list[LabelledFilm], list[str]]
"""What a file holds, and a sentence for everything in it that cannot be used."""


class Points:
    """The points of one film while they are collected."""

    def __init__(self) -> None:
        self._xy = np.full((len(VERTEBRAE), len(POINTS), 2), math.nan)
        self._scores = np.ones(self._xy.shape[:2])

    def add(self, name: str, x: Any, y: Any, score: Any = 1.0) -> None:
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

    @property
    def spine(self) -> Spine:
        """All of them."""
        return Spine.from_arrays(self._xy, self._scores)


def _number(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"x, y and score of {name} must be numbers, got {value!r:.40}")
    return number


def landmarks_csv(films: Iterable[LabelledFilm]) -> str:
    """A row per point, in pixels; points that are absent have none."""
    rows: list[tuple[object, ...]] = [LANDMARK_COLUMNS]
    for film in films:
        for vertebra, point, landmark in film.spine.points():
            if landmark is not None:
                rows.append((film.image, vertebra, point, repr(landmark.x), repr(landmark.y), repr(landmark.score)))
    return _csv(rows)


def curves_csv(films: Iterable[LabelledFilm]) -> str:
    """A row per curve, from top to bottom; sides are those of the image."""
    rows: list[tuple[object, ...]] = [CURVE_COLUMNS]
    for film in films:
        for number, curve in enumerate(_curves(film.spine), start=1):
            ends = curve.upper_end, curve.lower_end, curve.apex, curve.side
            rows.append((film.image, number, *ends, f"{curve.angle_deg:.2f}", curve.region))
    return _csv(rows)


def _curves(spine: Spine) -> tuple[Curve, ...]:
    return tuple(measure_curves(spine.xy))


def _csv(rows: Iterable[Iterable[object]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def read_landmarks_csv(text: str) -> Read:
    """Read a table with a row per point, as ``landmarks_csv`` and ``scripts/predict.py`` write them.

    A film with a row that cannot be used is left out as a whole: half a label would teach wrongly.

    Raises:
        ValueError: a column is missing.
    """
    rows = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in _NEEDED if name not in (rows.fieldnames or ())]
    if missing:
        raise ValueError(f"the table needs the columns {', '.join(_NEEDED)}; {missing[0]} is missing")
    films: dict[str, Points] = {}
    problems: dict[str, str] = {}
    try:
        for row in rows:
            image, vertebra, point = (row[name] or "" for name in _NEEDED[:3])
            try:
                score = row.get("score") or 1.0
                films.setdefault(image, Points()).add(label_of(vertebra, point), row["x_px"], row["y_px"], score)
            except ValueError as error:
                problems.setdefault(image, f"line {rows.line_num}, image {image!r:.80}: {error}")
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num}: {error}") from error
    whole = [LabelledFilm(image, points.spine) for image, points in films.items() if image not in problems]
    return whole, list(problems.values())


def films_json(films: Iterable[LabelledFilm]) -> str:
    """Landmarks and curves of every film."""
    images = []
    for film in films:
        points = [
            {"name": label_of(vertebra, point), "x": mark.x, "y": mark.y, "score": mark.score}
            for vertebra, point, mark in film.spine.points()
            if mark is not None
        ]
        curves = [asdict(curve) for curve in _curves(film.spine)]
        images.append({"image": film.image, "landmarks": points, "curves": curves})
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
                points.add(str(mark.get("name")), mark.get("x"), mark.get("y"), mark.get("score", 1.0))
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
