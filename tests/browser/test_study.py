"""A study with a plan on the page: blind readings, adjudication, plan and agreement, with one server for all tests."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from playwright.sync_api import Error, Page, Route, expect

from lib.spine.schema import CORNERS, VERTEBRAE

from ..server.annotation.study_client import Person, points_body
from ..serving import Server, Start
from . import node_tools
from .accessibility import serious_findings, walk
from .annotator import Annotator
from .conftest import UNSCORED, OpenPage, phantom
from .watch import Watch

pytestmark = [pytest.mark.browser, pytest.mark.integration]

PLAN = {"readers": ["ada", "ben"], "adjudicators": ["cleo"], "second_reading": {"share": 1.0}}
SIZE = (400, 200)
CANARY = "1421356"
"""Digits of every coordinate of the first reading."""
WORDS = (CANARY, "0.27182", "43219", "1234.5", r"\bada\b", "aortic knob")
"""Of the first reading: points, score, edits, seconds, reader, note."""
USER = "vertebraLandmarks.settings.userName"
RECORD_TEXTS = """
    window.drawn = {};
    const { fillText } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.fillText = function (text, x, ...more) {
        window.drawn[`${this.fillStyle} ${text}`] = x;
        fillText.call(this, text, x, ...more);
    };
"""
"""Notes where texts are drawn, by color and text."""
OpenAs = Callable[..., tuple[Page, Watch]]
NewImages = Callable[..., list[str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """A server without a login, on a folder with a plan and without images."""
    studies = tmp_path_factory.mktemp("study")
    (studies / "study.yaml").write_text(json.dumps(PLAN))
    with start(studies, *UNSCORED) as running:
        yield running


@pytest.fixture
def plan(server: Server) -> Iterator[Callable[..., None]]:
    """Change the plan: ``plan(blind=False)``; after the test it is as before."""

    def change(**changes: Any) -> None:
        Person(server, "root", has_login=False).get("/study", "PUT", {**PLAN, **changes})

    yield change
    change()


@pytest.fixture
def new_images(server: Server) -> Iterator[Callable[..., list[str]]]:
    """Add small phantoms, ``new_images("a", "b")``, which are removed after the test: what is next depends on all."""
    added: list[str] = []

    def add(*names: str) -> list[str]:
        for name in names:
            upload = (f"{name}.png", phantom(len(added) + 1, SIZE))
            assert server.send(f"/datastore/image?image={name}", "PUT", file=upload)[0] == 200
            added.append(name)
        return list(names)

    yield add
    for name in added:
        assert server.ask(f"/datastore/image?id={name}", "DELETE")[0] == 200


@pytest.fixture
def open_as(open_page: OpenPage, server: Server) -> OpenAs:
    """Open the page as somebody: ``open_as("ben", "/#/study")``."""

    def new(name: str, path: str = "/", **options: Any) -> tuple[Page, Watch]:
        page, watch = open_page("", url=server.url, **options)
        watch.expect(r"status of (404|409)")
        if name:
            page.add_init_script(f"localStorage.setItem({USER!r}, {json.dumps(json.dumps(name))})")
        if path:
            page.goto(path)
        return page, watch

    return new


def person(server: Server, name: str) -> Person:
    return Person(server, name, has_login=False)


def spine(bend_px: float = 9.0, shift: int = 0) -> np.ndarray:
    """``(17, 5, 2)`` points of a curved spine, whose coordinates have the digits of the canary."""
    levels = np.arange(len(VERTEBRAE)) + shift
    middle = np.stack([100 + bend_px * np.sin(levels / 2.7), 30 + 20 * levels], -1).round()
    corners = np.array([[0, 0], [-12, -7], [12, -7], [-12, 7], [12, 7]])
    xy: np.ndarray = middle[:, None] + corners + 0.41421356
    return xy


def moved(xy: np.ndarray, vertebra: str, right: float) -> np.ndarray:
    """The same points with one vertebra farther to the right."""
    found = xy.copy()
    found[VERTEBRAE.index(vertebra)] += (right, 0.0)
    return found


def read(server: Server, image: str, name: str, xy: np.ndarray, **info: Any) -> dict[str, Any]:
    """Submit a reading over HTTP; vertebrae with NaN are left out."""
    body = points_body(xy, **{"seconds": 60.0, "edits": 3, **info})
    body["landmarks"] = [mark for mark in body["landmarks"] if np.isfinite(mark["x"])]
    answer: dict[str, Any] = person(server, name).get(f"/landmarks?image={image}", "PUT", body)
    return answer


def read_twice(server: Server, image: str, first: np.ndarray, second: np.ndarray) -> None:
    """Both readings of an image."""
    assert read(server, image, "ada", first)["reading"] == 1
    assert read(server, image, "ben", second)["reading"] == 2


def final_xy(server: Server, image: str) -> np.ndarray:
    """``(17, 5, 2)`` points of the final label."""
    return person(server, "cleo").xy(image)


class Answer(NamedTuple):
    """What the server has told a page: in full, with whom it took the page for."""

    url: str
    content: bytes
    headers: str
    user: str | None

    @property
    def path(self) -> str:
        return urllib.parse.urlsplit(self.url).path


def record(page: Page) -> list[Answer]:
    """All answers that a page gets from now on, but for its own files."""
    found: list[Answer] = []

    def on_request(route: Route) -> None:
        with contextlib.suppress(Error):  # the page needs it no longer
            answer = route.fetch()
            found.append(Answer(answer.url, answer.body(), str(answer.headers), route.request.headers.get("x-user")))
            route.fulfill(response=answer)

    page.route(re.compile(r"^[^/]+//[^/]+/(?!browser/)."), on_request)
    return found


def check_accessible(page: Page) -> None:
    """Nothing serious is found by axe-core, and Tab reaches all controls; without npm's tools nothing is checked."""
    with contextlib.suppress(node_tools.MissingTools):
        node_tools.install()
        assert serious_findings(page) == []
        assert walk(page) == {"missed": [], "unmarked": [], "outside": []}


