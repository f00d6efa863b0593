"""Placing with clicks in the rendered view."""

from __future__ import annotations

import numpy as np
import pytest

from lib.phantoms import Phantom

pytestmark = pytest.mark.slicer

CENTER, TL, TR, BL, BR = range(5)
T1, T2, T7, L5 = 0, 1, 6, 16


@pytest.fixture
def empty(bench, radiograph):
    """The image without points, fitted and rendered."""
    bench.logic.show_image(radiograph)
    bench.stage.render()
    return bench


def interaction(bench):
    return bench.stage.app_logic.GetInteractionNode()


def click(bench, xy: np.ndarray) -> None:
    bench.stage.click(bench.place_of(xy))


def near(xy: np.ndarray, expected: np.ndarray) -> bool:
    """Within two pixels of the view, which is about twice as large as the image."""
    return bool(np.abs(np.asarray(xy) - expected).max() < 1.0)


def test_guided_placing_goes_from_corner_to_corner(empty, phantom: Phantom) -> None:
    expected, logic = phantom.spine.xy, empty.logic
    logic.start_placement("guided")
    assert (logic.placement.vertebra, logic.placement.point) == ("T1", "TL")
    assert logic.placement.text == "Click T1 TL: its top left corner."
    for v in (T1, T2):
        for p in (TL, TR, BL, BR):
            click(empty, expected[v, p])
    assert (logic.placement.vertebra, logic.placement.point) == ("T3", "TL")
    assert near(logic.editor.xy[:2, 1:], expected[:2, 1:])
    assert np.allclose(logic.editor.xy[:2, CENTER], logic.editor.xy[:2, 1:].mean(axis=1))
    assert np.isnan(logic.editor.xy[2:]).all()
    assert logic.editor.edits == 8
    assert np.allclose(empty.markups_xy("corners")[:8], logic.editor.xy[:2, 1:].reshape(-1, 2))


def test_the_mouse_says_which_point_is_next(empty, phantom: Phantom) -> None:
    empty.logic.start_placement("guided", "T7")
    (node,) = empty.nodes("placement")
    empty.stage.move(empty.place_of(phantom.spine.xy[T7, TL]))
    assert node.GetNthControlPointLabel(node.GetNumberOfControlPoints() - 1) == "T7 TL"
    empty.stage.press()
    empty.stage.release()
    empty.stage.move(empty.place_of(phantom.spine.xy[T7, TR]))
    assert node.GetNthControlPointLabel(node.GetNumberOfControlPoints() - 1) == "T7 TR"


def test_placing_ends_after_the_last_point(empty, phantom: Phantom) -> None:
    empty.logic.start_placement("guided", "L5")
    for p in (TL, TR, BL, BR):
        click(empty, phantom.spine.xy[L5, p])
    assert empty.logic.placement is None
    assert interaction(empty).GetCurrentInteractionMode() == interaction(empty).ViewTransform
    click(empty, phantom.spine.xy[T7, TL])
    assert empty.logic.editor.edits == 4


def test_skip_and_back_change_what_the_next_click_places(empty, phantom: Phantom) -> None:
    logic, xy = empty.logic, phantom.spine.xy
    logic.start_placement("guided")
    logic.skip_placement()
    click(empty, xy[T1, TR])
    assert np.isnan(logic.editor.xy[T1, TL]).all()
    assert near(logic.editor.xy[T1, TR], xy[T1, TR])
    logic.undo_placement()
    assert logic.placement.point == "TR"
    click(empty, xy[T1, TR] + 12)
    assert near(logic.editor.xy[T1, TR], xy[T1, TR] + 12)
    assert logic.placement.point == "BL"


def test_placing_begins_where_points_are_missing(labelled) -> None:
    labelled.logic.editor.hide(T7, BL)
    labelled.logic.start_placement("guided")
    assert (labelled.logic.placement.vertebra, labelled.logic.placement.point) == ("T7", "BL")
    labelled.logic.stop_placement()
    labelled.logic.start_placement("guided", "T2")
    assert labelled.logic.placement.vertebra == "T7"
    labelled.logic.stop_placement()
    labelled.logic.editor.undo()
    labelled.logic.start_placement("guided")
    assert labelled.logic.placement is None
    labelled.logic.start_placement("guided", "T2")
    assert (labelled.logic.placement.vertebra, labelled.logic.placement.point) == ("T2", "TL")


@pytest.mark.parametrize("order", [(TL, TR, BL, BR), (BR, TL, BL, TR), (BL, BR, TR, TL)])
def test_four_corners_in_any_order_are_sorted(empty, phantom: Phantom, order: tuple[int, ...]) -> None:
    logic, xy = empty.logic, phantom.spine.xy
    logic.start_placement("free", "T7")
    for count, p in enumerate(order):
        assert logic.placement.text == f"Click the four corners of T7 in any order: {count} of 4 done."
        assert not logic.editor.is_changed
        click(empty, xy[T7, p])
    assert near(logic.editor.xy[T7], xy[T7])
    assert logic.editor.edits == 1
    assert logic.placement.vertebra == "T8"


