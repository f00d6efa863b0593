"""What the tests of the Slicer module share: a server with phantoms, and the controller without Slicer."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from VertebraLandmarksLib.client.api import Client
from VertebraLandmarksLib.client.http import Connection
from VertebraLandmarksLib.client.radiograph import LOCAL, ImageInfo, Radiograph
from VertebraLandmarksLib.client.responses import Prediction
from VertebraLandmarksLib.editor.spine_editor import SpineEditor
from VertebraLandmarksLib.spine.imaging.image_frame import ImageFrame
from VertebraLandmarksLib.spine.labels.markups import from_markups, to_markups
from VertebraLandmarksLib.spine.measurement.origin import UNKNOWN, Origin
from VertebraLandmarksLib.spine.schema import Spine
from VertebraLandmarksLib.workflow.controller import Controller
from VertebraLandmarksLib.workflow.drafts import Drafts

import make_phantoms as script

if TYPE_CHECKING:
    from ..serving import Server, Start

PHANTOMS = 4

# slicer-core is published for Linux only; where it is installed but cannot be loaded, these tests fail and say why.
collect_ignore = [] if importlib.util.find_spec("slicer") else ["panel", "scene", "test_packaging.py"]


def make_phantoms(folder: Path, count: int = PHANTOMS, *arguments: str) -> None:
    """Draw phantoms as the README says, in this process."""
    command = ["make_phantoms.py", "--output", str(folder), "--count", str(count), "--size", "640x320", *arguments]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command)
        assert script.main() == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """The app on ``PHANTOMS`` phantoms without labels."""
    studies = tmp_path_factory.mktemp("studies")
    make_phantoms(studies)
    with start(studies) as running:
        yield running


@pytest.fixture
def fresh_labels(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test labels or adds at ``server`` is removed, so that the tests may run in any order."""
    yield
    if "server" not in request.fixturenames:
        return
    server: Server = request.getfixturevalue("server")
    client = Client(Connection(server.url))
    for entry in client.images():
        if not entry.id.startswith("phantom_"):
            server.ask(f"/datastore/image?id={quote(entry.id)}", "DELETE")
        elif entry.status != "unlabelled":
            for tag in ("final", "original"):
                server.ask(f"/datastore/label?id={entry.id}&tag={tag}", "DELETE")


def stored(server: Server, image_id: str) -> bytes:
    """The label as it lies on the server's disk."""
    return (server.studies / "labels" / "final" / f"{image_id}.mrk.json").read_bytes()


def facts(server: Server, image_id: str) -> dict[str, Any]:
    """What the server knows about a label."""
    content: dict[str, Any] = json.loads(server.ask(f"/datastore/label/info?label={image_id}&tag=final")[1])
    return content


def offline(desk: Desk, folder: Path) -> None:
    """An image without a server, with all points placed."""
    Image.fromarray(np.zeros((300, 100), np.uint8)).save(folder / "image.png")
    desk.open_file(folder / "image.png")
    for v in range(17):
        for p, (dx, dy) in enumerate(((0, 0), (-10, -6), (10, -6), (-10, 6), (10, 6))):
            desk.logic.editor.place(v, p, (50.0 + dx, 20.0 + 16 * v + dy))


