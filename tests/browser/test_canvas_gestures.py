"""Mouse, fingers and texts on the canvas: what is grabbed, where it lands, and what is drawn anew."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, CDPSession, Page

from lib.phantoms import random_spec, render_phantom
from lib.spine.schema import POINTS, VERTEBRAE

from .canvas_site import CORNER, COUNT_DRAWS, Site, running_site
from .watch import Watch

pytestmark = [pytest.mark.browser]

T7, TL, BR, CENTER = VERTEBRAE.index("T7"), POINTS.index("TL"), POINTS.index("BR"), POINTS.index("center")
MAX_OFF_PX = 0.5
MAX_SCRIPT_MS = 5.0
TIME_FRAMES = """window.spent = [];
const ask = window.requestAnimationFrame;
window.requestAnimationFrame = (then) => ask((time) => {
    const start = performance.now();
    then(time);
    window.spent.push(performance.now() - start);
});"""
"""Notes how long the scripts of each frame take, in ms."""
PHANTOM = render_phantom(random_spec(1, 800, 400))
MEASUREMENT = {
    "curves": [
        {"text": "36.6 ± 2.1°  T5–T12 right", "lines": [[[100, 200], [300, 240]], [[100, 500], [300, 440]]]},  # noqa: RUF001
        {"text": "21.0 ± 2.4°  T12–L4 left", "lines": [[[100, 440], [300, 500]], [[100, 700], [300, 650]]]},  # noqa: RUF001
    ],
    "vertebrae": {
        "T7": {"color": "#ff5f55", "state": "doubtful", "sign": "?", "uncertainty": 1},
        "L3": {"color": "#ffaa3c", "state": "implausible", "sign": "!", "uncertainty": 0},
    },
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A server of the canvas alone."""
    with running_site() as running:
        yield running


@pytest.fixture
def page(chromium: Browser, site: Site) -> Iterator[Page]:
    """The canvas with a phantom and its points; nothing may be complained about."""
    context = chromium.new_context(viewport={"width": 940, "height": 820}, base_url=site.url, has_touch=True)
    watch = Watch(context, site.url)
    context.add_init_script(COUNT_DRAWS + TIME_FRAMES)
    page = context.new_page()
    page.goto("/")
    site.show(page, PHANTOM.pixels)
    page.evaluate("(points) => { xy.set(points); view.setPoints(xy); }", PHANTOM.spine.xy.ravel().tolist())
    page.evaluate("(measured) => view.setMeasurement(measured)", MEASUREMENT)
    page.evaluate("drawn()")
    yield page
    context.close()
    watch.check()


@pytest.fixture
def fingers(page: Page) -> CDPSession:
    """Sends touches: ``[(x, y), ...]`` of the fingers that are down."""
    return page.context.new_cdp_session(page)


