"""Lines and texts over an image, in its pixels."""

from __future__ import annotations

import numpy as np
import pytest

from lib.spine.display import DOUBTFUL, FAINT, IMPLAUSIBLE, SURE
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.measurement.anatomy import Violation
from lib.spine.measurement.cobb import Curve
from lib.spine.measurement.measured_spine import Measurements, measure
from lib.spine.overlay_geometry import (
    PALETTE,
    angle_texts,
    body_lines,
    cobb_lines,
    format_curve,
    name_texts,
    vertebra_colors,
)
from lib.spine.schema import Spine

BOTH = ("outlines", "endplates")
TL, TR, BL, BR = 1, 2, 3, 4


def curve(**changes) -> Curve:
    known = {"upper_end": "T5", "lower_end": "T11", "apex": "T8", "region": "thoracic", "side": "right"}
    return Curve(**{**known, "angle_deg": 42.04, "apical_deviation_px": 3.0, **changes})


def violation(kind: str, *vertebrae: str) -> Violation:
    return Violation(kind, vertebrae, 1.0, None, None, "")


@pytest.fixture
def bent(ladder: np.ndarray) -> np.ndarray:
    """T5 tilted clockwise and T11 counterclockwise: the curve is open at the left."""
    for v, slope in ((4, 0.3), (10, -0.3)):
        ladder[v, :, 1] += slope * (ladder[v, :, 0] - 50)
    return ladder


def colors(lines) -> list[tuple[int, ...]]:
    return [PALETTE[number] for number in lines.colors]


def test_a_body_has_two_sides_and_two_endplates(ladder: np.ndarray) -> None:
    lines = body_lines(ladder, Measurements(), BOTH)
    assert lines.ends.shape == (68, 2, 2)
    of_t7 = {tuple(map(tuple, ends)) for ends in lines.ends[6::17].tolist()}
    xy = [tuple(point) for point in ladder[6].tolist()]
    assert of_t7 == {(xy[TL], xy[BL]), (xy[TR], xy[BR]), (xy[TL], xy[TR]), (xy[BL], xy[BR])}


def test_endplates_are_bright_and_sides_are_pale(ladder: np.ndarray) -> None:
    lines = body_lines(ladder, Measurements(), BOTH)
    is_endplate = lines.ends[:, 0, 1] == lines.ends[:, 1, 1]
    assert {color for color, is_bright in zip(colors(lines), is_endplate, strict=True) if is_bright} == {SURE}
    (pale,) = {color for color, is_bright in zip(colors(lines), is_endplate, strict=True) if not is_bright}
    assert sum(pale) < sum(SURE)


@pytest.mark.parametrize(("layers", "count"), [(("endplates",), 34), (("outlines",), 68), ((), 0)])
def test_layers_choose_the_lines(ladder: np.ndarray, layers: tuple[str, ...], count: int) -> None:
    lines = body_lines(ladder, Measurements(), layers)
    assert lines.ends.shape == (count, 2, 2)
    assert (SURE in colors(lines)) == ("endplates" in layers)


def test_lines_to_a_point_that_is_not_visible_are_left_out(ladder: np.ndarray) -> None:
    ladder[6, TL] = np.nan
    ladder[16] = np.nan
    lines = body_lines(ladder, Measurements(), BOTH)
    assert len(lines.ends) == 68 - 2 - 4
    assert np.isfinite(lines.ends).all()


def test_doubt_and_what_is_implausible_have_colors(ladder: np.ndarray) -> None:
    found = Measurements((), (violation("size", "T6", "T7"), violation("aspect", "T3")), (("T7", "why"),))
    assert vertebra_colors(found) == {"T7": DOUBTFUL, "T3": IMPLAUSIBLE}
    lines = body_lines(ladder, found, ("endplates",))
    assert [colors(lines)[v] for v in (2, 3, 6)] == [IMPLAUSIBLE, SURE, DOUBTFUL]


def test_colors_go_from_sure_to_faint_with_the_uncertainty(ladder: np.ndarray) -> None:
    found = Measurements((), (), (("L5", "why"),), tuple(np.linspace(0, 1, 17)))
    reds = [color[0] for color in colors(body_lines(ladder, found, ("endplates",)))[:17]]
    assert reds[:16] == sorted(reds[:16])
    assert len(set(reds[:16])) >= 8
    assert colors(body_lines(ladder, found, ("endplates",)))[16] == DOUBTFUL
    nearly = Measurements((), (), (), (0.99,) * 17)
    assert set(colors(body_lines(ladder, nearly, ("endplates",)))) == {FAINT}


