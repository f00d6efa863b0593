"""A table for statistics: one row per image and reading, and a data dictionary beside it."""

from __future__ import annotations

import csv
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import _app_path  # noqa: F401
from lib.image_io import Radiograph
from lib.image_io.dicom.study import read_person_tags, read_study_tags
from lib.server.annotation.landmarks import origin_of
from lib.server.annotation.readings.agreement_input import listed_readings
from lib.server.annotation.readings.listing import ListedReading
from lib.server.inference.response import with_stated_side
from lib.server.store.datastore import StudiesDatastore
from lib.spine.atomic_write import atomic_write
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.measurement.cobb import t1_tilt_deg
from lib.spine.measurement.image_warnings import measurement_warnings
from lib.spine.measurement.measured_spine import measure
from lib.spine.measurement.report import sides_of

_PATIENT_DIGITS = 12
HEADER = ("age", "sex", "date")
"""What a DICOM header states of the patient, written on request alone."""


class Column(NamedTuple):
    """One column of the table, as the data dictionary describes it."""

    name: str
    unit: str
    meaning: str


COLUMNS = (
    Column("patient", "text", "stands for the patient, the same for all images of one in this folder; empty: unknown"),
    Column("image", "text", "id of the image"),
    Column("reading", "number", "of the reading of this image, from 1; 0: the label that an adjudicator has chosen"),
    Column("kind", "first, second, repeat, adjudication", "what the study plan took the reading for"),
    Column("reader", "text", "who read; empty: unknown"),
    Column("blind", "0, 1", "1: nothing of other readings could reach the reader"),
    Column("model_offered", "0, 1", "1: the model's points were offered to the reader"),
    Column("model_version", "text", "model whose points the reading began with; empty: none, or unknown"),
    Column("final", "0, 1", "1: the final label of the image, from which models learn"),
    Column(
        "held_out", "0, 1", "1: the plan holds the image out; no model learns from it, or from others of its patient"
    ),
    Column("chosen", "text", "of adjudicated labels: number of the reading that was taken, mean, or edited"),
    Column("version", "number", "of the label in the studies folder"),
    Column("client", "text", "program that saved it; empty: unknown"),
    Column("submitted", "ISO 8601, UTC", "when the reading was first submitted; empty: unknown"),
    Column("seconds", "s", "working time; empty: unknown"),
    Column("edits", "count", "edits of points; empty: unknown"),
    Column("vertebrae", "count, 0-17", "bodies with all four corners visible"),
    Column("curves", "count", "curves of 10 degrees and more, or the largest alone where there is none"),
    Column(
        "upper_end", "T1-L5", "upper end vertebra of the major curve, the one with the largest angle; empty: no curve"
    ),
    Column("lower_end", "T1-L5", "its lower end vertebra"),
    Column("apex", "T1-L5, or a disc such as T8/T9", "its apex"),
    Column("region", "thoracic, thoracolumbar, lumbar", "its region, by the apex"),
    Column("side", "left, right", "where its convexity points, see sides_of"),
    Column("sides_of", "patient, image", "whose left and right side means"),
    Column("angle_deg", "degrees", "its Cobb angle"),
    Column("interval_low_deg", "degrees", "lower end of the 90 % interval of the angle; empty: not estimated"),
    Column("interval_high_deg", "degrees", "upper end of the interval"),
    Column(
        "t1_tilt_deg", "degrees", "tilt of the superior endplate of T1, positive where its image left end is higher"
    ),
    Column("warnings", "codes, separated by blanks", "reasons to doubt the measurement, see docs/PREDICTION.md"),
)
HEADER_COLUMNS = {
    "age": Column("age_years", "years", "at the examination, by the header; 90: 90 and more; empty: not stated"),
    "sex": Column("sex", "F, M, O", "by the header; empty: not stated"),
    "date": Column("date", "ISO 8601", "of the examination, by the header; empty: not stated"),
}


def dictionary_path(path: Path) -> Path:
    """Where the data dictionary of a table lies: ``table.columns.csv`` beside ``table.csv``."""
    return path.with_name(f"{path.stem}.columns.csv")


