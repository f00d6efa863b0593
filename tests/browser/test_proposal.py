"""What somebody has edited in a viewer of the PACS is offered with its label, and never taken silently."""

from __future__ import annotations

import json
import time

import pytest
from playwright.sync_api import Route, expect

from ..serving import Server
from .annotator import Annotator, stored_label
from .conftest import NewImage, OpenPage
from .labels import save_truth

pytestmark = [pytest.mark.browser, pytest.mark.integration]

CORNER, MOVED_PX = "T5 TL", 20.0


def propose(server: Server, image: str, version: int) -> None:
    """Save what the server makes of edited Cobb lines: the label with one corner moved."""
    status, body = server.ask(f"/landmarks?image={image}&tag=final")
    assert status == 200
    landmarks = json.loads(body)["landmarks"]
    for point in landmarks:
        if point["name"] == CORNER:
            point["y"] += MOVED_PX
    about = {"of_tag": "final", "of_version": version, "moved": [CORNER]}
    content = json.dumps({"landmarks": landmarks, "info": {"user": "Viola", "proposal": about}}).encode()
    status, body = server.ask(f"/landmarks?image={image}&tag=proposal_ohif", "PUT", content, "application/json")
    assert status == 200, body


def with_pacs(route: Route) -> None:
    """The server's own answer, as if its images were of a PACS."""
    response = route.fetch()
    route.fulfill(response=response, json={**response.json(), "pacs": {"state": "idle"}})


def test_an_edit_of_an_earlier_version_is_told_and_not_offered(
    open_page: OpenPage, new_image: NewImage, server: Server
) -> None:
    image = new_image("proposed_late", seed=64)
    save_truth(server, image, 64)
    save_truth(server, image, 65)
    saved = json.loads(server.ask(f"/landmarks?image={image}&tag=final")[1])["info"]["ts"]
    while time.time() < saved + 1:  # times are whole seconds
        time.sleep(0.05)
    propose(server, image, 1)
    page, _ = open_page("")
    page.route("**/info/", with_pacs)
    annotator = Annotator(page)
    annotator.go_to(image)
    annotator.wait_for_points()
    expect(
        page.get_by_text("Viola has edited Cobb lines of version 1 of this label in a viewer. It was")
    ).to_be_visible()
    expect(page.get_by_role("button", name="Show the change")).to_have_count(0)


@pytest.mark.parametrize(("version", "is_offered"), [(1, True), (7, False)])
def test_edited_lines_are_offered(
    open_page: OpenPage, new_image: NewImage, server: Server, version: int, is_offered: bool
) -> None:
    image = new_image(f"proposed_{version}", seed=63)
    save_truth(server, image, 63)
    propose(server, image, version)
    page, _ = open_page("")
    page.route("**/info/", with_pacs)
    annotator = Annotator(page)
    annotator.go_to(image)
    annotator.wait_for_points()
    offer = page.get_by_text("Viola has edited Cobb lines of this image in a viewer, which would move T5 TL.")
    if not is_offered:
        annotator.settle()
        expect(offer).to_have_count(0)
        return
    expect(offer).to_be_visible()
    before = annotator.positions()[CORNER]
    page.get_by_role("button", name="Show the change").click()
    annotator.settle()
    after = annotator.positions()[CORNER]
    assert after == pytest.approx((before[0], before[1] + MOVED_PX), abs=0.01)
    assert annotator.state["edits"] == 1
    assert (stored_label(server, image) or {})[CORNER] == pytest.approx(before, abs=0.01)
    annotator.button("undo").click()
    annotator.settle()
    assert annotator.positions()[CORNER] == pytest.approx(before, abs=1e-6)