class MemoryLogic:
    """What the controller needs of the logic, on the real editor and without a scene."""

    def __init__(self) -> None:
        self.editor = SpineEditor()
        self.radiograph: Radiograph | None = None
        self._lost: Radiograph | None = None
        self.image_left_is: str | None = None
        self.shown: list[str] = []
        self.readers: list[str] = []
        self.compared: tuple[Spine, ...] = ()

    @property
    def image_frame(self) -> ImageFrame:
        assert self.radiograph is not None
        facts = self.radiograph.info
        return ImageFrame(facts.width, facts.height, facts.orientation, self.image_left_is)

    def set_side(self, side: str | None) -> None:
        self.image_left_is = side

    def show_image(self, radiograph: Radiograph) -> None:
        self.radiograph, self._lost, self.image_left_is = radiograph, None, radiograph.info.image_left_is
        self.compared = ()
        self.shown.append(radiograph.id)
        self.editor.load(Spine.from_arrays(np.full((17, 5, 2), np.nan)))

    def close_image(self) -> None:
        self.radiograph, self._lost, self.compared = None, None, ()
        self.editor.load(Spine.from_arrays(np.full((17, 5, 2), np.nan)))

    def scene_closes(self) -> None:
        """What the real logic does when Slicer removes every node: the points stay in the editor."""
        self.radiograph, self._lost = None, self.radiograph

    def restore(self) -> bool:
        is_there = self._lost is not None
        self.radiograph, self._lost = self._lost or self.radiograph, None
        return is_there

    def begin_local(self, path: str) -> Callable[[], Radiograph]:
        def read() -> Radiograph:
            self.readers.append(threading.current_thread().name)
            pixels = np.array(Image.open(path).convert("L"))
            facts = ImageInfo(pixels.shape[1], pixels.shape[0])
            return Radiograph(Path(path).stem, pixels, LOCAL, path, facts)

        return read

    def show_prediction(self, answer: Prediction) -> bool:
        return self.editor.propose(answer.spine, answer.origin)

    def follow_prediction(self, answer: Prediction) -> bool:
        return self.editor.follow(answer.spine, answer.origin)

    def set_label(
        self, markups: bytes, touched: np.ndarray | None = None, origin: Origin = UNKNOWN, is_own: bool = False
    ) -> None:
        assert self.radiograph is not None
        self.editor.load(from_markups(json.loads(markups), self.radiograph.info.geometry), touched, origin, is_own)

    def show_readings(self, readings: Sequence[Spine]) -> None:
        self.compared = tuple(readings)

    def markups(self) -> bytes:
        radiograph = self.radiograph or self._lost
        assert radiograph is not None
        return json.dumps(to_markups(self.editor.spine(), radiograph.info.geometry)).encode()


class Desk:
    """A controller on a logic in memory, as if a person sat before it."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.logic, self.folder = MemoryLogic(), folder
        self.drafts = Drafts(folder)
        self.controller = Controller(self.logic, self.drafts, clock=clock)
        self.controller.annotator = "ada"
        self.states = [self.controller.state]
        self.controller.subscribe(self.states.append)

    @property
    def state(self):
        """What the panel would show."""
        return self.controller.state

    def until(self, is_reached: Callable[[], object], most_s: float = 60.0) -> None:
        """Let time pass, as the timer of the panel does, until something is so."""
        end = time.monotonic() + most_s
        while not is_reached():
            assert time.monotonic() < end, f"it did not happen in time: {self.state}"
            self.controller.poll()
            time.sleep(0.005)

    def idle(self) -> None:
        """Let time pass until nothing is being done and all is kept."""
        self.until(lambda: not self.state.busy and (self.state.current is None or self.state.current.is_saved))

    def connect(self, url: str, token: str = "") -> None:
        """Connect, and see that it worked."""
        self.controller.connect(url, token)
        self.idle()
        assert self.state.error is None, self.state.error

    def open(self, image_id: str) -> None:
        """Open an image, and see that it is open."""
        self.controller.open_image(image_id)
        self.until(lambda: self.state.current is not None and self.state.current.id == image_id)

    def open_file(self, path: Path) -> None:
        """Open a file of this computer, and see that it is open."""
        shown = len(self.logic.shown)
        self.controller.open_local(str(path))
        self.until(lambda: len(self.logic.shown) > shown)

    def submit(self) -> None:
        """Submit, and say yes to what is asked."""
        asked = self.controller.submit()
        if asked is not None:
            assert self.controller.submit(asked) is None

    def infer(self) -> None:
        """Ask for landmarks and wait for them."""
        self.controller.infer()
        self.until(lambda: not self.state.is_busy("infer"))
        assert self.state.error is None, self.state.error

    def move(self, v: int = 6, p: int = 1, by: tuple[float, float] = (3.25, -2.5)) -> None:
        """Move a point, T7 TL by default."""
        self.logic.editor.move_point(v, p, tuple(self.logic.editor.xy[v, p] + by))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A controller whose drafts lie in a folder of their own."""
    sitting = Desk(tmp_path / "drafts")
    yield sitting
    sitting.controller.close()


@pytest.fixture
def new_desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Makes controllers on the same folder of drafts, or another one, as starts of Slicer do."""
    with contextlib.ExitStack() as stack:

        def make(folder: Path = tmp_path / "drafts", clock: Callable[[], float] = time.monotonic) -> Desk:
            sitting = Desk(folder, clock)
            stack.callback(sitting.controller.close)
            return sitting

        yield make