@pytest.mark.parametrize(
    ("broken", "marked"),
    [
        (violation("step", "T6", "T7"), {"T6", "T7"}),
        (violation("turn", "T6", "T7", "T8"), {"T7"}),
        (violation("ratio", "T6", "T7", "T8"), {"T8"}),
        (violation("order", "T6", "T7"), {"T7"}),
        (violation("corners", "T6"), {"T6"}),
    ],
    ids=lambda value: value.kind if isinstance(value, Violation) else "",
)
def test_the_vertebra_to_look_at_first_is_highlighted(broken: Violation, marked: set[str]) -> None:
    assert set(vertebra_colors(Measurements((), (broken,)))) == marked


def test_cobb_lines_lie_on_the_endplates_that_bound_the_curve(bent: np.ndarray) -> None:
    lines = cobb_lines(bent, [curve()])
    assert lines.ends.shape == (2, 2, 2)
    for line, (left, right) in zip(lines.ends, ((bent[4, TL], bent[4, TR]), (bent[10, BL], bent[10, BR])), strict=True):
        along, endplate = line[1] - line[0], right - left
        assert along[0] * endplate[1] == pytest.approx(along[1] * endplate[0])
        assert line[0, 0] < left[0]
        assert line[1, 0] > right[0]
        assert (left - line[0])[0] * along[1] == pytest.approx((left - line[0])[1] * along[0])


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_cobb_lines_reach_farther_and_texts_stand_where_they_come_together(bent: np.ndarray, is_mirrored: bool) -> None:
    if is_mirrored:
        bent = bent[:, [0, 2, 1, 4, 3]] * (-1, 1) + (100, 0)
    (upper, lower), (text,) = cobb_lines(bent, [curve()]).ends, angle_texts(bent, [curve()], 200, 1)
    gap = lower[:, 1] - upper[:, 1]  # at the left and the right end
    closes_at_right = bool(gap[1] < gap[0])
    assert closes_at_right is not is_mirrored
    reach_left, reach_right = bent[4, TL, 0] - upper[0, 0], upper[1, 0] - bent[4, TR, 0]
    assert (reach_right > reach_left) == closes_at_right
    assert (text.x > bent[4, TR, 0]) == closes_at_right
    assert upper[:, 1].min() < text.y < lower[:, 1].max()


def test_angle_texts_stay_on_the_image(bent: np.ndarray) -> None:
    (text,) = angle_texts(bent, [curve()], 70, 2)
    assert text.x >= 0
    assert text.x + 2 * len(text.text) <= 70
    (text,) = angle_texts(bent, [curve()], 10, 2)
    assert text.x == 2


def test_words_tell_angle_levels_and_side() -> None:
    assert format_curve(curve()) == "42.0°  T5–T11 right"  # noqa: RUF001
    assert format_curve(curve(half_width_deg=4.6)) == "42.0 ± 5°  T5–T11 right"  # noqa: RUF001


def test_no_curve_needs_no_line(ladder: np.ndarray) -> None:
    assert cobb_lines(ladder, []).ends.shape == (0, 2, 2)
    assert angle_texts(ladder, [], 100, 1) == []


def test_curves_of_measured_spines_can_be_drawn(ladder: np.ndarray) -> None:
    found = measure(Spine.from_arrays(ladder), ImageFrame(100, 300))
    assert len(cobb_lines(ladder, found.curves).ends) == 2 * len(found.curves)


def test_names_stand_at_the_right_of_what_is_visible(ladder: np.ndarray) -> None:
    ladder[16] = np.nan
    ladder[15, [TL, TR, BL, BR]] = np.nan
    texts = {text.text: text for text in name_texts(ladder, Measurements(), 3)}
    assert len(texts) == 16
    assert (texts["T7"].x, texts["T7"].y) == (63.0, ladder[6, 0, 1])
    assert texts["L4"].x == 53.0


def test_names_of_what_should_be_looked_at_are_marked(ladder: np.ndarray) -> None:
    found = Measurements((), (violation("aspect", "T3"),), (("T7", "why"),))
    texts = name_texts(ladder, found, 3)
    assert [text.text for text in texts if text.is_highlighted] == ["T3 !", "T7 ?"]