def test_clicks_are_seen_until_their_vertebra_is_whole(empty, phantom: Phantom) -> None:
    empty.logic.start_placement("free", "T7")
    (node,) = empty.nodes("placement")

    def visible() -> int:
        defined = [i for i in range(node.GetNumberOfControlPoints()) if node.GetNthControlPointPositionStatus(i) == 2]
        return sum(node.GetNthControlPointVisibility(i) for i in defined)

    seen = []
    for p in (TL, BR, TR, BL):
        click(empty, phantom.spine.xy[T7, p])
        seen.append(visible())
    assert seen == [1, 2, 3, 0]
    click(empty, phantom.spine.xy[T7 + 1, TL])
    assert visible() == 1
    empty.logic.undo_placement()
    assert visible() == 0
    assert empty.logic.placement.vertebra == "T8"
    empty.logic.undo_placement()
    assert empty.logic.placement.vertebra == "T7"
    empty.logic.skip_placement()
    assert empty.logic.placement.vertebra == "T8"


def test_stopping_drops_clicks_that_make_no_vertebra(empty, phantom: Phantom) -> None:
    empty.logic.start_placement("free", "T7")
    click(empty, phantom.spine.xy[T7, TL])
    click(empty, phantom.spine.xy[T7, TR])
    empty.logic.stop_placement()
    assert np.isnan(empty.logic.editor.xy).all()
    empty.logic.start_placement("free", "T7")
    assert empty.logic.placement.text.endswith("0 of 4 done.")


def test_placing_of_the_last_vertebra_ends(empty, phantom: Phantom) -> None:
    empty.logic.start_placement("free", "L5")
    for p in (TL, BR, TR, BL):
        click(empty, phantom.spine.xy[L5, p])
    assert empty.logic.placement is None
    assert near(empty.logic.editor.xy[L5], phantom.spine.xy[L5])


def test_the_mouse_is_given_back_as_it_was(empty) -> None:
    selection, mouse = empty.stage.app_logic.GetSelectionNode(), interaction(empty)
    own = empty.stage.scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode")
    selection.SetActivePlaceNodeClassName("vtkMRMLMarkupsLineNode")
    selection.SetActivePlaceNodeID(own.GetID())
    mouse.SetPlaceModePersistence(0)
    empty.logic.start_placement("guided")
    assert mouse.GetCurrentInteractionMode() == mouse.Place
    empty.logic.stop_placement()
    assert selection.GetActivePlaceNodeClassName() == "vtkMRMLMarkupsLineNode"
    assert selection.GetActivePlaceNodeID() == own.GetID()
    assert mouse.GetCurrentInteractionMode() == mouse.ViewTransform
    assert not mouse.GetPlaceModePersistence()


def test_leaving_the_place_mode_in_slicer_ends_placing(empty) -> None:
    told = []
    empty.logic.subscribe(lambda change: told.append(empty.logic.placement))
    empty.logic.start_placement("guided")
    interaction(empty).SetCurrentInteractionMode(interaction(empty).ViewTransform)
    assert empty.logic.placement is None
    assert told[-1] is None
    assert told[0] is not None


def test_locking_ends_placing_and_forbids_it(empty) -> None:
    empty.logic.start_placement("guided")
    empty.logic.editor.locked = True
    assert empty.logic.placement is None
    empty.logic.start_placement("guided")
    assert empty.logic.placement is None


def test_undo_takes_a_placed_point_away(empty, phantom: Phantom) -> None:
    empty.logic.start_placement("guided")
    click(empty, phantom.spine.xy[T1, TL])
    empty.logic.editor.undo()
    assert np.isnan(empty.markups_xy("corners")).all()


@pytest.mark.parametrize(
    ("mode", "vertebra", "message"),
    [("anyhow", None, "mode 'anyhow' is neither 'guided' nor 'free'"), ("free", "L6", "vertebra 'L6' is not one of")],
)
def test_unknown_words_are_refused(empty, mode: str, vertebra: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        empty.logic.start_placement(mode, vertebra)


def test_there_is_nothing_to_place_on_without_an_image(bench) -> None:
    with pytest.raises(ValueError, match="no image is open"):
        bench.logic.start_placement("guided")


def test_another_image_ends_placing(empty, radiograph) -> None:
    empty.logic.start_placement("guided")
    empty.logic.show_image(radiograph)
    assert empty.logic.placement is None
    assert empty.nodes("placement") == []