def touch(session: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    """Send ``touchStart``, ``touchMove`` or ``touchEnd`` with the fingers that are down."""
    touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


def on_screen(page: Page, v: int, p: int) -> tuple[float, float]:
    """A point in CSS pixels of the page."""
    at = page.evaluate("([v, p]) => view.screenPosition(v, p)", [v, p])
    return at["x"], at["y"]


def position(page: Page, v: int, p: int) -> np.ndarray:
    """A point in stored pixels, as the page keeps it."""
    return np.array(page.evaluate("(at) => [xy[at], xy[at + 1]]", 2 * (5 * v + p)))


def stored(page: Page, x: float, y: float) -> np.ndarray:
    """A position on the page in stored pixels."""
    return np.array(page.evaluate("([x, y]) => view.imagePosition(x, y)", [x, y]))


def events(page: Page, *names: str) -> list[list[Any]]:
    """What was reported since the last call, of these kinds or all."""
    found: list[list[Any]] = page.evaluate("events.splice(0)")
    return [event for event in found if not names or event[0] in names]


def drag(
    page: Page, start: tuple[float, float], by: tuple[float, float], button: Any = "left", steps: int = 12
) -> None:
    """Press, move in steps, release."""
    page.mouse.move(*start)
    page.mouse.down(button=button)
    page.mouse.move(start[0] + by[0], start[1] + by[1], steps=steps)
    page.mouse.up(button=button)


@pytest.mark.parametrize("zoom", [1.0, 5.0])
def test_a_dragged_point_lands_where_it_is_dropped_and_the_image_is_not_drawn_again(page: Page, zoom: float) -> None:
    page.evaluate("([v, zoom]) => zoom > 1 && view.zoomTo(v)", [T7, zoom])
    page.evaluate("drawn()")
    x, y = on_screen(page, T7, TL)
    page.mouse.move(x, y)
    page.evaluate("drawn()")
    events(page)
    page.evaluate("draws = 0")
    drag(page, (x, y), (37.3, -21.6))
    assert np.abs(position(page, T7, TL) - stored(page, x + 37.3, y - 21.6)).max() <= MAX_OFF_PX
    names = [name for name, *_ in events(page)]
    assert names[:2] == ["onSelect", "onDragStart"]
    assert set(names[2:-1]) == {"onDrag"}
    assert names[-1] == "onDragEnd"
    assert page.evaluate("draws") == 0
    page.evaluate("drawn()")
    assert page.evaluate("view.hovered") == {"vertebra": T7, "point": TL}
    assert page.evaluate("view.selected") == {"vertebra": T7, "point": TL}
    page.evaluate("view.panBy(5, 0)")
    page.evaluate("drawn()")
    assert page.evaluate("draws") > 0  # the counter counts


def test_a_drag_step_takes_little_time(page: Page) -> None:
    x, y = on_screen(page, T7, TL)
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate("spent.length = 0")
    for step in range(1, 61):
        page.mouse.move(x + step / 2, y + step / 3)
    spent = page.evaluate("spent")
    page.mouse.up()
    print(f"drag step: {statistics.median(spent):.2f} ms of script, {max(spent):.2f} at most")
    assert len(spent) > 20
    assert statistics.median(spent) <= MAX_SCRIPT_MS


def test_a_press_beside_a_point_keeps_the_distance(page: Page) -> None:
    page.evaluate("(v) => view.zoomTo(v)", T7)
    page.evaluate("drawn()")
    x, y = on_screen(page, T7, BR)
    drag(page, (x + 9, y + 4), (30, 12))
    assert np.abs(position(page, T7, BR) - stored(page, x + 30, y + 12)).max() <= MAX_OFF_PX


def test_the_nearest_point_in_reach_is_taken(page: Page, fingers: CDPSession) -> None:
    points = np.full(170, np.nan)
    points[:4] = [200, 300, 210, 300]  # T1 center and TL
    page.evaluate("(all) => view.setPoints(all.map((x) => x ?? NaN))", [None if np.isnan(x) else x for x in points])
    page.evaluate("drawn()")
    (left, y), (right, _) = on_screen(page, 0, CENTER), on_screen(page, 0, TL)
    for x, found in [
        (left + 0.45 * (right - left), CENTER),
        (left + 0.55 * (right - left), TL),
        (right + 13.5, TL),
        (right + 15, None),
        (left - 13.5, CENTER),
    ]:
        events(page)
        page.mouse.click(x, y)
        [[_, target]] = events(page, "onSelect")
        assert (target and target["point"]) == found, x
    for x, found in [(right + 23, TL), (right + 26, None)]:
        touch(fingers, "touchStart", (x, y))
        touch(fingers, "touchEnd")
        [[_, target]] = events(page, "onSelect")
        assert (target and target["point"]) == found, x
    page.evaluate("view.setLayers({corners: false})")
    page.mouse.click(right + 1, y)
    [[_, target]] = events(page, "onSelect")
    assert target["point"] == CENTER  # a hidden point cannot be grabbed


def test_a_finger_drags_a_point(page: Page, fingers: CDPSession) -> None:
    x, y = on_screen(page, T7, TL)
    touch(fingers, "touchStart", (x, y))
    for step in range(1, 11):
        touch(fingers, "touchMove", (x - 4 * step, y + 3 * step))
    touch(fingers, "touchEnd")
    assert np.abs(position(page, T7, TL) - stored(page, x - 40, y + 30)).max() <= MAX_OFF_PX
    assert [name for name, *_ in events(page, "onDragStart", "onDragEnd")] == ["onDragStart", "onDragEnd"]
    assert page.evaluate("view.hovered") is None


def test_two_fingers_zoom_where_they_are(page: Page, fingers: CDPSession) -> None:
    before, scale = stored(page, 400, 400), page.evaluate("view.scale")
    touch(fingers, "touchStart", (370, 400))
    touch(fingers, "touchStart", (370, 400), (430, 400))
    for step in range(1, 16):
        touch(fingers, "touchMove", (370 - 4 * step, 400), (430 + 4 * step, 400))
    touch(fingers, "touchEnd")
    assert page.evaluate("view.scale") / scale == pytest.approx(3)
    assert stored(page, 400, 400) == pytest.approx(before)
    assert events(page, "onDrag", "onDragStart", "onSelect") == []


def test_two_fingers_change_the_window_where_that_is_chosen(page: Page, fingers: CDPSession) -> None:
    page.evaluate("view.setTwoFingers('window')")
    before, scale = page.evaluate("view.window"), page.evaluate("view.scale")
    touch(fingers, "touchStart", (300, 400))
    touch(fingers, "touchStart", (300, 400), (360, 400))
    touch(fingers, "touchMove", (340, 400), (400, 400))
    touch(fingers, "touchEnd")
    after = page.evaluate("view.window")
    assert after["high"] - after["low"] > before["high"] - before["low"]
    assert page.evaluate("view.scale") == scale
    assert events(page, "onWindow")[-1][1] == after


def test_the_mouse_zooms_pans_fits_and_changes_the_window(page: Page) -> None:
    fitted = page.evaluate("view.scale")
    at, free = (CORNER[0] + 300.0, CORNER[1] + 200.0), (CORNER[0] + 60.0, CORNER[1] + 700.0)
    before = stored(page, *at)
    page.mouse.move(*at)
    page.mouse.wheel(0, -240)
    page.evaluate("(scale) => until(() => view.scale > 1.5 * scale)", fitted)
    assert stored(page, *at) == pytest.approx(before)
    for button in ("left", "middle"):
        grabbed = stored(page, *free)
        drag(page, free, (25, -40), button)
        assert stored(page, free[0] + 25, free[1] - 40) == pytest.approx(grabbed)
    window = page.evaluate("view.window")
    drag(page, free, (0, -50), "right")
    [*_, [_, brighter]] = events(page, "onWindow")
    assert brighter["low"] < window["low"]
    assert brighter["high"] - brighter["low"] == pytest.approx(window["high"] - window["low"])
    page.mouse.dblclick(*free)
    assert page.evaluate("view.scale") == pytest.approx(fitted)
    assert events(page, "onDrag", "onDragStart") == []


def test_whole_vertebrae_are_grabbed_anywhere_inside(page: Page) -> None:
    page.evaluate("(v) => view.zoomTo(v)", T7)
    page.evaluate("drawn()")
    (left, top), (right, bottom) = on_screen(page, T7, TL), on_screen(page, T7, BR)
    x, y = left + 0.3 * (right - left), top + 0.4 * (bottom - top)  # far from all points
    for mode, grabbed in [("point", None), ("vertebra", CENTER), ("rotate", TL)]:
        page.evaluate("(mode) => view.setMode(mode)", mode)
        events(page)
        drag(page, (x, y), (6, 6))
        started = events(page, "onDragStart")
        assert [event[1] for event in started] == (
            [] if grabbed is None else [{"vertebra": T7, "point": grabbed, "mode": mode}]
        )
        page.evaluate("(points) => { xy.set(points); view.setPoints(xy); }", PHANTOM.spine.xy.ravel().tolist())
        page.evaluate("(v) => view.zoomTo(v)", T7)
        page.evaluate("drawn()")


def test_clicks_place_points_in_the_mode_for_that(page: Page) -> None:
    page.evaluate("view.setMode('place')")
    x, y = on_screen(page, T7, TL)
    wanted = [stored(page, x + 2, y), stored(page, x + 4, y)]
    page.mouse.click(x + 2, y)
    page.mouse.click(x + 4, y)  # at once: no double click
    clicks = events(page, "onClickImage", "onSelect", "onDragStart")
    assert [name for name, _ in clicks] == ["onClickImage", "onClickImage"]
    assert np.abs(np.array([at for _, at in clicks]) - wanted).max() <= MAX_OFF_PX
    drag(page, (x, y), (40, 0))
    assert events(page, "onClickImage", "onDragStart") == []


def test_locked_points_stay(page: Page) -> None:
    page.evaluate("view.setLocked(true)")
    drag(page, on_screen(page, T7, TL), (40, 0))
    assert events(page, "onDragStart", "onDrag") == []


def test_texts_do_not_lie_on_one_another_at_any_zoom(page: Page) -> None:
    for zoom in (0.5, 0.7, 1, 1.6, 3, 8, 20):
        page.evaluate("(zoom) => { view.fit(); view.zoomBy(zoom); }", zoom)
        page.evaluate("drawn()")
        texts = page.evaluate("view._points.texts")
        assert {text["height"] for text in texts} <= {12, 15}  # CSS pixels
        boxes = [(t["x"], t["y"] - t["height"] / 2, t["x"] + t["width"], t["y"] + t["height"] / 2) for t in texts]
        for number, (x0, y0, x1, y1) in enumerate(boxes):
            others = boxes[:number]
            assert not any(x0 < b[2] and b[0] < x1 and y0 < b[3] and b[1] < y1 for b in others), (zoom, texts[number])
        names = {text["text"] for text in texts}
        if zoom <= 1.6:
            assert {"T7 ?", "L3 !", *(curve["text"] for curve in MEASUREMENT["curves"])} <= names, zoom
        if zoom == 1:
            assert len(names) == len(VERTEBRAE) + len(MEASUREMENT["curves"])
