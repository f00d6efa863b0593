"""Cobb lines for viewers, and what edited ones would change."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedSRStorage, generate_uid

from lib.spine.geometry import with_centers
from lib.spine.labels.markups import LANDMARK_INDEX
from lib.spine.measurement.cobb import Curve, measure_curves
from lib.spine.measurement.report import curves_of
from lib.spine.schema import Spine
from lib.structured_report import (
    CobbLinesReport,
    CobbProposal,
    ReportSubject,
    SourceImage,
    cobb_lines_report,
    cobb_proposal,
    parse_report,
    read_report,
    to_bytes,
)
from lib.structured_report.cobb_lines_report import cobb_lines, viewer_angle
from lib.structured_report.cobb_proposal import DrawnAngle
from lib.structured_report.subject import COBB_LINES, LANDMARKS

from .subjects import FRAME, phantom, subject

Edit = Callable[[np.ndarray], np.ndarray]
OHIF_FILE = Path(__file__).with_name("ohif_3_13_cobb_lines.dcm")
"""Stored by OHIF 3.13.2 after the right end of the first of our lines of phantom 1 was dragged down by 16.6 pixels."""


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def item(relation: str, kind: str, name: tuple[str, str, str] | None = None, **values: Any) -> Dataset:
    content = Dataset()
    content.RelationshipType, content.ValueType = relation, kind
    if name is not None:
        content.ConceptNameCodeSequence = [code(*name)]
    for keyword, value in values.items():
        setattr(content, keyword, value)
    return content


def saved_by_ohif(about: ReportSubject, lines: list[np.ndarray]) -> Dataset:
    """A report with the items in the order and of the kinds in which OHIF 3.13 (dcmjs) writes Cobb angles.

    ``OHIF_FILE`` is a real one.
    """
    reference = Dataset()
    reference.ReferencedSOPClassUID = about.image.reference.sop_class_uid
    reference.ReferencedSOPInstanceUID = about.image.uid
    groups = []
    for pair in lines:
        image = item("SELECTED FROM", "IMAGE", ReferencedSOPSequence=[reference])
        graphic = [float(number) for number in (pair + 0.5).reshape(-1)]
        region = item("INFERRED FROM", "SCOORD", GraphicType="POLYLINE", GraphicData=graphic, ContentSequence=[image])
        value = Dataset()
        value.NumericValue, value.MeasurementUnitsCodeSequence = "12.5", [code("deg", "UCUM", "\u00b0")]
        number = item("CONTAINS", "NUM", ("285285000", "SCT", "Cobb angle"), MeasuredValueSequence=[value])
        number.ContentSequence = [region]
        name = ("112039", "DCM", "Tracking Identifier")
        tracking = item("HAS OBS CONTEXT", "TEXT", name, TextValue="Cornerstone3DTools@^0.1.0:CobbAngle")
        group = item(
            "CONTAINS", "CONTAINER", ("125007", "DCM", "Measurement Group"), ContentSequence=[tracking, number]
        )
        groups.append(group)
    dataset = item("", "CONTAINER", ("126000", "DCM", "Imaging Measurement Report"))
    measurements = item("CONTAINS", "CONTAINER", ("126010", "DCM", "Imaging Measurements"), ContentSequence=groups)
    dataset.ContentSequence = [measurements]
    dataset.SOPClassUID, dataset.SOPInstanceUID = EnhancedSRStorage, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = about.image.study_uid, generate_uid()
    return dataset


def edited(about: ReportSubject, edit: Edit) -> tuple[CobbLinesReport, CobbProposal]:
    """What comes back after a person has edited the first pair of our lines in OHIF."""
    ours, _ = read_report(cobb_lines_report(about, FRAME))
    assert isinstance(ours, CobbLinesReport)
    lines = [angle.lines.copy() for angle in ours.angles]
    lines[0] = edit(lines[0])
    report, reason = read_report(saved_by_ohif(about, lines))
    assert isinstance(report, CobbLinesReport), reason
    return report, cobb_proposal(report.angles, about.label.spine)


@pytest.mark.parametrize("seed", range(6))
def test_the_stated_angle_is_that_of_the_lines_and_of_the_label(seed: int) -> None:
    about = subject(seed)
    curves = curves_of(about.label.spine, FRAME)
    report, reason = parse_report(to_bytes(cobb_lines_report(about, FRAME)))
    assert isinstance(report, CobbLinesReport), reason
    assert (report.is_ours, report.document) == (True, about.reference(COBB_LINES))
    assert len(report.angles) == len(curves)
    for angle, curve in zip(report.angles, curves, strict=True):
        assert angle.image_uid == about.image.uid
        assert angle.stated_deg == viewer_angle(angle.lines, about.image.spacing)
        assert angle.stated_deg == pytest.approx(curve.angle_deg, abs=0.01)


def test_pixels_that_are_not_square_are_measured_in_millimetres_as_by_the_viewer() -> None:
    header = dcmread(io.BytesIO(to_bytes(phantom(1)[0])))
    header.ImagerPixelSpacing = [0.1, 0.2]
    about = replace(subject(1), image=SourceImage.from_header(header))
    report, _ = read_report(cobb_lines_report(about, FRAME))
    assert isinstance(report, CobbLinesReport)
    angle = report.angles[0]
    assert angle.stated_deg == viewer_angle(angle.lines, (0.2, 0.1))
    assert abs(angle.stated_deg - viewer_angle(angle.lines)) > 1


def test_it_refers_to_the_landmark_report() -> None:
    about = subject(1)
    dataset = cobb_lines_report(about, FRAME)
    reference = next(content for content in dataset.ContentSequence if content.ValueType == "COMPOSITE")
    assert reference.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == about.instance_uid(LANDMARKS)
    evidence = dataset.CurrentRequestedProcedureEvidenceSequence
    named = {
        ref.ReferencedSOPInstanceUID for s in evidence for t in s.ReferencedSeriesSequence for ref in t[0x00081199]
    }
    assert named == {about.image.uid, about.instance_uid(LANDMARKS)}


def test_lines_of_the_next_version_come_after_edits_of_this_one() -> None:
    """OHIF shows the report with the highest number of a series, and gives an edited one the next."""
    about = subject(1)
    newer = replace(about, label=replace(about.label, version=about.label.version + 1))
    numbers = [int(cobb_lines_report(one, FRAME).InstanceNumber) for one in (about, newer)]
    assert numbers == [100 * about.label.version, 100 * about.label.version + 100]


def test_a_label_without_a_curve_has_no_lines() -> None:
    with pytest.raises(ValueError, match="has no curve"):
        cobb_lines_report(subject(1, Spine.from_arrays(np.full((17, 5, 2), np.nan))))


def test_viewer_angle_by_hand() -> None:
    level, steep = np.array([[0.0, 0], [100, 0]]), np.array([[0.0, 100], [100, 200]])
    assert viewer_angle(np.concatenate([level, steep])) == pytest.approx(45)
    assert viewer_angle(np.concatenate([level, steep[::-1]])) == pytest.approx(45)  # whichever end was drawn first
    assert viewer_angle(np.concatenate([level, steep]), (1, 2)) == pytest.approx(np.degrees(np.arctan(2)))
    beside = np.concatenate([level, steep + np.array([150, 0])])  # a right end is nearest to a left one
    assert viewer_angle(beside) == pytest.approx(135)


def leaning(shift: float) -> tuple[Spine, Curve]:
    """A spine whose lower end lies to the right of its upper end by a number of body widths."""
    steps = np.arange(17)
    middle = np.stack([180 + shift * 40 * steps / 16, 30.0 + 20 * steps], -1)
    tilt = np.radians(20 * np.cos(np.pi * steps / 16))
    across, down = np.stack([np.cos(tilt), np.sin(tilt)], -1) * 20, np.stack([-np.sin(tilt), np.cos(tilt)], -1) * 6
    corners = np.stack(
        [middle - across - down, middle + across - down, middle - across + down, middle + across + down], 1
    )
    spine = Spine.from_arrays(with_centers(corners))
    return spine, measure_curves(spine.xy)[0]


@pytest.mark.parametrize("shift", [-4, -3.5, 0, 3.5, 4])
def test_lines_are_extended_where_the_viewer_would_show_the_supplement(shift: float) -> None:
    spine, curve = leaning(shift)
    about = subject(1)
    upper, lower = curve.ends
    plates = np.concatenate([spine.xy[upper, 1:3], spine.xy[lower, 3:5]])
    lines = cobb_lines(spine, curve, about.image)
    is_supplement = abs(viewer_angle(plates) - curve.angle_deg) > 1
    assert is_supplement == (shift != 0)
    assert viewer_angle(lines) == pytest.approx(curve.angle_deg, abs=0.02)
    if not is_supplement:
        assert np.abs(lines - plates).max() <= 1 / 2048
    proposal = cobb_proposal([DrawnAngle(lines, None, "")], spine)
    assert [(c.upper_end, c.lower_end, c.moves) for c in proposal.curves] == [(curve.upper_end, curve.lower_end, ())]


@pytest.mark.parametrize("seed", range(6))
def test_lines_that_nobody_edited_change_nothing(seed: int) -> None:
    about = subject(seed)
    report, proposal = edited(about, lambda lines: lines)
    assert not report.is_ours
    assert not proposal.changes_label
    assert proposal.problems == ()
    curves = curves_of(about.label.spine, FRAME)
    assert [(c.upper_end, c.lower_end) for c in proposal.curves] == [(c.upper_end, c.lower_end) for c in curves]


def test_a_dragged_end_moves_the_corners_of_its_endplate() -> None:
    about = subject(1)
    curve = curves_of(about.label.spine, FRAME)[0]

    def drag(lines: np.ndarray) -> np.ndarray:
        lines[1, 1] += 4  # the right end of the upper line, down
        return lines

    _, proposal = edited(about, drag)
    moves = {move.name: move for move in proposal.curves[0].moves}
    assert set(moves) == {f"{curve.upper_end} TR"}  # the left end lies on the new line already
    move = moves[f"{curve.upper_end} TR"]
    before = about.label.spine.xy[LANDMARK_INDEX[move.name]]
    assert move.distance_px == pytest.approx(np.hypot(*(np.array([move.x, move.y]) - before)))
    assert 3 < move.distance_px <= 4
    assert proposal.changes_label


def test_a_file_of_ohif_is_read_to_the_rounding_of_the_viewer() -> None:
    about = subject(1)
    ours, _ = read_report(cobb_lines_report(about, FRAME))
    report, reason = parse_report(OHIF_FILE.read_bytes())
    assert isinstance(report, CobbLinesReport), reason
    assert isinstance(ours, CobbLinesReport)
    assert not report.is_ours
    assert {angle.image_uid for angle in report.angles} == {about.image.uid}
    moves = np.array([edited.lines - drawn.lines for edited, drawn in zip(report.angles, ours.angles, strict=True)])
    assert moves[0, 1] == pytest.approx([-0.396, 16.607], abs=1e-3)  # the pointer is on whole pixels of the screen
    moves[0, 1] = 0
    assert np.abs(moves).max() < 2e-5
    for angle in report.angles:
        assert angle.stated_deg == pytest.approx(viewer_angle(angle.lines, about.image.spacing), abs=1e-4)
    proposal = cobb_proposal(report.angles, about.label.spine)
    assert [[move.name for move in curve.moves] for curve in proposal.curves] == [["T1 TR"], [], []]
    assert proposal.problems == ()


def test_the_order_and_direction_of_drawing_do_not_matter() -> None:
    about = subject(1)
    _, plain = edited(about, lambda lines: lines + np.array([0, 2]))
    for order in ([2, 3, 0, 1], [1, 0, 3, 2], [3, 2, 0, 1]):
        _, proposal = edited(about, lambda lines, order=order: (lines + np.array([0, 2]))[order])  # type: ignore[misc]
        changed = [[(move.name, round(move.x, 6), round(move.y, 6)) for move in c.moves] for c in proposal.curves]
        assert changed == [[(move.name, round(move.x, 6), round(move.y, 6)) for move in c.moves] for c in plain.curves]


def test_lines_drawn_at_another_vertebra_propose_it_as_end() -> None:
    about = subject(1)
    curve = curves_of(about.label.spine, FRAME)[0]
    upper, lower = curve.ends
    xy = about.label.spine.xy
    lines = np.concatenate([xy[upper + 1, 1:3], xy[lower - 1, 3:5]])
    _, proposal = edited(about, lambda _: lines)
    found = proposal.curves[0]
    assert (about.label.spine.vertebrae[upper + 1].name, about.label.spine.vertebrae[lower - 1].name) == (
        found.upper_end,
        found.lower_end,
    )
    assert found.moves == ()


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([[0, 0], [20, 0], [340, 600], [350, 690]], "too far from the endplates"),
        ([[5, 5], [5, 5], [9, 9], [9, 9]], "too far|no length"),
    ],
)
def test_lines_that_fit_no_vertebrae_are_a_problem(lines: list[list[float]], sentence: str) -> None:
    _, spine = phantom(1)
    proposal = cobb_proposal([DrawnAngle(np.array(lines, float), 1.0, "")], spine)
    assert proposal.curves == ()
    assert len(proposal.problems) == 1
    assert re.match(f"Cobb angle 1: .*({sentence})", proposal.problems[0])


def test_a_line_across_an_endplate_is_a_problem() -> None:
    spine, curve = leaning(0)
    upper, lower = curve.ends
    middle = spine.xy[upper, 1:3].mean(0)
    upright = middle + np.array([[0, -5], [0, 5]])
    proposal = cobb_proposal([DrawnAngle(np.concatenate([upright, spine.xy[lower, 3:5]]), None, "")], spine)
    assert proposal.problems == (
        f"Cobb angle 1: a line is turned by more than 45 degrees against the endplate of {curve.upper_end}",
    )


def test_a_label_without_points_has_nothing_to_compare() -> None:
    spine = Spine.from_arrays(np.full((17, 5, 2), np.nan))
    proposal = cobb_proposal([DrawnAngle(np.arange(8.0).reshape(4, 2), None, "")], spine)
    assert len(proposal.problems) == 1
