"""The image on the canvas: gray values, tiles, orientation, window, equalization, speed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page
from VertebraLandmarksLib.scene.gray_window import WINDOWS, window_of

from lib.phantoms import random_spec, render_phantom
from lib.spine import display
from lib.spine.geometry import transform_points
from lib.spine.imaging.orientation import EXIF_ORIENTATIONS

from .canvas_site import CORNER, COUNT_DRAWS, Site, expected, running_site, screenshot
from .watch import Watch

pytestmark = [pytest.mark.browser]

VIEWPORT = {"width": 640, "height": 520}
MAX_DIFFERENCE = 1.01
"""Of 8 bit gray values: that of rounding."""
MAX_SHOW_MS, MAX_HEAP_BYTES = 1500, 150e6
ORIENTATIONS = tuple(EXIF_ORIENTATIONS.values())


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A server of the canvas alone."""
    with running_site() as running:
        yield running


@pytest.fixture
def page(chromium: Browser, site: Site) -> Iterator[Page]:
    """The page of the canvas; nothing may be complained about."""
    context = chromium.new_context(viewport=VIEWPORT, base_url=site.url)
    watch = Watch(context, site.url)
    context.add_init_script(COUNT_DRAWS)
    page = context.new_page()
    page.goto("/")
    yield page
    context.close()
    watch.check()


