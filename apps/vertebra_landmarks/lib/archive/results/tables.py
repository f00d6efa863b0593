"""The CSV tables of ``scripts/predict.py`` and ``scripts/collect.py``: their columns, and the rows of one image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ...spine.labels.label_exchange import CURVE_COLUMNS, LANDMARK_COLUMNS
from .record import ImageRecord, LandmarkRecord

Row = Sequence[str]
LANDMARKS, COBB, CURVES, ERRORS = "landmarks.csv", "cobb.csv", "curves.csv", "errors.csv"
CONFIDENCE, REFUSED = "confidence.csv", "refused.csv"
_CONFIDENCE = ("image", "spine_score", "names_right", "curve", "angle_deg", "half_width_deg", "orientation", "warnings")
TABLES: dict[str, Row] = {
    LANDMARKS: LANDMARK_COLUMNS,
    COBB: ("image", "angle1_deg", "angle2_deg", "angle3_deg"),
    CURVES: CURVE_COLUMNS,
    ERRORS: ("image", "vertebra", "point", "error_px"),
    CONFIDENCE: _CONFIDENCE,
    REFUSED: ("image", "reason"),
}
"""Columns of each table; the first one is the image."""


def result_rows(name: str, record: ImageRecord) -> dict[str, Iterable[Row]]:
    """Rows of one image by table.

    Args:
        name: what the tables call the image.
        record: of the image.
    """
    if record.refused is not None:
        return {REFUSED: [(name, record.refused)]}
    return {
        LANDMARKS: landmark_rows(name, record.landmarks),
        COBB: _cobb_rows(name, record),
        CURVES: _curve_rows(name, record),
        ERRORS: _error_rows(name, record),
        CONFIDENCE: _confidence_rows(name, record),
    }


def landmark_rows(name: str, landmarks: Iterable[LandmarkRecord]) -> Iterator[Row]:
    """Rows of ``LANDMARKS`` of one image."""
    for of in landmarks:
        position = f"{of.x_px:.3f}", f"{of.y_px:.3f}"
        yield name, of.vertebra, of.point, *position, f"{of.score:.4f}", "1" if of.is_visible else "0"


def _cobb_rows(name: str, record: ImageRecord) -> Iterator[Row]:
    """The three angles of the challenge rule."""
    if record.angles_deg is not None:
        yield name, *(f"{angle:.3f}" for angle in record.angles_deg)


def _curve_rows(name: str, record: ImageRecord) -> Iterator[Row]:
    for of in record.curves:
        ends = of.upper_end, of.lower_end, of.apex
        yield name, str(of.curve), *ends, of.side, f"{of.angle_deg:.2f}", of.region, of.sides_of


def _error_rows(name: str, record: ImageRecord) -> Iterator[Row]:
    """The expected errors of the landmarks; none where the model does not estimate them."""
    for of in record.landmarks:
        if of.error_px is not None:
            yield name, of.vertebra, of.point, f"{of.error_px:.2f}"


def _confidence_rows(name: str, record: ImageRecord) -> Iterator[Row]:
    """Confidence of the spine, its names and each curve's angle; empty where not estimated.

    An image without a curve has one row with its orientation and warnings.
    """
    right = "" if record.names_right is None else f"{record.names_right:.3f}"
    angles = [
        (str(of.curve), f"{of.angle_deg:.2f}", "" if of.half_width_deg is None else f"{of.half_width_deg:.2f}")
        for of in record.curves
    ]
    for angle in angles or [("", "", "")]:
        yield name, f"{record.spine_score:.3f}", right, *angle, record.orientation or "", " ".join(record.warnings)