def test_nothing_of_the_first_reading_reaches_the_second_readers_page(
    server: Server, new_images: NewImages, open_as: OpenAs
) -> None:
    image, other = new_images("blind", "other")
    thumbnail = f"/images/thumbnail?image={image}"
    before = hashlib.sha256(person(server, "ben").ask(thumbnail)[1]).hexdigest()
    body = points_body(spine(), score=0.27182, seconds=1234.5, edits=43219, note="aortic knob")
    person(server, "ada").get(f"/landmarks?image={image}", "PUT", body)
    person(server, "ada").get(f"/presence?image={image}&client={'0' * 32}", "PUT", {"user": "ada", "edits": 43219})

    page, watch = open_as("ben", "")
    answers = record(page)
    page.goto("/")
    row = page.get_by_role("row").filter(has=page.get_by_test_id(f"open-{image}"))
    expect(row).to_contain_text("To read")
    page.wait_for_function("() => [...document.images].filter((one) => one.naturalWidth > 0).length === 2")
    expect(page.get_by_test_id("reader-strip")).to_contain_text("ben")
    page.keyboard.press("n")
    annotator = Annotator(page)
    annotator.wait_for(image)  # second readings come before new images
    expect(page.get_by_test_id("reading")).to_contain_text("Second reading, blind")
    expect(page.get_by_test_id("reading")).to_contain_text("Nothing of other readings is shown.")
    annotator.wait_for_points()
    annotator.settle()
    annotator.button("submit").click()
    annotator.confirm_until(lambda: annotator.state["image"] == other)  # then next
    expect(page.get_by_test_id("reading")).to_contain_text("First reading, blind")
    own = person(server, "ben").get(f"/landmarks?image={image}")
    assert (own["tag"], own["version"], own["info"]["user"]) == ("reading-2", 1, "ben")
    with page.expect_response(lambda response: "/follow_up?" in response.url):
        page.goto(f"/#/follow-up/{image}")
    page.wait_for_load_state("networkidle")
    page.goto("/#/study")
    expect(page.get_by_test_id("study-readers")).to_contain_text("ben")
    page.goto("/#/agreement")
    expect(page.get_by_test_id("empty")).to_contain_text("The agreement is not shown to you")
    expect(page.get_by_test_id("empty")).to_contain_text("shown to its adjudicators")
    check_answers(answers, before, image)
    assert {one.user for one in answers} == {"ben"}
    assert watch.asked("PUT", "/presence")