def noise(height: int, width: int, dtype: type = np.uint16, seed: int = 0) -> np.ndarray:
    """Gray values with detail of all sizes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    smooth = np.sin(x / 17) * np.cos(y / 23) + 0.4 * rng.standard_normal((height, width))
    largest = np.iinfo(dtype).max if dtype == np.uint8 else 4095
    return (largest * (smooth - smooth.min()) / np.ptp(smooth)).astype(dtype)


def difference(page: Page, upright: np.ndarray) -> float:
    """Largest difference in 8 bit gray values between the screen and what it should show of the image."""
    shown = screenshot(page)
    wanted = expected(page, upright, (shown.shape[0], shown.shape[1]))
    assert np.isfinite(wanted).mean() > 0.01
    inside = np.isfinite(wanted)
    return float(np.abs(shown - wanted)[inside].max())


def module(page: Page, path: str, expression: str, *values: Any) -> Any:
    """Evaluate an expression of ``m``, a module of the canvas, and ``v``, some values."""
    code = f"async (v) => {{ const m = await import('/browser/canvas/{path}'); return {expression}; }}"
    return page.evaluate(code, list(values))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_values_are_the_window_of_the_pixels(page: Page, site: Site, dtype: type) -> None:
    pixels = noise(730, 411, dtype)
    site.show(page, pixels)
    low, high = (20, 180) if dtype == np.uint8 else (300, 2900)
    page.evaluate("([low, high]) => view.setWindow(low, high)", [low, high])
    for zoom in (0.5, 1.0, 1.7, 4.0, 30.0):
        page.evaluate("(zoom) => { view.fit(); view.zoomBy(zoom); }", zoom)
        assert difference(page, pixels) <= MAX_DIFFERENCE, zoom
    page.evaluate("view.fit()")
    plain = screenshot(page)
    page.evaluate("view.setInverted(true)")
    is_image = np.isfinite(expected(page, pixels, (plain.shape[0], plain.shape[1])))
    assert np.abs(screenshot(page) + plain - 255)[is_image].max() <= 1


def test_each_pixel_of_the_file_can_be_read_from_the_screen(page: Page, site: Site) -> None:
    pixels = np.arange(40 * 30, dtype=np.uint16).reshape(40, 30) * 50
    site.show(page, pixels)
    page.evaluate("view.setWindow(0, 59950); view.zoomBy(8 / view.scale)")
    shown = screenshot(page)
    for x, y in [(7, 12), (15, 20), (22, 27)]:
        at_x, at_y = page.evaluate("([x, y]) => view._transform.toScreen([x, y])", [x, y])
        assert abs(shown[int(at_y), int(at_x)] - 255 * float(pixels[y, x]) / 59950) <= 1.0


def test_tiles_have_no_seam(page: Page, site: Site) -> None:
    pixels = noise(9000, 260)
    site.show(page, pixels)
    fitted = page.evaluate("view.scale")
    for zoom in (1.0, 1.9, 7.0, 40.0):
        page.evaluate(
            "(scale) => { view._transform.center([130, 4093.5], scale); view.invalidate(true); }", zoom * fitted
        )
        assert difference(page, pixels) <= MAX_DIFFERENCE, zoom
        tiles = page.evaluate("() => { draws = 0; view._image.draw(view._transform); return draws; }")
        is_tiled = zoom * fitted > 0.25  # the image and its half are higher than a tile
        assert (tiles > 1) == is_tiled, zoom


def test_the_image_is_shown_upright(page: Page, site: Site) -> None:
    pixels = noise(300, 211, np.uint8)
    for orientation in ORIENTATIONS:
        site.show(page, pixels, orientation.as_dict())
        assert difference(page, orientation.upright_pixels(pixels)) <= MAX_DIFFERENCE, orientation
    page.evaluate("view.setOrientation(null)")
    assert difference(page, pixels) <= MAX_DIFFERENCE


def test_positions_survive_the_way_to_the_screen_and_back(page: Page, site: Site) -> None:
    width, height = 211, 300
    points = np.random.default_rng(0).uniform(-5, 300, (85, 2))
    for orientation in ORIENTATIONS:
        site.show(page, np.zeros((height, width), np.uint8), orientation.as_dict())
        page.evaluate("view.zoomBy(6.3); view.panBy(31.7, -12.2)")
        page.evaluate("(xy) => view.setPoints(Float64Array.from(xy))", points.ravel().tolist())
        screen = page.evaluate("Array.from({length: 85}, (_, i) => view.screenPosition(Math.floor(i / 5), i % 5))")
        back = page.evaluate("(all) => all.map(({x, y}) => view.imagePosition(x, y))", screen)
        assert np.abs(np.array(back) - points).max() < 1e-6, orientation
        (left, top), scale = page.evaluate("[[view._transform.left, view._transform.top], view.scale]")
        upright = transform_points(orientation.matrix(width, height), points)
        on_page = (upright + 0.5) * scale + [left + CORNER[0], top + CORNER[1]]
        assert np.abs(np.array([[at["x"], at["y"]] for at in screen]) - on_page).max() < 1e-6, orientation


def test_presets_are_those_of_the_slicer_module(page: Page, site: Site) -> None:
    bordered = noise(700, 400)
    bordered[:60], bordered[-50:] = 0, 4095
    flat = np.full((50, 40), 7, np.uint8)
    for pixels in (noise(333, 222), noise(333, 222, np.uint8), bordered, flat):
        site.show(page, pixels)
        assert page.evaluate("view.presets") == list(WINDOWS)
        assert page.evaluate("[view.window.low, view.window.high]") == pytest.approx(window_of(pixels, "Automatic"))
        for name in WINDOWS:
            low, high = page.evaluate("(name) => Object.values(view.setPreset(name))", name)
            assert (low, high) == pytest.approx(window_of(pixels, name)), name


def test_colors_are_those_of_the_slicer_module(page: Page) -> None:
    names = ("SURE", "DOUBTFUL", "MEASURED", "CORNER", "HOVERED", "NAME")
    shown = module(page, "points/colors.js", "v.map((name) => m[name])", *names)
    assert [tuple(color) for color in shown] == [getattr(display, name) for name in names]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("view.show({width: 3, height: 2, data: new Uint8Array(5)})", "an image of 3 x 2 pixels cannot have 5"),
        ("view.show({width: 1, height: 1, data: [0]})", "must be a Uint8Array or a Uint16Array"),
        ("view.show({width: 1, height: 1, data: new Uint8Array(1), orientation: {turn_deg: 45}})", "turn_deg must be"),
        ("view.setWindow(5, 5)", "two rising numbers, got 5 and 5"),
        ("view.setPreset('Lung')", 'window "Lung" is not one of Automatic, Soft tissue'),
        ("view.setMode('spin')", 'mode "spin" is not one of point, vertebra, rotate, place'),
        ("view.setPoints(new Float64Array(3))", "expected 170 coordinates, got 3"),
    ],
)
def test_wrong_values_are_named(page: Page, call: str, said: str) -> None:
    message = page.evaluate(f"() => {{ try {{ {call}; return ''; }} catch (error) {{ return error.message; }} }}")
    assert said in message


def test_equalization_raises_the_contrast_of_dark_and_bright_places(page: Page, site: Site) -> None:
    base = np.where(np.arange(400) < 200, 600, 3400)
    pixels = (base + 60 * np.random.default_rng(0).standard_normal((400, 400))).astype(np.uint16)
    site.show(page, pixels)
    page.evaluate("view.setWindow(0, 4095)")
    plain = screenshot(page)
    page.evaluate("view.setEqualized(true)")
    assert len(page.workers) == 1
    equalized = screenshot(page)
    middle = plain.shape[1] // 2
    for start in (middle - 150, middle + 50):
        place = (slice(150, 350), slice(start, start + 100))
        assert equalized[place].std() > 2 * plain[place].std() > 2
    page.evaluate("view.setEqualized(false)")
    assert np.array_equal(screenshot(page), plain)


def test_equalization_never_reverses_gray_values(page: Page) -> None:
    pixels = noise(90, 70)
    sample = {"width": 70, "height": 90, "unit": 1, "shrink": 2, "low": 100, "high": 4000}
    ranks = module(
        page,
        "image/equalization.js",
        "((r) => ({...r, shares: Array.from(r.shares)}))(m.equalize({...v[0], data: Uint16Array.from(v[1])}))",
        *(sample, pixels.ravel().tolist()),
    )
    shares = np.array(ranks["shares"]).reshape(ranks["rows"], ranks["columns"], ranks["bins"])
    assert (np.diff(shares, axis=2) >= 0).all()
    assert shares.min() >= 0
    assert shares.max() <= 1
    assert np.diff(shares, axis=2).max() <= 2 * 3 / ranks["bins"]  # limited contrast
    assert np.array(ranks["region"]) * [ranks["columns"], ranks["rows"]] == pytest.approx([140, 180])


def test_a_moving_image_is_a_draft_without_a_graphics_card_until_it_rests(page: Page, site: Site) -> None:
    pixels = noise(300, 200)
    site.show(page, pixels)
    sizes = page.evaluate(
        """async () => {
            const sizes = [];
            for (let step = 0; step < 5; step++) {
                view.panBy(3, 2);
                await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
                sizes.push(document.querySelector("canvas").width);
            }
            return sizes;
        }"""
    )
    assert sizes[-1] == 300  # half of the width of the view
    assert difference(page, pixels) <= MAX_DIFFERENCE
    assert page.evaluate("document.querySelector('canvas').width") == 600


def test_a_lost_context_is_restored(page: Page, site: Site) -> None:
    pixels = noise(300, 200)
    site.show(page, pixels)
    page.evaluate("view.setEqualized(true)")
    before = screenshot(page)
    lose = "window.lost = document.querySelector('canvas').getContext('webgl2').getExtension('WEBGL_lose_context')"
    page.evaluate(f"() => {{ {lose}; lost.loseContext(); view.panBy(1, 1); view.fit(); }}")
    page.evaluate("drawn()")
    page.evaluate("lost.restoreContext()")
    page.evaluate("until(() => !document.querySelector('canvas').getContext('webgl2').isContextLost())")
    page.evaluate("drawn()")
    assert np.array_equal(screenshot(page), before)


def test_a_browser_without_webgl_is_told(chromium: Browser, site: Site) -> None:
    context = chromium.new_context(base_url=site.url)
    context.add_init_script("HTMLCanvasElement.prototype.getContext = () => null;")
    page = context.new_page()
    page.goto("/")
    assert page.evaluate("problem").startswith("This browser cannot show radiographs, as WebGL 2 is missing")
    context.close()


def test_the_image_follows_the_size_and_the_density_of_the_screen(chromium: Browser, site: Site) -> None:
    context = chromium.new_context(viewport=VIEWPORT, base_url=site.url, device_scale_factor=2)
    page = context.new_page()
    page.goto("/")
    pixels = noise(300, 200)
    site.show(page, pixels)
    assert page.evaluate("[...document.querySelectorAll('canvas')].map((c) => c.width)")[0] == 1200
    page.set_viewport_size({"width": 340, "height": 320})
    page.evaluate("until(() => view._transform.viewWidth === 300)")
    assert page.evaluate("view.scale") == pytest.approx(1 / 1.02)  # still fitted
    page.evaluate("view.zoomBy(4)")
    middle = page.evaluate("view._transform.toStored(150, 150)")
    page.set_viewport_size({"width": 440, "height": 420})
    page.evaluate("until(() => view._transform.viewWidth === 400)")
    assert page.evaluate("view._transform.toStored(200, 200)") == pytest.approx(middle)
    context.close()


def test_the_focus_can_be_seen(page: Page, site: Site) -> None:
    site.show(page, np.zeros((300, 200), np.uint8))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement === view.element")
    shown = screenshot(page)
    assert shown[0, 300] == shown[-1, 300] == shown[250, 0] == 255
    page.evaluate("view.element.blur()")
    assert screenshot(page)[0, 300] < 20


def test_a_large_image_is_shown_at_once(chromium: Browser, site: Site) -> None:
    small = render_phantom(random_spec(3, 1500, 500)).pixels
    pixels = np.kron(small, np.ones((4, 4))).astype(np.uint16) * 16
    assert pixels.shape == (6000, 2000)
    context = chromium.new_context(viewport={"width": 1400, "height": 900}, base_url=site.url)
    page = context.new_page()
    page.goto("/")
    start = site.show(page, pixels)
    read = "document.querySelector('canvas').getContext('webgl2').finish()"
    took = page.evaluate(f"() => {{ {read}; return performance.now(); }}") - start
    heap = page.evaluate("performance.memory.usedJSHeapSize")
    print(json.dumps({"show_ms": round(took), "heap_mb": round(heap / 1e6)}))
    assert took <= MAX_SHOW_MS
    assert heap <= MAX_HEAP_BYTES
    context.close()
