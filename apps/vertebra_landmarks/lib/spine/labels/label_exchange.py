"""Label exchange with other programs: CSV with a row per point or per curve, and JSON with both; see also ``coco``."""

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
from .landmark_names import NameMap
from .markups import LANDMARK_INDEX, label_of

LANDMARK_COLUMNS = ("image", "vertebra", "point", "x_px", "y_px", "score", "visible")
CURVE_COLUMNS = ("image", "curve", "upper_end", "lower_end", "apex", "side", "angle_deg", "region", "sides_of")
_REQUIRED_COLUMNS = LANDMARK_COLUMNS[:5]
PATIENT = "patient"
"""Column of a table, and field of JSON, that names the patient of an image; it may be absent."""
_DEFAULT_NAMES = NameMap()
_DELIMITERS = (",", ";", "\t")
_STATED_DELIMITER = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
"""First line of a table for spreadsheet programs, which states the delimiter."""


@dataclass(frozen=True)
class LabelledImage:
    """One image and its landmarks.

    Attributes:
        image: id, or file name.
        spine: points in stored pixels of the image.
        frame: size, orientation and sides of the image; ``None`` where a file states none.
        warnings: reasons to doubt what is measured.
        patient: what tells the patient from others, as the file states it; "" where it does not.
    """

    image: str
    spine: Spine
    frame: Optional[ImageFrame] = None
    warnings: tuple[ImageWarning, ...] = ()
    patient: str = ""

    @property
    def required_frame(self) -> ImageFrame:
        """The frame of the image.

        Raises:
            ValueError: it is not known.
        """
        if self.frame is None:
            raise ValueError(f"image {self.image!r:.80}: its width and height are needed")
        return self.frame


ReadResult = tuple[list[LabelledImage], list[str]]
"""The labels of a file, and a sentence for each entry that cannot be used."""


class SpineBuilder:
    """Collects the points of one spine."""

    def __init__(self) -> None:
        self._xy = np.full((len(VERTEBRAE), len(POINTS), 2), math.nan)
        self._scores = np.ones(self._xy.shape[:2])
        self._visible = np.ones(self._xy.shape[:2], bool)

    def add(self, name: str, x: Any, y: Any, score: Any = 1.0, is_visible: bool = True) -> None:
        """Set a point.

        Raises:
            ValueError: the name is unknown or was added before, or a value is not a finite number.
        """
        if name not in LANDMARK_INDEX:
            raise ValueError(f"{name!r:.40} is neither a vertebra like 'T7' nor a corner like 'T7 TL'")
        numbers = [_number(name, value) for value in (x, y, score)]
        if not 0.0 <= numbers[2] <= 1.0:
            raise ValueError(f"the score of {name} must lie in 0...1, got {score!r:.40}")
        index = LANDMARK_INDEX[name]
        if np.isfinite(self._xy[index]).any():
            raise ValueError(f"{name} stands twice")
        self._xy[index], self._scores[index], self._visible[index] = numbers[:2], numbers[2], is_visible

    @property
    def spine(self) -> Spine:
        """The spine with all points added so far."""
        return Spine.from_arrays(self._xy, self._scores, visible=self._visible)


def _number(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"x, y and score of {name} must be numbers, got {value!r:.40}")
    return number


def landmarks_csv(labels: Iterable[LabelledImage]) -> str:
    """CSV with a row per point, in stored pixels; absent points have none."""
    rows: list[tuple[object, ...]] = [LANDMARK_COLUMNS]
    for labelled in labels:
        for vertebra, point, landmark in labelled.spine.points():
            if landmark is not None:
                numbers = repr(landmark.x), repr(landmark.y), repr(landmark.score), int(landmark.is_visible)
                rows.append((labelled.image, vertebra, point, *numbers))
    return _csv(rows)


def curves_csv(labels: Iterable[LabelledImage]) -> str:
    """CSV with a row per curve, from top to bottom; ``sides_of`` says whose sides they are.

    Raises:
        ValueError: the frame of an image is not known.
    """
    rows: list[tuple[object, ...]] = [CURVE_COLUMNS]
    for labelled in labels:
        frame = labelled.required_frame
        for number, curve in enumerate(curves_of(labelled.spine, frame), start=1):
            ends = curve.upper_end, curve.lower_end, curve.apex, curve.side
            rows.append((labelled.image, number, *ends, f"{curve.angle_deg:.2f}", curve.region, sides_of(frame)))
    return _csv(rows)


