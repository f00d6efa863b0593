"""Nothing that a person made is lost: slow and full disks, scenes that close, work that is taken up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from VertebraLandmarksLib.workflow import open_image

from ..conftest import offline

if TYPE_CHECKING:
    from ..conftest import Desk

pytestmark = pytest.mark.slicer


def full(_: object) -> None:
    """A disk without space."""
    raise OSError(28, "No space left on device")


def test_newer_work_is_not_overwritten_by_the_draft_it_began_with(
    new_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    first = new_desk()
    offline(first, tmp_path)
    first.controller.close()
    desk = new_desk()
    desk.until(lambda: bool(desk.state.drafts))
    go = threading.Event()
    desk.controller._autosave._writer.start(lambda job: go.wait(60))  # a slow disk: what comes after has to wait
    desk.controller.resume_draft(desk.state.drafts[0])
    desk.until(lambda: desk.state.current is not None)
    desk.move()
    work = desk.logic.markups()
    desk.controller.save_now()
    desk.logic.scene_closes()
    desk.controller.on_scene_closed()
    assert desk.state.current is None
    go.set()
    desk.until(lambda: bool(desk.state.drafts))
    desk.until(lambda: [draft.markups for draft in desk.state.drafts] == [work])
    assert [draft.markups for draft in desk.drafts.list()] == [work]


def test_an_image_comes_back_when_the_scene_closes_and_its_work_cannot_be_saved(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_image, "RETRY_INTERVAL_S", 0.2)
    offline(desk, tmp_path)
    work = desk.logic.markups()
    with monkeypatch.context() as patch:
        patch.setattr(desk.drafts, "save", full)
        desk.controller.save_now()
        desk.logic.scene_closes()
        desk.controller.on_scene_closed()
        desk.until(lambda: desk.logic.radiograph is not None)
        assert desk.state.current is not None
        assert (desk.state.current.id, desk.state.current.is_saved) == ("image", False)
        assert desk.state.error is not None
        assert "stays open" in desk.state.error.message
        assert desk.logic.markups() == work
    desk.idle()
    assert [draft.markups for draft in desk.drafts.list()] == [work]
    desk.controller.save_now()
    desk.logic.scene_closes()
    desk.controller.on_scene_closed()
    assert desk.state.current is None
    desk.until(lambda: [draft.markups for draft in desk.state.drafts] == [work])


def test_edits_and_time_of_work_are_shown_with_those_of_before(new_desk: Callable[..., Desk], tmp_path: Path) -> None:
    now = [1000.0]
    first = new_desk(clock=lambda: now[0])
    offline(first, tmp_path)
    assert first.state.current is not None
    assert (first.state.current.edits, first.state.current.seconds) == (85, 0)
    for _ in range(3):
        now[0] += 10.5
        first.move()
    assert (first.state.current.edits, first.state.current.seconds) == (88, 31)
    first.controller.close()
    desk = new_desk(clock=lambda: now[0])
    desk.open_file(tmp_path / "image.png")
    assert desk.state.current is not None
    assert (desk.state.current.edits, desk.state.current.seconds) == (88, 31)
    now[0] += 2.0
    desk.move()
    assert (desk.state.current.edits, desk.state.current.seconds) == (89, 33)
