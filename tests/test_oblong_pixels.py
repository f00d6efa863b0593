"""Pixels that are not square: one phantom with exact points is measured alike on every way that an angle takes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lib.agreement.paired_readings import PairedReading, StudyReading
from lib.agreement.readings_csv import read_readings_csv, readings_csv
from lib.archive.results.record import ImageRecord
from lib.image_io import Radiograph, read_radiograph
from lib.image_io.window import windowed
from lib.learning.data import IMAGE, LABEL
from lib.learning.data.formats.data_set import DataOptions
from lib.learning.data.formats.label_source import LabelSource, build_data_set
from lib.learning.data.transforms import LoadRadiographd
from lib.learning.prediction.result import Prediction
from lib.report.content import ReportContent
from lib.server.annotation.measure_request import MeasureRequest
from lib.server.annotation.measure_response import measure_response
from lib.server.annotation.readings.agreement_input import ImageFacts
from lib.server.inference.image_reading import header_of
from lib.server.inference.response import image_info, prediction_response
from lib.server.overview.follow_up import _measure as measure_for_follow_up
from lib.server.store.images import ImageHeader
from lib.server.store.labels import largest_angle_of
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.imaging.image_geometry import ImageGeometry
from lib.spine.imaging.orientation import UPRIGHT
from lib.spine.labels.markups import from_markups, to_markups
from lib.spine.measurement.image_warnings import measurement_warnings
from lib.spine.measurement.measured_spine import measure
from lib.spine.measurement.report import anatomy_report, cobb_report, curves_of
from lib.spine.schema import POINTS, VERTEBRAE, Spine
from lib.structured_report import LabelVersion
from lib.structured_report.cobb_proposal import DrawnAngle, cobb_proposal
from lib.structured_report.landmark_report import label_curves
from lib.study.differences import differences

from .oblong import ASPECTS, FILES, FRAME, HEIGHT, WIDTH, Oblong, oblong, square

TOLERANCE_DEG = 1e-6
TRUE = curves_of(square().spine, FRAME)
"""Curves of the phantom with square pixels."""


def angles(curves: Any) -> list[float]:
    return [curve["angle_deg"] if isinstance(curve, dict) else curve.angle_deg for curve in curves]


def expected() -> Any:
    return pytest.approx(angles(TRUE), abs=TOLERANCE_DEG)


@pytest.fixture(scope="module", params=ASPECTS)
def one(request: pytest.FixtureRequest) -> Oblong:
    return oblong(request.param)


@pytest.fixture(scope="module", params=["PixelSpacing", "NIfTI", "PNG"])
def file(request: pytest.FixtureRequest, one: Oblong, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom in a file of another kind."""
    return FILES[request.param](tmp_path_factory.mktemp("oblong"), one)


@pytest.fixture(scope="module")
def radiograph(file: Path) -> Radiograph:
    return read_radiograph(file)


def test_the_phantom_would_be_measured_wrong_in_stored_pixels(one: Oblong) -> None:
    frame = ImageFrame(*one.pixels.shape[::-1])
    assert np.abs(np.subtract(angles(curves_of(one.spine, frame)), angles(TRUE))).max() > 4


@pytest.mark.parametrize("what", FILES)
def test_every_file_states_the_shape_of_its_pixels(tmp_path: Path, one: Oblong, what: str) -> None:
    radiograph = read_radiograph(FILES[what](tmp_path, one))
    assert radiograph.warnings == ()
    rounding = 1e-4 if what in ("PNG", "BMP") else 1e-6  # which state whole pixels per metre
    assert radiograph.frame.pixel_aspect == pytest.approx(one.aspect, rel=rounding)
    assert angles(curves_of(one.spine, radiograph.frame)) == pytest.approx(angles(TRUE), abs=100 * rounding)


def test_all_measurements_are_those_of_square_pixels(radiograph: Radiograph, one: Oblong) -> None:
    frame = replace(radiograph.frame, pixel_aspect=one.aspect, image_left_is=None)
    found, true = cobb_report(one.spine, frame), cobb_report(square().spine, FRAME)
    assert angles(found["curves"]) == expected()
    assert found["challenge"] == pytest.approx(true["challenge"], abs=1e-4)  # the rule rounds cosines
    assert found["t1_tilt_deg"] == pytest.approx(true["t1_tilt_deg"])
    assert found["wedging_deg"] == pytest.approx(true["wedging_deg"], abs=TOLERANCE_DEG)
    assert anatomy_report(one.spine, frame).keys() == anatomy_report(square().spine, FRAME).keys()


def near() -> Any:
    """As exact as a header states the shape of pixels; a PNG file has whole pixels per metre."""
    return pytest.approx(angles(TRUE), abs=0.01)


