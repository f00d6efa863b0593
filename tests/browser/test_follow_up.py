"""The follow-up page: two images of a patient, what has changed between them, and the angles over time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from lib.phantoms import random_spec, render_phantom

from ..image_io.image_files import write_dicom
from ..serving import Server, Start
from .conftest import SIZE, UNSCORED, OpenPage, phantom
from .labels import save_truth

pytestmark = [pytest.mark.browser, pytest.mark.integration]

VISITS = {"visit_1": (1, "20240301"), "visit_2": (2, "20250914"), "visit_3": (3, "20260801")}
MINUS, DASH = "\u2212", "\u2013"
LOADED = (
    "() => document.querySelectorAll('.pane-status').length === 2 && [...document.querySelectorAll('.pane-status')]"
    + (".every((status) => status.textContent === '')")
)


@pytest.fixture(scope="module")
def clinic(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with three labelled images of a patient, and one whose patient has no other."""
    studies = tmp_path_factory.mktemp("clinic")
    for name, (seed, date) in VISITS.items():
        pixels = render_phantom(random_spec(seed, *SIZE)).pixels
        write_dicom(studies / f"{name}.dcm", pixels, PatientID="P-007", StudyDate=date)
    (studies / "alone.png").write_bytes(phantom(5))
    with start(studies, *UNSCORED) as running:
        for name, (seed, _) in VISITS.items():
            save_truth(running, name, seed)
        yield running


def followed(server: Server, image: str) -> dict[str, Any]:
    """What the server says of the patient of an image."""
    status, body = server.ask(f"/follow_up?image={image}")
    assert status == 200, body
    return dict(json.loads(body))


def rows(page: Page, test_id: str) -> list[list[str]]:
    """Texts of the rows of a table."""
    table = page.get_by_test_id(test_id).locator("tbody tr")
    table.first.wait_for()
    return [row.locator("th, td").all_inner_texts() for row in table.all()]


def signed(degrees: float) -> str:
    """A change as the page writes it."""
    return "0.0°" if f"{abs(degrees):.1f}" == "0.0" else f"{MINUS if degrees < 0 else '+'}{abs(degrees):.1f}°"


def test_the_change_is_the_one_that_the_server_states(open_page: OpenPage, clinic: Server) -> None:
    page, _ = open_page("/#/follow-up/visit_2", url=clinic.url)
    told = followed(clinic, "visit_2")
    changes = [one for one in told["changes"] if (one["from"], one["to"]) == ("visit_1", "visit_2")]
    assert changes
    shown = rows(page, "changes")
    assert [(row[0], row[3]) for row in shown] == [
        (f"{one['upper_end']}{DASH}{one['lower_end']}", signed(one["change_deg"])) for one in changes
    ]
    for row, one in zip(shown, changes, strict=True):
        assert ("within measurement error" in row[4]) == one["within_error"]
    own = [curve for image in told["images"][:2] for curve in image["curves"]]
    texts = " ".join(text for row in rows(page, "curves") for text in row)
    assert all(f"{curve['upper_end']}{DASH}{curve['lower_end']}" in texts for curve in own)


def test_both_images_are_shown_with_their_points(open_page: OpenPage, clinic: Server) -> None:
    page, watch = open_page("/#/follow-up/visit_2", url=clinic.url)
    page.wait_for_function(LOADED)
    for side, image in (("before", "visit_1"), ("after", "visit_2")):
        expect(page.get_by_test_id(f"{side}-choice")).to_have_value(image)
        expect(page.get_by_test_id(f"{side}-view").get_by_role("img")).to_be_visible()
    assert len(watch.asked("POST", "/measure")) == 2
    assert len(watch.asked("GET", "/datastore/image/pixels")) == 2


def test_on_a_narrow_window_both_images_are_beside_each_other(open_page: OpenPage, clinic: Server) -> None:
    page, _ = open_page("/#/follow-up/visit_2", url=clinic.url, viewport={"width": 390, "height": 844})
    page.wait_for_function(LOADED)
    before, after = (page.get_by_test_id(f"{side}-view").bounding_box() for side in ("before", "after"))
    assert before is not None
    assert after is not None
    assert before["x"] + before["width"] <= after["x"]
    assert after["x"] + after["width"] <= 390


def test_any_two_images_are_compared(open_page: OpenPage, clinic: Server) -> None:
    page, _ = open_page("/#/follow-up/visit_2", url=clinic.url)
    rows(page, "changes")
    page.get_by_test_id("after-choice").select_option("visit_3")
    expect(page.get_by_test_id("changes").get_by_role("columnheader", name="2026-08-01")).to_be_visible()
    told = [one for one in followed(clinic, "visit_2")["changes"] if (one["from"], one["to"]) == ("visit_1", "visit_3")]
    assert [row[3] for row in rows(page, "changes")] == [signed(one["change_deg"]) for one in told]
    page.get_by_test_id("after").get_by_role("link", name="Open visit_3").click()
    page.wait_for_url("**/#/image/visit_3")


def test_the_angles_are_plotted_over_time(open_page: OpenPage, clinic: Server) -> None:
    page, _ = open_page("/#/follow-up/visit_3", url=clinic.url)
    plot = page.get_by_test_id("plot-follow-up")
    plot.get_by_text("Table", exact=True).click()
    told = followed(clinic, "visit_3")["images"]
    table = [row.locator("th, td").all_inner_texts() for row in plot.locator("tbody tr").all()]
    assert [row[0] for row in table] == ["2024-03-01", "2025-09-14", "2026-08-01"]
    first = [curve["angle_deg"] for curve in told[0]["same_ends"]]
    assert table[0][1:] == [f"{angle:.1f}°" for angle in first]


def test_a_single_image_has_nothing_to_be_compared_with(open_page: OpenPage, clinic: Server) -> None:
    page, _ = open_page("/#/follow-up/alone", url=clinic.url)
    expect(page.get_by_test_id("empty")).to_contain_text("A second image of this patient is needed")