def export_images(store: StudiesDatastore, path: Path, header: Collection[str]) -> list[str]:
    """Write the table and its data dictionary.

    Args:
        store: the studies folder.
        path: of the table.
        header: which of ``HEADER`` are written, too.

    Returns:
        A sentence for each image that was left out.

    Raises:
        ValueError: the folder has a study plan that cannot be read.
        OSError: a file cannot be written.
    """
    wanted = [name for name in HEADER if name in header]
    columns = [*COLUMNS, *(HEADER_COLUMNS[name] for name in wanted)]
    problems: list[str] = []
    rows = [
        {**_row(store, one, radiograph, patient), **_header(Path(store.get_image_uri(one.image)), wanted)}
        for one, radiograph, patient in listed_readings(store, problems, with_adjudicated=True)
    ]
    _write(path, [column.name for column in columns], rows)
    _write(dictionary_path(path), Column._fields, (column._asdict() for column in columns))
    images = len({row["image"] for row in rows})
    print(f"{len(rows)} readings of {images} images exported, with the data dictionary {dictionary_path(path).name}")
    return problems


def _write(path: Path, names: Iterable[str], rows: Iterable[Mapping[str, object]]) -> None:
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _row(store: StudiesDatastore, one: ListedReading, radiograph: Radiograph, patient: str) -> dict[str, Any]:
    spine = one.spine.cut_to(radiograph.width, radiograph.height)
    frame = with_stated_side(radiograph.frame.resolved(spine), radiograph, store.stated_side(one.image))
    return {
        "patient": f"p{patient[:_PATIENT_DIGITS]}" if patient else "",
        "image": one.image,
        "reading": one.number,
        "kind": one.kind,
        "reader": one.reader,
        "blind": int(one.is_blind),
        "model_offered": int(one.uses_model),
        "model_version": one.model_version,
        "final": int(one.is_final),
        "held_out": int(one.is_held_out),
        "chosen": "" if one.how is None else one.how,
        "version": one.version,
        "client": one.client,
        "submitted": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one.submitted_at)) if one.submitted_at > 1 else "",
        "seconds": "" if one.seconds is None else one.seconds,
        "edits": "" if one.edits is None else one.edits,
        **_measured(one, radiograph, frame),
    }


def _measured(one: ListedReading, radiograph: Radiograph, frame: ImageFrame) -> dict[str, Any]:
    spine, origin = one.spine.cut_to(radiograph.width, radiograph.height), origin_of(one.facts)
    curves = measure(spine, frame, origin).curves
    tilt = t1_tilt_deg(frame.upright(spine).visible_xy)
    warnings = measurement_warnings(spine, frame, origin.names_right, radiograph.warnings)
    row: dict[str, Any] = {
        "vertebrae": int(spine.visible[:, 1:].all(1).sum()),
        "curves": len(curves),
        "sides_of": sides_of(frame),
        "t1_tilt_deg": "" if tilt is None else round(tilt, 2),
        "warnings": " ".join(dict.fromkeys(warning.code for warning in warnings)),
    }
    if curves:
        major = max(curves, key=lambda curve: curve.angle_deg)
        row |= {name: getattr(major, name) for name in ("upper_end", "lower_end", "apex", "region", "side")}
        row["angle_deg"] = round(major.angle_deg, 2)
        if major.half_width_deg is not None:
            row["interval_low_deg"] = round(max(major.angle_deg - major.half_width_deg, 0.0), 2)
            row["interval_high_deg"] = round(major.angle_deg + major.half_width_deg, 2)
    return row


def _header(path: Path, wanted: Collection[str]) -> dict[str, object]:
    """What a DICOM header states, of what is wanted; nothing of other files."""
    person = read_person_tags(path) if {"age", "sex"} & set(wanted) else None
    study = read_study_tags(path) if "date" in wanted else None
    found = {
        "age": "" if person is None or person.age_years is None else person.age_years,
        "sex": "" if person is None else person.sex,
        "date": "" if study is None else study.taken_on,
    }
    return {HEADER_COLUMNS[name].name: found[name] for name in wanted}