def test_prediction_measurement_and_archive(radiograph: Radiograph, one: Oblong) -> None:
    prediction = Prediction(one.spine, 1.0, "map", {}, radiograph.frame)
    answered = prediction_response(prediction, radiograph, None, 0.0, {})
    assert angles(answered["cobb"]["curves"]) == near()
    assert answered["image"]["pixel_aspect"] == pytest.approx(one.aspect, rel=1e-4)
    assert angles(ImageRecord.of(prediction).curves) == near()
    assert angles(measure(one.spine, radiograph.frame).curves) == near()


def body(spine: Spine, image: dict[str, Any]) -> dict[str, Any]:
    points = {
        vertebra: {point: list(xy) for point, xy in zip(POINTS, rows, strict=True)}
        for vertebra, rows in zip(VERTEBRAE, spine.xy.tolist(), strict=True)
    }
    return {"points": points, "image": image}


def test_the_measure_route_draws_its_lines_along_the_endplates(one: Oblong) -> None:
    height, width = one.pixels.shape
    image = {"width": width, "height": height, "pixel_aspect": one.aspect}
    answer = measure_response(MeasureRequest.model_validate(body(one.spine, image)))
    true = measure_response(MeasureRequest.model_validate(body(square().spine, {"width": WIDTH, "height": HEIGHT})))
    assert angles(answer["curves"]) == expected()
    assert answer["t1_tilt_deg"] == pytest.approx(true["t1_tilt_deg"])
    across, down = np.array([WIDTH, HEIGHT]) / [width, height]
    for found, wanted in zip(answer["curves"], true["curves"], strict=True):
        lines = (np.array(found["lines"]) + 0.5) * [across, down] - 0.5
        np.testing.assert_allclose(lines, wanted["lines"], atol=1e-6)
    without = {"width": width, "height": height}
    assert angles(measure_response(MeasureRequest.model_validate(body(one.spine, without)))["curves"]) != expected()


def test_the_measure_route_counts_points_in_the_last_row() -> None:
    """It lies beyond the last whole pixel of the square ones."""
    image = {"width": 1000, "height": 2400, "pixel_aspect": 1.25}
    lowest = square().spine.xy[-1, :, 1].max()
    spine = square().spine.moved_to(square().spine.xy + np.array([0, 2399 - lowest]))
    answer = measure_response(MeasureRequest.model_validate(body(spine, image)))
    assert "bodies_off_image" not in [warning["code"] for warning in answer["warnings"]]
    assert "bodies_off_image" not in [
        w.code for w in measurement_warnings(spine, ImageFrame(1000, 2400, pixel_aspect=1.25))
    ]


def test_a_label_carries_the_shape_of_pixels(file: Path, radiograph: Radiograph, one: Oblong) -> None:
    content = json.dumps(to_markups(one.spine, radiograph.geometry)).encode()
    stated = pytest.approx(max(angles(TRUE)), abs=0.06)  # rounded to tenths
    assert largest_angle_of(content) == stated
    assert largest_angle_of(content, radiograph.geometry) == stated
    read_back = from_markups(json.loads(content), ImageGeometry())
    np.testing.assert_allclose(read_back.xy, one.spine.xy, atol=1e-6)
    measured = measure_for_follow_up("a", file, content, {}, "final", 1, None)
    assert angles(measured.values["curves"]) == near()


def test_a_label_of_a_client_that_does_not_know_the_shape_is_measured_by_the_image(tmp_path: Path, one: Oblong) -> None:
    """As of Slicer modules before 0.15, of a PNG file, which Slicer shows with 1 mm for a pixel."""
    radiograph = read_radiograph(FILES["PNG"](tmp_path, one))
    content = json.dumps(to_markups(one.spine)).encode()
    assert largest_angle_of(content, radiograph.geometry) == pytest.approx(max(angles(TRUE)), abs=0.06)
    foreign = json.loads(content)
    del foreign["vertebraLandmarks"]
    placed = json.dumps(foreign).encode()
    assert largest_angle_of(placed, radiograph.geometry) == pytest.approx(max(angles(TRUE)), abs=0.06)


def test_labels_of_square_pixels_are_written_as_before() -> None:
    geometry = to_markups(square().spine, ImageGeometry((0.2, 0.2)))["vertebraLandmarks"]["geometry"]
    assert list(geometry) == ["spacing", "origin", "along_row", "down_column", "source"]


def test_what_a_store_notes_of_an_image(radiograph: Radiograph) -> None:
    header = header_of(radiograph)
    assert ImageHeader.parse(header.to_json((1, 2)), (1, 2)) == header
    assert header.frame.pixel_aspect == header.geometry.pixel_aspect == image_info(radiograph)["pixel_aspect"]


