"""What scripts rely on that drive the page from outside: ``ready``, positions in pixels, and controls within reach."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from ..serving import Server
from .annotator import DROP_TOLERANCE_PX, Annotator
from .conftest import NewImage, OpenPage, phantom

pytestmark = [pytest.mark.browser, pytest.mark.integration]

READY = "() => window.vertebraLandmarks.ready.then(() => window.vertebraLandmarks.state().image)"
REFUSED = "() => window.vertebraLandmarks.ready.then(() => '', (error) => error.message)"
WINDOWS = ((1280, 800), (900, 600), (700, 500), (390, 844))
BELOW_MESSAGE = """() => {
    const {x, y, width, height} = document.querySelector(".message-text").getBoundingClientRect();
    return document.elementFromPoint(x + width / 2, y + height / 2).closest(".message") === null;
}"""
"""Whether what lies below the text of a message can be pressed."""


def hit(page: Page, test_id: str) -> bool:
    """Whether a control is what would be pressed in its middle."""
    control = page.get_by_test_id(test_id)
    control.scroll_into_view_if_needed()
    return bool(
        control.evaluate(
            "(control) => { const {x, y, width, height} = control.getBoundingClientRect();"
            " return control.contains(document.elementFromPoint(x + width / 2, y + height / 2)); }"
        )
    )


def test_ready_is_that_of_the_next_image_as_soon_as_it_is_asked_for(open_page: OpenPage, new_image: NewImage) -> None:
    image, other = new_image("first_ready", seed=71), new_image("other_ready", seed=72)
    page, watch = open_page("/")
    page.get_by_test_id("search").fill(image)
    page.get_by_test_id(f"open-{image}").click()
    assert page.evaluate(READY) == image
    page.get_by_test_id("next").click()
    assert page.evaluate(READY) not in (image, None)
    page.goto(f"/#/image/{other}")
    assert page.evaluate(READY) == other
    watch.expect("status of 404 .*nowhere_at_all")
    page.goto("/#/image/nowhere_at_all")
    assert "nowhere_at_all" in page.evaluate(REFUSED)


def test_no_message_lies_over_what_it_speaks_of(open_page: OpenPage, new_image: NewImage) -> None:
    page, _ = open_page("/")
    annotator = Annotator(page)
    annotator.go_to(new_image("small_windows", seed=73))
    annotator.wait_for_points()
    x, y = annotator.screen("T7 TL")
    annotator.drag("T7 TL", (x + 90, y))
    annotator.settle()
    for width, height in WINDOWS:
        page.set_viewport_size({"width": width, "height": height})
        annotator.button("submit").click()
        expect(page.get_by_test_id("message")).to_contain_text("confirmation")
        expect(annotator.button("submit")).to_be_in_viewport(ratio=0.99)
        assert page.evaluate(BELOW_MESSAGE), (width, height)
        for name in ("submit", "report", "look-again", "next", "names-up", "names-down", "undo"):
            assert hit(page, name), (name, width, height)
        annotator.button("look-again").click()


@pytest.mark.parametrize("density", [1, 2])
def test_positions_of_a_turned_photograph_are_those_of_its_file(
    open_page: OpenPage, server: Server, density: int
) -> None:
    upright = Image.open(io.BytesIO(phantom(74)))
    tags, stream = Image.Exif(), io.BytesIO()
    tags[274] = 6  # to be turned clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(stream, "JPEG", exif=tags, quality=95)
    image = f"turned_{density}"
    assert server.send(f"/datastore/image?image={image}", "PUT", file=("turned.jpg", stream.getvalue()))[0] == 200
    page, _ = open_page("/", viewport={"width": 900, "height": 600}, device_scale_factor=density)
    annotator = Annotator(page)
    annotator.go_to(image)
    annotator.wait_for_points()
    annotator.settle()
    found: dict[str, Any] = {mark["name"]: mark for mark in server.infer(image)[1]["landmarks"]}
    for name in ("T1 TL", "T7", "L5 BR"):
        assert annotator.position(name) == pytest.approx((found[name]["x"], found[name]["y"]), abs=DROP_TOLERANCE_PX)
    x, y = annotator.screen("T7 TL")
    where = annotator.image_position((x + 20, y + 10))
    annotator.drag("T7 TL", (x + 20, y + 10))
    assert np.hypot(*np.subtract(annotator.position("T7 TL"), where)) <= DROP_TOLERANCE_PX