def check_answers(answers: list[Answer], thumbnail: str, image: str) -> None:
    """Nothing of the first reading is in any answer; of its reader, only how many images are read."""
    for answer in answers:
        assert not any(re.search(word, answer.headers) for word in WORDS), answer.url
        if answer.path == "/images/thumbnail" and f"image={image}" in answer.url:
            assert hashlib.sha256(answer.content).hexdigest() == thumbnail
        if answer.path == "/study":
            told = json.loads(answer.content)["progress"]["readers"]
            assert {one["reader"]: one["seconds_median"] for one in told}["ada"] is None
            continue
        try:
            text = answer.content.decode()
        except UnicodeDecodeError:  # pixels
            assert answer.path in ("/images/thumbnail", "/datastore/image/pixels")
            continue
        assert [word for word in WORDS if re.search(word, text)] == [], answer.url
    paths = {answer.path for answer in answers}
    assert {"/images", "/images/thumbnail", "/readings", "/landmarks", "/study/next", "/study", "/follow_up"} <= paths


def test_the_words_of_the_first_reading_can_be_found(server: Server, new_images: NewImages, open_as: OpenAs) -> None:
    (image,) = new_images("seen")
    read(server, image, "ada", spine(), note="aortic knob")
    page, _ = open_as("cleo", "")
    answers = record(page)
    page.goto(f"/#/image/{image}")
    Annotator(page).wait_for(image)
    texts = " ".join(one.content.decode() for one in answers if one.path in ("/landmarks", "/readings"))
    assert CANARY in texts
    assert re.search(r"\bada\b", texts)


def test_an_image_is_kept_until_it_is_given_back(server: Server, new_images: NewImages, open_as: OpenAs) -> None:
    new_images("one", "two")
    page, _ = open_as("ada")
    page.get_by_test_id("next").click()
    annotator = Annotator(page)
    expect(page.get_by_test_id("reading")).to_contain_text("First reading, blind")
    first = annotator.state["image"]
    page.keyboard.press("n")
    question = page.get_by_test_id("question")
    expect(question).to_contain_text("You have not submitted this reading.")
    question.get_by_role("button", name="Give it back").click()
    page.wait_for_function("(image) => ![null, image].includes(window.vertebraLandmarks.state().image)", arg=first)
    assert person(server, "ben").next()["reading"]["kind"] == "first"
    expect(page.get_by_test_id("reading")).to_contain_text("First reading, blind")
    page.route("**/study/release", lambda route: route.fulfill(json={"released": False}), times=1)
    page.get_by_test_id("release").click()
    expect(page.get_by_test_id("message")).to_contain_text("under work: there is nothing to give back.")
    page.get_by_test_id("release").click()
    expect(page.get_by_test_id("image-list")).to_be_visible()


