"""Nothing is left behind: nodes, observers and the logic itself."""

from __future__ import annotations

import gc
import weakref

import pytest
from VertebraLandmarksLib.scene.logic import VertebraLandmarksLogic

from harness.fake_slicer.slice_view import Stage, observers
from lib.phantoms import Phantom

pytestmark = pytest.mark.slicer

CYCLES = 10


def use(opened: Stage, logic: VertebraLandmarksLogic, radiograph, phantom: Phantom) -> None:
    """What a person does with an image."""
    logic.show_image(radiograph)
    logic.editor.load(phantom.spine)
    opened.render()
    start = opened.position_of(tuple(-phantom.spine.xy[6, 1] * radiograph.info.geometry.spacing))
    opened.drag(start, (start[0] + 20, start[1]))
    logic.jump_to("T7")
    logic.start_placement("free", "T7")
    opened.click((300, 400))
    logic.stop_placement()
    opened.render()


def everything(opened: Stage) -> list[object]:
    """What others keep: the scene, its nodes, and the logics of the view and of the application."""
    nodes = [opened.scene.GetNthNode(i) for i in range(opened.scene.GetNumberOfNodes())]
    return [opened.scene, opened.slice_logic, opened.app_logic, opened.markups_logic, opened.interactor, *nodes]


def test_cleanup_leaves_no_node_and_no_observer(slicer_stage: Stage, radiograph, phantom: Phantom) -> None:
    warm_up = VertebraLandmarksLogic(slicer_stage.scene)  # Slicer makes some nodes of its own at first use
    use(slicer_stage, warm_up, radiograph, phantom)
    warm_up.cleanup()
    counts = slicer_stage.node_counts()
    before = [(thing, observers(thing)) for thing in everything(slicer_stage)]
    logic = VertebraLandmarksLogic(slicer_stage.scene)
    use(slicer_stage, logic, radiograph, phantom)
    own = [node for role in ("centers", "corners", "bodies") for node in [find(slicer_stage, role)]]
    assert observers(slicer_stage.scene) > before[0][1]
    logic.cleanup()
    assert slicer_stage.node_counts() == counts
    assert [(thing, observers(thing)) for thing, _ in before] == before
    assert all(not slicer_stage.scene.IsNodePresent(node) for node in own)


def find(opened: Stage, role: str):
    nodes = [opened.scene.GetNthNode(i) for i in range(opened.scene.GetNumberOfNodes())]
    return next(node for node in nodes if node.GetAttribute("VertebraLandmarks.role") == role)


def test_ten_cycles_leak_nothing(slicer_stage: Stage, radiograph, phantom: Phantom) -> None:
    gone, counts, watched = [], [], []
    for _ in range(CYCLES):
        logic = VertebraLandmarksLogic(slicer_stage.scene)
        use(slicer_stage, logic, radiograph, phantom)
        for role in ("image", "corners", "bodies", "angles", "placement"):
            node = find(slicer_stage, role)
            gone.append(weakref.ref(node))
            del node
        logic.cleanup()
        display = logic._display
        nodes = (display._landmarks, display._overlay, display.view, display.volume)
        for part in (logic, logic.editor, display, *nodes, logic._placement):
            gone.append(weakref.ref(part))
        del logic, part, display, nodes
        counts.append((slicer_stage.node_counts(), slicer_stage.observer_counts()))
    gc.collect()
    watched = [reference() for reference in gone if reference() is not None]
    assert watched == []
    assert counts[1:] == [counts[1]] * (CYCLES - 1)


def test_ten_images_leak_nothing(slicer_stage: Stage, radiograph, phantom: Phantom) -> None:
    logic = VertebraLandmarksLogic(slicer_stage.scene)
    counts = []
    for _ in range(CYCLES):
        use(slicer_stage, logic, radiograph, phantom)
        of_classes = sorted(
            (slicer_stage.scene.GetNodeByID(i).GetClassName(), n)
            for i, n in slicer_stage.observer_counts().items()
            if i != "scene"
        )
        counts.append((observers(slicer_stage.scene), of_classes))
    logic.cleanup()
    assert counts[1:] == [counts[1]] * (CYCLES - 1)


def test_cleanup_after_a_closed_scene_and_twice_is_harmless(slicer_stage: Stage, radiograph, phantom: Phantom) -> None:
    logic = VertebraLandmarksLogic(slicer_stage.scene)
    use(slicer_stage, logic, radiograph, phantom)
    slicer_stage.scene.Clear(0)
    before = observers(slicer_stage.scene)
    logic.cleanup()
    logic.cleanup()
    assert observers(slicer_stage.scene) == before - 1
    slicer_stage.scene.Clear(0)