def _csv(rows: Iterable[Iterable[object]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def read_landmarks_csv(text: str, names: NameMap = _DEFAULT_NAMES) -> ReadResult:
    """Read a table with a row per point, as ``landmarks_csv`` and ``scripts/predict.py`` write them.

    Columns are separated by commas, semicolons or tabs; numbers may have a decimal comma except in the first case. An
    image with an unusable row is left out as a whole, since an incomplete label would mislead a training.

    Args:
        text: of the file.
        names: what its names of vertebrae and points stand for.

    Raises:
        ValueError: the text is empty, or a column is missing.
    """
    _check_not_empty(text)
    stated = _STATED_DELIMITER.match(text)
    stream = io.StringIO(text[stated.end() :] if stated else text, newline="")
    header = stream.readline()
    delimiter = stated[1] if stated else max(_DELIMITERS, key=header.count)
    columns = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    missing = [name for name in _REQUIRED_COLUMNS if name not in columns]
    if missing:
        raise ValueError(
            f"the table needs the columns {', '.join(_REQUIRED_COLUMNS)}; {missing[0]} is missing, it has "
            f"{', '.join(columns)!r:.200}"
        )
    rows = csv.DictReader(stream, columns, delimiter=delimiter)
    builders: dict[str, SpineBuilder] = {}
    patients: dict[str, str] = {}
    problems: dict[str, str] = {}
    lines_before = 2 if stated else 1
    try:
        for row in rows:
            image = row["image"] or ""
            try:
                _add_row(builders.setdefault(image, SpineBuilder()), row, delimiter, names)
                patient = (row.get(PATIENT) or "").strip()
                if patient and (patients.get(image) or patient) != patient:
                    raise ValueError("its rows name different patients")
                patients[image] = patient or patients.get(image, "")
            except ValueError as error:
                problems.setdefault(image, f"line {lines_before + rows.line_num}, image {image!r:.80}: {error}")
    except csv.Error as error:
        raise ValueError(f"line {lines_before + rows.line_num}: {error}") from error
    labels = [
        LabelledImage(image, builder.spine, patient=patients[image])
        for image, builder in builders.items()
        if image not in problems
    ]
    return labels, list(problems.values())


def _add_row(builder: SpineBuilder, row: Mapping[str, Optional[str]], delimiter: str, names: NameMap) -> None:
    """Add the point of a row.

    Raises:
        ValueError: the row cannot be used.
    """
    vertebra, point = row["vertebra"] or "", row["point"] or ""
    if names.is_left_out(vertebra) or names.is_left_out(point):
        return
    name = label_of(names.level(vertebra) or vertebra, names.point(point) or point)
    x, y, score = (_decimal(row.get(column), delimiter) for column in ("x_px", "y_px", "score"))
    visible = row.get("visible") or "1"
    if visible not in ("0", "1"):
        raise ValueError(f"visible of {name} must be 1 or 0, got {visible!r:.40}")
    builder.add(name, x, y, score or 1.0, visible == "1")


def _decimal(value: Optional[str], delimiter: str) -> Optional[str]:
    """A number with a decimal point; a decimal comma is accepted where commas do not separate columns."""
    if value is None or delimiter == "," or "." in value:
        return value
    return value.replace(",", ".", 1)


def labels_json(labels: Iterable[LabelledImage]) -> str:
    """JSON with landmarks, curves and warnings of every image, and whose sides those of the curves are.

    Raises:
        ValueError: the frame of an image is not known.
    """
    images = []
    for labelled in labels:
        points = [
            {
                "name": label_of(vertebra, point),
                "x": landmark.x,
                "y": landmark.y,
                "score": landmark.score,
                "visible": landmark.is_visible,
            }
            for vertebra, point, landmark in labelled.spine.points()
            if landmark is not None
        ]
        frame = labelled.required_frame
        curves = [asdict(curve) for curve in curves_of(labelled.spine, frame)]
        warnings = [warning.as_dict() for warning in labelled.warnings]
        images.append(
            {
                "image": labelled.image,
                "landmarks": points,
                "curves": curves,
                "sides_of": sides_of(frame),
                "warnings": warnings,
            }
        )
    return json.dumps({"schema_version": SCHEMA_VERSION, "images": images}, indent=1, allow_nan=False) + "\n"


def read_labels_json(text: str, names: NameMap = _DEFAULT_NAMES) -> ReadResult:
    """Read what ``labels_json`` writes; curves follow from the landmarks and are ignored.

    Args:
        text: of the file.
        names: what its names of landmarks stand for.

    Raises:
        ValueError: it is not such a JSON file, or of another schema version.
    """
    content = json_object(text)
    if content.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"schema_version must be {SCHEMA_VERSION}, got {content.get('schema_version')!r:.40}")
    labels, problems = [], []
    for number, entry in enumerate(list_of(content, "images"), start=1):
        image = entry.get("image") if isinstance(entry, Mapping) else None
        try:
            if not isinstance(image, str):
                raise ValueError("an image is named by a text 'image'")
            builder = SpineBuilder()
            for item in list_of(entry, "landmarks"):
                item = item if isinstance(item, Mapping) else {}
                name, is_visible = str(item.get("name")), item.get("visible", True)
                if not isinstance(is_visible, bool):
                    raise ValueError(f"visible of {name:.40} must be true or false, got {is_visible!r:.40}")
                if not names.is_left_out(name):
                    position = item.get("x"), item.get("y")
                    builder.add(names.landmark(name) or name, *position, item.get("score", 1.0), is_visible)
            patient = entry.get(PATIENT, "")
            labels.append(LabelledImage(image, builder.spine, patient=str(patient) if patient else ""))
        except ValueError as error:
            problems.append(f"entry {number}, image {image!r:.80}: {error}")
    return labels, problems


def json_object(text: str) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        ValueError: the text is not a JSON object.
    """
    _check_not_empty(text)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the file must be JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError("the file must hold a JSON object")
    return content


def _check_not_empty(text: str) -> None:
    if not text.strip():
        raise ValueError("the file is empty")


def list_of(content: Mapping[str, Any], name: str) -> list[Any]:
    """The list of that name in a JSON object.

    Raises:
        ValueError: there is none.
    """
    value = content.get(name)
    if not isinstance(value, list):
        raise ValueError(f"expected a list {name!r}, got {value!r:.40}")
    return value


_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SNIFFED_BYTES = 1000


def decode_text(content: bytes) -> str:
    """Decode the text of a spreadsheet or editor, without its byte order mark.

    Without a mark it is UTF-16 where every other byte at the beginning is 0, else UTF-8 where valid, else
    Windows-1252.

    Raises:
        ValueError: it is text in none of these encodings.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding)
    begin = content[:_SNIFFED_BYTES]
    if 0 in begin:
        return content.decode("utf-16-le" if begin[1::2].count(0) >= begin[::2].count(0) else "utf-16-be")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252")


