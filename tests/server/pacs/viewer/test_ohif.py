"""OHIF itself on an Orthanc: our Cobb lines are shown, edited and stored there, and come back as a proposal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from harness.local_orthanc import LocalOrthanc
from lib.server.pacs.client import PacsClient
from lib.server.pacs.instances import Instance
from lib.server.pacs.settings import PacsSettings
from lib.server.pacs.viewer.ohif_build import ViewerMissingError, find_build
from lib.server.pacs.viewer.viewer_app import viewer_app
from lib.structured_report import CobbLinesReport, cobb_lines_report, cobb_proposal, parse_report, read_report, to_bytes
from lib.structured_report.cobb_lines_report import viewer_angle

from ....browser.conftest import chromium  # noqa: F401  # the fixture
from ....browser.watch import Watch
from ....structured_report.subjects import FRAME, phantom, subject
from .conftest import served

TIMEOUT_MS, POLL_MS = 90_000, 100
SEED = 1
VIEWER_TOKEN = "a-token-of-the-viewer"
DRAG_PX = 12
MEASUREMENTS = """() => window.services.measurementService.getMeasurements().map(
    (one) => ({tool: one.toolName, points: one.points, shown: one.displayText.primary[0]}))"""
ON_SCREEN = """(point) => {
    const {cornerstoneViewportService: viewports, viewportGridService: grid} = window.services;
    const viewport = viewports.getCornerstoneViewport(grid.getActiveViewportId());
    const [x, y] = viewport.worldToCanvas(point), edge = viewport.element.getBoundingClientRect();
    return [x + edge.left, y + edge.top];
}"""


@pytest.fixture
def client(orthanc: LocalOrthanc, tmp_path: Path) -> Iterator[PacsClient]:
    """Of an Orthanc that has a phantom and its Cobb lines."""
    orthanc.store(to_bytes(phantom(SEED)[0]))
    orthanc.store(to_bytes(cobb_lines_report(subject(SEED), FRAME)))
    settings = PacsSettings(orthanc.url, tmp_path, orthanc.user, orthanc.password)
    with contextlib.closing(PacsClient(settings)) as client:
        yield client


@pytest.fixture
def page(client: PacsClient, orthanc: LocalOrthanc, chromium: Browser) -> Iterator[Page]:  # noqa: F811
    """A page of OHIF with its list of studies; afterwards, no other host may have been asked."""
    try:
        build = find_build()
    except ViewerMissingError as error:
        pytest.skip(str(error))
    with served(viewer_app(build, client, orthanc.url, VIEWER_TOKEN)) as address:
        context = chromium.new_context(viewport={"width": 1400, "height": 900}, base_url=address)
        context.set_default_timeout(TIMEOUT_MS)
        watch = Watch(context, address)
        page = context.new_page()
        page.goto(f"/?token={VIEWER_TOKEN}")
        page.get_by_role("button", name="Confirm and hide").click()  # it is for research; asked once a month
        yield page
        assert watch.foreign == []
        assert watch.seen("policy violated|Uncaught") == []
        context.close()


def open_lines(page: Page, study: str) -> list[dict[str, Any]]:
    """Open a study and its Cobb lines for editing; returns the measurements."""
    page.goto(f"/viewer?StudyInstanceUIDs={study}")
    page.get_by_text("Skip all").click()
    page.get_by_text("Cobb lines").first.dblclick()
    page.get_by_role("button", name="Yes", exact=True).click()
    page.wait_for_function(f"() => ({MEASUREMENTS})().length > 0")
    return list(page.evaluate(MEASUREMENTS))


def drag(page: Page, point: list[float]) -> None:
    """Drag a point of a measurement down."""
    x, y = page.evaluate(ON_SCREEN, point)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + DRAG_PX, steps=6)
    page.mouse.up()
    page.wait_for_function(f"(before) => ({MEASUREMENTS})()[0].points[1][1] > before", arg=point[1])


def still(page: Page, spacing: np.ndarray) -> dict[str, Any]:
    """The first measurement, once the angle that is shown is that of its lines: it is written after a drag."""
    for _ in range(TIMEOUT_MS // POLL_MS):
        first: dict[str, Any] = page.evaluate(MEASUREMENTS)[0]
        if first["shown"] == f"{viewer_angle(np.array(first['points'])[:, :2] / spacing, spacing):.1f} °":
            return first
        page.wait_for_timeout(POLL_MS)
    pytest.fail(f"the angle that is shown is not that of the lines: {first}")


def save(page: Page) -> None:
    """Store the measurements as OHIF offers."""
    page.locator('[data-cy="trackedMeasurements-btn"]').first.click()
    page.get_by_text("Create SR").first.click()
    with page.expect_response(lambda response: response.request.method == "POST") as stored:
        page.get_by_role("button", name="Save", exact=True).click()
    assert stored.value.ok


@pytest.mark.slow
@pytest.mark.integration
def test_cobb_lines_are_shown_edited_and_proposed(page: Page, client: PacsClient) -> None:
    about = subject(SEED)
    ours, _ = read_report(cobb_lines_report(about, FRAME))
    assert isinstance(ours, CobbLinesReport)
    page.get_by_text("Whole spine AP").first.wait_for()  # a description, for which the query has commas

    shown = open_lines(page, about.image.study_uid)
    assert [one["tool"] for one in shown] == ["CobbAngle"] * len(ours.angles)
    assert [one["shown"] for one in shown] == [f"{angle.stated_deg:.1f} °" for angle in ours.angles]
    drag(page, shown[0]["points"][1])
    moved = still(page, np.array(about.image.spacing))
    save(page)

    reports = [Instance.from_json(item) for found in client.search({"Modality": "SR"}, []) for item in found]
    uids = [report.uids for report in reports if report is not None]
    (edited,) = (uid for uid in uids if uid.instance != ours.document.sop_instance_uid)
    report, reason = parse_report(client.retrieve(edited))
    assert isinstance(report, CobbLinesReport), reason
    assert not report.is_ours
    for angle, before in zip(report.angles[1:], ours.angles[1:], strict=True):
        assert np.abs(angle.lines - before.lines).max() < 1e-3
    first, spacing = report.angles[0], about.image.spacing
    assert np.allclose(first.lines[1] * spacing, moved["points"][1][:2], atol=1e-3)
    assert first.stated_deg == pytest.approx(viewer_angle(first.lines, spacing), abs=0.01)
    assert moved["shown"] == f"{first.stated_deg:.1f} °"

    proposal = cobb_proposal(report.angles, about.label.spine)
    assert proposal.problems == ()
    upper = proposal.curves[0].upper_end
    assert [[move.name for move in curve.moves] for curve in proposal.curves] == [[f"{upper} TR"], [], []]
    assert proposal.curves[0].moves[0].distance_px > 5
