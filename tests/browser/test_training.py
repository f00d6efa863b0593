"""Training from the page: parameters, progress, stop, verdict, versions, publish and roll back, plots."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from lib.learning.weights.weight_files import load_weights
from lib.server.models import FOLDER, ModelStore

from ..serving import Server, Start
from .conftest import UNSCORED, OpenPage, phantom
from .labels import save_truth

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.slow]

LABELLED = {"one": ("Ada", 60.0), "two": ("Ada", 120.0), "three": ("<b>Zoë</b>", 200.0)}
START_TIMEOUT_MS = 120_000
GATE = {
    "before": 0.21,
    "after": 0.234,
    "films": 6,
    "films_better": 2,
    "are_held_out": True,
    "seen": 0,
    "is_passed": False,
    "publish": "gate",
    "is_published": False,
    "is_weak": False,
    "unit": "steps",
    "why": "The error on 6 held-out images grew: mean 0.2100 steps before, 0.2340 after.",
}
INK = """(testId) => {
    const canvas = document.querySelector(`[data-testid=${testId}] canvas`);
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.reduce((count, value, at) => count + (at % 4 === 3 && value > 0 ? 1 : 0), 0);
}"""


@pytest.fixture(scope="module")
def trained(start: Start, tmp_path_factory: pytest.TempPathFactory, toy_server_weights: Path) -> Iterator[Server]:
    """A server with three labels, two versions of the model and the report of a training that was held back."""
    studies = tmp_path_factory.mktemp("trained")
    for seed, name in enumerate(LABELLED):
        (studies / f"{name}.png").write_bytes(phantom(seed))
    models, weights = ModelStore(studies, toy_server_weights), load_weights(toy_server_weights)
    passed = {**GATE, "after": 0.19, "is_passed": True, "is_published": True}
    models.add(weights, 0, {"gate": passed, "trained_on": {"x": {}, "y": {}}, "held_out": {"z": {}}})
    models.add(weights, 1, {"gate": GATE})
    models.serve(1)
    report = {"state": "done", "start_ts": 1_790_000_000, "elapsed_s": 300.0, "gate": GATE, "message": None}
    (studies / FOLDER / "training.json").write_text(json.dumps(report))
    with start(studies, *UNSCORED, "--conf", "weights", str(toy_server_weights)) as running:
        for seed, (name, (user, seconds)) in enumerate(LABELLED.items()):
            save_truth(running, name, seed, user=user, seconds=seconds)
        yield running


def versions(server: Server) -> dict[str, Any]:
    """What the server says of its versions."""
    return dict(json.loads(server.ask("/model/versions")[1]))


def table(page: Page, test_id: str) -> list[list[str]]:
    """The table of a plot."""
    page.get_by_test_id(test_id).get_by_text("Table", exact=True).click()
    rows = page.get_by_test_id(test_id).locator("tbody tr")
    rows.first.wait_for()
    return [row.locator("th, td").all_inner_texts() for row in rows.all()]


def test_the_verdict_of_the_publish_gate_is_shown(open_page: OpenPage, trained: Server) -> None:
    page, _ = open_page("/#/training", url=trained.url)
    verdict = page.get_by_test_id("verdict")
    expect(verdict).to_contain_text("held back")
    expect(verdict).to_contain_text(str(GATE["why"]))
    expect(page.get_by_test_id("training-status")).to_contain_text("after 5 min")


def test_versions_are_published_and_rolled_back(open_page: OpenPage, trained: Server) -> None:
    page, _ = open_page("/#/training", url=trained.url)
    rows = page.get_by_test_id("versions").locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("0.2100")
    expect(rows.nth(0)).to_contain_text("0.2340")
    expect(rows.nth(0)).to_contain_text("not passed")
    expect(rows.nth(1).locator(".badge")).to_have_text("served")
    page.get_by_test_id("serve-2").click()
    question = page.get_by_test_id("question")
    expect(question).to_contain_text("The publish gate held it back: The error on 6 held-out images grew")
    question.get_by_role("button", name="Cancel").click()
    assert versions(trained)["served"] == 1
    for number, name in ((2, "Publish"), (0, "Roll back"), (1, "Publish")):
        page.get_by_test_id(f"serve-{number}").click()
        question.get_by_role("button", name=name).click()
        expect(page.get_by_test_id("message")).to_have_text(f"Version {number} is served now.")
        assert versions(trained)["served"] == number


def test_plots_show_the_numbers_of_the_server(open_page: OpenPage, trained: Server) -> None:
    page, _ = open_page("/#/training", url=trained.url)
    told = json.loads(trained.ask("/statistics")[1])
    plots = ("plot-labels", "plot-errors", "plot-seconds", "plot-angles")
    for test_id in plots:
        page.get_by_test_id(test_id).locator("canvas").wait_for()
        assert page.evaluate(INK, test_id) > 500
        assert page.get_by_test_id(test_id).get_by_role("img").get_attribute("aria-label")
    labels = table(page, "plot-labels")
    assert [row[1:] for row in labels] == [["2", "1", "3"]]
    assert [row[2] for row in table(page, "plot-seconds")] == ["1 min", "2 min", "3 min 20 s"]
    assert table(page, "plot-errors") == [["1", "0.2100", "0.1900"], ["2", "0.2100", "0.2340"]]
    bars = table(page, "plot-angles")
    assert sum(int(count) for _, count in bars) == len(told["largest_angle_deg"]) == 3
    begin = int(max(told["largest_angle_deg"]) // 5 * 5)
    assert bars[-1][0] == f"{begin}° to {begin + 5}°"
    expect(page.get_by_test_id("readers")).to_contain_text("<b>Zoë</b>")
    assert page.locator("b").count() == 0


def test_without_labels_the_plots_say_so(open_page: OpenPage, server: Server) -> None:
    page, _ = open_page("/#/training")
    expect(page.get_by_test_id("plot-errors")).to_contain_text("No version has been trained yet")
    expect(page.get_by_test_id("training-status")).to_contain_text(
        "has not been trained on the labels of this study yet"
    )


def test_a_wrong_parameter_is_refused_with_its_sentence(open_page: OpenPage, trained: Server) -> None:
    page, watch = open_page("/#/training", url=trained.url)
    watch.expect("status of 400")
    expect(page.get_by_test_id("parameter-max_epochs")).to_have_value("10")
    page.get_by_test_id("parameter-max_epochs").fill("5000")
    page.get_by_test_id("start-training").click()
    expect(page.get_by_test_id("message")).to_contain_text("max_epochs")


def test_a_training_is_started_followed_and_stopped(open_page: OpenPage, trained: Server) -> None:
    page, _ = open_page("/#/training", url=trained.url)
    page.get_by_text("All settings").click()
    page.get_by_test_id("parameter-max_epochs").fill("500")  # more than are done between two looks at it
    page.get_by_test_id("parameter-phantoms").fill("0")
    page.get_by_test_id("parameter-publish").select_option("never")
    with page.expect_request("**/train/vertebra_landmarks") as sent:
        page.get_by_test_id("start-training").click()
    assert sent.value.post_data_json == {"max_epochs": 500, "phantoms": 0, "publish": "never"}
    status = page.get_by_test_id("training-status")
    expect(status).to_contain_text("Starting")
    expect(status).to_contain_text("Running", timeout=START_TIMEOUT_MS)
    expect(status).to_contain_text("of 1000", timeout=START_TIMEOUT_MS)
    expect(page.get_by_test_id("training-form")).to_be_hidden()
    page.get_by_test_id("stop-training").click()
    page.get_by_test_id("question").get_by_role("button", name="Stop the training").click()
    expect(page.get_by_test_id("message")).to_have_text("The training was stopped. The model is unchanged.")
    expect(status).to_contain_text("Stopped")
    expect(page.get_by_test_id("start-training")).to_be_enabled()