MAX_OUTSIDE_SHARE = 0.5
"""Share of a label's points that may lie outside the image; with more it is the label of another image."""


def fit_to_image(spine: Spine, width: int, height: int) -> Spine:
    """A label as it is stored and learnt from: points outside the image are not visible.

    Args:
        spine: points in stored pixels, as labelled.
        width: of the image in pixels.
        height: of the image in pixels.

    Raises:
        ValueError: most of the visible points lie outside the image.
    """
    placed = spine.visible_xy[spine.visible]
    outside = _is_outside(placed, width, height)
    if outside.sum() > MAX_OUTSIDE_SHARE * len(placed):
        is_exchanged = not _is_outside(placed[:, ::-1], width, height).any()
        reason = "x and y may be exchanged" if is_exchanged else "the label belongs to another image"
        raise ValueError(
            f"{outside.sum()} of {len(placed)} points lie outside the image of {width} x {height} pixels (x from 0 to "
            f"{width - 1}, y from 0 to {height - 1} were expected): {reason}"
        )
    return spine.cut_to(width, height)


def _is_outside(xy: np.ndarray, width: int, height: int) -> np.ndarray:
    """Which of the points ``(N, 2)`` lie outside an image: ``(N,)``."""
    return np.asarray(((xy < -0.5) | (xy > np.array([width, height]) - 0.5)).any(-1))