def test_a_report(radiograph: Radiograph, one: Oblong) -> None:
    report = ReportContent("a", radiograph, one.spine, radiograph.frame)
    assert angles(report.measured.curves) == near()
    assert report.warnings() == []


def reading(one: Oblong, reader: str, mm_per_px: tuple[float, float], shift: float = 0.0) -> StudyReading:
    frame = ImageFrame(*one.pixels.shape[::-1], pixel_aspect=one.aspect)
    spine = one.spine.moved_to(one.spine.xy + np.array([shift, 0.0]))
    facts = ImageFacts(frame, float(np.sqrt(np.prod(mm_per_px))), "")
    return StudyReading("a", reader, 1, spine, frame.upright(spine).visible_xy, facts.mm_per_px)


def test_agreement_and_its_table(one: Oblong) -> None:
    size = (0.2 * one.aspect, 0.2)
    first, second = reading(one, "ada", size), reading(one, "ben", size, shift=10.0)
    assert angles(first.curves) == expected()
    pair = PairedReading(first, second)
    assert pair.bodies_mm == pytest.approx(np.full(17, 10 * size[0]))
    (read, _), problems = read_readings_csv(readings_csv([first, second]))
    assert problems == []
    assert angles(read.curves) == expected()
    assert read.mm_per_px == pytest.approx(np.sqrt(size[0] * size[1]))


def test_differences_of_readings(one: Oblong) -> None:
    across = WIDTH / one.pixels.shape[1]
    turned = square().spine.xy.copy()
    turned[5, 1:, 1] += np.array([-5.0, 5.0, -5.0, 5.0])
    stored = one.spine.xy + (turned - square().spine.xy) / [across, HEIGHT / one.pixels.shape[0]]
    (found, *_), (true, *_) = (
        differences(one.spine, one.spine.moved_to(stored), one.aspect),
        differences(square().spine, square().spine.moved_to(turned)),
    )
    assert (found.vertebra, found.tilt_deg) == (true.vertebra, pytest.approx(true.tilt_deg, abs=2e-3))


def test_structured_reports_and_lines_drawn_in_a_viewer(one: Oblong) -> None:
    frame = ImageFrame(*one.pixels.shape[::-1], pixel_aspect=one.aspect)
    label = LabelVersion(one.spine, "final", 1, "0" * 64, {}, None)
    assert angles(label_curves(label, frame)) == expected()
    upper, lower = TRUE[0].ends
    lines = np.concatenate([one.spine.xy[upper, 1:3], one.spine.xy[lower, 3:5]])
    moved = lines + np.array([[0, 0], [0, 3.0], [0, 0], [0, 0]])
    drawn = [DrawnAngle(at, None, "") for at in (lines, moved)]
    as_labelled, edited = cobb_proposal(drawn, one.spine, one.aspect).curves
    assert as_labelled.angle_deg == pytest.approx(angles(TRUE)[0], abs=1e-4)
    assert as_labelled.moves == ()
    (move,) = edited.moves
    direction = (moved[1] - moved[0]) / np.linalg.norm(moved[1] - moved[0])
    off = np.array([move.x, move.y]) - moved[0]
    assert off[0] * direction[1] - off[1] * direction[0] == pytest.approx(0, abs=1e-9), "it lies on the line"
    foot = (np.array([move.x, move.y]) - lines[1]) * [one.aspect, 1.0]
    assert foot @ (direction * [one.aspect, 1.0]) == pytest.approx(0, abs=1e-9), "by the shortest way in the patient"


def test_the_networks_are_shown_and_taught_square_pixels(file: Path, radiograph: Radiograph, one: Oblong) -> None:
    source = LabelSource("a", file, lambda _: one.spine)
    (image,) = build_data_set("own", [source], [], DataOptions()).images
    upright = radiograph.upright(UPRIGHT)
    assert image.upright_size(one.pixels.shape[::-1]) == upright.pixels.shape[::-1]
    np.testing.assert_allclose(image.upright(image.points), radiograph.frame.upright(one.spine).xy, atol=1e-6)
    assert upright.pixels.size == pytest.approx(one.pixels.size, rel=0.01)
    loaded = LoadRadiographd()({**image.item(), IMAGE: str(file)})
    assert tuple(loaded[IMAGE].shape[1:]) == upright.pixels.shape
    np.testing.assert_allclose(loaded[LABEL][..., :2], image.upright(image.points), atol=1e-3)
    resized = Image.fromarray(windowed(upright.pixels)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    off = np.abs(np.asarray(resized) - windowed(square().pixels)).mean()
    assert off < 0.03, "the phantom again, but for sharpness"
