"""Agreement of a study, its tables and its methods paragraph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from lib.agreement.methods import methods_text
from lib.agreement.model_spread import ANGLE, CORNERS, INSIDE, MIN_CLUSTERS, OUTSIDE, UNDECIDED, spread
from lib.agreement.paired_readings import PairedReading, StudyReading
from lib.agreement.selection import unaided, unusable
from lib.agreement.study_agreement import INTER, INTRA, LARGEST, MODEL, agreement
from lib.agreement.tables import TABLES
from lib.spine.schema import VERTEBRAE, Spine

from .simulated_readers import readings_of, true_corners

RNG = np.random.default_rng(3)
CORNERS_OF_TEN = true_corners(np.linspace(20, 60, 10))


def by(reader: str, sd_px: float = 1.0, images: int = 10, **facts: object) -> list[StudyReading]:
    return [replace(one, **facts) for one in readings_of(CORNERS_OF_TEN[:images], reader, RNG, sd_px)]


def rows(readings: Sequence[StudyReading], table: str, model: str | None = None) -> list[dict]:
    return list(TABLES[table](agreement(readings, model, margin_deg=1.0)))


def test_readers_repeats_and_model_are_compared() -> None:
    readings = [*by("ada"), *by("ben", images=8), *by("ada", images=5, number=2), *by("net", images=9)]
    found = agreement(readings, "net", 1.0)
    assert [(one.kind, one.title, len(one.pairs)) for one in found.comparisons] == [
        (INTER, "ada - ben", 8),
        (INTRA, "ada, first - repeat", 5),
        (MODEL, "net - ada", 9),
        (MODEL, "net - ben", 8),
    ]
    assert (found.readers, found.images, found.notes) == (("ada", "ben"), 10, [])
    assert {what: one.images for what, one in found.overall.items()} == {"between readers": 8, "within readers": 5}
    assert [one.images for one in found.spreads] == [8, 8]


def test_images_that_all_have_read_make_a_table_of_their_own() -> None:
    found = agreement([*by("ada"), *by("ben", images=8), *by("cleo", images=6)])
    all_three = found.overall["between readers, images read by all"]
    assert (all_three.images, all_three.readings) == (6, 3.0)
    assert all_three.icc_2_1.value > 0.9
    assert "images that all readers had read" in methods_text(found, "1")


def test_tables_have_what_was_calculated() -> None:
    readings = [*by("ada", mm_per_px=0.5), *by("ben")]
    angles = rows(readings, "angles")
    assert [row["angle"] for row in angles] == ["largest", "thoracic", "lumbar"]
    assert angles[0]["icc_2_1"] > 0.9
    corners = rows(readings, "corners")
    assert [row["level"] for row in corners] == [*VERTEBRAE, "all"]
    assert corners[-1]["mean_mm"] == pytest.approx(corners[-1]["mean_px"] / 2, abs=1e-3)
    assert corners[-1]["mean_px_low"] < 1.772 < corners[-1]["mean_px_high"] < 2.2  # Rayleigh's mean of sqrt(2) px
    assert [row["end"] for row in rows(readings, "end_vertebrae")] == ["upper", "lower"]
    assert len(rows(readings, "pairs")) == 10
    assert rows(readings, "model") == []


def test_all_means_of_a_row_are_those_of_images() -> None:
    """Also where one image has fewer vertebrae in both readings."""
    ada, ben = by("ada", mm_per_px=0.5), by("ben", sd_px=8.0)
    visible = np.ones((17, 5), dtype=bool)
    visible[3:] = False
    spine = Spine.from_arrays(ada[0].spine.xy, visible=visible)
    ada[0] = replace(ada[0], spine=spine, upright_xy=spine.visible_xy)
    (last,) = [row for row in rows([*ada, *ben], "corners") if row["level"] == "all"]
    assert last["mean_mm"] == pytest.approx(last["mean_px"] / 2, abs=1e-3)
    assert last["same_name_mean_px"] == pytest.approx(last["mean_px"], abs=1e-3)


def test_an_angle_of_zero_is_an_angle() -> None:
    straight = readings_of(true_corners(np.array([0.0, 20, 30])), "ada", RNG, 0.0)
    readings = [replace(one, reader=name) for one in straight for name in ("ada", "ben", "cleo")]
    assert straight[0].largest_angle_deg == 0
    table = {row["readings"]: row for row in rows(readings, "overall")}
    assert table["between readers, images read by all"]["images"] == 3


def test_names_off_by_a_level_are_told_apart_from_corners() -> None:
    shifted = readings_of(CORNERS_OF_TEN, "ben", RNG, 1.0, shifted_share=1.0)
    readings = [*by("ada"), *shifted]
    (names,) = rows(readings, "names")
    assert (names["images"], names["names_shifted"], names["names_shifted_share"]) == (10, 10, 1.0)
    last = rows(readings, "corners")[-1]
    assert last["mean_px"] == pytest.approx(1.772, abs=0.2)
    assert last["same_name_mean_px"] == pytest.approx(60, abs=3)
    ends = rows(readings, "end_vertebrae")
    assert all(row["one_level"] > row["same"] for row in ends)


@pytest.mark.parametrize(
    ("sd_px", "bias_deg", "margin", "verdict"),
    [(0.1, 0.0, 1.0, INSIDE), (0.1, 15.0, 1.0, OUTSIDE), (3.0, 0.0, 0.0, UNDECIDED), (0.1, 0.0, None, "")],
)
def test_the_model_is_inside_the_spread_or_not(sd_px: float, bias_deg: float, margin, verdict: str) -> None:
    rng = np.random.default_rng(5)
    angles = np.linspace(20, 60, 30)
    readers = [readings_of(true_corners(angles), name, rng, 3.0) for name in ("ada", "ben")]
    model = readings_of(true_corners(angles + bias_deg), "net", rng, sd_px)
    found = spread(ANGLE, [(one, pair) for one, *pair in zip(model, *readers, strict=True)], margin)
    assert found is not None
    assert found.verdict == verdict
    assert found.difference.value == pytest.approx(found.model_to_reader.value - found.reader_to_reader.value)


@pytest.mark.parametrize(("clusters", "verdict"), [(MIN_CLUSTERS - 1, ""), (MIN_CLUSTERS, INSIDE)])
def test_few_patients_give_no_verdict(clusters: int, verdict: str) -> None:
    rng = np.random.default_rng(5)
    corners = true_corners(np.linspace(20, 60, 24))
    readings = [
        replace(one, patient=f"p{number % clusters}")
        for name, sd_px in (("ada", 3.0), ("ben", 3.0), ("net", 0.1))
        for number, one in enumerate(readings_of(corners, name, rng, sd_px))
    ]
    found = agreement(readings, "net", 1.0)
    angle = found.spreads[0]
    assert (angle.images, angle.clusters, angle.verdict) == (24, clusters, verdict)
    told = (
        "inside the readers' spread by the margin of 1" if verdict else "too few for a verdict, which needs 20 patients"
    )
    assert f"on 24 images (of {clusters} patients): {told}" in methods_text(found, "1")


def test_a_spread_needs_two_readers_and_a_margin_that_is_a_number() -> None:
    (model, *_), (reader, *_) = by("net"), by("ada")
    assert spread(CORNERS, [(model, [reader])], 1.0) is None
    with pytest.raises(ValueError, match="margin must be a number from 0 up, got -1"):
        spread(ANGLE, [(model, [reader, reader])], -1.0)


def test_images_of_a_patient_are_drawn_together() -> None:
    readings = [replace(one, patient=f"p{one.image[-1:] < '5'}") for one in (*by("ada"), *by("ben"))]
    found = agreement([*readings, *by("net")], "net")  # the readers' patients count where the model names none
    assert [one.clusters for one in found.spreads] == [2, 2]
    assert "samples of patients" in methods_text(found, "1")


@pytest.mark.parametrize(
    ("readings", "model", "sentence"),
    [
        pytest.param([], None, "no readings of readers", id="nothing"),
        pytest.param(by("ada"), None, r"only 'ada' has read, and no image \(10 in all\) twice", id="one reader"),
        pytest.param(by("net"), "net", "no readings of readers", id="the model alone"),
        pytest.param(
            [*by("ada", images=1), *(replace(one, image="image_000.png") for one in by("ben", images=1))],
            None,
            "no image was read twice; 'ada' has 'image 000'; 'ben' has 'image_000.png': are these other names",
            id="other names",
        ),
    ],
)
def test_nothing_to_compare_is_said(readings: list[StudyReading], model: str | None, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        agreement(readings, model)


def test_notes_say_what_limits_the_figures() -> None:
    without = by("ada", images=1)[0]
    without = replace(without, image="image 900", upright_xy=np.full((17, 5, 2), np.nan))
    aided = by("ben", model_version="7")
    found = agreement([*by("ada"), *aided, without, replace(without, reader="ben"), *by("cleo", images=2)])
    text = methods_text(found, "1")
    assert "2 of 24 readings have fewer than three vertebrae with all corners, and so no angle: 'image 900'" in text
    assert "10 of 23 readings began with a model's points" not in text
    assert "10 of 24 readings began with a model's points" in text
    assert "ada - cleo: 2 images in common have an angle, 3 are needed." in text
    assert found.comparisons[1].figures(LARGEST) is None


def test_what_was_left_out_is_said_and_repeats_take_no_first_readings_place() -> None:
    """Ada's first readings of three images began with the model's points, her repeats did not."""
    first, again = by("ada"), by("ada", sd_px=30.0, images=5, number=2, kind="repeat")
    first[:3] = [replace(one, model_version="7") for one in first[:3]]
    net = by("net", model_version="7")
    kept, sentences = unaided([*first, *again, *by("ben"), *net], "net")
    found = agreement(kept, "net", left_out=[*unusable(2), *sentences])
    assert {one.title: len(one.pairs) for one in found.comparisons} == {
        "ada - ben": 7,
        "ada, first - repeat": 2,
        "net - ada": 7,
        "net - ben": 10,
    }
    assert found.overall["between readers"].images == found.spreads[0].images == 7
    methods, _, results = methods_text(found, "1").partition("RESULTS")
    for text in (methods, results):
        assert "2 images or readings could not be used and were left out." in text
        assert "3 of 25 readings began with a model's points and were left out (3 by ada)" in text
        assert "Of 3 of these the reader's earlier reading of the image was left out" in text


def test_a_repeat_is_known_without_its_kind_where_the_first_reading_is_left_out() -> None:
    first, again = by("ada", images=1, model_version="7"), by("ada", images=1, number=2)
    kept, _ = unaided([*first, *again, *by("ben", images=1)])
    assert [(one.reader, one.kind) for one in kept] == [("ada", "repeat"), ("ben", "")]
    with pytest.raises(ValueError, match="no image has first readings of two readers: repeats are compared with"):
        agreement(kept)
    assert unaided(kept) == (kept, [])


def test_constant_angles_have_no_correlation_and_that_is_said() -> None:
    one = readings_of(true_corners(np.full(4, 30.0)), "ada", RNG, 0.0)
    found = agreement([*one, *(replace(reading, reader="ben") for reading in one)])
    assert found.notes == ["ada - ben: all angles are equal, so that no intraclass correlation is defined."]
    row = next(iter(TABLES["angles"](found)))
    assert (row["icc_2_1"], row["sem_deg"], row["bias_deg"]) == ("", 0.0, 0.0)
    assert "nan" not in methods_text(found, "1").lower().split()


def test_methods_state_what_was_done_and_nothing_else() -> None:
    alone = methods_text(agreement([*by("ada"), *by("ben")]), "1.2")
    assert "10 radiographs were read by 2 readers (ada, ben)" in alone
    assert "Vertebra Landmarks 1.2" in alone
    assert "model" not in alone.lower()
    assert "Barnhart" not in alone
    assert "repeated" not in alone
    with_model = methods_text(agreement([*by("ada"), *by("ben"), *by("net", 0.5)], "net", 1.0), "1.2")
    assert "below a margin of 1 degrees" in with_model
    assert "Barnhart HX" in with_model


def test_only_visible_corners_count() -> None:
    one, other = by("ada", images=1)[0], by("ben", images=1)[0]
    hidden = other.spine.visible
    hidden[3] = False
    spine = replace(other.spine)
    spine = spine.from_arrays(other.spine.xy, visible=hidden)
    pair = PairedReading(one, replace(other, spine=spine, upright_xy=spine.visible_xy))
    assert np.isnan(pair.corners_px[3])
    assert np.isfinite(np.delete(pair.corners_px, 3)).all()
