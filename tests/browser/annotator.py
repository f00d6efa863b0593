"""What a person does and sees on the page of one image, for tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
from playwright.sync_api import CDPSession, Page, Request, expect

from lib.spine.labels.markups import label_of
from lib.spine.schema import POINTS, VERTEBRAE

from ..serving import Server

NAMES = tuple(label_of(vertebra, point) for vertebra in VERTEBRAE for point in POINTS)
"""Names of the 85 points."""
ALL_POSITIONS = """(names) => Object.fromEntries(names.map((name) => [name, [
    window.vertebraLandmarks.position(name), window.vertebraLandmarks.screenPosition(name)]]))"""
READY_TIMEOUT_MS = 60_000
DROP_TOLERANCE_PX = 0.5
"""How far from where it was dropped a point may be, in pixels of the image."""
XY = tuple[float, float]
SETTLE_TRIES, CALM_LOOKS, LOOK_INTERVAL_MS = 200, 4, 150
"""How often the page is looked at until it rests, and how often it must look the same, before it counts as at rest."""
READING_MS = 400
"""How long a person reads a question; an earlier click counts as a double click."""


class Annotator:
    """A user of the page of an image."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._pending: set[Request] = set()
        page.on("request", lambda request: self._pending.add(request))
        page.on("requestfinished", lambda request: self._pending.discard(request))
        page.on("requestfailed", lambda request: self._pending.discard(request))

    def go_to(self, image: str) -> None:
        """Open an image by its address."""
        self.page.goto(f"/#/image/{quote(image, safe='')}")
        self.wait_for(image)

    def wait_for(self, image: str) -> None:
        """Wait until an image is shown."""
        self.page.wait_for_function(
            "(image) => window.vertebraLandmarks?.ready && window.vertebraLandmarks.state().image === image",
            arg=image,
            timeout=READY_TIMEOUT_MS,
        )
        self.page.evaluate("() => window.vertebraLandmarks.ready.then(() => true)")

    def wait_for_points(self) -> None:
        """Wait until the landmarks are there and measured."""
        self.page.wait_for_function(
            "() => window.vertebraLandmarks.position('T7 TL') !== null", timeout=READY_TIMEOUT_MS
        )
        expect(self.angles).to_contain_text("°", timeout=READY_TIMEOUT_MS)

    def button(self, name: str) -> Any:
        """The control with a test id."""
        return self.page.get_by_test_id(name)

    @property
    def angles(self) -> Any:
        """The table of the angles."""
        return self.page.get_by_test_id("angles")

    @property
    def angles_text(self) -> str:
        """What the table says, as ``expect(...).to_have_text`` compares it."""
        return str(self.angles.text_content())

    @property
    def state(self) -> dict[str, Any]:
        """Id of the image, number of edits, and version of the label."""
        return dict(self.page.evaluate("() => window.vertebraLandmarks.state()"))

    def position(self, name: str) -> XY:
        """Where a point is, in stored pixels."""
        return _xy(self.page.evaluate("(name) => window.vertebraLandmarks.position(name)", name))

    def screen(self, name: str) -> XY:
        """Where a point is on the page, in CSS pixels."""
        return _xy(self.page.evaluate("(name) => window.vertebraLandmarks.screenPosition(name)", name))

    def positions(self) -> dict[str, XY]:
        """All points that are there, in stored pixels."""
        found = self.page.evaluate(ALL_POSITIONS, NAMES)
        return {name: _xy(stored) for name, (stored, _) in found.items() if stored is not None}

    def image_position(self, at: XY) -> np.ndarray:
        """Where a place on the page is in the image, in stored pixels, as all points together say."""
        found = [pair for pair in self.page.evaluate(ALL_POSITIONS, NAMES).values() if pair[0] is not None]
        stored, screen = (np.array([_xy(pair[side]) for pair in found]) for side in (0, 1))
        matrix, residuals, *_ = np.linalg.lstsq(np.c_[screen, np.ones(len(screen))], stored, rcond=None)
        assert float(np.max(residuals, initial=0)) < 1e-6, "the points do not lie where the image shows them"
        return np.array([*at, 1.0]) @ matrix

    def drag(self, name: str, to: XY, steps: int = 12, during: Callable[[], None] = lambda: None) -> None:
        """Drag a point with the mouse; ``during`` is called while the button is down, before the last step."""
        x, y = self.screen(name)
        mouse = self.page.mouse
        mouse.move(x, y)
        mouse.down()
        for a, b in between((x, y), to, steps)[:-1]:
            mouse.move(a, b)
        during()
        mouse.move(*to)
        mouse.up()

    def touch_drag(self, name: str, to: XY, steps: int = 12, during: Callable[[], None] = lambda: None) -> None:
        """Drag a point with one finger."""
        start = self.screen(name)
        with touching(self.page) as touch:
            touch("touchStart", [start])
            for at in between(start, to, steps)[:-1]:
                touch("touchMove", [at])
            during()
            touch("touchMove", [to])
            touch("touchEnd", [])

    def settle(self) -> None:
        """Wait until nothing is requested, and the points stay where they are: others may follow a moved one."""
        calm, before = 0, None
        for _ in range(SETTLE_TRIES):
            now = self.positions()
            calm = calm + 1 if now == before and not self._pending else 0
            if calm == CALM_LOOKS:
                return
            before = now
            self.page.wait_for_timeout(LOOK_INTERVAL_MS)
        raise AssertionError(f"the page does not come to rest; pending: {[one.url for one in self._pending]}")

    def submit(self) -> None:
        """Submit, confirm a warning if there is one, and wait until the server has the label."""
        version = self.state["version"] + 1
        self.button("submit").click()
        self.confirm_until(lambda: self.state["version"] >= version)

    def confirm_until(self, condition: Callable[[], bool], again: Callable[[], None] | None = None) -> None:
        """Wait until something is so, and submit ``again`` where the page asks whether the label is meant."""
        for _ in range(SETTLE_TRIES):
            if condition():
                return
            if self.button("submit-question").is_visible():
                self.page.wait_for_timeout(READING_MS)
                (again or self.button("submit").click)()
            self.page.wait_for_timeout(LOOK_INTERVAL_MS)
        raise AssertionError(f"nothing came of submitting; the message: {self.message}")

    @property
    def message(self) -> str:
        """What the message bar says."""
        return str(self.page.get_by_test_id("message").inner_text())

    def wait_for_version(self, version: int) -> None:
        """Wait until the page knows that the server has this version of the label."""
        self.page.wait_for_function("(version) => window.vertebraLandmarks.state().version >= version", arg=version)