def test_without_the_model_points_are_placed_by_hand(
    server: Server, new_images: NewImages, open_as: OpenAs, plan: Callable[..., None]
) -> None:
    (image,) = new_images("by_hand")
    plan(model={"first": True, "second": False})
    read(server, image, "ada", spine())
    page, watch = open_as("ben")
    page.get_by_test_id("next").click()
    annotator = Annotator(page)
    annotator.wait_for(image)
    expect(page.get_by_test_id("reading")).to_contain_text("No points of the model: place the points by hand.")
    expect(page.get_by_test_id("place-text")).to_contain_text("Click T1 TL")
    expect(page.get_by_test_id("infer")).to_be_disabled()
    assert not watch.asked("POST", "/infer/vertebra_landmarks")
    assert annotator.message == ""
    box = page.get_by_test_id("canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 80)
    expect(page.get_by_test_id("place-text")).to_contain_text("Click T1 TR")
    assert annotator.state["edits"] == 1


def test_who_only_looks_moves_no_point(server: Server, new_images: NewImages, open_as: OpenAs) -> None:
    (image,) = new_images("closed")
    read_twice(server, image, spine(), spine(8))
    person(server, "cleo").get(f"/readings/adjudicate?image={image}", "POST", {"take": 1})
    page, _ = open_as("eve", f"/#/image/{image}")
    annotator = Annotator(page)
    annotator.wait_for(image)
    said = "eve is neither reader nor adjudicator of the study plan: you may look, but not submit."
    expect(page.get_by_test_id("reading")).to_contain_text(said)
    annotator.wait_for_points()
    before = annotator.positions()
    x, y = annotator.screen("T7")
    annotator.drag("T7", (x + 40, y))
    assert annotator.positions() == before
    expect(page.get_by_test_id("submit")).to_be_disabled()
    expect(page.get_by_test_id("lock")).to_be_checked()
    expect(page.get_by_test_id("lock")).to_be_disabled()
    expect(page.get_by_test_id("next")).to_be_disabled()

    page.get_by_test_id("annotator-name").fill("ada")
    page.get_by_test_id("annotator-name").press("Enter")  # another user sees what is theirs
    expect(page.get_by_test_id("reading")).to_contain_text("Nothing to read here")
    page.get_by_test_id("annotator-name").fill("")
    page.get_by_test_id("annotator-name").press("Enter")
    expect(page.get_by_test_id("reading")).to_contain_text("enter your name at the top right")


def test_an_adjudicator_decides_with_keys(server: Server, new_images: NewImages, open_as: OpenAs) -> None:
    far, near = new_images("far", "near")
    first, second = spine(), moved(moved(spine(), "T7", 12), "L2", 3)
    first[-1] = np.nan
    read_twice(server, far, first, second)
    read_twice(server, near, spine(), spine(8))
    page, _ = open_as("cleo", "", viewport={"width": 1280, "height": 720})
    page.add_init_script(RECORD_TEXTS)
    page.goto("/#/study")
    expect(page.get_by_test_id("queue").get_by_role("link")).to_have_text([far, near])  # largest difference first
    page.keyboard.press("n")
    differences = page.get_by_test_id("differences").get_by_role("button")
    expect(differences.nth(0)).to_contain_text("L5only ben has it")
    expect(differences.nth(1)).to_contain_text("T712.0 px")
    expect(differences.nth(2)).to_contain_text("L23.0 px")
    at = page.evaluate("() => window.drawn")
    assert at["#ffb02e T7"] < at["#56beff T7"], "names of the first stand at the left"
    for test_id in ("both-angles", "confirm", "take-1", "take-m", "edit"):
        expect(page.get_by_test_id(test_id)).to_be_in_viewport()
    expect(page.get_by_test_id("confirm")).to_be_disabled()
    check_accessible(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(differences.nth(1)).to_have_attribute("aria-current", "true")
    page.keyboard.press("1")
    expect(page.get_by_test_id("take-1")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("2")
    expect(page.get_by_test_id("confirm")).to_have_text("Take the reading of benEnter")
    held: list[Route] = []
    page.route("**/readings/adjudicate?*", lambda route: held.append(route), times=1)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("confirm")).to_have_text("Storing …")
    expect(page.get_by_test_id("take-1")).to_be_disabled()
    for key in "1en":  # nothing else is chosen, nor left, until it is stored
        page.keyboard.press(key)
    expect(page.get_by_test_id("take-2")).to_have_attribute("aria-pressed", "true")
    held[0].continue_()
    expect(page.get_by_test_id("adjudication")).to_contain_text(near)  # the next one
    np.testing.assert_allclose(final_xy(server, far), second, atol=0.01)
    expect(page.get_by_test_id("take-m")).to_be_enabled()
    page.keyboard.press("m")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("message")).to_contain_text("nothing left to adjudicate")
    expect(page.get_by_test_id("adjudication")).to_contain_text("Its final label is the mean, chosen by cleo")
    np.testing.assert_allclose(final_xy(server, near), (spine() + spine(8)) / 2, atol=0.01)


def test_a_reading_that_changes_meanwhile_is_looked_at_again(
    server: Server, new_images: NewImages, open_as: OpenAs
) -> None:
    (image,) = new_images("changing")
    read_twice(server, image, spine(), spine(8))
    page, watch = open_as("cleo", f"/#/adjudicate/{image}")
    page.get_by_test_id("take-1").click()
    corrected = moved(spine(), "T4", 9)
    assert read(server, image, "ada", corrected)["version"] == 2
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("message")).to_contain_text("was changed meanwhile: look at it again")
    expect(page.get_by_test_id("confirm")).to_be_disabled()
    expect(page.get_by_test_id("difference-T4")).to_contain_text("10.0 px")
    watch.expect("status of 503")
    page.route("**/study/next", lambda route: route.fulfill(status=503, json={"detail": "it restarts"}), times=1)
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("message")).to_contain_text(
        "the final label is the reading of ada. But the next image cannot be opened. It restarts."
    )
    expect(page.get_by_test_id("adjudication")).to_contain_text("Its final label is the reading of ada")
    np.testing.assert_allclose(final_xy(server, image), corrected, atol=0.01)


