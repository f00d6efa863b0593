"""What reports say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from reportlab.pdfbase import pdfmetrics

from lib.image_io import Radiograph
from lib.report.typeface import REGULAR, marked_up, printable, register_fonts
from lib.report.writing_direction import in_printed_order
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.imaging.orientation import Orientation
from lib.spine.measurement.image_warnings import POLARITY, ImageWarning
from lib.spine.measurement.origin import Origin
from lib.spine.measurement.report import curves_of
from lib.spine.schema import VERTEBRAE, Spine

from .conftest import Content


def test_curves_are_those_that_are_measured_with_their_half_widths(content: Content) -> None:
    report = content()
    curves = curves_of(report.spine, report.frame, np.full(len(VERTEBRAE), 1.5), 0.97)
    assert len(curves) >= 2
    assert report.curve_rows() == [
        (f"{c.upper_end} to {c.lower_end}", c.apex, c.side, f"{c.angle_deg:.1f}° ± {np.hypot(1.5, 1.5):.1f}°")
        for c in curves
    ]
    assert report.explanations()[0] == "If the names are right, the angle lies within ± in nine of ten images."


def test_sides_are_the_patients_where_they_are_known_and_the_images_else(content: Content) -> None:
    known, unknown = content(), content(frame=ImageFrame(520, 1200))
    opposite = {"left": "right", "right": "left"}
    assert [row[2] for row in known.curve_rows()] == [opposite[row[2]] for row in unknown.curve_rows()]
    assert known.explanations()[-1].startswith("Sides are those of the patient")
    assert unknown.explanations()[-1].startswith("Sides are those of the image, since the patient's are not known")
    assert "the patient's" in known.t1_tilt()
    assert "the image's" in unknown.t1_tilt()


def test_doubtful_names_leave_no_interval_and_are_the_first_warning(content: Content) -> None:
    about_image = tuple(ImageWarning(POLARITY, f"Guess {number}.") for number in range(3))
    report = content(origin=Origin(names_right=0.2, tilt_half_widths=(1.5,) * 17, warnings=about_image))
    assert all("±" not in row[3] for row in report.curve_rows())
    assert report.explanations()[0] == "No interval is stated for these angles."
    assert "name" in report.warnings()[0]
    assert report.warnings()[1:] == ["Guess 0.", "Guess 1.", "Guess 2."]


def test_warnings_of_image_and_model_are_listed_once(content: Content) -> None:
    warning = ImageWarning(POLARITY, "The image may be inverted.")
    radiograph = replace(content().radiograph, warnings=(warning,))
    report = content(radiograph=radiograph, origin=Origin(warnings=(warning,)))
    assert report.warnings() == ["The image may be inverted."]


def test_doubtful_vertebrae_are_listed_from_top_to_bottom(content: Content) -> None:
    checks = content(scores={"T9": 0.2}, errors={"T4": 60.0}).checks()
    assert [text.split(" may")[0].split(" is (")[0] for text in checks] == ["T4", "The model is not sure where T9"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "Not confirmed by a person"),
        ({"confirmed_by": "Ada", "confirmed_on": "2026-11-30"}, "Not confirmed by a person"),
        ({"is_confirmed": True, "confirmed_by": "Ada", "confirmed_on": "2026-11-30"}, "Confirmed by Ada on 2026-11-30"),
        ({"is_confirmed": True}, "Confirmed by a person whose name is not known"),
    ],
)
def test_who_has_confirmed_it(content: Content, values: dict[str, object], sentence: str) -> None:
    assert content(**values).confirmation() == sentence


def test_model_and_date_stand_where_they_are_known(content: Content) -> None:
    assert content().identification() == ["Image phantom_1"]
    assert content(taken_on="2026-01-02").identification() == ["Image phantom_1", "Acquired on 2026-01-02"]
    assert content(model="version 2", model_digest="ab12").provenance() == "Model version 2, weights ab12"
    assert content(model_digest="ab12").provenance() == "Model, weights ab12"
    assert content().provenance() == "Points were placed by a person, or by a model that is not known."


def test_points_of_a_turned_image_are_measured_upright(content: Content) -> None:
    upright = content()
    turned = Orientation(1)
    back = Orientation(3)
    pixels = np.ascontiguousarray(back.upright_pixels(upright.radiograph.pixels))
    height, width = pixels.shape
    matrix = np.linalg.inv(turned.matrix(width, height))
    xy = upright.spine.xy @ matrix[:2, :2].T + matrix[:2, 2]
    spine = Spine.from_arrays(xy, upright.spine.scores, upright.spine.errors)
    radiograph = Radiograph(pixels, orientation=turned, image_left_is="right")
    report = content(radiograph=radiograph, spine=spine, frame=radiograph.frame)
    assert report.curve_rows() == upright.curve_rows()
    assert report.t1_tilt() == upright.t1_tilt()
    assert report.orientation == turned


def test_a_spine_without_curves_says_so(content: Content) -> None:
    nothing = Spine.from_arrays(np.full((17, 5, 2), np.nan))
    report = content(spine=nothing)
    assert report.curve_rows() == []
    assert report.explanations() == ["Fewer than three vertebrae have all corners: there is no curve to measure."]
    assert report.t1_tilt() == "T1 tilt: not measured, T1 lacks a corner of its upper endplate."


def test_a_straight_spine_reaches_no_ten_degrees(content: Content, ladder: np.ndarray) -> None:
    report = content(spine=Spine.from_arrays(ladder), frame=ImageFrame(520, 1200), origin=Origin())
    assert report.t1_tilt() == "T1 tilt: 0.0°"
    assert report.explanations()[:2] == [
        "No curve reaches 10°; the largest is listed.",
        "In nine of ten images another reader's angle lies within ±.",
    ]


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("Зоя Ελένη مريم", "Зоя Ελένη مريم"),
        (" a\n\tb\x00c ", "a b\N{REPLACEMENT CHARACTER}c"),
        ("a\u202eb\ud800c", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"),
        ("x" * 100, "x" * 79 + "…"),
        ("\N{GRINNING FACE}", "\N{GRINNING FACE}"),
    ],
)
def test_any_text_becomes_one_printable_line(text: str, printed: str) -> None:
    assert printable(text) == printed


def test_markup_is_escaped() -> None:
    assert marked_up("<b>a</b> & <font size=99>") == "&lt;b&gt;a&lt;/b&gt; &amp; &lt;font size=99&gt;"


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("\u05d3\u05e0\u05d4", "\u05d4\u05e0\u05d3"),  # Hebrew: from right to left
        ("\u0639\u0644\u064a", "\ufef2\ufee0\ufecb"),  # Arabic: ain, lam and yeh, joined
        ("\u0633\u0644\u0627\u0645", "\ufee1\ufefc\ufeb3"),  # lam with alef is one shape, and joins no further
        ("\u0645\u064f\u062d", "\ufea2\ufee3"),  # a vowel sign is left out, and does not part the joined
        ("\u05d3\u05e0 12.5", "12.5 \u05e0\u05d3"),  # digits run to the right
        ("ward 3 \u05d3\u05e0, B", "ward 3 \u05e0\u05d3, B"),  # the direction is that of the first letter
        ("\u05d3 (Dr. B) \u05e0", "\u05e0 (Dr. B) \u05d3"),
    ],
)
def test_names_are_printed_in_their_direction(name: str, printed: str) -> None:
    assert in_printed_order(name) == printed


def test_a_name_from_right_to_left_turns_nothing_around_it(content: Content) -> None:
    said = content(is_confirmed=True, confirmed_by="\u05d3\u05e0\u05d4", confirmed_on="2026-11-30").confirmation()
    assert said == "Confirmed by \u05d4\u05e0\u05d3 on 2026-11-30"


def test_the_font_has_the_joined_letters_of_arabic_and_persian() -> None:
    register_fonts()
    arabic = (*range(0x0621, 0x063B), *range(0x0641, 0x064B))
    letters = "".join(map(chr, arabic)) + "\u067e\u0686\u0698\u06a9\u06af\u06cc"
    glyphs = pdfmetrics.getFont(REGULAR).face.charToGlyph
    for letter in letters:
        printed = in_printed_order(f"\u0628{letter}\u0628")  # between letters that join it
        assert all(ord(one) in glyphs for one in printed), hex(ord(letter))