class touching:
    """Touch events of the browser itself: ``touch(kind, [positions of the fingers])``."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.session: CDPSession | None = None

    def __enter__(self) -> Callable[[str, Sequence[XY]], None]:
        self.session = session = self.page.context.new_cdp_session(self.page)

        def touch(kind: str, fingers: Sequence[XY]) -> None:
            points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(fingers)]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        return touch

    def __exit__(self, *_: object) -> None:
        assert self.session is not None
        self.session.detach()


def between(start: XY, end: XY, steps: int) -> list[XY]:
    """Places on the way from one to the other, the last of them the end."""
    (x, y), (a, b) = start, end
    return [(x + (a - x) * n / steps, y + (b - y) * n / steps) for n in range(1, steps + 1)]


def stored_label(server: Server, image: str, tag: str = "final") -> dict[str, XY] | None:
    """The visible points of a label on the server, in stored pixels; ``None`` without a label."""
    status, body = server.ask(f"/landmarks?image={quote(image, safe='')}&tag={tag}")
    if status == 404:
        return None
    assert status == 200, body
    return {mark["name"]: (mark["x"], mark["y"]) for mark in json.loads(body)["landmarks"] if mark["visible"]}


def label_info(server: Server, image: str, tag: str = "final") -> dict[str, Any]:
    """Everything that the server says of a label."""
    status, body = server.ask(f"/landmarks?image={quote(image, safe='')}&tag={tag}")
    assert status == 200, body
    return dict(json.loads(body))


def largest_difference(some: dict[str, XY], others: dict[str, XY]) -> float:
    """The largest distance between points of the same name, in pixels; the names must be the same."""
    assert set(some) == set(others)
    return max(float(np.hypot(*np.subtract(some[name], others[name]))) for name in some)


def _xy(position: dict[str, float] | None) -> XY:
    assert position is not None, "the point is absent"
    return position["x"], position["y"]


def press_until(page: Page, key: str, condition: Callable[[], bool], limit: int = 200) -> Iterator[None]:
    """Press a key until something is so."""
    for _ in range(limit):
        if condition():
            return
        page.keyboard.press(key)
        yield
    raise AssertionError(f"{key} was pressed {limit} times")