def test_shifted_names_are_said_and_a_reading_is_edited(server: Server, new_images: NewImages, open_as: OpenAs) -> None:
    (image,) = new_images("shifted")
    read_twice(server, image, spine(), spine(shift=1))
    page, _ = open_as("cleo", f"/#/adjudicate/{image}")
    expect(page.get_by_test_id("names-shift")).to_contain_text("what ada calls T7, ben calls T6")
    expect(page.get_by_test_id("take-m")).to_be_disabled()
    page.keyboard.press("m")
    expect(page.get_by_test_id("message")).to_contain_text("name the vertebrae differently")
    page.keyboard.press("1")
    page.keyboard.press("e")
    annotator = Annotator(page)
    annotator.wait_for(image)
    expect(page.get_by_test_id("reading")).to_contain_text("Adjudication: edit reading 1")
    annotator.wait_for_points()
    at = annotator.position("T7 TL")
    x, y = annotator.screen("T7 TL")
    annotator.drag("T7 TL", (x - 12, y - 4))
    annotator.settle()
    dropped = annotator.position("T7 TL")
    assert np.hypot(*np.subtract(dropped, at)) > 1
    page.goto("/")
    assert read(server, image, "ada", moved(spine(), "T4", 9))["version"] == 2
    page.get_by_test_id(f"draft-{image}").click()
    question = page.get_by_test_id("question")
    expect(question).to_contain_text("A reading was changed since then: compare the readings before you submit.")
    question.get_by_role("button", name="Resume").click()
    expect(page.get_by_test_id("reading")).to_contain_text("Adjudication: edit reading 1")
    annotator.button("submit").click()
    annotator.confirm_until(lambda: "A reading was changed meanwhile; nothing was saved." in annotator.message)
    assert person(server, "cleo").ask(f"/landmarks?image={image}")[0] == 404
    annotator.submit()
    found = person(server, "cleo").get(f"/landmarks?image={image}")
    assert found["info"]["adjudicated"]["how"] == "edited"
    assert [one["version"] for one in found["info"]["adjudicated"]["readings"]] == [2, 1]
    corner = final_xy(server, image)[VERTEBRAE.index("T7"), 1 + CORNERS.index("TL")]
    np.testing.assert_allclose(corner, dropped, atol=0.01)


