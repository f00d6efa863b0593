"""Controller and logic in a scene that is closed: the work is on the disk, or the image comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from VertebraLandmarksLib.scene.local_images import begin_reading
from VertebraLandmarksLib.workflow import open_image
from VertebraLandmarksLib.workflow.controller import Controller
from VertebraLandmarksLib.workflow.drafts import Drafts

pytestmark = pytest.mark.slicer


def poll_until(controller: Controller, is_reached: Callable[[], object]) -> None:
    """Let time pass, as the timer of the panel does, until something is so."""
    end = time.monotonic() + 60
    while not is_reached():
        assert time.monotonic() < end, f"it did not happen in time: {controller.state}"
        controller.poll()
        time.sleep(0.005)


def test_an_image_whose_work_cannot_be_saved_is_shown_again(
    bench, tmp_path: Path, phantom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_image, "RETRY_INTERVAL_S", 0.2)
    Image.fromarray(phantom.pixels).save(tmp_path / "image.png")
    logic, drafts = bench.logic, Drafts(tmp_path / "drafts")
    controller = Controller(logic, drafts)
    scene = bench.stage.scene
    observed = [
        scene.AddObserver(scene.StartCloseEvent, lambda *_: controller.save_now()),
        scene.AddObserver(scene.EndCloseEvent, lambda *_: controller.on_scene_closed()),
    ]
    controller.open_local(str(tmp_path / "image.png"))
    poll_until(controller, lambda: controller.state.current)
    logic.editor.place_corners(6, phantom.spine.xy[6, 1:])
    work = logic.markups()

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(drafts, "save", full)
        scene.Clear(0)
        assert bench.nodes("corners") == []
        poll_until(controller, lambda: bench.nodes("corners"))
        assert logic.markups() == work
        assert np.allclose(bench.markups_xy("corners")[24:28], phantom.spine.xy[6, 1:])
        assert controller.state.current is not None
        assert not controller.state.current.is_saved
    poll_until(controller, lambda: controller.state.current.is_saved)
    scene.Clear(0)
    assert controller.state.current is None
    poll_until(controller, lambda: controller.state.drafts)
    assert [draft.markups for draft in drafts.list()] == [work]
    assert bench.nodes("corners") == []
    controller.close()
    for tag in observed:  # a scene that is deleted closes once more
        scene.RemoveObserver(tag)


@pytest.mark.parametrize("is_complete", [True, False])
def test_pictures_are_read_on_another_thread(tmp_path: Path, is_complete: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 65535, (300, 200)).astype(np.uint16)
    path = tmp_path / "image.tif"
    Image.fromarray(pixels).save(path)
    if not is_complete:
        path.write_bytes(path.read_bytes()[:4000])
    finish = begin_reading(str(path))
    found: list[object] = []

    def read() -> None:
        try:
            found.append(finish().pixels)
        except ValueError as error:
            found.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(60)
    (result,) = found
    if is_complete:
        assert np.array_equal(result, pixels)
    else:
        assert "corrupt" in str(result)