def test_the_plan_is_changed_in_a_form(server: Server, open_as: OpenAs, plan: Callable[..., None]) -> None:
    page, watch = open_as("ada", "/#/study")
    watch.expect("status of 400")
    expect(page.get_by_test_id("part")).to_contain_text("ada, you are a reader")
    expect(page.get_by_test_id("plan")).to_contain_text("100 % of the images are read by two readers.")
    page.get_by_test_id("plan-edit").get_by_text("Change the plan").click()
    check_accessible(page)
    page.get_by_test_id("plan-adjudicators").fill("cleo, ben")
    page.get_by_test_id("plan-save").click()
    expect(page.get_by_test_id("plan-error")).to_contain_text("may not be readers, but 'ben' is both")
    page.get_by_test_id("plan-adjudicators").fill("cleo, dora")
    page.get_by_test_id("plan-second").fill("12.5")
    plan(seed=7)  # by another administrator
    page.get_by_test_id("plan-save").click()
    expect(page.get_by_test_id("plan-error")).to_contain_text(
        "The study plan was changed meanwhile, and nothing was saved"
    )
    expect(page.get_by_test_id("plan-newer")).to_be_visible()
    assert person(server, "ada").get("/study")["plan"]["seed"] == 7
    page.get_by_test_id("plan-save").click()
    expect(page.get_by_test_id("plan")).to_contain_text("12.5 % of the images are read by two readers.")
    stored = person(server, "ada").get("/study")["plan"]
    assert (stored["adjudicators"], stored["second_reading"]["share"]) == (["cleo", "dora"], 0.125)


def test_a_plan_that_closes_images_is_confirmed_before_it_is_saved(
    server: Server, new_images: NewImages, open_as: OpenAs, plan: Callable[..., None]
) -> None:
    (image,) = new_images("read_once")
    read(server, image, "ada", spine())
    page, _ = open_as("cleo", "/#/study")
    page.get_by_test_id("plan-edit").get_by_text("Change the plan").click()
    page.get_by_test_id("plan-second").fill("0")
    page.get_by_test_id("plan-save").click()
    question = page.get_by_test_id("plan-question")
    expect(question).to_contain_text("1 image that was read will be final and shown to everybody")
    check_accessible(page)
    assert person(server, "cleo").get("/study")["plan"]["second_reading"]["share"] == 1.0
    page.get_by_test_id("plan-seed").fill("3")
    expect(question).to_be_empty()  # another plan is to be confirmed anew
    for _ in range(2):
        page.get_by_test_id("plan-save").click()
        expect(page.get_by_test_id("plan-save")).to_be_enabled()
    expect(page.get_by_test_id("plan")).to_contain_text("Every image is read once.")


def test_agreement_is_shown_and_saved(server: Server, new_images: NewImages, open_as: OpenAs) -> None:
    for number, image in enumerate(new_images("p", "q", "r", "s")):
        read_twice(server, image, spine(6 + 3 * number), spine(7 + 3 * number))
    page, _ = open_as("cleo", "/#/study")
    page.get_by_test_id("agreement").click()
    expect(page.get_by_test_id("agreement-hint")).to_have_text("4 images read by ada, ben")
    plot = page.get_by_test_id("plot-bland-altman")
    expect(plot.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile(r"ada - ben, largest angle: 4 images, bias")
    )
    plot.get_by_text("Table").click()
    expect(plot.get_by_role("row")).to_have_count(5)
    found = person(server, "cleo").get("/study/agreement")
    (row,) = [one for one in found["tables"]["angles"] if one["angle"] == "largest"]
    expect(page.get_by_test_id("table-angles")).to_contain_text(f"{row['sem_deg']:.1f}")
    expect(page.get_by_test_id("methods")).to_contain_text("4 radiographs were read by 2 readers (ada, ben)")
    check_accessible(page)
    with page.expect_download() as download:
        page.get_by_test_id("file-pairs.csv").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("comparison,first,second,image,first_deg,second_deg")
    assert len(lines) == 5
    page.get_by_test_id("unaided").check()
    expect(page.get_by_test_id("agreement-hint")).to_have_text("4 images read by ada, ben")
